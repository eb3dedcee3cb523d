#!/usr/bin/env bash
# The shared library exports what the public headers declare, and nothing else; its name has the version that programs
# look for.
#
#   test_exports.sh PROGRAM SOURCE GENERATED LIBRARY MPI_FOLDER...
source "$(dirname "$0")/../cli/lib.sh" "$1" "$2"
generated=$3 library=$4
shift 4
mpi=()
for folder in "$@"; do mpi+=(-isystem "$folder"); done

# What gcc itself finds declared in our headers; functions that are defined there (static) are nobody's to export.
gcc -std=c17 -fsyntax-only -aux-info "$dir/declared" "${mpi[@]}" -I"$source_dir/include" -I"$generated" -x c - <<<'#include "trimine/trimine.h"'
grep -E '^/\* [^ ]*trimine/[a-z_]+\.h:' "$dir/declared" | grep -v '\*/ static ' | grep -oE '[a-zA-Z0-9_]+ \(' | grep -oE '^trm_[a-z0-9_]+' | sort -u >"$dir/public"
nm -D --defined-only "$library" | awk '{ print $3 }' | sed 's/@.*//' | sort -u >"$dir/exported"

expect "there is something to compare" test "$(wc -l <"$dir/public")" -gt 40
expect "exported is what is declared" diff "$dir/public" "$dir/exported"
expect "only functions are exported, no data" test "$(nm -D --defined-only "$library" | awk '$2 != "T"' | wc -l)" = 0

version=$("$program" --version | grep -oE '[0-9]+\.[0-9]+\.[0-9]+' | head -n 1)
soname=libtrimine.so.${version%.*}
expect "the name that programs look for is $soname" grep -qF "Library soname: [$soname]" <(readelf -d "$library")
expect "it is a link to libtrimine.so.$version" test "$(readlink "$(dirname "$library")/$soname")" = "libtrimine.so.$version"
finish
