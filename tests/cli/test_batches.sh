#!/usr/bin/env bash
# Mining inside batches as a user does it: the same file on any number of ranks, lists of batches written and read back,
# triplets that `loss` reads, and a refusal for each list that makes no sense.
source "$(dirname "$0")/lib.sh"
jobs_share_starts
in=$dir/in
mkdir "$in" "$out"
"$python" - "$in" <<'PY' || exit 2
import h5py, numpy as np
from stores import folder, write

rng = np.random.default_rng(5)
y = np.repeat(np.arange(12), [1, 2, 9, 9, 9, 9, 9, 9, 9, 9, 9, 16])[rng.permutation(100)]
write("good", embeddings=rng.standard_normal((100, 6)).astype(np.float32), labels=y)
write("other", embeddings=rng.standard_normal((100, 6)).astype(np.float32), labels=y)

def batches(name, start, row, **attributes):
    with h5py.File(f"{folder}/{name}.h5", "w") as f:
        f["batches/start"], f["batches/row"] = start, row
        f.attrs.update(attributes)

one = np.flatnonzero(y == 3)[:2].tolist() + np.flatnonzero(y == 5)[:2].tolist()
batches("two", np.array([0, 4, 7], "u2"), np.array(one[::-1] + one[:3], "i2"))
batches("far", [0, 2], [3, 100])
batches("below", [0, 2], [3, -1])
batches("twice", [0, 2, 5], [1, 2, 7, 8, 7])
batches("without", [0, 2, 2, 4], [1, 2, 3, 4])
batches("ignored", [0, 4], one)
batches("none", [0], np.zeros(0, int))
batches("back", [0, 3, 2, 4], [1, 2, 3, 4])
batches("late", [1, 4], [1, 2, 3, 4])
batches("early", [0, 3], [1, 2, 3, 4])
batches("floats", [0, 2], [1.0, 2.0])
batches("gradient", [0, 4], one, format="trimine-gradient")
batches("unfinished", [0, 4], one, format="trimine-batches", complete=0)
batches("elsewhere", [0, 4], one, store_rows=99)
from pathlib import Path
text = lambda name, lines: Path(f"{folder}/{name}.h5").write_text(lines)
text("words", "# rows\n1 2 7\n\n3 4 x5 6\n")
text("minus", "1 2\n3,-4\n")
text("halves", "1.5 2\n")
text("much", "1 2\n3 99999999999999999999\n")
text("nobody", "# none\n\n   \n")
text("textfar", "1 2\n\n3 100\n")
text("texttwice", "1,2\n7 8,7\n")
with h5py.File(f"{folder}/rowless.h5", "w") as f:
    f["batches/start"] = [0, 1]
PY
store=$in/good.h5
draw=(--batches 30 --classes-per-batch 5 --rows-per-class 3 --seed 9)
policy=(--positives hardest --window none --fallback hardest --gradient)

# --- the same on any number of ranks
for ranks in 1 2 3 5; do
    expect "mine on $ranks ranks" on "$ranks" mine "$store" "${draw[@]}" "${policy[@]}" -o "$dir/t$ranks.h5" --batch-list "$dir/l$ranks.h5" --quiet
    expect "the same triplets on $ranks ranks" h5diff "$dir/t1.h5" "$dir/t$ranks.h5"
    expect "the same list on $ranks ranks" h5diff "$dir/l1.h5" "$dir/l$ranks.h5"
done
on 3 mine "$store" "${draw[@]}" "${policy[@]}" --threads 3 --json >"$dir/drawn.json" 2>"$dir/stderr" || fail "mine --json" "$dir/stderr"
expect "batches, their classes and rows are told" test "$(value "$dir/drawn.json" batches.count),$(value "$dir/drawn.json" batches.classes_per_batch),$(value "$dir/drawn.json" batches.rows_per_class)" = 30,5,3
expect "what decides the batches is among the options" test "$(value "$dir/drawn.json" options.batches),$(value "$dir/drawn.json" options.seed)" = 30,9
on 2 mine "$store" "${draw[@]}" --seed 10 "${policy[@]}" --json >"$dir/other.json" 2>"$dir/stderr" || fail "another seed" "$dir/stderr"
expect "another seed gives others" test "$(value "$dir/drawn.json" result_hash)" != "$(value "$dir/other.json" result_hash)"

