#!/usr/bin/env bash
# A result that can't be written: what a job with --checkpoint found is kept, whatever kind of job it is, so that it goes on,
# on other numbers of ranks, without doing any pair again. Without --checkpoint the error says that nothing was kept.
source "$(dirname "$0")/../cli/lib.sh"
export OMP_NUM_THREADS=1
c=$dir/c
mkdir "$dir/out"
cd "$dir" || exit 2
"$program" synth s.h5 --rows 1500 --dim 16 --classes 30 --quiet || exit 2
"$program" synth q.h5 --rows 200 --dim 16 --classes 30 --seed 3 --quiet || exit 2
"$python" -c 'for q in range(200): print(q, 7 * q % 1500)' >pairs.txt

# unwritable RANKS ARGUMENTS...: a job of whose output nothing can be written, but for its beginning; $unwritten: of files whose
# names begin so.
unwritable() {
    timeout -k 5 "$patience" mpirun --bind-to none -n "$1" -x LD_PRELOAD="$shim" -x FAULT_CALL=write -x FAULT_NTH=2 -x FAULT_ALL=1 \
        -x FAULT_ERRNO=28 -x FAULT_PATH="${unwritten:-$dir/out/.o.h5.trimine-tmp}" "$program" "${@:2}" -o out/o.h5 --quiet </dev/null >stdout 2>stderr
}

# Each with how many sweeps are done anew: those that only count, or only find what is near positives, are not kept.
jobs=(
    "0 mine s.h5 --positives nearest:3 --gradient"
    "0 mine s.h5 --batches 40 --classes-per-batch 5 --rows-per-class 4"
    "1 mine s.h5 --negatives violating --emit --margin 0.2"
    "1 mine s.h5 --negatives topk:3 --not-near-positive 0.5"
    "0 mine s.h5 --positives all --mem-per-rank 7M --tile 96"
    "0 mine s.h5 --queries q.h5 --negatives topk:4"
    "0 mine s.h5 --queries q.h5 --pairs pairs.txt"
    "0 loss s.h5 --loss batch-all --gradient"
    "0 loss s.h5 --loss mined --gradient"
    "0 knn s.h5 --k 5"
    "0 radius s.h5 --radius 3"
)
for ((i = 0; i < ${#jobs[@]}; i++)); do
    read -r anew line <<<"${jobs[i]}"
    read -ra job <<<"$line"
    ranks=$((i % 2 ? 3 : 1)) others=$((i % 2 ? 2 : 3))
    quickly_on 1 "${job[@]}" -o "right.h5" --overwrite --quiet || fail "$line" stderr
    unwritable "$ranks" "${job[@]}" --checkpoint "$c"
    judge "$line on $ranks ranks, of which nothing can be written" $? 74 \
        "^trimine: error: .*output 'out/o.h5'.*No space left.*; checkpoint '$c' holds the work: run again with --resume\$"
    quickly_on "$others" "${job[@]}" --checkpoint "$c" --resume -o out/o.h5 --json || fail "$line: going on" stderr
    expect "$line: goes on on $others ranks without a pair done again" "$python" - stdout "$anew" <<'PY'
import json, sys
j, anew = json.load(open(sys.argv[1])), int(sys.argv[2]) * 1500 * 1499 // 2
assert j["checkpoint"]["resumed"]
if "certify" in j:
    done = j["certify"]["elements"] + j["certify"].get("positives", {}).get("elements", 0)
    assert j["checkpoint"]["reused_pairs"] == done - anew, (j["checkpoint"], j["certify"])
PY
    expect "$line: with the same result" cmp out/o.h5 right.h5
    expect "$line: and the checkpoint goes" test -z "$(find . -name 'c*')"
    rm -f out/o.h5 c*
done

# Without a checkpoint; and where there was nothing to keep.
mine=(mine s.h5 --positives nearest:3)
for ranks in 1 3; do
    unwritable "$ranks" "${mine[@]}"
    judge "without a checkpoint on $ranks ranks" $? 74 "No space left.*; nothing was kept \(--checkpoint PATH would have\)\$"
    refused "no folder from the start" 73 "out/none/o.h5'[^;]*\$" -- "${mine[@]}" -o out/none/o.h5
done

# Triplets of panels wait in a file without a name.
for ranks in 1 3; do
    unwritten=$dir/out/ unwritable "$ranks" mine s.h5 --positives all --mem-per-rank 5M --tile 96
    judge "without room for what waits on $ranks ranks" $? 74 "writing the spool.*; nothing was kept \(--checkpoint PATH would have\)\$"
done

# The folder goes while the job runs.
mkdir gone
starts_held "0 tile 1" 2 "${mine[@]}" --kernel blas --checkpoint "$c" -o gone/o.h5 --quiet
rm -r gone
let_go
wait "$launcher"
judge "a folder that goes" $? 73 "gone/o.h5'.*; checkpoint '$c' holds the work: run again with --resume\$"
mkdir gone
quickly "${mine[@]}" --kernel blas --checkpoint "$c" --resume -o gone/o.h5 --json
expect "and the job goes on where it is made again" cmp gone/o.h5 <("$program" "${mine[@]}" -o whole.h5 --quiet && cat whole.h5)
expect "with what was found" test "$(value stdout checkpoint.resumed)" = true

# Another file comes to be there: the result is whole beside it, so nothing has to go on.
starts_held "0 tile 1" 2 "${mine[@]}" --kernel blas --checkpoint "$c" -o came.h5 --quiet
echo other >came.h5
let_go
wait "$launcher"
judge "a file that comes to be there" $? 73 "came.h5' came to exist while this job ran, .* whole in '[^;]*came.h5.1'\$"
expect "whole, with its result" cmp came.h5.1 whole.h5
finish
