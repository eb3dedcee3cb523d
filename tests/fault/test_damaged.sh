#!/usr/bin/env bash
# Damaged input: cut, flipped, and valid HDF5 with wrong content. Never a crash, never a hang, one line that names the
# file; never a silent wrong result where a checksum exists. And checkpoints, which are checksummed throughout.
source "$(dirname "$0")/../cli/lib.sh"
export OMP_NUM_THREADS=1
stores=$dir/stores
mkdir "$stores"
"$python" "$(dirname "$0")/make_damaged.py" "$stores" || exit 2
cd "$stores" || exit 2

# mine FILE: its exit code; the result hash in $hash.
mine() {
    quickly mine "$1" --json --quiet
    local code=$?
    hash=$(grep -o '"result_hash": "[0-9a-f]*"' "$dir/stdout")
    return $code
}

# refusal NAME CODE: a refusal as it should be?
refusal() {
    case $2 in
    65 | 66 | 71 | 74 | 77) ;;
    *)
        fail "$1: exit code $2" "$dir/stderr"
        return 1
        ;;
    esac
    if [[ $(grep -c '^trimine: error: ' "$dir/stderr") != 1 ]] || ! grep -q "^trimine: error: .*'$1'" "$dir/stderr"; then
        fail "$1: not one line that names the file" "$dir/stderr"
        return 1
    fi
    refused=$((refused + 1))
    pass
}

# alone NAME CODE: the same for a run on one process, which prints nothing else. Where HDF5 itself crashes on metadata
# that no checksum covers, that is counted: the first of its frames and ours tells whose crash it is.
alone() {
    if (($2 >= 128)) && [[ $1 == any-* ]] && grep -m 1 -E 'libhdf5|trimine(_batch)?\(' "$dir/stderr" | grep -q libhdf5; then
        crashed=$((crashed + 1))
        printf 'libhdf5 crashes on %s: exit code %s\n' "$1" "$2"
    elif refusal "$@" && [[ $(wc -l <"$dir/stderr") != 1 || $(grep -c '^{"error": ' "$dir/stdout") != 1 || $(wc -l <"$dir/stdout") != 1 ]]; then
        fail "$1: not one line and one JSON object" "$dir/stderr"
    fi
}

mine ok-plain.h5 || fail "the undamaged store" "$dir/stderr"
right=$hash
tried=0 refused=0 alike=0 other=0 crashed=0
for file in *.h5; do
    mine "$file"
    code=$?
    tried=$((tried + 1))
    case $file in
    ok-*) expect "$file gives the right result" test "$code $hash" == "0 $right" ;;
    too-large.h5) expect "$file does not fit" test "$code" == 71 ;; # known before anything is read
    bad-*) alone "$file" $code ;;
    *)
        if [[ $code != 0 ]]; then
            alone "$file" $code
        elif [[ $hash == "$right" ]]; then
            alike=$((alike + 1))
            pass
        elif [[ $file == same-* ]]; then
            fail "$file: another result, in spite of the checksums"
        else
            other=$((other + 1)) # flipped values, which no checksum covers
            pass
        fi
        ;;
    esac
done
echo "$tried stores: $refused refused, $alike with the undamaged result, $other with another, $crashed crashes of HDF5"

# On several ranks: only the rank that owns the damaged chunk can know.
for file in bad-flip-data-1.h5 bad-flip-data-7.h5 bad-nan.h5 bad-cut-plain-40.h5; do
    on 3 mine "$file" --json --quiet >"$dir/stdout" 2>"$dir/stderr"
    refusal "$file" $?
done
for file in bad-first-chunk.h5 bad-last-chunk.h5; do
    on 2 mine "$file" --json --quiet >"$dir/stdout" 2>"$dir/stderr"
    refusal "$file" $?
    owner=$([[ $file == bad-first* ]]; echo $?)
    expect "$file: rank $owner says so" grep -q "^trimine: error: rank $owner (.*dataset '/embeddings' rows" "$dir/stderr"
done
# Rows of many files together are not more than can be counted.
vast=()
for ((i = 0; i < 32; i++)); do vast+=(too-large.h5); done
quickly info "${vast[@]}"
refusal too-large.h5 $?

# ---- checkpoints ----

"$program" synth "$dir/s.h5" --rows 20000 --dim 32 --classes 40 --quiet || exit 2
job=(mine "$dir/s.h5" --positives easiest --kernel blas --quiet --checkpoint "$dir/c")
starts_held "0 rename 2 $dir/c" 1 "${job[@]}" --checkpoint-every 0.00001
kill -9 "$held"
wait "$launcher"
cp "$dir/c" "$dir/good"
bytes=$(stat -c %s "$dir/good")
found=0
for ((k = 0; k < 76; k++)); do
    if ((k < 60)); then
        "$python" - "$dir/good" "$dir/c" $((k < 20 ? k * 37 : (k - 19) * (bytes / 42))) $((k % 8)) <<'PY'
import sys
data = bytearray(open(sys.argv[1], "rb").read())
data[int(sys.argv[3])] ^= 1 << int(sys.argv[4])
open(sys.argv[2], "wb").write(data)
PY
    else
        head -c $((bytes * (k - 60) / 16)) "$dir/good" >"$dir/c"
    fi
    quickly "${job[@]}" --resume
    code=$?
    if [[ $code == 65 && $(grep -c "^trimine: error: checkpoint '$dir/c'" "$dir/stderr") == 1 ]]; then
        found=$((found + 1))
        pass
    else
        fail "damaged checkpoint $k: exit code $code" "$dir/stderr"
    fi
done
echo "76 damaged checkpoints: $found found"
cp "$dir/good" "$dir/c"
expect "the undamaged one is good" "$program" "${job[@]}" --resume
finish