expect "what is in the file is what the options say" "$python" - "$dir/t1.h5" "$dir/l1.h5" "$store" "$dir/drawn.json" <<'PY'
import h5py, json, sys
import numpy as np
t, l, s = (h5py.File(p) for p in sys.argv[1:4])
told = json.load(open(sys.argv[4]))
start, row, y = t["batches/start"][:], t["batches/row"][:], s["labels"][:]
assert (start == l["batches/start"][:]).all() and (row == l["batches/row"][:]).all()
assert len(start) == 31 and start[0] == 0 and start[-1] == len(row) == told["batches"]["rows"]
sizes = np.bincount(y)
for b in range(30):
    rows = row[start[b] : start[b + 1]]
    labels, counts = np.unique(y[rows], return_counts=True)
    assert (np.diff(rows) > 0).all() and len(labels) == 5 and (counts == np.minimum(sizes[labels], 3)).all()
c = {k: t["triplets"][k][:] for k in t["triplets"]}
order = np.lexsort((c["negative"], c["positive"], c["anchor"], c["batch"]))
assert (order == np.arange(len(order))).all() and len(order) == told["triplets"]["total"] == told["anchors"]["valid"] > 0
for k in ("anchor", "positive", "negative"):
    assert all(i in row[start[b] : start[b + 1]] for b, i in zip(c["batch"], c[k]))
assert t.attrs["result_hash"].decode() == told["result_hash"] and l.attrs["format"] == b"trimine-batches"
assert (c["rank"] == 1).all() and "kinds" in t["triplets/kind"].attrs and t["gradient"].shape == (100, 6)
PY

# --- lists
on 3 mine "$store" --batch-list "$dir/l1.h5" "${policy[@]}" -o "$dir/again.h5" --json >"$dir/again.json" 2>"$dir/stderr" || fail "a list" "$dir/stderr"
expect "a list that was written gives the same triplets" h5diff "$dir/t1.h5" "$dir/again.h5" /triplets
expect "and the same hash" test "$(value "$dir/again.json" result_hash)" = "$(value "$dir/drawn.json" result_hash)"
expect "and the same gradient" h5diff "$dir/t1.h5" "$dir/again.h5" /gradient
expect "a list is told by its name" test "$(value "$dir/again.json" batches.list),$(value "$dir/again.json" batches.classes_per_batch)" = "$dir/l1.h5,None"
quickly mine "$store" --batch-list "$dir/t1.h5" "${policy[@]}" --json
expect "a result is a list, too" test "$(value "$dir/stdout" result_hash)" = "$(value "$dir/drawn.json" result_hash)"
quickly mine "$store" --batch-list "$in/two.h5" --window none --fallback hardest --json
expect "rows of a list in any order, of any integer type" test "$(value "$dir/stdout" triplets.total),$(value "$dir/stdout" anchors.total)" = 6,7
"$python" - "$dir/l1.h5" "$dir/l.txt" <<'PY' || exit 2
import h5py, sys
with h5py.File(sys.argv[1]) as f, open(sys.argv[2], "w", newline="") as out:
    start, row = f["batches/start"][:], f["batches/row"][:]
    out.write("\ufeff# the same batches\n") # with the mark of UTF-8 that Windows puts before a text
    for b in range(30): # in every way to separate them, the last line without an end
        ids = [str(i) for i in row[start[b] : start[b + 1]][::-1]]
        out.write(("  " if b % 2 else "") + (" ", ", ", ",", "\t")[b % 4].join(ids) + ("" if b == 29 else "\r\n" if b % 5 == 0 else "\n\n"))
