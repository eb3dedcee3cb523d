"""What the triplets of a result say: counted in two walks over them, in memory that does not grow with their number."""
import numpy as np

from .errors import data
from .report_data import Triplets

BINS = 60            # of a histogram that is drawn
FINE = 1 << 16       # of one that quantiles are read from where there are too many triplets to sort
SORTED = 1 << 24     # triplets up to which quantiles are exact
QUANTILES = (0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99)
KEPT = 4096          # candidates for the triplets that are shown
PAIRS_KEPT = 1 << 24 # different pairs of classes that are kept, where there are many
DENSE = 1 << 22      # pairs of classes up to which all have a counter


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
            self.kept.sort()
            self.quantiles = [self.quantile(q) for q in QUANTILES]
        else:
            share = np.cumsum(self.fine) / self.count
            self.quantiles = [float(self.centres[min(np.searchsorted(share, q), FINE - 1)]) for q in QUANTILES]

    def quantile(self, share):
        """Of sorted values; linear between two, as numpy has it."""
        at = (self.count - 1) * share
        low = int(at)
        high = min(low + 1, self.count - 1)
        return float(self.kept[low] + (self.kept[high] - self.kept[low]) * (at - low))

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
            places = np.searchsorted(self.kept, edges)
            places[-1] = np.searchsorted(self.kept, edges[-1], "right")
            return np.diff(places)
        return np.histogram(self.centres, edges, weights=self.fine)[0].astype(np.int64)

    def below(self, value):
        if self.kept is not None:
            return int(np.searchsorted(self.kept, value))
        return int(self.fine[self.centres < value].sum())


