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
# A tree that was moved still works: nothing in it may name the place it was installed to.
mv "$prefix" "$work/moved"
prefix=$work/moved
libdir=$(dirname "$(dirname "$(find "$prefix" -name trimine.pc)")") # lib, or what CMAKE_INSTALL_LIBDIR says
export PKG_CONFIG_PATH=$libdir/pkgconfig${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}

version=$("$prefix/bin/trimine" --version | grep -o '[0-9][0-9.]*[0-9]' | head -n 1)
abi=${version%.*}
[ "$(pkg-config --modversion trimine)" = "$version" ]
[ "$(pkg-config --modversion trimine-static)" = "$version" ]
[ "$("$prefix/bin/trimine" --version)" = "$("$build/trimine" --version)" ]
# each command has its manual page, and there is completion
"$prefix/bin/trimine" options --json | /usr/bin/python3 -c 'import json, sys; [print(c["name"]) for c in json.load(sys.stdin)["commands"]]' |
    while read -r command; do [ -s "$prefix/share/man/man1/trimine-$command.1" ] || exit 1; done
for file in man/man1/trimine.1 bash-completion/completions/trimine zsh/site-functions/_trimine; do [ -s "$prefix/share/$file" ]; done
# the module file: its folders are there; and where there is Tcl, that it finds them from where it is
module=$prefix/share/modulefiles/trimine/$version
for folder in $(grep -o '\$prefix/[^ }]*' "$module"); do [ -d "$prefix/${folder#*/}" ]; done
if command -v tclsh >/dev/null; then
    tclsh - >"$work/module" <<TCL
foreach word {module-whatis conflict} { proc \$word args {} }
proc prepend-path {name folder} { puts "\$name \$folder" }
set ModulesCurrentModulefile $module
source $module
TCL
    grep -qx "PATH $prefix/bin" "$work/module"
    grep -qx "PKG_CONFIG_PATH $libdir/pkgconfig" "$work/module"
fi
export LD_LIBRARY_PATH=$libdir${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
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

# Queries against passages: the same on any number of ranks.
queries=$work/mine_queries
OMPI_CC=$cc "$mpicc" -std=c17 -Wall -Wextra -Werror "$here/mine_queries.c" $(pkg-config --cflags --libs trimine) -lm -o "$queries"
mpirun --bind-to none -n 1 "$queries" >"$work/queries"
mpirun --bind-to none -n 3 "$queries" | diff "$work/queries" -

# A second program, with jobs of its own: the same file as the first one's, with a checkpoint that goes when it is done.
mine=$work/mine_store
OMPI_CC=$cc "$mpicc" -std=c17 -Wall -Wextra -Werror "$here/mine_store.c" $(pkg-config --cflags --libs trimine) -o "$mine"
"$prefix/bin/trimine" synth "$work/store.h5" --rows 500 --dim 16 --classes 20 --quiet
"$prefix/bin/trimine" mine "$work/store.h5" -o "$work/first.h5" --negatives topk:3 --json >"$work/first.json"
mpirun --bind-to none -n 3 "$mine" "$work/store.h5" "$work/second.h5" negatives topk:3 >"$work/second.json"
cmp "$work/first.h5" "$work/second.h5"
hash_of() { grep -o '"result_hash": "[0-9a-f]*"' "$1"; }
[ "$(hash_of "$work/first.json")" = "$(hash_of "$work/second.json")" ]
[ ! -e "$work/second.h5.checkpoint" ]
code=0
mpirun --bind-to none -n 2 "$mine" "$work/store.h5" "$work/third.h5" negatives topk:0 2>"$work/refused" || code=$?
[ $code = 64 ] && grep -q "^error: --negatives topk '0': must be" "$work/refused"

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
run "$work/cmake/mine_queries"
[ -z "$cxx" ] || run "$work/cmake/spread_vectors"
