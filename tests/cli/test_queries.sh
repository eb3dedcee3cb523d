#!/usr/bin/env bash
# Queries against a store as a user gives them: what info tells of two sets and their pairs, and what is refused, in one
# line that says which of the two sets it is about, with nothing written.
source "$(dirname "$0")/lib.sh"
jobs_share_starts
in=$dir/in
mkdir "$in" "$out" "$in/folder" "$in/nothing_there"

"$python" - "$in" <<'PY' || exit 2
import json
import numpy as np
from stores import folder, write

rng = np.random.default_rng(3)
x = rng.standard_normal((40, 6)).astype(np.float32)
q = rng.standard_normal((15, 6)).astype(np.float32)
y, z = np.arange(40) % 5, np.arange(15) % 7
names = np.array([b"ant", b"bee", b"cat"])

def changed(row, value):
    other = q.copy()
    other[row] = value
    return other

write("store", embeddings=x, labels=y)
write("queries", embeddings=q, labels=z)
write("folder/q2", embeddings=q[:4], labels=z[:4])
write("folder/q10", embeddings=q[4:], labels=z[4:])
write("bare_store", embeddings=x)
write("bare_queries", embeddings=q)
write("named", embeddings=q, labels=names[z % 3])
write("dim7", embeddings=np.ones((15, 7), np.float32), labels=z)
write("no_rows", embeddings=q[:0], labels=z[:0])
write("zero", embeddings=changed(7, 0), labels=z)
write("all_zero", embeddings=0 * q, labels=z)
write("nan", embeddings=changed(9, np.nan), labels=z)
write("uint64", embeddings=q, labels=np.uint64(2**64 - 1) - z.astype(np.uint64))
write("negative", embeddings=x, labels=-1 - y)
write("one_class", embeddings=x, labels=0 * y)
write("packed", anchor=q, positive=q, negative=q)
write("two", embeddings=x[:2], labels=[0, 1])
write("one", embeddings=q[:1], labels=[1])

pairs = np.stack([rng.integers(0, 12, 60), rng.integers(0, 30, 60)], 1)
pairs = np.concatenate([pairs, pairs[:5], np.stack([np.full(40, 12), np.arange(40)], 1)])  # the last one: every row
write("pairs", query=pairs[:, 0], positive=pairs[:, 1])
write("others", query=pairs[:, 0], positive=pairs[::-1, 1])
np.save(f"{folder}/pairs.npy", pairs)
np.savetxt(f"{folder}/pairs.txt", pairs, fmt="%d")
np.savetxt(f"{folder}/halves.txt", pairs + 0.5)
np.save(f"{folder}/floats.npy", pairs + 0.5)
np.savetxt(f"{folder}/no_query.txt", np.concatenate([pairs[:5], [[15, 3]]]), fmt="%d")
write("no_row", query=pairs[:9, 0], positive=np.r_[pairs[:8, 1], 40])
write("lengths", query=pairs[:, 0], positive=pairs[1:, 1])
open(f"{folder}/none.txt", "w").close()

once = np.unique(pairs, axis=0)
of_query = np.bincount(once[:, 0], minlength=15)
same = (z[:, None] == y[None]).sum(1)
with open(f"{folder}/right.json", "w") as f:
    by_pairs = {"by": "pairs", "with_positive": int((of_query > 0).sum()), "no_positive": int((of_query == 0).sum()),
                "no_negative": int((of_query == 40).sum()), "most_positives": int(of_query.max()),
                "positive_rows": len(np.unique(once[:, 1]))}
    by_label = {"by": "label", "with_positive": int((same > 0).sum()), "no_positive": int((same == 0).sum()), "no_negative": 0}
    json.dump({"pairs": {"count": len(pairs), "repeated": len(pairs) - len(once)}, "by_pairs": by_pairs,
               "by_label": by_label}, f)
PY
s=$in/store.h5 q=$in/queries.h5 p=$in/pairs.h5
two=("$s" --queries "$q")

# ---- info ----

# told SCRIPT: the JSON of the last info is as it should be; i is it, right what numpy says.
told() {
    "$python" - "$dir/stdout" "$in/right.json" "$1" <<'PY' >"$dir/log" 2>&1
import json, sys

i, right = (json.load(open(name)) for name in sys.argv[1:3])
exec(sys.argv[3])
PY
}

