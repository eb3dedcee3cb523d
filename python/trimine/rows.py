"""Stores as they are read: which files there are, where their rows, labels and ids are, and what these are. What is not HDF5 or .npy
only the program reads; of such files labels and ids that stand beside them are known.
"""
import csv
import json
import os
import re

import h5py
import numpy as np

from .errors import data, error, usage
from .reading import Npy, first_bytes, open_hdf5, read_idx, reading, values_of
from .store import as_array

# The names by which the program finds a store's datasets; tests/python/test_options.py compares them.
DATASETS = {"embeddings": ("embeddings", "features", "X", "train", "emb", "vectors", "descriptors"), "labels": ("labels", "targets", "y", "classes"),
            "ids": ("ids",)}
TABLES, JSON = (".csv", ".tsv"), (".jsonl", ".json", ".ndjson")
SIDE_FILES = (".npy", ".txt", *TABLES, *JSON)  # what a file of labels or ids ends with; one that is there may be called as it likes


# ---- files ----


def natural(path):
    """shard-2 before shard-10, as the program sorts a folder's files."""
    return [(0, int(part), "") if part[0] in "0123456789" else (1, 0, part) for part in re.split(r"([0-9]+)", os.path.basename(path)) if part]


def files_of(path, what):
    """The file itself, or those of a folder."""
    if not os.path.isdir(path):
        return [path]
    inside = sorted((os.path.join(path, name) for name in os.listdir(path) if name.endswith((".h5", ".hdf5")) and not name.startswith(".")),
                    key=natural)
    if not inside:
        raise error(66, f"{what} '{path}': no HDF5 files in this folder")
    return inside


def find_dataset(file, given, names, what, path):
    """The dataset of that path, or the one that has a usual name; None where there is none."""
    with reading(what, path):
        if given:
            found = file.get(given)
            if not isinstance(found, h5py.Dataset):
                raise data(f"{what} '{path}': no dataset '{given}'")
            return found
        there = [name for name in names if isinstance(file.get(name), h5py.Dataset)]
        if len(there) > 1:
            raise data(f"{what} '{path}': {' and '.join(there)} could both be meant")
        return file[there[0]] if there else None


def ends(path, suffixes):
    """Capitals are as good."""
    return path.lower().endswith(suffixes)


def split_column(given):
    """(FILE, colon, COLUMN). Names of columns may have colons, too: it is the last one behind the name of a table or of lines of JSON; where
    there is no such name the last one of all."""
    for at in range(len(given) - 1, 0, -1):
        if given[at] == ":" and ends(given[:at], TABLES + JSON):
            return given[:at], ":", given[at + 1 :]
    return given.rpartition(":")


def side_file(given):
    """(path, column or None) of what names a file of labels or of ids; None where it names a dataset."""
    if not given:
        return None
    path, colon, column = split_column(given)
    if os.path.isfile(given) or ends(given, SIDE_FILES):
        return given, None
    return (path, column) if colon and (ends(path, TABLES + JSON) or os.path.isfile(path)) else None


# ---- labels and ids beside a store ----

PLAIN = re.compile(rb"0|-?[1-9][0-9]*")
FLOAT = re.compile(rb"([+-]?)([0-9]*)(?:\.([0-9]*))?(?:[eE]([+-]?[0-9]+))?")


def whole_of(text):
    """The whole number that a text is, also 3.0 or 3.000e+00 up to 2^53; else None: 007 is a name."""
    if PLAIN.fullmatch(text):
        number = int(text)
        return number if -1 << 63 <= number < 1 << 64 else None
    found = FLOAT.fullmatch(text) if len(text) <= 40 else None
    if not found or not (found[2] or found[3]) or (found[3] is None and b"." not in text and not found[4]):
        return None
    fraction = found[3] or b""
    digits = ((found[2] or b"") + fraction).rstrip(b"0")
    power = int(found[4] or 0) - len(fraction) + len((found[2] or b"") + fraction) - len(digits)
    if digits.strip(b"0") == b"":
        return 0
    number = int(digits) * 10 ** power if 0 <= power < 40 else 1 << 54
    return (-number if found[1] == b"-" else number) if number <= 1 << 53 else None


