"""Stores of Parquet files: a column of lists of numbers, and columns of labels and ids. Needs pyarrow.

A file is read a part of a row group at a time, so neither its size nor that of the store matters.
"""
import contextlib
import os

import numpy as np

from .errors import TrimineError, usage

try:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq
except ImportError:
    raise ImportError("Parquet files need the package pyarrow: pip install pyarrow") from None

PIECE = 1 << 16  # rows of labels and ids that are looked at at a time
BUFFER = 1 << 20  # bytes of a column that are read at a time


def bad(path, text):
    return TrimineError(65, "data", f"'{path}': {text}")


def shards(paths):
    """The files themselves: a folder stands for the Parquet files in it, by name."""
    files = []
    for path in paths:
        path = os.fsdecode(path)
        if os.path.isdir(path):
            inside = sorted(n for n in os.listdir(path) if n.endswith(".parquet") and n[0] not in "._")
            if not inside:
                raise TrimineError(66, "no_input", f"'{path}': no Parquet files in this folder")
            files += [os.path.join(path, name) for name in inside]
        elif os.path.exists(path):
            files.append(path)
        else:
            raise TrimineError(66, "no_input", f"'{path}': No such file")
    return files


@contextlib.contextmanager
def opened(path):
    """The file; what pyarrow says of one that can't be read, as an error that names it."""
    try:
        with pq.ParquetFile(path, buffer_size=BUFFER, pre_buffer=False) as file:
            yield file
    except PermissionError:
        raise TrimineError(77, "permission", f"'{path}': permission denied") from None
    except (pa.ArrowException, OSError) as error:
        raise bad(path, f"is no Parquet file that can be read: {str(error).strip().splitlines()[0]}") from None


def plain(kind):
    """A type as it is stored: without a name that a program gave it, and without a dictionary."""
    while True:
        if isinstance(kind, pa.BaseExtensionType):
            kind = kind.storage_type
        elif pa.types.is_dictionary(kind):
            kind = kind.value_type
        else:
            return kind


def is_list(kind):
    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)


def is_number(kind):
    return pa.types.is_integer(kind) or pa.types.is_floating(kind)


def is_view(kind):
    return getattr(pa.types, "is_string_view", lambda _: False)(kind)


def is_text(kind):
    return is_view(kind) or any(test(kind) for test in (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary))


def values_of(column):
    """A column's values as they are stored."""
    while plain(column.type) != column.type:
        if isinstance(column.type, pa.BaseExtensionType):
            column = column.storage
        else:
            column = column.dictionary_decode()
    return column.cast(pa.large_string()) if is_view(column.type) else column  # of which pyarrow knows no lengths


