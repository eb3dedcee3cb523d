"""The page of a result of radius: how many pairs are how near, groups, rows that are nearly the same with different labels, rows
that are near nothing."""
import numpy as np

from .errors import data
from .reading import reading
from .report_data import PIECE
from .report_facts import ClassPairs, Smallest
from .report_parts import (EXAMPLES_SHOWN, HUBS_SHOWN, card, class_name, confusion_section, count, example, examples, figure, histogram, hubs_section, meter,
                           no_pictures, outside_text, percent, section, several, table, typed, whole_bins)
from .report_svg import BLUE, GREEN, GREY, ORANGE, esc, number

GROUPS_SHOWN = 10
MEMBERS_SHOWN = 8
NAMES_SHOWN = 4  # classes of a group
SIZES = (2, 3, 4, 5, 10, 100, 1000, 10**4, 10**5, 10**6)  # where groups are counted together


class Pairs:
    """Some pairs, as columns of one length."""

    def __init__(self, a, b, distance):
        self.a, self.b, self.distance = a, b, distance


class Facts:
    """What the pairs say, in one walk over them."""

    def __init__(self, about):
        result = self.result = about.result
        self.labels, self.own = about.rows.labels, about.anchors.labels
        self.radius = result.options.get("radius")
        self.among = result.options.get("among", "any")
        self.columns = [result.dataset(name) for name in ("a", "b", "distance")]
        self.total = self.columns[0].shape[0]
        with reading("result", result.path):
            self.degree = result.dataset("degree")[:]
            self.edges, self.counts = result.dataset("edges")[:], result.dataset("counts")[:]
            self.group = result.dataset("group")[:] if "group" in result.names else None
        self.check()
        self.conflicts = 0
        self.nearest, self.wrong = Smallest(("a", "b"), ("distance",)), Smallest(("a", "b"), ("distance",))
        self.confused = ClassPairs(len(self.labels.names)) if self.labels else None
        for piece in self.pieces():
            self.see(piece)
        self.members()

    def check(self):
        rows, path = self.result.anchor_rows, self.result.path
        if len(self.edges) != len(self.counts) + 1 or not np.isfinite(self.edges).all():
            raise data(f"result '{path}': 'histogram/edges' has no bin for each of 'histogram/counts'")
        if self.group is not None and rows and not -1 <= self.group.min() <= self.group.max() < rows:
            raise data(f"result '{path}': 'group' has a number outside its {rows} rows")

    def pieces(self):
        for first in range(0, self.total, PIECE):
            with reading("result", self.result.path):
                a, b, distance = (column[first:first + PIECE] for column in self.columns)
            for ids, rows in ((a, self.result.anchor_rows), (b, self.result.rows)):
                if not (0 <= ids.min() and ids.max() < rows):
                    raise data(f"result '{self.result.path}': a pair has a row id outside the {rows} rows")
            if not np.isfinite(distance).all():
                raise data(f"result '{self.result.path}': dataset 'pairs/distance' has a distance that is not finite")
            yield Pairs(a, b, distance.astype(np.float64))

    def see(self, piece):
        self.nearest.see(piece.distance, piece)
        if not self.labels:
            return
        a, b = self.own.codes[piece.a], self.labels.codes[piece.b]
        differ = a != b
        self.conflicts += int(differ.sum())
        self.wrong.see(np.where(differ, piece.distance, np.inf), piece)
        if not self.result.two_sets:  # a pair has no first row
            a, b = np.minimum(a, b), np.maximum(a, b)
        self.confused.see(a, b, differ)

    def members(self):
        """Rows in the order of their groups: those of two or more, the largest first."""
        if self.group is None:
            return
        took_part = np.flatnonzero(self.group >= 0)
        self.order = took_part[np.argsort(self.group[took_part], kind="stable")]
        ids, self.start, sizes = np.unique(self.group[self.order], return_index=True, return_counts=True)
        self.alone = int((sizes == 1).sum())
        real = np.flatnonzero(sizes > 1)
        self.groups = real[np.lexsort((ids[real], -sizes[real]))]
        self.sizes = sizes

    def of_group(self, g):
        return self.order[self.start[g]:self.start[g] + self.sizes[g]]

    @property
    def ignored(self):
        return int((self.degree < 0).sum())

    @property
    def isolated(self):
        return np.flatnonzero(self.degree == 0)


