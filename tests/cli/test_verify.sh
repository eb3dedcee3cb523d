#!/usr/bin/env bash
# trimine verify: results of many options are right, and what was changed in one is found and named.
source "$(dirname "$0")/lib.sh"
jobs_share_starts
cd "$dir" || exit 2
mkdir "$out"

"$python" - <<'PY'
import h5py, numpy as np
rng = np.random.default_rng(5)
def store(name, rows, labels, dtype="f4", names=None, grid=True):
    x = rng.integers(-3, 4, (rows, 6)) if grid else rng.normal(size=(rows, 6))
    x[x.any(1) == 0] = 1
    with h5py.File(name, "w") as f:
        f["embeddings"] = x.astype(dtype)
        if names is not None: f["labels"] = np.array([names[k] for k in labels], dtype="S")
        else: f["labels"] = labels
store("s.h5", 90, rng.integers(0, 7, 90))              # whole numbers: full of ties and copies
store("r.h5", 90, rng.integers(0, 7, 90), grid=False)
store("n.h5", 70, rng.integers(0, 3, 70), names=["ant", "bee", "cat"])
store("q.h5", 25, rng.integers(0, 7, 25))
pairs = np.stack([rng.integers(0, 25, 60), rng.integers(0, 90, 60)], 1)
np.save("pairs.npy", pairs)
PY

# good COMMAND OPTION...: makes a result and verifies all of its rows.
good() {
    local command=$1 stores=${in:-s.h5} also=${with:-}
    shift
    # shellcheck disable=SC2086
    quickly "$command" $stores $also -o g.h5 --overwrite --quiet "$@"
    expect "$command $* $also makes a result" test $? = 0
    # shellcheck disable=SC2086
    quickly verify g.h5 $stores ${beside:-$also} --sample 1000
    local code=$?
    expect "verify finds $command $stores $* $also right" test "$code $(grep -c '^decided anew  ' "$dir/stdout")" = "0 1" || cat "$dir/stderr" "$dir/stdout"
}

for metric in sql2 l2 cosine dot; do
    for positives in all hardest easiest nearest:2 random:3; do
        good mine --metric "$metric" --positives "$positives" --window none --fallback farthest-inside
    done
    in=r.h5 good mine --metric "$metric" --negatives topk:3 --ranks 2-9 --relative-margin 0.05 --max-distance 9
    good mine --metric "$metric" --negatives topk:4 --not-near-positive 1 --positives easiest --form lists
    good mine --metric "$metric" --negatives weighted:3 --normalize --seed 4
    good knn --metric "$metric" -k 4
    good radius --metric "$metric" --radius 3
done
for window in lt le none; do
    for pick in nearest farthest random; do
        good mine --window "$window" --pick "$pick" --margin 4 --fallback random --seed 9
        good mine --metric l2 --window "$window" --pick "$pick" --fallback hardest --form lists
    done
    good mine --window "$window" --margin 3
done
for negatives in hard topk:5 random:4 weighted:2 within-margin hard-all violating easy-all multisimilarity:0.5; do
    options=()
    [[ $negatives == *-* || $negatives == violating || $negatives == multi* ]] && options=(--emit)
    good mine --negatives "$negatives" --positives nearest:2 "${options[@]}"
done
good mine --negatives random:5 --form lists --ranks 3-30 --rank-order after --min-distance 2
good mine --negatives hard --lone --min-distance 1
good mine --negatives topk:2 --ignore-label 3 --ignore-label 5
in=n.h5 good mine --ignore-label bee --positives hardest
in=n.h5 good knn -k 3 --among other
good knn -k 100 --among same
good radius --radius 5 --among other --groups
with="--queries q.h5" good mine --negatives topk:3 --positives nearest:2
with="--queries q.h5" good mine --window none --normalize
with="--queries q.h5 --pairs pairs.npy" good mine --negatives topk:3 --not-near-positive 2
with="--queries q.h5 --pairs pairs.npy" good mine --window none --and-labels --fallback hardest
with="--queries q.h5" good knn -k 7
with="--queries q.h5" good radius --radius 6

# What can't be decided anew is said.
quickly mine s.h5 -o b.h5 --quiet --batches 3 --classes-per-batch 3 --rows-per-class 3
quickly verify b.h5 s.h5
expect "batches are said not to be decided" test "$? $(grep -c '^decided anew: no, because it was mined inside batches' "$dir/stdout")" = "0 1"
quickly mine s.h5 -o st.h5 --quiet --compat st-mine
quickly loss s.h5 -o loss.h5 --quiet --loss batch-all --gradient
quickly verify loss.h5 s.h5 --json
expect "a gradient is said not to be decided" grep -q '"decided": false' "$dir/stdout"

# ---- faults ----

