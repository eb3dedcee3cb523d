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

# Files that are no HDF5, and those beside them: an array, images in gzip, labels and ids of text, texts of an export. The
# result is whole, or one line says that the file was changed; nothing is left.
"$python" - "$dir" <<'PY' || exit 2
import gzip, struct, sys
import numpy as np
rng = np.random.default_rng(3)
x = rng.integers(0, 256, (3000, 64)).astype("u1")
np.save(f"{sys.argv[1]}/x.npy", x)
open(f"{sys.argv[1]}/x.gz", "wb").write(gzip.compress(struct.pack(">4B2i", 0, 0, 8, 2, 3000, 64) + x.tobytes()))
open(f"{sys.argv[1]}/y.txt", "w").write("".join(f"class {i % 20:040d}\n" for i in range(3000)))
open(f"{sys.argv[1]}/t.txt", "w").write("".join(f"text {i:060d}\n" for i in range(3000)))
PY
# outcome WHAT CODE: of a job that writes $dir/out.
outcome() {
    if [[ $2 == 0 ]] && cmp -s "$dir/out" "$dir/right"; then
        pass
    elif [[ $2 == 65 && ! -e $dir/out && $(grep -c "^trimine: error: .*changed while it was read" "$dir/stderr") == 1 &&
        $(grep -c '^trimine: error: ' "$dir/stderr") == 1 && -z $(find "$dir" -name '.*trimine*') ]]; then
        refused=$((refused + 1))
        pass
    else
        fail "$1: exit code $2" "$dir/stderr"
    fi
}
# disturbed RANKS FILE WHICH ARGUMENTS...: FILE becomes shorter at reads of each rank of the files whose names begin with WHICH.
disturbed() {
    local ranks=$1 file=$2 which=$3 rank nth step
    shift 3
    for ((rank = 0; rank < ranks; rank++)); do
        rm -f "$files"/* "$dir/out"
        cp "$dir"/[xyt].* "$files"
        timeout -k 5 "$patience" mpirun --bind-to none -n "$ranks" -x LD_PRELOAD="$shim" -x FAULT_CALL=read -x FAULT_RANK="$rank" \
            -x FAULT_PATH="$files/$which" -x FAULT_COUNT="$dir/count" "$program" "$@" \
            </dev/null >"$dir/stdout" 2>"$dir/stderr" || fail "undisturbed" "$dir/stderr"
        count=$(cat "$dir/count")
        mv "$dir/out" "$dir/right"
        step=$(((count + 2) / 3))
        for ((nth = 1; nth <= count; nth += step)); do
            rm -f "$files"/* "$dir/out"
            cp "$dir"/[xyt].* "$files"
            starts_held "$rank read $nth $files/$which" "$ranks" "$@"
            truncate -s 5000 "$files/$file"
            let_go
            ends "$launcher" || fail "$file becomes shorter at read $nth of $count of rank $rank: hangs"
            wait "$launcher"
            code=$?
            # what was cut before it was looked at is truncated, or has another number of labels
            if [[ $code == 65 && ! -e $dir/out ]] && grep -qE "truncated|for 3000 rows|do not take|lines, there are" "$dir/stderr"; then
                pass
            else
                outcome "$file becomes shorter at read $nth of $count of rank $rank" "$code"
            fi
        done
    done
}
refused=0
disturbed 2 x.npy x. import "$dir/out" "$files/x.npy" --labels "$files/y.txt" --quiet
disturbed 2 y.txt y. import "$dir/out" "$files/x.npy" --labels "$files/y.txt" --quiet
disturbed 2 x.gz x. import "$dir/out" "$files/x.gz" --ids "$files/y.txt" --quiet
"$program" mine "$dir/x.npy" --labels "$dir/y.txt" --positives easiest -o "$dir/mined.h5" --window none --quiet
disturbed 1 t.txt t. export "$dir/mined.h5" --to jsonl --texts "$files/t.txt" -o "$dir/out" --quiet
expect "most of these are noticed, too ($refused)" test "$refused" -ge 8
finish
