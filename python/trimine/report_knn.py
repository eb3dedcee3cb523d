"""The page of a result of knn: whose neighbours are whose, how many have the label of their row, hubs, rows among strangers."""
import numpy as np

from .errors import data
from .reading import reading, text_of
from .report_data import PIECE
from .report_facts import SORTED, ClassPairs, Series
from .report_parts import (CLASSES_SHOWN, EXAMPLES_SHOWN, GIVE_STORE, SORT_HINT, card, confusion_section, count, example, examples, figure, first_shown,
                           histogram, hubs_section, key, meter, no_pictures, outside_text, part_of, percent, section, several, table, whole_bins)
from .report_svg import BLUE, GREEN, GREY, ORANGE, Plot, esc, number

PLACES = 24     # of a list that are told of, at most
NEIGHBOURS = 3  # that an example shows
QUANTILES = ((1, "10 %"), (3, "half"), (5, "90 %"))  # of report_facts.QUANTILES


def places_of(k):
    """Places of a list, the first one 0: all, or of long lists the first ones and then fewer and fewer."""
    return sorted({int(p) for p in np.unique(np.round(np.geomspace(1, k, PLACES)))}) if k > PLACES else list(range(1, k + 1))


class Facts:
    """What the lists say. Told in one walk over them, or two where there are too many distances to sort."""

    def __init__(self, about):
        result = self.result = about.result
        self.labels, self.own = about.rows.labels, about.anchors.labels
        self.neighbors, self.distances = (result.dataset(name) for name in ("neighbors", "distances"))
        self.rows, self.k = self.neighbors.shape
        self.places = places_of(self.k)
        self.exact = self.rows * len(self.places) <= SORTED
        self.series = [Series(self.rows if self.exact else 0) for _ in self.places]
        self.occurrence = np.zeros(result.rows, np.int64)
        self.found = np.zeros(self.rows, np.int32)          # neighbours of each row
        self.nearest = np.full(self.rows, np.inf)           # distance of its first
        self.by_place, self.same_by_place = np.zeros(self.k, np.int64), np.zeros(self.k, np.int64)
        self.same = np.zeros(self.rows, np.int32)           # neighbours with its own label
        self.confused = ClassPairs(len(self.labels.names)) if self.labels else None
        for first, near, distance in self.pieces():
            self.see(first, near, distance)
        if not self.exact:
            self.look_again()
        for series in self.series:
            if series.count:
                series.find_quantiles()
        self.total = int(self.by_place.sum())

    def pieces(self):
        step = max(1, PIECE // max(1, self.k))
        for first in range(0, self.rows, step):
            with reading("result", self.result.path):
                near, distance = self.neighbors[first:first + step], self.distances[first:first + step].astype(np.float64)
            if near.size and not (-1 <= near.min() and near.max() < self.result.rows):
                raise data(f"result '{self.result.path}': dataset 'neighbors' has a row id outside the store's {self.result.rows} rows")
            if not np.isfinite(distance[near >= 0]).all():
                raise data(f"result '{self.result.path}': dataset 'distances' has a distance that is not finite")
            yield first, near, distance

    def see(self, first, near, distance):
        there = near >= 0
        part = slice(first, first + len(near))
        self.found[part] = there.sum(1)
        self.by_place += there.sum(0)
        self.occurrence += np.bincount(near[there], minlength=len(self.occurrence))
        if self.k:
            self.nearest[part] = np.where(there[:, 0], distance[:, 0], np.inf)
        for place, series in zip(self.places, self.series):
            series.see(distance[there[:, place - 1], place - 1])
        if self.labels:
            own, other = self.own.codes[part][:, None], self.labels.codes[np.maximum(near, 0)]
            same = (own == other) & there
            self.same[part] = same.sum(1)
            self.same_by_place += same.sum(0)
            self.confused.see(np.broadcast_to(own, near.shape)[there], other[there], ~same[there])

    def look_again(self):
        for series in self.series:
            if series.count:
                series.begin_fine()
        for _, near, distance in self.pieces():
            for place, series in zip(self.places, self.series):
                if series.count:
                    series.see_fine(distance[near[:, place - 1] >= 0, place - 1])

    def ignored(self, report):
        """Rows of the store that take no part: they are nobody's neighbour, and do not count as such."""
        if report:
            return int(part_of(report, "rows").get("ignored") or 0)
        given = self.result.options.get("ignore_label")
        given = [str(label) for label in (given if isinstance(given, list) else [given])]
        return sum(int(size) for name, size in zip(self.labels.names, self.labels.sizes) if text_of(name) in given) if self.labels else 0

    def spread(self, ignored):
        """Mean, standard deviation and skewness of how often a row is somebody's neighbour."""
        rows = max(1, len(self.occurrence) - ignored)
        mean = self.total / rows
        square, cube = (float((np.power(self.occurrence - mean, p)).sum() - ignored * (-mean) ** p) / rows for p in (2, 3))
        deviation = max(0.0, square) ** 0.5
        return mean, deviation, cube / deviation ** 3 if deviation > 0 else 0.0


# ---- the verdict ----


def verdict(facts, spread):
    if not facts.total:
        return ["No row has a neighbour: there is none that the options let through."]
    among = facts.result.options.get("among", "any")
    said = [f"{count(facts.total)} neighbours of {several(int((facts.found > 0).sum()), 'row', 'rows')}, up to {facts.k} each."]
    if facts.labels and among == "any":
        said.insert(0, f"{percent(int(facts.same.sum()), facts.total)} of the neighbours have the label of the row whose neighbours they are; "
                       f"of the nearest ones {percent(int(facts.same_by_place[0]), int(facts.by_place[0]))}.")
    elif among != "any":
        said[0] = f"{said[0][:-1]}, of rows with {'the same label' if among == 'same' else 'another label'} only."
    short = int((facts.found < facts.k).sum())
    if short:
        said.append(f"{several(short, 'list comes', 'lists come')} short.")
    if spread[2] > 1:
        said.append(f"A few hubs crowd into everybody's list (skewness {number(spread[2])}).")
    return said


# ---- sections ----


def share_plot(facts):
    shares = [100.0 * facts.same_by_place[p - 1] / max(1, facts.by_place[p - 1]) for p in facts.places]
    plot = Plot("own", "The share of neighbours with the row's own label, by their place in the list; the table has numbers.", 1.0, float(max(2, facts.k)), 100.0,
                "place in the list", "own label", lambda v: f"{v:g} %")
    plot.line(facts.places, shares, BLUE)
    for place, share in zip(facts.places, shares):
        plot.dot(place, share, BLUE)
    return figure(plot.svg(), "The share of neighbours that have the label of their row.")


def distance_plot(facts):
    seen = [(p, s) for p, s in zip(facts.places, facts.series) if s.count]
    values = [s.quantiles[q] for _, s in seen for q, _ in QUANTILES]
    plot = Plot("far", "Distances of the neighbours by their place in the list; the table has numbers.", 1.0, float(max(2, facts.k)), max(values),
                "place in the list", f"distance ({facts.result.metric})", number, min(0.0, *values))
    for (q, _), colour, dashed in zip(QUANTILES, (GREEN, BLUE, ORANGE), (True, False, True)):
        plot.line([p for p, _ in seen], [s.quantiles[q] for _, s in seen], colour, dashed)
    keys = [key(colour, text, dashed) for (_, text), colour, dashed in zip(QUANTILES, (GREEN, BLUE, ORANGE), (True, False, True))]
    return figure(plot.svg(), f"Half of the rows have their neighbour of that place nearer than the line in the middle, a tenth (nine tenths) nearer than the others: {' '.join(keys)}")


def places_section(facts):
    if not facts.total:
        return None
    labelled = facts.labels and facts.result.options.get("among", "any") == "any"
    heads = [("place", True), ("neighbours", True), *((text, True) for _, text in QUANTILES), ("mean distance", True)] + ([("own label", True)] if labelled else [])
    rows = []
    for place, series in zip(facts.places, facts.series):
        if series.count:
            rows.append([str(place), count(series.count), *(number(series.quantiles[q]) for q, _ in QUANTILES), number(series.mean)] +
                        ([percent(int(facts.same_by_place[place - 1]), int(facts.by_place[place - 1]))] if labelled else []))
    about = "" if facts.exact else " There are too many to sort: the quantiles are good to about four digits of the range."
    body = (f'<div class="plots">{distance_plot(facts)}{share_plot(facts) if labelled else ""}</div>' +
            table("Neighbours by their place in the list", heads, rows, name="place-table"))
    return section("places", "From the nearest to the last", body, f"The first place is the nearest neighbour. “10 %”: a tenth of the rows has it nearer.{about}", "Distances")


def occurrence_section(facts, spread, ignored):
    counts = np.bincount(facts.occurrence, minlength=1)
    counts[0] -= min(ignored, int(counts[0]))
    edges, shown = whole_bins(counts)
    outside = int(counts.sum() - shown.sum())
    plot = figure(histogram("often", "How many rows are so often somebody's neighbour; the table has what matters.", edges, shown, "times in a list", "rows", BLUE,
                            (spread[0], f"mean {number(spread[0])}")), "How often rows are a neighbour of others." + outside_text(outside, "row lies", "rows lie"))
    rows = [["mean", number(spread[0])], ["standard deviation", number(spread[1])], ["skewness", number(spread[2])],
            ["rows that are nobody's neighbour", count(int(counts[0]))], ["most often", count(facts.occurrence.max(initial=0))]]
    body = f'<div class="side"><div class="half">{plot}</div><div>{table("How often rows are neighbours", [("of the counts", False), ("value", True)], rows, name="occurrence-table")}</div></div>'
    return section("occurrence", "How often a row is a neighbour", body, "A skewness well above 1 says that a few hubs are in everybody's list, as happens in many dimensions.", "Occurrence")


def classes_section(facts):
    if not facts.labels:
        return section("classes", "Classes", GIVE_STORE)
    names, sizes = facts.own.shown, facts.own.sizes
    found, same = (np.bincount(facts.own.codes, values, len(names)) for values in (facts.found, facts.same))
    share = np.where(found > 0, same / np.maximum(found, 1), 2.0)
    there = np.flatnonzero(sizes)
    rows = []
    for c in there[np.lexsort((there, share[there]))][:CLASSES_SHOWN].tolist():
        worst = facts.confused.worst(c, True)
        partner = facts.labels.shown[worst] if worst is not None else "–"
        own = same[c] / found[c] if found[c] else 0.0
        rows.append([(esc(names[c]), names[c]), (count(sizes[c]), int(sizes[c])), (count(found[c]), int(found[c])), (percent(same[c], found[c]), own if found[c] else -1),
                     meter(own), (esc(partner), partner)])
    heads = [("class", False), ("rows", True), ("neighbours", True), ("own label", True), ("as a bar", False), ("else most often", False)]
    return section("classes", "Classes", table("Neighbours by the class of their row", heads, rows, sortable=True, name="by-class") + first_shown(len(rows), len(there)),
                   "Of the rows of each class, those whose neighbours have their label least often first." + SORT_HINT)


def listed(about, facts, row, said):
    with reading("result", facts.result.path):
        near, distance = facts.neighbors[row, :NEIGHBOURS], facts.distances[row, :NEIGHBOURS]
    cards = [card(about.anchors, row, "row", GREY)]
    cards += [card(about.rows, int(n), "nearest" if i == 0 else f"place {i + 1}", BLUE, f"<span>{number(float(d))}</span>") for i, (n, d) in enumerate(zip(near, distance)) if n >= 0]
    return example(cards, said)


def examples_section(about, facts):
    out, there = [], facts.found > 0
    if facts.labels and facts.result.options.get("among", "any") == "any":
        lost = np.flatnonzero(there & (facts.same == 0))
        lost = lost[np.argsort(facts.nearest[lost], kind="stable")][:EXAMPLES_SHOWN]
        out.append(examples("Among strangers", "None of their neighbours has their label, and the nearest is very near: labels to look at.",
                            [listed(about, facts, int(r), f"0 of {facts.found[r]} neighbours have its label") for r in lost]))
    far = np.flatnonzero(there)
    far = far[np.argsort(-facts.nearest[far], kind="stable")][:EXAMPLES_SHOWN]
    out.append(examples("Far from all others", "The rows whose nearest neighbour is farthest: outliers.",
                        [listed(about, facts, int(r), f"nearest at {number(float(facts.nearest[r]))}") for r in far]))
    near = np.flatnonzero(there)
    near = near[np.argsort(facts.nearest[near], kind="stable")][:EXAMPLES_SHOWN]
    out.append(examples("Nearest of all", "The rows with the nearest neighbours: copies show up here. <code>trimine radius</code> lists all of them.",
                        [listed(about, facts, int(r), f"nearest at {number(float(facts.nearest[r]))}") for r in near]))
    return section("examples", "Examples", "".join(out), no_pictures(about.rows)) if far.size else None


def make(about):
    facts = Facts(about)
    ignored = facts.ignored(about.report)
    spread = facts.spread(ignored)
    confusions = confusion_section(facts.confused, facts.labels.shown, True, facts.total, ("row", "neighbour", "neighbours"),
                                   "Neighbours with another label, by the class of the row and that of the neighbour.",
                                   "A line of the grid is a row's class, a column a neighbour's; darker is more.") if facts.labels and facts.total else None
    hubs = hubs_section(facts.occurrence, facts.total, about.rows, "{} a neighbour at least once: {} of the store.", "The most frequent {} rows (1 %) have {} of the places.",
                        "The rows that are most often in a list, and how often.") if facts.total else None
    return verdict(facts, spread), [places_section(facts), occurrence_section(facts, spread, ignored), hubs, classes_section(facts), confusions,
                                    examples_section(about, facts)]