def within(facts):
    return typed(facts.radius) if isinstance(facts.radius, (int, float)) else "the radius"


def verdict(facts):
    rows = len(facts.degree) - facts.ignored
    near = rows - len(facts.isolated)
    what = {"any": "", "same": " with the same label", "other": " with different labels"}.get(facts.among, "")
    if facts.result.two_sets:
        said = [f"{percent(near, rows)} of {several(rows, 'query', 'queries')} have a row of the store within {within(facts)}: {several(facts.total, 'pair', 'pairs')}{what}."]
    else:
        said = [f"{several(facts.total, 'pair', 'pairs')} of rows{what} {'is' if facts.total == 1 else 'are'} within {within(facts)}: {percent(near, rows)} of {several(rows, 'row', 'rows')} have another one that near."]
    if facts.group is not None and len(facts.groups):
        gone = int((facts.sizes[facts.groups] - 1).sum())
        said.append(f"They make {several(len(facts.groups), 'group', 'groups')}; keeping one row of each leaves {count(rows - gone)} rows.")
    if facts.labels and facts.conflicts and facts.among != "other":
        said.append(f"In {percent(facts.conflicts, facts.total)} of the pairs the two rows have different labels.")
    if facts.labels and facts.conflicts:
        a, b, _ = facts.confused.most(1, True)[0]
        said.append(f"Most often {class_name(facts.labels.shown[a])} with {class_name(facts.labels.shown[b])}.")
    return said


# ---- sections ----


def distances_section(facts):
    degree = facts.degree[facts.degree >= 0]
    many = np.bincount(degree) if len(degree) else np.zeros(1, np.int64)
    edges, shown = whole_bins(many)
    far = figure(histogram("near", "Pairs by their distance.", facts.edges, facts.counts, f"distance ({facts.result.metric})", "pairs", GREEN),
                 "Pairs by their distance, up to the radius. A heap at the left that stands apart is copies; the gap behind it is a good radius for them.")
    what = "queries" if facts.result.two_sets else "rows"
    about = f"{what.capitalize()} by the number of pairs that they are in."
    per_row = figure(histogram("degree", about, edges, shown, "pairs that each is in", what, BLUE), about + outside_text(int(many.sum() - shown.sum()), "row lies", "rows lie"))
    sums = np.cumsum(facts.counts)
    at = range(len(facts.counts))
    rows = [[number(float(facts.edges[i + 1])), count(facts.counts[i]), count(sums[i]), meter(float(sums[i]) / max(1, int(sums[-1])))] for i in at]
    body = f'<div class="plots">{far}{per_row}</div>' + table("Pairs by their distance", [("distance up to", True), ("pairs", True), ("so far", True), ("as a bar", False)], rows, name="within")
    return section("distances", "Distances", body)


def size_text(low, next_low):
    return str(low) if next_low == low + 1 else f"{count(low)} to {count(next_low - 1)}" if next_low else f"{count(low)} or more"


def sizes_table(facts):
    sizes = facts.sizes[facts.groups]
    rows = []
    for low, end in zip(SIZES, (*SIZES[1:], None)):
        inside = sizes[(sizes >= low) & ((sizes < end) if end else True)]
        if len(inside):
            rows.append([size_text(low, end), count(len(inside)), count(int(inside.sum()))])
    return table("Groups by their size", [("rows in a group", False), ("groups", True), ("rows", True)], rows, name="sizes")


def labels_text(labels, members):
    codes, counts = np.unique(labels.codes[members], return_counts=True)
    order = np.lexsort((codes, -counts))
    said = [f"{count(counts[i])} {labels.shown[codes[i]]}" for i in order[:NAMES_SHOWN]]
    return ", ".join(said) + (f" and {several(len(codes) - NAMES_SHOWN, 'class', 'classes')} more" if len(codes) > NAMES_SHOWN else "")


