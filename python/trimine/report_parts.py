"""What every page is built of: sections, tables, cards of rows, and the sections that all kinds of results have. Whatever
comes from files goes through esc()."""
import collections
import shlex

import numpy as np

from .report_svg import BLUE, GREEN, ORANGE, YELLOW, Plot, esc, number, shared_bar, short

CLASSES_SHOWN = 200
PAIRS_SHOWN = 15
HUBS_SHOWN = 12
EXAMPLES_SHOWN = 9
GRID_CLASSES = 20  # up to which the confusions are a table of classes by classes

# ---- words ----


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


def class_name(name):
    """In a sentence: a bare number would read as a count."""
    return f"class {name}" if name.lstrip("-").isdigit() else f"“{name}”"


def typed(value):
    """A number as somebody would type it: the shortest that reads back."""
    if isinstance(value, float):
        text = repr(value).replace("e+", "e")
        return text[:-2] if text.endswith(".0") else text
    return str(value)


# ---- HTML ----

Section = collections.namedtuple("Section", "name link html")


def section(name, title, body, hint=None, link=None):
    """link: what the list of sections calls it, where the title is long."""
    return Section(name, link or title, f'<section id="{name}"><h2>{esc(title)}</h2>' + (f'<p class="hint">{hint}</p>' if hint else "") + f"{body}</section>")


def figure(svg, caption):
    return f"<figure>{svg}<figcaption>{caption}</figcaption></figure>"


def key(colour, text, dashed=False):
    """What a line or an area of a plot is, in its caption."""
    return f'<span class="one"><span class="key{" dashed" if dashed else ""}" style="border-color:{colour}"></span> {text}</span>'


def wide(about, table):
    """What may be wider than the page: then it is scrolled, also by the keyboard."""
    return f'<div class="wide" role="region" aria-label="{esc(about)}" tabindex="0">{table}</div>'


def table(about, heads, rows, sortable=False, name=None):
    """about: what it is, for who hears it; heads: (text, is it a number?); rows: cells that are HTML already, or (HTML, value to sort
    by). The first cell of a row is its heading."""
    out = [f'<table{" class=sortable" if sortable else ""}{f" id={name}" if name else ""}><thead><tr>']
    out += [f'<th scope="col"{" class=n" if is_number else ""}>{esc(text)}</th>' for text, is_number in heads]
    out.append("</tr></thead><tbody>")
    for row in rows:
        out.append("<tr>")
        for place, ((_, is_number), cell) in enumerate(zip(heads, row)):
            shown, by = cell if isinstance(cell, tuple) else (cell, None)
            attributes = (" class=n" if is_number else "") + (f' data-v="{esc(by)}"' if by is not None else "")
            out.append(f"<td{attributes}>{shown}</td>" if place else f'<th scope="row"{attributes}>{shown}</th>')
        out.append("</tr>")
    return wide(about, "".join(out) + "</tbody></table>")


def meter(share):
    """A bar in a table, beside the number that it shows."""
    inner = f'<div style="width:{100 * share:.1f}%"></div>' if share > 0 else ""
    return f'<div class="track thin" aria-hidden="true">{inner}</div>'


def outside_text(outside, one="value lies", many="values lie"):
    return f" {several(outside, one, many)} outside the picture." if outside else ""


def first_shown(shown, whole, what="classes are"):
    return f'<p class="hint">{count(whole - shown)} more {what} not shown.</p>' if whole > shown else ""


SORT_HINT = "<span class=js> Press a heading to sort.</span>"
GIVE_STORE = ('<p class="hint">Give the store and its labels, and this page tells of its classes: <code>trimine report RESULT STORE</code>; '
              'where the store has no labels inside, as a <code>.npy</code>, also <code>--labels FILE</code>.</p>')

# ---- rows ----


def card(rows, row, role="", colour="#595959", more=""):
    """A row: its picture, label, number, id and text, as far as they are known. more: HTML."""
    name = rows.name(row)
    parts = [f'<span class="role">{esc(role)}</span>' if role else "", rows.picture(row), f"<b>{esc(name)}</b>" if name is not None else "",
             f"<span>row {row}</span>"]
    if rows.ids is not None:
        parts.append(f'<span class="id">id {esc(rows.id(row))}</span>')
    text = rows.text(row)
    if text is not None:
        parts.append(f'<span class="text">{esc(text)}</span>')
    return f'<div class="card" style="border-top-color:{colour}">{"".join(parts)}{more}</div>'


def example(cards, said):
    return f'<div class="example"><div class="cards">{"".join(cards)}</div><div class="far">{said}</div></div>'


