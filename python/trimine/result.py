"""Reads what trimine has written: triplets, lists, neighbours, pairs, ranks, gradients."""
import contextlib
import functools
import json
import operator
import os

import h5py
import numpy as np

from .errors import KINDS, Missing, data, usage
from .reading import open_hdf5, reading, text_of, values_of
from .rows import Rows, Store
from .store import PATHS, paths_of


def columns(group, names, axes):
    """Of each name its dataset, and a letter for each of its axes: those of one letter are equally long in a file; r: one for each row that
    anchors are, s: one more."""
    return {name: (f"{group}/{name}" if group else name, axes) for name in names.split()}


# What a file of each format is called, and has by the names that a Result has for it.
FORMATS = {
    "trimine-triplets": ("triplets", {**columns("triplets", "anchor positive negative d_ap d_an kind rank", "t"), **columns("triplets", "anchor_start", "s"),
                                      **columns("triplets", "batch", "t")}),
    "trimine-lists": ("lists", {**columns("lists", "anchor positive", "a"), **columns("lists", "negative", "ak"), **columns("lists", "d_ap", "a"),
                                **columns("lists", "d_an", "ak"), **columns("lists", "batch", "a")}),
    "trimine-knn": ("knn", columns("", "neighbors distances", "rk")),
    "trimine-radius": ("radius", {**columns("pairs", "a b distance", "p"), **columns("", "degree", "r"), **columns("", "isolated", "i"),
                                  **columns("", "group", "r"), **columns("histogram", "edges", "e"), **columns("histogram", "counts", "c")}),
    "trimine-eval": ("ranks", {**columns("queries", "start", "s"), **columns("relevant", "row rank rank_low rank_high distance", "n")}),
    "trimine-gradient": ("gradient", {}),
}
OPTIONAL = ("anchor_start", "batch", "group", "rank")
REALS = ("d_ap", "d_an", "distance", "distances", "edges")  # of the others all values are whole
SAYS_WHICH = ("result_hash", "store_fingerprint", "queries_fingerprint", "packed_fingerprint", "options", "value")  # two results differ in one
MOST_ROWS = 1 << 40


