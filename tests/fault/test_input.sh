#!/usr/bin/env bash
# A store that shrinks, is written to, or is replaced while a job reads it: the job says so and ends, or, where the
# change came too late or concerned another file of that name, the result is that of the store as it was.
source "$(dirname "$0")/../cli/lib.sh"
export OMP_NUM_THREADS=1
files=$dir/files
mkdir "$files"
"$program" synth "$dir/good.h5" --rows 3000 --dim 64 --classes 20 --quiet || exit 2
"$program" synth "$dir/other.h5" --rows 3000 --dim 64 --classes 20 --seed 1 --quiet || exit 2
job=(mine "$files/s.h5" --positives easiest --json)

shrinks() { truncate -s 300000 "$1"; }
is_written() { dd if="$dir/other.h5" of="$1" bs=4096 skip=20 seek=20 count=60 conv=notrunc status=none; }
is_replaced() { cp "$dir/other.h5" "$1.new" && mv "$1.new" "$1"; }

# reads_of RANK: how often that rank reads the store in a job that nothing disturbs.
reads_of() {
    cp "$dir/good.h5" "$files/s.h5"
    timeout -k 5 "$patience" mpirun --bind-to none -n 2 -x LD_PRELOAD="$shim" -x FAULT_CALL=read -x FAULT_RANK="$1" \
        -x FAULT_PATH="$files" -x FAULT_COUNT="$dir/count" "$program" "${job[@]}" \
        </dev/null >"$dir/stdout" 2>"$dir/stderr" || fail "undisturbed" "$dir/stderr"
    count=$(cat "$dir/count")
    expect "rank $1 reads the store" test "$count" -ge 4
}

refused=0
for rank in 0 1; do
    reads_of "$rank"
    right=$(value "$dir/stdout" result_hash)
    for how in shrinks is_written is_replaced; do
        for nth in 3 $((count / 2)) "$count"; do
            rm -f "$files"/*
            cp "$dir/good.h5" "$files/s.h5"
            starts_held "$rank read $nth $files" 2 "${job[@]}"
            "$how" "$files/s.h5"
            let_go
            ends "$launcher" || fail "the store $how at read $nth of $count of rank $rank: hangs"
            wait "$launcher"
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