def examples(title, hint, shown):
    return f'<h3>{title}</h3><p class="hint">{hint}</p><div class="examples">{"".join(shown)}</div>' if shown else ""


def no_pictures(rows):
    return None if rows.has_pictures or rows.texts else "There are no pictures of these rows. <code>--images</code> says where some are, <code>--texts</code> where texts are."


def hub_share(chosen, total):
    """(share of all that the most chosen hundredth of the rows has, how many rows these are), or None."""
    rows = len(chosen)
    if not total or rows < 1000:
        return None
    top = rows // 100
    return float(np.partition(chosen, rows - top)[rows - top:].sum(dtype=np.int64)) / total, top


def most_of(values, most):
    """Where the largest are, most first, ties to the lower rows."""
    order = np.argpartition(values, -most)[-most:] if len(values) > most else np.arange(len(values))
    if len(values) > most:  # of equal ones at the end the lower rows
        least = values[order].min()
        order = np.concatenate([np.flatnonzero(values > least), np.flatnonzero(values == least)[:most]])
    return [int(r) for r in order[np.lexsort((order, -values[order].astype(np.float64)))][:most]]


def hubs_section(chosen, total, rows, used_text, top_text, hint):
    """The rows that come most often; used_text, top_text: sentences, with places for what was counted."""
    cards = [card(rows, r, "", ORANGE, f"<span>{count(chosen[r])} ({percent(int(chosen[r]), total)})</span>")
             for r in most_of(chosen, HUBS_SHOWN) if chosen[r] > 0]
    used, top = int(np.count_nonzero(chosen)), hub_share(chosen, total)
    said = [used_text.format(several(used, "row is", "rows are"), percent(used, len(chosen)))]
    if top:
        said.append(top_text.format(count(top[1]), percent(top[0], 1.0)))
    return section("hubs", "Hubs", f"<p>{' '.join(said)}</p>" + f'<div class="hubs">{"".join(cards)}</div>', hint)


# ---- classes ----


def light(colour):
    """How bright a colour is, from 0 to 1, as the contrast of letters is measured (WCAG)."""
    r, g, b = (c / 3294.6 if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in colour)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def shade(share):
    """A blue that is darker for more, and the colour of letters that is seen better on it."""
    colour = [int(255 + (c - 255) * share) for c in (0, 84, 140)]
    white = 1.05 / (light(colour) + 0.05) > (light(colour) + 0.05) / 0.05
    return f"background:#{bytes(colour).hex()};color:{'#fff' if white else '#000'}"


def confusion_grid(names, matrix):
    most = max(1, matrix.max())
    upright = "" if max(len(name) for name in names) <= 3 else ' class="upright"'
    out = ['<table class="grid" id="grid"><thead><tr><td></td>']
    out += [f'<th scope="col"{upright}><span>{esc(name)}</span></th>' for name in names]
    out.append("</tr></thead><tbody>")
    for a, name in enumerate(names):
        out.append(f'<tr><th scope="row">{esc(name)}</th>')
        for n in range(len(names)):
            c = int(matrix[a, n])
            out.append("<td class=self></td>" if a == n and not c else f'<td style="{shade((c / most) ** 0.5)}">{(count(c) if c < 10000 else short(c)) if c else ""}</td>')
        out.append("</tr>")
    return wide("How often each class is confused with each other", "".join(out) + "</tbody></table>")


def confusion_section(confused, names, by_active, of_all, heads, hint, grid_hint):
    """confused: ClassPairs; by_active: which of its counts; of_all: what they are a share of; heads: of the two classes and the count."""
    pairs, out = confused.most(PAIRS_SHOWN, by_active), []
    if len(names) <= GRID_CLASSES:
        out.append(confusion_grid(names, confused.grid(by_active)))
        hint += " " + grid_hint
    rows = [[esc(names[a]), esc(names[n]), count(c), percent(c, of_all)] for a, n, c in pairs]
    out.append("<div><h3>The most frequent</h3>" + table("The pairs of classes most confused", [(heads[0], False), (heads[1], False), (heads[2], True), ("share", True)],
                                                         rows, name="pairs") + "</div>")
    if confused.dropped:
        out.append(f'<p class="hint">There are very many pairs of classes: a count may be up to {count(confused.dropped)} too low.</p>')
    return section("confused", "Which classes are confused", f'<div class="side">{"".join(out)}</div>', hint, "Confusions")


# ---- the command ----

