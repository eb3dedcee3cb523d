"""Reads what trimine has written: triplets, lists, neighbours, pairs, ranks, gradients."""
import json
import os

import h5py
import numpy as np

from . import program
from .errors import TrimineError, usage
from .store import as_array, paths_of, texts

# What a file of each format is called, and has by the names that a Result has for it.
FORMATS = {
    "trimine-triplets": ("triplets", {name: f"triplets/{name}" for name in (
        "anchor", "positive", "negative", "d_ap", "d_an", "kind", "rank", "anchor_start", "batch")}),
    "trimine-lists": ("lists", {name: f"lists/{name}" for name in ("anchor", "positive", "negative", "d_ap", "d_an", "batch")}),
    "trimine-knn": ("knn", {name: name for name in ("neighbors", "distances")}),
    "trimine-radius": ("radius", {**{name: f"pairs/{name}" for name in ("a", "b", "distance")},
                                  **{name: name for name in ("degree", "isolated", "group")}}),
    "trimine-eval": ("ranks", {"start": "queries/start", **{name: f"relevant/{name}" for name in (
        "row", "rank", "rank_low", "rank_high", "distance")}}),
    "trimine-gradient": ("gradient", {}),
}


class Rows:
    """What is known of the rows of a store, or of queries, besides their embeddings: ids and labels."""

    def __init__(self, paths=(), options=(), ids=None, labels=None):
        self.paths, self.options = list(paths), list(options)
        self._known = {} if self.paths else {"ids": self._array(ids), "labels": self._array(labels)}

    @staticmethod
    def _array(values):
        return None if values is None else as_array(values)

    def get(self, name):
        """One value a row, or None where there are none. Where they are in the files is for the program to say."""
        if not self._known:
            self._known = {"ids": None, "labels": None}
            files = program.run(["info", *self.options, "--", *self.paths])["files"]
            for what in self._known:
                self._known[what] = self._read(files, [file.get(what) or {} for file in files])
        return self._known[name]

    @staticmethod
    def _read(files, found):
        """Of datasets of HDF5, or of .npy files for their rows; None of other formats, which only the program reads."""
        beside = [there.get("file") for there in found]
        if any(beside):
            if not all(beside) or any(there["dataset"] != "npy" for there in found):
                return None
            parts = [np.ravel(np.load(path, allow_pickle=False)) for path in beside]
            rows = [file["rows"] for file in files]
            return parts[0] if len(parts[0]) == sum(rows) else np.concatenate(parts) if rows == list(map(len, parts)) else None
        parts = []
        for file, there in zip(files, found):
            if not there.get("dataset") or not h5py.is_hdf5(file["path"]):
                return None
            with h5py.File(file["path"], "r") as f:
                parts.append(np.ravel(texts(f[there["dataset"]])))
        return np.concatenate(parts)


