#!/usr/bin/env bash
# trimine eval as a user runs it: the ranks it writes against all distances, the same bytes however it is run, the values of
# pytorch-metric-learning and, where it is there, scikit-learn, and what is refused. TRIMINE_RECIPES names a Python that has it.
source "$(dirname "$0")/lib.sh"
jobs_share_starts
in=$dir/in
mkdir "$in" "$out"

"$python" - "$in" <<'PY' || exit 2
import sys

import numpy as np
from stores import write

rng = np.random.default_rng(5)
x = rng.integers(0, 6, (400, 5)).astype(np.float32)  # full of ties and copies
y = rng.integers(0, 7, 400)
y[0] = 99  # alone in its class
q = rng.integers(0, 6, (33, 5)).astype(np.float32)
write("store", embeddings=x, labels=y)
write("first", embeddings=x[:150], labels=y[:150])
write("rest", embeddings=x[150:], labels=y[150:])
write("queries", embeddings=q, labels=rng.integers(0, 9, 33))
write("bare", embeddings=x)
write("bare_queries", embeddings=q)
write("one", embeddings=x[:1], labels=y[:1])
write("distinct", embeddings=x[:20], labels=np.arange(20))
write("zero", embeddings=np.where(np.arange(400)[:, None] == 7, 0, x).astype(np.float32), labels=y)
pairs = np.stack([rng.integers(0, 33, 80), rng.integers(0, 400, 80)], 1)
np.savetxt(f"{sys.argv[1]}/pairs.txt", np.concatenate([pairs, pairs[:5]]), fmt="%d")
np.savetxt(f"{sys.argv[1]}/far.txt", [[3, 400]], fmt="%d")
write("plain", embeddings=rng.standard_normal((300, 6)).astype(np.float32), labels=rng.integers(0, 12, 300))


def case(name):  # the stores that tests/data/pml_metrics.json is of
    if name == "A":
        r = np.random.default_rng(101)
        return r.standard_normal((24, 8)).astype(np.float32), np.arange(24) % 5
    if name == "B":
        r = np.random.default_rng(102)
        y = r.integers(0, 20, 60)
        c = r.standard_normal((20, 16))
        return (c[y] + 0.7 * r.standard_normal((60, 16))).astype(np.float32), y
    r = np.random.default_rng(103)
    y = np.arange(40) % 8
    c = r.standard_normal((8, 12))
    x = (c[y] + 0.3 * r.standard_normal((40, 12))).astype(np.float32)
    x[8] = x[16] = x[0]
    x[9], x[10], x[11] = x[1], x[3], x[4]
    return x, y


for name in "ABC":
    x, y = case(name)
    write(name, embeddings=x, labels=y)
    asks = np.arange(len(y)) % 3 == 0
    write(name + "_queries", embeddings=x[asks], labels=y[asks])
    write(name + "_rest", embeddings=x[~asks], labels=y[~asks])
PY
cd "$in" || exit 2

# check FILE STORE QUERIES PAIRS IGNORED: the file against all distances, which are whole numbers here, and so exact.
cat >"$dir/check.py" <<'PY'
import sys
import h5py
import numpy as np

result, store, queries, pairs, ignored = sys.argv[1:]


def read(name):
    with h5py.File(name) as f:
        return f["embeddings"][:].astype(np.float64), f["labels"][:] if "labels" in f else None


x, y = read(store)
q, z = read(queries) if queries != "-" else (x, y)
d = ((q[:, None] - x[None]) ** 2).sum(2)
if pairs != "-":
    relevant = np.zeros(d.shape, bool)
    relevant[tuple(np.loadtxt(pairs, dtype=int).T)] = True
else:
    relevant = z[:, None] == y[None]
there = np.ones(d.shape, bool)
if ignored != "-":
    there = (z != int(ignored))[:, None] & (y != int(ignored))[None]
if queries == "-":
    np.fill_diagonal(there, False)
