"""Writes stores that trimine reads: HDF5 files of embeddings, labels and ids."""
import contextlib
import errno
import os
import secrets

import h5py
import numpy as np

from .errors import error, usage
from .program import check_word

CHUNK = 64 << 20  # bytes that are converted at a time
PATHS = (str, bytes, os.PathLike)
OTHERS = (".jsonl", ".json", ".ndjson", ".csv", ".tsv", ".npz", ".npy", ".txt", ".html", ".parquet")  # what no HDF5 file is called


def as_array(x):
    """A numpy array of anything that has rows; of PyTorch's, float32 where numpy has no such type (bfloat16)."""
    if np.ma.is_masked(x):
        raise usage("an array has masked values: fill them, or leave out their rows")
    try:
        if hasattr(x, "detach"):
            x = x.detach().cpu()
            return x.numpy() if str(x.dtype) != "torch.bfloat16" else x.float().numpy()
        return np.asarray(x)
    except (ValueError, TypeError, RuntimeError) as failure:  # lists of different lengths; PyTorch's sparse, quantised and other tensors
        raise usage(f"can't be made an array: {(str(failure) or type(failure).__name__).splitlines()[0]}") from None


def is_data(x):
    """Is it rows, in contrast to the path of a file or a list of such?"""
    if isinstance(x, PATHS):
        return False
    return not (isinstance(x, (list, tuple)) and x and all(isinstance(e, PATHS) for e in x))


def paths_of(given):
    """A path, or a list of them, as a list of texts."""
    return [os.fsdecode(p) for p in ([given] if isinstance(given, PATHS) else given)]


def check_embeddings(x):
    x = as_array(x)
    if x.ndim != 2:
        raise usage(f"embeddings have the shape {x.shape}, need two dimensions: rows x values"
                    + ("; of a column of arrays give numpy.stack(column)" if x.dtype.kind == "O" else ""))
    if x.dtype.kind not in "fiu":
        raise usage(f"embeddings are of type {x.dtype}, need numbers")
    return x


def column_of(values, rows, what):
    """Labels or ids, one a row: whole numbers as they are, texts as UTF-8 of a fixed length."""
    values = as_array(values)
    if values.shape != (rows,):
        raise usage(f"{what} have the shape {values.shape}, need one for each of {rows} rows")
    if values.dtype.kind in "OUT":
        values = of_objects(values, what)
    if values.dtype.kind == "b":
        return values.astype(np.uint8)
    if values.dtype.kind == "S":
        return values.astype(h5py.string_dtype("utf-8", max(1, values.dtype.itemsize)))
    if values.dtype.kind in "iu" or (values.dtype.kind == "f" and what == "labels"):
        return values  # of floats the program takes whole ones, and names the first that is none
    raise usage(f"{what} are of type {values.dtype}, need whole numbers or texts")


def of_objects(values, what):
    """Texts as bytes, Python's whole numbers as numpy's; else the first that is neither is named."""
    values = values.tolist()
    for kinds, made in (((str, bytes), encoded), ((int, np.integer), np.array)):
        wrong = [i for i, v in enumerate(values) if not isinstance(v, kinds) or isinstance(v, bool)]
        if not wrong:
            return made(values) if made is np.array else made(values, what)
        if wrong[0] > 0:
            break
    raise usage(f"{what}: that of row {wrong[0]} is {values[wrong[0]]!r}; need whole numbers or texts, of one kind")


def encoded(values, what):
    try:
        return np.array([v.encode() if isinstance(v, str) else v for v in values], dtype=bytes)
    except UnicodeEncodeError as failure:
        raise usage(f"{what}: {failure.object!r} can't be written as UTF-8") from None


@contextlib.contextmanager
def new_file(path, overwrite):
    """An h5py file that gets its name when it is whole."""
    path = os.fsdecode(path)
    check_word(path)
    if path.lower().endswith(OTHERS):
        raise usage(f"'{path}': a store is HDF5: call it .h5")
    if not overwrite and os.path.lexists(path):
        raise error(73, f"'{path}' exists (overwrite=True replaces it)")
    temporary = os.path.join(os.path.dirname(path), f".trimine-{secrets.token_hex(8)}.tmp")
    try:
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))  # with the rights of a new file
        with h5py.File(temporary, "w") as f:
            yield f
        os.replace(temporary, path)
    except (OSError, RuntimeError) as failure:  # h5py raises either of these where the disk is full
        raise not_written(path, failure) from None
    finally:
        with contextlib.suppress(OSError):
            os.unlink(temporary)


def not_written(path, failure):
    number = getattr(failure, "errno", None)
    code = {errno.EACCES: 77, errno.EPERM: 77, errno.EROFS: 77, errno.ENOENT: 73, errno.ENOTDIR: 73, errno.EISDIR: 73}.get(number, 74)
    text = os.strerror(number) if number else str(failure).strip().splitlines()[0]
    return error(code, f"'{path}': can't be written: {text}")


def fill(dataset, pieces):
    """Rows of a dataset, a piece after the other."""
    first = 0
    for piece in pieces:
        dataset[first:first + len(piece)] = piece
        first += len(piece)


def write_store(path, embeddings, labels=None, ids=None, overwrite=False, column=None):
    """Writes a store for trimine: one HDF5 file with /embeddings, and /labels and /ids where they are given.

    path -- of the file; it has this name only when it is whole
    embeddings -- rows x values: numpy, also memory-mapped, PyTorch, or nested lists; floats or integers, kept as they are.
                  Or the path of a Parquet file, of a folder of such, or a list of them (needs pyarrow)
    labels -- one a row: whole numbers or texts; of Parquet files the name of their column
    ids -- one a row: whole numbers, or texts, which only this package reads; of Parquet files the name of their column
    overwrite -- replace a file that is there
    column -- of Parquet files: the column of embeddings, lists of numbers; None: the only one of that kind
    """
    if not is_data(embeddings):
        write_table(path, paths_of(embeddings), column, labels, ids, overwrite)
        return os.fspath(path)
    if column is not None:
        raise usage("column goes with Parquet files")
    x = check_embeddings(embeddings)
    named = {name: column_of(values, len(x), name) for name, values in (("labels", labels), ("ids", ids)) if values is not None}
    with new_file(path, overwrite) as f:
        step = max(1, CHUNK // max(1, x.itemsize * x.shape[1]))
        fill(f.create_dataset("embeddings", x.shape, x.dtype), (x[first:first + step] for first in range(0, len(x), step)))
        for name, values in named.items():
            f[name] = values
    return os.fspath(path)


def write_table(path, files, column, labels, ids, overwrite):
    """write_store of Parquet files; gives what was in them."""
    from .parquet import Table
    table = Table(files, column, labels, ids)
    if os.path.exists(path) and any(os.path.samefile(path, file) for file, _ in table.files):
        raise usage(f"'{os.fspath(path)}' is read, too: give the store another name")
    with new_file(path, overwrite) as f:
        for name in ("labels", "ids"):
            if table.named[name] is not None:
                kind = table.type_of(name)
                kind = h5py.string_dtype("utf-8", kind.itemsize) if kind.kind == "S" else kind
                fill(f.create_dataset(name, (table.rows,), kind), table.column_pieces(name))
        fill(f.create_dataset("embeddings", (table.rows, table.dim), table.kinds["embeddings"]), table.embeddings(CHUNK >> 2))
    return table
