#!/usr/bin/env bash
# The Nth read, write, fsync, rename or allocation fails on one rank of two, once or from then on: the job ends within
# seconds, with one message and one right exit code, and the output is old or whole; or, where the failure concerned
# only a checkpoint or could be borne, it goes on to the right result. TRIMINE_FAULT_ALL=1 tries every N, not a sample.
# The shim says that it struck, and each kind of failure must end some jobs: a shim that does nothing fails this test.
source "$(dirname "$0")/../cli/lib.sh"
files=$dir/files
mkdir "$files"
export OMP_NUM_THREADS=1
most=${TRIMINE_FAULT_ALL:+100000}
most=${most:-6}

"$program" synth "$files/s.h5" --rows 300 --dim 16 --classes 20 --quiet || exit 2
"$program" mine "$files/s.h5" -o "$files/old.h5" --gradient --margin 0.5 --quiet || exit 2

# faulty CALL RANK NTH [all]: one run; its exit code.
faulty() {
    rm -f "$dir/here"
    rm -f "$files/o.h5" "$files/c" "$files"/.[!.]*
    [[ -z $old ]] || cp "$files/old.h5" "$files/o.h5"
    timeout -k 5 "$patience" mpirun --bind-to none -n 2 -x LD_PRELOAD="$shim" -x FAULT_CALL="$1" -x FAULT_RANK="$2" \
        -x FAULT_NTH="$3" -x FAULT_COUNT="$dir/count" -x FAULT_HERE="$dir/here" -x FAULT_PATH="$files" -x FAULT_ERRNO="$errno" ${4:+-x FAULT_ALL=1} \
        "$program" mine "$files/s.h5" -o "$files/o.h5" --overwrite --gradient --json \
        --checkpoint "$files/c" --checkpoint-every 0.00001 </dev/null >"$dir/stdout" 2>"$dir/stderr"
}

hash_of() {
    h5dump -a result_hash "$1" 2>&1 | grep -oE '"[0-9a-f]{32}"' || echo "$1 has none"
}

# check NAME CODE: is what a run left as promised?
check() {
    local name=$1 code=$2 lines left
    tried=$((tried + 1))
    [[ ! -s $dir/here ]] || struck=$((struck + 1))
    lines=$(grep -c '^trimine: error: ' "$dir/stderr")
    left=$(find "$files" -mindepth 1 -name '.*' -printf '%f ')
    if [[ -n $left ]]; then
        fail "$name: exit code $code, left behind: $left" "$dir/stderr"
    elif [[ $code != 0 && ! -s $dir/here ]]; then
        fail "$name: exit code $code, though nothing was made to fail" "$dir/stderr"
    elif [[ $code == 0 ]]; then
        if [[ $lines != 0 || $(hash_of "$files/o.h5") != "$right" ]]; then
            fail "$name: not the right result" "$dir/stderr"
        else
            borne=$((borne + 1))
            pass
        fi
    elif [[ ! $code =~ ^(65|66|69|71|73|74|77)$ ]]; then
        fail "$name: exit code $code" "$dir/stderr"
    elif [[ $lines != 1 ]]; then
        fail "$name: $lines error lines" "$dir/stderr"
    elif [[ -z $old && -e $files/o.h5 && $(hash_of "$files/o.h5") != "$right" ]]; then
        fail "$name: an output that is not whole" "$dir/stderr"
    elif [[ -n $old ]] && ! cmp -s "$files/old.h5" "$files/o.h5" && [[ $(hash_of "$files/o.h5") != "$right" ]]; then
        fail "$name: an output that is neither old nor whole" "$dir/stderr"
    else
        ended=$((ended + 1))
        pass
    fi
}

tried=0 struck=0 borne=0 old='' errno=5
faulty none 0 0 || fail "without a fault" "$dir/stderr"
right=$(hash_of "$files/o.h5")
for call in rename fsync write read memory; do
    ended=0
    for rank in 0 1; do
        rm -f "$dir/count"
        faulty "$call" "$rank" 0
        count=$(cat "$dir/count" 2>/dev/null || echo 0)
        step=$(((count + most - 1) / most))
        for ((nth = 1; nth <= count; nth += step)); do
            # a full disk for writes, a broken one for the rest; an old output every other time
            case $call in write) errno=28 ;; *) errno=5 ;; esac
            old=$((nth / step % 2)) && [[ $old == 1 ]] || old=''
            faulty "$call" "$rank" "$nth"
            check "$call $nth of $count fails on rank $rank" $?
            if [[ $call == write || $call == fsync ]]; then
                faulty "$call" "$rank" "$nth" all
                check "$call $nth of $count and all after it fail on rank $rank" $?
            fi
        done
        old=''
    done
    expect "a $call that fails ends some jobs" test "$ended" -gt 0
done
echo "$tried faults injected, $struck of them struck, $borne were borne"
# How many checkpoints there are, and so how many calls, differs a little from run to run.
expect "most faults strike" test "$struck" -gt $((tried * 8 / 10))
finish
