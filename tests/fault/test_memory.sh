#!/usr/bin/env bash
# Memory: the plan is told, kept, and a job that can't fit is refused before the big read, with what would do.
source "$(dirname "$0")/../cli/lib.sh"
export OMP_NUM_THREADS=1
"$program" synth "$dir/s.h5" --rows 5000 --dim 1024 --classes 5 --quiet || exit 2

# Address space for MPI and little more, far less than the rows need. MPI itself may fail to start, and then says so
# (with less than this it may crash).
"$python" - "$dir/big.h5" <<'PY' || exit 2
import h5py, numpy as np, sys
with h5py.File(sys.argv[1], "w") as f:
    f.create_dataset("embeddings", shape=(200000, 256), dtype="f4", chunks=(1000, 256)) # none is read, so none is there
    f["labels"] = np.arange(200000) % 5
PY
refusals=0
for kilobytes in 400000 450000 500000; do
    (
        ulimit -v "$kilobytes"
        timeout -k 5 "$patience" "$program" mine "$dir/big.h5" --quiet </dev/null
    ) >"$dir/stdout" 2>"$dir/stderr"
    code=$?
    lines=$(grep -cE '^trimine: error: .* give ulimit -v [0-9]+ or use' "$dir/stderr")
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

# What MPI and the C library hold of their own, beside the plan: 3 to 5 MB were seen. Plans must be larger than
# that to be tested at all.
base=7000000

# named RANKS LIMIT ARGUMENTS...: a limit too small is refused with one that is just enough, and the plan is kept.
named() {
    local ranks=$1 limit=$2 need unit code plan held what="${*:3} on $1 ranks"
    shift 2
    on "$ranks" "$@" --mem-per-rank "$limit" --quiet >"$dir/stdout" 2>"$dir/stderr"
    code=$?
    expect "$what: $limit is too little: exit code $code" test "$code" == 71
    expect "$what: sizes are told" test -z "$(grep -E ' 0\.0 .B' "$dir/stderr")"
    read -r need unit < <(sed -nE 's/.*give --mem-per-rank ([0-9]+)([KM]).*/\1 \2/p' "$dir/stderr")
    on "$ranks" "$@" --mem-per-rank "$((need - 1))$unit" --quiet >"$dir/stdout" 2>"$dir/stderr"
    code=$?
    expect "$what: less than $need$unit is too little: exit code $code" test "$code" == 71
    on "$ranks" "$@" --mem-per-rank "$need$unit" --json >"$dir/out.json" 2>"$dir/stderr"
    code=$?
    expect "$what: $need$unit is enough: exit code $code" test "$code" == 0
    expect "$what: the plan is told" grep -qE '^plan .* MB a rank of at most [0-9]+ MB' "$dir/stderr"
    plan=$(value "$dir/out.json" run.plan_bytes)
    held=$(($(value "$dir/out.json" run.peak_rss_bytes) - $(value "$dir/out.json" run.baseline_rss_bytes)))
    expect "$what: and kept: $held held, $plan planned" test "$held" -lt $((plan * 105 / 100 + base))
    expect "$what: a plan that tells: $plan planned" test "$plan" -gt $((base / 2))
}
"$program" synth "$dir/m.h5" --rows 600 --dim 1536 --classes 3 --quiet || exit 2
"$program" synth "$dir/wide.h5" --rows 60 --dim 20000 --classes 3 --quiet || exit 2
all=(--positives all --window none --tile 64)
named 1 20M mine "$dir/s.h5" --positives easiest
named 1 20K mine "$dir/m.h5" --positives nearest:200 --tile 64
named 2 9M mine "$dir/s.h5" --positives easiest
named 1 100K mine "$dir/m.h5" "${all[@]}" -o "$dir/o.h5" --overwrite
named 2 100K mine "$dir/m.h5" "${all[@]}"
named 4 1K mine "$dir/m.h5" "${all[@]}"
named 4 1K mine "$dir/m.h5" "${all[@]}" --replicate 2 --gradient -o "$dir/o.h5" --overwrite
named 3 1K mine "$dir/wide.h5" "${all[@]}"
named 2 1K loss "$dir/m.h5" --loss batch-all --gradient --tile 64 -o "$dir/o.h5" --overwrite

