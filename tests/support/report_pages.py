"""Makes stores and pages of results, and judges the pages: report_pages.py COMMAND FOLDER...

Pages are made in this process by the module that the program runs: that is much faster than a start for each. What the
program itself does with it is for tests/cli/test_report.sh.
"""
import contextlib
import html
import html.parser
import io
import json
import os
import re
import shlex
import sys
import traceback

import h5py
import numpy as np

NAMES = ["<script>alert(1)</script>", '"><img src=x onerror=alert(2)>', "&amp;lt;", "'quoted'", "plain", "ümlaut ✓", "</table></section>", "lonely"]


# ---- stores ----


def store(path, x, labels, **more):
    with h5py.File(path, "w") as f:
        f["embeddings"] = np.asarray(x, np.float32)
        if labels is not None:
            f["labels"] = labels
        for name, values in more.items():
            f[name] = values


def make(folder):
    r = np.random.default_rng(7)
    labels = np.repeat(np.arange(7), [40, 35, 30, 30, 20, 15, 10]).tolist() + [7]
    x = r.random((len(labels), 784)) * (r.random((len(labels), 784)) < 0.5)
    x[:, :40] += np.array(labels)[:, None] % 3 * 0.1
    x[5] = x[170]  # a copy with another label
    x = np.minimum(x, 1)
    names = [NAMES[c] for c in labels]
    store(f"{folder}/store.h5", x, names, ids=[f"<i>{i}</i>" for i in range(len(x))])
    store(f"{folder}/queries.h5", x[::3], names[::3], ids=np.arange(len(x[::3])) + 1000)
    store(f"{folder}/other_labels.h5", x, labels[::-1])
    small = r.normal(size=(60, 5))
    store(f"{folder}/small.h5", small, np.arange(60) % 4, paths=[b"in.png"] * 30 + [b"../out.png"] * 30, names=np.arange(60) + 500)
    store(f"{folder}/ties.h5", np.round(r.normal(size=(120, 2))), np.arange(120) % 6)
    store(f"{folder}/one.h5", small[:20], np.zeros(20, int))
    store(f"{folder}/single.h5", small[:1], [3])
    store(f"{folder}/many.h5", r.normal(size=(20000, 2)), np.arange(20000) % 10000)
    store(f"{folder}/bare.h5", small, None)
    store(f"{folder}/long_names.h5", small, ["xy"[i % 2] * 3000 for i in range(60)])
    with open(f"{folder}/texts.txt", "w") as f:
        f.write("".join(f"<script>alert({i})</script> text {i}\n" for i in range(len(x))))
    with open(f"{folder}/texts.jsonl", "w") as f:
        f.write("".join(json.dumps(f"two\nlines {i}") + "\n" for i in range(len(x))))
    with h5py.File(f"{folder}/triples.h5", "w") as f:
        for name, shape in (("anchor", (30, 4)), ("positive", (30, 4)), ("negatives", (30, 3, 4))):
            f[name] = r.normal(size=shape).astype(np.float32)
    with h5py.File(f"{folder}/damaged.h5", "w") as f:
        f.attrs.update({"format": "trimine-triplets", "complete": 1, "options": "{}", "store_rows": 5, "store_dim": 2})
        for name, values in (("anchor", [0]), ("positive", [1]), ("negative", [9])):
            f[f"triplets/{name}"] = np.array(values)
        f["triplets/d_ap"] = f["triplets/d_an"] = np.array([1.0])
        f["triplets/kind"] = np.array([0], np.uint8)


# ---- pages ----


def report(*arguments):
    """(exit code, what it said)."""
    from trimine.report import main
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            code = main([str(a) for a in arguments])
    except SystemExit as e:
        code = e.code
    return code, said.getvalue()


