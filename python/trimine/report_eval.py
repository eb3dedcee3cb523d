"""The page of a result of eval: what the ranks of the relevant rows come to, with ties broken either way, of all queries and of each
class, and the queries that do worst."""
import numpy as np

from .errors import data
from .reading import reading
from .report_data import PIECE
from .report_parts import (CLASSES_SHOWN, EXAMPLES_SHOWN, GIVE_STORE, SORT_HINT, card, class_name, count, example, examples, first_shown, meter, no_pictures, percent,
                           section, several, table)
from .report_svg import BLUE, GREY, esc, number

# What --metrics calls it, what the page calls it, and whether there is one for each k.
METRICS = (("precision_at_1", "precision at 1", False), ("r_precision", "R-precision", False), ("map_at_r", "MAP@R", False), ("mrr", "MRR", False),
           ("hit_rate", "hit rate at {}", True), ("recall", "recall at {}", True), ("precision", "precision at {}", True), ("ndcg", "nDCG at {}", True))
OF_CLASSES = ("precision_at_1", "r_precision", "map_at_r", "mrr")


def wanted(options):
    """(name, k or None, what it is called), as --metrics and --at say."""
    at = [int(k) for k in str(options.get("at", "1,5,10,100")).split(",") if k.strip().isdigit()]
    named = str(options.get("metrics", "all")).split(",")
    return [(name, k, text.format(k)) for name, text, each in METRICS if named == ["all"] or name in named for k in (at if each else [None])
            if (name, k) != ("precision", 1) or "precision_at_1" not in named and named != ["all"]]  # it is there already


def metric(value):
    return "–" if value is None or np.isnan(value) else f"{value:.4f}"


class Query:
    """The relevant rows of some queries, each of which has one: of every row its query, rank, and place among its query's, from 1."""

    def __init__(self, query, rank, relevant):
        self.query, self.rank, self.relevant = query, rank, relevant  # relevant: how many each query has
        self.start = np.cumsum(relevant) - relevant
        self.place = np.arange(len(rank)) - self.start[query] + 1

    def sum(self, values):
        return np.bincount(self.query, values, len(self.relevant))

    def value(self, name, k, gains):
        """A metric of each query. gains: 1 / log2(rank + 1), and sums of it, by rank from 1."""
        r, wanted_ranks = self.rank, self.relevant[self.query]
        if name in ("precision_at_1", "hit_rate"):
            return (r[self.start] <= (k or 1)).astype(float)
        if name == "mrr":
            return 1.0 / r[self.start]
        if name == "r_precision":
            return self.sum(r <= wanted_ranks) / self.relevant
        if name == "map_at_r":
            return self.sum(np.where(r <= wanted_ranks, self.place / r, 0.0)) / self.relevant
        if name == "ndcg":
            return self.sum(np.where(r <= k, gains[0][np.minimum(r, k)], 0.0)) / gains[1][np.minimum(self.relevant, k)]
        return self.sum(r <= k) / (self.relevant if name == "recall" else k)