with h5py.File(result) as f:
    assert f.attrs["complete"] == 1 and f.attrs["format"] == b"trimine-eval", dict(f.attrs)
    start = f["queries/start"][:]
    of = {name: data[:] for name, data in f["relevant"].items()}
assert len(start) == len(q) + 1 and start[0] == 0 and start[-1] == len(of["row"])
for i in range(len(q)):
    rows = np.flatnonzero(there[i])
    order = rows[np.lexsort((rows, d[i][rows]))]
    hit = relevant[i][order]
    found = order[hit]
    irrelevant = d[i][order[~hit]]
    before = np.arange(1, len(found) + 1)
    low = before + (irrelevant[None] <= d[i][found][:, None]).sum(1)
    high = before + (irrelevant[None] < d[i][found][:, None]).sum(1)
    part = slice(start[i], start[i + 1])
    want = {"row": found, "rank": np.flatnonzero(hit) + 1, "rank_low": low, "rank_high": high, "distance": d[i][found]}
    for name in want:
        assert (of[name][part] == want[name]).all(), (i, name, of[name][part], want[name])
PY
check() {
    expect "$*" "$python" "$dir/check.py" "$@"
}

first=
for way in "1" "2 --threads 1 --tile 48 --kernel blas" "3 --replicate 3" "5 --replicate 1 --threads 2"; do
    # shellcheck disable=SC2086
    set -- $way
    expect "eval on $way" on "$1" eval store.h5 --per-query "$dir/ranks-$1.h5" --quiet "${@:2}"
    check "$dir/ranks-$1.h5" store.h5 - - -
    [[ -z $first ]] || expect "the same file on $way" h5diff "$first" "$dir/ranks-$1.h5"
    first=$dir/ranks-1.h5
done
expect "queries" on 2 eval store.h5 --queries queries.h5 --per-query "$dir/two.h5" --quiet
check "$dir/two.h5" store.h5 queries.h5 - -
expect "pairs, without labels" on 3 eval bare.h5 --queries bare_queries.h5 --pairs pairs.txt --per-query "$dir/pairs.h5" --quiet
check "$dir/pairs.h5" bare.h5 bare_queries.h5 pairs.txt -
expect "some ignored" on 2 eval store.h5 --ignore-label 2 --per-query "$dir/some.h5" --quiet
check "$dir/some.h5" store.h5 - - 2
expect "two files are one store" on 2 eval first.h5 rest.h5 --per-query "$dir/joined.h5" --quiet
expect "with the same ranks" h5diff "$first" "$dir/joined.h5" /relevant
for store in one distinct; do
    on 2 eval $store.h5 --per-query "$dir/none.h5" --overwrite --json >"$dir/report.json" 2>"$dir/stderr"
    expect "no relevant row in $store" test $? = 0
    expect "its file" test "$("$python" -c 'import h5py,sys; f=h5py.File(sys.argv[1]); print(f["relevant/rank"].shape[0], f["queries/start"][-1])' "$dir/none.h5")" = "0 0"
    expect "no values" test "$(value "$dir/report.json" metrics.mrr)$(value "$dir/report.json" metrics.low.macro.map_at_r)" = NoneNone
    expect "a warning" grep -q "no row has a relevant one" "$dir/report.json"
done

# what a report says
on 2 eval store.h5 --json --per-query "$dir/again.h5" --per-class >"$dir/report.json" 2>"$dir/stderr"
expect "the hash is the file's" test "$(value "$dir/report.json" result_hash)" = \
    "$("$python" -c 'import h5py,sys; print(h5py.File(sys.argv[1]).attrs["result_hash"].decode())' "$first")"
