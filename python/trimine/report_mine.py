"""The page of a result of mine: from rows to triplets, distances, classes, hubs, examples."""
import numpy as np

from .reading import text_of
from .report_facts import Facts
from .report_loss import gradient_section, gradients_of
from .report_parts import (CLASSES_SHOWN, EXAMPLES_SHOWN, GIVE_STORE, SORT_HINT, card, class_name, confusion_section, count, example, examples,
                           figure, first_shown, hub_share, hubs_section, key, no_pictures, outside_text, part_of, percent, section, several, table, typed)
from .report_svg import BLUE, GREEN, GREY, ORANGE, Plot, esc, number, ticks

# ---- the verdict ----


def margin_text(facts):
    return typed(facts.margin)


def verdict(facts, funnel):
    """Sentences, the most important first."""
    if not facts.total:
        return ["There are no triplets: no pair of an anchor and a positive found a negative that the options let through."]
    total = facts.total - facts.lone
    said = []
    windowed = facts.result.options.get("negatives") == "semihard" and np.isfinite(facts.known_margin())
    missing = funnel.get("skipped") if funnel.get("skipped") is not None else None
    if facts.soft:
        said.append(f"{count(facts.total)} triplets; with the soft loss all of them teach.")
    elif windowed and missing is not None:
        pairs = funnel["pairs"]
        inside = pairs - missing - facts.fallback
        said.append(f"{percent(inside, pairs)} of the pairs of anchor and positive have a semihard negative within the margin {margin_text(facts)}: "
                    f"{several(facts.total - facts.fallback, 'triplet', 'triplets')}.")
        if facts.fallback:
            said.append(f"{several(facts.fallback, 'pair', 'pairs')} got another one by --fallback {facts.result.options.get('fallback')}.")
    elif windowed:
        said.append(f"{several(facts.total, 'triplet', 'triplets')}; all that were picked are within the margin {margin_text(facts)}, "
                    "because the window lets no others through.")
    else:
        share = facts.active / total if total else 0.0
        what = "hardly anything is left to learn" if share < 0.02 else "most of them are learnt already" if share < 0.5 else \
            "most of them still teach" if share < 0.98 else "nearly all of them still teach"
        said.append(f"{percent(facts.active, total)} of {several(total, 'triplet', 'triplets')} are active at the margin {margin_text(facts)}: {what}.")
    if facts.nearer:
        said.append(f"In {percent(facts.nearer, total)} the negative is nearer than the positive.")
    pairs = facts.confused.most(1, facts.active > 0) if facts.labels else []
    if pairs:
        a, n, c = pairs[0]
        names = facts.labels.shown
        said.append(f"The classes most confused: {class_name(names[a])} with {class_name(names[n])} ({several(c, 'triplet', 'triplets')}).")
    hubs = hub_share(facts.chosen, facts.total)
    if hubs is not None and hubs[0] > 0.1:
        said.append(f"One row in a hundred serves as the negative of {percent(hubs[0], 1.0)} of the triplets.")
    return said


# ---- rows to triplets ----


def by_labels(facts):
    """What the labels alone tell: rows that take part, valid anchors, pairs. Of one set, not in batches."""
    options, labels = facts.result.options, facts.labels
    if labels is None or facts.result.two_sets or "batches" in options or "pairs" in options or options.get("lone"):
        return {}
    ignored = options.get("ignore_label")
    ignored = [] if ignored is None else [str(i) for i in ignored] if isinstance(ignored, list) else [str(ignored)]
    sizes = np.array([0 if text_of(name) in ignored else size for name, size in zip(labels.names, labels.sizes)], np.int64)
    rows = int(sizes.sum())
    alone = sizes == 1
    lonely = (sizes == rows) & (sizes > 1)
    valid = sizes[(sizes > 1) & ~lonely]
    found = {"rows": facts.result.rows, "ignored": facts.result.rows - rows, "no_positive": int(sizes[alone].sum()),
             "no_negative": int(sizes[lonely].sum()), "valid": int(valid.sum())}
    policy, _, most = str(options.get("positives", "all")).partition(":")
    if str(options.get("negatives", "")).split(":")[0] == "multisimilarity":
        return found
    a_row = valid - 1 if policy == "all" else np.minimum(valid - 1, int(most or 1)) if policy in ("nearest", "random") else np.minimum(valid, 1)
    return {**found, "pairs": int((valid * a_row).sum())}