quickly mine s.h5 -o t.h5 --quiet --positives nearest:3 --window none
quickly mine s.h5 -o l.h5 --quiet --positives nearest:2 --negatives topk:3 --form lists
quickly knn s.h5 -o k.h5 --quiet -k 4
quickly radius s.h5 -o p.h5 --quiet --radius 4
quickly mine r.h5 -o other.h5 --quiet

# bad WHAT FILE PATTERN PYTHON: changes a copy of the file, f, and expects a refusal with that text.
bad() {
    cp "$2" bad.h5
    "$python" -c 'import sys, h5py, numpy as np
f = h5py.File("bad.h5", "r+"); exec(sys.argv[1]); f.close()' "$4" || fail "the change '$1'"
    quickly verify bad.h5 s.h5 --sample 1000
    judge "$1" $? 65 "$3"
}

swap='
t = f["triplets"]; x = h5py.File("s.h5"); e, y = x["embeddings"][:].astype(float), x["labels"][:]
i = len(t["anchor"]) // 2
a, n = t["anchor"][i], t["negative"][i]
d = ((e - e[a]) ** 2).sum(1)
m = [j for j in range(len(y)) if y[j] != y[a] and d[j] > t["d_an"][i]][0]
t["negative"][i] = m; t["d_an"][i] = d[m]'
bad "a farther negative" t.h5 "'/triplets/negative' row [0-9]*: anchor [0-9]* has positive .*; decided anew: positive" "$swap"
bad "a distance one ulp off" t.h5 "'/triplets/d_an' row 7: anchor .*; decided anew" 't = f["triplets/d_an"]; t[7] = np.nextafter(t[7], 9e9)'
bad "another one" t.h5 "'/triplets/d_ap' row 9: anchor .*; decided anew" 't = f["triplets/d_ap"]; t[9] = np.nextafter(t[9], 0)'
bad "a triplet of another order" t.h5 "'/triplets/anchor' row 1: is out of order" 't = f["triplets"]
for c in ("anchor", "positive", "negative", "d_ap", "d_an", "kind", "rank"): x = t[c][0:2]; t[c][0:2] = x[::-1]'
bad "a rank" t.h5 "'/triplets/rank' row 4: 2 is no rank" 'f["triplets/rank"][4] = 2'
bad "a kind" t.h5 "'/triplets/kind' row 4: there is no fallback" 'f["triplets/kind"][4] = 1'
bad "a negative that is not semihard" t.h5 "'/triplets/d_an' row 3: .* is not semihard" 'f["triplets/d_an"][3] = 0'
bad "no distance" t.h5 "'/triplets/d_an' row 3: nan is no distance" 'f["triplets/d_an"][3] = np.nan'
bad "a row out of range" t.h5 "'/triplets/negative' row 2: 90 can't be a negative" 'f["triplets/negative"][2] = 90'
bad "a positive that is the anchor" t.h5 "'/triplets/positive' row 0: 0 can't be a positive" 'f["triplets/positive"][0] = 0'
bad "an anchor out of range" t.h5 "'/triplets/anchor' row 0: -1 is out of range" 'f["triplets/anchor"][0] = -1'
bad "where an anchor starts" t.h5 "'/triplets/anchor_start' row 12: 0, but the triplets of anchor 12 begin at" 'f["triplets/anchor_start"][12] = 0'
bad "the last start" t.h5 "'/triplets/anchor_start' row 90:" 'f["triplets/anchor_start"][90] += 1'
bad "a hash" t.h5 "attribute 'result_hash' is 0+, its rows have" 'f.attrs["result_hash"] = "0" * 32'
bad "no hash" t.h5 "attribute 'result_hash' is missing" 'del f.attrs["result_hash"]'
bad "a fingerprint" t.h5 "attribute 'store_fingerprint' is 1+, the store's rows have" 'f.attrs["store_fingerprint"] = "1" * 32'
bad "a result of another store" other.h5 "attribute 'store_fingerprint' is .*, the store's rows have" ''
bad "another size" t.h5 "attribute 'store_rows' is 91, the rows given have 90" 'f.attrs["store_rows"] = 91'
bad "not complete" t.h5 "is not complete" 'f.attrs["complete"] = 0'
bad "no result" s.h5 "attribute 'format' is missing: no result" ''
bad "options that are none" t.h5 "attribute 'options' is no JSON" 'f.attrs["options"] = "{"'
bad "an option that means nothing" t.h5 "'positives' has a value that means nothing" 'f.attrs["options"] = f.attrs["options"].decode().replace("nearest:3", "nearest:x")'
bad "other options" t.h5 "'/triplets/.*; decided anew" 'f.attrs["options"] = f.attrs["options"].decode().replace("nearest:3", "nearest:2")'
bad "another metric" t.h5 "attribute 'metric' is sql2, its options have l2" 'f.attrs["options"] = f.attrs["options"].decode().replace("sql2", "l2")'
bad "a column that lacks" t.h5 "no dataset '/triplets/d_ap'" 'del f["triplets/d_ap"]'
bad "a column of another type" t.h5 "dataset '/triplets/d_ap' holds int64 values" 'x = f["triplets/d_ap"][:].astype(int); del f["triplets/d_ap"]; f["triplets/d_ap"] = x'
bad "a column of another length" t.h5 "dataset '/triplets/d_ap' has [0-9]* rows, needs" 'x = f["triplets/d_ap"][1:]; del f["triplets/d_ap"]; f["triplets/d_ap"] = x'
bad "two negatives of a list swapped" l.h5 "'/lists/[a-z_]*' row 5:" 'l = f["lists"]
for c in ("negative", "d_an"): x = l[c][5]; l[c][5] = x[[1, 0, 2]]'
bad "a list with a hole" l.h5 "'/lists/negative' row 3: a negative behind a place without one" 'f["lists/negative"][3, 1] = -1; f["lists/d_an"][3, 1] = np.inf'
bad "a list that is short" l.h5 "'/lists/anchor' row [0-9]*: anchor .* has no more|'/lists/positive' row [0-9]*:|'/lists/negative' row" 'f["lists/negative"][3, 2] = -1; f["lists/d_an"][3, 2] = np.inf'
bad "a neighbour" k.h5 "'/neighbors' row 8: place 3 has row .*; decided anew: row" 'n = f["neighbors"]; n[8, 3] = [j for j in range(90) if j not in n[8] and j != 8][-1]'
bad "a distance of one" k.h5 "'/distances' row 8:" 'd = f["distances"]; d[8, 3] = np.nextafter(d[8, 3], 9e9)'
bad "neighbours out of order" k.h5 "'/distances' row 8: is out of order" 'f["neighbors"][8] = f["neighbors"][8][::-1]; f["distances"][8] = f["distances"][8][::-1]'
bad "a pair" p.h5 "'/pairs/a' row 4: is out of order" 'f["pairs/b"][3] = 89'
bad "a degree" p.h5 "'/degree' row 3: 77; decided anew" 'f["degree"][3] = 77'
bad "a pair's distance" p.h5 "'/pairs/distance' row 3:" 'f["pairs/distance"][3] += 1e-15 + f["pairs/distance"][3] * 1e-15'

