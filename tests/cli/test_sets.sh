#!/usr/bin/env bash
# Policies of negatives that are sets: what is counted, listed and refused, as a user sees it.
source "$(dirname "$0")/lib.sh"
jobs_share_starts
in=$dir/in
mkdir "$in"
"$python" - "$in" <<'PY' || exit 2
import numpy as np
from stores import write

rng = np.random.default_rng(8)
write("golden", embeddings=np.array([[0], [6], [1], [3], [6], [-1], [4]], np.float32), labels=[0, 0, 1, 2, 1, 3, 2])
write("edge", embeddings=np.array([[0], [2.0**-27], [1]], np.float32), labels=[0, 0, 1])
write("store", embeddings=rng.integers(-4, 5, (300, 3)).astype(np.float32), labels=rng.integers(0, 5, 300))
write("alone", embeddings=rng.random((9, 2)).astype(np.float32), labels=np.arange(9))
write("one_class", embeddings=rng.random((9, 2)).astype(np.float32), labels=np.zeros(9, int))
PY
sets=(violating hard-all within-margin easy-all)

# counted FILE: the size of the set in a report.
counted() {
    "$python" -c 'import json, sys; print(json.load(open(sys.argv[1]))["set"]["count"])' "$1"
}

# ---- seven rows on a line, worked out by hand ----

golden() { # store metric margin sizes...
    local store=$1 metric=$2 margin=$3 set
    shift 3
    for set in "${sets[@]}"; do
        quickly mine "$in/$store.h5" --metric "$metric" --margin "$margin" --negatives "$set" --json
        expect "$set of $store, $metric, margin $margin: $1" test "$(counted "$dir/stdout")" == "$1"
        shift
    done
}
golden golden l2 1 22 17 5 8
golden golden sql2 1 17 17 0 13
golden golden l2 1.5 22 17 5 8
golden golden sql2 1.5 17 17 0 13
# 1 - 2^-54 rounds to 1, more than the margin; the margin and 2^-54 together would be 1 too, and so no less
golden edge sql2 0.99999999999999989 1 0 1 1

# ---- stores without a triplet ----

for set in "${sets[@]}" multisimilarity:0.1; do
    for store in alone one_class; do
        quickly mine "$in/$store.h5" --negatives "$set" --json
        expect "$set of $store is empty" test "$(counted "$dir/stdout")" == 0
        expect "$set of $store: an empty list" quickly mine "$in/$store.h5" --negatives "$set" --emit -o "$dir/e.h5" --overwrite
    done
done

# ---- the list is what was counted, the same bytes anywhere ----

for set in "${sets[@]}" multisimilarity:2; do
    mine=(mine "$in/store.h5" --positives nearest:7 --margin 3 --negatives "$set" --quiet)
    quickly "${mine[@]}" --json
    size=$(counted "$dir/stdout")
    expect "$set is not empty" test "$size" -gt 1000
    expect "$set is listed if there are no more" quickly "${mine[@]}" --emit --max-triplets "$size" -o "$dir/$set.h5"
    quickly "${mine[@]}" --emit --max-triplets $((size - 1)) -o "$dir/no.h5"
    expect "$set is refused if there is one more" test $? == 65
    expect "and its size is named" grep -q ": $size triplets" "$dir/stderr"
    expect "and nothing is written" test ! -e "$dir/no.h5"
    expect "$set on 3 ranks" on 3 "${mine[@]}" --emit --threads 2 --tile 64 -o "$dir/3.h5" --overwrite
    expect "$set on 3 ranks are the same bytes" cmp "$dir/$set.h5" "$dir/3.h5"
    "$python" - "$dir/$set.h5" "$size" >"$dir/log" 2>&1 <<'PY' || fail "$set: what is listed" "$dir/log"
import sys
import h5py, numpy as np

with h5py.File(sys.argv[1]) as f:
    t = {name: f["triplets"][name][:] for name in f["triplets"]}
n = len(t["anchor"])
assert n == int(sys.argv[2]) and (t["kind"] == 0).all()
order = np.lexsort((t["negative"], t["d_an"], t["positive"], t["anchor"]))
pair = np.stack([t["anchor"], t["positive"]])[:, order]
first = np.flatnonzero(np.r_[True, (pair[:, 1:] != pair[:, :-1]).any(0)])
place = np.arange(n) - np.repeat(first, np.diff(np.r_[first, n])) + 1
assert (t["rank"][order] == place).all()
PY
done
"$python" - "$dir" >"$dir/log" 2>&1 <<'PY' || fail "violating is hard-all and within-margin" "$dir/log"
import sys
import h5py

def listed(name):
    with h5py.File(f"{sys.argv[1]}/{name}.h5") as f:
        return set(zip(*(f["triplets"][c][:].tolist() for c in ("anchor", "positive", "negative"))))

assert listed("violating") == listed("hard-all") | listed("within-margin")
assert not listed("violating") & listed("easy-all")
PY

# ---- panels ----

wide=(mine "$in/store.h5" --margin 3 --negatives violating --quiet --json --emit --threads 1)
expect "a set that fits" quickly "${wide[@]}" -o "$dir/wide.h5"
expect "and one that does not" quickly "${wide[@]}" -o "$dir/panels.h5" --mem-per-rank 30M
expect "less memory: panels" "$python" -c 'import json, sys; assert json.load(open(sys.argv[1]))["run"]["panels"] > 1' "$dir/stdout"
expect "in panels the same bytes" cmp "$dir/wide.h5" "$dir/panels.h5"

# ---- refusals ----

refused() { # text arguments...
    local text=$1
    shift
    quickly mine "$in/golden.h5" "$@"
    expect "refused: $*" test $? == 64
    expect "one line about: $*" test "$(wc -l <"$dir/stderr")" == 1
    expect "says '$text': $*" grep -qF -e "$text" "$dir/stderr"
}
refused "-o needs --emit" --negatives violating -o "$dir/no.h5"
refused "--emit goes with -o FILE only" --negatives violating --emit
refused "--emit goes with --negatives that are a set" --emit -o "$dir/no.h5"
refused "--max-triplets goes with --negatives that are a set" --negatives topk:2 --max-triplets 5
refused "--max-triplets goes with --emit only" --negatives violating --max-triplets 5
refused "--form lists does not go with --negatives hard-all" --negatives hard-all --emit --form lists -o "$dir/no.h5"
refused "must be a finite number, 0 or more" --negatives multisimilarity:-1
refused "must be one of" --negatives multisimilarity
refused "max-triplets" --negatives violating --emit --max-triplets -1 -o "$dir/no.h5"
expect "nothing is written" test ! -e "$dir/no.h5"

finish
