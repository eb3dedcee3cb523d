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
    quickly verify g.h5 $stores ${beside:-$also} --sample 1000 ${more:-}
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

# Batches, drawn and given, with gradients and histograms.
quickly mine s.h5 --quiet --batches 4 --classes-per-batch 4 --rows-per-class 3 --batch-list list.h5
for options in "--window none --metric l2" "--negatives topk:3 --positives hardest --soft" "--negatives random:3 --seed 7" \
    "--negatives weighted:2 --normalize" "--form lists --negatives topk:2 --swap" "--negatives within-margin --emit --margin 8" \
    "--negatives topk:2 --ranks 2-4 --not-near-positive 4" "--pick random --window none --fallback random" \
    "--lone --negatives hard" "--shortlist st-mine --negatives topk:2 --metric cosine"; do
    # shellcheck disable=SC2086
    good mine $options --batches 5 --classes-per-batch 3 --rows-per-class 4 --gradient --reduction mean_valid --ignore-label 3
    # shellcheck disable=SC2086
    good mine $options --batch-list list.h5 --gradient --reduction mean_rows --histogram 7
    # shellcheck disable=SC2086
    good mine $options --gradient --histogram 3
done
quickly verify list.h5 s.h5
expect "a list of batches is drawn anew" test "$? $(grep -c '^decided anew  48 rows of batches' "$dir/stdout")" = "0 1"
quickly mine s.h5 --quiet --batches 4 --classes-per-batch 4 --rows-per-class 3 --batch-list ignoring.h5 --ignore-label 3 --normalize
quickly verify ignoring.h5 s.h5
expect "a list with an ignored label is said not to be decided" test "$? $(grep -c 'which labels were ignored' "$dir/stdout")" = "0 1"

# The shortlist of sentence-transformers.
for options in "" "--relative-margin 0.05" "--negatives random:3 --ranks 2-20" "--min-distance 0.1 --form lists"; do
    # shellcheck disable=SC2086
    good mine --compat st-mine $options
    # shellcheck disable=SC2086
    with="--queries q.h5 --pairs pairs.npy" good mine --compat st-mine $options
done

# Ranks, groups, degrees and histograms.
evaluated() {
    # shellcheck disable=SC2086
    quickly eval s.h5 ${with:-} --per-query g.h5 --overwrite --quiet "$@"
    # shellcheck disable=SC2086
    quickly verify g.h5 s.h5 ${with:-} --sample 1000
    expect "verify finds eval ${with:-} $* right" test "$? $(grep -c '^decided anew  ' "$dir/stdout")" = "0 1" || cat "$dir/stderr" "$dir/stdout"
}
for metric in sql2 l2 cosine dot; do
    evaluated --metric "$metric" --ignore-label 3
    evaluated --metric "$metric" --normalize --metrics mrr
    with="--queries q.h5" evaluated --metric "$metric"
    with="--queries q.h5 --pairs pairs.npy" evaluated --metric "$metric"
    good radius --metric "$metric" --radius 4 --groups --histogram 9 --ignore-label 2
    with="--queries q.h5" good radius --metric "$metric" --radius 4 --histogram 6 --normalize
done

# Losses: the value, and every row of the gradient.
for metric in sql2 l2 cosine dot; do
    for options in "--loss batch-hard" "--loss batch-all" "--loss batch-all --within 3" "--loss mined --window none" \
        "--loss mined --negatives topk:3 --swap --margin 5 --at-zero whole" "--loss mined --soft --negatives hard" \
        "--loss mined --negatives violating --emit --soft --swap" "--loss batch-hard --lone --reduction mean_valid" \
        "--compat tfa-hard" "--loss batch-all --ignore-label 2 --reduction sum"; do
        # shellcheck disable=SC2086
        good loss $options --metric "$metric" --gradient
        # shellcheck disable=SC2086
        in=r.h5 good loss $options --metric "$metric" --normalize --gradient --reduction mean_nonzero
    done
    with="--queries q.h5" good loss --loss mined --swap --gradient --window none --metric "$metric"
    with="--queries q.h5 --pairs pairs.npy" good loss --loss mined --gradient --negatives topk:3 --reduction mean_valid --and-labels --metric "$metric"
    with="--queries q.h5 --pairs pairs.npy" good mine --gradient --window none --swap --histogram 2 --reduction mean_valid --metric "$metric"
