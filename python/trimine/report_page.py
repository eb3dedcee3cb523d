"""The page of a result of mine: facts to HTML. Whatever comes from files goes through esc()."""
import numpy as np

from .report_svg import BLUE, GREEN, GREY, ORANGE, YELLOW, Plot, esc, number, shared_bar, short

CLASSES_SHOWN = 200
PAIRS_SHOWN = 15
HUBS_SHOWN = 12
EXAMPLES_SHOWN = 9
GRID_CLASSES = 20  # up to which the confusions are a table of classes by classes


def count(value):
    return f"{int(value):,}"


def percent(part, whole):
    if not whole:
        return "–"
    share = 100.0 * part / whole
    return "0 %" if part == 0 else "100 %" if part == whole else "< 0.01 %" if share < 0.01 else \
        "> 99.9 %" if share > 99.9 else f"{share:.3g} %"


def several(value, one, many):
    return f"{count(value)} {one if value == 1 else many}"


def table(heads, rows, sortable=False, name=None):
    """heads: (text, is it a number?); rows: cells that are HTML already, or (HTML, value to sort by)."""
    out = [f'<div class="wide" tabindex="0"><table{" class=sortable" if sortable else ""}{f" id={name}" if name else ""}><thead><tr>']
    out += [f'<th scope="col"{" class=n" if is_number else ""}>{esc(text)}</th>' for text, is_number in heads]
    out.append("</tr></thead><tbody>")
    for row in rows:
        out.append("<tr>")
        for (_, is_number), cell in zip(heads, row):
            shown, key = cell if isinstance(cell, tuple) else (cell, None)
            out.append(f'<td{" class=n" if is_number else ""}{f" data-v=" + chr(34) + esc(key) + chr(34) if key is not None else ""}>{shown}</td>')
        out.append("</tr>")
    return "".join(out) + "</tbody></table></div>"


def section(name, title, body, hint=None):
    return (f'<section id="{name}"><h2>{esc(title)}</h2>' + (f'<p class="hint">{hint}</p>' if hint else "") + f"{body}</section>")


def figure(svg, caption):
    return f"<figure>{svg}<figcaption>{caption}</figcaption></figure>"


# ---- the command ----

# What an option is where it is not given: such a one is left out, because policies refuse options that they do not take.
DEFAULTS = {"window": "lt", "pick": "nearest", "fallback": "skip", "reduction": "mean_all", "rank_order": "before",
            "shortlist": "none", "at_zero": "none", "gradient_at": "stored", "form": "triplets"}
NOT_TYPED = ("source", "loss_margin", "queries", "pairs", "compat", "all_ranks")


def quoted(text):
    import shlex
    return shlex.quote(text)


def words_of(options, command="mine"):
    """The options as they are typed."""
    words = []
    compat = options.get("compat")
    for key, value in options.items():
        if key in NOT_TYPED or value is None or value is False or value == [] or DEFAULTS.get(key) == value:
            continue
        name = "--" + key.replace("_", "-")
        if compat and name[2:] not in (compat.get("overridden") or []):
            continue
        if key == "margin" and options.get("loss_margin", value) != value:
            continue  # nobody gave one: windows and losses have different defaults
        if value is True:
            words.append(name)
        elif key == "ignore_label" and isinstance(value, list):
            words += [f"{name}={label}" for label in value]
        elif isinstance(value, list):
            words += [name, ",".join(str(v) for v in value)]
        else:
            text = repr(value) if isinstance(value, float) else str(value)
            words += [f"{name}={text}"] if text.startswith("-") else [name, text]
    if compat:
        words = ["--compat", str(compat.get("name"))] + words
    return words


def command_section(result, stores, queries):
    words = ["trimine", "mine", *(stores or ["STORE"])]
    if result.two_sets:
        words += ["--queries", queries[0] if queries else "QUERIES"]
    if "pairs" in result.options:
        words += ["--pairs", "PAIRS"]
    words += words_of(result.options) + ["-o", result.path]
    body = f'<pre><code>{esc(" ".join(quoted(w) for w in words))}</code></pre>'
    return section("command", "The command", body, "These options make the same triplets, on any number of ranks. Options that are at their default are left out.")