for file in pairs.h5 pairs.npy pairs.txt; do
    quickly info "${two[@]}" --pairs "$in/$file" --json
    told 'assert i["queries"]["positives"] == right["by_pairs"], i["queries"]
assert right["by_pairs"]["no_negative"] == 1 and right["by_pairs"]["no_positive"] > 0
assert i["pairs"] == {**right["pairs"], "file": i["pairs"]["file"]} and i["pairs"]["repeated"] >= 5
assert i["classes"]["count"] == 5 and i["labels_left_aside"] is None' || fail "info by $file" "$dir/log"
done
on 5 info "${two[@]}" --pairs "$in/pairs.txt" --json >"$dir/5.json" 2>"$dir/stderr"
expect "info by pairs is the same on 5 ranks" cmp "$dir/stdout" "$dir/5.json"
quickly info "${two[@]}" --json
told 'assert i["queries"]["positives"] == right["by_label"] and "pairs" not in i, i
assert i["queries"]["rows"] == 15 and i["queries"]["dim"] == 6 and i["store"] == {"rows": 40, "dim": 6, "classes": 5}
assert len(i["files"]) == 1 and i["queries"]["files"][0]["labels"]["shape"] == [15]' || fail "info by label" "$dir/log"
quickly info "$in/one_class.h5" --queries "$q" --json
told 'assert i["queries"]["positives"] == {"by": "label", "with_positive": 3, "no_positive": 12, "no_negative": 3}' ||
    fail "info: queries without a negative" "$dir/log"
quickly info "$in/bare_store.h5" --queries "$in/bare_queries.h5" --pairs "$p" --json
told 'assert i["queries"]["positives"] == right["by_pairs"]
assert i["classes"] is None and i["store"]["classes"] is None and i["files"][0]["labels"] is None
assert "no dataset for the labels" in i["labels_left_aside"]' || fail "info without labels" "$dir/log"
quickly info "$in/bare_store.h5" --queries "$in/bare_queries.h5" --pairs "$p"
expect "info for people: pairs need no labels" grep -qx 'labels      none, and --pairs needs none' "$dir/stdout"
quickly info "$in/bare_store.h5" --json
told 'assert i["classes"] is None and i["store"] == {"rows": 40, "dim": 6, "classes": None} and i["zero_norm_rows"] == 0' ||
    fail "info of one set without labels" "$dir/log"
quickly info "$in/bare_store.h5"
expect "info for people: no labels" grep -q '^labels      none, which knn and radius' "$dir/stdout"
quickly info "$s" --queries "$in/folder" --queries "$in/nan.h5" --json
told 'names = [f["path"].split("/")[-1] for f in i["queries"]["files"]]
assert names == ["q2.h5", "q10.h5", "nan.h5"] and [f["first_row"] for f in i["queries"]["files"]] == [0, 4, 15]
first = i["queries"]["first_non_finite"]
assert first["row"] == 24 and first["row_in_file"] == 9 and first["path"].endswith("nan.h5")
assert i["non_finite_rows"] == 0 and i["queries"]["non_finite_rows"] == 1' || fail "info: several files of queries" "$dir/log"
quickly info "$s" --json
told 'assert "queries" not in i and "pairs" not in i and "labels_left_aside" not in i' || fail "info of one set" "$dir/log"
quickly info "${two[@]}" --pairs "$p"
expect "info for people: queries" grep -q '^queries     15 rows x 6, 1 file$' "$dir/stdout"
expect "info for people: pairs" grep -qE "^pairs       105 of '.*pairs.h5', [0-9]+ of them repeated$" "$dir/stdout"
expect "info for people: positives" grep -qE '^positives   by pairs: [0-9]+ queries have one, [0-9]+ have none; 1 have one but no negative$' "$dir/stdout"

# ---- refused by options ----

alone() { # NAME CODE PATTERN... -- ARGUMENTS...: refused, on one rank
    local name=$1 wanted=$2 patterns=()
    shift 2
    while [[ $1 != -- ]]; do
        patterns+=("$1")
        shift
    done
    shift
    quickly "$@"
    judge "$name" $? "$wanted" "${patterns[@]}"
}

for command in mine info; do
    alone "$command: pairs without queries" 64 "--pairs goes with --queries only" -- "$command" "$s" --pairs "$p"
