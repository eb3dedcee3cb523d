#!/usr/bin/env bash
# Statistics, histograms and margins as a user sees them: those of numpy over the file of triplets, and the same
# on any number of ranks, threads and panels, with and without a file, and after a kill.
source "$(dirname "$0")/lib.sh"
jobs_share_starts
store=$dir/s.h5
"$program" synth "$store" --rows 1200 --dim 16 --classes 3 --seed 4 --quiet || exit 2
mine=(mine "$store" --metric l2 --positives all --histogram 12 --margins 0.2,0.05,1 --json --quiet)

# found FILE: what is told of the triplets, without what depends on the run.
found() {
    "$python" - "$1" <<'PY'
import json, sys
report = json.load(open(sys.argv[1]))
print(json.dumps([report[key] for key in ("statistics", "histogram", "margins", "result_hash")]))
PY
}

# ---- against numpy ----

on 1 "${mine[@]}" -o "$dir/t.h5" >"$dir/one.json" 2>"$dir/stderr" || fail "on one rank" "$dir/stderr"
cat >"$dir/check.py" <<'PY'
import json, math, sys
import h5py, numpy as np

report, result = json.load(open(sys.argv[1])), h5py.File(sys.argv[2])
d_ap, d_an = result["triplets/d_ap"][:], result["triplets/d_an"][:]
assert len(d_ap) > 100000

def close(a, b):
    return math.isclose(a, b, rel_tol=1e-12)

for name, x in (("d_ap", d_ap), ("d_an", d_an), ("gap", d_an - d_ap)):
    s, h, f = report["statistics"][name], report["histogram"][name], result["histogram"][name]
    assert s["count"] == len(x), name
    assert close(s["mean"], math.fsum(x) / len(x)) and close(s["std"], np.std(x)), name
    exact = [x.min(), *np.quantile(x, [0.25, 0.5, 0.75]), x.max()]
    assert [s[key] for key in ("min", "q1", "median", "q3", "max")] == exact, name
    counts, edges = np.histogram(x, 12)
    assert h["counts"] == counts.tolist() and h["edges"] == edges.tolist(), name
    assert (f["counts"][:] == counts).all() and (f["edges"][:] == edges).all(), name
    assert f["counts"].dtype == np.int64 and f["edges"].dtype == np.float64, name
assert [m["margin"] for m in report["margins"]] == [0.2, 0.05, 1]
for m in report["margins"]:
    inside = d_an - d_ap < m["margin"]
    loss = math.fsum(np.concatenate([d_ap[inside], -d_an[inside], np.full(inside.sum(), m["margin"])]))
    assert m["triplets"] == len(d_ap) and m["semihard"] == m["active"] == inside.sum()
    assert m["loss_sum"] == loss and m["mean_all"] == loss / len(d_ap) and m["mean_nonzero"] == loss / inside.sum()
    assert m["active_share"] == inside.sum() / len(d_ap)
assert 0 < report["margins"][1]["active"] < report["margins"][0]["active"] < len(d_ap)
PY
expect "they are numpy's" "$python" "$dir/check.py" "$dir/one.json" "$dir/t.h5"

# ---- the same anywhere ----

right=$(found "$dir/one.json")
# same NAME RANKS OPTIONS...
same() {
    local name=$1 ranks=$2
    shift 2
    on "$ranks" "${mine[@]}" "$@" >"$dir/other.json" 2>"$dir/stderr" || fail "$name" "$dir/stderr"
    expect "$name: the same" test "$(found "$dir/other.json")" == "$right"
}
in_panels() {
    expect "$1: the limit makes panels" test "$(value "$dir/other.json" run.panels)" -gt 1
}
same "one rank, no file" 1 --threads 1
same "two ranks, no file" 2 --tile 64
same "three ranks" 3 --threads 1 -o "$dir/u.h5"
expect "three ranks: the same file" h5diff "$dir/t.h5" "$dir/u.h5"
same "five ranks, a team" 5 --replicate 5 --threads 2
same "in panels, no file" 2 --mem-per-rank 18M
in_panels "no file"
same "in panels, spooled" 1 --mem-per-rank 18M -o "$dir/u.h5" --overwrite
in_panels "spooled"
expect "in panels: the same file" h5diff "$dir/t.h5" "$dir/u.h5"