PY
for ranks in 1 3 5; do
    on "$ranks" mine "$store" --batch-list "$dir/l.txt" "${policy[@]}" -o "$dir/text$ranks.h5" --quiet 2>"$dir/stderr" || fail "text on $ranks ranks" "$dir/stderr"
    expect "a list as text gives the same triplets on $ranks ranks" h5diff "$dir/t1.h5" "$dir/text$ranks.h5" /triplets
    expect "and the same batches" h5diff "$dir/t1.h5" "$dir/text$ranks.h5" /batches
done
quickly mine "$in/other.h5" --batch-list "$dir/l1.h5"
expect "a list of other rows is warned of" grep -q "^trimine: warning: batches '.*l1.h5' were drawn from rows with the fingerprint" "$dir/stderr"
quickly loss "$store" --triplets "$dir/t1.h5" --json
expect "loss reads the triplets" test "$(value "$dir/stdout" loss.sum)" = "$(value "$dir/drawn.json" loss.sum)"

# --- lists of negatives, and sets
for ranks in 1 3; do
    on "$ranks" mine "$store" "${draw[@]}" --positives all --negatives topk:40 --form lists -o "$dir/k$ranks.h5" --quiet 2>"$dir/stderr" || fail "lists" "$dir/stderr"
    on "$ranks" mine "$store" "${draw[@]}" --positives all --negatives violating --emit -o "$dir/v$ranks.h5" --json >"$dir/v$ranks.json" 2>"$dir/stderr" || fail "a set" "$dir/stderr"
done
expect "the same lists on any ranks" h5diff "$dir/k1.h5" "$dir/k3.h5"
expect "the same set on any ranks" h5diff "$dir/v1.h5" "$dir/v3.h5"
on 2 mine "$store" "${draw[@]}" --positives all --negatives topk:40 -o "$dir/kt.h5" --quiet 2>"$dir/stderr" || fail "topk" "$dir/stderr"
quickly mine "$store" "${draw[@]}" --positives all --negatives violating --json
expect "what is listed is what is counted" test "$(value "$dir/stdout" set.count),$(value "$dir/v1.json" set.count),$(value "$dir/v1.json" triplets.total)" = "$(value "$dir/v3.json" set.count),$(value "$dir/v3.json" triplets.total),$(value "$dir/stdout" set.count)"
expect "lists are the triplets of the same batches, and a set is all that violate" "$python" - "$dir/k1.h5" "$dir/kt.h5" "$dir/v1.h5" "$store" <<'PY'
import h5py, sys
import numpy as np
l, t, v, s = (h5py.File(p) for p in sys.argv[1:5])
assert l.attrs["format"] == b"trimine-lists" and set(l["lists"]) == {"batch", "anchor", "positive", "negative", "d_ap", "d_an"}
c = {k: l["lists"][k][:] for k in l["lists"]}
assert c["negative"].shape == c["d_an"].shape == (len(c["batch"]), 40)
assert (np.lexsort((c["positive"], c["anchor"], c["batch"])) == np.arange(len(c["batch"]))).all()
there = c["negative"] >= 0
assert (np.diff(c["d_an"], axis=1)[there[:, 1:]] >= 0).all() and np.isinf(c["d_an"][~there]).all() and not there.all()
def rows(batch, anchor, positive, negative, d_an):
    order = np.lexsort((negative, positive, anchor, batch))
    return [x[order] for x in (batch, anchor, positive, negative, d_an)]
wide = [np.repeat(c[k], 40)[there.ravel()] for k in ("batch", "anchor", "positive")]
flat = {k: t["triplets"][k][:] for k in t["triplets"]}
assert "anchor_start" not in flat
for a, b in zip(rows(*wide, c["negative"][there], c["d_an"][there]), rows(*(flat[k] for k in ("batch", "anchor", "positive", "negative", "d_an")))):
    assert (a == b).all()