class Page(html.parser.HTMLParser):
    """Judges what is open and closed, and collects ids, texts of tables, links."""

    EMPTY = {"meta", "link", "hr", "img", "br"}

    def __init__(self, path):
        super().__init__(convert_charrefs=True)
        self.open, self.ids, self.sections, self.tables, self.links, self.counts = [], [], [], {}, [], {}
        self.row, self.cell, self.table, self.texts = None, None, None, {}
        self.text = open(path, encoding="utf-8").read()
        self.feed(self.text)
        self.close()
        assert not self.open, self.open
        self.judge()

    def handle_starttag(self, tag, attrs):
        got = dict(attrs)
        assert len(got) == len(attrs), (tag, attrs)
        self.counts[tag] = self.counts.get(tag, 0) + 1
        if tag not in self.EMPTY:
            self.open.append((tag, got.get("id")))
        if "id" in got:
            self.ids.append(got["id"])
        if tag == "section":
            self.sections.append(got["id"])
        if tag == "img":
            assert got.get("alt"), attrs
        for name, value in attrs:
            assert not name.startswith("on"), (tag, name)
            if name in ("src", "href", "action", "data"):
                self.links.append(value)
        if tag == "table":
            self.table = self.tables.setdefault(got.get("id"), [])
        if tag == "tr":
            self.row = []
            self.table.append(self.row)
        if tag in ("td", "th"):
            self.cell = ""

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in self.EMPTY:
            self.handle_endtag(tag)

    def handle_endtag(self, tag):
        assert self.open and self.open[-1][0] == tag, (tag, self.open[-3:], self.getpos())
        self.open.pop()
        if tag in ("td", "th"):
            self.row.append(self.cell.strip())
            self.cell = None

    def handle_data(self, data):
        if self.cell is not None:
            self.cell += data
        for _, name in self.open:
            if name:
                self.texts[name] = self.texts.get(name, "") + data

    def judge(self):
        """What any page must be."""
        assert len(self.ids) == len(set(self.ids)), self.ids
        assert self.counts["script"] == 1 and self.text.count("<script") == 1, "a script that is not the page's own"
        assert all(link.startswith(("data:", "#")) for link in self.links), self.links
        assert not re.search(r"https?://|//[a-z]+\.|@import|url\((?!#)", self.text), "something from elsewhere"
        assert "Content-Security-Policy" in self.text and "default-src 'none'" in self.text
        for link in self.links:
            assert not link.startswith("#") or link[1:] in self.ids, link
        assert len(self.text) < 3 << 20
        assert not re.search(r"\bnan\b|\binf\b|\bNone\b(?! of)", re.sub(r"base64,[^\"]*", "", self.text)), "a number that is none"

    def lines(self, table):
        return self.tables[table][1:]

    def column(self, table, number):
        return [line[number] for line in self.lines(table)]

    def cards(self, section):
        """Row ids of the cards of a section, in their order."""
        part = self.text[self.text.index(f'<section id="{section}"'):]
        return [int(r) for r in re.findall(r"<span>row (\d+)</span>", part[:part.index("</section>")])]


def four(value):
    text = f"{value:.4g}"
    return f"{value:,.0f}" if abs(value) >= 10000 and "e" not in text else text


def whole(text):
    return int(text.replace(",", ""))


def share(part, of):
    from trimine.report_parts import percent
    return percent(part, of)


def told(folder, name):
    return json.load(open(f"{folder}/{name}.json"))


def labels_of(folder, name):
    with h5py.File(f"{folder}/{name}") as f:
        return f["labels"].asstr()[:] if f["labels"].dtype.kind == "O" else f["labels"][:].astype(str)


def time_is_there(page, report):
    assert f'{report["run"]["total_s"]:.2f} s on {report["run"]["ranks"]:,} rank' in page.texts["time"]
    assert len(page.lines("ranks")) == report["run"]["ranks"] and page.lines("phases")


# ---- mine ----


def columns(path):
    with h5py.File(path) as f:
        if "triplets" in f:
            return {name: f["triplets"][name][:] for name in ("anchor", "positive", "negative", "d_ap", "d_an")}, f.attrs["margin"]
        g = f["lists"]
        there = g["negative"][:] >= 0
        lines = {name: np.repeat(g[name][:], there.sum(1)) for name in ("anchor", "positive", "d_ap")}
        return {**lines, "negative": g["negative"][:][there], "d_an": g["d_an"][:][there]}, f.attrs["margin"]