# ---- after a kill ----

c=$dir/c
starts_held "0 rename 2 $c.piece" 2 "${mine[@]}" --mem-per-rank 18M --checkpoint "$c" --checkpoint-every 0.00001
kill -9 "$held"
wait "$launcher"
expect "a piece is kept" test -s "$c.piece-0"
same "a killed job that goes on" 3 --mem-per-rank 24M --checkpoint "$c" --resume
expect "some of it was reused" test "$(value "$dir/other.json" checkpoint.reused_pairs)" -gt 0

# ---- a limit without room for what quartiles need ----

quickly "${mine[@]}" --mem-per-rank 1K
limit=$(sed -nE 's/.*give --mem-per-rank ([0-9]+[KM]).*/\1/p' "$dir/stderr")
lean=(mine "$store" --metric l2 --positives all --margins 0.2)
quickly "${lean[@]}" --mem-per-rank 1K
lean+=(--mem-per-rank "$(sed -nE 's/.*give --mem-per-rank ([0-9]+[KM]).*/\1/p' "$dir/stderr")")
quickly "${lean[@]}" --json --quiet
expect "a job without that room runs" test $? == 0
cp "$dir/stdout" "$dir/lean.json"
expect "its quartiles are null" test "$(value "$dir/lean.json" statistics.gap.median)" == None
expect "its mean is not" test "$(value "$dir/lean.json" statistics.gap.mean)" == "$(value "$dir/one.json" statistics.gap.mean)"
expect "nor its deviation" test "$(value "$dir/lean.json" statistics.d_an.std)" == "$(value "$dir/one.json" statistics.d_an.std)"
expect "and it says why" grep -q '^trimine: warning: no quartiles: .* 16 bytes each.* give -o FILE or a larger --mem-per-rank' "$dir/stderr"
mkdir -p "$out"
expect "a histogram names a limit: $limit" test -n "$limit"
refused "a histogram without that room" 71 "give --mem-per-rank" -- "${lean[@]}" --histogram 5
quickly "${lean[@]}" --histogram 5 --mem-per-rank "$limit" --quiet
expect "the limit that is named is enough" test $? == 0

# ---- a margin is what a job with it alone finds ----

for i in 0 1 2; do
    margin=$(value "$dir/one.json" margins | "$python" -c "import json, sys; print(json.load(sys.stdin)[$i]['margin'])")
    for window in none lt; do
        quickly mine "$store" --metric l2 --window "$window" --margin "$margin" --json --quiet
        expect "margin $margin, window $window" "$python" - "$dir/stdout" "$dir/one.json" "$i" "$window" <<'PY'
import json, sys
alone, sweep = (json.load(open(f)) for f in sys.argv[1:3])
m = sweep["margins"][int(sys.argv[3])]
assert (alone["loss"]["sum"], alone["loss"]["active"]) == (m["loss_sum"], m["active"])
if sys.argv[4] == "lt":
    assert alone["triplets"]["semihard"] == m["semihard"] and alone["loss"]["mean_all"] == m["mean_nonzero"]
else:
    assert alone["loss"]["mean_all"] == m["mean_all"]
PY
    done
done

# ---- other sources ----

quickly loss "$store" --loss mined "${mine[@]:2}"
expect "loss --loss mined" test $? == 0
cp "$dir/stdout" "$dir/other.json"
expect "loss --loss mined: the same" test "$(found "$dir/other.json")" == "$right"
quickly loss "$store" --loss batch-hard --histogram 4 --gradient -o "$dir/g.h5" --metric sql2 --json --quiet
expect "batch-hard" test $? == 0
expect "batch-hard: the hardest of each row" "$python" - "$dir/stdout" "$store" "$dir/g.h5" <<'PY'
import json, sys
import h5py, numpy as np
report, f, g = json.load(open(sys.argv[1])), h5py.File(sys.argv[2]), h5py.File(sys.argv[3])
x, y = f["embeddings"][:].astype(np.float64), f["labels"][:]
d = ((x[:, None] - x[None]) ** 2).sum(2)
same = y[:, None] == y[None]
d_ap, d_an = np.where(same, d, -np.inf).max(1), np.where(same, np.inf, d).min(1)
for name, v in (("d_ap", d_ap), ("d_an", d_an), ("gap", d_an - d_ap)):
    s = report["statistics"][name]
    assert s["count"] == len(v)
    np.testing.assert_allclose([s[k] for k in ("mean", "std", "min", "q1", "median", "q3", "max")],
                               [v.mean(), v.std(), v.min(), *np.quantile(v, [0.25, 0.5, 0.75]), v.max()], rtol=1e-9)
    assert g["histogram"][name]["counts"][:].sum() == len(v)
