#!/usr/bin/env bash
# The walls between the folders of src/, checked on the code itself (comments removed).
source "$(dirname "$0")/lib.sh"
cd "$source_dir/src" || exit 2

# Which folders the files of a folder may include headers from.
declare -A may_include=(
    [base]="base"
    [metric]="metric base"
    [kernel]="kernel metric base"
    [par]="par metric base"
    [store]="store par metric base"
    [rows]="rows store kernel par metric base"
    [sweep]="sweep rows kernel par metric base"
    [mine]="mine sweep rows kernel par metric base"
    [loss]="loss mine sweep rows kernel par metric base"
    [cli]="cli loss mine sweep store rows kernel par metric base"
)

code() { # the file without comments, preprocessor lines kept
    gcc -fpreprocessed -dD -E -P -x c "$1" 2>/dev/null
}

# forbid WHAT PATTERN: no line of the code on stdin matches.
forbid() {
    local hits
    if hits=$(grep -nE "$2"); then
        fail "src/$file: $1: $hits"
    else
        pass
    fi
}

call() { # a pattern for a call to one of the functions named
    printf '(^|[^[:alnum:]_.>])(%s)[[:space:]]*\\(' "$1"
}

checked=0
while read -r file; do
    file=${file#./}
    folder=${file%%/*}
    checked=$((checked + 1))
    text=$(code "$file")
    if [[ -z ${may_include[$folder]:-} ]]; then
        fail "src/$folder is a folder that this test does not know"
        continue
    fi
    [[ $folder == store ]] || forbid "only store includes hdf5.h" '#[[:space:]]*include[[:space:]]*[<"]hdf5' <<<"$text"
    [[ $folder != metric && $folder != kernel && $folder != base ]] ||
        forbid "$folder does not include mpi.h" '#[[:space:]]*include[[:space:]]*[<"]mpi\.h' <<<"$text"
    if [[ $folder != cli ]]; then
        forbid "only cli prints to stdout" "$(call 'printf|vprintf|puts|putchar|perror')|[^[:alnum:]_]stdout[^[:alnum:]_]" <<<"$text"
        [[ $file == par/agree.c ]] || # the one abort path, where MPI_Abort came back
            forbid "only cli exits" "$(call 'exit|_exit|_Exit|quick_exit|abort')" <<<"$text"
        forbid "only cli installs signal handlers" "$(call 'signal|sigaction')" <<<"$text"
        forbid "only cli starts and ends MPI" 'MPI_Init|MPI_Finalize[[:space:]]*\(' <<<"$text"
    fi
    allocators='malloc|calloc|realloc|reallocarray|aligned_alloc|posix_memalign|strdup|strndup|asprintf|vasprintf'
    [[ $folder == base ]] || forbid "only base calls malloc" "$(call "$allocators")" <<<"$text"
    [[ $folder == base || $folder == cli ]] || # cli frees the text that jansson made
        forbid "only base calls free" "$(call free)" <<<"$text"
    while read -r included; do
        if [[ $included == */* && $included != trimine/* ]]; then
            if [[ " ${may_include[$folder]} " == *" ${included%%/*} "* ]]; then
                pass
            else
                fail "src/$file includes $included: $folder may include only ${may_include[$folder]}"
            fi
        fi
    done < <(sed -nE 's/^[[:space:]]*#[[:space:]]*include[[:space:]]*"([^"]+)".*/\1/p' <<<"$text")
done < <(find . -name '*.[ch]' | sort)

expect "there is code to check" test "$checked" -gt 10

# ---- what a file reaches through the headers that it includes, ours and public ones ----

# One line a file: itself, and all that it reaches. A header that is not found (-MG) is listed under its own name; what
# gcc says about macros of such a header does not matter here.
reached() {
    find . -name '*.[ch]' -printf '%P\0' | sort -z |
        xargs -0 gcc -M -MG -fopenmp -D_GNU_SOURCE -I. -I../include -x c 2>"$dir/gcc.log" | sed -e ':a' -e '/\\$/{N;s/\\\n//;ta' -e '}' |
        sed 's/^[^:]*: *//'
}
reached >"$dir/reached"
expect "what every file reaches is known" test "$(wc -l <"$dir/reached")" == "$checked"
while read -r file headers; do
    folder=${file%%/*}
    headers=$(tr ' ' '\n' <<<"$headers" | sed 's|.*/||')
    [[ $folder != metric && $folder != kernel && $folder != base ]] ||
        forbid "$folder does not reach mpi.h, through whatever header" '^mpi\.h$' <<<"$headers"
    [[ $folder == store ]] || forbid "only store reaches hdf5.h, through whatever header" '^hdf5\.h$' <<<"$headers"
done <"$dir/reached"
# Where MPI is seen at all, so that the list is one: the public headers name communicators.
expect "the public header of runs reaches mpi.h" grep -qE '(^| |/)mpi\.h( |$)' <(gcc -M -MG -I../include -x c ../include/trimine/run.h)
finish
