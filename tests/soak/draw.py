"""Random jobs from a seed: a store, the options, how the store is laid out in files, and what must come out.

Everything is drawn from random.Random(f"{seed}/{number}"), so a job is the same wherever it runs. What the options come
to (defaults, presets) is written down here a second time, on purpose: the program is judged from outside.
"""
import json
import os
import random

import h5py
import numpy as np

# SEMANTICS of the presets: what each sets.
PRESETS = {
    "tfa-semihard": dict(source="mined", metric="l2", margin=1.0, positives="all", window="none", pick="nearest",
                         fallback="farthest-inside", reduction="mean_all"),
    "tfa-semihard-sql2": dict(source="mined", metric="sql2", margin=1.0, positives="all", window="none", pick="nearest",
                              fallback="farthest-inside", reduction="mean_all"),
    "tfa-hard": dict(source="batch-hard", lone=True, metric="l2", margin=1.0, reduction="mean_rows"),
    "st-semihard": dict(source="mined", metric="l2", margin=5.0, positives="all", window="none", pick="nearest",
                        fallback="farthest-inside", reduction="mean_all"),
    "tfs": dict(source="mined", metric="cosine", soft=True, positives="hardest", window="none", pick="nearest",
                fallback="farthest-inside", reduction="mean_rows"),
    "pml-semihard": dict(source="batch-all", within=0.2, normalize=True, metric="l2", margin=0.05, reduction="mean_nonzero"),
    "facenet": dict(source="mined", normalize=True, metric="sql2", margin=0.2, positives="all", window="lt", pick="nearest",
                    fallback="skip", reduction="sum"),
    "batch-all-nonzero": dict(source="batch-all", metric="l2", margin=1.0, reduction="mean_nonzero"),
    "guide-1": dict(source="packed", metric="sql2", margin=1.0, reduction="mean_all"),
    "guide-2": dict(source="packed", metric="cosine", margin=0.5, reduction="mean_all", norm_floor=1e-12),
    "guide-3": dict(source="packed", negatives="reversed", metric="sql2", margin=1.0, reduction="mean_all"),
}
for name in PRESETS:  # what TensorFlow's code does where z is exactly 0
    if name.startswith(("tfa", "tfs", "guide")):
        PRESETS[name]["at_zero"] = "whole"
DEFAULTS = dict(metric="sql2", margin=None, positives="all", window="lt", pick="nearest", fallback="skip", soft=False,
                swap=False, reduction="mean_all", normalize=False, gradient_at="stored", lone=False, within=None,
                negatives="semihard", at_zero="none", norm_floor=0.0)
METRICS = ("sql2", "l2", "cosine", "dot")
REDUCTIONS = ("mean_all", "sum", "mean_nonzero", "mean_valid", "mean_rows")

# ---- rows ----


def pick_rows(r, most):
    least, top = r.choices(((1, 3), (4, 40), (41, 150), (151, 300)), (6, 30, 36, 28))[0]
    return min(r.randint(least, top), most)


def pick_dim(r):
    return r.choices((r.randint(1, 3), r.randint(4, 70), r.choice((7, 8, 9, 15, 16, 17, 24, 31, 32, 33, 63, 64, 65))),
                     (3, 4, 3))[0]


