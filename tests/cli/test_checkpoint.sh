#!/usr/bin/env bash
# Stopping and going on as a user does it: signals to mpirun or to one rank, exit codes, --resume on other numbers of
# ranks, what is refused, and what is left behind.
source "$(dirname "$0")/lib.sh"
export OMP_NUM_THREADS=1
store=$dir/s.h5
c=$dir/c
"$program" synth "$store" --rows 60000 --dim 64 --classes 60 --quiet || exit 2

# start RANKS ARGUMENTS...: a job in the background; $job is mpirun, until it is in its sweeps, soon after the plan.
start() {
    local ranks=$1
    shift
    rm -f "$dir/stderr" # of the job before
    mpirun --bind-to none -n "$ranks" "$program" "$@" </dev/null >"$dir/stdout" 2>"$dir/stderr" &
    job=$!
    for ((i = 0; i < 300; i++)); do
        if grep -qsE '^plan|^resume' "$dir/stderr"; then
            sleep 0.5
            return
        fi
        sleep 0.1
    done
    fail "the job does not begin" "$dir/stderr"
}

# ended CODE NAME: the job ends with that code within 30 seconds.
ended() {
    local code
    ends "$job" 30 || fail "$2: does not end"
    wait "$job"
    code=$?
    if [[ $code == "$1" ]]; then pass; else fail "$2: exit code $code, not $1" "$dir/stderr"; fi
}

# one of the ranks of $job
a_rank() {
    pgrep -P "$job" -f "$program" | tail -n 1
}

hash_of() {
    value "$1" result_hash
}

mine=(mine "$store" --positives easiest --kernel blas)
loss=(loss "$store" --loss batch-all)
on 2 "${mine[@]}" --json --quiet >"$dir/right.json" 2>"$dir/stderr" || fail "undisturbed" "$dir/stderr"
right=$(hash_of "$dir/right.json")

# ---- stopped, and on ----

start 2 "${mine[@]}" --checkpoint "$c"
kill -USR1 "$job"
ended 75 "SIGUSR1 to mpirun"
expect "the message says what to do" grep -q "^trimine: error: stopped on a signal; checkpoint '$c' holds the work: run again with --resume" "$dir/stderr"
expect "the checkpoint is there" test -s "$c"

start 3 "${mine[@]}" --checkpoint "$c" --resume
kill -TERM "$(a_rank)"
ended 75 "SIGTERM to one of three ranks, after going on from two"

start 1 "${mine[@]}" --checkpoint "$c" --resume
kill -USR2 "$(a_rank)"
ended 0 "SIGUSR2 does not stop the job"
expect "a finished job leaves no checkpoint" test ! -e "$c"

start 2 "${mine[@]}" --checkpoint "$c"
kill -USR1 "$job"
ended 75 "stopped again"
on 3 "${mine[@]}" --checkpoint "$c" --resume --json --threads 2 --tile 96 -o "$dir/o.h5" >"$dir/again.json" 2>"$dir/stderr" ||
    fail "going on" "$dir/stderr"
expect "going on elsewhere gives the same result" test "$(hash_of "$dir/again.json")" == "$right"
expect "the report says that it went on" test "$(value "$dir/again.json" checkpoint.resumed)" == true
expect "and how much was reused" test "$(value "$dir/again.json" checkpoint.reused_pairs)" -gt 0

on 2 "${mine[@]}" --checkpoint "$c" --resume --json >"$dir/again.json" 2>"$dir/stderr" ||
    fail "--resume without a checkpoint begins" "$dir/stderr"
expect "--resume without a checkpoint says so" grep -q "no checkpoint '$c' yet: from the beginning" "$dir/stderr"
expect "and gives the same result" test "$(hash_of "$dir/again.json")" == "$right"

start 2 "${mine[@]}"
kill -TERM "$(a_rank)"
ended 75 "without --checkpoint a signal stops the job, too"
expect "and the message says that nothing was kept" grep -q "nothing was kept" "$dir/stderr"

start 2 "${mine[@]}" --checkpoint "$c" --checkpoint-every 0.005
rank=$(a_rank)
for ((i = 0; i < 100; i++)); do
    if [[ -s $c ]]; then break; fi
    sleep 0.05
done
expect "a checkpoint every 0.3 seconds" test -s "$c"
kill -9 "$rank"
wait "$job"
expect "a killed job leaves its checkpoint" test -s "$c"
on 2 "${mine[@]}" --checkpoint "$c" --resume --json >"$dir/again.json" 2>"$dir/stderr" || fail "after kill -9" "$dir/stderr"
expect "and goes on from it to the same result" test "$(hash_of "$dir/again.json")" == "$right"

# ---- a loss that adds up, where nothing may be counted twice ----

"$program" synth "$dir/small.h5" --rows 12000 --dim 64 --classes 20 --quiet || exit 2
"$program" synth "$dir/large.h5" --rows 24000 --dim 64 --classes 40 --quiet || exit 2
loss[1]=$dir/large.h5
on 2 "${loss[@]}" --json --quiet >"$dir/right.json" 2>"$dir/stderr" || fail "batch-all" "$dir/stderr"
start 2 "${loss[@]}" --checkpoint "$c" --resume # which says so when the store is read
sleep 0.7
kill -USR1 "$job"
ended 75 "batch-all is stopped"
on 3 "${loss[@]}" --checkpoint "$c" --resume --json >"$dir/again.json" 2>"$dir/stderr" || fail "batch-all goes on" "$dir/stderr"
expect "batch-all goes on to the same sum" test "$(value "$dir/again.json" loss.sum)" == "$(value "$dir/right.json" loss.sum)"
expect "and count" test "$(value "$dir/again.json" loss.active)" == "$(value "$dir/right.json" loss.active)"

