#!/usr/bin/env bash
# --compat st-mine against what sentence-transformers' mine_hard_negatives found (tests/data/st_mine.json): the same
# negatives in the same order, for each of its settings.
source "$(dirname "$0")/lib.sh"
in=$dir/in
mkdir "$in"

# Queries and documents about the same centres, and documents about none; then a line for each case: its number, a list of
# pairs and the options that its settings are here.
"$python" - "$in" "$source_dir/tests/data/st_mine.json" >"$dir/cases" <<'PY' || exit 2
import json
import sys

import numpy as np
from stores import write

classes, documents, dim, extra = 12, 4, 16, 40
rng = np.random.default_rng(301)
centre = rng.standard_normal((classes, dim))
query = (centre + 0.4 * rng.standard_normal((classes, dim))).astype(np.float32)
document = (centre[:, None] + 0.8 * rng.standard_normal((classes, documents, dim))).astype(np.float32)
other = (centre[np.arange(extra) % classes] + 1.0 * rng.standard_normal((extra, dim))).astype(np.float32)
write("queries", embeddings=query)
write("store", embeddings=np.concatenate([document.reshape(-1, dim), other]))
for positives in (1, 4):
    pairs = [(q, documents * q + k) for q in range(classes) for k in range(positives)]
    np.savetxt(f"{sys.argv[1]}/pairs{positives}.txt", pairs, fmt="%d")
for number, case in enumerate(json.load(open(sys.argv[2]))["cases"]):
    given = case["options"]
    words = ["--negatives", f"topk:{given.get('num_negatives', 3)}"]
    if "range_min" in given or "range_max" in given:
        words += ["--ranks", f"{given.get('range_min', 0) + 1}-{given.get('range_max', '')}"]
    for name in ("absolute_margin", "relative_margin"):
        if name in given:
            words += ["--" + name.replace("_", "-"), str(given[name])]
    for name, option in (("max_score", "--min-distance"), ("min_score", "--max-distance")):
        if name in given:
            words += [option, str(1 - given[name])]
    print(number, case["positives"], *words)
PY

cases=0
while read -r number positives options; do
    read -ra words <<<"$options"
    mine=(mine "$in/store.h5" --queries "$in/queries.h5" --pairs "$in/pairs$positives.txt" --compat st-mine "${words[@]}")
    expect "case $number runs" quickly "${mine[@]}" -o "$dir/$number.h5"
    cases=$((cases + 1))
done <"$dir/cases"
expect "there are cases" test "$cases" -ge 30
expect "each finds the same" "$python" - "$source_dir/tests/data/st_mine.json" "$dir" <<'PY'
import json
import sys

import h5py

name = [f"d{c}.{k}" for c in range(12) for k in range(4)] + [f"x{k}" for k in range(40)]
wrong = []
for number, case in enumerate(json.load(open(sys.argv[1]))["cases"]):
    found, want = {}, {}
    with h5py.File(f"{sys.argv[2]}/{number}.h5") as file:
        columns = [file["triplets"][column][:] for column in ("anchor", "positive", "rank", "negative")]
    for anchor, positive, _, negative in sorted(zip(*columns)):
        found.setdefault((anchor, positive), []).append(name[negative])
    for query, negatives in enumerate(case["negatives"]):
        for k in range(case["positives"]):
            if negatives:
                want[query, 4 * query + k] = negatives.split()
    if found != want:
        wrong.append((number, case["options"]))
sys.exit(f"others in {wrong}" if wrong else 0)
PY

# ---- its first rows are chosen from at random, too ----

mine=(mine "$in/store.h5" --queries "$in/queries.h5" --pairs "$in/pairs4.txt" --compat st-mine --negatives random:3 --ranks 3-12)
expect "random:3 among them" quickly "${mine[@]}" --absolute-margin 0.1 -o "$dir/random.h5"
quickly "${mine[@]}" --negatives topk:10 --absolute-margin 0.1 -o "$dir/all.h5"
expect "random:3 takes what topk:10 would" "$python" - "$dir/random.h5" "$dir/all.h5" <<'PY'
import sys

import h5py

sets = []
for path in sys.argv[1:]:
    with h5py.File(path) as file:
        t = file["triplets"]
        sets.append(set(zip(t["anchor"], t["positive"], t["negative"])))
sys.exit(not (sets[0] < sets[1]))
PY
for words in "--positives nearest:1" "--negatives semihard"; do
    read -ra more <<<"$words"
    quickly "${mine[@]}" "${more[@]}"
    expect "refused with $words" test $? == 64
done
finish