def by_report(report):
    if not report:
        return {}
    anchors, triplets = part_of(report, "anchors"), part_of(report, "triplets")
    found = {key: anchors.get(key) for key in ("ignored", "no_positive", "no_negative", "valid")}
    found["rows"] = anchors.get("total", 0) + anchors.get("ignored", 0) if anchors else None
    found["pairs"], found["skipped"] = report.get("positive_pairs"), triplets.get("skipped")
    found["filters"] = report.get("filters")
    return {key: value for key, value in found.items() if value is not None}


def funnel_of(facts, report):
    """rows, valid, pairs, skipped and so on, as far as they are known."""
    found = {"rows": facts.result.anchor_rows, **by_labels(facts), **by_report(report)}
    is_set = str(facts.result.options.get("negatives", "")).split(":")[0] in ("within-margin", "hard-all", "easy-all", "violating", "multisimilarity")
    if "pairs" in found and "skipped" not in found and not is_set:
        found["skipped"] = found["pairs"] - facts.pairs
    return found


def bar(label, value, whole, note=""):
    share = value / whole if whole else 0.0
    return (f'<div class="step"><div class="what"><b>{count(value)}</b> {label}</div>'
            f'<div class="track"><div style="width:{100 * share:.2f}%"></div></div>{note}</div>')


def drop(value, why):
    return f'<div class="drop">− {count(value)} {why}</div>' if value else ""


def funnel_section(facts, funnel, report):
    rows, out = funnel["rows"], []
    anchor = "queries" if facts.result.two_sets else "rows"
    out.append(bar(f"{anchor} of the {'queries' if facts.result.two_sets else 'store'}", rows, rows))
    out.append(drop(funnel.get("ignored"), "with a label that is ignored"))
    out.append(drop(funnel.get("no_positive"), "without a positive: alone in their class"))
    out.append(drop(funnel.get("no_negative"), "without a negative: there is no other class"))
    if "valid" in funnel:
        out.append(bar("valid anchors: they have a positive and a negative", funnel["valid"], rows))
        out.append(drop(max(0, funnel["valid"] - int(facts.is_anchor.sum())) if "batches" not in facts.result.options else 0, "that got no triplet"))
    out.append(bar("anchors with a triplet", int(facts.is_anchor.sum()), rows))
    if "pairs" in funnel:
        out.append('<hr>' + bar(f"pairs of an anchor and a positive (--positives {esc(facts.result.options.get('positives', 'all'))})", funnel["pairs"], funnel["pairs"]))
        for rule, value in part_of(funnel, "filters").items():
            if isinstance(value, dict) and value.get("removed"):
                out.append(f'<div class="drop">{count(value["removed"])} candidates removed by --{esc(rule.replace("_", "-"))}</div>')
        out.append(drop(funnel.get("skipped"), "skipped: no negative that the options let through"))
        if "skipped" in funnel:
            out.append(bar("pairs with a triplet", facts.pairs, funnel["pairs"]))
    out.append("<hr>" + bar(f"triplets (--negatives {esc(facts.result.options.get('negatives', 'semihard'))})", facts.total, facts.total))
    if facts.fallback:
        out.append(f'<div class="drop">{count(facts.fallback)} of them by --fallback {esc(facts.result.options.get("fallback", ""))}</div>')
    if facts.lone:
        out.append(drop(facts.lone, "without a positive (--lone)"))
    if not facts.soft:
        out.append(drop(facts.total - facts.lone - facts.active, f"inactive: the negative is at least {margin_text(facts)} farther than the positive"))
        out.append(bar(f"active triplets: they have a loss at the margin {margin_text(facts)}", facts.active, facts.total))
    loss = part_of(report, "loss")
    if loss:
        out.append(f'<p>Loss {esc(loss.get("name", ""))}, {esc(loss.get("reduction", ""))}: <b>{number(loss.get("value"))}</b> '
                   f'(sum {number(loss.get("sum"))}).</p>')
    elif facts.total > facts.lone:
        swap = " Without --swap, which this page can't compute." if facts.result.options.get("swap") else ""
        out.append(f"<p>Mean loss of all triplets: <b>{number(facts.loss / (facts.total - facts.lone))}</b>.{swap}</p>")
    return section("funnel", "From rows to triplets", "".join(out), "Each bar is a share of the first one of its group.")


# ---- distances ----


