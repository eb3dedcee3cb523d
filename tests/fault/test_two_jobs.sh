#!/usr/bin/env bash
# Two jobs with one output or checkpoint, at any moment of the first: it is held at a gate in the shim while the second
# runs. What killed jobs leave; file systems without locks; signals in the first moments; --resume without a checkpoint.
source "$(dirname "$0")/../cli/lib.sh"
shim=$(realpath "$3") || exit 2
export OMP_NUM_THREADS=1
files=$dir/files
mkdir "$files"
host=$(hostname)
"$program" synth "$dir/s.h5" --rows 300 --dim 16 --classes 20 --quiet || exit 2
"$program" synth "$dir/packed.h5" --rows 300 --dim 16 --classes 20 --quiet || exit 2
"$python" - "$dir/p.h5" <<'PY' || exit 2
import h5py, numpy as np, sys
x = np.random.default_rng(1).standard_normal((3, 8, 4)).astype("f4")
with h5py.File(sys.argv[1], "w") as f:
    f["anchor"], f["positive"], f["negative"] = x
PY
echo broken >"$dir/broken.h5"
mine=(mine "$dir/s.h5" --margin 0.5)
"$program" "${mine[@]}" -o "$dir/right.h5" --quiet || exit 2

# A shell's background jobs ignore SIGINT, and so would the program: not here.
# held RANKS CALL NTH ARGUMENTS...: a job that stops at its NTH call on a file in $files; $job is its process, or
# mpirun's, $rank that of the rank at the gate.
held() {
    local ranks=$1 call=$2 nth=$3 start=()
    shift 3
    rm -f "$dir/here" "$dir/go"
    ((ranks == 1)) || start=(mpirun --bind-to none -n "$ranks")
    FAULT_CALL=$call FAULT_NTH=$nth FAULT_RANK=0 FAULT_HERE=$dir/here FAULT_WAIT=$dir/go FAULT_PATH=${gate:-$files} \
        LD_PRELOAD=$shim env --default-signal=INT "${start[@]}" "$program" "$@" </dev/null >"$dir/stdout.1" 2>"$dir/stderr.1" &
    job=$!
    awaits "$patience" test -e "$dir/here" || fail "the job does not come to its gate: $*" "$dir/stderr.1"
    rank=$(cat "$dir/here")
}

# let_go CODE NAME: the job goes on, and ends with that code.
let_go() {
    local code
    touch "$dir/go"
    ends "$job" || fail "$2: does not end"
    wait "$job"
    code=$?
    if [[ $code == "$1" ]]; then pass; else fail "$2: exit code $code, not $1" "$dir/stderr.1"; fi
}

# second NAME CODE PATTERN ARGUMENTS...: another job, with one line.
second() {
    local name=$1 wanted=$2 pattern=$3
    shift 3
    timeout -k 5 "$patience" "$program" "$@" </dev/null >"$dir/stdout" 2>"$dir/stderr"
    judge "$name" $? "$wanted" "$pattern"
}

# only NAME...: nothing else is in $files.
only() {
    local wanted
    wanted=$(printf '%s\n' "$@" | sort)
    expect "nothing but ${*:-nothing} is left: $(ls -A "$files")" test "$(ls -A "$files" | sort)" == "$wanted"
}

right() {
    expect "$1: the result is the job's own" h5diff "$dir/right.h5" "$2"
}

mkdir "$out"
owner="a running job has it already: process"

# ---- one output ----

for ranks in 1 2; do
    held "$ranks" rename 1 "${mine[@]}" -o "$files/o.h5" --quiet
    second "a second mine ($ranks)" 73 "output '$files/o.h5': $owner $rank on $host" "${mine[@]}" -o "$files/o.h5"
    second "with --overwrite" 73 "$owner $rank on $host" "${mine[@]}" -o "$files/o.h5" --overwrite
    second "of a broken store" 73 "$owner $rank on $host" mine "$dir/broken.h5" -o "$files/o.h5"
    second "a loss" 73 "$owner" loss "$dir/s.h5" --loss batch-hard --gradient -o "$files/o.h5"
    second "a packed loss" 73 "$owner" loss "$dir/p.h5" --gradient -o "$files/o.h5"
    second "a store" 73 "$owner" synth "$files/o.h5" --rows 10
    second "its name as a checkpoint" 73 "checkpoint '$files/o.h5': $owner" "${mine[@]}" --checkpoint "$files/o.h5"
    ln -s "$files/o.h5" "$dir/link"
    second "by a link" 73 "output '$dir/link': $owner" "${mine[@]}" -o "$dir/link"
    rm "$dir/link"
    let_go 0 "the first job"
    right "the first job" "$files/o.h5"
    only o.h5
    rm "$files/o.h5"
