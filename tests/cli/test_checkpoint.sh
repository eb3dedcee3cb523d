#!/usr/bin/env bash
# Stopping and going on as a user does it: signals to mpirun or to one rank, exit codes, --resume on other numbers of
# ranks, what is refused, and what is left behind.
source "$(dirname "$0")/lib.sh"
export OMP_NUM_THREADS=1
store=$dir/s.h5
c=$dir/c
"$program" synth "$store" --rows 30000 --dim 64 --classes 40 --quiet || exit 2

# A moment in the middle of a sweep, of which some remain after it: jobs stop at units of about a second's work, so these
# are of many. And one when there is a whole checkpoint.
sweeping="0 tile 500"
whole_one="0 rename 2 $c"

# ended CODE NAME: the job ends with that code.
ended() {
    local code
    ends "$launcher" || fail "$2: does not end"
    wait "$launcher"
    code=$?
    if [[ $code == "$1" ]]; then pass; else fail "$2: exit code $code, not $1" "$dir/stderr"; fi
}

# signalled SIGNAL: the held process gets it and goes on.
signalled() {
    kill "-$1" "$held"
    let_go
}

hash_of() {
    value "$1" result_hash
}

mine=(mine "$store" --positives easiest --kernel blas --tile 256)
loss=(loss "$store" --loss batch-all)
on 2 "${mine[@]}" --json --quiet >"$dir/right.json" 2>"$dir/stderr" || fail "undisturbed" "$dir/stderr"
right=$(hash_of "$dir/right.json")

# ---- stopped, and on ----

starts_held "$sweeping" 2 "${mine[@]}" --checkpoint "$c"
gets_usr1 "$held" kill -USR1 "$launcher"
ended 75 "SIGUSR1 to mpirun"
expect "the message says what to do" grep -q "^trimine: error: stopped on a signal; checkpoint '$c' holds the work: run again with --resume" "$dir/stderr"
expect "the checkpoint is there" test -s "$c"

starts_held "0 tile 1" 3 "${mine[@]}" --checkpoint "$c" --resume
signalled TERM
ended 75 "SIGTERM to one of three ranks, after going on from two"

starts_held "0 read 3 $store" 1 "${mine[@]}" --checkpoint "$c" --resume
signalled USR2
ended 0 "SIGUSR2 does not stop the job"
expect "a finished job leaves no checkpoint" test ! -e "$c"

starts_held "$sweeping" 2 "${mine[@]}" --checkpoint "$c"
gets_usr1 "$held" kill -USR1 "$launcher"
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

starts_held "$sweeping" 2 "${mine[@]}"
signalled TERM
ended 75 "without --checkpoint a signal stops the job, too"
expect "and the message says that nothing was kept" grep -q "nothing was kept" "$dir/stderr"

starts_held "$whole_one" 2 "${mine[@]}" --checkpoint "$c" --checkpoint-every 0.00001
expect "a checkpoint every now and then" test -s "$c"
kill -9 "$held"
wait "$launcher"
expect "a killed job leaves its checkpoint" test -s "$c"
on 2 "${mine[@]}" --checkpoint "$c" --resume --json >"$dir/again.json" 2>"$dir/stderr" || fail "after kill -9" "$dir/stderr"
expect "and goes on from it to the same result" test "$(hash_of "$dir/again.json")" == "$right"

# ---- a loss that adds up, where nothing may be counted twice ----

"$program" synth "$dir/small.h5" --rows 5000 --dim 64 --classes 20 --quiet || exit 2
"$program" synth "$dir/large.h5" --rows 18000 --dim 64 --classes 40 --quiet || exit 2
loss[1]=$dir/large.h5
on 2 "${loss[@]}" --json --quiet >"$dir/right.json" 2>"$dir/stderr" || fail "batch-all" "$dir/stderr"
starts_held "$whole_one" 2 "${loss[@]}" --checkpoint "$c" --checkpoint-every 0.00001
signalled USR1
ended 75 "batch-all is stopped"
on 3 "${loss[@]}" --checkpoint "$c" --resume --json >"$dir/again.json" 2>"$dir/stderr" || fail "batch-all goes on" "$dir/stderr"
expect "batch-all goes on to the same sum" test "$(value "$dir/again.json" loss.sum)" == "$(value "$dir/right.json" loss.sum)"
expect "and count" test "$(value "$dir/again.json" loss.active)" == "$(value "$dir/right.json" loss.active)"

# ---- anchors in panels: what each one found is a file of its own ----