def whole_or_names(texts):
    """Whole numbers, if all are; else names, to the byte."""
    numbers = []
    for text in texts:
        number = whole_of(text)
        if number is None:
            return np.array(texts, dtype=object)
        numbers.append(number)
    return whole_numbers(numbers)


def whole_numbers(numbers):
    """Python's numbers as int64, or as uint64 where one is too large for that."""
    return np.array(numbers, dtype=np.uint64 if max(numbers, default=0) >= 1 << 63 else np.int64)


def column_of_table(path, what, column, rows):
    """A column's fields as bytes; rows: how many there are, if known: of one record more the first is a heading."""
    with reading(what, path), open(path, encoding="utf-8-sig", errors="surrogateescape", newline="") as f:
        records = list(csv.reader(f, delimiter="\t" if ends(path, ".tsv") else ","))
    first = records[0] if records else []
    has_heading = column in first if rows is None else len(records) == rows + 1
    number = first.index(column) if has_heading and column in first else int(column) - 1 if column and column.isdecimal() else \
        None if column else 0
    records = records[1:] if has_heading else records
    if number is None or number < 0 or any(len(record) <= number for record in records):
        raise data(f"{what} '{path}': no column '{column}'")
    return [record[number].encode("utf-8", "surrogateescape") for record in records]


def lines_of_text(path, what):
    with reading(what, path), open(path, "rb") as f:
        whole = f.read()
    whole = whole[3:] if whole.startswith(b"\xef\xbb\xbf") else whole
    lines = whole.split(b"\n")
    return [line[:-1] if line.endswith(b"\r") else line for line in (lines if lines[-1] else lines[:-1])]


def no_number(name):
    raise ValueError(name)


def value_of_json(path, what, number, line):
    if number == 1 and line[:1] in ("[", b"["):
        raise data(f"{what} '{path}': line 1: begins one JSON array, needs an object a line: jq -c '.[]' FILE.json >FILE.jsonl makes that of it")
    try:
        return json.loads(line, parse_constant=no_number)
    except (ValueError, RecursionError):
        raise data(f"{what} '{path}': line {number}: is no JSON: needs a whole object a line") from None


def text_of_json(path, what, number, value, fields=()):
    """What a line of JSON has in the first of these fields that is there, as a text; without fields the line is a value itself."""
    def refuse(why):
        return data(f"{what} '{path}': line {number}: {why}")
    listed = ", ".join(value) or "none" if isinstance(value, dict) else ""
    if listed and not fields:
        raise data(f"{what} '{path}': its lines are objects: choose a field of them as {path}:FIELD; line {number} has: {listed}")
    if fields:
        name = next((field for field in fields if listed and field in value), None)
        if name is None:
            wanted = " or ".join(f"'{field}'" for field in fields)
            raise refuse(f"has no field {wanted}; it has: {listed}" if listed else f"is no object, needs one with the field {wanted}")
        value = value[name]
    if isinstance(value, float) and value.is_integer() and abs(value) <= 1 << 53:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, (str, int)) or value == "":
        raise refuse(f"'{name}' is {json.dumps(value)[:40]}: needs a string or a whole number" if fields else "needs a string or a whole number")
    return str(value)


def column_of_json(path, what, field):
    """A field of each line, as bytes."""
    lines = lines_of_text(path, what)
    texts = [text_of_json(path, what, number, value_of_json(path, what, number, line), [field] if field else ()) for number, line in enumerate(lines, 1)]
    with reading(what, path):
        return [text.encode() for text in texts]