class ClassPairs:
    """How often the anchors of one class got a negative of another: in all triplets, and in active ones. Of many classes
    the keys of pairs are kept and sorted now and then; where there are too many different ones, the rarest go."""

    def __init__(self, classes):
        self.classes, self.dropped = classes, 0
        self.dense = np.zeros((2, classes * classes), np.int32) if classes * classes <= DENSE else None
        self.waiting, self.waits = [], 0
        self.keys, self.counts = np.empty(0, np.int64), np.empty((2, 0), np.int64)

    def see(self, anchor, negative, active):
        keys = anchor.astype(np.int64) * self.classes + negative
        if self.dense is not None:
            for counts, some in zip(self.dense, (keys, keys[active])):
                counts += np.bincount(some, minlength=len(counts)).astype(np.int32)
            return
        self.waiting.append(keys * 2 + active)
        self.waits += len(keys)
        if self.waits >= SORTED:
            self.settle()

    def settle(self):
        """What waits is counted."""
        if not self.waits:
            return
        marked = np.sort(np.concatenate(self.waiting))
        self.waiting, self.waits = [], 0
        keys = marked >> 1
        starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
        counts = np.stack([np.diff(np.append(starts, len(keys))), np.add.reduceat(marked & 1, starts)])
        keys = keys[starts]
        if len(self.keys):
            keys, at = np.unique(np.concatenate([self.keys, keys]), return_inverse=True)
            both = np.concatenate([self.counts, counts], axis=1)
            counts = np.stack([np.bincount(at, c.astype(float), len(keys)).astype(np.int64) for c in both])
        if len(keys) > PAIRS_KEPT:
            kept = np.sort(np.argpartition(counts[0], -PAIRS_KEPT // 2)[-PAIRS_KEPT // 2:])
            self.dropped += int(counts[0].max(initial=0, where=np.isin(np.arange(len(keys)), kept, invert=True)))
            keys, counts = keys[kept], counts[:, kept]
        self.keys, self.counts = keys, counts

    def most(self, number, active):
        """(anchor's class, negative's class, count), most first, ties to the lower classes."""
        self.settle()
        counts = (self.counts if self.dense is None else self.dense)[int(active)]
        there = np.flatnonzero(counts)
        if len(there) > 4 * number:  # most of them come nowhere near
            least = np.partition(counts[there], len(there) - number)[len(there) - number]
            there = there[counts[there] >= least]
        order = there[np.lexsort((there, -counts[there].astype(np.int64)))][:number]
        keys = order if self.dense is not None else self.keys[order]
        return [(int(k) // self.classes, int(k) % self.classes, int(c)) for k, c in zip(keys, counts[order])]

    def worst(self, anchor, active):
        """The class that most of the negatives of one class have, ties to the lower; None: there are none."""
        self.settle()
        if self.dense is not None:
            counts = self.grid(active)[anchor]
            return int(counts.argmax()) if counts.any() else None
        first, end = np.searchsorted(self.keys, [anchor * self.classes, (anchor + 1) * self.classes])
        counts = self.counts[int(active)][first:end]
        return int(self.keys[first + counts.argmax()]) % self.classes if counts.any() else None

    def grid(self, active):
        return self.dense[int(active)].reshape(self.classes, self.classes)


class Smallest:
    """What has the smallest values of a key, ties to the lower row ids. rows: names of columns of row ids, the first of which is
    shown once, the last twice at most; reals: of other columns."""

    def __init__(self, rows=("anchor", "positive", "negative"), reals=("d_ap", "d_an")):
        self.names, self.once, self.twice = (*rows, *reals), rows[0], rows[-1]
        self.order = ("key", *rows)
        self.rows = np.empty(0, [("key", "f8"), *((name, "i8") for name in rows), *((name, "f8") for name in reals)])

    def see(self, key, piece):
        """piece: has the columns as attributes."""
        if len(key) > KEPT:
            near = np.flatnonzero(key <= np.partition(key, KEPT)[KEPT])[:4 * KEPT]
        else:
            near = np.arange(len(key))
        new = np.empty(len(near), self.rows.dtype)
        new["key"] = key[near]
        for name in self.names:
            new[name] = getattr(piece, name)[near]
        self.rows = np.sort(np.concatenate([self.rows, new]), order=self.order)[:KEPT]

    def shown(self, number):
        """Of different anchors, and none with a negative that two others have: one odd row would fill the list."""
        anchors, negatives, shown = set(), {}, []
        for row in self.rows[np.isfinite(self.rows["key"])]:
            a, n = int(row[self.once]), int(row[self.twice])
            if a in anchors or negatives.get(n, 0) >= 2:
                continue
            anchors.add(a)
            negatives[n] = negatives.get(n, 0) + 1
            shown.append({name: row[name].item() for name in row.dtype.names})
            if len(shown) == number:
                break
        return shown


def label_fault(anchor, positive, negative, by_pairs):
    """The first triplet that can't be of these labels, or None: then the store is another one."""
    if by_pairs:
        return None
    wrong = np.flatnonzero((anchor == negative) | ((positive >= 0) & (anchor != positive)))
    return int(wrong[0]) if len(wrong) else None


class Facts:
    """Everything of the triplets that the page tells. labels: of the store's rows; anchor_labels: of the anchors', the same
    object where there is one set; both None where they are not known."""

    def __init__(self, result, labels, anchor_labels):
        self.result, self.labels, self.anchor_labels = result, labels, anchor_labels
        self.triplets = Triplets(result)
        options = result.options
        self.margin = float(options.get("loss_margin", options.get("margin", result.attributes.get("margin", 0.0))) or 0.0)
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
        codes = self.labels.codes
        anchor, negative = self.anchor_labels.codes[piece.anchor], codes[piece.negative]
        positive = np.where(piece.positive >= 0, codes[piece.positive], -1)
        fault = label_fault(anchor, positive, negative, "pairs" in self.result.options)
        if fault is not None:
            raise data(f"the store's labels are not those of result '{self.result.path}': the triplet ({piece.anchor[fault]}, "
                                  f"{piece.positive[fault]}, {piece.negative[fault]}) can't be of them")
        number = len(self.anchor_labels.names)
        add = self.by_class
        add["triplets"] += np.bincount(anchor, minlength=number)
        add["active"] += np.bincount(anchor[active], minlength=number)
        for name in ("d_ap", "d_an", "gap"):
            add[name] += np.bincount(anchor, getattr(piece, name), minlength=number)
        self.confused.see(anchor, negative, active)

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
        negatives = self.result.options.get("negatives")
        windowed = negatives == "semihard" and self.result.options.get("window") in ("lt", "le") or negatives in ("within-margin", "violating")
        return float(self.result.attributes.get("margin", np.inf)) if windowed else np.inf
