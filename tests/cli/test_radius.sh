#!/usr/bin/env bash
# trimine radius as a user runs it: the file it writes against all distances, the same bytes however it is run, what is
# refused, decisions at the threshold that float32 gets wrong, and the recipes of docs/NEAR_DUPLICATES.md.
source "$(dirname "$0")/lib.sh"
jobs_share_starts
in=$dir/in
mkdir "$in" "$out"

"$python" - "$in" <<'PY' || exit 2
import numpy as np
from stores import write

rng = np.random.default_rng(5)
x = rng.integers(0, 6, (400, 5)).astype(np.float32)  # full of ties and copies
x[7] = 40, 40, 40, 40, 40  # nobody is near
y = rng.integers(0, 7, 400)
write("store", embeddings=x, labels=y)
write("queries", embeddings=rng.integers(0, 6, (33, 5)).astype(np.float32), labels=rng.integers(0, 7, 33))
write("bare", embeddings=x)
write("one", embeddings=x[:1], labels=y[:1])
write("zero", embeddings=np.where(np.arange(400)[:, None] == 7, 0, x).astype(np.float32), labels=y)
write("large", embeddings=rng.standard_normal((3000, 4)).astype(np.float32), labels=rng.integers(0, 7, 3000))
cone = rng.standard_normal((3000, 64)) * 0.33 / 8
cone[:, 0] += 1
write("cone", embeddings=cone.astype(np.float32), labels=rng.integers(0, 7, 3000))
PY
cd "$in" || exit 2

# check FILE STORE QUERIES RADIUS AMONG IGNORED: the file against all distances, which are whole numbers here, and so exact.
cat >"$dir/check.py" <<'PY'
import sys
import h5py
import numpy as np

result, store, queries, radius, among, ignored = sys.argv[1:]
radius, two = float(radius), queries != "-"


def read(name):
    with h5py.File(name) as f:
        x = f["embeddings"][:].astype(np.float64)
        return x, f["labels"][:] if "labels" in f else np.zeros(len(x), int)


x, y = read(store)
q, z = read(queries) if two else (x, y)
d = ((q[:, None] - x[None]) ** 2).sum(2)
near = d <= radius
if among != "any":
    near &= (z[:, None] == y[None]) == (among == "same")
out = z == int(ignored) if ignored != "-" else np.zeros(len(q), bool)
if ignored != "-":
    near[:, y == int(ignored)] = False
    near[out] = False
if not two:
    np.fill_diagonal(near, False)
degree = np.where(out, -1, near.sum(1))
group = np.arange(len(q))
if not two:
    for _ in group:
        least = np.where(near, group[None], len(q)).min(1)
        least = np.minimum(least, group)
        if (least == group).all():
            break
        group = least
a, b = (near if two else np.triu(near)).nonzero()
with h5py.File(result) as f:
    assert f.attrs["complete"] == 1 and f.attrs["format"] == b"trimine-radius", dict(f.attrs)
    assert f["pairs/a"].dtype == f["pairs/b"].dtype == np.int64 and f["pairs/distance"].dtype == np.float64
    assert f["pairs/a"].shape == a.shape and (f["pairs/a"][:] == a).all() and (f["pairs/b"][:] == b).all(), "pairs"
    assert (f["pairs/distance"][:] == d[a, b]).all(), "distances"
    assert (f["degree"][:] == degree).all(), "degree"
    assert (f["isolated"][:] == (degree == 0).nonzero()[0]).all(), "isolated"
    assert f["histogram/counts"][:].sum() == len(a) and len(f["histogram/edges"]) == len(f["histogram/counts"]) + 1
    if not two and "group" in f:
        assert (f["group"][:] == np.where(out, -1, group)).all(), "group"
PY
check() {
    expect "$*" "$python" "$dir/check.py" "$@"
}

first=
for way in "1" "2 --threads 1 --tile 48 --kernel blas" "3 --replicate 3" "5 --replicate 1 --threads 2"; do
    # shellcheck disable=SC2086
    set -- $way
    expect "radius on $way" on "$1" radius store.h5 -r 3 --groups -o "$dir/near-$1.h5" --quiet "${@:2}"
    check "$dir/near-$1.h5" store.h5 - 3 any -
    [[ -z $first ]] || expect "the same file on $way" h5diff "$first" "$dir/near-$1.h5"
    first=$dir/near-1.h5
