#!/usr/bin/env bash
# The program as a user runs it: the same answer on any number of ranks, threads, tiles, kernels and BLAS code paths;
# the same answer as a plain Python program; and clean stdout.
source "$(dirname "$0")/lib.sh"
jobs_share_starts

# --- without mpirun
for words in "--help" "mine --help" "loss --help" "bench --help" "synth --help" "info --help" "--version" \
    "-h" "help" "help mine" "mine s.h5 -h" "mine --version"; do
    env -u OMPI_ALLOW_RUN_AS_ROOT "$program" $words >"$dir/stdout" 2>"$dir/stderr" </dev/null
    expect "'$words' works without MPI" test $? = 0
    expect "'$words' prints to stdout" test -s "$dir/stdout"
    expect "'$words' prints nothing else" test ! -s "$dir/stderr"
done
expect "--version names the program and a version" grep -qE '^trimine [0-9]+\.[0-9]+\.[0-9]+' <("$program" --version)
for words in "--help" "mine --help" "--version"; do
    "$program" $words >/dev/full 2>"$dir/stderr"
    expect "'$words' into a full device is an error" test $? = 74
    expect "'$words' into a full device is told" grep -q '^trimine: error: standard output' "$dir/stderr"
done
for option in metric margin positives window pick fallback kernel threads replicate tile mem-per-rank json overwrite; do
    expect "mine --help explains --$option" grep -q -e "--$option" <("$program" mine --help)
done

# --- synth
synth=(--rows 1500 --dim 48 --classes 30 --spread 1.0 --seed 7)
for ranks in 1 3; do
    expect "synth on $ranks ranks" on "$ranks" synth "$dir/s$ranks.h5" "${synth[@]}" --quiet
done
expect "synth gives the same bytes on any number of ranks" cmp "$dir/s1.h5" "$dir/s3.h5"
store=$dir/s1.h5

# --- info
on 1 info "$store" --json >"$dir/info.json" 2>"$dir/stderr"
expect "info --json" test $? = 0
expect "info: command" test "$(value "$dir/info.json" command)" = info
expect "info: rows" test "$(value "$dir/info.json" store.rows)" = 1500
expect "info: dim" test "$(value "$dir/info.json" store.dim)" = 48
expect "info for people" on 2 info "$store"
expect "info --quiet says nothing" test -z "$(on 1 info "$store" --quiet)"
strange=$dir/$'strange\xff\n.h5'
"$python" - "$dir" <<'PY'
import sys, h5py, numpy as np
for k, name in enumerate(("a.h5", "b.h5")):
    with h5py.File(f"{sys.argv[1]}/{name}", "w") as f:
        x = np.random.default_rng(k).normal(size=(50, 4))
        x[7] *= [1, 1e300][k]
        f["X"], f["y"], f["ids"] = x, np.arange(50) // 9, np.arange(50)
PY
cp "$dir/a.h5" "$strange"
for ranks in 1 3; do
    on "$ranks" info "$strange" "$dir/b.h5" --json >"$dir/info$ranks.json" 2>"$dir/stderr" || fail "info --json of a strange name" "$dir/stderr"
done
expect "info says the same on any number of ranks" cmp "$dir/info1.json" "$dir/info3.json"
expect "a name that is not UTF-8 is escaped" test "$(value "$dir/info1.json" files | grep -c 'strange\\\\xff\\n.h5')" = 1
expect "info: the file and row of what is not finite" grep -q '"first_non_finite": {"row": 57, "path": "[^"]*b.h5", "row_in_file": 7}' "$dir/info1.json"
expect "info: the median class" test "$(value "$dir/info1.json" classes.median)" = 18
expect "info: shapes" grep -q '"shape": \[50, 4\].*"shape": \[50\].*"ids": {.*"shape": \[50\]' "$dir/info1.json"

