#!/usr/bin/env bash
# trimine knn as a user runs it: the file it writes against all distances, the same bytes however it is run, stores without
# labels, what is refused, and the recipes of docs/NEIGHBOURS.md whose packages are there. TRIMINE_RECIPES names a Python that has
# them.
source "$(dirname "$0")/lib.sh"
jobs_share_starts
in=$dir/in
mkdir "$in" "$out"

"$python" - "$in" <<'PY' || exit 2
import numpy as np
from stores import write

rng = np.random.default_rng(5)
x = rng.integers(0, 6, (400, 5)).astype(np.float32)  # full of ties and copies
y = rng.integers(0, 7, 400)
y[0] = 99  # alone in its class
write("store", embeddings=x, labels=y)
write("first", embeddings=x[:150], labels=y[:150])
write("rest", embeddings=x[150:], labels=y[150:])
write("queries", embeddings=rng.integers(0, 6, (33, 5)).astype(np.float32), labels=rng.integers(0, 7, 33))
write("bare", embeddings=x)
write("bare_queries", embeddings=x[:9] + 0.5)
write("one", embeddings=x[:1], labels=y[:1])
write("one_class", embeddings=x[:20], labels=np.zeros(20, int))
write("zero", embeddings=np.where(np.arange(400)[:, None] == 7, 0, x).astype(np.float32), labels=y)
PY
cd "$in" || exit 2

# check FILE STORE QUERIES K AMONG IGNORED: the file against all distances, which are whole numbers here, and so exact.
cat >"$dir/check.py" <<'PY'
import sys
import h5py
import numpy as np

result, store, queries, k, among, ignored = sys.argv[1:]
k, two = int(k), queries != "-"


def read(name):
    with h5py.File(name) as f:
        x = f["embeddings"][:].astype(np.float64)
        return x, f["labels"][:] if "labels" in f else np.zeros(len(x), int)


x, y = read(store)
q, z = read(queries) if two else (x, y)
d = ((q[:, None] - x[None]) ** 2).sum(2)
apart = {"any": np.zeros(d.shape, bool), "same": z[:, None] != y[None], "other": z[:, None] == y[None]}[among]
d[apart] = np.inf
if ignored != "-":
    d[:, y == int(ignored)] = np.inf
    d[z == int(ignored)] = np.inf
if not two:
    np.fill_diagonal(d, np.inf)
most = min(k, d.shape[1])
order = np.argsort(d, 1, kind="stable")[:, :most]
distance = np.full((len(q), k), np.inf)
neighbor = np.full((len(q), k), -1)
distance[:, :most] = np.take_along_axis(d, order, 1)
neighbor[:, :most] = np.where(np.isinf(distance[:, :most]), -1, order)
with h5py.File(result) as f:
    assert f.attrs["complete"] == 1 and f.attrs["format"] == b"trimine-knn", dict(f.attrs)
    assert f["neighbors"].dtype == np.int64 and f["distances"].dtype == np.float64
    assert (f["neighbors"][:] == neighbor).all(), "neighbours"
    assert (f["distances"][:] == distance).all(), "distances"
PY
check() {
    expect "$*" "$python" "$dir/check.py" "$@"
}

first=
for way in "1" "2 --threads 1 --tile 48 --kernel blas" "3 --replicate 3" "5 --replicate 1 --threads 2"; do
    # shellcheck disable=SC2086
    set -- $way
    expect "knn on $way" on "$1" knn store.h5 -k 9 -o "$dir/lists-$1.h5" --quiet "${@:2}"
    check "$dir/lists-$1.h5" store.h5 - 9 any -
    [[ -z $first ]] || expect "the same file on $way" h5diff "$first" "$dir/lists-$1.h5"
    first=$dir/lists-1.h5
done
for among in any same other; do
    expect "queries, $among" on 2 knn store.h5 --queries queries.h5 --among $among -k 70 -o "$dir/two.h5" --overwrite --quiet
    check "$dir/two.h5" store.h5 queries.h5 70 $among -
    expect "--labels says among which, too" on 2 knn store.h5 --queries queries.h5 --labels $among -k 70 -o "$dir/labels.h5" --overwrite --quiet
    check "$dir/labels.h5" store.h5 queries.h5 70 $among -
    expect "longer than the store, $among" on 3 knn store.h5 --among $among -k 401 -o "$dir/long.h5" --overwrite --quiet
    check "$dir/long.h5" store.h5 - 401 $among -
    expect "some ignored, $among" on 2 knn store.h5 --among $among -k 3 --ignore-label 2 -o "$dir/some.h5" --overwrite --quiet
    check "$dir/some.h5" store.h5 - 3 $among 2
done
expect "two files are one store" on 2 knn first.h5 rest.h5 -k 9 -o "$dir/joined.h5" --quiet
expect "with the same lists" h5diff "$first" "$dir/joined.h5" /neighbors
expect "one row" on 2 knn one.h5 -k 2 -o "$dir/one.h5" --quiet
check "$dir/one.h5" one.h5 - 2 any -
expect "one class among others" on 2 knn one_class.h5 -k 2 --among other -o "$dir/none.h5" --quiet
check "$dir/none.h5" one_class.h5 - 2 other -

