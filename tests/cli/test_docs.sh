#!/usr/bin/env bash
# README and docs/ say what is there: options, files, links, and commands that run (tests/support/pages.py says which).
source "$(dirname "$0")/lib.sh"
docs=$source_dir/docs

# ---- options ----

# knows COMMAND: its help has each of the options that were found; without any, a heading was renamed.
knows() {
    "$program" "$1" --help >"$dir/help.txt"
    expect "the docs have options of $1" test -s "$dir/options"
    while read -r option; do
        expect "$1 --help knows the $option of the docs" grep -q -e "$option\b" "$dir/help.txt"
    done <"$dir/options"
}

# tell COMMAND PAGE: options in the first column of the page's tables are in COMMAND's help.
tell() {
    grep '^| `' "$docs/$2" | cut -d'|' -f2- | grep -oE '^ [^|]*(\\\|[^|]*)*' |
        grep -oE -e '--[a-z][a-z-]+' | sort -u >"$dir/options"
    knows "$1"
}
tell mine MINING.md
tell loss LOSSES.md
tell knn NEIGHBOURS.md
tell eval EVALUATION.md
tell radius NEAR_DUPLICATES.md
for command in bench synth info import; do
    grep -E "^\| \`trimine $command " "$docs/COMMANDS.md" | grep -oE -e '--[a-z][a-z-]+' | sort -u >"$dir/options"
    knows "$command"
done

# ---- sudo scripts/quickstart ----

# As root, by a sudo of the test's own, which notes what it is asked; the packages are taken to be there.
mkdir "$dir/sudo"
printf '#!/bin/sh\necho "$*" >>"%s/asked"\n[ "$*" != "-u nobody test -w %s" ] || exit "$WRITABLE"\n' "$dir" "$source_dir" >"$dir/sudo/sudo"
chmod +x "$dir/sudo/sudo"
quickstart_by_sudo() { # WRITABLE USER: 0 where the folder is theirs
    rm -f "$dir/asked"
    PATH=$dir/sudo:$PATH WRITABLE=$1 SUDO_USER=$2 TRIMINE=/nowhere/trimine TRIMINE_SKIP_PACKAGES=1 bash -c '
        source "$1/scripts/lib.sh"
        as_who_typed_sudo A=b "$1/scripts/quickstart"
        echo went on' - "$source_dir" >"$dir/said" 2>&1
}
if ((EUID == 0)); then
    quickstart_by_sudo 0 nobody
    expect "sudo scripts/quickstart goes on as who typed it" grep -qxF -e "-u nobody -H env -u SUDO_USER A=b $source_dir/scripts/quickstart" "$dir/asked"
    expect "and no more as root" test ! -s "$dir/said"
    quickstart_by_sudo 1 nobody
    expect "but as root, where the folder is not theirs" grep -qx "went on" "$dir/said"
    quickstart_by_sudo 0 root
    expect "and by root itself" grep -qx "went on" "$dir/said"
    expect "who asks for no sudo" test ! -e "$dir/asked"
fi

# ---- lines, links, commands ----

expect "README has at most 150 lines" test "$(wc -l <"$source_dir/README.md")" -le 150
expect "its lines have at most 125 characters, but for tables" \
    "$python" -c 'import sys; sys.exit(any(len(l.rstrip("\n")) > 125 and l[0] != "|" for l in open(sys.argv[1])))' "$source_dir/README.md"

# Commands of a page find the program by its name, more ranks than cores, and the scripts and packages beside them.
mkdir "$dir/bin"
ln -s "$program" "$dir/bin/trimine"
export PATH=$dir/bin:$PATH PYTHONPATH=$source_dir/python:$PYTHONPATH
for page in "$source_dir/README.md" "$docs"/*.md; do
    name=$(basename "$page" .md)
    expect "the links and paths of $name lead somewhere" "$python" "$source_dir/tests/support/pages.py" links "$page" "$source_dir"
    mkdir "$dir/$name"
    cd "$dir/$name" || exit 2
    ln -s "$source_dir/tests" "$source_dir/scripts" .
    expect "the commands of $name run" "$python" "$source_dir/tests/support/pages.py" run "$page" "$source_dir"
done
for page in CONTRIBUTING SECURITY; do
    expect "the links and paths of $page lead somewhere" \
        "$python" "$source_dir/tests/support/pages.py" links "$source_dir/$page.md" "$source_dir"
done
expect "the messages of TROUBLESHOOTING are the program's" \
    "$python" "$source_dir/tests/support/pages.py" messages "$docs/TROUBLESHOOTING.md" "$source_dir"
finish