done
alone "and-labels without pairs" 64 "--and-labels goes with --pairs only" -- mine "${two[@]}" --and-labels
alone "pairs and ignore-label" 64 "give one of them" -- mine "${two[@]}" --pairs "$p" --ignore-label 1
alone "batches" 64 "--batches is of one set" -- mine "${two[@]}" --batches 2 --classes-per-batch 2 --rows-per-class 2
alone "a list of batches" 64 "--batch-list is of one set" -- mine "${two[@]}" --batch-list "$in/pairs.txt"
alone "batch-all" 64 "--queries does not apply to --loss batch-all" -- loss "${two[@]}" --loss batch-all
alone "packed triplets" 64 "--queries does not apply to packed triplets" -- loss "$in/packed.h5" --queries "$q"
alone "queries alone" 64 "no store given" -- mine --queries "$q"

# ---- refused by what is in the files: it is said which set they are of ----

o=(-o "$out/t.h5")
alone "no such queries" 66 "queries '.*absent.h5': No such file" -- mine "$s" --queries "$in/absent.h5" "${o[@]}"
alone "no such store" 66 "store '.*absent.h5': No such file" -- mine "$in/absent.h5" --queries "$q" "${o[@]}"
alone "no such pairs" 66 "pairs file '.*absent': No such file" -- mine "${two[@]}" --pairs "$in/absent" "${o[@]}"
alone "an empty folder" 66 "queries '.*nothing_there': folder holds no" -- mine "$s" --queries "$in/nothing_there" "${o[@]}"
alone "a folder of pairs" 66 "is a folder" -- mine "${two[@]}" --pairs "$in/folder" "${o[@]}"
alone "text as queries" 65 "queries '.*pairs.txt': not an HDF5 file" -- mine "$s" --queries "$in/pairs.txt" "${o[@]}"
alone "queries without rows" 65 "queries '.*no_rows.h5': .*has no rows" -- mine "$s" --queries "$in/no_rows.h5" "${o[@]}"
alone "a store without rows" 65 "store '.*no_rows.h5': .*has no rows" -- mine "$in/no_rows.h5" --queries "$q" "${o[@]}"
alone "names and numbers" 65 "queries '.*named.h5': labels .* are names .* numbers" -- mine "$s" --queries "$in/named.h5" "${o[@]}"
alone "large and negative labels" 65 "queries '.*uint64.h5': .* no 64-bit type" -- mine "$in/negative.h5" --queries "$in/uint64.h5" "${o[@]}"
alone "queries without labels" 65 "queries '.*bare_queries.h5': no dataset for the labels.*--pairs" -- mine "$s" --queries "$in/bare_queries.h5" "${o[@]}"
alone "and-labels without labels" 65 "store '.*bare_store.h5': no dataset for the labels" -- mine "$in/bare_store.h5" --queries "$q" --pairs "$p" --and-labels "${o[@]}"
alone "zero under --normalize" 65 "queries '.*zero.h5': .* row 7 has norm zero" -- mine "$s" --queries "$in/zero.h5" --normalize "${o[@]}"
alone "all zero" 65 "queries '.*all_zero.h5': all 15 rows are zero" -- mine "$s" --queries "$in/all_zero.h5" "${o[@]}"
alone "packed triplets as queries" 65 "queries '.*packed.h5': holds packed triplets" -- mine "$s" --queries "$in/packed.h5" "${o[@]}"
alone "a store as pairs" 65 "pairs file '.*store.h5': no dataset '/query'" -- mine "${two[@]}" --pairs "$s" "${o[@]}"
alone "halves" 65 "pairs file '.*halves.txt': line 1" -- mine "${two[@]}" --pairs "$in/halves.txt" "${o[@]}"
alone "floats" 65 "pairs file '.*floats.npy': .* needs integers" -- mine "${two[@]}" --pairs "$in/floats.npy" "${o[@]}"
alone "lengths" 65 "lengths.h5'.* has 104 rows, '/query' has 105" -- mine "${two[@]}" --pairs "$in/lengths.h5" "${o[@]}"
alone "swapped" 65 "is out of range: the store has 15 rows" -- mine "$q" --queries "$s" --pairs "$p" "${o[@]}"
refused "dim" 65 "queries '.*dim7.h5': .* has dim 7, '.*store.h5' has 6" -- mine "$s" --queries "$in/dim7.h5" "${o[@]}"
refused "zero under cosine" 65 "queries '.*zero.h5': .* row 7 has norm zero" -- mine "$s" --queries "$q" --queries "$in/zero.h5" --metric cosine "${o[@]}"
refused "nan" 65 "queries '.*nan.h5': .* row 9 has a non-finite value" -- mine "$s" --queries "$in/nan.h5" --pairs "$p" "${o[@]}"
refused "no such row" 65 "no_row.h5': pair 8: positive 40 is out of range" -- mine "${two[@]}" --pairs "$in/no_row.h5" "${o[@]}" --json
refused "no such query" 65 "no_query.txt': line 6: query 15 is out of range" -- info "${two[@]}" --pairs "$in/no_query.txt"

