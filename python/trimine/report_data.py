"""What the page is made of: results and stores, read in pieces.

A result may be larger than memory, so it is gone through a few times, a piece at a time. Of a store only the labels are
read as a whole, and the few rows that are shown.
"""
import contextlib
import csv
import json
import os

import h5py
import numpy as np

from .report_svg import picture

PIECE = 1 << 21  # triplets that are in memory at a time
# The names by which the program finds a store's datasets.
EMBEDDINGS = ("embeddings", "features", "X", "train", "emb", "vectors", "descriptors")
OTHERS = (".fvecs", ".bvecs", ".ivecs", ".fbin", ".fp16bin", ".u8bin", ".i8bin", ".ibin", ".gz", "-ubyte")  # formats that the program reads besides
LABELS = ("labels", "targets", "y", "classes")
IDS = ("ids",)


class ReportError(Exception):
    """A reason why there is no page, with the exit code that says of what kind it is."""

    def __init__(self, code, text):
        super().__init__(text)
        self.code = code


@contextlib.contextmanager
def reading(what, path):
    """What h5py and numpy raise on a damaged file, as a fault of the file."""
    try:
        yield
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, OverflowError) as e:
        raise ReportError(65, f"{what} '{path}': can't be read: it is damaged ({text_of(e).splitlines()[0] if str(e) else type(e).__name__})") from None


def text_of(value):
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


LONGEST = 60  # characters of a name that are shown


def visible(name, longest=LONGEST):
    """A name as the page shows it: what can't be seen, or turns the writing round, as its code; long ones cut."""
    text = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in name[:longest + 1])
    return text if len(text) <= longest else text[:longest - 1] + "…"


def open_hdf5(path, what):
    if not os.path.exists(path):
        raise ReportError(66, f"{what} '{path}': no such file")
    if not os.path.isfile(path):
        raise ReportError(65, f"{what} '{path}': not a file")
    try:
        return h5py.File(path, "r")
    except PermissionError:
        raise ReportError(77, f"{what} '{path}': permission denied") from None
    except OSError as e:
        raise ReportError(65, f"{what} '{path}': not an HDF5 file that can be read ({text_of(e).splitlines()[0]})") from None


def read_json(path, what):
    try:
        with open(path, encoding="utf-8") as f:
            value = json.load(f)
    except FileNotFoundError:
        raise ReportError(66, f"{what} '{path}': no such file") from None
    except PermissionError:
        raise ReportError(77, f"{what} '{path}': permission denied") from None
    except (OSError, ValueError, RecursionError) as e:
        raise ReportError(65, f"{what} '{path}': not the JSON of trimine's --json ({e})") from None
    if not isinstance(value, dict) or value.get("program") != "trimine":
        raise ReportError(65, f"{what} '{path}': not the JSON of trimine's --json")
    return value


# ---- results ----


class Result:
    """A result file: what it says of itself, and its datasets."""

    def __init__(self, path):
        self.path = path
        self.file = open_hdf5(path, "result")
        with reading("result", path):
            self.attrs = {name: text_of(value) if isinstance(value, (bytes, str)) else value for name, value in self.file.attrs.items()}
            self.read_attributes()

    def read_attributes(self):
        path, attrs = self.path, self.attrs
        self.format = str(attrs.get("format", ""))
        if not self.format.startswith("trimine-"):
            raise ReportError(65, f"result '{path}': not a result of trimine (it has no attribute 'format')")
        if int(attrs.get("complete", 0)) != 1:
            raise ReportError(65, f"result '{path}': not complete")
        try:
            self.options = json.loads(attrs.get("options", "{}"))
        except ValueError:
            self.options = None
        if not isinstance(self.options, dict):
            raise ReportError(65, f"result '{path}': attribute 'options' is not a JSON object")
        self.rows = int(attrs.get("store_rows", attrs.get("batch", 0)))  # batch: of packed triplets
        self.dim = int(attrs.get("store_dim", attrs.get("dim", 0)))
        self.anchor_rows = int(attrs.get("queries_rows", self.rows))
        self.two_sets = "queries_rows" in attrs
        self.metric = str(attrs.get("metric", ""))
        if not (0 <= self.rows < 1 << 40 and 0 <= self.anchor_rows < 1 << 40):
            raise ReportError(65, f"result '{path}': attribute 'store_rows' is no number of rows")

    def dataset(self, name, axes, group=None, whole=False):
        """A dataset of so many axes, of integers or, unless they must be whole, floats; else the file is damaged."""
        with reading("result", self.path):
            found = (group or self.file).get(name)
        if not isinstance(found, h5py.Dataset) or found.ndim != axes or found.dtype.kind not in ("iu" if whole else "iuf"):
            raise ReportError(65, f"result '{self.path}': no dataset '{name}' of {axes} axes")
        return found


