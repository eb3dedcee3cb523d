#!/usr/bin/env bash
# trimine report: the page is well-formed HTML that fetches nothing, has every section, tells the result's own numbers, and
# takes no markup from the names of a stranger's file. Where chromium is installed the page is opened in it.
source "$(dirname "$0")/lib.sh"
mkdir "$out"

# Makes stores, and judges pages: page.py COMMAND FOLDER.
cat >"$dir/page.py" <<'PY'
import html.parser
import json
import os
import re
import shlex
import sys

import h5py
import numpy as np

NAMES = ["<script>alert(1)</script>", '"><img src=x onerror=alert(2)>', "&amp;lt;", "'quoted'", "plain", "ümlaut ✓", "</table></section>", "lonely"]


def make(folder):
    r = np.random.default_rng(7)
    labels = np.repeat(np.arange(7), [40, 35, 30, 30, 20, 15, 10]).tolist() + [7]
    x = r.random((len(labels), 784)) * (r.random((len(labels), 784)) < 0.5)
    x[:, :40] += np.array(labels)[:, None] % 3 * 0.1
    with h5py.File(f"{folder}/store.h5", "w") as f:
        f["embeddings"] = np.minimum(x, 1).astype(np.float32)
        f["labels"] = [NAMES[c] for c in labels]
    with h5py.File(f"{folder}/queries.h5", "w") as f:
        f["embeddings"] = np.minimum(x[::3], 1).astype(np.float32)
        f["labels"] = [NAMES[c] for c in labels[::3]]
    with h5py.File(f"{folder}/other_labels.h5", "w") as f:
        f["embeddings"] = np.minimum(x, 1).astype(np.float32)
        f["labels"] = labels[::-1]
    small = r.normal(size=(60, 5)).astype(np.float32)
    with h5py.File(f"{folder}/small.h5", "w") as f:
        f["embeddings"], f["labels"] = small, np.arange(60) % 4
        f["paths"] = [b"in.png"] * 30 + [b"../out.png"] * 30
    with h5py.File(f"{folder}/damaged.h5", "w") as f:
        f.attrs.update({"format": "trimine-triplets", "complete": 1, "options": "{}", "store_rows": 5, "store_dim": 2})
        for name, values in (("anchor", [0]), ("positive", [1]), ("negative", [9])):
            f[f"triplets/{name}"] = np.array(values)
        f["triplets/d_ap"] = f["triplets/d_an"] = np.array([1.0])
        f["triplets/kind"] = np.array([0], np.uint8)


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


def four(value):
    text = f"{value:.4g}"
    return f"{value:,.0f}" if abs(value) >= 10000 and "e" not in text else text


def whole(text):
    return int(text.replace(",", ""))


def columns(path):
    with h5py.File(path) as f:
        if "triplets" in f:
            return {name: f["triplets"][name][:] for name in ("anchor", "positive", "negative", "d_ap", "d_an")}, f.attrs["margin"]
        g = f["lists"]
        there = g["negative"][:] >= 0
        lines = {name: np.repeat(g[name][:], there.sum(1)) for name in ("anchor", "positive", "d_ap")}
        return {**lines, "negative": g["negative"][:][there], "d_an": g["d_an"][:][there]}, f.attrs["margin"]


def of(page):
    assert len(page.ids) == len(set(page.ids)), page.ids
    assert page.counts["script"] == 1 and page.text.count("<script") == 1, "a script that is not the page's own"
    assert all(link.startswith(("data:", "#")) for link in page.links), page.links
    assert not re.search(r"https?://|//[a-z]+\.|@import|url\((?!#)", page.text), "something from elsewhere"
    assert "Content-Security-Policy" in page.text and "default-src 'none'" in page.text
    for link in page.links:
        assert not link.startswith("#") or link[1:] in page.ids, link
    assert len(page.text) < 3 << 20
    return page