def distances_plot(facts):
    ap, an = facts.series["d_ap"], facts.series["d_an"]
    low, high = min(ap.near()[0], an.near()[0]), max(ap.near()[1], an.near()[1])
    if not high > low:
        low, high = low - 0.5, high + 0.5
    edges = np.linspace(low, high, 51)
    of_ap, of_an = ap.histogram(edges), an.histogram(edges)
    plot = Plot("p1", "Histograms of the distances from anchor to positive and from anchor to negative; the table below has their quantiles.",
                low, high, float(max(of_ap.max(), of_an.max(), 1)), f"distance ({facts.result.metric})", "triplets")
    plot.steps(edges, of_ap.tolist(), BLUE)
    plot.steps(edges, of_an.tolist(), ORANGE, dashed=True, fill=0.15)
    outside = ap.count + an.count - int(of_ap.sum() + of_an.sum())
    return figure(plot.svg(), f"{key(BLUE, 'to the positive, d(a,p)')} {key(ORANGE, 'to the negative, d(a,n).', dashed=True)}{outside_text(outside)}")


def gap_plot(facts):
    gap = facts.series["gap"]
    low, high = gap.near()
    low, high = min(low, 0.0), max(high, facts.margin if facts.margin < 4 * high or high <= 0 else high)
    if not high > low:
        low, high = low - 0.5, high + 0.5
    edges = np.linspace(low, high, 51)
    counts = gap.histogram(edges)
    plot = Plot("p2", f"Histogram of how much farther the negative is than the positive, with the margin {typed(facts.margin)}.",
                low, high, float(max(counts.max(), 1)), "d(a,n) − d(a,p)", "triplets")
    if not facts.soft:
        plot.hatch(low, min(facts.margin, high), "active")
    plot.steps(edges, counts.tolist(), GREEN, fill=0.35)
    if low < 0:
        plot.upright(0.0, "equally far", below=1)
    if not facts.soft:
        plot.upright(facts.margin, f"margin {typed(facts.margin)}", ORANGE)
    caption = "How much farther the negative is than the positive." + ("" if facts.soft else " Hatched: below the margin, where a triplet is active.")
    return figure(plot.svg(), caption + outside_text(gap.count - int(counts.sum())))


def margins_shown(facts):
    """Round margins from nothing to where nearly all triplets are active, and the result's own."""
    gap = facts.series["gap"]
    most = min(max(gap.quantiles[5], facts.margin), facts.known_margin())
    if not most > 0:
        return [facts.margin]
    return sorted({float(f"{m:.12g}") for m in ticks(0, most, 8)} | {facts.margin})


def active_plot(facts):
    gap, known = facts.series["gap"], facts.known_margin()
    high = min(max(gap.quantiles[-1], facts.margin, 0.0), known)
    if not high > 0:
        high = max(facts.margin, 1.0)
    margins = np.linspace(0, high, 61)
    shares = [100.0 * facts.share_below(m) for m in margins]
    plot = Plot("p3", "The share of triplets that are active at each margin; the table below has numbers.", 0.0, high, 100.0,
                "margin", "active", lambda v: f"{v:g} %")
    plot.line(margins, shares, BLUE)
    if not facts.soft:
        plot.upright(facts.margin, f"margin {typed(facts.margin)}", ORANGE, below=2)
        plot.dot(facts.margin, 100.0 * facts.share_below(facts.margin), ORANGE)
    note = " Beyond the window's margin nothing is known: triplets there were not listed (--window none lists them)." if np.isfinite(known) else ""
    return figure(plot.svg(), "The share of these triplets that would be active at other margins." + note)


def distances_section(facts):
    if facts.total == facts.lone:
        return section("distances", "Distances", "<p>There is no triplet with a positive.</p>")
    names = {"d_ap": "d(a,p)", "d_an": "d(a,n)", "gap": "d(a,n) − d(a,p)"}
    heads = [("distance", False), ("mean", True), ("least", True), ("1 %", True), ("10 %", True), ("25 %", True), ("half", True), ("75 %", True),
             ("90 %", True), ("99 %", True), ("most", True)]
    rows = [[names[name]] + [number(v) for v in (s.mean, s.min, *s.quantiles, s.max)] for name, s in facts.series.items()]
    about = "" if facts.exact else " There are too many triplets to sort: the quantiles are good to about four digits of the range."
    margins = [[number(m), percent(facts.share_below(m), 1.0)] for m in margins_shown(facts)]
    body = (f'<div class="plots">{distances_plot(facts)}{gap_plot(facts)}{active_plot(facts)}</div>'
            f'<div class="side"><div><h3>Quantiles</h3><p class="hint">“10 %”: a tenth of the triplets has less.{about}</p>{table("Quantiles of the distances", heads, rows, name="quantiles")}</div>'
            f'<div><h3>Active share over margins</h3>{table("Active share over margins", [("margin", True), ("active", True)], margins, name="margins")}</div></div>')
    return section("distances", "Distances", body)