# what a report says
on 2 knn store.h5 -k 9 --json >"$dir/report.json" 2>"$dir/stderr"
expect "the hash is the file's" test "$(value "$dir/report.json" result_hash)" = \
    "$("$python" -c 'import h5py,sys; print(h5py.File(sys.argv[1]).attrs["result_hash"].decode())' "$first")"
expect "no row is short" test "$(value "$dir/report.json" neighbors.short_rows)" = 0
expect "all neighbours" test "$(value "$dir/report.json" neighbors.total)" = 3600
expect "the mean occurrence" test "$(value "$dir/report.json" k_occurrence.mean)" = 9.0
expect "the options" test "$(value "$dir/report.json" options.among)" = any

# without labels
expect "a store without labels" on 2 knn bare.h5 -k 9 -o "$dir/bare.h5" --quiet
expect "gives the same lists" h5diff "$first" "$dir/bare.h5" /neighbors
on 2 knn bare.h5 -k 9 --json >"$dir/report.json" 2>"$dir/stderr"
expect "labels are not spoken of" test "$(value "$dir/report.json" neighbors.same_label)$(value "$dir/report.json" store.classes)" = NoneNone
expect "queries without labels" on 2 knn store.h5 --queries bare_queries.h5 -k 4 -o "$dir/two.h5" --overwrite --quiet
expect "both without" on 2 knn bare.h5 --queries bare_queries.h5 -k 4 -o "$dir/bare_two.h5" --quiet
expect "give the same lists" h5diff "$dir/two.h5" "$dir/bare_two.h5" /neighbors

# what is refused
o=("-o" "$out/lists.h5")
refused "no neighbours" 64 "'-k 0'|--k '0'" -- knn store.h5 -k 0 "${o[@]}"
refused "no number" 64 "k 'many'" -- knn store.h5 -k many "${o[@]}"
refused "no such rows" 64 "--among 'near'" "any same other" -- knn store.h5 --among near "${o[@]}"
refused "labels that lack" 65 "store 'bare.h5': no dataset for the labels" -- knn bare.h5 --among same "${o[@]}"
refused "labels of queries that lack" 65 "queries 'bare_queries.h5': no dataset for the labels, give --labels;" -- knn store.h5 --queries bare_queries.h5 --among other "${o[@]}"
refused "labels to ignore that lack" 64 "--ignore-label: store 'bare.h5' has no labels" -- knn bare.h5 --ignore-label 3 "${o[@]}"
refused "a zero row under cosine" 65 "row 7" -- knn zero.h5 --metric cosine "${o[@]}"
refused "an option of mine" 64 "'--margin'" "not an option of trimine knn" -- knn store.h5 --margin 1 "${o[@]}"
refused "pairs" 64 "'--pairs'" -- knn store.h5 --queries queries.h5 --pairs p.npy "${o[@]}"
refused "the store as output" 64 "store.h5" -- knn store.h5 -o store.h5 --overwrite
refused "lists that no memory holds" 71 "needs at least" -- knn store.h5 -k 1000000000 "${o[@]}"
refused "with JSON" 64 "--among 'near'" -- knn store.h5 --among near --json "${o[@]}"

# the recipes
recipes=${TRIMINE_RECIPES:-$python}
mkdir "$dir/recipes"
cd "$dir/recipes" || exit 2
PATH=$(dirname "$program"):$PATH
expect "a store" on 1 synth store.h5 --rows 4200 --dim 8 --classes 6 --quiet
expect "its lists" on 2 knn store.h5 -k 15 --metric l2 -o neighbours.h5 --quiet
"$python" - "$source_dir/docs/NEIGHBOURS.md" <<'PY' || exit 2
import re
import sys

with open(sys.argv[1]) as f:
    blocks = re.findall(r"^```python\n(.*?)^```", f.read(), re.S | re.M)
for i, block in enumerate(blocks):
    with open(f"recipe-{i}.py", "w") as f:
        f.write(block)
PY
expect "there are recipes" test -s recipe-3.py
for recipe in recipe-*.py; do
    read -ra needs < <(sed -n 's/^# needs //p' "$recipe")
    if "$recipes" -c "$(printf 'import %s\n' "${needs[@]}")" 2>/dev/null; then
        expect "the recipe for ${needs[0]} runs" "$recipes" "$recipe"
    else
        echo "the recipe for ${needs[0]} is left out: no such package"
    fi
done
expect "the truth of ann-benchmarks is whole" "$python" -c '
import h5py
with h5py.File("benchmark.hdf5") as f:
    assert f["neighbors"].shape == f["distances"].shape == (20, 100), dict(f)
    assert (f["neighbors"][:] >= 0).all()'
finish
