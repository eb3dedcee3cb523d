#!/usr/bin/env bash
# trimine report: pages of every kind of result are well-formed HTML that fetches nothing, have their sections, tell the
# results' own numbers, and take no markup from the names of a stranger's file. Where chromium is installed the pages are opened
# in it, and pictures of them left in ctest's folder. What makes and judges pages is tests/support/report_pages.py.
source "$(dirname "$0")/lib.sh"
mkdir "$out"

page() {
    "$python" "$source_dir/tests/support/report_pages.py" "$@"
}
export PYTHONPATH=$PYTHONPATH:$source_dir/python
missing=$("$python" -c 'import numpy, h5py' 2>&1) || {
    echo "skipped: $python has no numpy and h5py: ${missing##*$'\n'}"
    exit 77
}
unset TRIMINE_PYTHON
expect "stores" page make "$dir"

# ---- results of every kind, each with its report ----

job() { # NAME COMMAND STORE ARGUMENTS...: NAME.h5 and NAME.json
    local name=$1 command=$2 store=$3 option=-o
    shift 3
    [[ $command != eval ]] || option=--per-query
    quickly "$command" "$dir/$store" "$@" "$option" "$dir/$name.h5" --json-report "$dir/$name.json"
    [[ -s $dir/$name.json ]] || fail "the report of $name" "$dir/stderr"
}
asked=(--queries "$dir/queries.h5")
job plain mine store.h5 --positives all --window none --margin 3 --ignore-label "plain" --gradient
job window mine store.h5 --positives nearest:2 --margin 0.7 --fallback hardest
job skipped mine store.h5 --positives easiest --negatives topk:3 --min-distance 140 --max-distance 146 --margin 2.5
job lists mine store.h5 --positives easiest --negatives topk:3 --min-distance 140 --max-distance 146 --margin 2.5 --form lists
job asked mine store.h5 "${asked[@]}" --positives hardest --negatives hard --margin 2
job none mine store.h5 --positives hardest --margin 0.0001
job small_result mine small.h5 --negatives hard --positives easiest
job knn knn store.h5 -k 12 --ignore-label "plain"
job knn_asked knn store.h5 "${asked[@]}" -k 5
job knn_bare knn bare.h5 -k 3
job radius radius store.h5 -r 140.3 --groups
job radius_asked radius store.h5 "${asked[@]}" -r 140.3 --metric sql2
job eval eval store.h5 --per-class
job eval_few eval store.h5 --per-class --metrics precision_at_1,mrr
job eval_ties eval ties.h5 --per-class --at 1,2,30,100
job eval_asked eval store.h5 "${asked[@]}" --per-class
job loss loss store.h5 --loss batch-hard --gradient
job loss_asked loss store.h5 "${asked[@]}" --loss batch-hard --gradient
job packed loss triples.h5 --gradient --margin 30
for store in single one; do
    suffix=${store/single/none}
    job "knn_$suffix" knn "$store.h5" -k 3
    job "radius_$suffix" radius "$store.h5" -r 0.5 --groups
    job "eval_$suffix" eval "$store.h5"
done
job long mine long_names.h5 --positives easiest --window none
job many_knn knn many.h5 -k 3
job many_eval eval many.h5
job many_mine mine many.h5 --window none
job many_radius radius many.h5 -r 0.00001
quickly mine "$dir/ties.h5" --batches 5 --classes-per-batch 2 --rows-per-class 2 --batch-list "$dir/batches.h5" --quiet
"$program" options --json >"$dir/options.json"
"$python" - "$dir" <<'PY'
import csv, sys, h5py, numpy as np
folder = sys.argv[1]
with h5py.File(f"{folder}/store.h5") as f:
    names = f["labels"].asstr()[:]
    np.save(f"{folder}/rows.npy", f["embeddings"][:])
with open(f"{folder}/names.txt", "w") as f:
    print(*names, sep="\n", file=f)