done
for among in any same other; do
    expect "queries, $among" on 2 radius store.h5 --queries queries.h5 --among $among -r 5 -o "$dir/two.h5" --overwrite --quiet
    check "$dir/two.h5" store.h5 queries.h5 5 $among -
    expect "everything, $among" on 3 radius store.h5 --among $among -r 1e300 --groups -o "$dir/all.h5" --overwrite --quiet
    check "$dir/all.h5" store.h5 - 1e300 $among -
    expect "copies, some ignored, $among" on 2 radius store.h5 --among $among -r 0 --groups --ignore-label 2 -o "$dir/some.h5" --overwrite --quiet
    check "$dir/some.h5" store.h5 - 0 $among 2
done
expect "one row" on 2 radius one.h5 -r 1 --groups -o "$dir/one.h5" --quiet
check "$dir/one.h5" one.h5 - 1 any -
expect "no labels" on 2 radius bare.h5 -r 3 --groups -o "$dir/bare.h5" --quiet
expect "the same pairs" h5diff "$first" "$dir/bare.h5" /pairs
expect "the same groups" h5diff "$first" "$dir/bare.h5" /group

on 2 radius bare.h5 --metric cosine -r 0.95 --quiet 2>"$dir/stderr"
expect "a similarity in place of a distance" grep -q '^trimine: warning: radius 0.95: a cosine distance is 1 - similarity, so .* of 0.05 and' "$dir/stderr"
for small in "--metric cosine -r 0.4" "-r 0.95"; do
    read -ra words <<<"$small"
    on 2 radius bare.h5 "${words[@]}" --quiet 2>"$dir/stderr"
    expect "no warning: $small" test ! -s "$dir/stderr"
done

# what a report says
on 2 radius store.h5 -r 3 --json >"$dir/report.json" 2>"$dir/stderr"
expect "the hash of what is counted is that of the file" test "$(value "$dir/report.json" result_hash)" = \
    "$("$python" -c 'import h5py,sys; print(h5py.File(sys.argv[1]).attrs["result_hash"].decode())' "$first")"
expect "nothing is listed" test "$(value "$dir/report.json" pairs.listed)" = false
expect "so many pairs" test "$(value "$dir/report.json" pairs.total)" = \
    "$("$python" -c 'import h5py,sys; print(len(h5py.File(sys.argv[1])["pairs/a"]))' "$first")"
on 3 radius store.h5 -r 3 --groups --json >"$dir/report.json" 2>"$dir/stderr"
expect "groups without a file" test "$(value "$dir/report.json" groups.count)" -gt 0
quickly radius store.h5 --queries queries.h5 -r 0.3
expect "the radius as it was typed" grep -qE '^pairs      [0-9]+ within 0\.3;' "$dir/stderr"
expect "pairs of queries are told once" test "$(grep -c '^pairs' "$dir/stderr")" = 1

# lists larger than the memory there is: in panels, the same file
expect "everything" on 2 radius large.h5 -r 1e9 -o "$dir/whole.h5" --quiet --threads 1
need=$(on 2 radius large.h5 -r 1e9 -o "$dir/again.h5" --quiet --json --threads 1 2>/dev/null | "$python" -c 'import json, sys; print(json.load(sys.stdin)["run"]["plan_bytes"])')
on 2 radius large.h5 -r 1e9 -o "$dir/panels.h5" --json --threads 1 --mem-per-rank "$((need / 2))B" >"$dir/report.json" 2>"$dir/stderr"
expect "with half of the memory" test $? = 0
expect "goes in panels" test "$(value "$dir/report.json" run.panels)" -gt 1
expect "to the same file" h5diff "$dir/whole.h5" "$dir/panels.h5"