def check_mine(folder, name, store="store.h5", anchors=None):
    """A page of FOLDER/NAME.h5 against that result, its report NAME.json, and the store's labels."""
    page, report = Page(f"{folder}/{name}.html"), told(folder, name)
    assert [s for s in page.sections if s != "gradient"] == ["funnel", "distances", "classes", "confused", "hubs", "examples", "time", "command", "source"], page.sections
    t, margin = columns(f"{folder}/{name}.h5")
    gap = t["d_an"] - t["d_ap"]
    active = (t["d_ap"] - t["d_an"]) + margin > 0
    assert int(active.sum()) == report["loss"]["active"]
    assert f'{report["triplets"]["total"]:,} triplets (--negatives' in page.texts["funnel"], page.texts["funnel"]
    assert f'{report["loss"]["active"]:,} active triplets' in page.texts["funnel"]
    for key in ("no_positive", "no_negative", "ignored"):
        value = report["anchors"][key]
        assert (f"− {value:,} with" in page.texts["funnel"]) or not value, (key, value)
    skipped = report["triplets"]["skipped"]
    assert (f"− {skipped:,} skipped" in page.texts["funnel"]) == (skipped > 0)
    for line, key in zip(page.lines("quantiles"), ("d_ap", "d_an", "gap")):
        s = report["statistics"][key]
        assert [line[1], line[2], line[5], line[6], line[7], line[10]] == [four(s[k]) for k in ("mean", "min", "q1", "median", "q3", "max")], (key, line, s)
    for line in page.lines("margins"):
        assert line[1] == share(int((gap < float(line[0])).sum()), len(gap)), line
    labels, of_anchors = labels_of(folder, store), labels_of(folder, anchors or store)
    lines = {line[0]: line for line in page.lines("by-class")}
    assert set(lines) == set(of_anchors), set(lines) ^ set(of_anchors)
    for c, line in lines.items():
        mine = of_anchors[t["anchor"]] == c
        assert [whole(line[1]), whole(line[2]), whole(line[3])] == [(of_anchors == c).sum(), mine.sum(), (mine & active).sum()], line
        if mine.any():
            assert line[5:8] == [four(v[mine].mean()) for v in (t["d_ap"], t["d_an"], gap)], line
    check_confusions(page, of_anchors[t["anchor"]], labels[t["negative"]], active)
    check_hubs(page, np.bincount(t["negative"], minlength=len(labels)))
    assert report["result_hash"] in page.texts["source"]
    time_is_there(page, report)
    assert tuple(page.cards("examples")[:3]) == tuple(int(v) for v in min(zip(gap, t["anchor"], t["positive"], t["negative"]))[1:])
    if store == "store.h5":
        assert page.counts["img"] > 20 and "data:image/png;base64,iVBOR" in page.text


def check_confusions(page, first, second, counts, symmetric=False):
    """The grid of classes, and the most frequent pairs of them. counts: of which pairs of rows."""
    names = page.column("grid", 0)
    pairs = {}
    for a, b in zip(first[counts].tolist(), second[counts].tolist()):
        a, b = sorted((a, b)) if symmetric else (a, b)
        pairs[a, b] = pairs.get((a, b), 0) + 1
    for line in page.lines("grid"):
        for n, cell in zip(names, line[1:]):
            assert whole(cell or "0") == pairs.get((line[0], n), 0), (line[0], n, cell)
    for a, b, c, _ in page.lines("pairs"):
        assert whole(c) == pairs[a, b]
    assert [whole(c) for c in page.column("pairs", 2)] == sorted(pairs.values(), reverse=True)[:15]


def check_hubs(page, chosen):
    assert page.cards("hubs") == [int(r) for r in np.lexsort((np.arange(len(chosen)), -chosen))[:12] if chosen[r]]
    assert f"<span>{chosen.max():,} (" in page.text


# ---- knn ----


def check_knn(folder, name, store="store.h5", rows=None):
    page, report = Page(f"{folder}/{name}.html"), told(folder, name)
    assert page.sections == ["places", "occurrence", "hubs", "classes", "confused", "examples", "time", "command", "source"], page.sections
    with h5py.File(f"{folder}/{name}.h5") as f:
        near, distance = f["neighbors"][:], f["distances"][:]
    there = near >= 0
    k = report["k_occurrence"]
    assert page.column("occurrence-table", 1) == [four(k["mean"]), four(k["std"]), four(k["skewness"]), f'{k["never"]:,}', f'{k["max"]:,}'], page.tables["occurrence-table"]
    check_hubs(page, np.bincount(near[there], minlength=report["store"]["rows"]))
    labels, own = labels_of(folder, store), labels_of(folder, rows or store)
    same = (own[:, None] == labels[near]) & there
    assert page.texts["verdict"].startswith(f'{share(report["neighbors"]["same_label"], report["neighbors"]["total"])} of the neighbours'), page.texts["verdict"]
    for place, line in enumerate(page.lines("place-table")):
        d = distance[there[:, place], place]
        assert line == [str(place + 1), f"{len(d):,}", *(four(q) for q in np.quantile(d, (0.1, 0.5, 0.9))), four(d.mean()), share(int(same[:, place].sum()), len(d))], line
    assert len(page.lines("place-table")) == near.shape[1]
    for line in page.lines("by-class"):
        mine = own == line[0]
        assert [whole(line[1]), whole(line[2])] == [mine.sum(), there[mine].sum()] and line[3] == share(int(same[mine].sum()), int(there[mine].sum())), line
    check_confusions(page, np.repeat(own, near.shape[1]).reshape(near.shape)[there], labels[near][there], ~same[there])
    time_is_there(page, report)
    assert page.counts["img"] > 20


# ---- radius ----