def group_html(about, facts, g):
    members = facts.of_group(g)
    cards = "".join(card(about.anchors, int(r), "", GREY) for r in members[:MEMBERS_SHOWN])
    classes = f": {esc(labels_text(facts.own, members))}" if facts.own else ""
    return f"<h3>Row {int(members[0])}'s group, {several(len(members), 'row', 'rows')}{classes}</h3>" + f'<div class="hubs">{cards}</div>'


def groups_section(about, facts):
    if facts.result.two_sets:
        return None
    if facts.group is None:
        return section("groups", "Groups", '<p class="hint">With <code>--groups</code> the result says which rows are connected by pairs.</p>')
    if not len(facts.groups):
        return section("groups", "Groups", "<p>No two rows are in a group.</p>")
    shown = facts.groups[:GROUPS_SHOWN]
    body = sizes_table(facts) + f"<p>{several(facts.alone, 'row is', 'rows are')} alone.</p>" + "".join(group_html(about, facts, int(g)) for g in shown)
    if len(facts.groups) > len(shown):
        body += f'<p class="hint">{several(len(facts.groups) - len(shown), "smaller group is", "smaller groups are")} not shown.</p>'
    return section("groups", "Groups", body, f"Rows that pairs connect, directly or over others, with the first {MEMBERS_SHOWN} rows of the largest groups. "
                   "The first row is the one with the lowest number.")


def pair(about, row):
    cards = [card(about.anchors, row["a"], "query" if about.result.two_sets else "row", GREY), card(about.rows, row["b"], "near it", ORANGE)]
    return example(cards, f'distance {number(row["distance"])}')


def conflicts_section(about, facts):
    if not facts.labels:
        return section("conflicts", "Label conflicts", '<p class="hint">Give the store and its labels, and this page tells which pairs have different labels; where the store has no labels inside, as a <code>.npy</code>, by <code>--labels FILE</code>.</p>')
    if not facts.conflicts:
        return section("conflicts", "Label conflicts", f"<p>{'Only pairs with the same label were looked for.' if facts.among == 'same' else 'No pair has different labels.'}</p>")
    body = f"<p>{several(facts.conflicts, 'pair has', 'pairs have')} different labels: {percent(facts.conflicts, facts.total)} of the pairs.</p>"
    return section("conflicts", "Label conflicts", body + examples("The nearest", "Nearly the same, with different labels: wrong labels, or classes that can't be told apart.",
                                                                   [pair(about, row) for row in facts.wrong.shown(EXAMPLES_SHOWN)]))


def isolated_section(about, facts):
    rows = facts.isolated
    what = "queries" if facts.result.two_sets else "rows"
    said = f"<p>{several(len(rows), what[:-1] if what == 'rows' else 'query', what)} of {count(len(facts.degree) - facts.ignored)} {'is' if len(rows) == 1 else 'are'} in no pair.</p>"
    cards = "".join(card(about.anchors, int(r), "", GREY) for r in rows[:HUBS_SHOWN])
    return section("isolated", "Isolated", said + (f'<div class="hubs">{cards}</div>' if len(rows) else ""),
                   f"Of a large radius these are outliers. The first {HUBS_SHOWN} are shown; <code>/isolated</code> has all of them." if len(rows) else None)


def make(about):
    facts = Facts(about)
    degree = np.maximum(facts.degree, 0)
    confusions = confusion_section(facts.confused, facts.labels.shown, True, facts.total, ("label", "other label", "pairs"), "Pairs with different labels, by the two classes.",
                                   "Darker is more." if not facts.result.two_sets else "A line of the grid is a query's class, a column a store's row; darker is more.") \
        if facts.labels and facts.conflicts else None
    hubs = hubs_section(degree, facts.total, about.anchors, "{} in a pair: {}.", "The most frequent {} (1 %) are in {} of the pairs, counted twice where both of a pair are.",
                        "The rows that are in most pairs, and in how many.") if facts.total else None
    nearest = section("examples", "Nearest pairs", examples("Nearest of all", "Each first row comes once, a second one twice at most.", [pair(about, r) for r in facts.nearest.shown(EXAMPLES_SHOWN)]),
                      no_pictures(about.rows)) if facts.total else None
    return verdict(facts), [distances_section(facts), groups_section(about, facts), conflicts_section(about, facts), confusions, nearest, hubs, isolated_section(about, facts)]