class Facts:
    """Metrics, as sums over queries and over those of each class: by row id (0), ties against (1) and for (2) the relevant rows."""

    RANKS = ("rank", "rank_low", "rank_high")

    def __init__(self, about):
        result = self.result = about.result
        self.own = about.anchors.labels if "pairs" not in result.options else None
        with reading("result", result.path):
            self.start = result.dataset("start")[:].astype(np.int64)
        self.columns = {name: result.dataset(name) for name in (*self.RANKS, "row", "distance")}
        self.rows = len(self.start) - 1
        self.relevant = np.diff(self.start)
        self.check()
        self.metrics = wanted(result.options)
        most = max([1, *(k for _, k, _ in self.metrics if k)])
        gain = np.concatenate([[0.0], 1.0 / np.log2(np.arange(2, most + 2))])
        self.gains = gain, np.cumsum(gain)
        classes = len(self.own.names) if self.own else 1
        self.sums = np.zeros((3, len(self.metrics), classes))
        self.queries = np.zeros(classes, np.int64)  # with a relevant row, of each class
        self.ties = 0
        self.first = np.zeros(self.rows, np.int64)  # rank of the nearest relevant row; 0: there is none
        self.first_row, self.first_distance = np.full(self.rows, -1, np.int64), np.zeros(self.rows)
        for some in self.some_queries():
            self.see(*some)
        self.total = int((self.relevant > 0).sum())

    def check(self):
        path = self.result.path
        if self.start[0] != 0 or (self.relevant < 0).any():
            raise data(f"result '{path}': 'queries/start' does not begin with 0, ascend, and have a line for each query")
        if any(column.shape != (int(self.start[-1]),) for column in self.columns.values()):
            raise data(f"result '{path}': its datasets are not of one length")

    def some_queries(self):
        """Queries that have relevant rows, so many at a time as have PIECE of them."""
        first = 0
        while first < self.rows:
            end = max(first + 1, int(np.searchsorted(self.start, self.start[first] + PIECE, "right")) - 1)
            there = np.arange(first, end)[self.relevant[first:end] > 0]
            if len(there):
                with reading("result", self.result.path):
                    yield there, *(self.columns[name][self.start[first]:self.start[end]] for name in (*self.RANKS, "row", "distance"))
            first = end

    def see(self, queries, rank, low, high, row, distance):
        relevant = self.relevant[queries]
        of = np.repeat(np.arange(len(queries)), relevant)
        starts = np.cumsum(relevant) - relevant
        if min(rank.min(), low.min(), high.min()) < 1 or not (0 <= row.min() and row.max() < self.result.rows) or not np.isfinite(distance).all():
            raise data(f"result '{self.result.path}': a rank, row or distance of 'relevant' can't be one")
        self.first[queries], self.first_row[queries], self.first_distance[queries] = rank[starts], row[starts], distance[starts]
        classes = self.own.codes[queries] if self.own else np.zeros(len(queries), np.int64)
        self.queries += np.bincount(classes, minlength=len(self.queries))
        differ = np.zeros(len(queries), bool)
        values = [self.values(of, rank, relevant)]
        for ties in (low, high):
            # Of equal distances the ranks are in the order of row ids, not of these ranks.
            values.append(values[0] if np.array_equal(ties, rank) else self.values(of, ties[np.lexsort((ties, of))], relevant))
        for i in range(len(self.metrics)):
            differ |= values[1][i] != values[2][i]
            for way in range(3):
                self.sums[way, i] += np.bincount(classes, values[way][i], self.sums.shape[2])
        self.ties += int(differ.sum())

    def values(self, of, rank, relevant):
        query = Query(of, rank, relevant)
        return [query.value(name, k, self.gains) for name, k, _ in self.metrics]

    def micro(self, i, way=0):
        return float(self.sums[way, i].sum()) / self.total if self.total else None

    def macro(self, i, way=0):
        there = self.queries > 0
        return float((self.sums[way, i][there] / self.queries[there]).mean()) if self.own and there.any() else None

    def place(self, name):
        """Where a metric without k is, or None."""
        return next((i for i, (other, _, _) in enumerate(self.metrics) if other == name), None)

    def of_classes(self, name):
        """A metric's mean over the queries of each class, NaN where there are none; None where it was not asked for."""
        i = self.place(name)
        return None if i is None else np.divide(self.sums[0, i], self.queries, out=np.full(len(self.queries), np.nan), where=self.queries > 0)


# ---- the verdict ----


def verdict(facts):
    without = facts.rows - facts.total
    if not facts.total:
        return ["No query has a relevant row: there is nothing to measure."]
    nearest = percent(int((facts.first == 1).sum()), facts.total)
    said = [f"Of {several(facts.total, 'query', 'queries')} {nearest} have a relevant row as their nearest (precision at 1)."]
    others = [f"{text} is {metric(facts.micro(i))}" for i, (name, _, text) in enumerate(facts.metrics) if name in ("map_at_r", "r_precision", "mrr")]
    if others:
        said.append(f"{', '.join(others)}.")
    if without:
        said.append(f"{several(without, 'query has', 'queries have')} no relevant row and {'is' if without == 1 else 'are'} in no mean.")
    if facts.ties:
        said.append(f"Ties decide {several(facts.ties, 'query', 'queries')}: see low and high.")
    worst = worst_class(facts)
    if worst:
        said.append(f"The class that does worst: {class_name(worst[0])}, {worst[1]} {metric(worst[2])}.")
    return said


def worst_class(facts):
    """(name, of which metric, its mean), where there are several classes."""
    name = next((n for n in ("map_at_r", "precision_at_1", "mrr") if facts.place(n) is not None), None)
    if not facts.own or name is None or (facts.queries > 0).sum() < 2:
        return None
    means = facts.of_classes(name)
    c = int(np.nanargmin(means))
    return facts.own.shown[c], facts.metrics[facts.place(name)][2], float(means[c])


# ---- sections ----