def check_radius(folder, name, store="store.h5", rows=None):
    page, report = Page(f"{folder}/{name}.html"), told(folder, name)
    with h5py.File(f"{folder}/{name}.h5") as f:
        a, b, distance, degree, isolated = (f[n][:] for n in ("pairs/a", "pairs/b", "pairs/distance", "degree", "isolated"))
        group = f["group"][:] if "group" in f else None
    two = "queries" in report
    assert page.sections == ["distances", *([] if two else ["groups"]), "conflicts", "confused", "examples", "hubs", "isolated", "time", "command", "source"], page.sections
    total = report["pairs"]["total"]
    assert f"{total:,} pairs" in page.texts["verdict"] and "within 0.3" in page.texts["verdict"].replace("within 140.3", "within 0.3"), page.texts["verdict"]
    assert [whole(c) for c in page.column("within", 1)] == report["histogram"]["counts"] and whole(page.lines("within")[-1][2]) == total
    labels, own = labels_of(folder, store), labels_of(folder, rows or store)
    differ = own[a] != labels[b]
    assert f"{differ.sum():,} pairs have different labels" in page.texts["conflicts"], page.texts["conflicts"][:200]
    check_confusions(page, own[a], labels[b], differ, symmetric=not two)
    check_hubs(page, degree)
    assert page.cards("isolated") == isolated[:12].tolist() and f"{len(isolated):,} " in page.texts["isolated"]
    nearest = np.lexsort((b, a, distance))
    assert page.cards("examples")[:2] == [a[nearest[0]], b[nearest[0]]]
    nearest = nearest[differ[nearest]][0]
    assert page.cards("conflicts")[:2] == [a[nearest], b[nearest]]
    if group is not None:
        ids, sizes = np.unique(group, return_counts=True)
        assert sum(whole(c) for c in page.column("sizes", 1)) == (sizes > 1).sum() == report["groups"]["count"]
        assert sum(whole(c) for c in page.column("sizes", 2)) == report["groups"]["rows"]
        largest = report["groups"]["largest"][0]
        assert f"Row {largest['group']}'s group, {largest['rows']:,} rows" in page.texts["groups"]
        members = np.flatnonzero(group == largest["group"])[:8].tolist()
        assert page.cards("groups")[:len(members)] == members
        kept = len(set(group.tolist()))
        assert f"leaves {kept:,} rows" in page.text
    time_is_there(page, report)


# ---- eval ----


def metric_of(metrics, text):
    names = {"precision at 1": "precision_at_1", "R-precision": "r_precision", "MAP@R": "map_at_r", "MRR": "mrr"}
    if text in names:
        return metrics[names[text]]
    kind, k = text.rsplit(" at ", 1)
    return metrics[{"hit rate": "hit_rate_at", "recall": "recall_at", "precision": "precision_at", "nDCG": "ndcg_at"}[kind]][k]


def is_near(cells, values):
    """The last of four digits may differ where the next one is 5."""
    return len(cells) == len(values) and all(re.fullmatch(r"[01]\.\d{4}", cell) and abs(float(cell) - value) <= 5.001e-5 for cell, value in zip(cells, values))


def check_eval(folder, name):
    page, report = Page(f"{folder}/{name}.html"), told(folder, name)
    assert page.sections == ["metrics", "firsts", "classes", "examples", "time", "command", "source"], page.sections
    metrics = report["metrics"]
    for line in page.lines("metrics-table"):
        wanted = [metric_of(m, line[0]) for m in (metrics, metrics["low"], metrics["high"], metrics["macro"])]
        assert is_near(line[1:], wanted), (line, wanted)
    evaluated, ties = report["evaluated"], report["evaluated"]["ties_matter"]
    assert len(page.lines("metrics-table")) == (4 + 4 * 4 - 1 if report["options"]["metrics"] == "all" else len(report["options"]["metrics"].split(",")))
    text = page.text
    assert (f"Ties decide {ties:,} quer" in text) == (ties > 0) and (f'{evaluated["no_relevant"]:,} quer' in text or not evaluated["no_relevant"])
    classes = {str(c["label"]): c for c in report["classes"]}
    for line in page.lines("by-class"):
        c = classes.get(line[0])
        assert whole(line[1]) == (c["queries"] if c else 0), line
        if c and c["queries"]:
            heads = page.tables["by-class"][0][2:-2]
            assert is_near(line[2:-2], [metric_of(c["metrics"], h) for h in heads]), (line, c)
    with h5py.File(f"{folder}/{name}.h5") as f:
        start, rank, row = f["queries/start"][:], f["relevant/rank"][:], f["relevant/row"][:]
    first = np.array([rank[s] if s < e else 0 for s, e in zip(start, start[1:])])
    assert sum(whole(c) for c in page.column("first", 1)) == (first > 0).sum() == evaluated["queries"]
    low = 0
    for line in page.lines("first"):
        high = whole(line[0].split(" to ")[-1])
        assert whole(line[1]) == ((first > low) & (first <= high)).sum(), line
        low = high
    worst = int(np.lexsort((np.arange(len(first)), -first))[0])
    if first[worst] > 1:
        assert page.cards("examples")[:2] == [worst, row[start[worst]]]
    time_is_there(page, report)


