# shellcheck shell=bash disable=SC2034
# Helpers of the command-line tests. Sourced with the program as $1 and the source folder as $2; makes a scratch
# folder $dir that is removed at the end, when everything that the test started has been ended. $3, where given, is the
# library that makes system calls fail or wait (fault/shim.c).
set -u
program=$(realpath "$1") || exit 2
source_dir=$(realpath "$2") || exit 2
python=/usr/bin/python3
export PYTHONPATH=$source_dir/tests/support PYTHONDONTWRITEBYTECODE=1
dir=$(mktemp -d "${TMPDIR:-/tmp}/trimine-test.XXXXXX") || exit 2
shim=${3:+$(realpath "$3")}
batch=${4:+$(realpath "$4")}
at_exit=() # functions of the test that end what it made besides processes
clean_up() {
    local function pid running
    for function in "${at_exit[@]}"; do "$function"; done
    for pid in "${batch_input[@]}"; do exec {pid}>&-; done # they end at the end of their requests
    for pid in "${batch_process[@]}"; do ends "$pid" 10; done
    mapfile -t running < <(jobs -p)
    for pid in "${running[@]}"; do
        kill -CONT "$pid" 2>/dev/null
        kill "$pid" 2>/dev/null
    done
    for pid in "${running[@]}"; do ends "$pid" 10; done
    rm -rf "$dir"
}
trap clean_up EXIT
export HDF5_USE_FILE_LOCKING=FALSE OMP_NUM_THREADS=2
export OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_mpi_yield_when_idle=1 OMPI_MCA_btl_vader_single_copy_mechanism=none
export OMPI_MCA_ess_singleton_isolated=1 # one process without mpirun starts no daemon of its own: twice as fast
if ((EUID == 0)); then
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
fi
passed=0 failed=0

pass() {
    passed=$((passed + 1))
}

fail() { # what, and optionally a file to show
    failed=$((failed + 1))
    printf 'FAIL: %s\n' "$1"
    [[ -z ${2:-} ]] || sed 's/^/    /' "$2"
}

expect() { # what, command...: passes if the command does
    local what=$1
    shift
    if "$@" >"$dir/expect.log" 2>&1; then pass; else fail "$what" "$dir/expect.log"; fi
}

# Bounds on waiting only catch what hangs: on a busy machine a job of ten seconds may take five minutes.
patience=900

# on RANKS ARGUMENTS...: the program under mpirun.
on() {
    local ranks=$1
    shift
    timeout -k 5 "$patience" mpirun --bind-to none -n "$ranks" "$program" "$@" </dev/null
}

# quickly ARGUMENTS...: the program on one process, its output in $dir/stdout and $dir/stderr. Without a start of its own
# where there is $batch: so what libraries read when they are loaded (OMP_NUM_THREADS) is as it was at the first call.
quickly() {
    quickly_on 1 "$@"
}

# quickly_on RANKS ARGUMENTS...: the same on several ranks. There it is for refusals and small jobs, many of which share their
# processes (batch.c): a start of MPI takes longer than most of them.
batch_input=() batch_output=() batch_process=() # by ranks
quickly_on() {
    local ranks=$1 code variables output_to=${output_to:-$dir/stdout} errors_to=${errors_to:-$dir/stderr}
    shift
    rm -f "$output_to" "$errors_to"
    if [[ -z $batch ]]; then
        alone_on "$ranks" "$@"
        return
    fi
    [[ -n ${batch_input[ranks]:-} ]] || start_batch "$ranks"
    mapfile -d '' variables < <(env -0)
    # in a shell of its own, which a broken pipe may end
    (printf '%s\0' "$(($# + 3)) ${#variables[@]}" "$PWD" "$output_to" "$errors_to" "$@" "${variables[@]}" >&"${batch_input[ranks]}")
    if read -r code <&"${batch_output[ranks]}"; then return "$code"; fi
    # It ended the batch: MPI_Abort, or a crash, which a start of its own must show, too.
    wait "${batch_process[ranks]}"
    code=$?
    unset "batch_input[ranks]" "batch_process[ranks]"
    rm -f "$output_to" "$errors_to"
    alone_on "$ranks" "$@"
    if (($? != code)); then code=126; fi
    return "$code"
}

alone_on() {
    if (($1 == 1)); then
        timeout -k 5 "$patience" "$program" "${@:2}" </dev/null >"$output_to" 2>"$errors_to"
    else
        timeout -k 5 "$patience" mpirun --bind-to none -n "$1" "$program" "${@:2}" </dev/null >"$output_to" 2>"$errors_to"
    fi
}

# What "on" is in scripts of many small jobs (jobs_share_starts): its output goes where the caller's does.
shared_on() {
    local output_to=$dir/shared.out errors_to=$dir/shared.err code
    quickly_on "$@"
    code=$?
    cat "$output_to"
    cat "$errors_to" >&2
    return "$code"
}

jobs_share_starts() {
    on() { shared_on "$@"; }
}

start_batch() { # RANKS
    local command=("$batch") input output
    if (($1 > 1)); then command=(mpirun --bind-to none -n "$1" "$batch"); fi
    rm -f "$dir"/batch.*
    mkfifo "$dir/batch.in" "$dir/batch.out"
    "${command[@]}" <"$dir/batch.in" >"$dir/batch.out" &
    batch_process[$1]=$!
    exec {input}>"$dir/batch.in" {output}<"$dir/batch.out"
    batch_input[$1]=$input batch_output[$1]=$output
}

# awaits SECONDS COMMAND...: tries a command until it succeeds; fails if it does not within that time.
awaits() {
    local last=$((SECONDS + $1))
    shift
    until "$@"; do
        if ((SECONDS > last)); then return 1; fi
        sleep 0.05
    done
}

