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
finish
