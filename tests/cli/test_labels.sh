#!/usr/bin/env bash
# Labels that are names, labels to leave out, and stores that only look sound, as a user meets them. Which
# types are read how is tests/mpi/test_labels.c's.
source "$(dirname "$0")/lib.sh"
jobs_share_starts
in=$dir/in
mkdir "$in" "$out"

"$python" - "$in" <<'PY' || exit 2
import h5py, numpy as np
from stores import folder, write

rng = np.random.default_rng(3)
x = rng.standard_normal((60, 8)).astype("f4")
y = np.arange(60) % 6
names = np.array(["cat", "dog", "ant", "bee", "\x1b[2Jowl", "yak"])
place = np.argsort(np.argsort(names))[y]
write("numbers", embeddings=x, labels=place)
write("plain", embeddings=x, labels=y)
write("strings", embeddings=x, labels=np.array([n.encode() for n in names[y]], "O"))
write("bytes", embeddings=x[:, None], labels=np.array([n.encode() for n in names[y]])[:, None], ids=names[y].astype("S"))
write("large", embeddings=x, labels=np.uint64(2**64 - 1) - y.astype("u8"))
half = x.copy()
half[30:] = 0
write("half", embeddings=half, labels=y)
write("never", embeddings=0 * x, labels=y)
write("blanks", embeddings=x, labels=np.array(["cat", "cat ", " dog", "dog", "d og", "yak  "], "S")[y])
write("lopsided", embeddings=x, labels=np.array(["rare"] * 3 + ["common"] * 57, "S"))
PY

info() { # NAME: info as JSON
    "$program" info "$in/$1.h5" --json >"$dir/$1.json" 2>"$dir/$1.err"
}
check() { # WHAT JSON-FILE PYTHON: an expression about the report j
    expect "$1" "$python" -c "import json, sys; j = json.load(open(sys.argv[1])); assert $3, j" "$2"
}

for name in strings bytes large never lopsided half; do
    expect "info of $name" info "$name"
done
sorted='["\x1b[2Jowl", "ant", "bee", "cat", "dog", "yak"]'
check "names are listed" "$dir/strings.json" "j['label_names'] == $sorted"
check "classes have names" "$dir/bytes.json" "[c['name'] for c in j['classes']['top']] == $sorted"
check "ids may be strings" "$dir/bytes.json" "j['files'][0]['ids']['type'] == 'strings of 7 bytes' and j['files'][0]['ids']['left_aside'] is None"
check "a uint64 is shown as it is" "$dir/large.json" "j['classes']['top'][-1]['label'] == '18446744073709551615'"
check "zero rows are told" "$dir/never.json" "any('60 of 60 rows are all zero' in w for w in j['warnings'])"
check "a large class is told by its name" "$dir/lopsided.json" "any(\"class 'common' holds 57 of 60\" in w for w in j['warnings'])"
"$program" info "$in/strings.h5" >"$dir/strings.txt"
expect "info names them" grep -F "names       6, numbered from 0 in the order of their bytes: '\\x1b[2Jowl', 'ant'" "$dir/strings.txt"

for ranks in 1 3; do
    on $ranks mine "$in/numbers.h5" -o "$dir/numbers.h5" --overwrite --json >"$dir/numbers.out" 2>"$dir/err"
    for name in strings bytes; do
        on $ranks mine "$in/$name.h5" -o "$dir/$name$ranks.h5" --json >"$dir/$name.out" 2>"$dir/err"
        expect "$name on $ranks ranks are mined as their places" "$python" - "$dir" "$name$ranks" <<'PY'
import h5py, sys
dir, name = sys.argv[1:]
a, b = h5py.File(f"{dir}/numbers.h5"), h5py.File(f"{dir}/{name}.h5")
for at in ("result_hash", "store_fingerprint"):
    assert a.attrs[at] == b.attrs[at]
assert list(b["label_names"].asstr()) == ["\x1b[2Jowl", "ant", "bee", "cat", "dog", "yak"]
assert "label_names" not in a
PY
    done
done
expect "the same bytes on 1 and 3 ranks" cmp "$dir/strings1.h5" "$dir/strings3.h5"
"$program" loss "$in/strings.h5" --loss batch-hard --gradient -o "$dir/g.h5" --quiet 2>"$dir/err"
expect "gradients keep the names, too" "$python" -c "import h5py, sys; assert len(h5py.File(sys.argv[1])['label_names']) == 6" "$dir/g.h5"

"$program" mine "$in/strings.h5" --ignore-label dog --ignore-label cow --ignore-label ant --json >"$dir/i.json" 2>"$dir/err"
check "names to ignore" "$dir/i.json" "j['anchors']['ignored'] == 20 and j['options']['ignore_label'] == ['ant', 'cow', 'dog']"
check "a name that no row has" "$dir/i.json" "len(j['warnings']) == 1 and \"'cow': no row\" in j['warnings'][0]"
"$program" mine "$in/plain.h5" --ignore-label 0 --ignore-label -1 --ignore-label 3 --json >"$dir/n.json" 2>"$dir/err"
check "numbers to ignore" "$dir/n.json" "j['anchors']['ignored'] == 20 and j['options']['ignore_label'] == [-1, 0, 3]"
check "a number that no row has" "$dir/n.json" "len(j['warnings']) == 1 and \"'-1': no row\" in j['warnings'][0]"
"$program" mine "$in/large.h5" --ignore-label 18446744073709551615 --json >"$dir/u.json" 2>"$dir/err"
check "a large number to ignore" "$dir/u.json" "j['anchors']['ignored'] == 10 and not j['warnings']"
for ranks in 1 3; do
    on "$ranks" mine "$in/blanks.h5" --json >"$dir/b$ranks.json" 2>"$dir/err"
    check "names that differ by blanks, on $ranks ranks" "$dir/b$ranks.json" \
        "j['warnings'] == [\"labels 'dog' and ' dog' differ by blanks alone (2 such pairs): is that one class?\"]"
done
refused "a name where labels are numbers" 64 "ignore-label 'cat': the labels of this store are whole numbers$" -- mine "$in/plain.h5" --ignore-label cat
refused "numbers in one" 64 "ignore-label '1,2': the labels of this store are whole numbers, each with an --ignore-label of its own$" -- mine "$in/plain.h5" --ignore-label 1,2

refused "a store that was never filled" 65 'never\.h5' 'all 60 rows are zero' -- mine "$in/never.h5"
refused "half filled, under cosine" 65 'half\.h5' 'row 30 has norm zero' 'not wholly filled' -- mine "$in/half.h5" --metric cosine
"$program" mine "$in/half.h5" "$in/half.h5" --json >"$dir/h.json" 2>"$dir/err"
check "half filled, and given twice" "$dir/h.json" "len(j['warnings']) == 2 and 'same file' in j['warnings'][0] and '60 of 120 rows are all zero' in j['warnings'][1]"
"$python" -c "import h5py, sys; f = h5py.File(sys.argv[1], 'w'); f['triplets/anchor'], f['triplets/positive'], f['triplets/negative'] = [0], [1], [2]" "$dir/t.h5"
refused "labels in messages have names" 65 "anchor 0 has label 'cat', its positive 1 has 'dog'" -- loss "$in/strings.h5" --triplets "$dir/t.h5"

finish