def metrics_section(facts):
    rows = []
    for i, (_, _, text) in enumerate(facts.metrics):
        low, high = facts.micro(i, 1), facts.micro(i, 2)
        rows.append([esc(text), metric(facts.micro(i)), metric(low), metric(high)] + ([metric(facts.macro(i))] if facts.own else []))
    heads = [("metric", False), ("value", True), ("low", True), ("high", True)] + ([("macro", True)] if facts.own else [])
    note = "Low and high: every tie broken against the relevant rows, and for them. " + \
        ("They differ where rows are at exactly equal distance." if facts.ties else "No tie matters here, so any exact tool finds these values.")
    return section("metrics", "Metrics", table("Metrics", heads, rows, name="metrics-table"),
                   f"Means over {several(facts.total, 'query', 'queries')}{'; macro: the mean over classes of their means' if facts.own else ''}. {note}")


def ranks_section(facts):
    if not facts.total:
        return None
    first, rows, so_far = facts.first[facts.first > 0], [], 0
    most = int(first.max())
    low = 1
    while low <= most:
        high = low if low < 3 else 2 * (low - 1)  # 1, 2, 3 to 4, 5 to 8 and so on
        inside = int(((first >= low) & (first <= high)).sum())
        so_far += inside
        rows.append([str(low) if low == high else f"{count(low)} to {count(high)}", count(inside), percent(inside, facts.total), percent(so_far, facts.total), meter(inside / facts.total)])
        low = high + 1
    heads = [("rank", False), ("queries", True), ("share", True), ("so far", True), ("as a bar", False)]
    return section("firsts", "Rank of the first relevant row", table("Queries by the rank of their nearest relevant row", heads, rows, name="first"),
                   f"At which place a query's nearest relevant row comes. Half of the queries find one by place {count(np.median(first))}, nine of ten by {count(np.quantile(first, 0.9))}.", "Ranks")


def classes_section(facts):
    if "pairs" in facts.result.options:
        return None
    if not facts.own:
        return section("classes", "Classes", GIVE_STORE)
    means = [(facts.metrics[facts.place(name)][2], facts.of_classes(name)) for name in OF_CLASSES if facts.place(name) is not None]
    there = np.flatnonzero(facts.own.sizes)
    first = np.argsort(facts.own.codes, kind="stable")
    starts = np.cumsum(facts.own.sizes) - facts.own.sizes
    by = means[-2][1] if len(means) > 2 else means[0][1] if means else np.zeros(len(facts.own.names))
    rows = []
    for c in there[np.lexsort((there, np.nan_to_num(by[there], nan=2.0)))][:CLASSES_SHOWN].tolist():
        ranks = facts.first[first[starts[c]:starts[c] + facts.own.sizes[c]]]
        ranks = ranks[ranks > 0]
        median = float(np.median(ranks)) if len(ranks) else None
        rows.append([(esc(facts.own.shown[c]), facts.own.shown[c]), (count(facts.queries[c]), int(facts.queries[c])),
                     *((metric(m[c]), "" if np.isnan(m[c]) else repr(float(m[c]))) for _, m in means),
                     (number(median), "" if median is None else median), (count(ranks.max()) if len(ranks) else "–", int(ranks.max(initial=0)))])
    heads = [("class", False), ("queries", True), *((text, True) for text, _ in means), ("median first rank", True), ("worst first rank", True)]
    return section("classes", "Classes", table("Metrics by the class of the query", heads, rows, sortable=True, name="by-class") + first_shown(len(rows), len(there)),
                   "Of the queries of each class, the worst first." + SORT_HINT)


def examples_section(about, facts):
    late = np.flatnonzero(facts.first > 1)
    late = late[np.lexsort((late, -facts.first[late]))][:EXAMPLES_SHOWN]
    shown = []
    for q in late.tolist():
        cards = [card(about.anchors, q, "query", GREY), card(about.rows, int(facts.first_row[q]), "nearest relevant row", BLUE)]
        shown.append(example(cards, f'rank {count(facts.first[q])} · distance {number(float(facts.first_distance[q]))} · '
                                    f'<span class="one">{several(facts.relevant[q], "relevant row", "relevant rows")}</span>'))
    body = examples("Found last", "The queries whose nearest relevant row comes latest: wrong labels, or rows that look like another class.", shown)
    return section("examples", "Worst queries", body or "<p>Every query's nearest row is relevant.</p>", no_pictures(about.rows)) if facts.total else None


def make(about):
    facts = Facts(about)
    return verdict(facts), [metrics_section(facts), ranks_section(facts), classes_section(facts), examples_section(about, facts)]
