#!/usr/bin/env bash
# kill -9 of one rank at many moments of a job: the output is absent or whole afterwards, and the same command with
# --resume ends with the right result, from the checkpoint where there is one, and leaves nothing of the killed job
# behind. A moment is a call of that rank, at which it is held: moments don't depend on how fast the machine is.
source "$(dirname "$0")/../cli/lib.sh"
export OMP_NUM_THREADS=1
files=$dir/files
mkdir "$files"
"$program" synth "$dir/s.h5" --rows 16000 --dim 96 --classes 40 --quiet || exit 2

job=(mine "$dir/s.h5" -o "$files/o.h5" --positives nearest:20 --kernel blas --tile 128 --gradient
    --checkpoint "$files/c" --checkpoint-every 0.00001 --resume)

hash_of() {
    "$python" -c 'import h5py, sys
with h5py.File(sys.argv[1]) as f:
    assert f.attrs["complete"] == 1 and len(f["triplets/anchor"]) > 0 and f["gradient"][...].any()
    print(f.attrs["result_hash"].decode())' "$1" 2>&1
}

# An import that is stopped, at a piece in the middle, leaves nothing; one that is killed leaves what the next takes away.
"$python" -c 'import numpy as np, sys; np.save(sys.argv[1], np.arange(9000 * 4096, dtype="u4").astype("u1").reshape(9000, 4096))' "$dir/x.npy"
on 2 import "$dir/right.h5" "$dir/x.npy" --quiet || fail "import"
for signal in TERM KILL; do
    starts_held "1 read 2 $dir/x.npy" 2 import "$files/i.h5" "$dir/x.npy" --quiet
    kill -s $signal "$held"
    let_go
    ends "$launcher" || fail "an import that gets $signal hangs"
    wait "$launcher"
    code=$?
    expect "an import that gets $signal leaves no store" test "$code" != 0 -a ! -e "$files/i.h5"
    if [[ $signal == TERM ]]; then
        expect "a stopped import says so" grep -q "^trimine: error: .*stopped on a signal: nothing was written, run again" "$dir/stderr"
        expect "a stopped import has its exit code, $code, and leaves nothing" test "$code" = 75 -a -z "$(ls -A "$files")"
    fi
done
on 2 import "$files/i.h5" "$dir/x.npy" --quiet 2>"$dir/stderr" || fail "import after a killed one" "$dir/stderr"
expect "an import after a killed one is whole" cmp "$files/i.h5" "$dir/right.h5"
expect "and leaves nothing else" test "$(ls -A "$files")" = i.h5

# count_of RANK CALL FILES: how often that rank does it in a job that nothing disturbs, which leaves its result in $right.
count_of() {
    rm -rf "$files" "$dir/count"
    mkdir "$files"
    timeout -k 5 "$patience" mpirun --bind-to none -n 2 -x LD_PRELOAD="$shim" -x FAULT_RANK="$1" -x FAULT_CALL="$2" \
        -x FAULT_PATH="$3" -x FAULT_COUNT="$dir/count" "$program" "${job[@]}" --quiet </dev/null >"$dir/stdout" \
        2>"$dir/stderr" || fail "undisturbed" "$dir/stderr"
    right=$(hash_of "$files/o.h5")
    count=$(cat "$dir/count")
    expect "rank $1 comes to $2" test "$count" -ge 3
}

# killed_at RANK CALL NTH FILES
killed_at() {
    local name="killed at $2 $3 of rank $1" there=false
    rm -rf "$files"
    mkdir "$files"
    starts_held "$1 $2 $3 $4" 2 "${job[@]}" --quiet
    kill -9 "$held"
    ends "$launcher" || fail "$name: the job hangs"
    wait "$launcher"
    [[ $? == 0 ]] || killed=$((killed + 1))
    if [[ -e $files/o.h5 && $(hash_of "$files/o.h5") != "$right" ]]; then
        fail "$name: an output that is not whole"
    fi
    if [[ -e $files/c ]]; then there=true; fi
    if ! on 3 "${job[@]}" --overwrite --quiet --json >"$dir/out.json" 2>"$dir/stderr"; then
        fail "$name: does not go on" "$dir/stderr"
    elif [[ $(value "$dir/out.json" checkpoint.resumed) != "$there" ]]; then
        fail "$name: resumed is not $there" "$dir/out.json"
    elif [[ $(hash_of "$files/o.h5") != "$right" ]]; then
        fail "$name: goes on to another result"
    elif [[ $(ls -A "$files") != o.h5 ]]; then
        fail "$name: left behind: $(ls -A "$files")"
    else
        pass
        if [[ $there == true ]]; then resumed=$((resumed + 1)); fi
    fi
}

moments=0 killed=0 resumed=0
sample=${TRIMINE_FAULT_ALL:+20}
sample=${sample:-3} # moments a row below
# rank, call, files: reading; in a sweep of either rank; writing a checkpoint and the output, and putting them in place
while read -r rank call path; do
    count_of "$rank" "$call" "$path"
    for ((k = 0; k < sample; k++)); do
        killed_at "$rank" "$call" $((1 + (count - 1) * k / (sample - 1))) "$path"
        moments=$((moments + 1))
    done
done <<MOMENTS
1 read $dir/s.h5
0 tile $dir
1 tile $dir
0 write $files
0 rename $files
MOMENTS
echo "$moments moments: $killed jobs killed, $resumed went on from a checkpoint"
expect "every kill came in time" test "$killed" == "$moments"
expect "some jobs went on from a checkpoint" test "$resumed" -ge 4
finish
