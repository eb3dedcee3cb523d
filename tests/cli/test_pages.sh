#!/usr/bin/env bash
# Manual pages and completion, which the program makes from its tables: each command and option is there, man and the shells
# take them without a word, and bash completes what one would type.
source "$(dirname "$0")/lib.sh"
mkdir "$out"

"$program" options --json >"$dir/options.json"
"$python" - "$dir" <<'PY'
import json, sys
with open(f"{sys.argv[1]}/options.json") as f:
    for command in json.load(f)["commands"]:
        with open(f"{sys.argv[1]}/{command['name']}.options", "w") as out:
            print(*(option["name"] for option in command["options"]), sep="\n", file=out)
PY

# ---- manual pages ----

for page in trimine "$dir"/*.options; do
    name=$(basename "$page" .options)
    file=$dir/trimine-$name.1
    [[ $name != trimine ]] || file=$dir/trimine.1
    "$program" options --man "$name" >"$file" 2>"$dir/stderr"
    expect "the page of $name is printed, and nothing else" test "$? $(wc -c <"$dir/stderr")" = "0 0"
    if command -v man >/dev/null; then
        man --warnings -E UTF-8 -l "$file" >"$dir/$name.text" 2>"$dir/warnings"
        expect "man takes the page of $name: $(<"$dir/warnings")" test "$? $(wc -c <"$dir/warnings")" = "0 0"
    fi
    if command -v mandoc >/dev/null; then # the page has no date, so that builds are the same bytes
        mandoc -T lint -W warning "$file" | grep -v 'missing date' >"$dir/warnings"
        expect "mandoc takes the page of $name" test ! -s "$dir/warnings"
    fi
    [[ $name != trimine ]] || continue
    while read -r option; do
        expect "the page of $name has --$option" grep -qF -e "\\-\\-${option//-/\\-}\\fR" "$file"
    done <"$dir/$name.options"
    expect "the page of the program has $name" grep -qxF "\\fB$name\\fR" "$dir/trimine.1"
done
refused "a page of nothing" 64 "'mien': no such command, did you mean 'mine'" -- options --man mien
refused "two things at once" 64 "one at a time" -- options --man mine --completion bash
refused "a shell that is none" 64 "'fish'" -- options --completion fish

# ---- bash ----

"$program" options --completion bash >"$dir/trimine.bash"
expect "bash can read its completion" bash -n "$dir/trimine.bash"

# completes WANTED WORD...: what is offered for the last word, as bash parts the line.
completes() {
    local wanted=$1 got
    shift
    got=$(bash --norc -uc 'source "$1"; shift; COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)); _trimine; echo ${COMPREPLY[@]+"${COMPREPLY[@]}"}' \
        bash "$dir/trimine.bash" "$@" 2>&1)
    if [[ $got == "$wanted" ]]; then pass; else fail "'$*' is completed by '$got', not by '$wanted'"; fi
}
completes "mine" trimine mi
completes "radius" mpirun -n 4 /usr/bin/trimine rad
completes "" mpirun -n
completes "--metric" trimine mine store.h5 --met
completes "--metrics --metric" trimine eval store.h5 --metri
completes "" trimine synth --metric
completes "sql2 l2 cosine dot" trimine mine --metric ""
completes "cosine" trimine mine --metric co
completes "cosine" trimine mine --metric = co
completes "sql2 l2 cosine dot" trimine mine --metric =
completes "--metric=cosine" trimine mine --metric=co
completes "topk:" trimine mine --negatives to
completes "reversed" trimine loss --negatives rev
completes "" trimine mine --negatives rev
completes "facenet" trimine mine --compat fa
completes "int8" trimine knn --kernel in
completes "" trimine mine --margin 0
completes "" trimine mine --output sto
completes "" trimine mine sto
completes "options" trimine help opt
completes "bash" trimine options --completion b
for page in "$dir"/*.options; do
    name=$(basename "$page" .options)
    got=$(bash --norc -c "source '$dir/trimine.bash'; COMP_WORDS=(trimine $name --) COMP_CWORD=2; _trimine; "'printf "%s\n" "${COMPREPLY[@]#--}"')
    expect "bash completes the options of $name" test "$got" = "help
$(<"$page")"
done

# ---- zsh ----

"$program" options --completion zsh >"$dir/_trimine"
for page in "$dir"/*.options; do
    name=$(basename "$page" .options)
    sed -n "/^        $name) _arguments/,/;;\$/p" "$dir/_trimine" >"$dir/part"
    while read -r option; do
        expect "zsh's completion has --$option of $name" grep -qE -e "--$option[]=[}]" "$dir/part"
    done <"$page"
done
if command -v zsh >/dev/null; then
    expect "zsh can read its completion" zsh -fn "$dir/_trimine"
    # What a line becomes, in a terminal of zsh's own.
    timeout -k 5 "$patience" zsh -f <<ZSH >"$dir/offered" 2>&1
zmodload zsh/zpty
zpty shell 'TERM=dumb zsh -f -i'
zpty -w shell 'PS1=; fpath=($dir \$fpath); autoload -U compinit; compinit -u -D; zstyle ":completion:*" list-colors; LISTMAX=1000; bindkey "^I" complete-word; echo READY'
line=; while [[ \$line != *READY?* || \$line == *"echo READY"* ]]; do zpty -r shell line || break; done
zpty -w -n shell \$'trimine mine --metric co\t\n'
while zpty -r shell line; do echo "\$line"; [[ \$line == *cosine* ]] && break; done
zpty -d shell
ZSH
    expect "zsh completes a word of an option" grep -q "mine --metric cosine" "$dir/offered"
fi
finish
