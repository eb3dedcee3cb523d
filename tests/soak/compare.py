"""A run's report and file against what the judge says, and runs against each other: to the bit."""
import json
import math

import h5py
import numpy as np

from draw import FILTERS

TRIPLET = np.dtype([("anchor", "i8"), ("positive", "i8"), ("negative", "i8"), ("d_ap", "f8"), ("d_an", "f8"), ("kind", "i8"), ("rank", "i8")])


class Expected:
    """What the judge wrote."""

    def __init__(self, job):
        with open(f"{job.folder}/expected.json") as f:
            self.numbers = json.load(f)
        self.triplets = np.fromfile(f"{job.folder}/triplets.out", TRIPLET)
        self.family = self.numbers.get("family")
        if self.family:
            lines, width = self.family["lines"], self.family["width"]
            lists = np.fromfile(f"{job.folder}/lists.out", "i8")
            ends = np.cumsum([lines, lines, lines * width, lines])
            self.lists = dict(zip(("anchor", "positive", "negative", "d_ap", "d_an"), np.split(lists, ends)))
        self.counted = job.is_counted_only()
        self.gradient = None
        if job.gradient:
            shape = (job.spec["rows"], job.spec["dim"])
            self.gradient = np.fromfile(f"{job.folder}/gradient.out").reshape(shape)
            self.size = np.fromfile(f"{job.folder}/size.out")
            with np.errstate(over="ignore"):
                self.rounded = self.gradient.astype("f4")

    def is_too_long(self):
        """A set of more triplets than may be listed."""
        return self.family is not None and self.family["count"] != self.family["total"] and not self.counted

    def overflows(self):
        return self.gradient is not None and not np.isfinite(self.rounded).all()


def same(a, b):
    return type(a) is type(b) and (a == b and math.copysign(1, a) == math.copysign(1, b) if isinstance(a, float) else a == b)


def differing_numbers(what, wanted, got):
    return [f"{what}.{key} is {got.get(key)!r}, not {wanted[key]!r}" for key in wanted if not same(wanted[key], got.get(key))]


def differing_gradient(job, expected, report, file):
    """What is wrong with a gradient."""
    wrong = []
    names = ["gradient"]
    if job.source == "packed":
        names = ["gradient/anchor", "gradient/positive", f"gradient/{job.store.form}"]
    parts = [file[name][...] for name in names]
    if any(part.dtype != np.dtype("<f4") for part in parts):
        wrong.append(f"gradient of type {parts[0].dtype}")
    got = np.concatenate([part.reshape(-1, job.spec["dim"]) for part in parts])
    if got.shape != expected.rounded.shape:
        return wrong + [f"a gradient of {got.shape[0]} rows, not {expected.rounded.shape[0]}"]
    if expected.numbers["exactly"]:
        bad = got.view("u4") != expected.rounded.view("u4")
    else:
        slack = 2.0**-23 * np.abs(expected.gradient) + 2.0**-149 + 2.0**-51 * sum(got.shape) * expected.size[:, None]
        bad = ~(np.abs(got.astype("f8") - expected.gradient) <= slack)
    if bad.any():
        row, column = np.argwhere(bad)[0]
        wrong.append(f"gradient differs at {int(bad.sum())} of {bad.size} places, the first is row {row}, column {column}: "
                     f"{got[row, column]!r}, not {expected.rounded[row, column]!r} ({expected.gradient[row, column]!r})")
    largest = float(np.abs(got).max(initial=0))
    if report["gradient"]["max_abs"] != largest:
        wrong.append(f"gradient.max_abs is {report['gradient']['max_abs']!r}, the file's is {largest!r}")
    norm = float(np.sqrt((got.astype("f8") ** 2).sum()))
    if not math.isclose(report["gradient"]["norm"], norm, rel_tol=1e-12):
        wrong.append(f"gradient.norm is {report['gradient']['norm']!r}, the file's is {norm!r}")
    return wrong