with open(f"{folder}/lines.txt", "w") as f:
    print(*(f"line {i}" for i in range(len(names[::3]))), sep="\n", file=f)
with open(f"{folder}/names.csv", "w") as f:
    csv.writer(f).writerows([["id", "the name"], *enumerate(names)])
PY
mkdir "$dir/pictures"
printf '\x89PNG\r\n\x1a\n!inside' >"$dir/pictures/in.png"
printf '\x89PNG\r\n\x1a\n!outside' >"$dir/out.png"

# ---- their pages ----

expect "pages of all of them" page pages "$dir"
expect "what is refused" page refusals "$dir"
for name in page.txt page page.h5 - page.html.txt; do
    (cd "$out" && quickly report "$dir/plain.h5" -o "$name")
    judge "a page that is called $name" $? 64 "output '$name': a page is an HTML file: call it \.html or \.htm$"
done
quickly report "$dir/plain.h5" -o "$dir/capital.HTM" --quiet
expect "capitals are as good" test "$? $(head -c 15 "$dir/capital.HTM")" = "0 <!DOCTYPE html>"
shown=(plain window skipped lists knn radius eval eval_few loss)
page commands "$dir" "${shown[@]}" >"$dir/words"
mapfile -d '' words <"$dir/words"
for ((at = 0; at < ${#words[@]}; at += words[at] + 1)); do
    quickly "${words[@]:at+1:words[at]}"
done
expect "the commands on the pages make their results" page again "$dir" "${shown[@]}"

# ---- the program ----

report() { # ARGUMENTS...
    "$program" report "$@" >"$dir/stdout" 2>"$dir/stderr" </dev/null
}
cp "$dir/plain.html" "$dir/first.html"
report "$dir/plain.h5" "$dir/store.h5" --json-report "$dir/plain.json" -o "$dir/plain.html" --overwrite --json
expect "the same page again" cmp "$dir/first.html" "$dir/plain.html"
expect "JSON says where the page is" test "$(value "$dir/stdout" output) $(value "$dir/stdout" bytes)" = "$dir/plain.html $(stat -c %s "$dir/plain.html")"
report "$dir/radius.h5" "$dir/store.h5" --ids ids --texts "$dir/texts.jsonl" -o "$dir/words.html" --quiet
expect "ids and texts by the program" bash -c 'grep -q "two lines" "$0" && grep -q "id &lt;i&gt;" "$0"' "$dir/words.html"
expect "--quiet says nothing" test ! -s "$dir/stderr"
seq 61 >"$dir/asked_ids.txt"
report "$dir/knn_asked.h5" "$dir/store.h5" --queries "$dir/queries.h5" --query-ids "$dir/asked_ids.txt" -o "$dir/asked_ids.html" --quiet
expect "ids of queries in a file" bash -c 'grep -q "id 1</span>\|id 61</span>\|id [0-9]\{1,2\}</span>" "$0" && ! grep -q "id 10[0-9][0-9]</span>" "$0"' "$dir/asked_ids.html"
on 3 report "$dir/plain.h5" -o "$dir/ranks.html" >"$dir/stdout" 2>"$dir/stderr"
expect "three ranks make one page" test "$(grep -c '^wrote .*ranks\.html: a page of [0-9]* kB$' "$dir/stderr")" = 1

refuse() { # NAME CODE PATTERN ARGUMENTS...
    local name=$1 code=$2 pattern=$3
    shift 3
    report "$@"
    judge "$name" $? "$code" "$pattern"
}
plain=$dir/plain.h5 page=$out/page.html
refuse "no result" 64 "no result given" -o "$page"
refuse "no output" 64 "needs an output: -o page" "$plain"
refuse "no such result" 66 "result '.*/nope\.h5': no such file" "$dir/nope.h5" -o "$page"
refuse "labels without a store" 64 "--labels goes with a STORE behind the result" "$plain" --labels y.txt -o "$page"
refuse "an output without its folder" 73 "no such folder" "$plain" -o "$out/none/page.html"
touch "$page"
kept=$page
refuse "an output that exists" 73 "page\.html' exists; give --overwrite" "$plain" -o "$page"
rm "$page"
kept=
sed 's/store_dim/stor\x00_dim/' "$plain" >"$dir/bent.h5"
refuse "a bent result" 65 "bent\.h5': can't be read: it is damaged" "$dir/bent.h5" -o "$page"
head -c 3000 "$plain" >"$dir/cut.h5"
refuse "a cut result" 65 "cut\.h5': (not an HDF5 file|can't be read)" "$dir/cut.h5" -o "$page"
printf '#!/bin/sh\nkill -SEGV $$\n' >"$dir/crashes"
chmod +x "$dir/crashes"
TRIMINE_PYTHON=$dir/crashes refuse "a Python that crashes" 65 "crashed \(signal 11\): HDF5 does so on some files" "$plain" -o "$page"
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
expect "also where a part of PYTHONPATH is empty" env -C "$dir/here" PYTHONPATH=":$PYTHONPATH" "$program" report "$plain" -o "$dir/here2.html"
mv "$dir/here/numpy.py" "$dir/here/importlib.py"
expect "and so is an importlib.py" env -C "$dir/here" "$program" report "$plain" -o "$dir/here3.html"
"$python" -m venv --without-pip "$dir/venv"
TRIMINE_PYTHON=$dir/venv/bin/python3 refuse "a venv without numpy" 69 "venv/bin/python3 finds no (numpy|h5py)" "$plain" -o "$page"
expect "children that are ignored are waited for" bash -c 'trap "" CHLD; exec "$@"' - "$program" report "$plain" -o "$dir/ignored.html"
expect "a page with standard error closed" bash -c 'exec "$@" 2>&-' - "$program" report "$plain" -o "$dir/closed.html"

# ---- the report of a job in a file ----

told() { # NAME CODE PATTERN PATH ARGUMENTS...: a job that can't write its report there is refused before it works
    local name=$1 code=$2 pattern=$3 path=$4
    shift 4
    quickly mine "$dir/ties.h5" -o "$out/t.h5" --json-report "$path" "$@"
    judge "$name" $? "$code" "$pattern"
}
told "a report that exists" 73 "plain\.json' exists; give --overwrite" "$dir/plain.json"
cp "$dir/ties.h5" "$dir/own.h5"
"$python" -c 'import h5py, sys; n = len(h5py.File(sys.argv[1])["embeddings"]); print("id", *range(n), sep="\n")' "$dir/own.h5" >"$dir/own.csv"
refused "a report over the ids" 64 "own.csv' is one of the files that the store leads to" -- \
    knn "$dir/own.h5" --k 1 --ids "$dir/own.csv:id" --json-report "$dir/own.csv" --overwrite
told "a report over the store" 64 "ties\.h5' is one of the inputs" "$dir/ties.h5" --overwrite
told "a report over the output" 64 "is another output, too" "$out/t.h5"
told "a report in no folder" 73 "no folder" "$out/none/run.json"
on 3 mine "$dir/ties.h5" --json --json-report "$dir/ranks.json" >"$dir/stdout" 2>"$dir/stderr"
expect "the report of three ranks is what is printed" cmp "$dir/stdout" "$dir/ranks.json"
quickly mine "$dir/ties.h5" --dry-run --json-report "$dir/dry.json" --quiet
expect "a dry run writes nothing" test ! -e "$dir/dry.json"

# ---- in a browser ----

browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome)
if [[ -n $browser ]]; then
    pictures=$PWD/report-pages # what to look at, in ctest's folder
    mkdir -p "$pictures"
    expect "the pages in a browser" page look "$dir" "$browser" "$pictures"
    expect "pictures of them" test "$(find "$pictures" -name '*.png' -size +4k | wc -l) $(find "$pictures" -name '*.pdf' -size +4k | wc -l)" = "18 2"
else
    echo "not opened in a browser: there is no chromium"
fi
finish