x, y = s["embeddings"][:].astype(float), s["labels"][:]
start, row, n = v["batches/start"][:], v["batches/row"][:], 0
got = {k: v["triplets"][k][:] for k in v["triplets"]}
for b in range(30):
    r = row[start[b] : start[b + 1]]
    d = ((x[r][:, None] - x[r][None]) ** 2).sum(2)
    same = y[r][:, None] == y[r][None]
    pair = same & ~np.eye(len(r), dtype=bool)
    a, p, k = np.nonzero(pair[:, :, None] & ~same[:, None, :] & (d[:, None, :] - d[:, :, None] <= 1.0))
    here = got["batch"] == b
    assert here.sum() == len(a)
    for name, at in (("anchor", a), ("positive", p), ("negative", k)):
        assert (got[name][here] == r[at]).all()
PY
quickly mine "$store" --batch-list "$dir/k1.h5" "${policy[@]}" --json
expect "a result in lists is a list of batches, too" test "$(value "$dir/stdout" result_hash)" = "$(value "$dir/drawn.json" result_hash)"
quickly loss "$store" --triplets "$dir/k1.h5" --json
expect "loss reads the lists" test "$(value "$dir/stdout" loss.count)" -gt 1000
size=$(value "$dir/v1.json" set.count)
refused "a set that is larger than may be listed" 65 "violating: $size triplets, more than the $((size - 1)) that may be listed" -- mine "$store" "${draw[@]}" --positives all --negatives violating --emit --max-triplets $((size - 1)) -o "$out/t.h5"

# --- killed and gone on with, on other ranks
c=$dir/c
"$program" synth "$dir/wide.h5" --rows 200 --dim 2048 --classes 8 --quiet || exit 2 # a few batches are a round
many=(mine "$dir/wide.h5" --batches 240 --classes-per-batch 8 --rows-per-class 5 --seed 3)
kinds=("--positives hardest --window none --fallback random" "--negatives topk:7 --form lists" "--positives easiest --negatives violating --emit")
held_at=("0 rename 4 $c" "0 rename 2 $c.piece" "0 rename 5 $c")
for i in 0 1 2; do
    read -ra kind <<<"${kinds[i]}"
    on 3 "${many[@]}" "${kind[@]}" -o "$dir/right$i.h5" --batch-list "$dir/rightl$i.h5" --quiet 2>"$dir/stderr" || fail "undisturbed $i" "$dir/stderr"
    starts_held "${held_at[i]}" 2 "${many[@]}" "${kind[@]}" --checkpoint "$c" --checkpoint-every 0.00001 -o "$dir/o$i.h5" --batch-list "$dir/ol$i.h5"
    kill -9 "$held"
    wait "$launcher"
    expect "a killed job in batches leaves its checkpoint, and no list" test -s "$c" -a ! -e "$dir/ol$i.h5"
    for ranks in 3 1; do # stopped once more on its way
        starts_held "0 rename 2 $c" "$ranks" "${many[@]}" "${kind[@]}" --checkpoint "$c" --resume --checkpoint-every 0.00001 -o "$dir/o$i.h5" --batch-list "$dir/ol$i.h5"
        kill -9 "$held"
        wait "$launcher"
    done
    on 2 "${many[@]}" "${kind[@]}" --checkpoint "$c" --resume -o "$dir/o$i.h5" --batch-list "$dir/ol$i.h5" --json >"$dir/again.json" 2>"$dir/stderr" || fail "going on with batches $i" "$dir/stderr"
    expect "it went on" test "$(value "$dir/again.json" checkpoint.resumed),$(($(value "$dir/again.json" checkpoint.reused_pairs) > 0))" = true,1
    expect "to the same bytes: ${kinds[i]}" cmp "$dir/right$i.h5" "$dir/o$i.h5"
    expect "and the same list" cmp "$dir/rightl$i.h5" "$dir/ol$i.h5"
    expect "and leaves no checkpoint" test -z "$(ls "$dir" | grep -E '^c(\.piece|$)')"
