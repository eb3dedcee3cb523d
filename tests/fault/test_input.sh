#!/usr/bin/env bash
# A store that shrinks, is written to, or is replaced while a job reads it: the job says so and ends, or, where the
# change came too late or concerned another file of that name, the result is that of the store as it was.
source "$(dirname "$0")/../cli/lib.sh"
shim=$(realpath "$3") || exit 2
export OMP_NUM_THREADS=1
files=$dir/files
mkdir "$files"
"$program" synth "$dir/good.h5" --rows 3000 --dim 64 --classes 20 --quiet || exit 2
"$program" synth "$dir/other.h5" --rows 3000 --dim 64 --classes 20 --seed 1 --quiet || exit 2

shrinks() { truncate -s 300000 "$1"; }
is_written() { dd if="$dir/other.h5" of="$1" bs=4096 skip=20 seek=20 count=60 conv=notrunc status=none; }
is_replaced() { cp "$dir/other.h5" "$1.new" && mv "$1.new" "$1"; }

# changing RANK NTH HOW: the store changes when that rank is about to do its Nth read of it. The job's exit code.
changing() {
    rm -f "$dir/go" "$files"/*
    cp "$dir/good.h5" "$files/s.h5"
    timeout -k 5 30 mpirun --bind-to none -n 2 -x LD_PRELOAD="$shim" -x FAULT_CALL=read -x FAULT_RANK="$1" -x FAULT_NTH="$2" \
        -x FAULT_PATH="$files" -x FAULT_WAIT="$dir/go" -x FAULT_COUNT="$dir/count" \
        "$program" mine "$files/s.h5" --positives easiest --json </dev/null >"$dir/stdout" 2>"$dir/stderr" &
    local job=$!
    if [[ $3 != never ]]; then
        sleep 0.8 # by then it waits at that read
        "$3" "$files/s.h5"
    fi
    touch "$dir/go"
    wait "$job"
}

changing 0 0 never || fail "undisturbed" "$dir/stderr"
right=$(value "$dir/stdout" result_hash)
refused=0
for rank in 0 1; do
    changing "$rank" 0 never
    count=$(cat "$dir/count")
    for how in shrinks is_written is_replaced; do
        for nth in 3 $((count / 2)) "$count"; do
            changing "$rank" "$nth" "$how"
            code=$?
            lines=$(grep -c "^trimine: error: .*'$files/s.h5'" "$dir/stderr")
            if [[ $code == 0 && $(value "$dir/stdout" result_hash) == "$right" ]]; then
                pass
            elif [[ ($code == 65 || $code == 74) && $lines == 1 && $(grep -c '^trimine: error: ' "$dir/stderr") == 1 ]]; then
                refused=$((refused + 1))
                pass
            else
                fail "the store $how at read $nth of $count of rank $rank: exit code $code" "$dir/stderr"
            fi
        done
    done
done
expect "most changes are noticed ($refused of 18)" test "$refused" -ge 9
finish