# --- the same answer anywhere
run() { # NAME RANKS OPTIONS...
    local name=$1 ranks=$2
    shift 2
    on "$ranks" mine "$store" --json --quiet -o "$dir/$name.h5" "$@" >"$dir/$name.json" 2>"$dir/$name.err" || {
        fail "$name: exit code $?" "$dir/$name.err"
        return 1
    }
}
same() { # NAME RANKS OPTIONS...: as the reference
    run "$@" || return
    expect "$1: h5diff is silent" test -z "$(h5diff "$dir/$reference.h5" "$dir/$1.h5" 2>&1)"
    expect "$1: h5diff finds the same objects" h5diff "$dir/$reference.h5" "$dir/$1.h5"
    expect "$1: the same result_hash" \
        test "$(value "$dir/$1.json" result_hash)" = "$(value "$dir/$reference.json" result_hash)"
    for key in store anchors positive_pairs triplets loss; do
        expect "$1: the same $key" test "$(value "$dir/$1.json" $key)" = "$(value "$dir/$reference.json" $key)"
    done
}
number=0
for policy in "--positives all --margin 4" "--positives easiest --window none" \
    "--positives nearest:3 --metric cosine --fallback farthest-inside --pick farthest"; do
    number=$((number + 1))
    reference=p$number
    run "$reference" 1 $policy --threads 1 || continue
    expect "policy $number mines something" test "$(value "$dir/$reference.json" triplets.total)" -gt 0
    same p$number-np2 2 $policy
    same p$number-np3 3 $policy --threads 2
    same p$number-np4-replicate2 4 $policy --replicate 2
    same p$number-np3-replicate3 3 $policy --replicate 3
    same p$number-tile32 2 $policy --tile 32
    same p$number-tile256 1 $policy --tile 256 --threads 2
    same p$number-blas 2 $policy --kernel blas
    same p$number-fp32 2 $policy --kernel fp32
    OPENBLAS_CORETYPE=Haswell same p$number-haswell 2 $policy --kernel blas
    TRIMINE_ISA=portable same p$number-portable 2 $policy --kernel fp32
    same p$number-again 1 $policy --threads 1
done

# --- a BLAS that can't run here: auto does without the kernels that need it
small=$store store=$dir/many.h5
"$program" synth "$store" --rows 6500 --dim 16 --classes 40 --quiet || exit 2 # so many that kernels are tried
reference=enough
run "$reference" 1 --negatives hard --positives easiest --kernel fp32
OPENBLAS_CORETYPE=SkylakeX same enough-auto 2 --negatives hard --positives easiest --kernel auto
same enough-blas 2 --negatives hard --positives easiest --kernel auto
store=$small

# --- stdout
expect "with --json stdout is one JSON object" "$python" -c '
import json, sys
text = open(sys.argv[1]).read()
value, end = json.JSONDecoder().raw_decode(text)
assert isinstance(value, dict) and text[end:] == "\n", text[end:]' "$dir/p1.json"
on 2 mine "$store" -o "$dir/text.h5" >"$dir/stdout" 2>"$dir/stderr"
expect "without --json stdout is empty" test ! -s "$dir/stdout"
expect "without --json the report is on stderr" grep -q triplets "$dir/stderr"
on 2 mine "$store" --json --quiet >"$dir/none.json" 2>"$dir/stderr"
expect "without -o nothing is written, the report is the same" \
    test "$(value "$dir/none.json" triplets.total)" = "$(on 1 mine "$store" --json --quiet | "$python" -c '
import json, sys; print(json.load(sys.stdin)["triplets"]["total"])')"
expect "--overwrite replaces" on 2 mine "$store" -o "$dir/text.h5" --overwrite --quiet
expect "no temporary file is left" test -z "$(find "$dir" -name '.*')"

# --- a plain Python program as the judge: integer rows, so that ties and duplicates abound and all sums are exact
"$python" - "$dir/ties.h5" "$dir/one_class.h5" <<'PY' || exit 2
import sys
import h5py
import numpy as np

rng = np.random.default_rng(3)
with h5py.File(sys.argv[1], "w") as f:
    f["embeddings"] = rng.integers(0, 4, (150, 4)).astype(np.float32)
    labels = rng.integers(0, 12, 150) * 1000003 - 5
    labels[[3, 77]] = 10**15, -(10**17)  # alone in their classes, and far outside 32 bits
    f["labels"] = labels
with h5py.File(sys.argv[2], "w") as f:
    f["embeddings"] = rng.standard_normal((20, 4)).astype(np.float32)
    f["labels"] = np.zeros(20, np.int32)