class Table:
    """The columns of one or more files that a store is made of. All files are looked at before anything is written."""

    def __init__(self, paths, column=None, labels=None, ids=None):
        self.named = {"labels": labels, "ids": ids}
        for what, name in [("column", column), *self.named.items()]:
            if not isinstance(name, (str, type(None))):
                raise usage(f"{what} of Parquet files must be the name of a column, not {type(name).__name__}")
        self.column, self.kinds, self.files = column, {}, []
        for path in shards(paths):
            with opened(path) as file:
                self.look(path, file.schema_arrow)
                self.files.append((path, file.metadata.num_rows))
        self.rows = sum(rows for _, rows in self.files)
        if self.rows == 0:
            raise bad(self.files[0][0], "there are no rows")
        self.dim = self.find_dim()

    def look(self, path, schema):
        if self.column is None:
            self.column = self.find_column(path, schema)
        for what, name in [("embeddings", self.column), *self.named.items()]:
            if name is None:
                continue
            if schema.names.count(name) != 1:
                raise bad(path, f"{'no' if name not in schema.names else 'more than one'} column '{name}'; there are "
                                f"{', '.join(schema.names[:20])}")
            self.look_at_type(path, what, name, plain(schema.field(name).type))

    def find_column(self, path, schema):
        found = [field.name for field in schema if is_list(plain(field.type)) and is_number(plain(field.type).value_type)]
        if len(found) != 1:
            raise bad(path, f"{'several columns are' if found else 'no column is one of'} lists of numbers"
                            + (f" ({', '.join(found[:20])}): name one by column" if found else
                               f"; there are {', '.join(f'{f.name} ({f.type})' for f in list(schema)[:20])}; of a column for each "
                               "value give write_store an array: pandas.read_parquet(FILE)[COLUMNS].to_numpy()"))
        return found[0]

    def look_at_type(self, path, what, name, kind):
        if what == "embeddings":
            if not is_list(kind) or not is_number(kind.value_type):
                raise bad(path, f"column '{name}' is {kind}, need lists of numbers")
            kind = kind.value_type
        elif not (is_text(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind)
                  or (what == "labels" and pa.types.is_floating(kind))):
            raise bad(path, f"column '{name}' is {kind}, {what} must be whole numbers or texts")
        kind = "text" if is_text(kind) else np.dtype("u1") if pa.types.is_boolean(kind) else np.dtype(kind.to_pandas_dtype())
        if self.kinds.setdefault(what, kind) != kind:
            raise bad(path, f"column '{name}' is of another type ({kind}) than in '{self.files[0][0]}' ({self.kinds[what]})")

    def pieces(self, name, rows):
        """A column of all files, at most so many rows at a time: path, number of the first row in its file, values without nulls."""
        for path, count in self.files:
            first = 0
            with opened(path) as file:
                for batch in file.iter_batches(batch_size=rows, columns=[name]):
                    values = values_of(batch.column(batch.schema.get_field_index(name)))
                    if values.null_count:
                        raise bad(path, f"column '{name}', row {first + first_null(values)}: is null")
                    yield path, first, values
                    first += len(values)
            if first != count:
                raise bad(path, f"has {first} rows, its footer says {count}")

    def find_dim(self):
        for path, first, values in self.pieces(self.column, 1):
            if pa.types.is_fixed_size_list(values.type):
                dim = values.type.list_size
            else:
                dim = pc.list_value_length(values)[0].as_py()
            if dim == 0:
                raise bad(path, f"column '{self.column}', row {first}: is an empty list")
            return dim

    def embeddings(self, piece):
        """Rows x dim, about so many bytes at a time."""
        for path, first, values in self.pieces(self.column, max(1, piece // (self.dim * self.kinds["embeddings"].itemsize))):
            where = f"column '{self.column}', row "
            if pa.types.is_fixed_size_list(values.type):
                if values.type.list_size != self.dim:
                    raise bad(path, f"{where}{first}: has {values.type.list_size} values, the first row has {self.dim}")
            else:
                lengths = pc.list_value_length(values).to_numpy(zero_copy_only=False)
                wrong = np.flatnonzero(lengths != self.dim)
                if len(wrong):
                    raise bad(path, f"{where}{first + wrong[0]}: has {lengths[wrong[0]]} values, the first row has {self.dim}")
            flat = values.flatten()
            if flat.null_count:
                row, at = divmod(first_null(flat), self.dim)
                raise bad(path, f"{where}{first + row}: value {at} is null")
            yield flat.to_numpy(zero_copy_only=False).reshape(-1, self.dim)

    def longest(self, name):
        """Bytes of the longest text."""
        return max((pc.max(pc.binary_length(values)).as_py() for _, _, values in self.pieces(name, PIECE) if len(values)), default=0)

    def column_pieces(self, what):
        """Labels or ids: texts as fixed bytes, numbers as they are."""
        kind = self.kinds[what]
        for _, _, values in self.pieces(self.named[what], PIECE):
            if kind == "text":
                yield [v.encode() if isinstance(v, str) else v for v in values.to_pylist()]
            else:
                yield values.to_numpy(zero_copy_only=False).astype(kind)

    def type_of(self, what):
        """The type of labels or ids in the store."""
        return np.dtype(f"S{max(1, self.longest(self.named[what]))}") if self.kinds[what] == "text" else self.kinds[what]


def first_null(values):
    return pc.index(pc.is_null(values), True).as_py()