# What an option is where it is not given: such a one is left out, because policies refuse options that they do not take.
DEFAULTS = {"window": "lt", "pick": "nearest", "fallback": "skip", "reduction": "mean_all", "rank_order": "before",
            "shortlist": "none", "at_zero": "none", "gradient_at": "stored", "form": "triplets"}
NOT_TYPED = ("source", "loss_margin", "queries", "pairs", "compat", "all_ranks")


def value_text(value):
    """The end of a word may be a number, written with 17 digits."""
    word, colon, end = str(value).rpartition(":")
    if isinstance(value, str) and colon and len(end) > 16:
        try:
            return word + colon + typed(float(end))
        except ValueError:
            pass
    return typed(value)


def words_of(options):
    """The options as they are typed."""
    words = []
    compat = options.get("compat")
    for name, value in options.items():
        if name in NOT_TYPED or value is None or value is False or value == [] or DEFAULTS.get(name) == value:
            continue
        option = "--" + name.replace("_", "-")
        if compat and option[2:] not in (compat.get("overridden") or []):
            continue
        if name == "margin" and options.get("loss_margin", value) != value:
            continue  # nobody gave one: windows and losses have different defaults
        if value is True:
            words.append(option)
        elif name == "ignore_label":
            words += [f"{option}={label}" for label in (value if isinstance(value, list) else [value])]
        elif isinstance(value, list):
            words += [option, ",".join(typed(v) for v in value)]
        else:
            text = value_text(value)
            words += [f"{option}={text}"] if text.startswith("-") else [option, text]
    if compat:
        words = ["--compat", str(compat.get("name"))] + words
    return words


def command_section(command, output, result, stores, queries):
    """output: the option that names the result."""
    words = ["trimine", command, *(stores or ["PACKED" if result.options.get("source") == "packed" else "STORE"])]
    if command == "loss":
        source = str(result.options.get("source"))
        words += {"packed": [], "given": ["--triplets", "TRIPLETS"]}.get(source, ["--loss", source])
    if result.two_sets:
        words += ["--queries", queries[0] if queries else "QUERIES"]
    if "pairs" in result.options:
        words += ["--pairs", "PAIRS"]
    words += words_of(result.options) + (["--gradient"] if result.has_gradient else []) + [output, result.path]
    body = f'<pre><code>{esc(" ".join(shlex.quote(w) for w in words))}</code></pre>'
    return section("command", "The command", body, "These options make the same result, on any number of ranks. Options that are at their default are left out.",
                   "Command")


# ---- time ----

PHASES = (("read_s", "read"), ("arrange_s", "arrange"), ("prepare_s", "prepare"), ("positives_s", "positives"), ("negatives_s", "negatives"),
          ("sweep_s", "sweep"), ("answers_s", "answers"), ("loss_s", "loss"), ("gradient_s", "gradient"), ("write_s", "write"))
PHASE_COLOURS = ("#000000", "#56b4e9", "#999999", BLUE, ORANGE, ORANGE, GREEN, YELLOW, "#cc79a7", "#f0e442")
RANKS_SHOWN = 32


def real(value):
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else 0.0


def part_of(report, name):
    """An object of the report; an empty one where there is none."""
    found = report.get(name) if report else None
    return found if isinstance(found, dict) else {}


def list_of(report, name):
    found = report.get(name)
    return found if isinstance(found, list) else []


def ranks_part(ranks):
    busy, waits = [real(r.get("compute_s")) for r in ranks], [real(r.get("wait_s")) for r in ranks]
    most = max(b + w for b, w in zip(busy, waits)) or 1.0
    balance = sum(busy) / len(busy) / max(busy) if max(busy) > 0 else 1.0
    order = sorted(range(len(ranks)), key=lambda i: -busy[i])[:RANKS_SHOWN]
    given = [(name, name) for name in ("rows", "triplets") if any(name in r for r in ranks)]
    heads = [("rank", True), ("host", False), *((name, True) for name, _ in given), ("work, s", True), ("wait, s", True), ("work, and hatched wait", False)]
    rows = [[esc(ranks[i].get("rank", i)), esc(ranks[i].get("host", "")), *(count(real(ranks[i].get(name))) for name, _ in given), f"{busy[i]:.2f}", f"{waits[i]:.2f}",
             f'<div class="track thin" aria-hidden="true"><div style="width:{100 * busy[i] / most:.1f}%"></div><i style="width:{100 * waits[i] / most:.1f}%"></i></div>']
            for i in order]
    return (f"<h3>Ranks</h3><p>Balance {percent(balance, 1.0)}: the mean time of work over the longest. "
            f"Waiting: {percent(sum(waits), sum(busy) + sum(waits))} of all ranks' time.</p>" + table("Work of each rank", heads, rows, name="ranks") +
            (f'<p class="hint">The {RANKS_SHOWN} busiest of {count(len(ranks))} ranks.</p>' if len(ranks) > RANKS_SHOWN else ""))