PY
cat >"$dir/judge.py" <<'PY'
"""judge.py STORE RESULT REPORT metric margin positives window pick fallback: mines again, slowly, and compares."""
import json
import sys

import h5py
import numpy as np

store, result, report, metric, margin, positives, window, pick, fallback = sys.argv[1:]
margin = float(margin)
with h5py.File(store) as f:
    x, y = f["embeddings"][:].astype(np.float64), f["labels"][:]
g = x @ x.T
n = np.diag(g)
d = -g if metric == "dot" else np.maximum(0, (n[:, None] + n[None, :]) - 2 * g)
if metric == "l2":
    d = np.sqrt(d)
mined, skipped = [], 0
for a in range(len(x)):
    near = sorted((d[a, p], p) for p in np.flatnonzero(y == y[a]) if p != a)
    far = sorted((d[a, n], n) for n in np.flatnonzero(y != y[a]))
    if not near or not far:
        continue
    if positives == "hardest":
        near = [min(near, key=lambda c: (-c[0], c[1]))]
    elif positives == "easiest":
        near = near[:1]
    elif positives.startswith("nearest:"):
        near = near[: int(positives[8:])]
    for dp, p in near:
        candidates = [(dn, n) for dn, n in far if dn > dp]
        if window == "lt":
            candidates = [c for c in candidates if c[0] - dp < margin]
        elif window == "le":
            candidates = [c for c in candidates if c[0] - dp <= margin]
        kind, best = 0, None
        farthest = lambda cs: min(cs, key=lambda c: (-c[0], c[1])) if cs else None
        if candidates:
            best = candidates[0] if pick == "nearest" else farthest(candidates)
        else:
            kind = 1
            if fallback == "hardest":
                best = far[0]
            elif fallback == "farthest-inside":
                best = farthest([c for c in far if c[0] <= dp])
        if best is None:
            skipped += 1
        else:
            mined.append((a, p, best[1], dp, best[0], kind))
mined.sort()
with h5py.File(result) as f:
    t = f["triplets"]
    got = list(zip(*(t[k][:].tolist() for k in ("anchor", "positive", "negative", "d_ap", "d_an", "kind"))))
    assert f.attrs["complete"] == 1
mined = [(int(a), int(p), int(n), float(u), float(v), int(k)) for a, p, n, u, v, k in mined]
for want, have in zip(mined, got):
    assert want == have, f"expected {want}, got {have}"
assert len(mined) == len(got), f"{len(mined)} triplets expected, {len(got)} written"
r = json.load(open(report))
assert r["triplets"]["total"] == len(mined), r["triplets"]
assert r["triplets"]["fallback"] == sum(m[5] for m in mined), r["triplets"]
assert r["triplets"]["skipped"] == skipped, r["triplets"]
hinge = [u - v + margin for _, _, _, u, v, _ in mined]
assert r["loss"]["active"] == sum(h > 0 for h in hinge), r["loss"]
assert abs(r["loss"]["sum"] - sum(h for h in hinge if h > 0)) < 1e-9 * (1 + abs(r["loss"]["sum"])), r["loss"]
PY
cases=0
for metric in sql2 l2 dot; do
    for positives in all hardest easiest nearest:3; do
        case $((cases % 4)) in
        0) window=lt pick=nearest fallback=skip ;;
        1) window=le pick=farthest fallback=hardest ;;
        2) window=none pick=nearest fallback=farthest-inside ;;
        3) window=lt pick=farthest fallback=farthest-inside ;;
        esac
        cases=$((cases + 1))
        ranks=$((1 + cases % 3))
        options="--metric $metric --margin 2 --positives $positives --window $window --pick $pick --fallback $fallback"
        if on "$ranks" mine "$dir/ties.h5" $options --json --quiet --overwrite -o "$dir/ties_out.h5" \
            >"$dir/ties.json" 2>"$dir/stderr"; then
            expect "$options is what Python finds" "$python" "$dir/judge.py" "$dir/ties.h5" "$dir/ties_out.h5" \
                "$dir/ties.json" "$metric" 2 "$positives" "$window" "$pick" "$fallback"
        else
            fail "$options: exit code $?" "$dir/stderr"
        fi
    done