def check(folder, name, store="store.h5", anchors=None):
    """A page of FOLDER/NAME.h5 against that result, its report NAME.json, and the store's labels."""
    page = of(Page(f"{folder}/{name}.html"))
    assert page.sections == ["funnel", "distances", "classes", "confused", "hubs", "examples", "time", "command", "source"], page.sections
    t, margin = columns(f"{folder}/{name}.h5")
    report = json.load(open(f"{folder}/{name}.json"))
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
    for line, key in zip(page.tables["quantiles"][1:], ("d_ap", "d_an", "gap")):
        s = report["statistics"][key]
        assert [line[1], line[2], line[5], line[6], line[7], line[10]] == [four(s[k]) for k in ("mean", "min", "q1", "median", "q3", "max")], (key, line, s)
    for line in page.tables["margins"][1:]:
        share = 100 * np.mean(gap < float(line[0]))
        assert line[1] == ("0 %" if share == 0 else "100 %" if share == 100 else f"{share:.3g} %"), (line, share)
    with h5py.File(f"{folder}/{store}") as f:
        labels = f["labels"].asstr()[:]
    with h5py.File(f"{folder}/{anchors or store}") as f:
        of_anchors = f["labels"].asstr()[:]
    lines = {line[0]: line for line in page.tables["by-class"][1:]}
    assert set(lines) == set(of_anchors), set(lines) ^ set(of_anchors)
    for c, line in lines.items():
        mine = of_anchors[t["anchor"]] == c
        assert [whole(line[1]), whole(line[2]), whole(line[3])] == [(of_anchors == c).sum(), mine.sum(), (mine & active).sum()], line
        if mine.any():
            assert line[5:8] == [four(v[mine].mean()) for v in (t["d_ap"], t["d_an"], gap)], line
    grid = page.tables["grid"]
    names = [line[0] for line in grid[1:]]
    for line in grid[1:]:
        for n, cell in zip(names, line[1:]):
            pair = active & (of_anchors[t["anchor"]] == line[0]) & (labels[t["negative"]] == n)
            assert whole(cell or "0") == pair.sum(), (line[0], n, cell)
    for a, n, c, _ in page.tables["pairs"][1:]:
        assert whole(c) == (active & (of_anchors[t["anchor"]] == a) & (labels[t["negative"]] == n)).sum()
    chosen = np.bincount(t["negative"], minlength=len(labels))
    for row, c in re.findall(r"row (\d+)(\d[\d,]*) \(", page.texts["hubs"].replace("row ", " row ").replace("\n", "")) and \
            re.findall(r"<span>row (\d+)</span><span>([\d,]+) \(", page.text):
        assert chosen[int(row)] == whole(c), (row, c)
    assert f"<span>{chosen.max():,} (" in page.text
    assert report["result_hash"] in page.texts["source"]
    assert f'{report["run"]["total_s"]:.2f} s on {report["run"]["ranks"]:,} rank' in page.texts["time"]
    first = re.search(r"row (\d+)</span></div><div class=\"card\"[^>]*><span class=\"role\">positive.*?row (\d+)<.*?row (\d+)<", page.text)
    triplet = min(zip(gap, t["anchor"], t["positive"], t["negative"]))
    assert tuple(map(int, first.groups())) == tuple(int(v) for v in triplet[1:]), (first.groups(), triplet)
    if store == "store.h5":
        assert page.counts["img"] > 20 and "data:image/png;base64,iVBOR" in page.text
    return page


def command(folder, name):
    """The command that the page shows, as words to be run."""
    page = Page(f"{folder}/{name}.html")
    code = re.search(r"<pre><code>(.*?)</code></pre>", page.text, re.S).group(1)
    import html
    words = shlex.split(html.unescape(code))
    assert words[0] == "trimine" and words[-2:] == ["-o", f"{folder}/{name}.h5"], words
    sys.stdout.write("\0".join(words[1:-1] + [f"{folder}/again.h5"]) + "\0")


def defaults(folder):
    """What the page leaves out of the command is the program's default."""
    from trimine.report_page import DEFAULTS
    options = {o["name"]: o["default"] for o in json.load(open(f"{folder}/options.json"))["commands"][0]["options"]}
    for key, value in DEFAULTS.items():
        assert options[key.replace("_", "-")] == value, (key, value, options[key.replace("_", "-")])