def time_section(report, command):
    if not report:
        return section("time", "Time and ranks", f'<p class="hint">The result has no times in it: it is the same for any run. The job\'s report has them: <code>trimine {command} ... '
                       "--json-report run.json</code>, then <code>trimine report ... --json-report run.json</code>.</p>", None, "Time")
    run, ranks, out = part_of(report, "run"), [r for r in list_of(report, "ranks") if isinstance(r, dict)], []
    whole = sum(real(run.get(name)) for name, _ in PHASES)
    said = [f"{real(run.get('total_s')):.2f} s on {several(real(run.get('ranks')), 'rank', 'ranks')} of {several(real(run.get('threads')), 'thread', 'threads')}."]
    if real(run.get("peak_rss_bytes")):
        said.append(f"{real(run['peak_rss_bytes']) / 1e6:,.0f} MB a rank at most" +
                    (f"; {real(run['plan_bytes']) / 1e6:,.0f} MB were planned." if real(run.get("plan_bytes")) else "."))
    if real(run.get("gflops_effective")):
        said.append(f"{real(run['gflops_effective']):,.0f} GFLOP/s effective.")
    out.append(f"<p>{' '.join(said)}</p>")
    if whole > 0:
        there = [(name, text, colour) for (name, text), colour in zip(PHASES, PHASE_COLOURS) if name in run]
        out.append(shared_bar([(real(run[name]) / whole, colour, f"{text}: {real(run[name]):.2f} s") for name, text, colour in there if real(run[name]) > 0],
                              "the time of each phase; the table has the numbers"))
        rows = [[f'<span class="key box" style="background:{colour}"></span> {text}', f"{real(run[name]):.2f}", percent(real(run[name]), whole)] for name, text, colour in there]
        out.append(table("Seconds of each phase", [("phase", False), ("seconds", True), ("share", True)], rows, name="phases"))
    if ranks:
        out.append(ranks_part(ranks))
    out += [f'<p class="warning">{esc(warning)}</p>' for warning in list_of(report, "warnings")]
    return section("time", "Time and ranks", "".join(out), None, "Time")


# ---- what it is of ----


def source_section(result, stores, queries):
    attrs = result.attributes
    rows = [["result", esc(result.path)], ["store", esc(", ".join(stores)) if stores else "–"]]
    if result.two_sets:
        rows += [["queries", esc(", ".join(queries)) if queries else "–"], ["number of queries", count(result.anchor_rows)],
                 ["fingerprint of the queries", f"<code>{esc(attrs.get('queries_fingerprint', ''))}</code>"]]
    rows += [["rows, dimensions", f"{count(result.rows)} x {count(result.dim)}"], ["metric", esc(result.metric)],
             ["fingerprint of the rows", f"<code>{esc(attrs.get('store_fingerprint', attrs.get('packed_fingerprint', '')))}</code>"],
             ["result_hash", f"<code>{esc(attrs.get('result_hash', '–'))}</code>"], ["made by", f"trimine {esc(attrs.get('program_version', ''))}"]]
    return section("source", "Source", table("What this page is of", [("what", False), ("value", False)], rows, name="source-rows"))


# ---- plots ----


def histogram(name, values_about, edges, counts, x_title, y_title, colour=BLUE, mark=None, x_text=number):
    """One histogram. mark: (where, text) of an upright line."""
    plot = Plot(name, values_about, float(edges[0]), float(edges[-1]), float(max(max(counts, default=0), 1)), x_title, y_title, x_text=x_text)
    plot.steps([float(e) for e in edges], [int(c) for c in counts], colour, fill=0.35)
    if mark:
        plot.upright(float(mark[0]), mark[1], ORANGE)
    return plot.svg()


def whole_bins(counts, most=50):
    """Edges of bins of whole numbers, of equal width, for values that happen counts[v] times: up to where all but a few are."""
    share = np.cumsum(counts) / max(1, counts.sum())
    last = max(1, int(np.searchsorted(share, 0.995)))
    width = -(-(last + 1) // most)
    bins = -(-(last + 1) // width)
    padded = np.zeros(bins * width, np.int64)
    padded[:min(len(counts), len(padded))] = counts[:len(padded)]
    return np.arange(bins + 1) * width - 0.5, padded.reshape(bins, width).sum(1)