# ---- the verdict ----


def margin_text(facts):
    return number(facts.margin)


def class_name(name):
    """In a sentence: a bare number would read as a count."""
    return f"class {name}" if name.lstrip("-").isdigit() else f"“{name}”"


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
    pairs = class_pairs(facts)[0] if facts.labels else []
    if pairs:
        a, n, c = pairs[0]
        names = facts.labels.shown
        said.append(f"The classes most confused: {class_name(names[a])} with {class_name(names[n])} ({several(c, 'triplet', 'triplets')}).")
    hubs = hub_share(facts)
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
    sizes = np.array([0 if name in ignored else size for name, size in zip(labels.names, labels.sizes)], np.int64)
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
    anchors, triplets = report.get("anchors") or {}, report.get("triplets") or {}
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
        for key, value in (funnel.get("filters") or {}).items():
            if isinstance(value, dict) and value.get("removed"):
                out.append(f'<div class="drop">{count(value["removed"])} candidates removed by --{esc(key.replace("_", "-"))}</div>')
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
    if report and report.get("loss"):
        loss = report["loss"]
        out.append(f'<p>Loss {esc(loss.get("name", ""))}, {esc(loss.get("reduction", ""))}: <b>{number(loss.get("value"))}</b> '
                   f'(sum {number(loss.get("sum"))}).</p>')
    elif facts.total > facts.lone:
        swap = " Without --swap, which this page can't compute." if facts.result.options.get("swap") else ""
        out.append(f"<p>Mean loss of all triplets: <b>{number(facts.loss / (facts.total - facts.lone))}</b>.{swap}</p>")
    return section("funnel", "From rows to triplets", "".join(out), "Each bar is a share of the first one of its group.")


# ---- distances ----


def outside_text(outside):
    return f" {several(outside, 'value lies', 'values lie')} outside the picture." if outside else ""


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
    key = (f'<span class="key" style="border-color:{BLUE}"></span> to the positive, d(a,p) '
           f'<span class="key dashed" style="border-color:{ORANGE}"></span> to the negative, d(a,n).')
    return figure(plot.svg(), key + outside_text(outside))


def gap_plot(facts):
    gap = facts.series["gap"]
    low, high = gap.near()
    low, high = min(low, 0.0), max(high, facts.margin if facts.margin < 4 * high or high <= 0 else high)
    if not high > low:
        low, high = low - 0.5, high + 0.5
    edges = np.linspace(low, high, 51)
    counts = gap.histogram(edges)
    plot = Plot("p2", f"Histogram of how much farther the negative is than the positive, with the margin {facts.margin:g}.",
                low, high, float(max(counts.max(), 1)), "d(a,n) − d(a,p)", "triplets")
    if not facts.soft:
        plot.hatch(low, min(facts.margin, high), "active")
    plot.steps(edges, counts.tolist(), GREEN, fill=0.35)
    if low < 0:
        plot.upright(0.0, "equally far", below=1)
    if not facts.soft:
        plot.upright(facts.margin, f"margin {facts.margin:g}", ORANGE)
    caption = "How much farther the negative is than the positive." + ("" if facts.soft else " Hatched: below the margin, where a triplet is active.")
    return figure(plot.svg(), caption + outside_text(gap.count - int(counts.sum())))


def margins_shown(facts):
    """Round margins from nothing to where nearly all triplets are active, and the result's own."""
    gap = facts.series["gap"]
    most = min(max(gap.quantiles[5], facts.margin), facts.known_margin())
    if not most > 0:
        return [facts.margin]
    from .report_svg import ticks
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
        plot.upright(facts.margin, f"margin {facts.margin:g}", ORANGE)
        plot.dot(facts.margin, 100.0 * facts.share_below(facts.margin), ORANGE)
    note = " Beyond the window's margin nothing is known: triplets there were not listed (--window none lists them)." if np.isfinite(known) else ""
    return figure(plot.svg(), "The share of these triplets that would be active at other margins." + note)


