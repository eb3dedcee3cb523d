#!/usr/bin/env bash
# A disk that is full, at several fill levels; a file size limit; a file system that turns read-only; standard output
# that is full or closed. Each time one message, one exit code, and an output that is old or whole.
source "$(dirname "$0")/../cli/lib.sh"
export OMP_NUM_THREADS=1
"$program" synth "$dir/s.h5" --rows 6000 --dim 32 --classes 30 --quiet || exit 2
job=(mine "$dir/s.h5" --positives nearest:5 --gradient --kernel blas)
disk=$dir/disk
mkdir "$disk"

hash_of() {
    "$python" -c 'import h5py, sys; print(h5py.File(sys.argv[1])["/"].attrs["result_hash"].decode())' "$1" 2>&1
}

# outcome NAME CODE CODES...: the run ended with 0 and the right result, or one of the codes and nothing half-written.
outcome() {
    local name=$1 code=$2 left
    shift 2
    left=$(find "$disk" -name '.*trimine*' -printf '%f ')
    if [[ -n $left ]]; then
        fail "$name: exit code $code, left behind: $left" "$dir/stderr"
    elif [[ $code == 0 ]]; then
        if [[ $(hash_of "$disk/o.h5") == "$right" ]]; then pass; else fail "$name: not the right result" "$dir/stderr"; fi
    elif [[ " $* " != *" $code "* ]]; then
        fail "$name: exit code $code" "$dir/stderr"
    elif [[ $(grep -c '^trimine: error: ' "$dir/stderr") != 1 ]]; then
        fail "$name: not one error line" "$dir/stderr"
    elif ! cmp -s "$disk/o.h5" "$old"; then
        fail "$name: the old output is not what it was"
    else
        refusals=$((refusals + 1))
        pass
    fi
}

on 2 "${job[@]}" -o "$dir/right.h5" --quiet 2>"$dir/stderr" || fail "undisturbed" "$dir/stderr"
right=$(hash_of "$dir/right.h5")
bytes=$(stat -c %s "$dir/right.h5")
old=$dir/old.h5
"$program" mine "$dir/s.h5" -o "$old" --positives easiest --margin 0.1 --quiet 2>"$dir/stderr"
small=$(stat -c %s "$old")
refusals=0 levels=0

unmount() {
    umount -l "$disk" 2>/dev/null
}

# ---- full ----

