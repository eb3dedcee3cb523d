#!/usr/bin/env bash
# The walls between the folders of src/, checked on the code itself (comments removed).
source "$(dirname "$0")/lib.sh"
cd "$source_dir/src" || exit 2

# How high a room is: its files reach only lower ones, through whatever headers. Two rooms of one height do not reach
# each other.
declare -A height=(
    [cli]=8 [python]=8
    [job]=7 [verify]=7
    [eval]=6
    [mine]=5 [loss]=5
    [sweep]=4
    [rows]=3 [kernel]=3 [checkpoint]=3
    [par]=2 [store]=2
    [metric]=1 [options]=1
    [base]=0
)

# Not by height: store is beside the others, reached only from above them all.
may_reach() { # FROM TO
    case $1:$2 in
    cli:store | job:store | verify:store | store:par) true ;;
    *:store | kernel:par) false ;;
    *) ((${height[$2]} < ${height[$1]})) ;;
    esac
}

# What does not hold yet: a room that reaches a header all the same. One that is not needed any more has to go from here.
exceptions=(
    "loss > mine/anchors.h"    # batch-all keeps its anchors' thresholds as mining does
    "loss > mine/batches.h"    # an evaluation may be inside batches
    "loss > mine/own.h"        # packed triplets go by the policies of a store
    "loss > mine/filter.h"     # by negatives.h
    "loss > mine/checkpoint.h"       # and its panels
    "loss > mine/mining.h"     # an evaluation plans, and later runs, what it mines
    "loss > mine/negatives.h"  # how many triplets a pair can have
    "loss > mine/options.h"    # an evaluation has the options of its mining checked
    "loss > mine/pool.h"       # by anchors.h
    "loss > mine/positives.h"  # by anchors.h
    "loss > mine/quantiles.h"  # the distances of a loss's triplets are told as those of mined ones
    "loss > mine/statistics.h"
    "loss > mine/thresholds.h" # batch-all looks distances up among them
    "rows > kernel/kernel.h"   # a run holds the kernel that was chosen
    "rows > kernel/blas_core.h"
    "rows > kernel/blas_threads.h"
)

# The files (.h, .c) of mine, loss, eval and sweep that reach mpi.h: those that bring ranks together. All others, so each new
# policy, query and loss, are plain C.
with_mpi=(
    mine/anchors mine/batch_checkpoint mine/batches mine/draw mine/gaps mine/checkpoint mine/first_look mine/measure mine/mine mine/near mine/near_give mine/near_inner mine/near_most mine/options mine/pool mine/quantiles mine/statistics
    loss/batch_all loss/batch_all_gradient loss/evaluate loss/gradient loss/margins loss/options loss/packed loss/pairs
    loss/queries loss/survey loss/triplets
    eval/asking eval/neighbours eval/occurrence eval/means eval/retrieval eval/radius eval/radius_rows
    sweep/basis sweep/choose sweep/held sweep/inner sweep/offer sweep/ring sweep/sample sweep/side sweep/sweep sweep/tile sweep/units
)

# What each public header reaches of the others, and of MPI.
declare -A public=(
    [abi]="" [version]="abi" [status]="abi" [metric]="abi" [ask]="abi"
    [mine]="abi ask metric status"
    [batches]="abi ask metric mine status"
    [knn]="abi ask metric status"
    [eval]="abi ask metric status"
    [radius]="abi ask metric status"
    [loss]="abi ask batches metric mine status"
    [run]="abi mpi status"
    [store]="abi mpi status"
    [packed]="abi ask batches loss metric mine mpi status"
    [job]="abi mpi run status"
    [trimine]="abi ask batches eval job knn loss metric mine mpi packed radius run status store version"
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
    if [[ -z ${height[$folder]:-} ]]; then
        fail "src/$folder is a folder that this test does not know"
        continue
    fi
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
done < <(find . -name '*.[ch]' | sort)

expect "there is code to check" test "$checked" -gt 10

# ---- what each file and header reaches, itself or through headers, ours and public ones ----

# One line a file: itself, and all that it reaches. A header that is not found (-MG) is listed under its own name; what
# gcc says about macros of such a header does not matter here.
reached() { # FILE...
    printf '%s\0' "$@" | xargs -0 gcc -M -MG -fopenmp -D_GNU_SOURCE -I. -I../include -x c 2>"$dir/gcc.log" |
        sed -e ':a' -e '/\\$/{N;s/\\\n//;ta' -e '}' | sed 's/^[^:]*: *//'
}

# The program is written on the public headers: of src/ its files reach base/ besides. These reach further: they read the
# tables of options, or look inside for another reason.
inside=(main options help man completion cmd_options tables report say cmd_bench peak cmd_info info info_json info_positives info_rows cmd_synth cmd_import cmd_verify cmd_show columns cmd_report cmd_export export export_npz export_rows export_table export_form export_text)

used=()
mapfile -t files < <(find . -name '*.[ch]' -printf '%P\n' | sort)
reached "${files[@]}" >"$dir/reached"
expect "what every file reaches is known" test "$(wc -l <"$dir/reached")" == "$checked"
while read -r file headers; do
    folder=${file%%/*}
    [[ -n ${height[$folder]:-} ]] || continue
    wrong=()
    for header in $headers; do
        room=${header%%/*}
        case $header in
        mpi.h | */mpi.h)
            case $folder in
            metric | kernel | base) wrong+=("mpi.h: $folder knows no MPI") ;;
            mine | loss | eval | sweep)
                if [[ " ${with_mpi[*]} " == *" ${file%.*} "* ]]; then
                    used+=("${file%.*}")
                else
                    wrong+=("mpi.h: only those listed in with_mpi may")
                fi
                ;;
            esac
            ;;
        hdf5.h | */hdf5.h) [[ $folder == store ]] || wrong+=("hdf5.h: only store may") ;;
        *)
            [[ $header != /* && $room != "$folder" && -n ${height[$room]:-} ]] || continue
            if [[ $folder == cli && $room != base ]]; then
                stem=${file##*/}
                if [[ " ${inside[*]} " == *" ${stem%.*} "* ]]; then
                    used+=("${stem%.*}")
                else
                    wrong+=("$header: of the program only those listed in inside may")
                fi
            fi
            may_reach "$folder" "$room" && continue
            if [[ " ${exceptions[*]/%/;} " == *" $folder > $header; "* ]]; then
                used+=("$folder > $header")
            else
                wrong+=("$header: $folder may not reach $room")
            fi
            ;;
        esac
    done
    if ((${#wrong[@]} == 0)); then
        pass
    else
        fail "src/$file reaches $(printf '%s; ' "${wrong[@]}")"
    fi
done <"$dir/reached"
for one in "${exceptions[@]}" "${with_mpi[@]}" "${inside[@]}"; do
    if printf '%s\n' "${used[@]}" | grep -qxF "$one"; then pass; else fail "the exception '$one' is not needed any more"; fi
done

mapfile -t files < <(find ../include/trimine -name '*.h' ! -name version.h | sort)
while read -r file headers; do
    name=$(basename "$file" .h)
    for header in $headers; do
        case $header in
        */trimine/*.h | trimine/*.h | mpi.h | */mpi.h) basename "$header" .h ;;
        *) [[ $header == /* ]] || echo "$header" ;; # neither a public header nor one of the system
        esac
    done | sort -u | paste -sd' ' >"$dir/names"
    expect "include/trimine/$name.h reaches what it should: $(<"$dir/names")" test "$(<"$dir/names")" == "${public[$name]-unknown here}"
done < <(reached "${files[@]}")
finish