def distances_section(facts):
    if facts.total == facts.lone:
        return section("distances", "Distances", "<p>There is no triplet with a positive.</p>")
    names = {"d_ap": "d(a,p)", "d_an": "d(a,n)", "gap": "d(a,n) − d(a,p)"}
    heads = [("", False), ("mean", True), ("least", True), ("1 %", True), ("10 %", True), ("25 %", True), ("half", True), ("75 %", True),
             ("90 %", True), ("99 %", True), ("most", True)]
    rows = [[f"<b>{names[name]}</b>"] + [number(v) for v in (s.mean, s.min, *s.quantiles, s.max)] for name, s in facts.series.items()]
    about = "" if facts.exact else " There are too many triplets to sort: the quantiles are good to about four digits of the range."
    margins = [[number(m), percent(facts.share_below(m), 1.0)] for m in margins_shown(facts)]
    body = (f'<div class="plots">{distances_plot(facts)}{gap_plot(facts)}{active_plot(facts)}</div>'
            f'<div class="side"><div><h3>Quantiles</h3><p class="hint">“10 %”: a tenth of the triplets has less.{about}</p>{table(heads, rows, name="quantiles")}</div>'
            f'<div><h3>Active share over margins</h3>{table([("margin", True), ("active", True)], margins, name="margins")}</div></div>')
    return section("distances", "Distances", body)


# ---- classes ----


def class_pairs(facts, most=PAIRS_SHOWN):
    """The pairs of classes with the most active triplets, or where none is active, with the most; and which of the two."""
    by_active = facts.active > 0
    return facts.confused.most(most, by_active), by_active


def classes_section(facts):
    if not facts.labels:
        return section("classes", "Classes", '<p class="hint">Give the store, and this page tells of its classes: <code>trimine report RESULT STORE</code>.</p>')
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
    more = f'<p class="hint">{several(len(order) - CLASSES_SHOWN, "class is", "classes are")} not shown.</p>' if len(order) > CLASSES_SHOWN else ""
    return section("classes", "Classes", table(heads, rows, sortable=True, name="by-class") + more,
                   "Of the anchors of each class, those with the most active triplets first.<span class=js> Press a heading to sort.</span>")


def shade(share):
    """A blue that is darker for more, and the colour of letters on it."""
    r, g, b = (int(255 + (c - 255) * share) for c in (0, 84, 140))
    return f"background:#{r:02x}{g:02x}{b:02x};color:{'#fff' if share > 0.5 else '#111'}"


def confusion_grid(facts, matrix):
    names, most = facts.labels.shown, max(1, matrix.max())
    upright = "" if max(len(name) for name in names) <= 3 else ' class="upright"'
    out = ['<div class="wide" tabindex="0"><table class="grid" id="grid"><thead><tr><td></td>']
    out += [f'<th scope="col"{upright}><span>{esc(name)}</span></th>' for name in names]
    out.append("</tr></thead><tbody>")
    for a, name in enumerate(names):
        out.append(f'<tr><th scope="row">{esc(name)}</th>')
        for n in range(len(names)):
            c = int(matrix[a, n])
            out.append("<td class=self></td>" if a == n and not c else f'<td style="{shade((c / most) ** 0.5)}">{(count(c) if c < 10000 else short(c)) if c else ""}</td>')
        out.append("</tr>")
    return "".join(out) + "</tbody></table></div>"


def confusion_section(facts):
    if not facts.labels or not facts.total:
        return ""
    pairs, by_active = class_pairs(facts)
    of_all = facts.active if by_active else facts.total
    names, out = facts.labels.shown, []
    if len(names) <= GRID_CLASSES:
        out.append(confusion_grid(facts, facts.confused.grid(by_active)))
    rows = [[esc(names[a]), esc(names[n]), (count(c), c), (percent(c, of_all), c)] for a, n, c in pairs]
    out.append("<div><h3>The most frequent</h3>" + table([("anchor", False), ("negative", False), ("triplets", True), ("share", True)], rows, name="pairs") + "</div>")
    if facts.confused.dropped:
        out.append(f'<p class="hint">There are very many pairs of classes: a count may be up to {count(facts.confused.dropped)} too low.</p>')
    what = "active triplets" if by_active else "triplets (none is active)"
    return section("confused", "Which classes are confused", f'<div class="side">{"".join(out)}</div>', f"{what[0].upper()}{what[1:]} by the class of their anchor and the class of their negative."
                   + (" A line of the grid is an anchor's class, a column a negative's; darker is more." if len(names) <= GRID_CLASSES else ""))