# ---- loss ----


def check_loss(folder, name, **labels):
    page, report = Page(f"{folder}/{name}.html"), told(folder, name)
    assert page.sections == ["gradient", "time", "command", "source"], page.sections
    with h5py.File(f"{folder}/{name}.h5") as f:
        found = {n: f[f"gradient/{n}"][:] for n in f["gradient"]} if isinstance(f["gradient"], h5py.Group) else {"store": f["gradient"][:]}
    lines = page.lines("gradients")
    assert len(lines) == len(found)
    for line in lines:
        g = found[{"anchors": "anchor", "positives": "positive", "lists of negatives": "negatives", "rows": "store"}.get(line[0], line[0])].astype(float)
        norms = np.sqrt((g.reshape(len(g), -1) ** 2).sum(1))
        assert [whole(line[1]), whole(line[2])] == [len(g), np.count_nonzero(norms)] and line[4] == four(np.sqrt((norms ** 2).sum())) and line[7] == four(norms.max()), line
    assert four(report["loss"]["value"]) in page.texts["verdict"]
    if name == "loss":
        norms = np.sqrt((found["store"].astype(float) ** 2).sum(1))
        assert page.cards("gradient")[:3] == np.argsort(-norms, kind="stable")[:3].tolist()
        assert sum(whole(c) for c in page.column("gradient-by-class", 2)) == np.count_nonzero(norms)
    time_is_there(page, report)


# ---- what is called by the test ----


class Tries:
    def __init__(self):
        self.failed = 0

    def __call__(self, what, function, *arguments, **named):
        try:
            function(*arguments, **named)
        except Exception:
            self.failed += 1
            print(f"{what}:")
            traceback.print_exc(limit=3, file=sys.stdout)

    def end(self):
        sys.exit(self.failed > 0)


def made(folder, name, *arguments, page=None):
    code, said = report(f"{folder}/{name}.h5", *arguments, "-o", f"{folder}/{page or name}.html", "--overwrite")
    assert code == 0, said
    return Page(f"{folder}/{page or name}.html")


def same(folder, a, b):
    pages = [Page(f"{folder}/{name}.html") for name in (a, b)]
    for part in ("quantiles", "margins", "by-class", "grid", "pairs"):
        assert pages[0].tables[part] == pages[1].tables[part], part


def pages(folder):
    """A page of every result that the test has made, judged."""
    tries = Tries()
    of_store, of_queries = f"{folder}/store.h5", ["--queries", f"{folder}/queries.h5"]
    ties = f"{folder}/ties.h5"

    def one(check, name, *arguments, **named):
        def both():
            made(folder, name, *arguments, "--json-report", f"{folder}/{name}.json")
            check(folder, name, **named)
        tries(name, both)

    for name in ("plain", "window", "skipped", "lists"):
        one(check_mine, name, of_store)
    one(check_mine, "asked", of_store, *of_queries, anchors="queries.h5")
    one(check_knn, "knn", of_store)
    one(check_knn, "knn_asked", of_store, *of_queries, rows="queries.h5")
    one(check_radius, "radius", of_store)
    one(check_radius, "radius_asked", of_store, *of_queries, rows="queries.h5")
    for name in ("eval", "eval_ties", "eval_few"):
        one(check_eval, name, ties if name == "eval_ties" else of_store)
    one(check_eval, "eval_asked", of_store, *of_queries)
    one(check_loss, "loss", of_store)
    one(check_loss, "loss_asked", of_store, *of_queries)
    one(check_loss, "packed")
    assert told(folder, "eval_ties")["evaluated"]["ties_matter"] > 0, "no ties: the test shows nothing"
    tries("lists and triplets say the same", same, folder, "lists", "skipped")
    tries("alone", alone, folder)
    tries("names", names, folder)
    tries("files", files, folder)
    tries("nothing", nothing, folder)
    tries("many classes", many, folder)
    tries("pictures", pictures, folder)
    tries("defaults", defaults, folder)
    tries.end()


def alone(folder):
    """Results without anything beside them."""
    for name in ("plain", "knn", "knn_asked", "radius", "radius_asked", "eval", "eval_asked", "loss", "loss_asked", "packed", "knn_bare"):
        page = made(folder, name, page="alone")
        assert "--json-report" in page.texts["time"], name
    page = made(folder, "plain", page="alone")
    assert "Give the store" in page.texts["classes"] and "triplets (--negatives semihard)" in page.texts["funnel"]
    for name, hint in (("plain", "classes"), ("radius", "conflicts")):  # a store that has no labels was given
        page = made(folder, name, f"{folder}/rows.npy", page="alone")
        assert "--labels FILE" in page.texts[hint], page.texts[hint]