class Result:
    """A result file of trimine, its arrays by name, and the program's report where this package ran it.

    form -- "triplets", "lists", "knn", "radius", "ranks" or "gradient"; None where no file was written
    report -- what the program reported (a dict), or None
    path -- the file, or None where it was a temporary one: then everything is in memory

    Arrays are attributes, all by row ids:
      triplets: anchor, positive, negative, d_ap, d_an, kind (1: fallback), rank, anchor_start; in batches batch
      lists: anchor, positive, negative (A x K, -1: none), d_ap, d_an (A x K)
      knn: neighbors, distances (rows x K); -1 and infinity where a list comes short
      radius: a, b, distance, degree, isolated, group
      ranks: start, row, rank, rank_low, rank_high, distance
      any, with gradient=True: gradient, or with queries gradients of queries and store in a dict
    They are read when they are first asked for.
    """

    def __init__(self, path=None, report=None, rows=None, queries=None):
        self.path, self.report, self.form = path, report, None
        self.attributes, self._places, self._arrays = {}, {}, {}
        self._rows, self._queries, self._names, self._has_gradient = rows, queries, None, False
        if path is not None:
            self._look()

    def _look(self):
        try:
            with h5py.File(self.path, "r") as f:
                self.attributes = {k: v.decode() if isinstance(v, bytes) else v for k, v in f.attrs.items()}
                form = self.attributes.get("format")
                if form not in FORMATS or not self.attributes.get("complete"):
                    raise TrimineError(65, "data", f"'{self.path}': is no finished result of trimine")
                self.form, known = FORMATS[form]
                self._places = {name: place for name, place in known.items() if place in f}
                self._has_gradient = "gradient" in f
                self._names = list(texts(f["label_names"])) if "label_names" in f else None
        except FileNotFoundError:
            raise TrimineError(66, "no_input", f"'{self.path}': No such file") from None
        except OSError as error:
            raise TrimineError(65, "data", f"'{self.path}': {error}") from None

    def load(self):
        """Reads all arrays into memory; gives the result itself."""
        for name in self._places:
            self._array(name)
        if self.path is not None:
            self.gradient
        return self

    def _array(self, name):
        if name not in self._arrays:
            with h5py.File(self.path, "r") as f:
                self._arrays[name] = f[self._places[name]][()]
        return self._arrays[name]

    def _part(self, name, first, last):
        """A slice of an array, without the rest of it where that is not in memory."""
        if name in self._arrays:
            return self._arrays[name][first:last]
        with h5py.File(self.path, "r") as f:
            return f[self._places[name]][first:last]

    def __getattr__(self, name):
        if name.startswith("_"):  # also while it is unpickled, when it has no members yet
            raise AttributeError(name)
        if name in self._places:
            return self._array(name)
        raise AttributeError(f"a result of form {self.form!r} has no '{name}'; it has {', '.join(self.names) or 'no arrays'}")

    def __dir__(self):
        return [*super().__dir__(), *self._places]

    def __repr__(self):
        return f"<trimine {self.form or 'report'}: {self.path or 'in memory'}, {', '.join(self.names) or 'no arrays'}>"

    def __len__(self):
        """Triplets, lines of lists, lists of neighbours, pairs, or queries with their ranks."""
        if self.form is None or not self._places:
            return 0
        if self.form == "ranks":
            return len(self.start) - 1
        name = {"triplets": "anchor", "lists": "anchor", "knn": "neighbors", "radius": "a"}[self.form]
        if name in self._arrays:
            return len(self._arrays[name])
        with h5py.File(self.path, "r") as f:
            return len(f[self._places[name]])

    @property
    def names(self):
        """Names of the arrays."""
        return list(self._places)

    @property
    def gradient(self):
        """Rows x values, float32; of two sets a dict with "queries" and "store"; None where there is none."""
        if "gradient" not in self._arrays:
            found = None
            if self.path is not None and self._has_gradient:
                with h5py.File(self.path, "r") as f:
                    g = f["gradient"]
                    found = {name: g[name][()] for name in g} if isinstance(g, h5py.Group) else g[()]
            self._arrays["gradient"] = found
        return self._arrays["gradient"]

    @property
    def value(self):
        """Of the loss, as its reduction names it; None without a report."""
        return (self.report or {}).get("loss", {}).get("value")

    @property
    def metrics(self):
        """Of evaluate: the metrics of the report."""
        return (self.report or {}).get("metrics")

    @property
    def options(self):
        """What was asked for, as the file (or the report) has it."""
        if "options" in self.attributes:
            return json.loads(self.attributes["options"])
        return (self.report or {}).get("options")

    @property
    def result_hash(self):
        return self.attributes.get("result_hash") or (self.report or {}).get("result_hash")

    # ---- what rows are called

    @property
    def label_names(self):
        """Names of the labels by their numbers, or None where labels are numbers."""
        return self._names

    def _of(self, rows, name):
        return None if rows is None else rows.get(name)

    @property
    def ids(self):
        """The store's own ids, one a row; None where it has none, or is not known: read(path, store=...)."""
        return self._of(self._rows, "ids")

    @property
    def labels(self):
        """The store's labels as they are there, one a row; None as ids."""
        return self._of(self._rows, "labels")

    @property
    def query_ids(self):
        """Those of queries, whose rows anchors are (of radius: a; of knn: the lists)."""
        return self._of(self._queries, "ids")

    @property
    def query_labels(self):
        return self._of(self._queries, "labels")

    # ---- looking at it

    def by_anchor(self, row):
        """What there is of one row: a dict of arrays.

        triplets, lists: positive, negative, d_ap, d_an, ... of the anchor; knn: neighbors and distances, without those
        that are missing; radius: the rows within the radius, and distances; ranks: row, rank, ... of its relevant rows.
        """
        row = self._row(row)
        if self.form == "knn":
            near, distance = self._part("neighbors", row, row + 1)[0], self._part("distances", row, row + 1)[0]
            return {"neighbors": near[near >= 0], "distances": distance[near >= 0]}
        if self.form == "radius":
            first = self.a == row
            second = (self.b == row) & (not self._is_of_queries())
            return {"row": np.concatenate([self.a[second], self.b[first]]),
                    "distance": np.concatenate([self.distance[second], self.distance[first]])}
        names = [name for name in self._places if name not in ("anchor", "anchor_start", "start")]
        if self.form == "ranks":
            first, last = self.start[row:row + 2]
        elif "anchor_start" in self._places:
            first, last = self.anchor_start[row:row + 2]
        elif "batch" in self._places:  # an anchor comes in several batches
            return {name: self._array(name)[self.anchor == row] for name in names}
        else:
            first, last = np.searchsorted(self.anchor, [row, row + 1])
        return {name: self._part(name, int(first), int(last)) for name in names}

    def _is_of_queries(self):
        return "queries_rows" in self.attributes

    def _row(self, row):
        if self.form in (None, "gradient"):
            raise usage(f"{self!r} has nothing of anchors")
        rows = int(self.attributes["queries_rows" if self._is_of_queries() else "store_rows"])
        if not 0 <= row < rows:
            raise IndexError(f"row {row} of {rows}")
        return int(row)

    def distances_by_name(self):
        """All distances of it, in one dimension, by name; of triplets and lists also gap, d_an - d_ap."""
        if self.form == "triplets":
            kept = self.positive >= 0  # --lone: an anchor without a positive
            return {"d_ap": self.d_ap[kept], "d_an": self.d_an, "gap": (self.d_an - self.d_ap)[kept]}
        if self.form == "lists":
            there = self.negative >= 0
            gap = np.where(there, self.d_an, 0.0) - self.d_ap[:, None]
            return {"d_ap": self.d_ap, "d_an": self.d_an[there], "gap": gap[there]}
        if self.form == "knn":
            return {"distances": self.distances[self.neighbors >= 0]}
        if self.form in ("radius", "ranks"):
            return {"distance": self.distance}
        raise usage(f"{self!r} has no distances")

    def quantiles(self, q=(0.0, 0.25, 0.5, 0.75, 1.0)):
        """Of each kind of distance, linear between two values, as numpy has them: a dict of arrays; nan of nothing."""
        return {name: np.quantile(values, q) if len(values) else np.full(np.shape(q), np.nan)
                for name, values in self.distances_by_name().items()}


def read(path, store=None, queries=None):
    """Reads a result file of mine, loss, knn, radius or evaluate: a Result.

    store, queries -- path, or list of paths, of what it was made of: for ids and labels, which result files don't have
    """
    return Result(os.fsdecode(path), rows=_rows_of(store), queries=_rows_of(queries))


def _rows_of(paths):
    if paths is None:
        return None
    return Rows(paths_of(paths))