def same(folder, a, b):
    texts = [Page(f"{folder}/{name}.html") for name in (a, b)]
    for part in ("quantiles", "margins", "by-class", "grid", "pairs"):
        assert texts[0].tables[part] == texts[1].tables[part], part


def pictures(folder):
    page = of(Page(f"{folder}/small.html"))
    assert "aW5zaWRl" in page.text and "b3V0c2lkZ" not in page.text, "which pictures are in the page"


def dom(folder):
    """What a browser made of it: the script ran, and no name became an element."""
    text = open(f"{folder}/dom.html", encoding="utf-8").read()
    assert text.count("<button>") == 9, text.count("<button>")
    assert "onerror=alert" not in re.sub(r"&[a-z]+;[^<]*", "", text)
    assert text.count("<script") == 1 and "&lt;script&gt;alert(1)" in text


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
PY
page() {
    "$python" "$dir/page.py" "$@"
}
export PYTHONPATH=$PYTHONPATH:$source_dir/python
missing=$("$python" -c 'import numpy, h5py' 2>&1) || {
    echo "skipped: $python has no numpy and h5py: ${missing##*$'\n'}"
    exit 77
}
unset TRIMINE_PYTHON
expect "stores" page make "$dir"

# report NAME ARGUMENTS...: a page of NAME.h5.
report() {
    local name=$1
    shift
    "$program" report "$dir/$name.h5" "$@" -o "$dir/$name.html" >"$dir/stdout" 2>"$dir/stderr" </dev/null
}

# ---- pages of every form ----

mines() { # NAME ARGUMENTS...: NAME.h5 and NAME.json
    local name=$1
    shift
    quickly mine "$dir/store.h5" "$@" -o "$dir/$name.h5" --json
    cp "$dir/stdout" "$dir/$name.json"
}
judged() { # NAME MORE...: its page says what the result says
    local name=$1
    expect "a page of $name: $(tail -n 1 "$dir/stderr")" test -s "$dir/$name.html"
    expect "the page of $name" page check "$dir" "$@"
}
mines plain --positives all --window none --margin 3 --ignore-label "plain"
report plain "$dir/store.h5" --json-report "$dir/plain.json"
expect "says where the page is" grep -q '^wrote .*plain\.html: a page of [0-9]* kB$' "$dir/stderr"
judged plain
mines window --positives nearest:2 --margin 0.7 --fallback hardest
report window "$dir/store.h5" --json-report "$dir/window.json" --json
expect "JSON says where the page is" test "$(value "$dir/stdout" output) $(value "$dir/stdout" bytes)" = "$dir/window.html $(stat -c %s "$dir/window.html")"
judged window
mines skipped --positives easiest --negatives topk:3 --min-distance 140 --max-distance 146 --margin 2.5
report skipped "$dir/store.h5" --json-report "$dir/skipped.json"
judged skipped
mines lists --positives easiest --negatives topk:3 --min-distance 140 --max-distance 146 --margin 2.5 --form lists
report lists "$dir/store.h5" --json-report "$dir/lists.json"
judged lists
expect "lists and triplets say the same" page same "$dir" lists skipped
mines asked --queries "$dir/queries.h5" --positives hardest --negatives hard --margin 2
report asked "$dir/store.h5" --queries "$dir/queries.h5" --json-report "$dir/asked.json"
judged asked store.h5 queries.h5

# ---- rows and labels in files of their own ----

"$python" - "$dir" <<'PY'
import csv, sys, h5py, numpy as np
folder = sys.argv[1]
with h5py.File(f"{folder}/store.h5") as f:
    names = f["labels"].asstr()[:]
    np.save(f"{folder}/rows.npy", f["embeddings"][:])
with open(f"{folder}/names.txt", "w") as f:
    print(*names, sep="\n", file=f)
with open(f"{folder}/names.csv", "w") as f:
    csv.writer(f).writerows([["id", "the name"], *enumerate(names)])