done
starts_held "0 rename 3 $c" 2 mine "$dir/wide.h5" --batch-list "$dir/ol0.h5" --checkpoint "$c" --checkpoint-every 0.00001
kill -9 "$held"
wait "$launcher"
"$program" mine "$dir/wide.h5" --batches 240 --classes-per-batch 8 --rows-per-class 5 --seed 4 --batch-list "$dir/ol0.h5" --overwrite --quiet 2>"$dir/stderr" || fail "another list" "$dir/stderr"
refused "a checkpoint of a list that has changed since" 65 "checkpoint: is of other batches" -- mine "$dir/wide.h5" --batch-list "$dir/ol0.h5" --checkpoint "$c" --resume

# --- what is refused
list() { # NAME PATTERN...: a list is refused as bad data, and named
    local name=$1
    shift
    refused "list $name" 65 "batches '[^']*$name.h5'" "$@" -- mine "$store" --batch-list "$in/$name.h5" --ignore-label 3 -o "$out/t.h5"
}
list far "batch 0: 100 is not a row id, which go from 0 to 99"
list below "batch 0: -1 is not a row id"
list twice "batch 1: row 7 is in it twice"
list without "batch 1: has no rows"
list ignored "batch 0: row [0-9]+ has the label 3, which is to be ignored"
list none "'/batches/start' has 1 values"
list back "'/batches/start', row 2: 2 is not between 3 and the number of rows, 4"
list late "'/batches/start' begins with 1, needs 0"
list early "'/batches/start' ends with 3, '/batches/row' has 4"
list floats "/batches/row"
list gradient "'format' is 'trimine-gradient', needs 'trimine-batches' or that of a result of mine"
list unfinished "not complete"
list elsewhere "were drawn from a store of 99 rows, this one has 100"
list rowless "/batches/row"
list words "line 4: 'x5' is not a row id"
list minus "line 2: '-4' is not a row id"
list halves "line 1: '1.5' is not a row id"
list much "line 2: '99999999999999999999' is not a row id"
list nobody "has no batches"
list textfar "batch 1: 100 is not a row id, which go from 0 to 99"
list texttwice "batch 1: row 7 is in it twice"
refused "a list that is not there" 66 "absent.h5" -- mine "$store" --batch-list "$in/absent.h5"
refused "a list that is the output" 64 "is one of the inputs" -- mine "$store" --batch-list "$in/two.h5" -o "$in/two.h5" --overwrite
refused "a drawn list that is the output" 64 "is the output, too" -- mine "$store" "${draw[@]}" --batch-list "$out/t.h5" -o "$out/t.h5"
refused "a drawn list that is the store" 64 "is one of the inputs" -- mine "$store" "${draw[@]}" --batch-list "$store" --overwrite
refused "a drawn list that is there" 73 "l1.h5" "overwrite" -- mine "$store" "${draw[@]}" --batch-list "$dir/l1.h5" -o "$out/t.h5"
refused "more classes than there are" 64 "13 classes a batch: the store has 12" -- mine "$store" --batches 2 --classes-per-batch 13 --rows-per-class 1 -o "$out/t.h5"
refused "more classes than take part" 64 "12 classes a batch: the store has 11" -- mine "$store" --batches 2 --classes-per-batch 12 --rows-per-class 1 --ignore-label 3 --json
refused "no rows of a class" 64 "rows-per-class '0'" -- mine "$store" --batches 2 --classes-per-batch 2 --rows-per-class 0
refused "half a draw" 64 "--rows-per-class is missing" -- mine "$store" --batches 2 --classes-per-batch 2
refused "a draw without a number" 64 "--batches is missing" -- mine "$store" --classes-per-batch 2 --batch-list "$out/l.h5"
refused "too little memory" 71 "mem-per-rank" -- mine "$store" --batches 100000 --classes-per-batch 5 --rows-per-class 3 --mem-per-rank 1M -o "$out/t.h5"
refused "not of loss" 64 "not an option of trimine loss" -- loss "$store" --loss mined "${draw[@]}"
quickly mine "$store" --batches 4 --classes-per-batch 3 --rows-per-class 1
expect "no two rows of a class: no triplets, no error" test $? = 0
expect "of which there is a warning" grep -q "no anchor has both a positive and a negative" "$dir/stderr"
finish