def names(folder):
    """Ids, texts and labels are shown, as text."""
    page = made(folder, "plain", f"{folder}/store.h5", "--texts", f"{folder}/texts.txt", page="named")
    row = page.cards("hubs")[0]
    assert f"id <i>{row}</i>" in page.texts["hubs"] and f"<script>alert({row})</script> text {row}" in page.texts["hubs"], page.texts["hubs"]
    page = made(folder, "knn_asked", f"{folder}/store.h5", "--queries", f"{folder}/queries.h5", "--query-texts", f"{folder}/lines.txt", page="named")
    row = page.cards("examples")[0]
    assert f"id {row + 1000}" in page.texts["examples"] and f"line {row}" in page.texts["examples"]
    page = made(folder, "radius", f"{folder}/store.h5", "--texts", f"{folder}/texts.jsonl", page="named")
    assert f"two lines {page.cards('groups')[0]}" in page.texts["groups"]
    page = made(folder, "small_result", f"{folder}/small.h5", "--ids", "names", page="named")
    assert f"id {page.cards('hubs')[0] + 500}" in page.texts["hubs"]
    page = made(folder, "long", f"{folder}/long_names.h5")  # which a browser looks at
    assert "xxxx…" in page.texts["classes"]


def files(folder):
    """Rows and labels in files of their own."""
    for labels in ("names.txt", "names.csv:the name", "names.csv:2"):
        made(folder, "plain", f"{folder}/rows.npy", "--labels", f"{folder}/{labels}", "--json-report", f"{folder}/plain.json", page="files")
        same(folder, "files", "plain")
    x, names = np.load(f"{folder}/rows.npy"), open(f"{folder}/names.txt").read().splitlines()
    with open(f"{folder}/ids.csv", "w") as f:
        f.write("".join(f"{i},<u>{i}</u>\n" for i in range(len(x))))
    of_parts, words = [], []
    for part, rows in (("a", slice(0, 100)), ("b", slice(100, None))):
        np.save(f"{folder}/part_{part}.npy", x[rows])
        with open(f"{folder}/part_{part}.txt", "w") as f:
            print(*names[rows], sep="\n", file=f)
        of_parts.append(f"{folder}/part_{part}.npy")
        words += ["--labels", f"{folder}/part_{part}.txt"]
    page = made(folder, "plain", *of_parts, *words, "--ids", f"{folder}/ids.csv:2", "--json-report", f"{folder}/plain.json", page="files")
    same(folder, "files", "plain")
    row = page.cards("hubs")[0]
    assert f"id <u>{row}</u>" in page.texts["hubs"], page.texts["hubs"]
    with open(f"{folder}/asked.txt", "w") as f:
        f.write("".join(f"question {i}\n" for i in range(len(x[::3]))))
    page = made(folder, "knn_asked", f"{folder}/store.h5", "--queries", f"{folder}/queries.h5", "--query-ids", f"{folder}/asked.txt", page="files")
    row = page.cards("examples")[0]
    assert f"id question {row}" in page.texts["examples"], page.texts["examples"]


def nothing(folder):
    """Results with nothing in them, or one class."""
    assert "There are no triplets" in made(folder, "none", f"{folder}/store.h5", "--json-report", f"{folder}/none.json").texts["verdict"]
    assert "No row has a neighbour" in made(folder, "knn_none", f"{folder}/single.h5").texts["verdict"]
    assert "0 pairs" in made(folder, "radius_none", f"{folder}/single.h5").texts["verdict"]
    assert "No query has a relevant row" in made(folder, "eval_none", f"{folder}/single.h5").texts["verdict"]
    for name in ("knn_one", "radius_one", "eval_one"):
        made(folder, name, f"{folder}/one.h5")
    assert "100 % of the neighbours" in Page(f"{folder}/knn_one.html").texts["verdict"]
    assert "No pair has different labels" in Page(f"{folder}/radius_one.html").texts["conflicts"]


def many(folder):
    """Ten thousand classes: the first are shown."""
    for name in ("many_knn", "many_eval", "many_mine", "many_radius"):
        page = made(folder, name, f"{folder}/many.h5")
        if "by-class" in page.tables:
            assert len(page.lines("by-class")) == 200 and "9,800 more classes are not shown" in page.text, name
        assert "grid" not in page.tables and len(page.text) < 300000, len(page.text)


def pictures(folder):
    """From a folder: none from outside it."""
    try:
        import PIL  # noqa: F401
        return
    except ImportError:
        pass
    page = made(folder, "small_result", f"{folder}/small.h5", "--images", f"{folder}/pictures", page="small")
    assert "aW5zaWRl" in page.text and "b3V0c2lkZ" not in page.text, "which pictures are in the page"


