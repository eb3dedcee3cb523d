"""What the triplets of a result say: counted in two walks over them, in memory that does not grow with their number."""
import numpy as np

from .report_data import ReportError, Triplets

BINS = 60            # of a histogram that is drawn
FINE = 1 << 16       # of one that quantiles are read from where there are too many triplets to sort
SORTED = 1 << 24     # triplets up to which quantiles are exact
QUANTILES = (0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99)
KEPT = 4096          # candidates for the triplets that are shown
PAIRS_KEPT = 1 << 22 # class pairs that are counted at a time, where there are many classes
DENSE = 1 << 22      # class pairs up to which all are counted


class Series:
    """Of d_ap, d_an or their difference: count, mean, extremes, quantiles, histograms. room: for how many values there is
    memory to keep them; 0: they are seen a second time, and what is told is as fine as a histogram of FINE bins."""

    def __init__(self, room):
        self.count, self.sum = 0, 0.0
        self.min, self.max = np.inf, -np.inf
        self.kept = np.empty(room) if room else None

    def see(self, values):
        if not len(values):
            return
        if self.kept is not None:
            self.kept[self.count:self.count + len(values)] = values
        self.count += len(values)
        self.sum += float(values.sum())
        self.min, self.max = min(self.min, float(values.min())), max(self.max, float(values.max()))

    def begin_fine(self):
        self.fine = np.zeros(FINE, np.int64)
        self.step = (self.max - self.min) / FINE or 1.0
        self.centres = self.min + (np.arange(FINE) + 0.5) * self.step

    def see_fine(self, values):
        place = ((values - self.min) / self.step).astype(np.int64)
        self.fine += np.bincount(np.minimum(place, FINE - 1), minlength=FINE)

    def find_quantiles(self):
        if self.kept is not None:
            self.kept = self.kept[:self.count]
            self.quantiles = [float(q) for q in np.quantile(self.kept, QUANTILES)]
        else:
            share = np.cumsum(self.fine) / self.count
            self.quantiles = [float(self.centres[min(np.searchsorted(share, q), FINE - 1)]) for q in QUANTILES]

    @property
    def mean(self):
        return self.sum / self.count if self.count else None

    def near(self):
        """The range to draw: all, or, of a long tail that would leave the rest no room, the part that is not far outside."""
        low, high = self.quantiles[0], self.quantiles[-1]
        room = (high - low) * 0.5
        return max(self.min, low - room), min(self.max, high + room)

    def histogram(self, edges):
        """Counts between equal edges; the last bin has its end, too."""
        if self.kept is not None:
            return np.histogram(self.kept, len(edges) - 1, (edges[0], edges[-1]))[0]
        return np.histogram(self.centres, edges, weights=self.fine)[0].astype(np.int64)

    def below(self, value):
        if self.kept is not None:
            return int(np.count_nonzero(self.kept < value))
        return int(self.fine[self.centres < value].sum())