done
good loss --loss batch-hard --normalize --gradient-at normalized --gradient
with="--queries q.h5" good loss --loss batch-hard --reduction mean_rows --soft --normalize --gradient

# Losses of triplets in a file, which verify is given, too.
for options in "" "--swap --soft" "--normalize --reduction mean_valid"; do
    quickly mine s.h5 -o mined.h5 --overwrite --quiet --window none
    # shellcheck disable=SC2086
    more="--triplets mined.h5" good loss --triplets mined.h5 --gradient $options
    quickly mine s.h5 -o mined.h5 --overwrite --quiet --negatives topk:3 --form lists --queries q.h5 --lone
    # shellcheck disable=SC2086
    with="--queries q.h5" more="--triplets mined.h5" good loss --triplets mined.h5 --gradient $options
    quickly mine s.h5 -o mined.h5 --overwrite --quiet --window none --queries q.h5 --pairs pairs.npy
    # shellcheck disable=SC2086
    with="--queries q.h5" more="--triplets mined.h5" good loss --triplets mined.h5 --gradient $options
    # shellcheck disable=SC2086
    with="--queries q.h5 --pairs pairs.npy" more="--triplets mined.h5" good loss --triplets mined.h5 --gradient $options
done

# Packed triplets, with several negatives an anchor and with one.
"$python" - <<'PY'
import h5py, numpy as np
rng = np.random.default_rng(6)
def rows(*shape): return rng.integers(-2, 3, shape + (5,)).astype("f4") + np.float32(0.25)
with h5py.File("packed.h5", "w") as f:
    f["anchor"], f["positive"], f["negatives"] = rows(20), rows(20), rows(20, 7)
with h5py.File("ready.h5", "w") as f:
    f["anchor"], f["positive"], f["negative"] = rows(20), rows(20), rows(20)
with h5py.File("zeros.h5", "w") as f:
    f["anchor"], f["positive"], f["negatives"] = np.zeros((3, 5), "f4"), rows(3), np.zeros((3, 2, 5), "f4")
PY
for metric in sql2 l2 cosine dot; do
    for options in "" "--negatives topk:3 --swap" "--negatives random:2 --seed 3 --soft" "--negatives violating --normalize" \
        "--window none --pick farthest --fallback hardest --reduction sum" "--negatives hard --normalize --gradient-at normalized"; do
        # shellcheck disable=SC2086
        in=packed.h5 good loss $options --metric "$metric" --gradient
    done
    in=ready.h5 good loss --metric "$metric" --gradient
done
in=packed.h5 good loss --negatives weighted:2 --metric cosine --gradient
for preset in guide-1 guide-2 guide-3; do
    in=packed.h5 good loss --compat $preset --gradient
done
in=zeros.h5 good loss --compat guide-2 --gradient

# What can't be decided anew is said.
quickly mine s.h5 -o t.h5 --quiet --positives nearest:3 --window none --margin 9 --gradient --histogram 6
quickly loss s.h5 -o given.h5 --quiet --triplets t.h5 --gradient
quickly verify given.h5 s.h5 --json
expect "a loss of a file of triplets is said not to be decided" grep -q 'give that, too, with --triplets' "$dir/stdout"

# ---- faults ----

quickly mine s.h5 -o l.h5 --quiet --positives nearest:2 --negatives topk:3 --form lists
quickly knn s.h5 -o k.h5 --quiet -k 4
quickly radius s.h5 -o p.h5 --quiet --radius 4
quickly mine r.h5 -o other.h5 --quiet
quickly mine s.h5 -o b.h5 --quiet --batches 3 --classes-per-batch 3 --rows-per-class 3 --window none --gradient --histogram 5
quickly radius s.h5 -o near.h5 --quiet --radius 3 --groups
quickly eval s.h5 --per-query ranks.h5 --quiet
quickly loss s.h5 -o all.h5 --quiet --loss batch-all --gradient
quickly loss s.h5 -o hard.h5 --quiet --loss batch-hard --soft --gradient
quickly loss packed.h5 -o p3.h5 --quiet --negatives topk:3 --margin 90 --gradient