def read_side_file(path, column, what, rows):
    """One value a row, of a .npy or IDX file, of a text with one a line, of a column of a table, or of a field of lines of JSON: numbers, or
    names as bytes."""
    begin = first_bytes(path, what)
    if begin.startswith(b"\x93NUMPY"):
        array = Npy(path, what)
        values, shape = np.ravel(array[:]), array.shape
        array.close()
        if values.size != max(shape, default=1):
            raise data(f"{what} '{path}': an array of {' x '.join(map(str, shape))} values, needs one a row: are these embeddings?")
        if values.dtype.kind not in "iufb":
            raise data(f"{what} '{path}': its values are no numbers")
        return values
    if begin.startswith((b"\0\0\x08\x01", b"\x1f\x8b")):
        return np.ravel(read_idx(path, what))
    if ends(path, JSON):
        return whole_or_names(column_of_json(path, what, column))
    texts = column_of_table(path, what, column, rows) if ends(path, TABLES) else lines_of_text(path, what)
    return whole_or_names(texts)


# ---- a store ----


class File:
    """One of a store's files. rows: None where only the program can say; data: what its rows are in."""

    def __init__(self, path, group):
        self.path, self.group, self.hdf5, self.data, self.rows = path, group, None, None, None

    def look(self, what, embeddings):
        begin = first_bytes(self.path, what)
        if begin.startswith(b"\x93NUMPY"):
            self.data = Npy(self.path, what)
        elif begin.startswith(b"\x89HDF") or self.path.endswith((".h5", ".hdf5")) or h5py.is_hdf5(self.path):
            self.hdf5 = open_hdf5(self.path, what)
            self.data = find_dataset(self.hdf5, embeddings, DATASETS["embeddings"], what, self.path)
        else:
            return
        if self.data is None or self.data.ndim < 2:
            raise data(f"{what} '{self.path}': no dataset of embeddings (name it: --embeddings PATH)")
        shape = self.data.shape
        # Of three dimensions the first may be 1 and count for nothing.
        self.rows = shape[1] if len(shape) >= 3 and shape[0] == 1 else shape[0]
        self.dim = int(np.prod(shape, dtype=object)) // max(1, self.rows)

    def close(self):
        for opened in (self.hdf5, self.data if isinstance(self.data, Npy) else None):
            if opened is not None:
                opened.close()


