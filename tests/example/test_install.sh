#!/usr/bin/env bash
# What a user does with an installed libtrimine: compile the examples with pkg-config, and with find_package, with the
# shared library and with the static one, and run them on two ranks. The C++ one only where there is a C++ compiler.
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

needs_library() { # PROGRAM: is it linked to the shared library?
    readelf -d "$1" | grep -qF "Shared library: [libtrimine.so.$abi]"
}

"$cmake" --install "$build" --prefix "$prefix" >"$work/log"
export PKG_CONFIG_PATH=$prefix/lib/pkgconfig${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}
# A tree that was moved still works: nothing in it may name the place it was installed to.
mv "$prefix" "$work/moved"
prefix=$work/moved
export PKG_CONFIG_PATH=$prefix/lib/pkgconfig:$PKG_CONFIG_PATH

version=$("$prefix/bin/trimine" --version | grep -o '[0-9][0-9.]*[0-9]' | head -n 1)
abi=${version%.*}
[ "$(pkg-config --modversion trimine)" = "$version" ]
[ "$(pkg-config --modversion trimine-static)" = "$version" ]
[ "$("$prefix/bin/trimine" --version)" = "$("$build/trimine" --version)" ]
export LD_LIBRARY_PATH=$prefix/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
OMPI_CC=$cc "$mpicc" -std=c17 -Wall -Wextra -Werror "$here/train_linear.c" $(pkg-config --cflags --libs trimine) -o "$work/train_linear"
needs_library "$work/train_linear"
run "$work/train_linear"
OMPI_CC=$cc "$mpicc" -std=c17 -Wall -Wextra -Werror "$here/train_linear.c" $(pkg-config --cflags --libs trimine-static) -o "$work/train_static"
! needs_library "$work/train_static" || exit 1
run "$work/train_static" >"$work/static"
run "$work/train_linear" | diff - "$work/static"
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
unset LD_LIBRARY_PATH # CMake says in the program where the library is
needs_library "$work/cmake/train_linear"
run "$work/cmake/train_linear"
! needs_library "$work/cmake/train_static" || exit 1
run "$work/cmake/train_static"
[ -z "$cxx" ] || run "$work/cmake/spread_vectors"