def commands(folder, *names):
    """The commands that pages show, to be run: how many words, and the words. The result goes to again_NAME.h5."""
    for name in names:
        code = re.search(r"<pre><code>(.*?)</code></pre>", Page(f"{folder}/{name}.html").text, re.S).group(1)
        words = shlex.split(html.unescape(code))
        assert words[0] == "trimine" and words[-2] in ("-o", "--per-query") and words[-1] == f"{folder}/{name}.h5", words
        words = words[1:-1] + [f"{folder}/again_{name}.h5"]
        sys.stdout.write("\0".join([str(len(words)), *words]) + "\0")


def again(folder, *names):
    """Those commands made the same results."""
    for name in names:
        with h5py.File(f"{folder}/{name}.h5") as a, h5py.File(f"{folder}/again_{name}.h5") as b:
            what = "result_hash" if "result_hash" in a.attrs else "value"
            assert a.attrs[what] == b.attrs[what] and a.attrs["options"] == b.attrs["options"], name


def defaults(folder):
    """What the page leaves out of the command is the program's default."""
    from trimine.report_parts import DEFAULTS
    options = {o["name"]: o["default"] for o in json.load(open(f"{folder}/options.json"))["commands"][0]["options"]}
    for key, value in DEFAULTS.items():
        assert options[key.replace("_", "-")] == value, (key, value, options[key.replace("_", "-")])


def damage(folder, name, dataset, value, at=0):
    """A copy of a result with one wrong value."""
    path = f"{folder}/{name}_{os.path.basename(dataset)}_{value}.h5"
    with open(f"{folder}/{name}.h5", "rb") as f, open(path, "wb") as to:
        to.write(f.read())
    with h5py.File(path, "r+") as f:
        values = f[dataset][:]
        values.reshape(-1)[at] = value
        f[dataset][:] = values
    return path


def retyped(folder, name, dataset, values):
    """A copy of a result with another array, or with none."""
    path = f"{folder}/{name}_{os.path.basename(dataset)}_of_{np.ndim(values)}.h5"
    with open(f"{folder}/{name}.h5", "rb") as f, open(path, "wb") as to:
        to.write(f.read())
    with h5py.File(path, "r+") as f:
        del f[dataset]
        if values is not None:
            f[dataset] = values
    return path