# bad WHAT FILE PATTERN PYTHON: changes a copy of the file, f, and expects a refusal with that text.
bad() {
    cp "$2" bad.h5
    "$python" -c 'import json, sys, h5py, numpy as np
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
bad "another margin" t.h5 "attribute 'margin' is 7, its options have 9" 'f.attrs["margin"] = 7.0'
bad "another format" t.h5 "attribute 'format' is 'trimine-tripods', of which nothing can be verified" 'f.attrs["format"] = "trimine-tripods"'
bad "names of labels that are numbers" t.h5 "'/label_names' has 1 names, the labels of the rows have 0" 'f.create_dataset("label_names", data=["ant"], dtype=h5py.string_dtype())'
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

bad "a gradient one ulp off" t.h5 "'/gradient' row 5: column 2 is .*; decided anew" 'g = f["gradient"]; g[5, 2] = np.nextafter(g[5, 2], np.float32(9e9))'
bad "a gradient of another length" t.h5 "dataset '/gradient' has 89 rows, needs 90" 'x = f["gradient"][1:]; del f["gradient"]; f["gradient"] = x'
bad "a gradient of another width" t.h5 "'/gradient' has 5 columns, the rows have 6" 'x = f["gradient"][:, 1:]; del f["gradient"]; f["gradient"] = x'
bad "a gradient with another reduction" t.h5 "'/gradient' row [0-9]*: column .*; decided anew" 'f.attrs["options"] = f.attrs["options"].decode().replace("mean_all", "sum")'
bad "a bin" t.h5 "'/histogram/gap/counts' row 2: [0-9]*; counted anew" 'f["histogram/gap/counts"][2] += 1'
bad "two bins" t.h5 "'/histogram/d_ap/counts' row 0: [0-9]*; counted anew" 'c = f["histogram/d_ap/counts"]; c[0] += 1; c[1] -= 1'
bad "an edge" t.h5 "'/histogram/d_an/edges' row 3: .*; decided anew" 'e = f["histogram/d_an/edges"]; e[3] = np.nextafter(e[3], 9e9)'
bad "a histogram that lacks" t.h5 "no dataset '/histogram/d_an/counts'" 'del f["histogram/d_an/counts"]'
bad "a triplet of a batch" b.h5 "'/triplets/negative' row 2: anchor .*; decided anew" 't = f["triplets"]; b = f["batches"]
r = b["row"][b["start"][t["batch"][2]]:b["start"][t["batch"][2] + 1]]; y = h5py.File("s.h5")["labels"][:]
t["negative"][2] = [j for j in r if y[j] != y[t["anchor"][2]] and j != t["negative"][2]][0]'
bad "a triplet of another batch" b.h5 "is out of order|; decided anew" 't = f["triplets"]; i = len(t["batch"]) - 1; t["batch"][i] = 0'
bad "a distance in a batch" b.h5 "'/triplets/d_an' row 3: anchor .*; decided anew" 't = f["triplets/d_an"]; t[3] = np.nextafter(t[3], 9e9)'
bad "a row of a batch" b.h5 "'/batches/row' row [0-9]*: batch 0 has row .*; drawn anew: row" 'r = f["batches/row"]; r[0] = 1 if r[0] == 0 and r[1] != 1 else 0'
bad "rows of a batch out of order" b.h5 "'/batches/row' row 3: needs row ids of the store that take part, ascending in each batch, has" 'r = f["batches/row"]; x = r[2:4]; r[2:4] = x[::-1]'
bad "a row of a batch out of range" b.h5 "'/batches/row' row 3: needs row ids .*, has 90" 'f["batches/row"][3] = 90'
bad "where a batch starts" b.h5 "'/batches/start' row 3: starts must ascend" 'f["batches/start"][3] += 1'
bad "another seed" b.h5 "'/batches/row' row [0-9]*: batch .*; drawn anew" 'f.attrs["options"] = f.attrs["options"].decode().replace("\"seed\": 0", "\"seed\": 1")'
bad "a gradient of batches" b.h5 "'/gradient' row 5: column 1 is .*; decided anew" 'g = f["gradient"]; g[5, 1] = g[5, 1] + 1'
bad "a bin of batches" b.h5 "'/histogram/d_ap/counts' row 0: .*; counted anew" 'f["histogram/d_ap/counts"][0] += 1'
bad "a row of a list of batches" list.h5 "'/batches/row' row 3: needs row ids" 'f["batches/row"][3] = -1'
bad "a group" near.h5 "'/group' row [0-9]*: .*; by the pairs: " 'g = f["group"]; i = [k for k in range(90) if g[k] != k][0]; g[i] = i'
bad "two groups joined" near.h5 "'/group' row [0-9]*: .*; by the pairs: " 'g = f["group"]; i = [k for k in range(90) if g[k] == k][1]; g[i] = 0'
bad "a row that is not isolated" near.h5 "'/isolated' row 0: .*; by the pairs: |dataset '/isolated' has" 'i = f["isolated"][:]; del f["isolated"]; f["isolated"] = np.append([0], i)'
bad "a bin of pairs" near.h5 "'/histogram/counts' row [0-9]*: .*; counted anew" 'f["histogram/counts"][19] += 1'
bad "an edge of pairs" near.h5 "'/histogram/edges' row 20: .*; decided anew" 'e = f["histogram/edges"]; e[20] = np.nextafter(e[20], 9e9)'
bad "groups that lack" near.h5 "no dataset '/group'" 'del f["group"]'
bad "a rank of a query" ranks.h5 "'/relevant/rank' row 3: query .* has row .*; decided anew: row|'/relevant/rank' row [34]: is out of range, or not above" 'f["relevant/rank"][3] += 1; f["relevant/rank_low"][3] += 1'
bad "a low rank" ranks.h5 "'/relevant/rank_low' row 5: query .*; decided anew" 'f["relevant/rank_low"][5] += 1'
bad "a high rank" ranks.h5 "'/relevant/rank_high' row 9: .*; decided anew|'/relevant/rank_high' row 9: is above the rank, or below 1" 'f["relevant/rank_high"][9] -= 1'
bad "a low rank below the rank" ranks.h5 "'/relevant/rank_low' row 2: is below the rank" 'f["relevant/rank_low"][2] = 0'
bad "a relevant row" ranks.h5 "'/relevant/row' row 7: query .*; decided anew|'/relevant/distance' row [78]: is out of order" 'r = f["relevant/row"]; r[7] = (r[7] + 1) % 90'
bad "a distance of a relevant row" ranks.h5 "'/relevant/distance' row 7: query .*; decided anew|is out of order" 'd = f["relevant/distance"]; d[7] = np.nextafter(d[7], 9e9)'
bad "where a list starts" ranks.h5 "'/queries/start' row [67]: |'/relevant/distance' row [0-9]*: is out of order" 'f["queries/start"][7] += 1'
bad "a hash of ranks" ranks.h5 "attribute 'result_hash' is 0+, its rows have" 'f.attrs["result_hash"] = "0" * 32'
bad "a loss one ulp off" all.h5 "attribute 'value' is .*; decided anew" 'f.attrs["value"] = np.nextafter(f.attrs["value"], 0)'
bad "a gradient of all triplets" all.h5 "'/gradient' row 9: column 0 is .*; decided anew" 'g = f["gradient"]; g[9, 0] = np.nextafter(g[9, 0], np.float32(9e9))'
bad "another loss" all.h5 "attribute 'loss' is batch-hard, its options have batch-all" 'f.attrs["loss"] = "batch-hard"'
bad "another loss among the options" hard.h5 "attribute 'loss' is batch-hard-soft, its options have batch-hard" 'f.attrs["options"] = f.attrs["options"].decode().replace("\"soft\": true", "\"soft\": false")'
bad "no loss" all.h5 "attribute 'loss' is missing, its options have batch-all" 'del f.attrs["loss"]'
bad "a batch fewer than its options have" b.h5 "'/batches/start' has [0-9]* batches, its options have" 'o = json.loads(f.attrs["options"]); o["batches"] += 1; f.attrs["options"] = json.dumps(o)'
bad "another number of bins of pairs" near.h5 "'/histogram/counts' has 20 bins, its options have 21" 'o = json.loads(f.attrs["options"]); o["histogram"] += 1; f.attrs["options"] = json.dumps(o)'
bad "a soft loss" hard.h5 "attribute 'value' is .*; decided anew" 'f.attrs["value"] *= 1 + 1e-15'
bad "a gradient of a soft loss" hard.h5 "'/gradient' row 89: column 5 is .*; decided anew" 'g = f["gradient"]; g[89, 5] = np.nextafter(g[89, 5], np.float32(9e9))'
bad "a loss of another kind" hard.h5 "attribute 'value' is .*; decided anew" 'f.attrs["options"] = f.attrs["options"].decode().replace("\"loss_margin\": 0.0", "\"loss_margin\": 1.0"); f.attrs["margin"] = 1.0'
bad "a gradient that is gone" all.h5 "no dataset '/gradient', which its options say is there" 'del f["gradient"]'
bad "a gradient of triplets that is gone" t.h5 "no dataset '/gradient', which" 'del f["gradient"]'
bad "no value" all.h5 "attribute 'value' is nan; decided anew" 'del f.attrs["value"]'

bad "a list of batches without starts" list.h5 "no dataset '/batches/start'" 'del f["batches/start"]'
quickly mine n.h5 -o names.h5 --quiet --window none
quickly loss n.h5 -o of_names.h5 --quiet --triplets names.h5 --gradient
quickly verify of_names.h5 n.h5 --triplets names.h5
expect "a loss of given triplets of a store with names is right" test $? = 0
for change in 'n[1] = "wasp"' 'n[:2] = n[:2][::-1]' 'del f["label_names"]'; do
    cp names.h5 bad.h5
    "$python" -c 'import sys, h5py; f = h5py.File("bad.h5", "r+"); n = f["label_names"]; exec(sys.argv[1])' "$change"
    refused "other names: $change" 65 "'/label_names' (row [01] is '(wasp|bee)', the labels of the rows have another name there|has 0 names, the labels of the rows have 3)" -- \
        verify bad.h5 n.h5
done

# Packed triplets: their own file is the store.
damaged() {
    cp p3.h5 bad.h5
    "$python" -c 'import sys, h5py, numpy as np
f = h5py.File("bad.h5", "r+"); exec(sys.argv[1]); f.close()' "$3" || fail "the change '$1'"
    refused "$1" 65 "$2" -- verify bad.h5 "${4:-packed.h5}" --sample 1000
}
damaged "a loss of packed triplets" "attribute 'value' is .*; decided anew" 'f.attrs["value"] = np.nextafter(f.attrs["value"], 0)'
damaged "another packed loss" "attribute 'loss' is triplet-soft, its options have triplet" 'f.attrs["loss"] = "triplet-soft"'
damaged "another packed margin" "attribute 'margin' is 8, its options have 90" 'f.attrs["margin"] = 8.0'
damaged "another packed metric" "attribute 'metric' is cosine, its options have sql2" 'f.attrs["metric"] = "cosine"'
damaged "a packed anchor's gradient" "'/gradient/anchor' row 3: column 2 is .*; decided anew" 'g = f["gradient/anchor"]; g[3, 2] = np.nextafter(g[3, 2], np.float32(9e9))'
damaged "a packed positive's gradient" "'/gradient/positive' row 19: column 0 is .*; decided anew" 'f["gradient/positive"][19, 0] += 1'
damaged "a packed negative's gradient" "'/gradient/negatives' row 4: column 33 is .*; decided anew" 'f["gradient/negatives"][4, 6, 3] += 1'
damaged "a negative that was not chosen" "'/gradient/negatives' row [0-9]*: column .*; decided anew: 0" 'g = f["gradient/negatives"]
i, k = [(i, k) for i in range(20) for k in range(7) if not g[i, k].any()][0]; g[i, k, 1] = 1e-30'
damaged "gradients that are gone" "no dataset '/gradient/anchor', which its options say is there" 'del f["gradient"]'
damaged "a gradient that lacks" "no dataset '/gradient/positive'" 'del f["gradient/positive"]'
damaged "other packed triplets" "attribute 'negatives' is 7, the packed triplets have 1" '' ready.h5
damaged "packed triplets that changed" "attribute 'packed_fingerprint' is 1+, the packed triplets have" 'f.attrs["packed_fingerprint"] = "1" * 32'
damaged "no packed triplets" "'s.h5'" '' s.h5
refused "packed triplets and queries" 64 "give their one file alone" -- verify p3.h5 packed.h5 --queries q.h5
on 3 verify p3.h5 packed.h5 --sample 1000 >"$dir/stdout" 2>"$dir/stderr"
expect "3 ranks find packed triplets right" test "$? $(grep -c '^gradient      180 rows' "$dir/stdout")" = "0 1"

# A loss of given triplets, and another file of them.
quickly verify given.h5 s.h5 --triplets t.h5 --sample 1000
expect "a loss of a file of triplets is right" test $? = 0
refused "another file of triplets" 65 "attribute 'value' is .*; decided anew" -- verify given.h5 s.h5 --triplets l.h5

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
cp q2.h5 bad.h5
"$python" -c 'import h5py, json
f = h5py.File("bad.h5", "r+"); o = json.loads(f.attrs["options"]); o["queries"]["fingerprint"] = "2" * 32; f.attrs["options"] = json.dumps(o)'
refused "other queries among the options" 65 "attribute 'queries_fingerprint' is [0-9a-f]*, its options have 2+$" -- verify bad.h5 s.h5 --queries q.h5 --pairs pairs.npy
refused "no pairs" 64 "was made with --pairs: give them, too" -- verify q2.h5 s.h5 --queries q.h5
refused "queries too many" 64 "was made without --queries: leave them out" -- verify t.h5 s.h5 --queries q.h5
"$python" -c 'import numpy as np
p = np.load("pairs.npy"); p[4, 1] = (p[4, 1] + 1) % 90; np.save("pairs2.npy", p)'
refused "other pairs" 65 "60 pairs with the fingerprint [0-9a-f]*, the result is of 60 with" -- verify q2.h5 s.h5 --queries q.h5 --pairs pairs2.npy
refused "no store" 64 "verify takes a result, and the store that it is of" -- verify t.h5
refused "a result that is not there" 66 "result 'none.h5'" -- verify none.h5 s.h5

# A loss of many rows is decided anew only where all of them are asked for.
quickly synth wide.h5 --rows 2000 --dim 6000 --classes 1000 --quiet
quickly loss wide.h5 -o wide_loss.h5 --quiet --loss batch-hard --gradient
quickly verify wide_loss.h5 wide.h5
expect "a loss of many rows is said not to be decided" test "$? $(grep -c -- '^decided anew: no, because a loss is of all anchors.*--sample 2000 asks for it' "$dir/stdout")" = "0 1"

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
for result in all hard b near ranks; do
    for ranks in 1 3; do
        on $ranks verify $result.h5 s.h5 >"$dir/stdout.$ranks" 2>"$dir/stderr"
        expect "$ranks ranks find $result right" test $? = 0 || cat "$dir/stderr"
    done
    expect "ranks say the same of $result" cmp "$dir/stdout.1" "$dir/stdout.3"
done
on 3 verify given.h5 s.h5 --triplets t.h5 >"$dir/stdout" 2>"$dir/stderr"
expect "3 ranks find a loss of given triplets right" test $? = 0
cp all.h5 bad.h5
"$python" -c "import h5py; h5py.File('bad.h5', 'r+')['gradient'][7, 2] += 1"
on 3 verify bad.h5 s.h5 >"$dir/stdout" 2>"$dir/stderr"
expect "3 ranks find the wrong gradient" test "$? $(grep -c 'trimine: error: .*decided anew' "$dir/stderr")" = "65 1"
finish