PY
quickly loss "$store" --loss batch-all --json --quiet
expect "no list, no statistics" test "$(grep -c '"statistics"' "$dir/stdout")" == 0

# ---- next to nothing ----

"$python" - "$dir" <<'PY'
import sys, h5py, numpy as np
for name, x, y in (("none.h5", [0, 1, 2], [0, 1, 2]), ("one.h5", [0, 1, 1.5], [0, 0, 1])):
    with h5py.File(f"{sys.argv[1]}/{name}", "w") as f:
        f["embeddings"], f["labels"] = np.array(x, np.float32)[:, None], np.array(y)
PY
for ranks in 1 3; do
    on "$ranks" mine "$dir/none.h5" --metric l2 --margins 1 --histogram 2 --json --quiet -o "$dir/n.h5" --overwrite >"$dir/none.json" 2>"$dir/stderr" ||
        fail "no triplets" "$dir/stderr"
    expect "no triplets on $ranks ranks" "$python" - "$dir/none.json" "$dir/n.h5" <<'PY'
import json, sys, h5py
report = json.load(open(sys.argv[1]), parse_constant=lambda word: 1 / 0)
for name in ("d_ap", "d_an", "gap"):
    s = report["statistics"][name]
    assert s.pop("count") == 0 and set(s.values()) == {None} and len(s) == 7
    assert report["histogram"][name] == {"edges": [0, 0.5, 1], "counts": [0, 0]}
    assert h5py.File(sys.argv[2])["histogram"][name]["counts"][:].tolist() == [0, 0]
assert report["margins"] == [{"margin": 1, "triplets": 0, "semihard": 0, "active": 0, "active_share": 0,
                              "loss_sum": 0, "mean_all": 0, "mean_nonzero": 0}]
PY
    on "$ranks" mine "$dir/one.h5" --metric l2 --histogram 1 --json --quiet >"$dir/alone.json" 2>"$dir/stderr" ||
        fail "one triplet" "$dir/stderr"
    expect "one triplet on $ranks ranks" "$python" - "$dir/alone.json" <<'PY'
import json, sys
report = json.load(open(sys.argv[1]))
for name, d in (("d_ap", 1), ("d_an", 1.5), ("gap", 0.5)):
    s = report["statistics"][name]
    assert s.pop("count") == 1 and s.pop("std") == 0 and set(s.values()) == {d}
    assert report["histogram"][name] == {"edges": [d - 0.5, d + 0.5], "counts": [1]}
PY
done
quickly mine "$dir/one.h5" --metric l2 --histogram 1 --margins 0.25,1
expect "for people: distances" grep -qE '^gap        mean 0.5, std 0; min 0.5, quartiles 0.5, 0.5, 0.5, max 0.5$' "$dir/stderr"
expect "for people: a histogram" grep -qE '^histogram  d_an from 1 to 2: 1$' "$dir/stderr"
expect "for people: margins" grep -qE '^margin     1: 1 semihard, 1 active \(100 %\), loss mean_all 0.5' "$dir/stderr"

# ---- what makes no sense ----

refused "margins with a window" 64 "margins.*--window lt does not go with it" -- mine "$store" --window lt --margins 0.1
refused "margins with a preset's window" 64 "--window lt \(of --compat facenet\) does not go" -- mine "$store" --compat facenet --margins 0.1
refused "margins of batch-hard" 64 "--margins does not apply to --loss batch-hard" -- loss "$store" --loss batch-hard --margins 0.1
refused "a histogram of no list" 64 "--histogram does not apply to --loss batch-all" -- loss "$store" --loss batch-all --histogram 3 --json
refused "a margin whose sum is beyond float64" 65 "sum of the loss .* the margin 1.79e308" -- mine "$store" --margins 0.1,1.79e308 -o "$out/o.h5"
finish
