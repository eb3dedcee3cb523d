#!/usr/bin/env bash
# Each public header compiles alone, in C17 and C++17, with every compiler that is here, and says at its top what it
# needs. Those that need no MPI compile where there is none.
#
#   test_headers.sh PROGRAM SOURCE GENERATED MPI_FOLDER...
#
# GENERATED: the folder with the headers that the build makes.
source "$(dirname "$0")/../cli/lib.sh" "$1" "$2"
generated=$3
shift 3
mpi=()
for folder in "$@"; do mpi+=(-isystem "$folder"); done

needs_mpi=" job packed run store trimine "

compiles() { # COMPILER STANDARD HEADER: included twice, as files of a program do
    local language=c with=()
    [[ $2 == c++* ]] && language=c++ with=(-DOMPI_SKIP_MPICXX=1 -DMPICH_SKIP_MPICXX=1)
    [[ $needs_mpi == *" $3 "* ]] && with+=("${mpi[@]}")
    printf '#include "trimine/%s.h"\n#include "trimine/%s.h"\nextern int more;\n' "$3" "$3" |
        "$1" -std="$2" -fsyntax-only -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror "${with[@]}" -I"$source_dir/include" \
            -I"$generated" -x "$language" -
}

compilers=()
for compiler in gcc:c17 g++:c++17 clang:c17 clang++:c++17; do
    if command -v "${compiler%%:*}" >/dev/null; then
        compilers+=("$compiler")
    else
        echo "no ${compiler%%:*} here"
    fi
done
headers=0
while read -r header; do
    name=$(basename "$header" .h)
    headers=$((headers + 1))
    for compiler in "${compilers[@]}"; do
        expect "$name.h alone, ${compiler/:/ as }" compiles "${compiler%%:*}" "${compiler#*:}" "$name"
    done
    # the comment on top: what comes before the include guard
    expect "$name.h says on top what it needs" grep -q 'Needs ' <(sed '/^#ifndef/q' "$header")
done < <(find "$source_dir/include/trimine" "$generated/trimine" -name '*.h')
expect "there are headers and compilers to try" test "$headers" -ge 9 -a "${#compilers[@]}" -ge 1
finish
