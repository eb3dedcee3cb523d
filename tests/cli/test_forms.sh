#!/usr/bin/env bash
# The two forms of a result: triplets with ranks and where each anchor's begin, and lists; both go back into trimine loss.
source "$(dirname "$0")/lib.sh"
jobs_share_starts
in=$dir/in
mkdir "$in" "$out"
store=$in/store.h5

"$python" - "$in" <<'PY' || exit 2
import numpy as np
from stores import write

rng = np.random.default_rng(5)
x = rng.standard_normal((90, 4)).astype(np.float32)
y = np.arange(90) % 7
y[60:64] = 100 + np.arange(4)  # alone in their classes: anchors without triplets
write("store", embeddings=x, labels=y)
write("alone", embeddings=x[:9], labels=np.arange(9))
write("both", triplets__anchor=[0], triplets__positive=[7], triplets__negative=[1],
      lists__anchor=[0], lists__positive=[7], lists__negative=[[1]])
write("several", lists__anchor=[0, 1, 2], lists__positive=[7, 8, 9], lists__negative=[[1, 2, 3], [2, -1, -1], [-1, -1, -1]])
write("the_same", triplets__anchor=[0, 0, 0, 1], triplets__positive=[7, 7, 7, 8], triplets__negative=[1, 2, 3, 2])
write("bad", lists__anchor=[0, 1], lists__positive=[7, 8], lists__negative=[[1, -1], [2, 8]])
PY

# --- what is written: lists are the triplets in another form, and neither depends on the ranks
mine=(--margin 0.2 --positives nearest:3 --quiet)
for ranks in 1 3; do
    for form in triplets lists; do
        expect "$form on $ranks ranks" on "$ranks" mine "$store" "${mine[@]}" --form "$form" -o "$dir/$form$ranks.h5"
    done
done
for form in triplets lists; do
    expect "$form are the same bytes on 3 ranks" cmp "$dir/${form}1.h5" "$dir/${form}3.h5"
done
expect "triplets are the default" on 1 mine "$store" "${mine[@]}" -o "$dir/default.h5"
expect "triplets are the default to the byte" cmp "$dir/triplets1.h5" "$dir/default.h5"
"$python" - "$dir/triplets1.h5" "$dir/lists1.h5" >"$dir/stderr" 2>&1 <<'PY' || fail "lists are the triplets in another form" "$dir/stderr"
import sys
import h5py, numpy as np

with h5py.File(sys.argv[1]) as f, h5py.File(sys.argv[2]) as g:
    t, l = f["triplets"], g["lists"]
    assert f.attrs["format"] == b"trimine-triplets" and g.attrs["format"] == b"trimine-lists"
    assert f.attrs["result_hash"] == g.attrs["result_hash"] and g.attrs["complete"] == 1
    assert b'"form"' not in f.attrs["options"] and b'"form": "lists"' in g.attrs["options"]
    n = len(t["anchor"])
    assert 0 < n < 3 * 86, n  # some pairs are skipped: these have no line
    assert t["rank"].dtype == "<i8" and (t["rank"][:] == 1).all()
    start = t["anchor_start"][:]
    assert start.shape == (91,) and start[0] == 0 and start[90] == n
    for a in range(90):
        assert (t["anchor"][start[a]:start[a + 1]] == a).all() and (t["anchor"][:] == a).sum() == start[a + 1] - start[a]
    assert sorted(l) == ["anchor", "d_an", "d_ap", "negative", "positive"] and sorted(g) == ["lists"]
    for name in l:
        assert l[name].shape == ((n, 1) if name in ("negative", "d_an") else (n,)), name
        assert l[name].dtype == t[name].dtype and l[name][:].tobytes() == t[name][:].tobytes(), name
PY

# --- what is read back: the same loss from both
for file in triplets1 lists1; do
    on 1 loss "$store" --triplets "$dir/$file.h5" --margin 3 --json >"$dir/$file.json" 2>"$dir/stderr" || fail "loss of $file" "$dir/stderr"
    on 3 loss "$store" --triplets "$dir/$file.h5" --margin 3 --json >"$dir/$file.3.json" 2>"$dir/stderr" || fail "loss of $file on 3 ranks" "$dir/stderr"
    for key in loss.sum loss.count; do
        expect "$key of $file is that of triplets" test "$(value "$dir/$file.json" $key)" = "$(value "$dir/triplets1.json" $key)"
        expect "$key of $file on 3 ranks" test "$(value "$dir/$file.3.json" $key)" = "$(value "$dir/$file.json" $key)"
    done
done
for file in several the_same; do
    on 2 loss "$store" --triplets "$in/$file.h5" --json >"$dir/$file.json" 2>"$dir/stderr" || fail "loss of $file" "$dir/stderr"
done
expect "a line of K negatives is K triplets, but for -1" test "$(value "$dir/several.json" loss.count)" = 4
expect "and has their loss" test "$(value "$dir/several.json" loss.sum)" = "$(value "$dir/the_same.json" loss.sum)"

# --- none at all
expect "no lists" on 2 mine "$in/alone.h5" --form lists --quiet -o "$dir/none.h5"
expect "no lists are an empty result" test "$("$python" -c 'import h5py, sys; print(h5py.File(sys.argv[1])["lists/negative"].shape)' "$dir/none.h5")" = "(0, 1)"
expect "which has a loss, too" on 1 loss "$in/alone.h5" --triplets "$dir/none.h5" --quiet

# --- refused
for end in jsonl csv npz; do
    refused "a result that is called .$end" 64 "output '.*x.$end': a result is HDF5: call it .h5; then trimine export makes" -- mine "$store" -o "$out/x.$end"
done
refused "a form that is none" 64 "--form 'list': must be one of triplets lists" "did you mean 'lists'" -- mine "$store" --form list -o "$out/x.h5"
refused "a form without a file" 64 "--form lists goes with -o FILE only" -- mine "$store" --form lists
refused "a form of a loss" 64 "'--form'" "not an option of trimine loss" -- loss "$store" --loss mined --form lists
refused "both forms in one file" 65 "both.h5': has both '/triplets' and '/lists'" -- loss "$store" --triplets "$in/both.h5"
refused "a bad negative in a list" 65 "bad.h5': triplet 2: negative 8 has the label of anchor 1" -- loss "$store" --triplets "$in/bad.h5"

finish