done
while read -r -a arguments; do
    held 1 rename 1 "${arguments[@]}" --quiet
    second "beside ${arguments[*]}" 73 "$owner $rank on $host" "${mine[@]}" -o "$files/x.h5" --overwrite
    let_go 0 "${arguments[*]}"
    only x.h5
    rm "$files/x.h5"
done <<EOT
loss $dir/s.h5 --loss batch-hard --gradient -o $files/x.h5
loss $dir/p.h5 --gradient -o $files/x.h5
synth $files/x.h5 --rows 100
EOT

# ---- one checkpoint ----

often=(--checkpoint "$files/c" --checkpoint-every 0.00001)
held 2 rename 1 "${mine[@]}" "${often[@]}" --quiet -o "$files/o.h5"
second "the same checkpoint" 73 "checkpoint '$files/c': $owner $rank on $host" "${mine[@]}" --checkpoint "$files/c"
second "to go on from it" 73 "checkpoint '$files/c': $owner" "${mine[@]}" --checkpoint "$files/c" --resume
second "the checkpoint as output" 73 "output '$files/c': $owner" "${mine[@]}" -o "$files/c"
second "a piece of it as output" 73 "output '$files/c.piece-0': $owner" "${mine[@]}" -o "$files/c.piece-0"
let_go 0 "the first job"
right "the first job" "$files/o.h5"
only o.h5
rm "$files/o.h5"

# ---- killed ----

# It leaves its lock files and what it was writing; the next job with that output takes them away.
held 1 rename 1 "${mine[@]}" -o "$files/o.h5"
kill -9 "$job"
wait "$job" 2>/dev/null
expect "a killed job leaves its draft" test "$(find "$files" -name '.o.h5.trimine-tmp-*' | wc -l)" == 1
"$program" "${mine[@]}" -o "$files/o.h5" --quiet 2>"$dir/stderr" || fail "after a killed job" "$dir/stderr"
only o.h5
rm "$files/o.h5"

# ---- no locks ----

export FAULT_LOCK=37 # ENOLCK
held 1 rename 1 "${mine[@]}" -o "$files/o.h5" --quiet
FAULT_PATH=$files LD_PRELOAD=$shim "$program" "${mine[@]}" -o "$files/o.h5" --quiet 2>"$dir/stderr" ||
    fail "without locks: the second job" "$dir/stderr"
right "without locks, the second job" "$files/o.h5"
expect "without locks the first job's draft is left alone" test "$(find "$files" -name '.o.h5.trimine-tmp-*' | wc -l)" == 1
let_go 0 "without locks: the first job"
expect "and it says what it replaced" grep -q "warning: another job wrote output '$files/o.h5' while this one ran" "$dir/stderr.1"
right "without locks, the first job" "$files/o.h5"
only o.h5
rm "$files/o.h5"
held 1 rename 1 "${mine[@]}" -o "$files/o.h5" --quiet
echo mine >"$files/o.h5"
let_go 73 "without locks: something else came to be there"
expect "and stays" grep -qx mine "$files/o.h5"
right "what was found is kept" "$files/o.h5.1"
only o.h5 o.h5.1
rm "$files"/o.h5*
unset FAULT_LOCK

# ---- a file that can't be renamed without replacing ----

for call in 0 1; do # renameat2 alone, and linkat, too, do not exist
    FAULT_CALL=rename FAULT_NTH=1 FAULT_ERRNO=22 FAULT_PATH=$files LD_PRELOAD=$shim "$program" "${mine[@]}" -o "$files/o.h5" --quiet \
        2>"$dir/stderr" || fail "without renameat2 ($call)" "$dir/stderr"
    right "without renameat2" "$files/o.h5"
    only o.h5
    rm "$files/o.h5"
done

# ---- signals in the first moments ----

for signal in 15 2 1 10; do
    for ranks in 1 2; do
        start=()
        ((ranks == 1)) || start=(mpirun --bind-to none -n "$ranks")
        FAULT_RAISE=$signal LD_PRELOAD=$shim timeout -k 5 "$patience" "${start[@]}" "$program" "${mine[@]}" -o "$files/o.h5" \
            </dev/null >"$dir/stdout" 2>"$dir/stderr"
        judge "signal $signal before MPI, $ranks ranks" $? 75 "stopped on a signal"
    done