if mount -t tmpfs -o size=1M tmpfs "$disk" 2>/dev/null; then
    at_exit+=(unmount)
    for ((level = 0; level <= 12; level++)); do
        # from room for the old output alone, by the check of free space, to room for all of it and a checkpoint
        mount -o "remount,size=$((small + 65536 + level * (bytes + 2500000) / 10))" "$disk"
        find "$disk" -mindepth 1 -delete
        cp "$old" "$disk/o.h5"
        on 2 "${job[@]}" -o "$disk/o.h5" --overwrite --quiet --checkpoint "$disk/c" --checkpoint-every 0.0005 \
            >"$dir/stdout" 2>"$dir/stderr"
        outcome "a full disk, level $level" $? 74
        levels=$((levels + 1))
    done
    find "$disk" -mindepth 1 -delete
    mount -o "remount,size=$((small + 65536))" "$disk"
    cp "$old" "$disk/o.h5"
    on 3 "${job[@]}" -o "$disk/o.h5" --overwrite --quiet 2>"$dir/stderr"
    expect "a disk that may be too small is told of at the start" \
        grep -q "^trimine: warning: output '$disk/o.h5': may need [0-9.]* MB, its folder has 0.1 MB free\$" "$dir/stderr"
    expect "some levels were too low" test "$refusals" -ge 3
    expect "some were not" test "$refusals" -lt "$levels"

    # What the check of free space can't see: the disk fills up while the job runs.
    mount -o "remount,size=$((bytes * 3))" "$disk"
    find "$disk" -mindepth 1 -delete
    cp "$old" "$disk/o.h5"
    starts_held "0 tile 1" 2 "${job[@]}" -o "$disk/o.h5" --overwrite --quiet
    head -c "$((bytes * 3))" /dev/zero >"$disk/other" 2>"$dir/filler" # as much as there is room for
    let_go
    wait "$launcher"
    code=$?
    expect "a disk that fills up is noticed" test "$code" == 74
    outcome "a disk that fills up" "$code" 74
    rm -f "$disk/other"

    # An import has another reader, and pieces that are written as they come.
    mount -o "remount,size=40M" "$disk"
    find "$disk" -mindepth 1 -delete
    "$python" -c 'import numpy as np, sys; np.save(sys.argv[1], np.zeros((9000, 4096), "u1"))' "$dir/x.npy"
    for full in before meanwhile; do
        if [[ $full == before ]]; then
            head -c 20M /dev/zero >"$disk/other"
            on 2 import "$disk/i.h5" "$dir/x.npy" --quiet >"$dir/stdout" 2>"$dir/stderr"
            code=$?
        else
            starts_held "1 read 2 $dir/x.npy" 2 import "$disk/i.h5" "$dir/x.npy" --quiet
            head -c 40M /dev/zero >"$disk/other" 2>"$dir/filler"
            let_go
            wait "$launcher"
            code=$?
        fi
        rm -f "$disk/other"
        expect "an import to a disk that is full $full: exit code $code" test "$code" == 74
        expect "and one message" test "$(grep -c '^trimine: error: ' "$dir/stderr")" == 1
        expect "and nothing is left" test -z "$(ls -A "$disk")"
    done

    mount -o "remount,size=64M" "$disk"
    cp "$old" "$disk/o.h5"
    # Only the kernel can do that while a job writes there, where it finds errors: the second write is the first of data.
    timeout -k 5 "$patience" mpirun --bind-to none -n 2 -x LD_PRELOAD="$shim" -x FAULT_RANK=0 -x FAULT_CALL=write -x FAULT_NTH=2 \
        -x FAULT_ALL=1 -x FAULT_ERRNO=30 -x FAULT_PATH="$disk" "$program" "${job[@]}" -o "$disk/o.h5" --overwrite \
        </dev/null >"$dir/stdout" 2>"$dir/stderr"
    code=$?
    expect "a disk that turns read-only is noticed" test "$code" != 0
    outcome "a disk that turns read-only" "$code" 73 74 77
    umount "$disk"
else
    echo "no tmpfs can be mounted here: only file size limits are tried"
fi

# ---- a file size limit, which the check of free space knows nothing of ----

# It comes when the job runs: MPI needs larger files itself to begin with.
limited=0
for ((level = 1; level <= 8; level += 2)); do
    find "$disk" -mindepth 1 -delete
    cp "$old" "$disk/o.h5"
    starts_held "0 tile 1" 2 "${job[@]}" -o "$disk/o.h5" --overwrite
    for rank in $(pgrep -P "$launcher" -f "$program"); do prlimit --pid "$rank" --fsize=$((bytes * level / 7)); done
    let_go
    wait "$launcher"
    code=$?
    [[ $code == 0 ]] || limited=$((limited + 1))
    outcome "a file size limit, level $level" "$code" 74
done
expect "limits below the size are noticed ($limited of 4)" test "$limited" == 3
# From the start, and too low for what HDF5 itself writes: it can't give up its file, so the job is aborted.
rm -f "$disk/o.h5"
(ulimit -f 200 && exec "$program" "${job[@]}" -o "$disk/o.h5" --quiet) >"$dir/stdout" 2>"$dir/stderr"
expect "a limit from the start is 74" test $? == 74
expect "and is named" grep -q '^trimine: error: .*: File too large$' "$dir/stderr"
expect "and leaves nothing" test -z "$(ls -A "$disk")"

# ---- standard output ----

"$program" "${job[@]}" --json --quiet >/dev/full 2>"$dir/stderr"
expect "a full standard output is exit code 74" test $? == 74
expect "and one line" test "$(grep -c '^trimine: error: the report could not be written' "$dir/stderr")" == 1
"$program" "${job[@]}" --json --quiet 2>"$dir/stderr" >&-
expect "so is a closed one" test $? == 74
"$program" "${job[@]}" --json --quiet 2>"$dir/stderr" | true
expect "and a closed pipe" test "${PIPESTATUS[0]}" == 74
rm -f "$disk/o.h5"
"$program" "${job[@]}" --json --quiet -o "$disk/o.h5" >/dev/full 2>"$dir/stderr"
expect "the output is whole all the same" test "$(hash_of "$disk/o.h5")" == "$right"
echo "$levels fill levels, $refusals refusals"
finish