# what is refused
o=("-o" "$out/near.h5")
refused "no radius" 64 "give --radius R" -- radius store.h5 "${o[@]}"
refused "a radius below 0" 64 "--radius -1: only dot has distances below 0" -- radius store.h5 --radius=-1 "${o[@]}"
refused "no number" 64 "radius 'wide'" -- radius store.h5 -r wide "${o[@]}"
refused "an endless radius" 64 "radius 'inf'" -- radius store.h5 -r inf "${o[@]}"
refused "no such pairs" 64 "--among 'near'" "any same other" -- radius store.h5 -r 1 --among near "${o[@]}"
refused "many bins" 64 "histogram" -- radius store.h5 -r 1 --histogram 65 "${o[@]}"
refused "groups of two sets" 64 "--groups: are of one set" -- radius store.h5 -r 1 --queries queries.h5 --groups "${o[@]}"
refused "a bound on nothing" 64 "--max-pairs goes with -o only" -- radius store.h5 -r 1 --max-pairs 3
refused "too many pairs" 65 "radius 1e9: 4498500 pairs, more than the 4000000 that may be listed" -- radius large.h5 -r 1e9 --max-pairs 4000000 "${o[@]}"
refused "labels that lack" 65 "store 'bare.h5': no dataset for the labels" -- radius bare.h5 -r 1 --among same "${o[@]}"
refused "a zero row under cosine" 65 "row 7" -- radius zero.h5 -r 1 --metric cosine "${o[@]}"
refused "an option of mine" 64 "'--margin'" "not an option of trimine radius" -- radius store.h5 -r 1 --margin 1 "${o[@]}"
refused "the store as output" 64 "store.h5" -- radius store.h5 -r 1 -o store.h5 --overwrite
expect "a radius below 0 of dot" on 2 radius store.h5 --metric dot --radius=-30 -o "$dir/dot.h5" --quiet

# decisions at the threshold: no pair of these is so close to it that float64 could be in doubt
expect "a narrow cone" on 2 radius cone.h5 --metric cosine -r 0.1 -o "$dir/cone.h5" --quiet
expect "no pair changes sides" "$python" - "$dir/cone.h5" <<'PY'
import sys
import h5py
import numpy as np

with h5py.File("cone.h5") as f:
    x = f["embeddings"][:]
with h5py.File(sys.argv[1]) as f:
    found = np.zeros((len(x), len(x)), bool)
    found[f["pairs/a"][:], f["pairs/b"][:]] = True


def unit(kind):
    rows = x.astype(kind)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True).astype(kind)


def wrong(distance, radius):
    return int((np.triu(distance <= radius, 1) != exact).sum())


d = 1 - unit("f8") @ unit("f8").T
assert abs(d - 0.1).min() > 1e-13, "a pair in doubt"
exact = np.triu(d <= 0.1, 1)
half = unit("f4").astype("f2")
in_half = np.float16(1) - (half.astype("f4") @ half.T.astype("f4")).astype("f2")
ours, single, halves = int((found != exact).sum()), wrong(1 - unit("f4") @ unit("f4").T, np.float32(0.1)), wrong(in_half, np.float16(0.1))
print(f"of {exact.sum()} pairs within 0.1 changed sides: {ours} here, {single} in float32, {halves} in float16")
assert ours == 0 and halves > 1000, (ours, halves)
PY
tail -n 1 "$dir/expect.log"

# the recipes
mkdir "$dir/recipes"
cd "$dir/recipes" || exit 2
PATH=$(dirname "$program"):$PATH
"$python" - "$source_dir/docs/NEAR_DUPLICATES.md" <<'PY' || exit 2
import re
import sys
import h5py
import numpy as np

rng = np.random.default_rng(9)
x = rng.standard_normal((500, 6)).astype(np.float32)
x[300:340] = x[:40] * (1 + 1e-3 * rng.standard_normal((40, 1)))
for name, rows, labels in ("store", x, np.arange(500) % 7), ("test", np.vstack([x[:30], -x[:30]]), np.arange(60) % 7):
    with h5py.File(f"{name}.h5", "w") as f:
        f["embeddings"], f["labels"] = rows, labels
with open(sys.argv[1]) as f:
    blocks = re.findall(r"^```(?:python|sh)\n(.*?)^```", f.read(), re.S | re.M)
for i, block in enumerate(blocks):
    with open(f"recipe-{i}.{'py' if 'import' in block else 'sh'}", "w") as f:
        f.write(block)
PY
expect "there are recipes" test -s recipe-4.py
for recipe in recipe-*; do
    case $recipe in
    *.py) expect "$recipe runs" "$python" "$recipe" ;;
    *) expect "$recipe runs" bash "$recipe" ;;
    esac
done
expect "no near duplicate is left" test "$("$program" radius clean.h5 --metric cosine -r 0.02 --json --quiet 2>/dev/null |
    "$python" -c 'import json, sys; print(json.load(sys.stdin)["pairs"]["total"] < 20)')" = True
finish