# ---- classes ----


def classes_section(facts):
    if not facts.labels:
        return section("classes", "Classes", GIVE_STORE)
    names, add = facts.anchor_labels.shown, facts.by_class
    there = np.flatnonzero(facts.anchor_labels.sizes)
    order = there[np.lexsort((there, -add["triplets"][there], -add["active"][there]))]
    rows = []
    for c in order[:CLASSES_SHOWN].tolist():
        t = int(add["triplets"][c])
        means = [add[name][c] / t if t else None for name in ("d_ap", "d_an", "gap")]
        worst = facts.confused.worst(c, facts.active > 0)
        partner = facts.labels.shown[worst] if worst is not None else "–"
        active = int(add["active"][c])
        rows.append([(esc(names[c]), names[c]), (count(facts.anchor_labels.sizes[c]), int(facts.anchor_labels.sizes[c])), (count(t), t), (count(active), active),
                     (percent(active, t), active / t if t else -1), *((number(m), "" if m is None else repr(float(m))) for m in means), (esc(partner), partner)])
    heads = [("class", False), ("rows", True), ("triplets", True), ("active", True), ("active share", True), ("mean d(a,p)", True),
             ("mean d(a,n)", True), ("mean difference", True), ("most confused with", False)]
    return section("classes", "Classes", table("Anchors by their class", heads, rows, sortable=True, name="by-class") + first_shown(CLASSES_SHOWN, len(order)),
                   "Of the anchors of each class, those with the most active triplets first." + SORT_HINT)


def confusions(facts):
    if not facts.labels or not facts.total:
        return None
    by_active = facts.active > 0
    what = "Active triplets" if by_active else "Triplets (none is active)"
    return confusion_section(facts.confused, facts.labels.shown, by_active, facts.active if by_active else facts.total, ("anchor", "negative", "triplets"),
                             f"{what} by the class of their anchor and the class of their negative.", "A line of the grid is an anchor's class, a column a negative's; darker is more.")


# ---- examples ----


def triplet(about, row):
    """A triplet as three cards."""
    cards = [card(about.anchors, row["anchor"], "anchor", GREY)]
    if row["positive"] >= 0:
        cards.append(card(about.rows, row["positive"], "positive", BLUE))
    cards.append(card(about.rows, row["negative"], "negative", ORANGE))
    ap = number(row["d_ap"]) if row["positive"] >= 0 else "–"
    more = f' · <span class="one">difference {number(row["d_an"] - row["d_ap"])}</span>' if row["positive"] >= 0 else ""
    return example(cards, f'd(a,p) {ap} · d(a,n) {number(row["d_an"])}{more}')


def examples_section(facts, about):
    if not facts.total:
        return None
    out = [examples(title, hint, [triplet(about, row) for row in found.shown(EXAMPLES_SHOWN)]) for title, hint, found in (
        ("Least difference", "The negative is nearest relative to the positive: the hardest of these triplets.", facts.hardest),
        ("Nearest strangers", "The nearest negatives of all. Copies and wrong labels show up here first.", facts.nearest))]
    return section("examples", "Hardest examples", "".join(out), no_pictures(about.rows), "Examples")


# ---- all of it ----


def make(about):
    """The verdict's sentences, and the sections."""
    facts = Facts(about.result, about.rows.labels, about.anchors.labels)
    funnel = funnel_of(facts, about.report)
    hubs = hubs_section(facts.chosen, facts.total, about.rows, "{} a negative at least once: {} of the store.",
                        "The most chosen {} rows (1 %) serve {} of the triplets.",
                        "The rows most often chosen as a negative, and how often. One that is near everything may be a wrong label, a bad picture, or a row of no class.") \
        if facts.total else None
    gradients = gradients_of(about.result)
    return verdict(facts, funnel), [funnel_section(facts, funnel, about.report), distances_section(facts), classes_section(facts), confusions(facts), hubs,
                                    examples_section(facts, about), gradient_section(about, gradients) if gradients else None]