# Without a sample what is in the rows shows in the hash.
cp t.h5 bad.h5
"$python" -c 'import h5py, numpy as np
t = h5py.File("bad.h5", "r+")["triplets/d_an"]; t[7] = np.nextafter(t[7], 9e9)'
refused "no sample" 65 "attribute 'result_hash' is [0-9a-f]*, its rows have" -- verify bad.h5 s.h5 --sample 0
"$python" -c 'import h5py
h5py.File("s.h5", "r+")["embeddings"][5, 0] += 1'
refused "a store that changed" 65 "attribute 'store_fingerprint' is .*, the store's rows have" -- verify t.h5 s.h5
"$python" -c 'import h5py
h5py.File("s.h5", "r+")["embeddings"][5, 0] -= 1'
quickly mine s.h5 -o q2.h5 --quiet --queries q.h5 --pairs pairs.npy --negatives hard
refused "no queries" 64 "was made with --queries: give them, too" -- verify q2.h5 s.h5
refused "no pairs" 64 "was made with --pairs: give them, too" -- verify q2.h5 s.h5 --queries q.h5
refused "queries too many" 64 "was made without --queries: leave them out" -- verify t.h5 s.h5 --queries q.h5
"$python" -c 'import numpy as np
p = np.load("pairs.npy"); p[4, 1] = (p[4, 1] + 1) % 90; np.save("pairs2.npy", p)'
refused "other pairs" 65 "60 pairs with the fingerprint [0-9a-f]*, the result is of 60 with" -- verify q2.h5 s.h5 --queries q.h5 --pairs pairs2.npy
refused "no store" 64 "verify takes a result, and the store that it is of" -- verify t.h5
refused "a result that is not there" 66 "result 'none.h5'" -- verify none.h5 s.h5

# The same on three ranks, one line and no hang.
for ranks in 1 3; do
    on $ranks verify t.h5 s.h5 >"$dir/stdout.$ranks" 2>"$dir/stderr"
    expect "$ranks ranks find it right" test $? = 0
    cp t.h5 bad.h5
    "$python" -c "import h5py, numpy as np; f = h5py.File('bad.h5', 'r+'); exec('''$swap''')"
    on $ranks verify bad.h5 s.h5 --sample 1000 >"$dir/stdout" 2>"$dir/stderr"
    expect "$ranks ranks find the farther negative" test "$? $(grep -c 'trimine: error: .*decided anew' "$dir/stderr")" = "65 1"
done
expect "ranks say the same" cmp "$dir/stdout.1" "$dir/stdout.3"
finish
