"""What the page is made of: results and stores, gone through in pieces.

A result may be larger than memory, so it is gone through a few times, a piece at a time. Of a store only the labels are
read as a whole, and the few rows that are shown. Which files and datasets there are is known to result.py and rows.py.
"""
import contextlib
import json
import os

import numpy as np

from . import result
from .errors import data, error
from .reading import Lines, open_hdf5, reading, text_of
from .report_svg import picture, printable
from .rows import JSON, ends, split_column

PIECE = 1 << 21  # triplets that are in memory at a time
LONGEST = 60  # characters of a name that are shown


def visible(name, longest=LONGEST):
    """A name as the page shows it: what can't be seen, or turns the writing round, as its code; long ones cut."""
    text = printable(name[:longest + 1])
    return text if len(text) <= longest else text[:longest - 1] + "…"


def read_json(path, what):
    try:
        with open(path, encoding="utf-8") as f:
            value = json.load(f)
    except FileNotFoundError:
        raise error(66, f"{what} '{path}': no such file") from None
    except PermissionError:
        raise error(77, f"{what} '{path}': permission denied") from None
    except (OSError, ValueError, RecursionError) as e:
        raise data(f"{what} '{path}': not the JSON of trimine's --json ({e})") from None
    if not isinstance(value, dict) or value.get("program") != "trimine":
        raise data(f"{what} '{path}': not the JSON of trimine's --json")
    return value


# ---- results ----


class Result(result.Result):
    """A result whose file stays open, so that its datasets can be gone through in pieces."""

    def __init__(self, path):
        self.file = open_hdf5(path, "result")
        super().__init__(path)
        self.rows, self.anchor_rows, self.dim, self.two_sets = self._store_rows, self._anchor_rows, self._dim, self._is_of_queries
        self.metric = str(self.attributes.get("metric", ""))

    @contextlib.contextmanager
    def _opened(self):
        with reading("result", self.path):
            yield self.file

    @property
    def options(self):
        return self._options

    def dataset(self, name):
        """By the name that a Result has for it."""
        with self._opened() as f:
            return self._dataset(f, name)

    def gradients(self):
        """The datasets of gradients by the name of their set."""
        with self._opened() as f:
            return self._gradients(f)


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
        self.lists = result.form == "lists"
        self.columns = {name: result.dataset(name) for name in ("anchor", "positive", "negative", "d_ap", "d_an")}
        self.kind = None if self.lists else result.dataset("kind")
        self.lines = self.columns["anchor"].shape[0]
        self.width = self.columns["negative"].shape[1] if self.lists else 1

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
                raise data(f"result '{self.result.path}': dataset '{name}' has a row id outside the store's {rows} rows")
        for name in ("d_ap", "d_an"):
            if not np.isfinite(column[name]).all():
                raise data(f"result '{self.result.path}': dataset '{name}' has a distance that is not finite")


# ---- what a row is called ----


class Labels:
    """A code for each row, and a name for each code, in bytes. Numbers are named as they are written."""

    def __init__(self, codes, names):
        self.codes, self.names = codes, names  # of each row; of each code
        self.shown = [visible(text_of(name)) for name in names]
        self.sizes = np.bincount(codes, minlength=len(names))

    @classmethod
    def of(cls, values):
        """Of numbers, or of names as bytes."""
        if values.dtype.kind != "O":
            found, codes = np.unique(values.astype(np.int64) if values.dtype.kind == "f" else values, return_inverse=True)
            return cls(codes.reshape(-1).astype(np.int32), [str(v).encode() for v in found.tolist()])
        place = {}
        codes = np.fromiter((place.setdefault(v, len(place)) for v in values), np.int32, len(values))
        names = sorted(place)
        return cls(cls.places(place, {name: code for code, name in enumerate(names)})[codes], names)

    @staticmethod
    def places(names, of):
        """Of each of some names its code."""
        return np.array([of[name] for name in names], np.int32)

    def by(self, names):
        """The same labels, with the codes that names gives them."""
        return Labels(self.places(self.names, {name: code for code, name in enumerate(names)})[self.codes], names)


class Texts:
    """A text for each row, a line each; where the file's name is one of lines of JSON, a JSON string or an object's field each."""

    def __init__(self, given, rows):
        path, _, field = split_column(given)
        path, self.field = (path, field) if ends(path, JSON) and not os.path.exists(given) else (given, None)
        self.path, self.json = path, ends(path, JSON)
        self.lines = Lines(path, "texts")
        if len(self.lines) != rows:
            raise data(f"texts '{path}': {len(self.lines)} lines for {rows} rows")

    def get(self, row):
        line = text_of(self.lines.get(row)).rstrip("\r")
        if row == 0:
            line = line[line.startswith("\ufeff"):]  # the mark of UTF-8 that some editors begin a text with
        if not self.json:
            return line
        try:
            text = json.loads(line)
        except (ValueError, RecursionError):
            text = None
        title, read = "", text
        if self.field is not None:
            text = text.get(self.field) if isinstance(text, dict) else None
        elif isinstance(text, dict):  # as corpora have them
            title, text = text.get("title"), text.get("text")
        if not isinstance(text, str):
            none = "no JSON string, and no object with a string \"text\"" if self.field is None else f"no object with a string \"{self.field}\""
            has = f"; it has: {self.fields_of(read)}" if isinstance(read, dict) else ""
            raise data(f"texts '{self.path}': line {row + 1} is {none}{has}")
        return f"{title} {text}" if isinstance(title, str) and title else text

    @staticmethod
    def fields_of(read, most=8):
        names = list(map(visible, list(read)[:most]))
        return ", ".join(names + ["..."] * (len(read) > most)) or "none"


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
        return visible(text_of(self.ids.id(row)))

    def text(self, row):
        return visible(" ".join(self.texts.get(row).split()), self.LONGEST_TEXT) if self.texts else None

    def picture(self, row):
        """An <img>, or nothing."""
        found = self.pictures.get(row) if self.pictures else None
        return picture(found[0], found[1], ", ".join(filter(None, [f"row {row}", self.name(row)]))) if found else ""