# ---- hubs ----


def hub_share(facts):
    """(share of the triplets that the most chosen hundredth of the rows serve, how many rows these are), or None."""
    rows = len(facts.chosen)
    if not facts.total or rows < 1000:
        return None
    top = rows // 100
    return float(np.partition(facts.chosen, rows - top)[rows - top:].sum(dtype=np.int64)) / facts.total, top


def hubs_section(facts, pictures):
    if not facts.total:
        return ""
    chosen = facts.chosen
    order = np.argpartition(chosen, -HUBS_SHOWN)[-HUBS_SHOWN:] if len(chosen) > HUBS_SHOWN else np.arange(len(chosen))
    order = order[np.lexsort((order, -chosen[order].astype(np.int64)))]
    order = [int(r) for r in order if chosen[r] > 0]
    cards = []
    for r in order:
        name = f"<b>{esc(facts.labels.shown[facts.labels.codes[r]])}</b>" if facts.labels else ""
        cards.append(f'<div class="card hub">{pictures.cell("store", r)}{name}<span>row {r}</span>'
                     f"<span>{count(chosen[r])} ({percent(int(chosen[r]), facts.total)})</span></div>")
    used = int(np.count_nonzero(chosen))
    said = [f"{several(used, 'row is', 'rows are')} a negative at least once: {percent(used, len(chosen))} of the store."]
    top = hub_share(facts)
    if top:
        said.append(f"The most chosen {count(top[1])} rows (1 %) serve {percent(top[0], 1.0)} of the triplets.")
    return section("hubs", "Hubs", f"<p>{' '.join(said)}</p>" + f'<div class="hubs">{"".join(cards)}</div>',
                   "The rows most often chosen as a negative, and how often. One that is near everything may be a wrong label, a bad picture, or a row of no class.")


# ---- examples ----


def example(facts, pictures, row):
    labels = facts.labels
    cells = []
    for role, key, colour in (("anchor", "anchor", GREY), ("positive", "positive", BLUE), ("negative", "negative", ORANGE)):
        r = row[key]
        own = facts.anchor_labels if role == "anchor" else labels
        name = esc(own.shown[own.codes[r]]) if own and r >= 0 else ""
        shown = pictures.cell("anchor" if role == "anchor" else "store", r) if pictures and r >= 0 else ""
        what = f"row {r}" if r >= 0 else "none"
        cells.append(f'<div class="card" style="border-top-color:{colour}"><span class="role">{role}</span>{shown}<b>{name}</b><span>{what}</span></div>')
    ap = number(row["d_ap"]) if row["positive"] >= 0 else "–"
    more = f' · <span class="one">difference {number(row["d_an"] - row["d_ap"])}</span>' if row["positive"] >= 0 else ""
    return (f'<div class="example"><div class="cards">{"".join(cells)}</div><div class="far">d(a,p) {ap} · d(a,n) {number(row["d_an"])}{more}</div></div>')


def examples_section(facts, pictures):
    if not facts.total:
        return ""
    out = []
    for title, hint, found in (
            ("Least difference", "The negative is nearest relative to the positive: the hardest of these triplets.", facts.hardest),
            ("Nearest strangers", "The nearest negatives of all. Copies and wrong labels show up here first.", facts.nearest)):
        shown = found.shown(EXAMPLES_SHOWN)
        if shown:
            out.append(f'<h3>{title}</h3><p class="hint">{hint}</p><div class="examples">{"".join(example(facts, pictures, r) for r in shown)}</div>')
    hint = None if pictures else "There are no pictures of these rows. <code>--images</code> says where some are."
    return section("examples", "Hardest examples", "".join(out), hint)


# ---- time ----

PHASES = (("read_s", "read"), ("arrange_s", "arrange"), ("prepare_s", "prepare"), ("positives_s", "positives"), ("negatives_s", "negatives"),
          ("sweep_s", "sweep"), ("answers_s", "answers"), ("loss_s", "loss"), ("gradient_s", "gradient"), ("write_s", "write"))
