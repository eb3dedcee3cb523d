"""The page of a result of loss: how the gradient is spread over the rows. A result of mine with --gradient has this section, too."""
import h5py
import numpy as np

from .errors import data
from .reading import reading
from .report_data import PIECE
from .report_parts import (CLASSES_SHOWN, GIVE_STORE, HUBS_SHOWN, SORT_HINT, card, count, figure, first_shown, histogram, most_of, no_pictures, part_of, percent, section,
                           table, typed)
from .report_svg import BLUE, ORANGE, esc, number

SETS = {"store": "rows", "queries": "queries", "anchor": "anchors", "positive": "positives", "negative": "negatives", "negatives": "lists of negatives"}


def norms_of(result, dataset, name):
    """The length of each row's gradient."""
    if not isinstance(dataset, h5py.Dataset) or dataset.dtype.kind != "f" or dataset.ndim < 2:
        raise data(f"result '{result.path}': dataset '{name}' is no gradient")
    width = max(1, int(np.prod(dataset.shape[1:], dtype=np.int64)))
    step = max(1, PIECE // width)
    norms = np.zeros(dataset.shape[0])
    for first in range(0, len(norms), step):
        with reading("result", result.path):
            some = dataset[first:first + step].astype(np.float64).reshape(-1, width)
        norms[first:first + step] = np.sqrt(np.einsum("ij,ij->i", some, some))
    if not np.isfinite(norms).all():
        raise data(f"result '{result.path}': dataset '{name}' has a value that is not finite")
    return norms


def gradients_of(result):
    """Norms by the name of their set: of a store, of both sets, or of packed triplets; empty where there is no gradient."""
    with reading("result", result.path):
        found = result.gradients()
        parts = {name: found[name] for name in SETS if name in found}
    return {name: norms_of(result, dataset, f"gradient/{name}") for name, dataset in parts.items()}


def length(norms):
    return float(np.sqrt(np.dot(norms, norms)))


def rows_of(about, name, norms):
    """What is known of the rows of a set; None of packed ones."""
    rows, expected = {"store": (about.rows, about.result.rows), "queries": (about.anchors, about.result.anchor_rows)}.get(name, (None, 0))
    if rows is not None and len(norms) != expected:
        raise data(f"result '{about.result.path}': its gradient is not of {expected} rows")
    return rows


def summary(gradients):
    rows = []
    for name, norms in gradients.items():
        moved = int(np.count_nonzero(norms))
        values = (norms.mean(), np.median(norms), norms.max()) if len(norms) else (None,) * 3
        rows.append([SETS[name], count(len(norms)), count(moved), percent(moved, len(norms)), number(length(norms)), *(number(v if v is None else float(v)) for v in values)])
    heads = [("of", False), ("rows", True), ("with a gradient", True), ("share", True), ("norm of all", True), ("mean norm", True), ("half", True), ("largest", True)]
    return table("Gradients", heads, rows, name="gradients")


def plot(name, norms):
    """Of norms as powers of ten: a few rows have far more than most."""
    moved = np.log10(norms[norms > 0])
    counts, edges = np.histogram(moved, 40, (float(moved.min()), float(moved.max())) if moved.max() > moved.min() else (float(moved[0]) - 1, float(moved[0]) + 1))
    caption = f"{SETS[name].capitalize()} that have a gradient, by its norm, as powers of ten."
    return figure(histogram(f"g-{name}", caption, edges, counts, "norm of the gradient", "rows", BLUE, x_text=lambda v: number(10.0 ** v)), caption)


def by_class(rows, norms):
    if not rows.labels:
        return GIVE_STORE
    labels = rows.labels
    squares = np.bincount(labels.codes, norms ** 2, len(labels.names))
    moved, sums = (np.bincount(labels.codes, values, len(labels.names)) for values in (norms > 0, norms))
    there = np.flatnonzero(labels.sizes)
    lines = []
    for c in there[np.lexsort((there, -squares[there]))][:CLASSES_SHOWN].tolist():
        mean = float(sums[c] / labels.sizes[c])
        lines.append([(esc(labels.shown[c]), labels.shown[c]), (count(labels.sizes[c]), int(labels.sizes[c])), (count(moved[c]), int(moved[c])), (number(mean), repr(mean)),
                      (percent(float(squares[c]), float(squares.sum())), float(squares[c]))])
    heads = [("class", False), ("rows", True), ("with a gradient", True), ("mean norm", True), ("share of the squares", True)]
    return table("Gradient by class", heads, lines, sortable=True, name="gradient-by-class") + first_shown(len(lines), len(there)) + f'<p class="hint">{SORT_HINT}</p>'


def gradient_section(about, gradients):
    """One section of all gradients that a result has."""
    body, pictures = summary(gradients), None
    drawn = [plot(name, norms) for name, norms in gradients.items() if norms.any()]
    body += f'<div class="plots">{"".join(drawn)}</div>' if drawn else ""
    for name, norms in gradients.items():
        rows = rows_of(about, name, norms)
        if rows is None or not norms.any():
            continue
        cards = "".join(card(rows, r, "", ORANGE, f"<span>{number(float(norms[r]))}</span>") for r in most_of(norms, HUBS_SHOWN) if norms[r] > 0)
        body += f'<h3>{"Queries" if name == "queries" else "Rows"} with the largest gradient</h3><div class="hubs">{cards}</div>'
        if name == "store":
            body, pictures = body + "<h3>Classes</h3>" + by_class(rows, norms), no_pictures(rows)
    return section("gradient", "Gradient", body, f"How far each row is moved. Training is led by few rows where few have most of it; these are worth a look. {pictures or ''}")


def verdict(about, gradients):
    attrs, loss = about.result.attributes, part_of(about.report, "loss")
    said = [f"The loss {attrs.get('loss', '')} is {number(float(attrs.get('value', float('nan'))))} at the margin {typed(float(attrs.get('margin', float('nan'))))}."]
    if loss.get("count"):
        said.append(f"{percent(loss.get('active') or 0, loss['count'])} of {count(loss['count'])} triplets are active.")
    for name, norms in gradients.items():
        if name in ("store", "anchor") and len(norms):
            top = np.sort(norms)[::-1][:max(1, len(norms) // 100)]
            share = f"; a hundredth of all has {percent(float((top ** 2).sum()), float((norms ** 2).sum()))} of the squares" if len(norms) >= 1000 and norms.any() else ""
            said.append(f"{percent(int(np.count_nonzero(norms)), len(norms))} of the {SETS[name]} have a gradient{share}.")
    return said


def make(about):
    gradients = gradients_of(about.result)
    return verdict(about, gradients), [gradient_section(about, gradients)]