def refusals(folder):
    """What is refused, with the exit code and one line."""
    tries, out = Tries(), f"{folder}/refused.html"
    plain, of_store = f"{folder}/plain.h5", f"{folder}/store.h5"

    def refused(what, wanted, pattern, *arguments):
        code, said = report(*arguments, "-o", out)
        assert code == wanted and re.fullmatch(rf"trimine: error: [^\n]*{pattern}[^\n]*\n", said), (what, code, said)
        assert not os.path.exists(out)

    open(f"{folder}/x.fvecs", "w").close()
    texts = f"{folder}/texts.txt"
    open(f"{folder}/bad.jsonl", "w").write("5\n" * 181)
    for case in (
            ("a store of vectors", 65, r"x\.fvecs': a page reads HDF5 and \.npy only", plain, f"{folder}/x.fvecs"),
            ("no such column", 65, "no column 'nothing'", plain, f"{folder}/rows.npy", "--labels", f"{folder}/names.csv:nothing"),
            ("no such store", 66, r"store '.*/nope\.h5': no such file", plain, f"{folder}/nope.h5"),
            ("a store as the result", 65, r"store\.h5': not a result of trimine", of_store),
            ("text as the result", 65, r"texts\.txt': not an HDF5 file", texts),
            ("another store", 65, "has 60 rows of 5 dimensions, .* is of 181 rows of 784", plain, f"{folder}/small.h5"),
            ("other labels", 65, "labels are not those of result", plain, f"{folder}/other_labels.h5"),
            ("a damaged result", 65, "'negative' has a row id outside the store's 5 rows", f"{folder}/damaged.h5"),
            ("another report", 65, "is of another result", plain, "--json-report", f"{folder}/window.json"),
            ("another report of a loss", 65, "is of another result: its value", f"{folder}/loss.h5", "--json-report", f"{folder}/window.json"),
            ("no report", 65, r"texts\.txt': not the JSON of trimine's --json", plain, "--json-report", texts),
            ("queries of one set", 64, "is of one set: it takes no --queries", plain, "--queries", f"{folder}/queries.h5"),
            ("texts of queries of one set", 64, "is of one set: it takes no --query-texts", plain, "--query-texts", texts),
            ("ids of queries of one set", 64, "is of one set: it takes no --query-ids", plain, "--query-ids", texts),
            ("too few ids", 65, "61 ids for 181 rows", plain, of_store, "--ids", f"{folder}/lines.txt"),
            ("no such ids", 65, r"store\.h5': no dataset 'nothing'", plain, of_store, "--ids", "nothing"),
            ("no such texts", 66, r"texts '.*/nope': no such file", plain, "--texts", f"{folder}/nope"),
            ("too few texts", 65, "61 lines for 181 rows", plain, "--texts", f"{folder}/lines.txt"),
            ("texts that are none", 65, r"bad\.jsonl': line \d+ is no JSON string", plain, "--texts", f"{folder}/bad.jsonl"),
            ("a list of batches", 65, "of format 'trimine-batches'; there are triplets, lists, knn", f"{folder}/batches.h5"),
            ("a neighbour outside", 65, "'neighbors' has a row id outside", damage(folder, "knn", "neighbors", 181)),
            ("a distance that is NaN", 65, "'distances' has a distance that is not finite", damage(folder, "knn", "distances", np.nan)),
            ("neighbours that are no whole numbers", 65, "no dataset 'neighbors' of 2 axes", retyped(folder, "knn", "neighbors", np.zeros((181, 12)))),
            ("fewer neighbours than rows", 65, "'distances' is of 5 x 12, which does not go with the others", retyped(folder, "knn", "distances", np.zeros((5, 12)))),
            ("no degrees", 65, "no dataset 'degree' of 1 axes", retyped(folder, "radius", "degree", None)),
            ("groups of text", 65, "no dataset 'group' of 1 axes", retyped(folder, "radius", "group", ["a"] * 181)),
            ("no start of queries", 65, "'queries/start' is of 1, which does not go", retyped(folder, "eval", "queries/start", np.zeros(1, int))),
            ("a gradient of one axis", 65, "is no gradient", retyped(folder, "loss", "gradient", np.zeros(5, np.float32))),
            ("a gradient of other rows", 65, "its gradient is not of 181 rows", retyped(folder, "loss", "gradient", np.ones((5, 784), np.float32))),
            ("a pair outside", 65, "a pair has a row id outside", damage(folder, "radius", "pairs/b", -1)),
            ("a pair at NaN", 65, "'pairs/distance' has a distance that is not finite", damage(folder, "radius", "pairs/distance", np.nan)),
            ("a group outside", 65, "'group' has a number outside its 181 rows", damage(folder, "radius", "group", 181)),
            ("a rank of 0", 65, "a rank, row or distance of 'relevant' can't be one", damage(folder, "eval", "relevant/rank_low", 0)),
            ("queries out of order", 65, "'queries/start' does not begin with 0, ascend", damage(folder, "eval", "queries/start", 10**6, 3)),
            ("a gradient of NaN", 65, "has a value that is not finite", damage(folder, "loss", "gradient", np.nan)),
    ):
        tries(case[0], refused, *case)
    for report_text in ('{"program": "trimine", "result_hash": "HASH", "run": 5, "ranks": [3, {"rank": "<b>"}], "loss": [], "anchors": "x", "warnings": 7}',):
        hostile = f"{folder}/hostile.json"
        open(hostile, "w").write(report_text.replace("HASH", told(folder, "plain")["result_hash"]))
        tries("a report with other things in it", made, folder, "plain", "--json-report", hostile, page="hostile")
    tries.end()


def look(folder, browser, pictures):
    """Opens pages in a browser: is anything hard to read, does the script sort, did a name become an element?"""
    from browser import AUDIT, Browser
    tries = Tries()

    def audit(page, what):
        assert page.evaluate(AUDIT) == [], (what, page.evaluate(AUDIT))
        assert page.complaints == [], (what, page.complaints)

    def one(opened, name):
        page = opened.open(f"file://{folder}/{name}.html", 390)
        audit(page, "on a phone")
        page.picture(f"{pictures}/{name}-390.png")
        page.width(1280)
        audit(page, "on a screen")
        page.picture(f"{pictures}/{name}-1280.png")
        assert page.evaluate("document.scripts.length+document.querySelectorAll('[onerror]').length") == 1
        if page.evaluate("document.querySelectorAll('#by-class button').length"):
            page.evaluate("document.querySelectorAll('#by-class button')[1].click()")
            counts = page.evaluate("Array.from(document.querySelectorAll('#by-class tbody tr')).map(r=>Number(r.cells[1].textContent.replace(/,/g,'')))")
            assert counts == sorted(counts, reverse=True), counts
        return page

    def all_of(name):
        page = one(opened, name)
        for sight in ("deuteranopia", "achromatopsia"):
            page.seen_as(sight)
            page.picture(f"{pictures}/{name}-{sight}.png")
        page.seen_as("none")
        page.print(f"{pictures}/{name}.pdf")

    with Browser(browser, f"{folder}/chromium") as opened:
        for name in ("plain", "radius"):
            tries(name, all_of, name)
        for name in ("knn", "eval_ties", "loss", "named", "long"):
            tries(name, one, opened, name)
    tries.end()


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
