# shellcheck shell=bash disable=SC2034
# Helpers of the command-line tests. Sourced with the program as $1 and the source folder as $2; makes a scratch
# folder $dir that is removed at the end.
set -u
program=$(realpath "$1") || exit 2
source_dir=$(realpath "$2") || exit 2
python=/usr/bin/python3
dir=$(mktemp -d "${TMPDIR:-/tmp}/trimine-test.XXXXXX") || exit 2
trap 'rm -rf "$dir"' EXIT
export HDF5_USE_FILE_LOCKING=FALSE OMP_NUM_THREADS=2
export OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_mpi_yield_when_idle=1 OMPI_MCA_btl_vader_single_copy_mechanism=none
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

# on RANKS ARGUMENTS...: the program under mpirun, never longer than a minute.
on() {
    local ranks=$1
    shift
    timeout -k 5 60 mpirun --bind-to none -n "$ranks" "$program" "$@" </dev/null
}

finish() {
    printf '%d passed, %d failed\n' "$passed" "$failed"
    exit $((failed > 0))
}