done

# --- seven rows worked out by hand: 1-D, id:x:label 0:0:A 1:6:A 2:1:B 3:3:C 4:6:B 5:-1:D 6:4:C
"$python" - "$dir/golden.h5" <<'PY' || exit 2
import sys
import h5py
import numpy as np

with h5py.File(sys.argv[1], "w") as f:
    f["embeddings"] = np.array([[0], [6], [1], [3], [6], [-1], [4]], np.float32)
    f["labels"] = np.array([0, 0, 1, 2, 1, 3, 2])
PY
golden() { # METRIC MARGIN WINDOW FALLBACK TRIPLETS ACTIVE MEAN_ALL
    on 2 mine "$dir/golden.h5" --metric "$1" --margin "$2" --window "$3" --fallback "$4" --json --quiet --overwrite \
        -o "$dir/golden_out.h5" >"$dir/golden.json" 2>"$dir/stderr"
    expect "golden $1 $2 $3 $4" "$python" -c '
import json, sys
r = json.load(open(sys.argv[1]))
total, active, mean = int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
assert r["triplets"]["total"] == total, r["triplets"]
assert r["loss"]["active"] == active and abs(r["loss"]["mean_all"] - mean) < 1e-15, r["loss"]
assert r["anchors"]["no_positive"] == 1, r["anchors"]
assert r["positive_pairs"] == 6, r["positive_pairs"]' "$dir/golden.json" "$5" "$6" "$7"
}
golden l2 1 none farthest-inside 6 2 0.3333333333333333
expect "the golden triplets" "$python" -c '
import h5py, sys
with h5py.File(sys.argv[1]) as f:
    got = list(zip(*(f["triplets"][k][:].tolist() for k in ("anchor", "positive", "negative", "kind"))))
assert got == [(0, 1, 4, 1), (1, 0, 5, 0), (2, 4, 1, 1), (3, 6, 2, 0), (4, 2, 0, 0), (6, 3, 1, 0)], got' \
    "$dir/golden_out.h5"
golden sql2 1 none farthest-inside 6 2 0.3333333333333333
golden l2 1.5 none farthest-inside 6 6 0.8333333333333334
golden sql2 1.5 none farthest-inside 6 2 0.5
golden l2 1.5 none skip 4 4 0.5
golden sql2 1.5 none skip 4 0 0
golden l2 1 lt skip 0 0 0
golden l2 1.5 lt skip 4 4 0.5
golden sql2 1.5 lt skip 0 0 0

# --- nothing to mine is an answer, not an error
on 2 mine "$dir/one_class.h5" --json -o "$dir/one.h5" >"$dir/one.json" 2>"$dir/stderr"
expect "one class only: exit code 0" test $? = 0
expect "one class only: no triplets" test "$(value "$dir/one.json" triplets.total)" = 0
expect "one class only: counted" test "$(value "$dir/one.json" anchors.no_negative)" = 20
expect "one class only: a warning" grep -qi 'warning' "$dir/stderr"
expect "one class only: no NaN" bash -c '! grep -qi nan "$1"' - "$dir/one.json"

# --- more ranks than rows; several files and a folder as one store
expect "more ranks than rows" on 5 mine "$dir/ties.h5" --replicate 1 --quiet
mkdir "$dir/parts"
"$python" - "$store" "$dir/parts" <<'PY' || exit 2
import sys
import h5py

with h5py.File(sys.argv[1]) as f:
    x, y = f["embeddings"][:], f["labels"][:]
for i, (first, last) in enumerate([(0, 700), (700, 701), (701, 1500)]):
    with h5py.File(f"{sys.argv[2]}/part{i}.h5", "w") as f:
        f["X"], f["y"] = x[first:last], y[first:last]
PY
reference=p1
for stores in "$dir/parts" "$dir/parts/part0.h5 $dir/parts/part1.h5 $dir/parts/part2.h5"; do
    on 3 mine $stores --positives all --margin 4 --json --quiet >"$dir/parts.json" 2>"$dir/stderr"
    expect "the parts are the same store: $stores" \
        test "$(value "$dir/parts.json" result_hash)" = "$(value "$dir/p1.json" result_hash)"
done
finish