# ---- anchors in panels: what each one found is a file of its own ----

panels=(mine "$dir/small.h5" --positives all --mem-per-rank 80M --tile 128)
on 2 "${panels[@]}" --json --quiet -o "$dir/p.h5" >"$dir/right.json" 2>"$dir/stderr" || fail "in panels" "$dir/stderr"
expect "the limit makes panels" test "$(value "$dir/right.json" run.panels)" -gt 3
start 2 "${panels[@]}" --checkpoint "$c" --checkpoint-every 0.002 -o "$dir/q.h5"
rank=$(a_rank)
for ((i = 0; i < 200; i++)); do
    if [[ -s $c.piece-1 ]]; then break; fi
    sleep 0.05
done
sleep 0.3
kill -9 "$rank"
wait "$job"
expect "a killed job in panels leaves its checkpoint" test -s "$c"
expect "and the pieces" test -s "$c.piece-0"
cp "$c.piece-0" "$dir/piece"
printf x | dd of="$c.piece-0" bs=1 seek=90000 conv=notrunc status=none
mkdir -p "$out"
refused "too many anchors begun for the limit" 71 "to go on from the checkpoint needs at least" -- "${panels[@]}" --mem-per-rank 50M --checkpoint "$c" --resume
panels+=(--mem-per-rank 150M)
refused "a damaged piece" 65 "'$c.piece-0' is damaged" -- "${panels[@]}" --checkpoint "$c" --resume
rm "$c.piece-0"
refused "a missing piece" 66 "'$c.piece-0': No such file" -- "${panels[@]}" --checkpoint "$c" --resume
mv "$dir/piece" "$c.piece-0"
on 1 "${panels[@]}" --checkpoint "$c" --resume --json -o "$dir/q.h5" >"$dir/again.json" 2>"$dir/stderr" ||
    fail "going on in panels" "$dir/stderr"
expect "going on in other panels gives the same result" test "$(hash_of "$dir/again.json")" == "$(hash_of "$dir/right.json")"
expect "and the same file" h5diff "$dir/p.h5" "$dir/q.h5"
expect "and some of it was reused" test "$(value "$dir/again.json" checkpoint.reused_pairs)" -gt 0
expect "no piece is left" test -z "$(find "$dir" -name 'c*')"
echo mine >"$c.piece-0"
on 2 "${panels[@]}" --mem-per-rank 80M --checkpoint "$c" >"$dir/stdout" 2>"$dir/stderr" || fail "a foreign file in a piece's way" "$dir/stderr"
expect "a file in a piece's way is named" grep -q "warning: checkpoint '$c.piece-0': there is a file of another kind" "$dir/stderr"
expect "and stays as it was" test "$(cat "$c.piece-0")" == mine
rm "$c.piece-0"

# ---- what is refused ----

start 2 "${mine[@]}" --checkpoint "$c"
kill -USR1 "$job"
ended 75 "one more checkpoint"
cp "$c" "$dir/good"
refused "a checkpoint that exists" 73 "checkpoint '$c' exists: give --resume" -- "${mine[@]}" --checkpoint "$c"
refused "another option" 64 "other options: margin is 1.0 there, 0.25 here" -- "${mine[@]}" --checkpoint "$c" --resume --margin 0.25
"$program" synth "$dir/other.h5" --rows 60000 --dim 64 --classes 60 --seed 1 --quiet
refused "another store" 65 "of another store.*fingerprint" -- mine "$dir/other.h5" --positives easiest --checkpoint "$c" --resume
printf x | dd of="$c" bs=1 seek=9000 conv=notrunc status=none
refused "a damaged one" 65 "'$c' is damaged" -- "${mine[@]}" --checkpoint "$c" --resume
refused "something else" 65 "'$store' is damaged, or is not a checkpoint" -- mine "$dir/small.h5" --checkpoint "$store" --resume
refused "--resume alone" 64 "--resume goes with --checkpoint" -- "${mine[@]}" --resume
refused "the output as checkpoint" 64 "is the output, too" -- "${mine[@]}" -o "$dir/x" --checkpoint "$dir/x"
ln -s "$dir" "$dir/link"
refused "the output as checkpoint, by another path" 64 "is the output, too" -- "${mine[@]}" -o "$dir/x" --checkpoint "$dir/link/../$(basename "$dir")/x"
refused "the old output as checkpoint" 64 "is the output, too" -- "${mine[@]}" -o "$dir/link/p.h5" --checkpoint "$dir/p.h5" --overwrite
rm "$dir/link"
refused "a folder that is not there" 73 "no folder" -- "${mine[@]}" --checkpoint "$dir/none/c"
refused "an input as checkpoint" 64 "is one of the inputs" -- "${mine[@]}" --checkpoint "$store" --overwrite
expect "the checkpoint that was refused is as it was" cmp -n 9000 "$c" "$dir/good"
expect "no temporary file is left" test -z "$(find "$dir" -name '.*trimine*')"
finish
