"""Results as data to train on: datasets of PyTorch and of Hugging Face.

Without PyTorch the two datasets are plain sequences (len and []), which its DataLoader takes as well.
"""
import collections.abc
import functools
import operator
import os

import numpy as np

from .errors import usage

try:
    from torch.utils.data import Dataset
except ImportError:
    Dataset = object


def looking_up(items, what, rows):
    """What stands for one of so many rows: items[row], items(row), or without items its row id."""
    if items is None:
        return int
    if callable(items) and not hasattr(items, "__getitem__"):
        return items
    if isinstance(items, collections.abc.Sized) and not isinstance(items, collections.abc.Mapping) and len(items) < rows:
        raise usage(f"{what} are {len(items)}, for {rows} rows: needs one for each, in their order")
    return functools.partial(item_of, items)  # which can be sent to the processes of a DataLoader


def item_of(items, row):
    """By its place: what pandas has may be called by another index."""
    return items.iloc[int(row)] if hasattr(items, "iloc") else items[int(row)]


def both_lookups(result, items, queries):
    """What stands for a row of the store, and for an anchor."""
    item = looking_up(items, "items", result._store_rows)
    if queries is not None:
        return item, looking_up(queries, "queries", result._anchor_rows)
    if items is not None and result._is_of_queries:
        raise usage("the anchors of this result are queries, not rows of the store: say by queries what they are")
    return item, item


def check_form(result):
    if getattr(result, "form", None) not in ("triplets", "lists"):
        named = " (trimine.read reads the result of that name)" if isinstance(result, (str, os.PathLike)) else ""
        raise usage(f"{result!r} has no triplets{named}")


def grouped(result):
    """Of triplets or lists: anchor and positive of each line, and where its negatives are in one array of all."""
    check_form(result)
    if result.form == "lists":
        there = result.negative >= 0
        return result.anchor, result.positive, result.negative[there], np.concatenate([[0], np.cumsum(there.sum(1))])
    columns = [result.anchor, result.positive] + ([result.batch] if "batch" in result.names else [])
    new = np.ones(len(result) + 1, dtype=bool)
    if len(result):
        new[1:-1] = np.any([c[1:] != c[:-1] for c in columns], axis=0)
    start = np.flatnonzero(new)
    if len(result) == 0:
        start = np.zeros(1, dtype=np.int64)
    order = np.arange(len(result))
    if "rank" in result.names:  # the file has a pair's negatives in the order of row ids; here nearest (or first drawn) first
        order = np.lexsort((result.rank, np.repeat(np.arange(len(start) - 1), np.diff(start))))
    return result.anchor[start[:-1]], result.positive[start[:-1]], result.negative[order], start


def check_number(negatives):
    """None, or how many negatives."""
    if negatives is not None and (isinstance(negatives, bool) or not isinstance(negatives, (int, np.integer)) or negatives < 1):
        raise usage(f"negatives is {negatives!r}, must be a whole number from 1")


class TripletDataset(Dataset):
    """(anchor, positive, negative), one triplet each: of a Result with triplets, or of lists, without what is missing there.

    items -- what a row is: a sequence (images, texts, a tensor) by row id, or a function of the row id; None: row ids
    queries -- the same of the anchors, where these are queries; needed then
    transform -- a function of (anchor, positive, negative), whose result is given in their place
    Triplets without a positive (lone anchors) are left out.
    """

    def __init__(self, result, items=None, queries=None, transform=None):
        anchor, positive, negative, start = grouped(result)
        times = np.diff(start)
        rows = np.stack([np.repeat(anchor, times), np.repeat(positive, times), negative], axis=1)
        self.rows = rows[rows[:, 1] >= 0]
        self.item, self.query = both_lookups(result, items, queries)
        self.transform = transform

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        a, p, n = self.rows[operator.index(index)]  # no slice
        triplet = self.query(a), self.item(p), self.item(n)
        return triplet if self.transform is None else self.transform(*triplet)