expect "queries" test "$(value "$dir/report.json" evaluated.queries) $(value "$dir/report.json" evaluated.no_relevant)" = "399 1"
expect "classes" test "$(value "$dir/report.json" evaluated.classes)" = 7
expect "the options" test "$(value "$dir/report.json" options.at)" = 1,5,10,100
on 3 eval store.h5 --json --mem-per-rank 5600K >"$dir/less.json" 2>"$dir/stderr"
on 3 eval store.h5 --json --metrics mrr,hit_rate --at 5,10 >"$dir/nearest.json" 2>"$dir/stderr"
cat >"$dir/values.py" <<'PY'
import json
import sys

whole, less, nearest = (json.load(open(name)) for name in sys.argv[1:])
m = whole["metrics"]
assert m == less["metrics"], "with a file and without"
assert less["result_hash"] != whole["result_hash"]
assert [c["label"] for c in whole["classes"]] == list(range(7)), whole["classes"]
assert sum(c["queries"] for c in whole["classes"]) == 399
macro = sum(c["metrics"]["recall_at"]["10"] for c in whole["classes"]) / 7
assert abs(macro - m["macro"]["recall_at"]["10"]) < 1e-15
n = nearest["metrics"]
assert list(n) == ["mrr", "hit_rate_at", "macro", "low", "high"] and list(n["hit_rate_at"]) == ["5", "10"], n
for part in (lambda v: v, lambda v: v["macro"], lambda v: v["low"], lambda v: v["high"]["macro"]):
    assert part(n)["mrr"] == part(m)["mrr"] and part(n)["hit_rate_at"]["5"] == part(m)["hit_rate_at"]["5"]
assert nearest["run"]["plan_bytes"] < less["run"]["plan_bytes"] < whole["run"]["plan_bytes"]
assert whole["evaluated"]["ties_matter"] > 0
assert less["run"]["panels"] > 1, less["run"]["plan_bytes"]
for name in ("precision_at_1", "r_precision", "map_at_r", "mrr"):
    assert m["low"][name] < m[name] < m["high"][name], name
PY
"$python" "$dir/values.py" "$dir/report.json" "$dir/less.json" "$dir/nearest.json" 2>"$dir/values.log"
expect "the values: $(tail -n 1 "$dir/values.log")" test ! -s "$dir/values.log"

# pytorch-metric-learning, where ties don't decide; else it is between low and high. Its mrr is a float32.
for name in A B C; do
    on 2 eval $name.h5 --metric l2 --json >"$dir/$name.l2.json" 2>"$dir/stderr"
    on 2 eval $name.h5 --metric cosine --json >"$dir/$name.cosine.json" 2>"$dir/stderr"
    on 2 eval ${name}_rest.h5 --queries ${name}_queries.h5 --metric l2 --json >"$dir/$name.two.json" 2>"$dir/stderr"
done
cat >"$dir/golden.py" <<'PY'
import json
import sys

folder, golden = sys.argv[1:]
names = {"precision_at_1": "precision_at_1", "r_precision": "r_precision", "mean_average_precision_at_r": "map_at_r", "mean_reciprocal_rank": "mrr"}
compared = equal = 0
for case, values in json.load(open(golden))["cases"].items():
    for key, file, macro in (
        ("exact k=None macro=False", "l2", False),
        ("exact k=None macro=True", "l2", True),
        ("exact cosine k=None macro=False", "cosine", False),
        ("exact cosine k=None macro=True", "cosine", True),
        ("exact, queries = rows 0,3,6,..., references = the others", "two", False),
    ):
        metrics = json.load(open(f"{folder}/{case}.{file}.json"))["metrics"]
        value, low, high = (m["macro"] if macro else m for m in (metrics, metrics["low"], metrics["high"]))
        for theirs, ours in names.items():
            near = 1e-6 if ours == "mrr" else 1e-12
            want = values[key][theirs]
            assert low[ours] - near <= want <= high[ours] + near, (case, key, ours, want, low[ours], high[ours])
            compared += 1
            if low[ours] == high[ours]:
                assert abs(value[ours] - want) <= near, (case, key, ours, want, value[ours])
                equal += 1
