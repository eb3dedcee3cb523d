#!/usr/bin/env bash
# Memory: the plan is told, kept, and a job that can't fit is refused before the big read, with what would do.
source "$(dirname "$0")/../cli/lib.sh"
export OMP_NUM_THREADS=1
"$program" synth "$dir/s.h5" --rows 20000 --dim 256 --classes 5 --quiet || exit 2
job=(mine "$dir/s.h5" --positives nearest:500)

# Address space for MPI and little more, far less than the rows need. MPI itself may fail to start, and then says so
# (with less than this it may crash).
"$program" synth "$dir/big.h5" --rows 200000 --dim 256 --classes 5 --quiet || exit 2
refusals=0
for kilobytes in 400000 450000 500000; do
    (
        ulimit -v "$kilobytes"
        timeout -k 5 60 "$program" mine "$dir/big.h5" --quiet </dev/null
    ) >"$dir/stdout" 2>"$dir/stderr"
    code=$?
    lines=$(grep -cE '^trimine: error: .* give --mem-per-rank [0-9]+M or use' "$dir/stderr")
    if [[ $code == 71 && $lines == 1 ]]; then
        refusals=$((refusals + 1))
        pass
    elif ((code > 0 && code < 124)) && grep -qE 'MPI_Init|MPI_ERRORS_ARE_FATAL|PMIX ERROR' "$dir/stderr"; then
        pass
    else
        fail "$kilobytes kB of address space: exit code $code" "$dir/stderr"
    fi
done
expect "where MPI starts, one line says what would do" test "$refusals" -ge 1
rm "$dir/big.h5"

"$program" "${job[@]}" --mem-per-rank 20M --quiet >"$dir/stdout" 2>"$dir/stderr"
expect "a limit below the rows: exit code 71" test $? == 71
need=$(grep -oE 'give --mem-per-rank [0-9]+M' "$dir/stderr" | grep -oE '[0-9]+')
"$program" "${job[@]}" --mem-per-rank "$((need + 20))M" --json >"$dir/out.json" 2>"$dir/stderr"
expect "the limit it names (and a little for the state) is enough" test $? == 0
expect "the plan is told" grep -qE '^plan .* MB a rank of at most [0-9]+ MB' "$dir/stderr"
plan=$(value "$dir/out.json" run.plan_bytes)
held=$(($(value "$dir/out.json" run.peak_rss_bytes) - $(value "$dir/out.json" run.baseline_rss_bytes)))
expect "and kept: $held held, $plan planned" test "$held" -lt $((plan * 115 / 100 + 16000000))

# 2^40 rows that were never written
"$python" - "$dir/huge.h5" <<'PY'
import h5py, sys
with h5py.File(sys.argv[1], "w", libver="latest") as f:
    f.create_dataset("embeddings", shape=(2**40, 128), dtype="f4", chunks=(1024, 128))
    f.create_dataset("labels", shape=(2**40,), dtype="i8", chunks=(1024,))
PY
on 2 mine "$dir/huge.h5" --quiet >"$dir/stdout" 2>"$dir/stderr"
expect "2^40 rows are refused at once" test $? == 71
finish