def values_of(r, n, rows, dim):
    """Float64 values of one flavour; n: numpy's generator."""
    flavour = r.choice(("integers",) * 4 + ("duplicates",) * 3 + ("uniform", "unit", "clusters", "wide", "offset", "tight",
                                                                  "tiny", "huge", "pixels", "near", "column", "far"))
    x = n.standard_normal((rows, dim))
    if flavour == "integers":
        x = n.integers(-2, 3, (rows, dim)).astype("f8")
    elif flavour == "duplicates":
        x = n.integers(-2, 3, (max(1, rows // 3), dim)).astype("f8")[n.integers(0, max(1, rows // 3), rows)]
    elif flavour == "unit":
        x /= np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-300)
    elif flavour == "clusters":
        x = 10.0 * n.standard_normal((5, dim))[n.integers(0, 5, rows)] + 0.5 * x
    elif flavour == "wide":
        x *= 2.0 ** n.integers(-20, 21, (rows, 1))
    elif flavour == "offset":
        x = 1000.0 + n.integers(0, 4, (rows, dim))
    elif flavour == "tight":
        x = 4096.0 + 2.0**-10 * n.integers(0, 3, (rows, dim))
    elif flavour == "tiny":
        x *= 10.0 ** r.choice((-8, -20, -30, -38, -43))
    elif flavour == "huge":
        x *= 10.0 ** r.choice((6, 12, 18, 30, 37))
    elif flavour == "pixels":
        x = np.where(n.random((rows, dim)) < 0.5, 0, n.integers(0, 256, (rows, dim))).astype("f8")
    elif flavour == "near":  # copies that differ in the last bit of a coordinate
        x = n.standard_normal((max(1, rows // 4), dim)).astype("f4")[n.integers(0, max(1, rows // 4), rows)]
        nudged = n.random((rows, dim)) < 0.5 / dim
        x = np.where(nudged, np.nextafter(x, np.float32(9)), x).astype("f8")
    elif flavour == "column":
        x[:, r.randrange(dim)] = r.choice((3.0, 100.0, 1e4, 1e6, 1.7e9))  # a time stamp that was left in
    elif flavour == "far":  # from 0, compared with each other
        x = n.integers(-3, 4, (rows, dim)) + 10.0 ** r.randint(3, 7) * n.integers(-1, 2, (1, dim))
    return flavour, x


TYPES = ("<f4",) * 8 + ("<f8", "<f8", "<f2", ">f4", ">f8", ">f2", "i1", "<i2", "<i4", "<i8", "u1", "<u2", "<u4", "<u8", ">i4")


def as_type(x, kind):
    """The values in a type of files, as many of its values as it can hold."""
    kind = np.dtype(kind)
    if kind.kind in "iu":
        info = np.iinfo(kind)
        x = np.clip(np.round(x if np.abs(x).max(initial=0) > 4 else 8 * x), max(info.min, -2.0**62), min(info.max, 2.0**62))
        return x.astype(kind)
    most = 3e38 if kind.itemsize >= 4 else 6e4
    return np.clip(x, -most, most).astype(kind)


def draw_values(r, n, rows, dim, zeros):
    """Rows in a type of files, and what the program must make of them: float32. zeros: rows of norm 0 may be there."""
    flavour, x = values_of(r, n, rows, dim)
    kind = r.choice(TYPES)
    x = as_type(x, kind)
    with np.errstate(over="ignore", under="ignore"):
        seen = x.astype("f4")
    zero = ~seen.any(axis=1)
    if zeros and rows > 0:
        for i in range(r.randint(1, 3)):
            zero[r.randrange(rows)] = True
        x[zero] = 0
    elif zero.any():
        x[zero, n.integers(0, dim, int(zero.sum()))] = 1
    return f"{flavour} as {kind}", x, x.astype("f4")


# ---- labels ----


def draw_classes(r, n, rows):
    flavour = r.choice(("one", "own", "giant", "giant", "many", "runs", "runs", "two", "two", "few", "few", "few"))
    if flavour == "one":
        return np.zeros(rows, "i8")
    if flavour == "own":
        return np.arange(rows)
    if flavour == "giant":
        return np.where(n.random(rows) < 0.75, 0, n.integers(1, 4, rows))
    if flavour == "many":
        return n.integers(0, rows, rows)
    if flavour == "runs":
        return np.arange(rows) // r.choice((2, 7, 20, 40))
    if flavour == "two":
        return n.integers(0, 2, rows)
    return n.integers(0, 2 + rows // r.choice((4, 6, 12)), rows)


def draw_labels(r, n, rows):
    """Labels as files have them, any type and size; none goes through a float. And their classes in the order of the labels.
    The first is what h5py writes; strings and enums come in the order of their names."""
    classes = draw_classes(r, n, rows)
    kind = r.choice(("i8",) * 6 + ("i4", "i2", "u8", "u4", ">i8", "S", "text", "enum", "bool", "f4", "f8", "large u8"))
    if kind == "bool" and classes.max() > 1 or kind in ("enum", "i2") and classes.max() > 200:
        kind = "i8"
    if kind == "i2":
        labels = (classes - 100).astype(kind)
    elif kind in ("i4", "u4"):
        labels = (classes * 1000 + 7).astype(kind)
    elif kind == "u8":
        labels = (classes + 2**53 + 1).astype(kind)
    elif kind == "large u8":
        labels = classes.astype("u8") + np.uint64(2**63 + 5)
    elif kind in ("S", "text"):
        labels = np.array([f"class {(c * 7919) % 1009:04d}".encode() for c in classes])
    elif kind == "enum":
        labels = classes.astype("u1")
    elif kind == "bool":
        labels = classes.astype(bool)
    elif kind in ("f4", "f8"):
        labels = (classes * 3 - 5).astype(kind)
    else:
        labels = r.choice((classes, -classes, classes + 2**53, classes - 2**63, 2**63 - 1 - classes,
                           np.where(classes % 2, -1, 1) * (classes * 7919 % 1009 * 1000 + classes))).astype(kind)
    return kind, labels, np.unique(labels, return_inverse=True)[1].astype("i8")


def type_of_labels(kind, labels):
    """For h5py, where the array alone does not say it."""
    if kind == "text":
        return h5py.string_dtype()
    if kind == "enum":  # the order of the names is that of the values
        return h5py.enum_dtype({f"name {value:03d}": value for value in range(256)}, basetype="u1")
    return None


# ---- a store in files ----


def write_dataset(r, group, path, values, kind=None):
    """Contiguous, or in chunks, plain or compressed."""
    how = {}
    if values.shape[0] > 0 and r.random() < 0.2:
        how["chunks"] = (max(1, values.shape[0] // r.randint(1, 5)),) + values.shape[1:]
        if r.random() < 0.6 and kind is None:
            how.update(compression="gzip", shuffle=r.random() < 0.5)
    group.create_dataset(path, data=values, dtype=kind, **how)


def write_bfloat16(group, path, values):
    """Float32 values whose lower halves are 0, as the upper ones."""
    kind = h5py.h5t.IEEE_F16LE.copy()
    kind.set_fields(15, 7, 8, 0, 7)
    kind.set_ebias(127)
    data = h5py.h5d.create(group.id, path.encode(), kind, h5py.h5s.create_simple(values.shape))
    upper = np.ascontiguousarray((np.ascontiguousarray(values).view("u4") >> 16).astype("<u2"))
    if upper.size:
        data.write(h5py.h5s.ALL, h5py.h5s.ALL, upper, mtype=kind)


class Store:
    """Rows, labels, and the words that name the files and datasets on a command line."""

    def __init__(self, r, n, folder, most_rows, zeros):
        rows, self.dim = pick_rows(r, most_rows), pick_dim(r)
        self.flavour, self.values, self.rows = draw_values(r, n, rows, self.dim, zeros)
        self.bfloat16 = self.values.dtype == np.dtype("<f4") and r.random() < 0.06
        if self.bfloat16:
            self.rows = (self.rows.view("u4") & np.uint32(0xffff0000)).view("f4")
            self.rows[~self.rows.any(axis=1)] = 0 if zeros else 1
            self.values, self.flavour = self.rows, self.flavour + ", bfloat16"
        self.kind, self.labels, self.number = draw_labels(r, n, rows)
        self.ignored = []
        if r.random() < 0.2 and self.labels.dtype.kind == "i" and self.kind != "enum":
            self.ignored = [int(self.labels[r.randrange(rows)]) for _ in range(r.choice((1, 1, 2, 3)))]
        elif r.random() < 0.2 and self.kind in ("S", "text"):
            self.ignored = [self.labels[r.randrange(rows)].decode() for _ in range(r.choice((1, 2)))]
        elif r.random() < 0.05 and self.labels.dtype.kind == "i":
            self.ignored = [12345]
        self.folder = folder
        self.write(r)

    @property
    def count(self):
        return len(self.rows)

    def is_unfilled(self):
        """Are all rows zero that take part?"""
        part = self.classes() >= 0
        return part.any() and not self.rows[part].any()

    def classes(self):
        """Of each row, in the order of the labels; -1: takes no part."""
        number = self.number.copy()
        if self.ignored:
            number[np.isin(self.labels, np.array([str(name).encode() for name in self.ignored] if self.kind in ("S", "text")
                                                 else self.ignored, dtype=self.labels.dtype))] = -1
        return number

    def cuts(self, r):
        """Where each file's rows begin and end; some may have none, as long as not all have none."""
        parts = r.choice((1, 1, 1, 2, 3, 5, 12))
        return [0] + sorted(r.randint(0, self.count) for _ in range(parts - 1)) + [self.count]

    def write(self, r):
        names, self.words = ("embeddings", "labels"), []
        if r.random() < 0.3:
            names = (r.choice(("features", "X", "train", "emb", "vectors", "descriptors")), r.choice(("targets", "y", "classes")))
        if r.random() < 0.15:
            names = ("deep/er/e", "deep/l")
            self.words = ["--embeddings", "/deep/er/e", "--labels", "/deep/l"]
        for label in self.ignored:
            self.words.append(f"--ignore-label={label}")
        cuts = self.cuts(r)
        how = r.choice(("files", "files", "folder", "virtual")) if len(cuts) > 2 else "files"
        if how == "virtual" and (self.kind in ("text", "enum") or self.bfloat16):
            how = "folder"
        self.plain = how != "virtual" and not self.bfloat16 and r.random() < 0.8  # else some dimensions are of size 1
        self.paths, self.ids = [], r.choice((None, None, None, "numbers", "some", "strings", "short"))
        if how != "files":
            os.mkdir(f"{self.folder}/shards")
        for k in range(len(cuts) - 1):  # a folder is taken in natural order: part-8 before part-10
            path = f"{self.folder}/s{k}.h5" if how == "files" else f"{self.folder}/shards/part-{k + 8}.h5"
            self.write_part(r, path, names, cuts[k], cuts[k + 1], how != "virtual" and not self.plain)
            self.paths.append(path)
        self.inputs = [f"{self.folder}/shards"] if how == "folder" else self.paths
        if how == "virtual":
            self.plain = False
            self.inputs = [self.write_virtual(names, cuts)]

    def write_part(self, r, path, names, first, end, odd):
        x, labels = self.values[first:end], self.labels[first:end]
        with h5py.File(path, "w") as f:
            if self.bfloat16:
                write_bfloat16(f.require_group(os.path.dirname(names[0]) or "/"), os.path.basename(names[0]), x)
            else:
                if odd and r.random() < 0.3:
                    x = x.reshape(r.choice(((len(x), 1, self.dim), (len(x), self.dim, 1, 1))))
                write_dataset(r, f, names[0], x)
            if odd and r.random() < 0.3 and end > first:
                labels = labels.reshape(r.choice(((end - first, 1), (1, end - first))))
            write_dataset(r, f, names[1], labels, type_of_labels(self.kind, labels))
            if self.ids == "numbers" or self.ids == "some" and r.random() < 0.5:
                f["ids"] = np.arange(first, end) + 5
            elif self.ids == "strings":
                f.create_dataset("ids", data=[f"image {i}.jpg" for i in range(first, end)], dtype=h5py.string_dtype())
            elif self.ids == "short" and end > first:
                f["ids"] = np.arange(first, end - 1)

    def can_spoil(self, path, how):
        if not self.plain:
            return False
        with h5py.File(path) as f:
            return all(f[name].shape[0] > 0 for name in names_of(f) if name != "ids")

    def write_virtual(self, names, cuts):
        """One file whose datasets are those of the others, one after the other."""
        path = f"{self.folder}/virtual.h5"
        with h5py.File(path, "w") as f:
            for name in names:
                with h5py.File(self.paths[0]) as part:
                    kind = part[name].dtype
                layout = h5py.VirtualLayout((self.count, self.dim) if name == names[0] else (self.count,), kind)
                for k, part in enumerate(self.paths):
                    if cuts[k] < cuts[k + 1]:
                        shape = (cuts[k + 1] - cuts[k],) + layout.shape[1:]
                        layout[cuts[k]:cuts[k + 1]] = h5py.VirtualSource(f"shards/{os.path.basename(part)}", name, shape=shape)
                f.create_virtual_dataset(name, layout)
        return path


class Packed:
    """Ready triplets; every row of them is a row for the judge: anchors, positives, negatives."""

    def __init__(self, r, n, folder, zeros):
        self.count, self.dim = r.choice((1, 2, r.randint(3, 40), r.randint(3, 120))), pick_dim(r)
        self.negatives = r.choice((1, 1, 2, 3, r.randint(4, 9)))
        rows = self.count * (2 + self.negatives)
        self.flavour, x, self.rows = draw_values(r, n, rows, self.dim, zeros)
        several = self.negatives > 1 or r.random() < 0.6
        self.words, self.ignored = [], []
        self.form = "negatives" if several else "negative"
        path = f"{folder}/packed.h5"
        with h5py.File(path, "w") as f:
            write_dataset(r, f, "anchor", x[:self.count])
            write_dataset(r, f, "positive", x[self.count:2 * self.count])
            negative = x[2 * self.count:]
            write_dataset(r, f, self.form, negative.reshape(self.count, self.negatives, self.dim) if several else negative)
        self.inputs = self.paths = [path]

    def can_spoil(self, path, how):
        return how not in ("short labels", "no rows")


# ---- rules ----


def draw_positives(r):
    return r.choice(("all", "all", "all", "hardest", "easiest", f"nearest:{r.choice((1, 2, 3, 5, 1000))}"))


def draw_margin(r, metric, rows):
    """One that decides something: of the size that distances have; whole, for ties, where they are large."""
    x = rows[[r.randrange(len(rows)) for _ in range(40)]].astype("f8")
    products = x[:20] @ x[20:].T
    distances = dict(dot=np.abs(products), cosine=np.ones(1)).get(metric, ((x[:20, None] - x[20:]) ** 2).sum(2))
    scale = float(np.median(np.sqrt(distances) if metric == "l2" else distances)) * r.choice((0.02, 0.1, 0.3, 1.0))
    return float(round(scale)) if scale > 1.5 and r.random() < 0.7 else scale


def draw_given(r, source, choice, preset, rows, family):
    """Options of the command line, as far as they apply to where the triplets come from."""
    given = {}

    def maybe(key, values, chance=0.5):
        if r.random() < (chance if preset is None else 0.12):
            given[key] = r.choice(values)

    maybe("metric", METRICS, 0.75)
    metric = given.get("metric", PRESETS[preset]["metric"] if preset else "sql2")
    maybe("margin", (0.0, 0.05, 0.2, 0.5, 1.0, 1.5, 2.0, 1e6, *(draw_margin(r, metric, rows) for _ in range(12))), 0.8)
    maybe("reduction", REDUCTIONS, 0.7)
    maybe("normalize", (True,), 0.2)
    if source == "mined":
        if r.random() < (0.7 if preset is None else 0.1) and not family:
            given["positives"] = draw_positives(r)
    if source == "mined" or (source == "packed" and choice == "semihard"):
        maybe("window", ("lt", "le", "none", "none"), 0.8)
        if not family:
            maybe("pick", ("nearest", "farthest"), 0.4)
            maybe("fallback", ("skip", "farthest-inside", "hardest"), 0.6)
    if source in ("mined", "given", "batch-hard") or (source == "packed" and choice != "reversed"):
        maybe("soft", (True,), 0.2)
        maybe("swap", (True,), 0.25)
    if source in ("mined", "given", "batch-hard", "packed"):
        maybe("at_zero", ("none", "whole"), 0.3)
    if source == "packed":
        maybe("norm_floor", (1e-12, 0.5, 100.0), 0.2)
    if source == "batch-hard":
        maybe("lone", (True,), 0.3)
    if source == "batch-all":
        maybe("within", (0.0, 0.2, 1.0, 2.0, 7.0, draw_margin(r, metric, rows)), 0.35)
    if source == "packed" and preset is None and choice != "semihard":
        given["negatives"] = choice
    return given


# ---- policies of the whole family ----

SETS = ("within-margin", "hard-all", "easy-all", "violating", "multisimilarity")
FILTERS = ("min-distance", "max-distance", "absolute-margin", "relative-margin", "not-near-positive")
LIST_AT_MOST = 60000


def some_distance(r, metric, rows, gap=False):
    """Near one that occurs; gap: a difference of two."""
    x = rows[[r.randrange(len(rows)) for _ in range(3)]].astype("f8")
    with np.errstate(all="ignore"):
        a, b, c = x if metric != "cosine" else x / np.linalg.norm(x, axis=1, keepdims=True)
        near, far = (-float(p @ q) if metric == "dot" else 1 - float(p @ q) if metric == "cosine"
                     else float(((p - q) ** 2).sum()) ** (0.5 if metric == "l2" else 1) for p, q in ((a, b), (a, c)))
    value = near - far if gap else near if metric == "dot" else abs(near)
    return value if np.isfinite(value) else 1.0


def draw_filters(r, metric, rows):
    many, one, filters = r.randrange(4), r.choice(FILTERS), {}
    for name in FILTERS:
        if r.random() < 0.5 if many > 2 else many > 0 and name == one:
            filters[name] = (r.choice((0.0, 0.05, 0.5)) if name == "relative-margin"
                             else some_distance(r, metric, rows, name == "absolute-margin"))
    return filters


def draw_ranks(r, rows):
    if r.random() > 0.35:
        return {}
    first = r.randint(1, 1 + rows // 4)
    return dict(rank_from=first, rank_to=first + r.randint(0, rows // 2) if r.random() < 0.7 else None, after=r.random() < 0.5)


def draw_family(r, metric, rows):
    """A policy for positives and for negatives with what goes with them, as the judge has it. Counts are often more than there is."""
    count = lambda: r.choice((1, 2, 3, 5, 10, 1000 if len(rows) <= 60 else 4))
    family = dict(positives=r.choice(("all", "hardest", "easiest", f"nearest:{count()}", f"random:{count()}", f"random:{count()}")),
                  negatives="semihard", pick="nearest", fallback="skip", seed=r.choice((0, 1, r.randrange(2**62))),
                  rank_from=1, rank_to=None, after=False, filters={}, lists=False, emit=False, list_at_most=10**9)
    word = r.choice(("semihard", "hard", "topk", "topk", "random", "random", "weighted", *SETS))
    family["negatives"] = f"{word}:{count()}" if word in ("topk", "random", "weighted") else word
    if word == "multisimilarity":
        family["negatives"] = f"{word}:{r.choice((0.0, 0.1, 0.5, abs(some_distance(r, metric, rows, True))))!r}"
    if word == "semihard":
        family.update(pick=r.choice(("nearest", "farthest", "random")),
                      fallback=r.choice(("skip", "farthest-inside", "hardest", "random")))
    elif word not in SETS:
        family.update(filters=draw_filters(r, metric, rows), **draw_ranks(r, len(rows)))
    if word in SETS:
        family.update(emit=True, list_at_most=LIST_AT_MOST)
    else:
        family["lists"] = r.random() < 0.3
    return family


def words_of_family(family):
    words = [f"--{key}={family[key]}" for key in ("positives", "negatives", "seed")]
    if family["negatives"] == "semihard":
        words += [f"--{key}={family[key]}" for key in ("pick", "fallback")]
    words += [f"--{name}={value!r}" for name, value in family["filters"].items()]
    if family["rank_from"] > 1 or family["rank_to"] is not None or family["after"]:
        words.append(f"--ranks={family['rank_from']}-{family['rank_to'] or ''}")
    if family["after"]:
        words.append("--rank-order=after")
    if family["emit"]:
        words += ["--emit", f"--max-triplets={family['list_at_most']}"]
    return words + (["--form=lists"] if family["lists"] else [])


def words_of(given):
    words = []
    for key, value in given.items():
        name = "--" + key.replace("_", "-")
        words.append(name if value is True else f"{name}={value!r}" if isinstance(value, float) else f"{name}={value}")
    return words


def settle(options):
    """All options, as the judge wants them."""
    positives, _, nearest = options["positives"].partition(":")
    margin = options["margin"]
    window_margin = margin if margin is not None else 0.5 if options["metric"] == "cosine" else 1.0
    loss_margin = 0.0 if options["soft"] and margin is None else window_margin
    source = options["source"]
    if source == "batch-all" and options["within"] is not None:
        source, window_margin = "within", options["within"]
    return dict(source=source, metric=options["metric"], window_margin=window_margin, loss_margin=loss_margin,
                positives=positives, nearest=int(nearest or 1), window=options["window"], pick=options["pick"],
                fallback=options["fallback"], soft=options["soft"], swap=options["swap"], reduction=options["reduction"],
                lone=options["lone"], normalize=options["normalize"], at_stored=options["gradient_at"] == "stored",
                choice=options["negatives"], whole_at_zero=options["at_zero"] == "whole", norm_floor=options["norm_floor"], anchors=0, negatives=0, triplets=0)


def draw_triplets(r, classes):
    """Random triplets that the labels allow, repeats among them; None where there are none."""
    rows = [i for i in range(len(classes)) if classes[i] >= 0]
    anchors = [a for a in rows if sum(classes[i] == classes[a] for i in rows) > 1]
    if not anchors or len(set(classes[i] for i in rows)) < 2:
        return None
    triplets = []
    for _ in range(r.choice((1, 5, 50, 400))):
        a = r.choice(anchors)
        triplets.append((a, r.choice([i for i in rows if classes[i] == classes[a] and i != a]),
                         r.choice([i for i in rows if classes[i] != classes[a]])))
    return np.array(triplets, "i8").T.copy()


# ---- how to run it ----


def draw_config(r, rows, first):
    """Ranks, threads and so on: nothing of it may change the result."""
    c = dict(ranks=1 if first else r.choice((1, 2, 2, 3, 3, 4, 5, 5, 7, min(rows + 2, 8))), env={}, words=[], limit=None)
    c["words"].append(f"--threads={r.choice((1, 1, 2, 3))}")
    if r.random() < 0.6:
        c["words"].append(f"--tile={r.choice((32, 64, 96, 160, 256))}")
    if r.random() < 0.6:
        c["words"].append(f"--kernel={r.choice(('blas', 'fp32'))}")
    if c["ranks"] > 1 and r.random() < 0.5:
        c["words"].append(f"--replicate={r.choice([d for d in range(1, c['ranks'] + 1) if c['ranks'] % d == 0])}")
    if r.random() < 0.3:
        c["env"]["TRIMINE_ISA"] = r.choice(("portable", "avx2"))
    if r.random() < 0.2:
        c["env"]["OPENBLAS_CORETYPE"] = r.choice(("Haswell", "Sandybridge", "Nehalem", "Prescott"))
    if not first and r.random() < 0.25:
        c["limit"] = r.uniform(0.2, 0.95)  # of the first run's plan: anchors in panels
    if not first and r.random() < 0.3:  # there are moments to stop at between the steps of the ring, and between panels
        if r.random() < 0.7:
            c["ranks"] = r.choice((3, 4, 5))
            c["words"] = [word for word in c["words"] if "replicate" not in word] + ["--replicate=1"]
        c["stop"] = dict(at=r.choice((1, 1, 1, 2, 2, 3)), how=r.choice(("USR1", "TERM", "kill", "kill all")), victim=r.randrange(c["ranks"]),
                         ranks=r.choice((1, 2, 3, 5)))
    return c


class Job:
    """One job. code: the exit code that every run must have; spec: for the judge."""

    def __init__(self, seed, number, folder):
        r = self.random = random.Random(f"{seed}/{number}")
        n = np.random.default_rng([seed, number])
        self.number, self.folder, self.code = number, folder, 0
        os.makedirs(folder)
        self.draw_source(r)
        zeros = r.random() < 0.06
        most = 70 if self.source == "batch-all" else 300
        self.store = Packed(r, n, folder, zeros) if self.source == "packed" else Store(r, n, folder, most, zeros)
        self.given = draw_given(r, self.source, self.choice, self.preset, self.store.rows, self.of_family)
        options = dict(DEFAULTS, source=self.source)
        if self.preset:
            options.update(PRESETS[self.preset])
        options.update(self.given)
        self.gradient = r.random() < 0.5
        if options["normalize"] and r.random() < 0.4:
            options["gradient_at"] = self.given["gradient_at"] = r.choice(("stored", "normalized"))
        self.spec = settle(options)
        self.family = None
        if self.of_family:
            rows = self.store.rows
            if self.spec["normalize"]:
                with np.errstate(all="ignore"):
                    rows = rows / np.linalg.norm(rows.astype("f8"), axis=1, keepdims=True)
            self.family = self.spec["family"] = draw_family(r, self.spec["metric"], rows)
            if self.family["negatives"] != "semihard":
                self.given.pop("window", None)
                self.spec["window"] = "lt"
            if self.command == "loss":
                self.family["lists"] = False
        self.draw_survey(random.Random(f"{seed}/{number}/survey"))
        self.spec.update(rows=len(self.store.rows), dim=self.store.dim, gradient=self.gradient)
        if self.source == "packed":
            self.spec.update(anchors=self.store.count, negatives=self.store.negatives)
        if self.source == "given":
            self.draw_given_triplets(r)
        floored = self.source == "packed" and options["norm_floor"] > 0
        if options["normalize"] or options["metric"] == "cosine" and not floored:
            if not self.store.rows.any(axis=1).all():
                self.code = 65  # a row of norm 0
        if self.source != "packed" and self.store.is_unfilled():
            self.code = 65
        if self.source == "packed" and options["negatives"] == "reversed" and self.store.form == "negative":
            self.code = 64  # the published code compares every anchor with every negative
        self.spoil(r)
        self.configs = [draw_config(r, self.store.count, k == 0) for k in range(r.choice((2, 2, 3)))]
        self.write_for_judge()

    def draw_source(self, r):
        self.preset, self.choice = None, "semihard"
        if r.random() < 0.15:
            self.preset = r.choice(sorted(PRESETS))
            self.source = PRESETS[self.preset]["source"]
            self.choice = PRESETS[self.preset].get("negatives", "semihard")
        else:
            self.source = r.choices(("mined", "given", "batch-hard", "batch-all", "packed"), (55, 10, 10, 12, 13))[0]
            if self.source == "packed":
                self.choice = r.choice(("semihard", "semihard", "hard", "random", "reversed"))
        self.command = "mine" if self.source == "mined" and r.random() < 0.8 else "loss"
        self.of_family = self.source == "mined" and self.preset is None and r.random() < 0.8

    def draw_survey(self, r):
        """What is told of the triplets, and whether a set's are: of random numbers of its own."""
        self.bins, self.margins = None, []
        family = self.family or dict(negatives="semihard", pick=self.spec["pick"], emit=False)
        word = family["negatives"].partition(":")[0]
        if word in SETS and self.command == "mine" and not self.gradient and r.random() < 0.3:
            self.family["emit"] = False  # only counted
            return
        if self.source in ("mined", "given", "batch-hard") and r.random() < 0.25:
            self.bins = r.choice((1, 2, 7, 50))
        same_triplets = word in ("hard", "topk", "random", "weighted") or self.spec["window"] == "none" and family["pick"] == "nearest"
        if self.source == "mined" and word not in SETS and same_triplets and not self.spec["soft"] and not self.spec["swap"] and r.random() < 0.5:
            self.margins = [r.choice((0.0, 0.2, 1.0, 2.0, 7.0, draw_margin(r, self.spec["metric"], self.store.rows)))
                            for _ in range(r.choice((1, 2, 5)))]

    def is_counted_only(self):
        """A set whose triplets are not listed."""
        return self.family is not None and self.family["negatives"].partition(":")[0] in SETS and not self.family["emit"]

    def draw_given_triplets(self, r):
        triplets = draw_triplets(r, self.store.classes())
        if triplets is None:  # there is none to give
            self.source = self.spec["source"] = "batch-hard"
            return
        self.spec["triplets"] = triplets.shape[1]
        triplets.tofile(f"{self.folder}/triplets.bin")
        with h5py.File(f"{self.folder}/given.h5", "w") as f:
            for name, ids in zip(("anchor", "positive", "negative"), triplets):
                f[f"triplets/{name}"] = ids

    def spoil(self, r):
        """A few jobs must be refused."""
        self.spoiled = r.choice(("nan", "infinity", "short labels", "no rows", "no file", "old output")) if r.random() < 0.08 else None
        path = r.choice(self.store.paths)
        if self.spoiled is None or self.spoiled not in ("no file", "old output") and not self.store.can_spoil(path, self.spoiled):
            self.spoiled = None
            return
        if self.spoiled in ("nan", "infinity"):
            with h5py.File(path, "r+") as f:
                name = next(name for name in names_of(f) if f[name].ndim > 1)
                if f[name].dtype.kind != "f":
                    self.spoiled = None
                    return
                value = float("nan") if self.spoiled == "nan" else r.choice((float("inf"), float("-inf")))
                f[name][r.randrange(f[name].shape[0]), r.randrange(f[name].shape[1])] = value
        elif self.spoiled in ("short labels", "no rows"):
            with h5py.File(path, "r+") as f:
                name = next(name for name in names_of(f) if f[name].ndim == 1 and name != "ids")
                labels = f[name][:]
                del f[name]
                f[name] = labels[:-1]
                if self.spoiled == "no rows" and len(self.store.paths) == 1:
                    wide = next(name for name in names_of(f) if f[name].ndim == 2)
                    kind, dim = f[wide].dtype, f[wide].shape[1]
                    del f[wide], f[name]
                    f[wide], f[name] = np.zeros((0, dim), kind), labels[:0]
        elif self.spoiled == "no file":
            self.store.inputs = self.store.inputs[:-1] + [f"{self.folder}/not-there.h5"]
        self.code = {"no file": 66, "old output": 73}.get(self.spoiled, 65)

    def write_for_judge(self):
        self.store.rows.tofile(f"{self.folder}/rows.bin")
        if self.source != "packed":
            self.store.classes().tofile(f"{self.folder}/labels.bin")
        with open(f"{self.folder}/job.json", "w") as f:
            json.dump(self.spec, f)

    def words(self):
        """The command line but for the output and the configuration."""
        words = [self.command, *self.store.inputs, *self.store.words, *words_of(self.given)]
        words += words_of_family(self.family) if self.family else []
        if self.preset:
            words.append(f"--compat={self.preset}")
        elif self.source == "given":
            words.append(f"--triplets={self.folder}/given.h5")
        elif self.command == "loss" and self.source != "packed":
            words.append(f"--loss={self.source}")
        words += [f"--histogram={self.bins}"] if self.bins else []
        words += ["--margins=" + ",".join(repr(margin) for margin in self.margins)] if self.margins else []
        return words + (["--gradient"] if self.gradient else [])

    def describe(self):
        return (f"{' '.join(w.replace(self.folder + '/', '') for w in self.words())}   "
                f"({len(self.store.rows)} x {self.store.dim}, {self.store.flavour}{', ' + self.spoiled if self.spoiled else ''})")


def names_of(file):
    names = []
    file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
    return names