class NegativesDataset(Dataset):
    """(anchor, positive, [negatives]), one line for each anchor and positive: of a Result with lists, or with triplets.

    negatives -- how many: lines with more are cut (the first, by rank, stay), lines with fewer left out; None: as they are
    items, queries, transform -- as of TripletDataset
    """

    def __init__(self, result, items=None, queries=None, negatives=None, transform=None):
        check_number(negatives)
        self.anchor, self.positive, self.negative, start = grouped(result)
        self.first, self.last = start[:-1], start[1:]
        kept = self.positive >= 0
        if negatives is not None:
            most = (self.last - self.first).max(initial=0)
            if 0 < most < negatives:
                raise usage(f"negatives is {negatives}, of which no pair of {result!r} has more than {most}")
            kept &= self.last - self.first >= negatives
            self.last = np.minimum(self.last, self.first + negatives)
        self.anchor, self.positive, self.first, self.last = (v[kept] for v in (self.anchor, self.positive, self.first, self.last))
        self.item, self.query = both_lookups(result, items, queries)
        self.transform = transform

    def __len__(self):
        return len(self.anchor)

    def __getitem__(self, index):
        index = operator.index(index)
        negatives = [self.item(n) for n in self.negative[self.first[index]:self.last[index]]]
        line = self.query(self.anchor[index]), self.item(self.positive[index]), negatives
        return line if self.transform is None else self.transform(*line)


FORMS = ("triplet", "n-tuple", "labeled-list")


def to_columns(result, texts=None, queries=None, form="triplet", negatives=None):
    """What to_datasets makes a data set of, as a dict of lists."""
    if form not in FORMS:
        raise usage(f"form is {form!r}, must be one of {', '.join(FORMS)}")
    if form == "triplet":
        lines = list(TripletDataset(result, texts, queries))
        return {name: [line[i] for line in lines] for i, name in enumerate(("anchor", "positive", "negative"))}
    check_number(negatives)
    data = NegativesDataset(result, texts, queries)
    if len(data):  # no more than the longest line has, as of trimine export
        most = int((data.last - data.first).max())
        negatives = most if negatives is None else min(negatives, most)
    lines = list(NegativesDataset(result, texts, queries, negatives if form == "n-tuple" else None))
    if form == "n-tuple":
        columns = {"anchor": [a for a, _, _ in lines], "positive": [p for _, p, _ in lines]}
        columns.update({f"negative_{i + 1}": [n[i] for _, _, n in lines] for i in range(negatives or 0)})
        return columns
    return {"anchor": [a for a, _, _ in lines], "documents": [[p, *n[:negatives]] for _, p, n in lines],
            "labels": [[1] + [0] * len(n[:negatives]) for _, _, n in lines]}


def to_datasets(result, texts=None, queries=None, form="triplet", negatives=None):
    """A Hugging Face Dataset, in the forms that sentence-transformers trains on (needs the package datasets).

    texts -- what a row is: a sequence by row id, or a function of it; None: row ids
    queries -- the same of the anchors, where these are queries
    form -- "triplet": anchor, positive, negative; "n-tuple": anchor, positive, negative_1, ..., negative_n, only pairs that
            got so many; "labeled-list": anchor, documents (the positive first), labels (1, 0, 0, ...)
    negatives -- how many at most; None: as many as any pair has
    """
    try:
        import datasets
    except ImportError:
        raise ImportError("to_datasets needs the package datasets: pip install datasets") from None
    return datasets.Dataset.from_dict(to_columns(result, texts, queries, form, negatives))


def plot(result, bins=50, path=None):
    """Histograms of a result's distances (needs matplotlib): of triplets d_ap, d_an, and their gap with the margin.

    path -- of a picture to write (.png, .svg, .pdf); None: none
    Gives the matplotlib Figure.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError("plot needs matplotlib: pip install matplotlib") from None
    values = result.distances_by_name()
    figure = Figure(figsize=(4 * len(values), 3), layout="constrained")
    for axis, (name, distances) in zip(np.ravel(figure.subplots(1, len(values))), values.items()):
        axis.hist(distances, bins=bins, color="#0072b2")
        axis.set_xlabel({"gap": "d_an - d_ap"}.get(name, name))
        if name == "gap":
            axis.axvline(0, color="black", linewidth=1)
            if "margin" in result.attributes:
                axis.axvline(result.attributes["margin"], color="#d55e00", linewidth=1, linestyle="--",
                             label=f"margin {result.attributes['margin']:g}")
                axis.legend()
    figure.axes[0].set_ylabel({"triplets": "triplets", "lists": "triplets", "knn": "neighbours", "radius": "pairs"}.get(
        result.form, "rows"))
    if path is not None:
        figure.savefig(path)
    return figure
