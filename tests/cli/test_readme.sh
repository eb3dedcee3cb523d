#!/usr/bin/env bash
# What the README says is there: options, files, and Python that runs.
source "$(dirname "$0")/lib.sh"
readme=$source_dir/README.md

# The lines between two headings.
section() {
    awk -v from="$1" -v to="$2" 'index($0, to) == 1 && on { exit } index($0, from) == 1 { on = 1 } on' "$readme"
}

# some WHAT FILE: there are lines to check; a heading that was renamed must not pass for a README without options.
some() {
    expect "the README has $1" test -s "$2"
}

# knows COMMAND: its help has each of the options that were found.
knows() {
    "$program" "$1" --help >"$dir/help.txt"
    some "options of $1" "$dir/options"
    while read -r option; do
        expect "$1 --help knows the README's $option" grep -q -e "$option\b" "$dir/help.txt"
    done <"$dir/options"
}

# tell COMMAND FROM TO: options in the first column of the tables between two headings are in COMMAND's help.
tell() {
    expect "the README has a heading '$2'" grep -q -e "^$2" "$readme"
    expect "and '$3'" grep -q -e "^$3" "$readme"
    section "$2" "$3" | grep '^| `' | cut -d'|' -f2- | grep -oE '^ [^|]*(\\\|[^|]*)*' |
        grep -oE -e '--[a-z][a-z-]+' | sort -u >"$dir/options"
    knows "$1"
}
tell mine '### `trimine mine' '### `trimine loss'
tell loss '### `trimine loss' '### `trimine knn'
tell knn '### `trimine knn' '### `trimine eval'
tell eval '### `trimine eval' '### `trimine radius'
tell radius '### `trimine radius' '### The others'
for command in bench synth info; do
    grep -E "^\| \`trimine $command " "$readme" | grep -oE -e '--[a-z][a-z-]+' | sort -u >"$dir/options"
    knows "$command"
done

grep -oE '\b(scripts|slurm|include)/[a-z_./-]+[a-z_]' "$readme" | sort -u >"$dir/paths"
some "paths" "$dir/paths"
while read -r path; do
    expect "the README's $path exists" test -e "$source_dir/$path"
done <"$dir/paths"

# The Python example, on a small store instead of the large one.
mkdir "$dir/data"
cd "$dir" || exit 2
expect "synth" on 1 synth data/fashion_mnist.h5 --rows 300 --dim 16 --classes 10 --seed 1 --quiet
expect "mine" on 2 mine data/fashion_mnist.h5 --positives easiest --window none --overwrite -o data/fashion_triplets.h5 --quiet
awk '/^```python/ { on = 1; next } /^```/ { on = 0 } on' "$readme" >example.py
expect "there is an example" test -s example.py
expect "the example runs" "$python" example.py
finish
