#!/usr/bin/env bash
# trimine bench: what it measures of a store and of a synthetic one, and what its JSON says of the rounds. Nothing is asserted
# of how fast anything is.
source "$(dirname "$0")/lib.sh"
cd "$dir" || exit 2

small=(--rows 300 --dim 8 --classes 30 --seed 3)
expect "synth" on 1 synth store.h5 "${small[@]}" --quiet
on 1 mine store.h5 --positives easiest --metric cosine --json --quiet >mined.json
on 1 bench "${small[@]}" --metric cosine --rounds 2 --threads 1 --json --quiet >synthetic.json
on 1 bench store.h5 --metric cosine --rounds 3 --threads 2 --json --quiet >store.json
on 3 bench store.h5 --metric cosine --normalize --rounds 2 --threads 1 --json --quiet >ranks.json
cat >check.py <<'PY'
import json
import statistics

def read(name):
    with open(f"{name}.json") as file:
        return json.load(file)

KEYS = {"sgemm_peak_gflops", "sgemm_tile_gflops", "effective_gflops", "ratio", "negatives_s", "positives_s", "mining_s"}
CYCLES = {"cycles_per_pair", "ratio_in_cycles"}  # where the machine tells
mined = read("mined")
for name, rounds, ranks, threads in (("synthetic", 2, 1, 1), ("store", 3, 1, 2), ("ranks", 2, 3, 1)):
    r = read(name)
    for key, value in {"program": "trimine", "command": "bench", "rows": 300, "dim": 8, "classes": 30, "ranks": ranks,
                       "threads": threads}.items():
        assert r[key] == value, (name, key, r[key])
    assert len(r["rounds"]) == rounds, (name, r["rounds"])
    each = {key: [one[key] for one in r["rounds"]] for key in r["rounds"][0]}
    assert set(each) in (KEYS, KEYS | CYCLES), (name, set(each))
    for key, values in each.items():
        assert min(values) > 0, (name, key, values)
        assert r[key] == statistics.median(values), (name, key)
    better = max("sgemm_peak_gflops", "sgemm_tile_gflops", key=lambda key: r[key])
    assert r["ratio_to"] == better, (name, r)
    for one in r["rounds"]:
        assert abs(one["ratio"] * one[better] / one["effective_gflops"] - 1) < 1e-9, (name, one)
        assert abs(one["effective_gflops"] * 1e9 * one["negatives_s"] / (2 * 8 * 300 * 300) - 1) < 1e-9, (name, one)
        assert one["mining_s"] > one["negatives_s"] + one["positives_s"], (name, one)
    assert r["ratio_spread"] == [min(each["ratio"]), max(each["ratio"])], (name, r)
    assert r["float64_per_anchor"] == r["certify"]["float64"] / mined["anchors"]["valid"], (name, r)
    assert r["certify"]["kernel"] == r["kernel"], (name, r)
    if name != "ranks":  # normalised once more, rows differ in their last bits
        assert r["result_hash"] == mined["result_hash"], (name, r)
PY
expect "what the JSON says" "$python" check.py

on 1 bench store.h5 --rounds 1 2>people.txt
for line in '^bench      300 rows x 8, 1 ranks x [0-9]+ threads' '^peak       [0-9.]+ GFLOP/s sgemm of 1024 x 1024 x 1024' \
    '^           [0-9.]+ GFLOP/s sgemm of [0-9]+ x [0-9]+ x 8' '^effective  .* of the peak \([0-9.]+ to [0-9.]+\)$' \
    '^certify    .* compared by .* ruled out$' '^float64    .* an anchor$'; do
    expect "for people: $line" grep -qE "$line" people.txt
done
for ranks in 1 3; do
    on "$ranks" bench none.h5 --json --quiet >failed.json 2>failed.txt
    expect "no such store is an input that is missing, on $ranks" test $? = 66
    expect "and says so in one line" grep -q "^trimine: error: .*store 'none.h5': No such file" failed.txt
    expect "and in JSON" grep -q '"code": 66' failed.json
done
finish