def differing_triplets(expected, report, file):
    wrong = []
    group = file["triplets"]
    for name, kind in (("anchor", "<i8"), ("positive", "<i8"), ("negative", "<i8"), ("d_ap", "<f8"), ("d_an", "<f8"), ("kind", "|u1"),
                       ("rank", "<i8")):
        got, wanted = group[name][...], expected.triplets[name].astype(kind)
        if got.dtype != np.dtype(kind):
            wrong.append(f"triplets/{name} has type {got.dtype}")
        elif got.shape != wanted.shape:
            return wrong + [f"{got.shape[0]} triplets in the file, not {wanted.shape[0]}"]
        elif got.tobytes() != wanted.tobytes():
            at = int(np.argmax(got.view("u1").reshape(len(got), -1) != wanted.view("u1").reshape(len(got), -1)) // got.itemsize)
            wrong.append(f"triplets/{name}[{at}] is {got[at]!r}, not {wanted[at]!r} (anchor {expected.triplets['anchor'][at]}, "
                         f"positive {expected.triplets['positive'][at]})")
    rows = int(file.attrs["store_rows"])
    if not np.array_equal(group["anchor_start"][...], np.searchsorted(expected.triplets["anchor"], np.arange(rows + 1))):
        wrong.append("triplets/anchor_start does not say where each anchor's triplets begin")
    if text(file.attrs["result_hash"]) != report["result_hash"]:
        wrong.append("result_hash of the file is not that of the report")
    return wrong


def differing_lists(expected, file):
    wrong = []
    lines, width = expected.family["lines"], expected.family["width"]
    kept = expected.lists["negative"].reshape(lines, width)[:, 0] >= 0  # the reference has all pairs, a file those with a negative
    for name, wanted in expected.lists.items():
        wanted = wanted.view("f8") if name.startswith("d_") else wanted
        wanted = (wanted.reshape(lines, width) if name in ("negative", "d_an") else wanted)[kept]
        got = file["lists"][name][...]
        if got.dtype != wanted.dtype or got.shape != wanted.shape:
            wrong.append(f"lists/{name} is {got.dtype} {got.shape}, not {wanted.dtype} {wanted.shape}")
        elif got.tobytes() != wanted.tobytes():
            at = tuple(int(i) for i in np.argwhere(got.view("i8") != wanted.view("i8"))[0])
            wrong.append(f"lists/{name}{list(at)} is {got[at]!r}, not {wanted[at]!r}")
    return wrong


def differing_names(job, file):
    """Labels that are names are kept with the result."""
    if job.store.kind not in ("S", "text", "enum"):
        return ["label_names for labels that are numbers"] if "label_names" in file and job.store.kind != "bool" else []
    wanted = sorted({text(name) for name in job.store.labels})
    if job.store.kind == "enum":
        wanted = [f"name {int(name):03d}" for name in sorted({int(value) for value in job.store.labels})]
    got = [text(name) for name in file["label_names"][...]] if "label_names" in file else []
    return [] if [name for name in got if name in wanted] == wanted else [f"label_names are {got[:5]}, not {wanted[:5]}"]


def text(value):
    return value.decode() if isinstance(value, bytes) else str(value)


def differing_report(job, expected, report):
    """The numbers of a report that are not the expected ones."""
    numbers, source = expected.numbers, job.spec["source"]
    drawn = source == "packed" and job.spec["choice"] == "random" and job.spec["negatives"] > 1
    if drawn:  # which they are is known to the program only: the hardest bound the loss
        wrong = differing_numbers("loss", {"count": job.store.count}, report["loss"])
        if not job.spec["swap"] and report["loss"]["sum"] > numbers["loss"]["sum"]:
            wrong.append("loss.sum is larger than with the hardest of all negatives")
        return wrong
    if job.is_counted_only():
        wrong = differing_numbers("anchors", numbers["anchors"], report["anchors"])
        return wrong + differing_numbers("set", dict(count=expected.family["total"], listed=False), report["set"])
    wrong = differing_numbers("loss", numbers["loss"], report["loss"])
    if job.bins:
        wrong += differing_histogram(job, expected, report)
    if job.margins:
        wrong += differing_margins(job, expected, report)
    if source == "packed":
        counts = numbers["triplets"]
        if job.spec["choice"] == "semihard" and job.spec["negatives"] > 1:
            counts = dict(total=numbers["loss"]["count"], semihard=counts["semihard"], fallback=counts["fallback"],
                          skipped=job.store.count - numbers["loss"]["count"])
            wrong += differing_numbers("triplets", counts, report["triplets"])
        return wrong + differing_numbers("packed", dict(anchors=job.store.count, negatives=job.store.negatives, dim=job.store.dim),
                                         report["packed"])
    wrong += differing_numbers("anchors", numbers["anchors"], report["anchors"])
    wrong += differing_numbers("store", dict(rows=job.store.count, dim=job.store.dim, classes=numbers["classes"]), report["store"])
    if expected.family:
        return wrong + differing_family(job, expected, report)
    if source == "mined":
        wrong += differing_numbers("triplets", numbers["triplets"], report["triplets"])
        wrong += differing_numbers("report", dict(positive_pairs=numbers["positive_pairs"]), report)
    else:
        wrong += differing_numbers("triplets", dict(total=numbers["loss"]["count"]), report["triplets"])
    return wrong


def statistics_of(report, wanted):
    """A report's statistics; where a memory limit left no room for quartiles, and a warning says so, with those that are wanted."""
    seen = {name: dict(of) for name, of in report["statistics"].items()}
    if any(warning.startswith("no quartiles") for warning in report["warnings"]):
        for name in seen.keys() & wanted.keys():
            seen[name].update({key: wanted[name][key] for key in ("median", "q1", "q3") if seen[name][key] is None})
    return seen


def differing_histogram(job, expected, report):
    """Against numpy's, of the triplets of the judge."""
    wrong, d_ap, d_an = [], expected.triplets["d_ap"], expected.triplets["d_an"]
    for name, values in dict(d_ap=d_ap, d_an=d_an, gap=d_an - d_ap).items():
        counts, edges = np.histogram(values, job.bins)
        wrong += differing_numbers(f"histogram.{name}", dict(edges=edges.tolist(), counts=counts.tolist()), report["histogram"][name])
    return wrong


def differing_margins(job, expected, report):
    """Each margin's loss, with the sum by fsum, which rounds once."""
    wrong, gap = [], expected.triplets["d_an"] - expected.triplets["d_ap"]
    for k, margin in enumerate(job.margins):
        active = expected.triplets[gap < margin]
        total = math.fsum([*active["d_ap"], *(-active["d_an"]), *([margin] * len(active))])
        semihard = (gap > 0) & (gap < margin) & (expected.triplets["kind"] == 0)
        wanted = dict(margin=margin, triplets=len(gap), semihard=int(semihard.sum()), active=len(active),
                      active_share=len(active) / len(gap) if len(gap) else 0.0, loss_sum=total,
                      mean_all=total / len(gap) if len(gap) else 0.0, mean_nonzero=total / len(active) if len(active) else 0.0)
        wrong += differing_numbers(f"margins[{k}]", wanted, report["margins"][k])
    return wrong


def differing_family(job, expected, report):
    family, asked = expected.family, job.spec["family"]
    counts = dict(total=family["total"], semihard=family["total"] - family["fallback"], fallback=family["fallback"],
                  skipped=family["skipped"])
    wrong = differing_numbers("triplets", counts, report["triplets"])
    wrong += differing_numbers("report", dict(positive_pairs=family["positive_pairs"]), report)
    statistics = statistics_of(report, family["statistics"])
    for name, wanted in family["statistics"].items():
        if wanted["count"] == 0:  # no values
            wanted = {key: 0 if key == "count" else None for key in wanted}
        wrong += differing_numbers(f"statistics.{name}", wanted, statistics[name])
    if asked["emit"]:
        wrong += differing_numbers("set", dict(count=family["total"], listed=True), report["set"])
    elif asked["negatives"] != "semihard":
        wrong += differing_numbers("filters", dict(short_anchors=family["short_anchors"]), report["filters"])
    for name, removed in zip(FILTERS, family["removed"]):
        if name in asked["filters"]:
            wrong += differing_numbers(f"filters.{name}", dict(removed=removed), report["filters"][name.replace("-", "_")])
    return wrong


def differing_parts(job, report):
    """The ranks' parts must add up to the whole."""
    parts, wrong = report["ranks"], []
    if sum(part["rows"] for part in parts) != job.store.count:
        wrong.append("the ranks' rows don't add up")
    if sum(part["triplets"] for part in parts) != report["loss"]["count"]:
        wrong.append("the ranks' triplets don't add up")
    size = sum(abs(part["loss_sum"]) for part in parts)
    if not abs(sum(part["loss_sum"] for part in parts) - report["loss"]["sum"]) <= 1e-14 * size:
        wrong.append("the ranks' loss sums don't add up")
    return wrong


def judge_run(job, expected, run, path):
    """Everything that is wrong with a run that ended well; path: its output or None."""
    try:
        report = json.loads(run.stdout)
    except ValueError as problem:
        return [f"its report is not JSON: {problem}"]
    wrong = differing_report(job, expected, report) + differing_parts(job, report)
    if path is not None:
        with h5py.File(path, "r") as file:
            if file.attrs.get("complete") != 1:
                wrong.append("the file is not complete")
            if job.command == "mine" and job.spec.get("family", {}).get("lists"):
                wrong += differing_lists(expected, file)
            elif job.command == "mine" and not job.is_counted_only():
                wrong += differing_triplets(expected, report, file)
            if job.command == "mine":
                wrong += differing_names(job, file)
            drawn = job.spec["source"] == "packed" and job.spec["choice"] == "random" and job.spec["negatives"] > 1
            if job.gradient and not drawn:
                wrong += differing_gradient(job, expected, report, file)
    return wrong


def contents(path):
    """Everything in a result that a reader can see."""
    seen = {}

    def look(name, item):
        seen[name] = "group"
        if isinstance(item, h5py.Dataset):
            seen[name] = (str(item.dtype), item.shape, repr(list(item)) if item.dtype.hasobject else item[...].tobytes())
        seen.update({f"{name}@{key}": repr(value) for key, value in item.attrs.items()})

    with h5py.File(path, "r") as file:
        file.visititems(look)
        seen.update({f"@{key}": repr(value) for key, value in file.attrs.items()})
    return seen


# What may differ between two runs of the same job.
OF_A_RUN = ("run", "ranks", "certify", "checkpoint", "warnings", "output")


def differing_runs(first, first_path, run, path):
    """Two runs of the same job in different ways."""
    a, b = json.loads(first.stdout), json.loads(run.stdout)
    wrong = []
    if "statistics" in a and "statistics" in b:
        b["statistics"] = statistics_of(b, a["statistics"])
    for key in sorted(set(a) | set(b)):
        x, y = a.get(key), b.get(key)
        if key not in OF_A_RUN and json.dumps(x, sort_keys=True) != json.dumps(y, sort_keys=True):
            wrong.append(f"{key} was {json.dumps(x)} in the first run, and is {json.dumps(y)}")
    if path is not None:
        a, b = contents(first_path), contents(path)
        wrong += [f"{name} in the file is not as in the first run's" for name in sorted(set(a) | set(b)) if a.get(name) != b.get(name)]
    return wrong