PY
for labels in names.txt "names.csv:the name" names.csv:2; do
    "$program" report "$dir/plain.h5" "$dir/rows.npy" --labels "$dir/$labels" --json-report "$dir/plain.json" -o "$dir/files.html" --overwrite 2>"$dir/stderr"
    expect "a page of .npy and $labels" page same "$dir" files plain
done

# ---- what is not given, and what stays the same ----

cp "$dir/plain.html" "$dir/first.html"
"$program" report "$dir/plain.h5" "$dir/store.h5" --json-report "$dir/plain.json" -o "$dir/plain.html" --overwrite --quiet 2>"$dir/stderr"
expect "--quiet says nothing" test ! -s "$dir/stderr"
expect "the same page again" cmp "$dir/first.html" "$dir/plain.html"
"$program" report "$dir/plain.h5" -o "$dir/alone.html" 2>/dev/null
expect "a page of a result alone" grep -q 'id="by-class"\|Give the store' "$dir/alone.html"
expect "a page of a result alone tells its triplets" grep -q "triplets (--negatives semihard)" "$dir/alone.html"
on 3 report "$dir/plain.h5" -o "$dir/ranks.html" >"$dir/stdout" 2>"$dir/stderr"
expect "three ranks make one page" test "$(grep -c '^wrote ' "$dir/stderr")" = 1
expect "and the same one" cmp "$dir/ranks.html" "$dir/alone.html"
mines none --positives hardest --margin 0.0001
report none "$dir/store.h5" --json-report "$dir/none.json"
expect "a page of no triplets" grep -q "There are no triplets" "$dir/none.html"

for name in plain window skipped lists; do
    page command "$dir" "$name" >"$dir/words"
    mapfile -d '' words <"$dir/words"
    quickly "${words[@]}" --overwrite
    expect "the command on the page of $name makes its result" "$python" - "$dir/$name.h5" "$dir/again.h5" <<'PY'
import h5py, sys
a, b = (h5py.File(p).attrs["result_hash"] for p in sys.argv[1:])
assert a == b, (a, b)
PY
done
"$program" options --json >"$dir/options.json"
expect "what the command leaves out" page defaults "$dir"

# ---- pictures from a folder: none from outside it ----

mkdir "$dir/pictures"
printf '\x89PNG\r\n\x1a\n!inside' >"$dir/pictures/in.png"
printf '\x89PNG\r\n\x1a\n!outside' >"$dir/out.png"
quickly mine "$dir/small.h5" --negatives hard --positives easiest -o "$dir/small_result.h5"
cp "$dir/small_result.h5" "$dir/keep.h5"
"$program" report "$dir/keep.h5" "$dir/small.h5" --images "$dir/pictures" -o "$dir/small.html" 2>"$dir/stderr"
"$python" -c 'import PIL' 2>/dev/null || expect "pictures" page pictures "$dir"

# ---- refused ----