panels=(mine "$dir/small.h5" --positives all --mem-per-rank 14M --tile 128)
on 2 "${panels[@]}" --json --quiet -o "$dir/p.h5" >"$dir/right.json" 2>"$dir/stderr" || fail "in panels" "$dir/stderr"
expect "the limit makes panels" test "$(value "$dir/right.json" run.panels)" -gt 3
starts_held "0 rename 2 $c.piece" 2 "${panels[@]}" --checkpoint "$c" --checkpoint-every 0.00001 -o "$dir/q.h5"
kill -9 "$held"
wait "$launcher"
expect "a killed job in panels leaves its checkpoint" test -s "$c"
expect "and the pieces" test -s "$c.piece-0"
cp "$c.piece-0" "$dir/piece"
printf x | dd of="$c.piece-0" bs=1 seek=90000 conv=notrunc status=none
mkdir -p "$out"
refused "too many anchors begun for the limit" 71 "to go on from the checkpoint needs at least" -- "${panels[@]}" --mem-per-rank 9M --checkpoint "$c" --resume
panels+=(--mem-per-rank 40M)
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
on 2 "${panels[@]}" --mem-per-rank 14M --checkpoint "$c" >"$dir/stdout" 2>"$dir/stderr" || fail "a foreign file in a piece's way" "$dir/stderr"
expect "a file in a piece's way is named" grep -q "warning: checkpoint '$c.piece-0': there is a file of another kind" "$dir/stderr"
expect "and stays as it was" test "$(cat "$c.piece-0")" == mine
rm "$c.piece-0"

# ---- what is refused ----

starts_held "$sweeping" 2 "${mine[@]}" --checkpoint "$c"
gets_usr1 "$held" kill -USR1 "$launcher"
ended 75 "one more checkpoint"
cp "$c" "$dir/good"
# refused_dry ...: as refused; so is a dry run of it.
refused_dry() {
    refused "$@"
    refused "a dry run: $1" "${@:2}" --dry-run
}
refused_dry "a checkpoint that exists" 73 "checkpoint '$c' exists: give --resume" -- "${mine[@]}" --checkpoint "$c"
refused_dry "another option" 64 "other options: margin is 1.0 there, 0.25 here" -- "${mine[@]}" --checkpoint "$c" --resume --margin 0.25
refused_dry "another set of queries" 64 "other options: queries is " -- "${mine[@]}" --queries "$dir/small.h5" --checkpoint "$c" --resume
"$program" synth "$dir/other.h5" --rows 30000 --dim 64 --classes 40 --seed 1 --quiet
refused_dry "another store" 65 "of another store.*fingerprint" -- mine "$dir/other.h5" --positives easiest --checkpoint "$c" --resume
for ranks in 1 3; do
    on $ranks "${mine[@]}" --checkpoint "$c" --resume --dry-run >"$dir/stdout" 2>"$dir/stderr" || fail "a dry run on $ranks" "$dir/stderr"
    expect "a dry run on $ranks would go on" grep -q "^resume     from checkpoint '$c'; the plan is of the whole job" "$dir/stderr"
done
expect "and leaves the checkpoint" cmp "$c" "$dir/good"
on 2 "${mine[@]}" --checkpoint "$c.new" --resume --dry-run >"$dir/stdout" 2>"$dir/stderr" || fail "a dry run without a checkpoint" "$dir/stderr"
expect "a dry run would begin" grep -q "^resume     no checkpoint '$c.new' yet: from the beginning" "$dir/stderr"
printf x | dd of="$c" bs=1 seek=9000 conv=notrunc status=none
refused_dry "a damaged one" 65 "'$c' is damaged" -- "${mine[@]}" --checkpoint "$c" --resume
refused_dry "something else" 65 "'$store' is damaged, or is not a checkpoint" -- mine "$dir/small.h5" --checkpoint "$store" --resume
refused "--resume alone" 64 "--resume goes with --checkpoint" -- "${mine[@]}" --resume
refused "the output as checkpoint" 64 "is the output, too" -- "${mine[@]}" -o "$dir/x" --checkpoint "$dir/x"
ln -s "$dir" "$dir/link"
refused "the output as a piece of the checkpoint" 64 "has the name of a piece of" -- "${mine[@]}" -o "$dir/x.piece-0" --checkpoint "$dir/x"
refused "the output as checkpoint, by another path" 64 "is the output, too" -- "${mine[@]}" -o "$dir/x" --checkpoint "$dir/link/../$(basename "$dir")/x"
refused "the old output as checkpoint" 64 "is the output, too" -- "${mine[@]}" -o "$dir/link/p.h5" --checkpoint "$dir/p.h5" --overwrite
rm "$dir/link"
refused "a folder that is not there" 73 "no folder" -- "${mine[@]}" --checkpoint "$dir/none/c"
refused "an input as checkpoint" 64 "is one of the inputs" -- "${mine[@]}" --checkpoint "$store" --overwrite
expect "the checkpoint that was refused is as it was" cmp -n 9000 "$c" "$dir/good"
expect "no temporary file is left" test -z "$(find "$dir" -name '.*trimine*')"
finish
