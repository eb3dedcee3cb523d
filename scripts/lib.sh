# shellcheck shell=bash disable=SC2034
# Helpers shared by the scripts: installing what is missing, building, and starting MPI jobs.
# Sourced by bash after `set -euo pipefail`; changes into the project's root and sets ROOT, CORES and PYTHON.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$ROOT"
CORES=$(nproc)
PYTHON=/usr/bin/python3 # the system's, which sees the python3-* packages; another one may come first in PATH

say() {
    if [[ -t 2 && -z ${NO_COLOR:-} ]]; then
        printf '\033[1m==> %s\033[0m\n' "$*" >&2
    else
        printf '==> %s\n' "$*" >&2
    fi
}

die() { # exit code, text
    local code=$1
    shift
    printf '%s: error: %s\n' "$(basename "$0")" "$*" >&2
    exit "$code"
}

# What each set of packages is for, one "package  purpose" a line; of several with | between them any will do, and the first
# is installed where none is there.
packages_for() {
    case $1 in
    build) cat <<'LIST' ;;
gcc                    the C compiler
libc6-dev              its library
cmake                  configures the build
ninja-build            runs the build
pkg-config             finds libraries
openmpi-bin            mpirun
libopenmpi-dev         MPI
libhdf5-dev|libhdf5-openmpi-dev HDF5
libopenblas-openmp-dev|libopenblas-pthread-dev matrix multiplication
libjansson-dev         JSON
libxxhash-dev          fingerprints of stores and results
librandom123-dev       counter-based random numbers
LIST
    test) cat <<'LIST' ;;
libcmocka-dev          unit tests
g++                    the example in C++
hdf5-tools             h5diff, to compare results
dpkg-dev               flags and dependencies of Debian packages
file                   tells CPack programs from other files
iproute2               hosts of a test of its own
man-db                 reads the manual pages
mandoc                 checks them
zsh                    takes its completion
python3-numpy          makes test inputs
python3-h5py           makes test inputs
python3-mpi4py         the Python package in process
python3-torch          its loss for PyTorch
python3-pip            installs its wheel
python3-venv           somewhere clean
LIST
    package) cat <<'LIST' ;;
dpkg-dev               flags and dependencies of Debian packages
file                   tells CPack programs from other files
LIST
    clean-root) cat <<'LIST' ;;
debootstrap            makes a Debian of its own in a folder
lintian                checks packages
LIST
    slurm) cat <<'LIST' ;;
slurmctld              a Slurm of the tests' own
slurmd                 its nodes
slurm-client           its commands
munge                  its authentication
LIST
    check) cat <<'LIST' ;;
clang                  the second compiler
libclang-rt-14-dev     its runtime
libomp-dev             its OpenMP
clang-format           the code's layout
LIST
    cross) cat <<'LIST' ;;
gcc-aarch64-linux-gnu  compiles for 64-bit ARM
libc6-dev-arm64-cross  its C library
qemu-user              runs what it made
LIST
    valgrind) cat <<'LIST' ;;
valgrind               memory errors and leaks
LIST
    tidy) cat <<'LIST' ;;
clang-tidy             static checks
LIST
    quickstart) cat <<'LIST' ;;
dataset-fashion-mnist  70,000 labelled images, the example's data
python3-numpy          reads the images
python3-h5py           writes and reads HDF5
LIST
    peers) cat <<'LIST' ;;
python3-numpy          reads the store
python3-h5py           reads the store
python3-faiss          a peer: FAISS
python3-torch          a peer: PyTorch
LIST
    *) die 70 "no set of packages is called '$1'" ;;
    esac
}

installed() { # PACKAGE|PACKAGE...: is one of them?
    local packages found
    IFS='|' read -ra packages <<<"$1"
    found=$(dpkg-query -W -f '${db:Status-Status}\n' "${packages[@]}" 2>/dev/null) || true
    grep -qx installed <<<"$found"
}

# need SET...: installs what is missing of the sets. Nothing missing: a few milliseconds and no network.
need() {
    local set package purpose missing=() why=()
    for set in "$@"; do
        while read -r package purpose; do
            if ! installed "$package"; then
                missing+=("${package%%|*}")
                why+=("$(printf '    %-24s%s' "${package%%|*}" "$purpose")")
            fi
        done < <(packages_for "$set")
    done
    ((${#missing[@]})) || return 0
    if [[ -n ${TRIMINE_SKIP_PACKAGES:-} ]]; then
        return 0 # the user knows better, or this is not Debian and all of it is there by other names
    fi

    local as_root=()
    if ((EUID != 0)); then
        as_root=(sudo)
    fi
    if ! command -v apt-get >/dev/null || { ((EUID != 0)) && ! command -v sudo >/dev/null; }; then
        printf '%s\n' "${why[@]}" >&2
        die 69 "can't install packages here (apt-get as root, or with sudo, is needed); install the above, or what your system calls them, then run this again with TRIMINE_SKIP_PACKAGES=1"
    fi
    say "installing: ${missing[*]}"
    local log
    log=$(mktemp)
    if ! { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -q &&
        "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends \
            "${missing[@]}"; } >"$log" 2>&1 </dev/null; then
        tail -n 20 "$log" >&2
        rm -f "$log"
        printf '%s\n' "${why[@]}" >&2
        die 69 "apt-get failed; the above is still needed"
    fi
    rm -f "$log"
}

# as_who_typed_sudo [VARIABLE=VALUE...] COMMAND...: goes on with COMMAND as the user who typed sudo before this script, where
# one did and the folder is theirs: what is built then is theirs, too, and no MPI job runs as root.
as_who_typed_sudo() {
    if ((EUID != 0)) || [[ ${SUDO_USER:-root} == root ]] || ! sudo -u "$SUDO_USER" test -w "$ROOT"; then
        return 0
    fi
    exec sudo -u "$SUDO_USER" -H env -u SUDO_USER "$@"
}

# build PRESET [TARGET...]: configures with the preset (CMakePresets.json) and builds it, or those targets of it, in
# build/PRESET. Tests are built where their library is installed. Options for cmake beside those: in the array configuring.
configuring=()
build() {
    local preset=$1 log=build/$1.log testing=OFF
    shift
    if pkg-config --exists cmocka; then
        testing=ON
    fi
    say "building build/$preset"
    mkdir -p build
    if ! { cmake --preset "$preset" -DBUILD_TESTING=$testing "${configuring[@]}" && cmake --build "build/$preset" ${1:+--target "$@"}; } >"$log" 2>&1; then
        tail -n 60 "$log" >&2
        die 70 "the build failed; all of its output is in $log"
    fi
}

# ranks N COMMAND...: runs COMMAND on N ranks of this machine.
ranks() {
    local count=$1
    shift
    local environment=(OMPI_MCA_btl_vader_single_copy_mechanism=none) # containers often forbid the faster one
    if ((EUID == 0)); then
        environment+=(OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1)
    fi
    if ((count > CORES)); then
        environment+=(OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_mpi_yield_when_idle=1)
    fi
    # Slots are given here, since mpirun counts cores and nproc counts what this process may use of them.
    env "${environment[@]}" mpirun --bind-to none --host "localhost:$count" -n "$count" "$@"
}