is_gone() {
    ! kill -0 "$1" 2>/dev/null
}

# ends PROCESS [SECONDS]: waits for a process that this shell started; kills it, and fails, if it takes longer.
ends() {
    if awaits "${2:-$patience}" is_gone "$1"; then return 0; fi
    kill -9 "$1"
    return 1
}

# ---- jobs that are held at a moment of the test's choice ----

# starts_held MOMENT RANKS ARGUMENTS...: starts a job that waits at a moment, "RANK CALL NTH [FILES]": that rank's Nth
# call (fault/shim.c) for files whose names begin so. $launcher is ${launch[0]}, $held the process that waits. let_go lets
# it go on.
launch=(mpirun --bind-to none)
starts_held() {
    local rank call nth files ranks=$2
    read -r rank call nth files <<<"$1"
    shift 2
    rm -f "$dir/here" "$dir/go" "$dir/stderr"
    "${launch[@]}" -n "$ranks" -x LD_PRELOAD="$shim" -x FAULT_RANK="$rank" -x FAULT_CALL="$call" -x FAULT_NTH="$nth" \
        -x FAULT_PATH="${files:-$dir}" -x FAULT_HERE="$dir/here" -x FAULT_WAIT="$dir/go" \
        "$program" "$@" </dev/null >"$dir/stdout" 2>"$dir/stderr" &
    launcher=$!
    awaits "$patience" is_held_or_gone "$launcher"
    if [[ -s $dir/here ]]; then
        held=$(<"$dir/here")
    else
        fail "the job does not come to $call $nth of rank $rank" "$dir/stderr"
        kill -9 "$launcher" 2>/dev/null
        held=$launcher
    fi
}

is_held_or_gone() {
    [[ -s $dir/here ]] || is_gone "$1"
}

let_go() {
    touch "$dir/go"
}

# Is SIGUSR1 waiting for a process? Or is that gone: then nothing is to be waited for.
usr1_is_pending_or_gone() {
    local mask
    [[ -e /proc/$1/status ]] || return 0
    mask=$(sed -nE 's/^ShdPnd:\s*//p' "/proc/$1/status")
    ((0x${mask:-0} & 1 << 9))
}

# Have all threads of a process stopped? Before that one of them could still take a signal. Or is it gone?
is_stopped_or_gone() {
    local states
    states=$(sed -nE 's/^State:\s*(.).*/\1/p' "/proc/$1/task/"*/status 2>/dev/null) || return 0
    [[ -z ${states//[TZ[:space:]]/} ]]
}

# gets_usr1 PROCESS COMMAND...: a process that is held goes on when the SIGUSR1 that the command leads to has come to
# it: it is stopped (SIGSTOP) until the signal is pending, and let go meanwhile.
gets_usr1() {
    local process=$1
    shift
    kill -STOP "$process"
    awaits "$patience" is_stopped_or_gone "$process" || fail "the process does not stop"
    let_go
    "$@"
    awaits "$patience" usr1_is_pending_or_gone "$process" || fail "no signal comes to the process"
    kill -CONT "$process"
}

value() { # JSON file, dotted path
    "$python" - "$1" "$2" <<'PY'
import json, sys
v = json.load(open(sys.argv[1]))
for key in sys.argv[2].split("."):
    v = v[key]
print(json.dumps(v) if isinstance(v, (dict, list, bool)) else v)
PY
}

# Where outputs of refused runs would go, and which file may be there.
out=$dir/out
kept=

# with_json: whether the run that is judged was asked for JSON. Then a failure is one object on stdout, else nothing is.
with_json=
says_nothing_else() {
    if [[ -z $with_json ]]; then
        [[ ! -s $dir/stdout ]]
    else
        [[ $(wc -l <"$dir/stdout") == 1 && $(value "$dir/stdout" error.code) == "$1" ]]
    fi
}

# judge NAME CODE WANTED PATTERN...: one run's stdout, stderr and exit code against what is wanted.
judge() {
    local name=$1 code=$2 wanted=$3 lines line pattern left
    shift 3
    if [[ $code != "$wanted" ]]; then
        fail "$name: exit code $code, not $wanted" "$dir/stderr"
        return
    fi
    lines=$(grep -c '^trimine: error: ' "$dir/stderr")
    if [[ $lines != 1 ]]; then
        fail "$name: $lines error lines, not one" "$dir/stderr"
        return
    fi
    line=$(grep '^trimine: error: ' "$dir/stderr")
    for pattern in "$@"; do
        if ! grep -qiE -e "$pattern" <<<"$line"; then
            fail "$name: the error does not say '$pattern': $line"
            return
        fi
    done
    if ! says_nothing_else "$wanted"; then
        fail "$name: not what should be on stdout" "$dir/stdout"
        return
    fi
    left=$(find "$out" -mindepth 1)
    if [[ $left != "$kept" ]]; then
        fail "$name: left behind: $left"
        return
    fi
    pass
}

# refused NAME CODE PATTERN... -- ARGUMENTS...: on 1 and 3 ranks.
refused() {
    local name=$1 wanted=$2 patterns=() ranks
    shift 2
    while [[ $1 != -- ]]; do
        patterns+=("$1")
        shift
    done
    shift
    [[ " $* " == *" --json "* ]] && with_json=1
    for ranks in 1 3; do
        quickly_on "$ranks" "$@"
        judge "$name on $ranks ranks" $? "$wanted" "${patterns[@]}"
    done
    with_json=
}

finish() {
    printf '%d passed, %d failed\n' "$passed" "$failed"
    exit $((failed > 0))
}