# Many triplets, each of 48 bytes: handed over where they fit, else waiting on the disk.
wide=(mine "$dir/six.h5" --positives all --window none --fallback farthest-inside --json --quiet --overwrite -o "$dir/o.h5")
"$program" synth "$dir/six.h5" --rows 3000 --dim 16 --classes 3 --quiet || exit 2
for ranks in 1 2; do
    for limit in 16M 1G; do
        on "$ranks" "${wide[@]}" --mem-per-rank "$limit" >"$dir/out.json" 2>"$dir/stderr" || fail "$limit" "$dir/stderr"
        plan=$(value "$dir/out.json" run.plan_bytes)
        held=$(($(value "$dir/out.json" run.peak_rss_bytes) - $(value "$dir/out.json" run.baseline_rss_bytes)))
        expect "$limit on $ranks ranks: $held held, $plan planned" test "$held" -lt $((plan * 105 / 100 + base))
    done
done

# A set, nearly all of whose triplets are one anchor's, which the file takes at once: 1,000 rows close together with one of
# theirs amid 1,000 of another class.
"$python" - "$dir/outlier.h5" <<'PY' || exit 2
import h5py, numpy as np, sys
rng = np.random.default_rng(3)
x = rng.standard_normal((2000, 2)).astype("f4")
x[1:1000] = x[1:1000] * 0.001 + 100
with h5py.File(sys.argv[1], "w") as f:
    f["embeddings"], f["labels"] = x, np.repeat([0, 1], 1000)
PY
for ranks in 1 2; do
    on "$ranks" mine "$dir/outlier.h5" --positives all --negatives hard-all --emit --mem-per-rank 1G --json --quiet --overwrite -o "$dir/o.h5" >"$dir/out.json" 2>"$dir/stderr" || fail "a set" "$dir/stderr"
    plan=$(value "$dir/out.json" run.plan_bytes)
    held=$(($(value "$dir/out.json" run.peak_rss_bytes) - $(value "$dir/out.json" run.baseline_rss_bytes)))
    expect "a set of one anchor on $ranks ranks: $held held, $plan planned" test "$held" -lt $((plan * 105 / 100 + base))
done

# The sums of a gradient come when sweeps have given their memory back; of given triplets there is no sweep.
for job in "mine --positives easiest" "loss --loss batch-hard" "loss --triplets $dir/t.h5"; do
    read -r command options <<<"$job"
    # shellcheck disable=SC2086
    on 1 "$command" "$dir/s.h5" $options --gradient --mem-per-rank 2G --json --quiet --overwrite -o "$dir/g.h5" >"$dir/out.json" 2>"$dir/stderr" || fail "$job" "$dir/stderr"
    [[ $command != mine ]] || mv "$dir/g.h5" "$dir/t.h5"
    plan=$(value "$dir/out.json" run.plan_bytes)
    held=$(($(value "$dir/out.json" run.peak_rss_bytes) - $(value "$dir/out.json" run.baseline_rss_bytes)))
    expect "the gradient of $job: $held held, $plan planned" test "$held" -lt $((plan * 105 / 100 + base))
done

# What can't fit is not read: a value that would be refused is not seen.
"$python" - "$dir/s.h5" <<'PY'
import h5py, sys
with h5py.File(sys.argv[1], "a") as f:
    f["embeddings"][0, 0] = float("nan")
PY
on 2 mine "$dir/s.h5" --positives easiest --mem-per-rank 30M --quiet >"$dir/stdout" 2>"$dir/stderr"
expect "a job that can't fit does not read its rows" test $? == 71
on 2 mine "$dir/s.h5" --positives easiest --mem-per-rank 900M --quiet >"$dir/stdout" 2>"$dir/stderr"
expect "one that fits does" test $? == 65

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