class Piece:
    """Some triplets, as columns of one length. lone: no positive, so no d_ap."""

    def __init__(self, anchor, positive, negative, d_ap, d_an, fallback):
        self.anchor, self.positive, self.negative = anchor, positive, negative
        self.d_ap, self.d_an, self.fallback = d_ap, d_an, fallback
        self.gap = d_an - d_ap


class Triplets:
    """The triplets of a result of mine, in either form."""

    def __init__(self, result):
        self.result = result
        self.lists = result.format == "trimine-lists"
        with reading("result", result.path):
            group = result.file.get("lists" if self.lists else "triplets")
        if not isinstance(group, h5py.Group):
            raise ReportError(65, f"result '{result.path}': no group of triplets")
        wide = 2 if self.lists else 1
        self.columns = {name: result.dataset(name, axes, group, not name.startswith("d_")) for name, axes in
                        (("anchor", 1), ("positive", 1), ("negative", wide), ("d_ap", 1), ("d_an", wide))}
        self.kind = None if self.lists else result.dataset("kind", 1, group)
        self.lines = self.columns["anchor"].shape[0]
        self.width = self.columns["negative"].shape[1] if self.lists else 1
        if self.kind is not None and self.kind.shape != (self.lines,):
            raise ReportError(65, f"result '{result.path}': dataset 'kind' is not as long as 'anchor'")
        for name, column in self.columns.items():
            if column.shape != ((self.lines, self.width) if self.lists and name in ("negative", "d_an") else (self.lines,)):
                raise ReportError(65, f"result '{result.path}': dataset '{name}' is not as long as 'anchor'")

    def pieces(self):
        """All triplets, a piece at a time; row ids are checked."""
        step = max(1, PIECE // max(1, self.width))
        for first in range(0, self.lines, step):
            part = slice(first, min(self.lines, first + step))
            with reading("result", self.result.path):
                column = {name: data[part] for name, data in self.columns.items()}
                kind = self.kind[part] if self.kind is not None else None
            if self.lists:
                there = column["negative"] >= 0  # a line that came short ends with -1
                for name in ("anchor", "positive", "d_ap"):
                    column[name] = np.broadcast_to(column[name][:, None], there.shape)[there]
                for name in ("negative", "d_an"):
                    column[name] = column[name][there]
            fallback = kind != 0 if kind is not None else np.zeros(len(column["anchor"]), bool)
            self.check(column)
            yield Piece(fallback=fallback, **column)

    def check(self, column):
        for name, rows, least in (("anchor", self.result.anchor_rows, 0), ("positive", self.result.rows, -1),
                                  ("negative", self.result.rows, 0)):
            ids = column[name]
            if len(ids) and not (least <= ids.min() and ids.max() < rows):
                raise ReportError(65, f"result '{self.result.path}': dataset '{name}' has a row id outside the store's {rows} rows")
        for name in ("d_ap", "d_an"):
            if not np.isfinite(column[name]).all():
                raise ReportError(65, f"result '{self.result.path}': dataset '{name}' has a distance that is not finite")


# ---- stores ----


class Labels:
    """A code for each row, and a name for each code. Numbers are named as they are written."""

    def __init__(self, codes, names):
        self.codes, self.names = codes, names  # of each row; of each code
        self.shown = [visible(name) for name in names]
        self.sizes = np.bincount(codes, minlength=len(names))

    @classmethod
    def of(cls, values):
        found, codes = np.unique(values, return_inverse=True)
        return cls(codes.reshape(-1).astype(np.int32), [text_of(v) for v in found.tolist()])


def natural(path):
    """shard-2 before shard-10, as the program sorts a folder's files."""
    import re
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", os.path.basename(path)) if part]


def files_of(paths, what):
    files = []
    for path in paths:
        if os.path.isdir(path):
            inside = sorted((os.path.join(path, name) for name in os.listdir(path)
                             if name.endswith((".h5", ".hdf5")) and not name.startswith(".")), key=natural)
            if not inside:
                raise ReportError(66, f"{what} '{path}': no HDF5 files in this folder")
            files += inside
        else:
            files.append(path)
    return files


def find_dataset(file, given, names, what, path):
    """The dataset of that path, or the one that has a usual name; None where there is none."""
    if given:
        found = file.get(given)
        if not isinstance(found, h5py.Dataset):
            raise ReportError(65, f"{what} '{path}': no dataset '{given}'")
        return found
    there = [name for name in names if isinstance(file.get(name), h5py.Dataset)]
    if len(there) > 1:
        raise ReportError(65, f"{what} '{path}': {' and '.join(there)} could both be meant")
    return file[there[0]] if there else None


def label_file_of(given):
    """(path, column), where labels are in a file of their own; else None."""
    path, column = given or "", ""
    if not os.path.isfile(path) and ":" in path:
        path, _, column = path.rpartition(":")
    return (path, column) if os.path.isfile(path) else None


def whole_or_names(texts):
    """Whole numbers, if all are; else names."""
    try:
        values = [float(text) for text in texts]
        if all(value.is_integer() for value in values):
            return np.array([int(value) for value in values])
    except ValueError:
        pass
    return np.array(texts)


class Store:
    """A store's files: labels, and rows where they are asked for."""

    def __init__(self, paths, what, embeddings=None, labels=None, ids=None):
        self.what, self.path = what, paths[0]
        self.parts, self.id_parts, values = [], [], []
        label_file = label_file_of(labels)
        for path in files_of(paths, what):
            with reading(what, path):
                label = self.open_part(path, embeddings, labels, ids, label_file is None)
            if label is not None:
                values.append(label)
        # Of three dimensions the first may be 1 and count for nothing.
        self.counts = [part.shape[0] if len(part.shape) < 3 or part.shape[0] != 1 else part.shape[1] for part in self.parts]
        self.rows = sum(self.counts)
        self.dim = int(np.prod(self.parts[0].shape)) // max(1, self.counts[0])
        if label_file:
            values = [self.read_label_file(*label_file)]
        self.labels = None
        if values and sum(len(v) for v in values) == self.rows:
            self.labels = Labels.of(np.concatenate(values))
        elif values:
            raise ReportError(65, f"{what} '{self.path}': {sum(len(v) for v in values)} labels for {self.rows} rows")

    @property
    def ids(self):
        """The datasets of ids, where all files have one for each row, of numbers or strings; else None."""
        good = len(self.id_parts) == len(self.parts) and all(part is not None and part.shape == (rows,) and part.dtype.kind in "iuOS"
                                                             for part, rows in zip(self.id_parts, self.counts))
        return self.id_parts if good else None

    def open_part(self, path, embeddings, labels, ids, inside):
        """Adds a file's embeddings and ids; its labels, where they are inside."""
        if path.endswith(".npy"):
            data, label = self.open_npy(path), None
            self.id_parts.append(None)
        else:
            if path.endswith(OTHERS):
                raise ReportError(65, f"{self.what} '{path}': a page reads HDF5 and .npy only")
            file = open_hdf5(path, self.what)
            data = find_dataset(file, embeddings, EMBEDDINGS, self.what, path)
            label = find_dataset(file, labels, LABELS, self.what, path) if inside else None
            named = ids if self.what == "store" or (ids and ids in file) else None  # queries may have theirs elsewhere
            self.id_parts.append(find_dataset(file, named, IDS, self.what, path))
        if data is None or data.ndim < 2:
            raise ReportError(65, f"{self.what} '{path}': no dataset of embeddings (name it: --embeddings PATH)")
        self.parts.append(data)
        return self.label_values(label) if label is not None else None

    def open_npy(self, path):
        try:
            return np.load(path, mmap_mode="r", allow_pickle=False)
        except FileNotFoundError:
            raise ReportError(66, f"{self.what} '{path}': no such file") from None
        except (OSError, ValueError) as e:
            raise ReportError(65, f"{self.what} '{path}': not a .npy file that can be read ({e})") from None

    def label_values(self, dataset):
        """One value a row: numbers, or names as text."""
        enum = h5py.check_enum_dtype(dataset.dtype)
        values = dataset[()].reshape(-1)
        if enum:
            names = {number: name for name, number in enum.items()}
            return np.array([names.get(v, str(v)) for v in values.tolist()], dtype=object).astype(str)
        if dataset.dtype.kind in "iub":
            return values
        if dataset.dtype.kind == "f":
            return values.astype(np.int64)
        return np.array([text_of(v) for v in values.tolist()])

    def read_label_file(self, path, column):
        """Labels beside the store: a .npy file, text with one a line, or a column of a table."""
        if path.endswith(".npy"):
            return np.asarray(self.open_npy(path)).reshape(-1).astype(np.int64)
        with reading("labels", path), open(path, encoding="utf-8", errors="replace", newline="") as f:
            if not path.endswith((".csv", ".tsv")):
                return whole_or_names(f.read().splitlines())
            records = list(csv.reader(f, delimiter="\t" if path.endswith(".tsv") else ","))
        heading = records.pop(0) if len(records) == self.rows + 1 else []
        number = heading.index(column) if column in heading else int(column) - 1 if column.isdigit() else 0 if not column else None
        if number is None or any(len(record) <= number for record in records):
            raise ReportError(65, f"labels '{path}': no column '{column}'")
        return whole_or_names([record[number] for record in records])

    def place(self, number):
        """Which file a row is in, and its number there."""
        for place, count in enumerate(self.counts):
            if number < count:
                return place, number
            number -= count
        raise IndexError(number)

    def row(self, number):
        """One row's values, as float64."""
        place, number = self.place(number)
        part = self.parts[place]
        with reading(self.what, self.path):
            values = part[0, number] if len(part.shape) >= 3 and part.shape[0] == 1 else part[number]
            return np.asarray(values, np.float64).reshape(-1)

    def id(self, number):
        place, number = self.place(number)
        with reading(self.what, self.path):
            return visible(text_of(self.ids[place][number]))


# ---- what a row is called ----


class Texts:
    """A text for each row, a line each; where the file ends with .jsonl or .json, a JSON string each."""

    def __init__(self, path, rows):
        self.path, self.json = path, path.endswith((".jsonl", ".json"))
        try:
            self.bytes = np.memmap(path, np.uint8, "r") if os.path.getsize(path) else np.empty(0, np.uint8)
        except FileNotFoundError:
            raise ReportError(66, f"texts '{path}': no such file") from None
        except PermissionError:
            raise ReportError(77, f"texts '{path}': permission denied") from None
        except (OSError, ValueError) as e:
            raise ReportError(65, f"texts '{path}': can't be read ({e})") from None
        ends = [first + np.flatnonzero(self.bytes[first:first + PIECE] == ord("\n")) for first in range(0, len(self.bytes), PIECE)]
        if len(self.bytes) and self.bytes[-1] != ord("\n"):
            ends.append([len(self.bytes)])
        self.ends = np.concatenate([[-1], *ends]).astype(np.int64)
        if len(self.ends) - 1 != rows:
            raise ReportError(65, f"texts '{path}': {len(self.ends) - 1} lines for {rows} rows")

    def get(self, row):
        line = bytes(self.bytes[self.ends[row] + 1:self.ends[row + 1]]).decode("utf-8", "replace").rstrip("\r")
        if not self.json:
            return line
        try:
            text = json.loads(line)
        except (ValueError, RecursionError):
            text = None
        title = ""
        if isinstance(text, dict):  # as corpora have them
            title, text = text.get("title"), text.get("text")
        if not isinstance(text, str):
            raise ReportError(65, f"texts '{self.path}': line {row + 1} is no JSON string, and no object with a \"text\"")
        return f"{title} {text}" if isinstance(title, str) and title else text


class Rows:
    """What is known of the rows of a set, of the store or of queries, besides their numbers: each may be None."""

    LONGEST_TEXT = 240

    def __init__(self, labels, ids, texts, pictures):
        self.labels, self.ids, self.texts, self.pictures = labels, ids, texts, pictures

    @property
    def has_pictures(self):
        return self.pictures is not None

    def name(self, row):
        return self.labels.shown[self.labels.codes[row]] if self.labels else None

    def id(self, row):
        return self.ids.id(row)

    def text(self, row):
        return visible(" ".join(self.texts.get(row).split()), self.LONGEST_TEXT) if self.texts else None

    def picture(self, row):
        """An <img>, or nothing."""
        found = self.pictures.get(row) if self.pictures else None
        return picture(found[0], found[1], ", ".join(filter(None, [f"row {row}", self.name(row)]))) if found else ""