refuse() { # NAME CODE PATTERN ARGUMENTS...
    local name=$1 code=$2 pattern=$3
    shift 3
    "$program" report "$@" >"$dir/stdout" 2>"$dir/stderr" </dev/null
    judge "$name" $? "$code" "$pattern"
}
plain=$dir/plain.h5 page=$out/page.html
touch "$dir/x.fvecs"
refuse "a store of vectors" 65 "x\.fvecs': a page reads HDF5 and \.npy only" "$plain" "$dir/x.fvecs" -o "$page"
refuse "no such column" 65 "no column 'nothing'" "$plain" "$dir/rows.npy" --labels "$dir/names.csv:nothing" -o "$page"
refuse "no result" 64 "no result given" -o "$page"
refuse "no output" 64 "needs an output: -o page" "$plain"
refuse "no such result" 66 "result '.*/nope\.h5': no such file" "$dir/nope.h5" -o "$page"
refuse "no such store" 66 "store '.*/nope\.h5': no such file" "$plain" "$dir/nope.h5" -o "$page"
refuse "a store as the result" 65 "store\.h5': not a result of trimine" "$dir/store.h5" -o "$page"
refuse "text as the result" 65 "page\.py': not an HDF5 file" "$dir/page.py" -o "$page"
refuse "another store" 65 "has 60 rows of 5 dimensions, .* is of 181 rows of 784" "$plain" "$dir/small.h5" -o "$page"
refuse "other labels" 65 "labels are not those of result" "$plain" "$dir/other_labels.h5" -o "$page"
refuse "a damaged result" 65 "'negative' has a row id outside the store's 5 rows" "$dir/damaged.h5" -o "$page"
sed 's/store_dim/stor\x00_dim/' "$plain" >"$dir/bent.h5"
refuse "a bent result" 65 "bent\.h5': can't be read: it is damaged" "$dir/bent.h5" -o "$page"
head -c 3000 "$plain" >"$dir/cut.h5"
refuse "a cut result" 65 "cut\.h5': (not an HDF5 file|can't be read)" "$dir/cut.h5" -o "$page"
printf '#!/bin/sh\nkill -SEGV $$\n' >"$dir/crashes"
chmod +x "$dir/crashes"
TRIMINE_PYTHON=$dir/crashes refuse "a Python that crashes" 65 "crashed \(signal 11\): HDF5 does so on some files" "$plain" -o "$page"
refuse "another report" 65 "is of another result" "$plain" --json-report "$dir/window.json" -o "$page"
refuse "no report" 65 "page\.py': not the JSON of trimine's --json" "$plain" --json-report "$dir/page.py" -o "$page"
refuse "queries of one set" 64 "is of one set: it takes no --queries" "$plain" --queries "$dir/queries.h5" -o "$page"
refuse "an output without its folder" 73 "no such folder" "$plain" -o "$out/none/page.html"
touch "$page"
kept=$page
refuse "an output that exists" 73 "page\.html': exists; --overwrite" "$plain" -o "$page"
rm "$page"
kept=
quickly knn "$dir/small.h5" -k 3 -o "$dir/knn.h5"
refuse "neighbours" 65 "of format 'trimine-knn'" "$dir/knn.h5" -o "$page"
export TRIMINE_PYTHON=/nowhere/python3
refuse "no Python" 69 "there is no Python '/nowhere/python3': install python3, python3-numpy and python3-h5py" "$plain" -o "$page"
printf '#!/bin/sh\nexec %s -S "$@"\n' "$python" >"$dir/bare"
chmod +x "$dir/bare"
export TRIMINE_PYTHON=$dir/bare
refuse "a Python without numpy" 69 "(needs Python with numpy and h5py|finds no (numpy|h5py))" "$plain" -o "$page"
with_json=1
refuse "a Python without numpy, in JSON" 69 "(numpy|h5py)" "$plain" -o "$page" --json
with_json=
unset TRIMINE_PYTHON
mkdir "$dir/here"
echo 'raise SystemExit("a stranger")' >"$dir/here/numpy.py"
expect "a numpy.py in the current folder is left alone" env -C "$dir/here" "$program" report "$plain" -o "$dir/here.html"

# ---- in a browser ----

browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome)
if [[ -n $browser ]]; then
    pictures=$PWD/report-pages # what to look at, in ctest's folder
    mkdir -p "$pictures"
    browse() { # ARGUMENTS...
        timeout -k 5 "$patience" "$browser" --headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --hide-scrollbars --user-data-dir="$dir/chromium" \
            --enable-logging=stderr "$@" "file://$dir/plain.html" </dev/null 2>>"$dir/browser.log"
    }
    browse --dump-dom >"$dir/dom.html"
    expect "the page in a browser" page dom "$dir"
    for width in 390 1280; do
        browse --window-size=$width,6000 --screenshot="$pictures/plain-$width.png" >/dev/null
        expect "a picture of $width pixels" test -s "$pictures/plain-$width.png"
    done
    browse --no-pdf-header-footer --print-to-pdf="$pictures/plain.pdf" >/dev/null
    expect "printed" test -s "$pictures/plain.pdf"
    expect "the browser logs no error of the page" bash -c '! grep CONSOLE "$0"' "$dir/browser.log"
else
    echo "not opened in a browser: there is no chromium"
fi
finish