# ---- labels that pairs alone do not need ----

for given in --labels --query-labels; do
    quickly mine "${two[@]}" --pairs "$p" $given "$in/absent.txt" --quiet
    expect "$given that is not read: the job goes on, with a warning" test "$? $(grep -c "^trimine: warning: $given is not read: with --pairs .* --and-labels" "$dir/stderr")" == "0 1"
done

# ---- outputs that are inputs ----

md5sum "$in"/*.* "$in"/folder/* >"$dir/sums"
for output in "$q" "$p" "$s"; do
    alone "the output is ${output##*/}" 64 "is one of the inputs" -- mine "${two[@]}" --pairs "$p" --overwrite -o "$output"
    alone "the checkpoint is ${output##*/}" 64 "is one of the inputs" -- mine "${two[@]}" --pairs "$p" --checkpoint "$output" --overwrite
done
alone "the output is a file of the folder" 64 "is one of the inputs" -- mine "$s" --queries "$in/folder" --overwrite -o "$in/folder/q10.h5"
expect "inputs are as they were" md5sum -c --quiet "$dir/sums"
expect "and nothing is beside them" test "$(find "$in" -name '.*')" == ""

# ---- what is no error ----

says() { # NAME PATTERN ARGUMENTS...: the job ends well, and warns
    local name=$1 pattern=$2
    shift 2
    quickly "$@" --quiet
    expect "$name: the job ends well" test $? == 0
    expect "$name: and says so" grep -qE "^trimine: warning: $pattern" "$dir/stderr"
}
says "the store as queries" "queries '.*' of the store: each query is also a row of it" mine "$s" --queries "$s"
says "queries twice" "queries '.*queries.h5': the same file as '.*queries.h5': its rows are there twice" mine "${two[@]}" --queries "$q"
says "no pairs" "pairs '.*none.txt': there are none" mine "${two[@]}" --pairs "$in/none.txt"
says "no triplets" "no anchor has both" mine "$s" --queries "$in/named.h5" --pairs "$in/none.txt"
says "filters that leave nothing" "no anchor has a negative that filters and ranks leave: no triplets" \
    mine "${two[@]}" --negatives topk:2 --max-distance 0
says "fewer ranks than negatives" "all 11 anchors got fewer negatives than --negatives topk:5 asks for" \
    mine "${two[@]}" --negatives topk:5 --ranks 2-4
quickly mine "${two[@]}" --negatives topk:5 --ranks 2-6
expect "and none that are enough" test ! -s <(grep warning "$dir/stderr")
says "a label that nobody has" "--ignore-label '99': no row" mine "${two[@]}" --ignore-label 99 --ignore-label 6
expect "and no other warning: queries have the label 6" test "$(wc -l <"$dir/stderr")" == 1
expect "a part of the queries has no rows" quickly mine "$s" --queries "$in/no_rows.h5" --queries "$q" --quiet
expect "the same in one folder and in one file" quickly mine "$s" --queries "$in/folder" --quiet -o "$dir/folder.h5"
quickly mine "${two[@]}" --quiet -o "$dir/file.h5"
expect "and to the byte" cmp "$dir/folder.h5" "$dir/file.h5"
for more in "--margins 0.1,0.5 --histogram 4" "--pairs $p --and-labels --form lists --negatives topk:3"; do
    read -ra words <<<"$more"
    quickly mine "${two[@]}" "${words[@]}" --quiet -o "$dir/1.h5" --overwrite || fail "mine $more" "$dir/stderr"
    on 5 mine "${two[@]}" "${words[@]}" --quiet -o "$dir/5.h5" --overwrite 2>"$dir/stderr" || fail "mine $more on 5 ranks" "$dir/stderr"
    expect "the same bytes on 5 ranks: $more" cmp "$dir/1.h5" "$dir/5.h5"