PHASE_COLOURS = ("#000000", "#56b4e9", "#999999", BLUE, ORANGE, ORANGE, GREEN, YELLOW, "#cc79a7", "#f0e442")


def real(value):
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else 0.0


def time_section(report):
    if not report:
        return section("time", "Time and ranks", '<p class="hint">Give what <code>--json</code> printed, and this page tells of it: '
                       "<code>trimine mine ... --json &gt;run.json</code>, then <code>trimine report ... --json-report run.json</code>.</p>")
    run, ranks = report.get("run") or {}, report.get("ranks") or []
    whole = sum(real(run.get(key)) for key, _ in PHASES)
    said, out = [], []
    said.append(f"{real(run.get('total_s')):.2f} s on {several(real(run.get('ranks')), 'rank', 'ranks')} of "
                f"{several(real(run.get('threads')), 'thread', 'threads')}.")
    if run.get("peak_rss_bytes"):
        said.append(f"{real(run['peak_rss_bytes']) / 1e6:,.0f} MB a rank at most, {real(run.get('plan_bytes')) / 1e6:,.0f} MB of it planned.")
    if real(run.get("gflops_effective")):
        said.append(f"{real(run['gflops_effective']):,.0f} GFLOP/s effective.")
    out.append(f"<p>{' '.join(said)}</p>")
    if whole > 0:
        parts = [(real(run.get(key)) / whole, colour, f"{name}: {real(run.get(key)):.2f} s") for (key, name), colour in zip(PHASES, PHASE_COLOURS) if real(run.get(key)) > 0]
        out.append(shared_bar(parts, "the time of each phase; the table has the numbers"))
        rows = [[f'<span class="key box" style="background:{colour}"></span> {name}', f"{real(run[key]):.2f}", percent(real(run[key]), whole)]
                for (key, name), colour in zip(PHASES, PHASE_COLOURS) if key in run]
        out.append(table([("phase", False), ("seconds", True), ("share", True)], rows, name="phases"))
    if ranks:
        busy = [real(r.get("compute_s")) for r in ranks]
        waits = [real(r.get("wait_s")) for r in ranks]
        most = max(b + w for b, w in zip(busy, waits)) or 1.0
        balance = sum(busy) / len(busy) / max(busy) if max(busy) > 0 else 1.0
        order = sorted(range(len(ranks)), key=lambda i: -busy[i])[:32]
        rows = [[esc(ranks[i].get("rank", i)), esc(ranks[i].get("host", "")), count(real(ranks[i].get("rows"))), count(real(ranks[i].get("triplets"))), f"{busy[i]:.2f}", f"{waits[i]:.2f}",
                 f'<div class="track thin"><div style="width:{100 * busy[i] / most:.1f}%"></div><i style="width:{100 * waits[i] / most:.1f}%"></i></div>']
                for i in order]
        out.append(f"<h3>Ranks</h3><p>Balance {percent(balance, 1.0)}: the mean time of work over the longest. "
                   f"Waiting: {percent(sum(waits), sum(busy) + sum(waits))} of all ranks' time.</p>" +
                   table([("rank", True), ("host", False), ("rows", True), ("triplets", True), ("work, s", True), ("wait, s", True), ("work, and hatched wait", False)], rows, name="ranks") +
                   (f'<p class="hint">The 32 busiest of {count(len(ranks))} ranks.</p>' if len(ranks) > 32 else ""))
    for warning in report.get("warnings") or []:
        out.append(f'<p class="warning">{esc(warning)}</p>')
    return section("time", "Time and ranks", "".join(out))


# ---- what it is of ----


def source_section(result, stores):
    attrs = result.attrs
    rows = [["result", esc(result.path)], ["store", esc(", ".join(stores)) if stores else "–"],
            ["rows, dimensions", f"{count(result.rows)} x {count(result.dim)}"], ["metric", esc(result.metric)],
            ["store's fingerprint", f"<code>{esc(attrs.get('store_fingerprint', ''))}</code>"],
            ["result_hash", f"<code>{esc(attrs.get('result_hash', ''))}</code>"], ["made by", f"trimine {esc(attrs.get('program_version', ''))}"]]
    return section("source", "Source", table([("", False), ("", False)], rows, name="source-rows"))