class Store:
    """The files of a set of rows: their labels and ids, and single rows.

    paths -- files or folders
    labels, ids -- names of datasets, or files; one for all, or a list with one for each path
    or_usual -- a file that has no dataset of that name may have it under a usual one
    """

    def __init__(self, paths, what="store", embeddings=None, labels=None, ids=None, or_usual=()):
        self.what, self.path, self.or_usual = what, paths[0], or_usual
        self.files = [File(file, group) for group, path in enumerate(paths) for file in files_of(path, what)]
        self.named = {name: self.each(name, given, len(paths)) for name, given in (("labels", labels), ("ids", ids))}
        try:
            for file in self.files:
                file.look(what, embeddings)
        except BaseException:
            self.close()
            raise
        self.known = {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        for file in self.files:
            file.close()

    def each(self, name, given, paths):
        """Of each path the dataset or file; one that is for all stands once."""
        given = list(given) if given and not isinstance(given, str) else [given or None]
        if len(given) not in (1, paths):
            raise usage(f"{name} are given {len(given)} times, for {paths} paths")
        return given

    @property
    def rows(self):
        """None where only the program can say."""
        return sum(file.rows for file in self.files) if all(file.rows is not None for file in self.files) else None

    @property
    def dim(self):
        return self.files[0].dim if self.files[0].rows is not None else None

    # ---- labels and ids

    def dataset(self, file, name):
        """Where a file has its labels, or ids; None where it has none."""
        if file.hdf5 is None:
            return None
        named = self.named[name]
        given = named[file.group if len(named) > 1 else 0]
        if given and name in self.or_usual and given not in file.hdf5:
            given = None
        return find_dataset(file.hdf5, given, DATASETS[name], self.what, file.path)

    def values(self, name):
        """Labels or ids, one a row: an array of numbers, or of names as bytes. None where there are none, or only the program reads them."""
        if name not in self.known:
            self.known[name] = self.read(name)
        return self.known[name]

    def read(self, name):
        named = self.named[name]
        sides = [side_file(given) for given in named]
        if len(named) == 1 and sides[0]:
            return self.counted(name, read_side_file(*sides[0], name, self.rows), self.rows)
        parts = []
        for group, side in enumerate(sides):
            files = [file for file in self.files if len(named) == 1 or file.group == group]
            if side:
                counts = [file.rows for file in files]
                rows = None if None in counts else sum(counts)
                parts.append(self.counted(name, read_side_file(*side, name, rows), rows))
                continue
            for file in files:
                dataset = self.dataset(file, name)
                if dataset is None or (name == "ids" and not are_ids(dataset, file.rows)):
                    return None
                with reading(self.what, file.path):
                    parts.append(self.counted(name, values_of(dataset), file.rows))
        return joined(parts)

    def counted(self, name, values, rows):
        if rows is not None and len(values) != rows:
            raise data(f"{self.what} '{self.path}': {len(values)} {name} for {rows} rows")
        return values

    def has_ids(self):
        """Without reading them, unless they are in files of their own."""
        if any(side_file(given) for given in self.named["ids"]):
            return self.values("ids") is not None
        return all(are_ids(self.dataset(file, "ids"), file.rows) for file in self.files)

    def id(self, number):
        """That of one row: a number, or bytes or a text."""
        if any(side_file(given) for given in self.named["ids"]):
            return self.values("ids")[number]
        file, number = self.place(number)
        with reading(self.what, file.path):
            return self.dataset(file, "ids")[number]

    # ---- rows

    def place(self, number):
        """Which file a row is in, and its number there."""
        for file in self.files:
            if number < file.rows:
                return file, number
            number -= file.rows
        raise IndexError(number)

    def row(self, number):
        """One row's values, as float64."""
        file, number = self.place(number)
        with reading(self.what, file.path):
            one = file.data.ndim >= 3 and file.data.shape[0] == 1
            values = file.data[0][number] if one and isinstance(file.data, Npy) else file.data[0, number] if one else file.data[number]
            return np.asarray(values, np.float64).reshape(-1)


def joined(parts):
    """Values of several files as one array: of numbers, or, if some are names, all as names."""
    if any(part.dtype.kind == "O" for part in parts):
        return np.concatenate([part if part.dtype.kind == "O" else np.array([str(v).encode() for v in part.tolist()], dtype=object)
                               for part in parts])
    if len({part.dtype for part in parts}) > 1 and all(part.dtype.kind in "iu" for part in parts):  # numpy would make floats of int64 and uint64
        large = max((int(part.max()) for part in parts if len(part)), default=0) >= 1 << 63
        parts = [part.astype(np.uint64 if large else np.int64) for part in parts]
    return np.concatenate(parts)


def are_ids(dataset, rows):
    """One for each row, of numbers or texts; others are left aside."""
    return dataset is not None and dataset.shape == (rows,) and dataset.dtype.kind in "iuOS"


def queries_of(paths, embeddings, labels, ids, own_labels, own_ids):
    """A Store of queries, which have their labels and ids where the store has them or under a usual name, unless their own are named."""
    def inherited(given):
        given = list(given) if given and not isinstance(given, str) else [given or None]
        return given[0] if len(given) == 1 and not side_file(given[0]) else None
    return Store(paths, "queries", embeddings, own_labels or inherited(labels), own_ids or inherited(ids),
                 [name for name, own in (("labels", own_labels), ("ids", own_ids)) if not own])


class Rows:
    """What is known of the rows of a set besides their embeddings: ids and labels, given, or read from a store when they are asked for."""

    def __init__(self, store=None, ids=None, labels=None):
        """store: a function that opens one."""
        self._store = store
        self._known = {} if store else {"ids": given_array(ids), "labels": given_array(labels)}

    def get(self, name):
        """One value a row, texts as str; None where there are none, or only the program can read them."""
        if name not in self._known:
            with self._store() as store:
                values = store.values(name)
            self._known[name] = values if values is None or values.dtype.kind != "O" else \
                np.array([v.decode("utf-8", "replace") for v in values], dtype=object)
        return self._known[name]


def given_array(values):
    return None if values is None else as_array(values)
