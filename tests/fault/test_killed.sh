#!/usr/bin/env bash
# kill -9 of one rank at many moments of a job: the output is absent or whole afterwards, and the same command with
# --resume ends with the right result and leaves nothing of the killed job behind.
source "$(dirname "$0")/../cli/lib.sh"
export OMP_NUM_THREADS=1
files=$dir/files
mkdir "$files"
moments=${TRIMINE_FAULT_ALL:+60}
moments=${moments:-12}
"$program" synth "$dir/s.h5" --rows 25000 --dim 64 --classes 40 --quiet || exit 2

job=(mine "$dir/s.h5" -o "$files/o.h5" --positives nearest:20 --kernel blas --gradient
    --checkpoint "$files/c" --checkpoint-every 0.002 --resume)

hash_of() {
    "$python" -c 'import h5py, sys
with h5py.File(sys.argv[1]) as f:
    assert f.attrs["complete"] == 1 and len(f["triplets/anchor"]) > 0 and f["gradient"][...].any()
    print(f.attrs["result_hash"].decode())' "$1" 2>&1
}

start=$(date +%s%N)
on 2 "${job[@]}" --quiet 2>"$dir/stderr" || fail "undisturbed" "$dir/stderr"
whole=$((($(date +%s%N) - start) / 1000000))
right=$(hash_of "$files/o.h5")
killed=0 resumed=0
for ((k = 0; k < moments; k++)); do
    rm -rf "$files"
    mkdir "$files"
    mpirun --bind-to none -n 2 "$program" "${job[@]}" --quiet </dev/null >"$dir/stdout" 2>"$dir/stderr" &
    launcher=$!
    wait_ms=$((whole * (2 * k + 1) / (2 * moments)))
    sleep "$((wait_ms / 1000)).$(printf %03d $((wait_ms % 1000)))"
    rank=$(pgrep -P "$launcher" -f "$program" | sed -n "$((k % 2 + 1))p")
    [[ -z $rank ]] || kill -9 "$rank" 2>/dev/null
    ends "$launcher" 20 || fail "killed at $wait_ms ms: the job hangs"
    wait "$launcher"
    code=$?
    [[ $code == 0 ]] || killed=$((killed + 1))
    if [[ -e $files/o.h5 && $(hash_of "$files/o.h5") != "$right" ]]; then
        fail "killed at $wait_ms ms: an output that is not whole"
    fi
    [[ ! -e $files/c ]] || resumed=$((resumed + 1))
    if ! on 3 "${job[@]}" --overwrite --quiet >"$dir/stdout" 2>"$dir/stderr"; then
        fail "killed at $wait_ms ms: does not go on" "$dir/stderr"
    elif [[ $(hash_of "$files/o.h5") != "$right" ]]; then
        fail "killed at $wait_ms ms: goes on to another result"
    elif [[ $(ls -A "$files") != o.h5 ]]; then
        fail "killed at $wait_ms ms: left behind: $(ls -A "$files")"
    else
        pass
    fi
done
echo "$moments moments of $whole ms: $killed jobs killed, $resumed went on from a checkpoint"
expect "most of the kills came in time" test "$killed" -ge $((moments / 2))
finish