class Result:
    """A result file of trimine, its arrays by name, and the program's report where this package ran it.

    form -- "triplets", "lists", "knn", "radius", "ranks" or "gradient"; None where no file was written
    report -- what the program reported (a dict), or None
    path -- the file, or None where it was a temporary one: then everything is in memory

    Arrays are attributes, all by row ids:
      triplets: anchor, positive, negative, d_ap, d_an, kind (1: fallback), rank, anchor_start; in batches batch
      lists: anchor, positive, negative (A x K, -1: none), d_ap, d_an (A x K)
      knn: neighbors, distances (rows x K); -1 and infinity where a list comes short
      radius: a, b, distance, degree, isolated, group, and a histogram of distances: edges, counts
      ranks: start, row, rank, rank_low, rank_high, distance
      any, with gradient=True: gradient, or with queries gradients of queries and store in a dict
    They are read when they are first asked for.
    """

    def __init__(self, path=None, report=None, rows=None, queries=None):
        self.path, self.report, self.form = path, report, None
        self.attributes, self._places, self._arrays = {}, {}, {}
        self._which = None
        self._store_rows = self._anchor_rows = None
        self._is_of_queries = False
        self._rows, self._queries, self._names, self.has_gradient = rows, queries, None, False
        if path is not None:
            self._look()

    def _look(self):
        with self._opened() as f:
            self.attributes = {k: text_of(v) if isinstance(v, bytes) else v for k, v in f.attrs.items()}
            self.form, known = self._find_form()
            self._places = {name: place for name, place in known.items() if name not in OPTIONAL or place[0] in f}
            self.has_gradient = "gradient" in f
            self._names = [text_of(v) for v in values_of(f["label_names"])] if "label_names" in f else None
            self._options = self._find_options()
            self._find_rows()
            self._check_shapes(f)

    def _find_form(self):
        written = str(self.attributes.get("format", ""))
        if not written.startswith("trimine-"):
            raise data(f"result '{self.path}': not a result of trimine (it has no attribute 'format')")
        if written not in FORMATS:
            raise data(f"result '{self.path}': of format '{written}'; there are {', '.join(name[8:] for name in FORMATS)}")
        if int(self.attributes.get("complete", 0)) != 1:
            raise data(f"result '{self.path}': not complete")
        return FORMATS[written]

    def _find_options(self):
        try:
            options = json.loads(self.attributes.get("options", "{}"))
        except (ValueError, RecursionError):
            options = None
        if not isinstance(options, dict):
            raise data(f"result '{self.path}': attribute 'options' is not a JSON object")
        return options

    def _find_rows(self):
        """Of the store, or of packed triplets the batch; and of what anchors are rows of."""
        attributes = self.attributes
        self._is_of_queries = "queries_rows" in attributes
        self._store_rows = int(attributes["batch" if "batch" in attributes else "store_rows"])
        self._anchor_rows = int(attributes.get("queries_rows", self._store_rows))
        self._dim = int(attributes.get("store_dim", attributes.get("dim", 0)))
        if not (0 <= self._store_rows < MOST_ROWS and 0 <= self._anchor_rows < MOST_ROWS):
            raise data(f"result '{self.path}': attribute 'store_rows' is no number of rows")

    def _check_shapes(self, f):
        sizes = {"r": self._anchor_rows, "s": self._anchor_rows + 1}
        for name, (place, axes) in self._places.items():
            shape = self._dataset(f, name).shape
            if shape != tuple(sizes.setdefault(axis, size) for axis, size in zip(axes, shape)):
                raise data(f"result '{self.path}': dataset '{place}' is of {' x '.join(map(str, shape))}, which does not go with the others")

    @contextlib.contextmanager
    def _opened(self):
        """The file; what goes wrong while it is read is said of it."""
        with open_hdf5(self.path, "result") as f, reading("result", self.path):
            which = [repr(f.attrs.get(name)) for name in SAYS_WHICH]
            self._which = which if self._which is None else self._which
            if which != self._which:
                raise data(f"result '{self.path}': is another one than when it was first read: read it again")
            yield f

    def _dataset(self, f, name):
        """A dataset of the open file, as its format has it; else the file is damaged."""
        place, axes = self._places[name]
        found = f.get(place)
        if not isinstance(found, h5py.Dataset) or found.ndim != len(axes) or found.dtype.kind not in ("iuf" if name in REALS else "iu"):
            raise data(f"result '{self.path}': no dataset '{place}' of {len(axes)} axes")
        return found

    def _gradients(self, f):
        """The datasets of gradients in the open file, by the name of their set; that of one set is the store's."""
        found = f.get("gradient")
        return {} if found is None else dict(found.items()) if isinstance(found, h5py.Group) else {"store": found}

    def load(self):
        """Reads all arrays into memory; gives the result itself."""
        for name in self._places:
            self._array(name)
        if self.path is not None:
            self.gradient
        return self

    def _array(self, name):
        if name not in self._arrays:
            with self._opened() as f:
                self._arrays[name] = self._dataset(f, name)[()]
        return self._arrays[name]

    def _part(self, name, first, last):
        """A slice of an array, without the rest of it where that is not in memory."""
        if name in self._arrays:
            return self._arrays[name][first:last]
        with self._opened() as f:
            return self._dataset(f, name)[first:last]

    def __getattr__(self, name):
        if name.startswith("_"):  # also while it is unpickled, when it has no members yet
            raise AttributeError(name)
        if isinstance(getattr(type(self), name, None), property):  # it is here because that raised a Missing, which says more
            return getattr(type(self), name).fget(self)
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
        with self._opened() as f:
            return len(self._dataset(f, name))

    @property
    def names(self):
        """Names of the arrays."""
        return list(self._places)

    @property
    def gradient(self):
        """Rows x values, float32; of two sets a dict with "queries" and "store"; None where there is none."""
        if "gradient" not in self._arrays:
            found = None
            if self.path is not None and self.has_gradient:
                with self._opened() as f:
                    found = {name: dataset[()] for name, dataset in self._gradients(f).items()}
                    found = found if isinstance(f["gradient"], h5py.Group) else found["store"]
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
            return self._options
        return (self.report or {}).get("options")

    @property
    def result_hash(self):
        found = self.attributes.get("result_hash")
        return found if isinstance(found, str) else (self.report or {}).get("result_hash")

    # ---- what rows are called

    @property
    def label_names(self):
        """Names of the labels by their numbers, or None where labels are numbers."""
        return self._names

    def _of(self, rows, name, count, given_by):
        """Of the store's rows, or the queries'; count: how many the result is of, which is not known without a file."""
        if rows is None:
            raise Missing(64, KINDS[64], f"{self!r}: {name} are in its {given_by}, which is not known: trimine.read({self.path!r}, {given_by}=...)")
        values = rows.get(name)
        if values is not None and self.attributes and len(values) != count:
            raise data(f"result '{self.path}': is of {count} rows, and there are {len(values)} {name}: it is of another store")
        return values

    @property
    def ids(self):
        """The store's own ids, one a row; None where it has none. A result that was read must know its store: read(path, store=...)."""
        return self._of(self._rows, "ids", self._store_rows, "store")

    @property
    def labels(self):
        """The store's labels as they are there, one a row; as ids."""
        return self._of(self._rows, "labels", self._store_rows, "store")

    @property
    def query_ids(self):
        """Those of queries, whose rows anchors are (of radius: a; of knn: the lists); None where the result is of one set."""
        return self._of_queries("ids")

    @property
    def query_labels(self):
        return self._of_queries("labels")

    def _of_queries(self, name):
        if self._queries is None and not self._is_of_queries:
            return None
        return self._of(self._queries, name, self._anchor_rows, "queries")

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
            second = (self.b == row) & (not self._is_of_queries)
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

    def _row(self, row):
        if self.form in (None, "gradient"):
            raise usage(f"{self!r} has nothing of anchors")
        row = operator.index(row)
        if not 0 <= row < self._anchor_rows:
            raise IndexError(f"row {row} of {self._anchor_rows}")
        return row

    def distances_by_name(self):
        """All distances of it, in one dimension, by name; of triplets and lists also gap, d_an - d_ap."""
        kept = self.positive >= 0 if self.form in ("triplets", "lists") else None  # --lone: an anchor without a positive
        if self.form == "triplets":
            return {"d_ap": self.d_ap[kept], "d_an": self.d_an, "gap": (self.d_an - self.d_ap)[kept]}
        if self.form == "lists":
            there = self.negative >= 0
            gap = np.where(there, self.d_an, 0.0) - self.d_ap[:, None]
            return {"d_ap": self.d_ap[kept], "d_an": self.d_an[there], "gap": gap[there & kept[:, None]]}
        if self.form == "knn":
            return {"distances": self.distances[self.neighbors >= 0]}
        if self.form in ("radius", "ranks"):
            return {"distance": self.distance}
        raise usage(f"{self!r} has no distances")

    def quantiles(self, q=(0.0, 0.25, 0.5, 0.75, 1.0)):
        """Of each kind of distance, linear between two values, as numpy has them: a dict of arrays; nan of nothing."""
        return {name: np.quantile(values, q) if len(values) else np.full(np.shape(q), np.nan)
                for name, values in self.distances_by_name().items()}


def read(path, store=None, queries=None, labels=None, ids=None, query_labels=None, query_ids=None):
    """Reads a result file of mine, loss, knn, radius or evaluate: a Result.

    store, queries -- path, or list of paths, of what it was made of: for ids and labels, which result files don't have
    labels, ids, query_labels, query_ids -- where these are, as of mine: datasets or files
    """
    return Result(os.fsdecode(path), rows=_rows_of(store, labels, ids), queries=_rows_of(queries, query_labels, query_ids))


def _rows_of(paths, labels, ids):
    if paths is None and (labels is not None or ids is not None):
        raise usage("labels and ids are of a store, or of queries: give it, too")
    if paths is not None and not isinstance(paths, PATHS) and not len(paths):
        raise usage("a store is a path, or a list of some, not an empty one")
    return None if paths is None else Rows(functools.partial(
        Store, paths_of(paths), labels=None if labels is None else paths_of(labels), ids=None if ids is None else paths_of(ids)))
