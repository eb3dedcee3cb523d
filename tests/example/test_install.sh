#!/usr/bin/env bash
# What a user does with an installed libtrimine: compile the examples with pkg-config, and with find_package,
# and run them on two ranks. The C++ one only where there is a C++ compiler.
#
#   test_install.sh BUILD CMAKE MPICC CC [CXX]
set -euo pipefail

build=$1 cmake=$2 mpicc=$3 cc=$4 cxx=${5:-}
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d "$build/install-test-XXXXXX")
trap 'rm -rf "$work"' EXIT
prefix=$work/prefix

run() { # PROGRAM
    mpirun --bind-to none -n 2 "$1"
}

"$cmake" --install "$build" --prefix "$prefix" >"$work/log"
export PKG_CONFIG_PATH=$prefix/lib/pkgconfig${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}
# A tree that was moved still works: nothing in it may name the place it was installed to.
mv "$prefix" "$work/moved"
prefix=$work/moved
export PKG_CONFIG_PATH=$prefix/lib/pkgconfig:$PKG_CONFIG_PATH

[ "$(pkg-config --modversion trimine)" = "$("$prefix/bin/trimine" --version | grep -o '[0-9][0-9.]*[0-9]' | head -n 1)" ]
OMPI_CC=$cc "$mpicc" -std=c17 -Wall -Wextra -Werror "$here/train_linear.c" $(pkg-config --cflags --libs trimine) -o "$work/train_linear"
run "$work/train_linear"
# also without MPI's compiler wrapper
"$cc" -std=c17 "$here/train_linear.c" $(pkg-config --cflags --libs trimine) -o "$work/train_plain"
run "$work/train_plain"
if [ -n "$cxx" ] && command -v mpicxx >/dev/null; then
    OMPI_CXX=$cxx mpicxx -std=c++17 -Wall -Wextra -Werror "$here/spread_vectors.cpp" $(pkg-config --cflags --libs trimine) \
        -o "$work/spread_vectors"
    run "$work/spread_vectors"
    mpirun --bind-to none -n 1 "$work/spread_vectors"
fi

if ! { "$cmake" -S "$here" -B "$work/cmake" -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_C_COMPILER="$cc" &&
    "$cmake" --build "$work/cmake"; } >"$work/log" 2>&1; then
    cat "$work/log"
    exit 1
fi
run "$work/cmake/train_linear"
[ -z "$cxx" ] || run "$work/cmake/spread_vectors"