class ClassPairs:
    """How often the anchors of one class got a negative of another."""

    def __init__(self, classes):
        self.classes = classes
        self.dense = np.zeros(classes * classes, np.int64) if classes * classes <= DENSE else None
        self.keys, self.counts, self.dropped = np.empty(0, np.int64), np.empty(0, np.int64), 0

    def see(self, anchor, negative):
        keys = anchor.astype(np.int64) * self.classes + negative
        if self.dense is not None:
            self.dense += np.bincount(keys, minlength=len(self.dense))
            return
        keys, counts = np.unique(keys, return_counts=True)
        keys, at = np.unique(np.concatenate([self.keys, keys]), return_inverse=True)
        counts = np.bincount(at, np.concatenate([self.counts, counts]).astype(float)).astype(np.int64)
        if len(keys) > PAIRS_KEPT:  # the rarest go: what is left are lower bounds
            kept = np.sort(np.argpartition(counts, -PAIRS_KEPT // 2)[-PAIRS_KEPT // 2:])
            self.dropped = max(self.dropped, int(counts.sum() - counts[kept].sum()))
            keys, counts = keys[kept], counts[kept]
        self.keys, self.counts = keys, counts

    def most(self, number):
        """(anchor's class, negative's class, count), most first."""
        counts = self.dense if self.dense is not None else self.counts
        there = np.flatnonzero(counts)
        order = there[np.lexsort((there, -counts[there]))][:number]
        keys = order if self.dense is not None else self.keys[order]
        return [(int(k) // self.classes, int(k) % self.classes, int(c)) for k, c in zip(keys, counts[order])]


class Smallest:
    """The triplets with the smallest values of a key, ties to the lower row ids."""

    def __init__(self):
        self.rows = np.empty(0, [("key", "f8"), ("anchor", "i8"), ("positive", "i8"), ("negative", "i8"), ("d_ap", "f8"), ("d_an", "f8")])

    def see(self, key, piece):
        if len(key) > KEPT:
            near = np.flatnonzero(key <= np.partition(key, KEPT)[KEPT])[:4 * KEPT]
        else:
            near = np.arange(len(key))
        new = np.empty(len(near), self.rows.dtype)
        new["key"] = key[near]
        for name in ("anchor", "positive", "negative", "d_ap", "d_an"):
            new[name] = getattr(piece, name)[near]
        self.rows = np.sort(np.concatenate([self.rows, new]), order=("key", "anchor", "positive", "negative"))[:KEPT]

    def shown(self, number):
        """Of different anchors, and none with a negative that two others have: one odd row would fill the list."""
        anchors, negatives, shown = set(), {}, []
        for row in self.rows[np.isfinite(self.rows["key"])]:
            a, n = int(row["anchor"]), int(row["negative"])
            if a in anchors or negatives.get(n, 0) >= 2:
                continue
            anchors.add(a)
            negatives[n] = negatives.get(n, 0) + 1
            shown.append({name: row[name].item() for name in row.dtype.names})
            if len(shown) == number:
                break
        return shown


def label_fault(labels, of_anchor, piece, by_pairs):
    """The first triplet that can't be of these labels, or None: then the store is another one."""
    negative = labels.codes[piece.negative]
    anchor = of_anchor.codes[piece.anchor]
    wrong = np.zeros(len(anchor), bool) if by_pairs else anchor == negative
    there = piece.positive >= 0
    if not by_pairs:
        wrong[there] |= anchor[there] != labels.codes[piece.positive[there]]
    at = np.flatnonzero(wrong)
    return int(at[0]) if len(at) else None


class Facts:
    """Everything of the triplets that the page tells. labels: of the store's rows; anchor_labels: of the anchors', the same
    object where there is one set; both None where they are not known."""

    def __init__(self, result, labels, anchor_labels):
        self.result, self.labels, self.anchor_labels = result, labels, anchor_labels
        self.triplets = Triplets(result)
        options = result.options
        self.margin = float(options.get("loss_margin", options.get("margin", result.attrs.get("margin", 0.0))) or 0.0)
        self.soft = bool(options.get("soft"))
        self.total = self.fallback = self.lone = self.active = self.pairs = self.nearer = 0
        self.loss = 0.0
        room = self.triplets.lines * self.triplets.width
        self.exact = room <= SORTED
        self.series = {name: Series(room if self.exact else 0) for name in ("d_ap", "d_an", "gap")}
        self.chosen = np.zeros(result.rows, np.int32)       # how often a row is a negative
        self.is_anchor = np.zeros(result.anchor_rows, bool)
        self.hardest, self.nearest = Smallest(), Smallest()
        self.classes = len(labels.names) if labels else 0
        self.by_class = {name: np.zeros(len(anchor_labels.names)) for name in ("triplets", "active", "d_ap", "d_an", "gap")} if labels else None
        self.confused = ClassPairs(self.classes) if labels else None
        self.confused_active = ClassPairs(self.classes) if labels else None
        self.first_walk()
        if self.total > self.lone:
            self.finish()

    def first_walk(self):
        last = None
        for piece in self.triplets.pieces():
            if not len(piece.anchor):
                continue
            there = piece.positive >= 0
            active = np.ones(len(there), bool) if self.soft else (piece.d_ap - piece.d_an) + self.margin > 0
            active &= there
            self.total += len(there)
            self.fallback += int(piece.fallback.sum())
            self.lone += int((~there).sum())
            self.active += int(active.sum())
            self.nearer += int((piece.gap[there] < 0).sum())
            z = (piece.d_ap - piece.d_an + self.margin)[there]
            self.loss += float(np.logaddexp(0, z).sum() if self.soft else z[z > 0].sum())
            for name in self.series:
                self.series[name].see(getattr(piece, name)[there])
            new = np.ones(len(there), bool)
            new[1:] = (piece.anchor[1:] != piece.anchor[:-1]) | (piece.positive[1:] != piece.positive[:-1])
            new[0] = (int(piece.anchor[0]), int(piece.positive[0])) != last
            last = int(piece.anchor[-1]), int(piece.positive[-1])
            self.pairs += int((new & there).sum())
            self.is_anchor[piece.anchor] = True
            self.count_chosen(piece.negative)
            self.hardest.see(np.where(there, piece.gap, np.inf), piece)
            self.nearest.see(piece.d_an, piece)
            if self.labels:
                self.see_labels(piece, active)

    def count_chosen(self, rows):
        if len(self.chosen) <= 4 * len(rows):
            self.chosen += np.bincount(rows, minlength=len(self.chosen)).astype(np.int32)
        else:
            rows, counts = np.unique(rows, return_counts=True)
            self.chosen[rows] += counts.astype(np.int32)

    def see_labels(self, piece, active):
        fault = label_fault(self.labels, self.anchor_labels, piece, "pairs" in self.result.options)
        if fault is not None:
            raise ReportError(65, f"the store's labels are not those of result '{self.result.path}': the triplet ({piece.anchor[fault]}, "
                                  f"{piece.positive[fault]}, {piece.negative[fault]}) can't be of them")
        anchor = self.anchor_labels.codes[piece.anchor]
        number = len(self.anchor_labels.names)
        add = self.by_class
        add["triplets"] += np.bincount(anchor, minlength=number)
        add["active"] += np.bincount(anchor[active], minlength=number)
        for name in ("d_ap", "d_an", "gap"):
            add[name] += np.bincount(anchor, getattr(piece, name), minlength=number)
        negative = self.labels.codes[piece.negative]
        self.confused.see(anchor, negative)
        self.confused_active.see(anchor[active], negative[active])

    # ---- distributions: of all values where they fit memory, else of a fine histogram ----

    def finish(self):
        if not self.exact:
            for series in self.series.values():
                series.begin_fine()
            for piece in self.triplets.pieces():
                for name, series in self.series.items():
                    series.see_fine(getattr(piece, name)[piece.positive >= 0])
        for series in self.series.values():
            series.find_quantiles()

    def share_below(self, margin):
        """The share of triplets that are active at a margin: those with d_an - d_ap below it."""
        return self.series["gap"].below(margin) / self.series["gap"].count

    def known_margin(self):
        """Up to which margin the triplets are all that there are: a window leaves out those beyond."""
        windowed = str(self.result.options.get("negatives", "")).startswith("semihard") and self.result.options.get("window") in ("lt", "le")
        return float(self.result.attrs.get("margin", np.inf)) if windowed else np.inf