done
quickly mine "$in/two.h5" --queries "$in/one.h5" --window none --fallback hardest --quiet -o "$dir/1.h5" --overwrite
on 5 mine "$in/two.h5" --queries "$in/one.h5" --window none --fallback hardest --quiet -o "$dir/5.h5" --overwrite 2>"$dir/stderr"
expect "more ranks than rows: the same bytes" cmp "$dir/1.h5" "$dir/5.h5"

# ---- triplets of other queries ----

quickly mine "$s" --quiet -o "$dir/one_set.h5"
alone "loss: triplets of queries, given none" 65 "were mined for 15 queries" -- loss "$s" --triplets "$dir/file.h5"
alone "loss: triplets of one set" 65 "were mined in one set" -- loss "${two[@]}" --triplets "$dir/one_set.h5"
alone "loss: fewer queries" 65 "were mined for 15 queries, here are 1" -- loss "$s" --queries "$in/one.h5" --triplets "$dir/file.h5"
alone "loss: swapped" 65 "from a store of 40 rows, this one has 15" -- loss "$q" --queries "$s" --triplets "$dir/file.h5"
quickly mine "$in/bare_store.h5" --queries "$in/bare_queries.h5" --pairs "$p" --quiet -o "$dir/by_pairs.h5"
bare=(loss "$in/bare_store.h5" --queries "$in/bare_queries.h5" --triplets "$dir/by_pairs.h5")
expect "loss: triplets by pairs need neither pairs nor labels" quickly "${bare[@]}" --quiet
alone "loss: triplets by pairs, and labels" 64 "--ignore-label goes by labels.*were mined by pairs" -- "${bare[@]}" --ignore-label 0
says "loss: other queries" "triplets '.*' were mined for queries with the fingerprint" loss "$s" --queries "$in/zero.h5" --triplets "$dir/file.h5"

# ---- a checkpoint is of its queries and its pairs ----

c=$dir/c
for name in many other; do
    "$program" synth "$dir/$name.h5" --rows 8000 --dim 32 --classes 40 --seed "${#name}" --quiet
done
"$program" synth "$dir/large.h5" --rows 20000 --dim 32 --classes 40 --seed 1 --quiet
"$python" -c 'for i in range(8000): print(i, 2 * i)' >"$dir/double.txt"
"$python" -c 'for i in range(8000): print(i, 2 * i + 1)' >"$dir/odd.txt"
job=(--checkpoint "$c" --kernel blas --tile 32 --positives easiest) # many small tiles: more than one unit of work
mine=(mine "$dir/large.h5" --queries "$dir/many.h5" --pairs "$dir/double.txt" "${job[@]}")
starts_held "0 rename 1 $dir/o.h5" 1 "${mine[@]}" --checkpoint-every 1e-9 -o "$dir/o.h5"
kill -9 "$held"
wait "$launcher" 2>/dev/null
expect "there is a checkpoint" test -s "$c"
alone "a checkpoint of other pairs" 64 "of a job with other options: pairs is" -- "${mine[@]}" --resume --pairs "$dir/odd.txt"
alone "a checkpoint of other queries" 64 "of a job with other options: queries is" -- \
    mine "$dir/large.h5" --queries "$dir/other.h5" --pairs "$dir/double.txt" "${job[@]}" --resume
alone "a checkpoint of pairs, and none" 64 "of a job with other options" -- mine "$dir/large.h5" --queries "$dir/many.h5" "${job[@]}" --resume
alone "a checkpoint of two sets for one" 64 "of a job with other options" -- mine "$dir/large.h5" "${job[@]}" --resume
expect "the checkpoint is still there" test -s "$c"
quickly "${mine[@]}" --resume --json --quiet
told 'assert i["checkpoint"]["resumed"] and i["checkpoint"]["reused_pairs"] > 0' || fail "its own job goes on" "$dir/log"
finish