assert compared == 60 and equal >= 40, (compared, equal)
PY
"$python" "$dir/golden.py" "$dir" "$source_dir/tests/data/pml_metrics.json" 2>"$dir/golden.log"
expect "pytorch-metric-learning's values: $(tail -n 1 "$dir/golden.log")" test ! -s "$dir/golden.log"

# scikit-learn, on a store without ties
on 2 eval plain.h5 --json --per-query "$dir/plain.ranks" >"$dir/plain.json" 2>"$dir/stderr"
cat >"$dir/scores.py" <<'PY'
import json
import sys
import h5py
import numpy as np
from sklearn.metrics import average_precision_score, ndcg_score

ranks, report, store = sys.argv[1:]
with h5py.File(store) as f:
    x, y = f["embeddings"][:].astype(np.float64), f["labels"][:]
with h5py.File(ranks) as f:
    start, rank = f["queries/start"][:], f["relevant/rank"][:]
d = ((x[:, None] - x[None]) ** 2).sum(2)
gains = []
for i in range(len(x)):
    others = np.arange(len(x)) != i
    relevant, near = (y == y[i])[others], -d[i][others]
    if not relevant.any():
        continue
    r = rank[start[i] : start[i + 1]]
    assert abs(average_precision_score(relevant, near) - (np.arange(1, len(r) + 1) / r).mean()) < 1e-12, i
    gains.append(ndcg_score(relevant[None], near[None], k=10))
assert abs(np.mean(gains) - json.load(open(report))["metrics"]["ndcg_at"]["10"]) < 1e-12
PY
if "${TRIMINE_RECIPES:-$python}" -c 'import sklearn, h5py' 2>/dev/null; then
    expect "scikit-learn's average precision and nDCG" "${TRIMINE_RECIPES:-$python}" "$dir/scores.py" "$dir/plain.ranks" "$dir/plain.json" plain.h5
else
    echo "scikit-learn is left out: no such package"
fi

# what is refused
o=("--per-query" "$out/ranks.h5")
refused "no k" 64 "--at ''" -- eval store.h5 --at "" "${o[@]}"
refused "k 0" 64 "--at '0'" "whole numbers from 1" -- eval store.h5 --at 0 "${o[@]}"
refused "ks that descend" 64 "--at '5,1'" "ascending" -- eval store.h5 --at 5,1 "${o[@]}"
refused "no such metric" 64 "--metrics 'map'" "map_at_r" -- eval store.h5 --metrics map "${o[@]}"
refused "a metric as others write it" 64 "--metrics 'recall@10'" "with commas between; what is behind an @ goes into --at" -- \
    eval store.h5 --metrics recall@10 "${o[@]}"
refused "pairs of one set" 64 "--pairs goes with --queries" -- eval store.h5 --pairs pairs.txt "${o[@]}"
refused "a pair out of range" 65 "far.txt" "400" -- eval store.h5 --queries queries.h5 --pairs far.txt "${o[@]}"
refused "classes of pairs" 64 "--per-class" "--pairs" -- eval store.h5 --queries queries.h5 --pairs pairs.txt --per-class "${o[@]}"
refused "labels that lack" 65 "store 'bare.h5': no dataset for the labels" -- eval bare.h5 "${o[@]}"
refused "a zero row under cosine" 65 "row 7" -- eval zero.h5 --metric cosine "${o[@]}"
refused "an option of mine" 64 "'--margin'" "not an option of trimine eval" -- eval store.h5 --margin 1 "${o[@]}"
refused "the store as output" 64 "store.h5" -- eval store.h5 --per-query store.h5 --overwrite
refused "too little memory" 71 "needs at least" -- eval store.h5 --mem-per-rank 100K "${o[@]}"
refused "with JSON" 64 "--at 'x'" -- eval store.h5 --at x --json "${o[@]}"
finish