done
only ''
(trap '' HUP INT && FAULT_RAISE=1 LD_PRELOAD=$shim exec "$program" "${mine[@]}" --quiet 2>"$dir/stderr") ||
    fail "a signal that was ignored stays so" "$dir/stderr"
(trap '' HUP INT && FAULT_RAISE=1 LD_PRELOAD=$shim exec "$program" loss "$dir/p.h5" --quiet 2>"$dir/stderr") ||
    fail "for what is not kept, too" "$dir/stderr"
FAULT_RAISE=2 LD_PRELOAD=$shim "$program" loss "$dir/p.h5" >"$dir/stdout" 2>"$dir/stderr"
judge "a signal before MPI, packed triplets" $? 75 "stopped on a signal"
gate=$dir
for signal in INT HUP TERM; do
    held 1 read 3 "${mine[@]}" --checkpoint "$files/c"
    kill -"$signal" "$job"
    let_go 75 "SIG$signal while the store is read"
    expect "with one line" test "$(grep -c '^trimine: error: stopped on a signal' "$dir/stderr.1")" == 1
done
only ''

# ---- --resume, and nothing to go on from ----

resumed=("${mine[@]}" --checkpoint "$files/c" --resume)
"$program" "${resumed[@]}" 2>"$dir/stderr" || fail "the first start" "$dir/stderr"
expect "a first start says so" grep -q "^resume     no checkpoint '$files/c' yet: from the beginning" "$dir/stderr"
"$program" "${resumed[@]}" --quiet 2>"$dir/stderr"
expect "and nothing with --quiet" test ! -s "$dir/stderr"
warned="trimine: warning: --resume: there is no checkpoint '$files/c', although"
SLURM_RESTART_COUNT=2 "$program" "${resumed[@]}" --quiet 2>"$dir/stderr"
expect "a restarted job warns" grep -q "^$warned Slurm has restarted this job (SLURM_RESTART_COUNT is 2): from the beginning" "$dir/stderr"

gate=$files
held 1 rename 1 "${resumed[@]}" --checkpoint-every 0.00001
kill -9 "$job"
wait "$job" 2>/dev/null
"$program" "${resumed[@]}" --quiet 2>"$dir/stderr"
expect "so does one after a killed one" grep -q "^$warned a job with this checkpoint was killed: from the beginning" "$dir/stderr"
only ''

for ((i = 0; i < 2; i++)); do
    "$program" "${resumed[@]}" --quiet --overwrite -o "$dir/whole.h5" 2>"$dir/stderr" || fail "with an output" "$dir/stderr"
done
expect "so does one that had ended" grep -q "^$warned output '$dir/whole.h5' holds this job's whole result" "$dir/stderr"
"$program" "${resumed[@]}" --quiet --overwrite --margin 0.4 -o "$dir/whole.h5" 2>"$dir/stderr"
expect "but not another job" test ! -s "$dir/stderr"

held 1 rename 2 "${mine[@]}" "${often[@]}" -o "$files/o.h5" # the first is a checkpoint's
kill -9 "$job"
wait "$job" 2>/dev/null
rm -f "$files"/.o.h5*
expect "there is a checkpoint" test -s "$files/c"
gate=$dir
held 1 read 3 "${resumed[@]}"
mv "$files/c" "$files/c.piece-4"
let_go 66 "a checkpoint that vanishes"
expect "is named" grep -q "checkpoint '$files/c' was there when this job began, and has vanished" "$dir/stderr.1"
second "pieces without their checkpoint" 73 "'$files/c' is missing, but '$files/c.piece-4'" "${resumed[@]}"
second "without --resume, too" 73 "'$files/c' is missing, but '$files/c.piece-4'" "${mine[@]}" --checkpoint "$files/c"
expect "they stay" test -s "$files/c.piece-4"
mv "$files/c.piece-4" "$files/c.piece-0"
"$program" "${resumed[@]}" --overwrite --quiet 2>"$dir/stderr" || fail "pieces, with --overwrite" "$dir/stderr"
expect "with --overwrite a warning" grep -q "^$warned '$files/c.piece-0', a piece of it, is there: from the beginning" "$dir/stderr"
only ''
echo mine >"$files/c"
second "another file as checkpoint" 73 "there is a file of another kind" "${mine[@]}" --checkpoint "$files/c" --overwrite
expect "stays as it was" grep -qx mine "$files/c"
finish
