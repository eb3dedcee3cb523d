#!/usr/bin/env bash
# Rows and labels in files that are no HDF5: whatever the format, the same rows give the same result; what breaks a rule is
# refused by one line that names file, object and rule.
source "$(dirname "$0")/lib.sh"
in=$dir/in
mkdir "$in" "$out"

"$python" - "$in" <<'PY' || exit 2
import csv, gzip, json, os, struct, sys
import numpy as np
from stores import folder, write

rng = np.random.default_rng(7)
N, D = 90, 8
x = rng.integers(1, 100, (N, D)).astype("f4")
y = np.arange(N) % 6
names = np.array(["cat", "dog", "a,b", 'q"x', "z z", "two\nlines"])[y]
def path(name):
    return f"{folder}/{name}"
def put(name, data):
    open(path(name), "wb").write(data)
def text(name, data):
    put(name, data.encode())

write("numbers", embeddings=x, labels=y)
write("names", embeddings=x, labels=names.astype(object))
write("large", embeddings=x, labels=np.uint64(2**64 - 1) - y.astype("u8"))
write("queries", embeddings=x[:30], labels=y[:30])
write("unlabelled", embeddings=x)

for t in ("f2", "f4", "f8", ">f4", ">f2", "u1", "i2", "i4", ">i8"):
    np.save(path("x_" + t.replace(">", "b")), x.astype(t))
np.save(path("x_bf16"), (x.view("u4") >> 16).astype("<u2").view("V2"))
put("x_bfloat16.npy", open(path("x_bf16.npy"), "rb").read().replace(b"|V2", b"<V2")) # as numpy writes that of ml_dtypes
np.save(path("x_cube"), x.reshape(N, 4, 2))
np.save(path("part1"), x[:40])
np.save(path("part2"), x[40:])
np.save(path("none"), x[:0])
np.save(path("q"), x[:30])
for version in ((2, 0), (3, 0)):
    with open(path(f"x_v{version[0]}.npy"), "wb") as f:
        np.lib.format.write_array(f, x, version=version)
counts = np.full((N, 1), D, "<i4").view("u1")
put("x.fvecs", np.hstack([counts, x.view("u1")]).tobytes())
put("x.BVECS", np.hstack([counts, x.astype("u1")]).tobytes())
put("x.ivecs", np.hstack([counts, x.astype("<i4").view("u1")]).tobytes())
shape = struct.pack("<ii", N, D)
for suffix, t in (("fbin", "f4"), ("fp16bin", "f2"), ("u8bin", "u1"), ("i8bin", "i1"), ("ibin", "i4")):
    put(f"x.{suffix}", shape + x.astype(t).tobytes())
images = struct.pack(">4B3i", 0, 0, 8, 3, N, 4, 2) + x.astype("u1").tobytes()
put("x-idx3-ubyte", images)
put("x-idx3-ubyte.gz", gzip.compress(images[:100]) + gzip.compress(images[100:])) # two members
put("x-idx2-double", struct.pack(">4B2i", 0, 0, 14, 2, N, D) + x.astype(">f8").tobytes())

np.save(path("y"), y)
np.save(path("y_float"), y.astype("f8"))
np.save(path("y_column"), y.reshape(N, 1).astype("u1"))
np.save(path("y_large"), np.uint64(2**64 - 1) - y.astype("u8"))
np.savetxt(path("savetxt.txt"), y)
text("y.txt", "".join(f"{v}\n" for v in y))
text("y_dos.txt", "\ufeff" + "\r\n".join(map(str, y)))
text("y_q.txt", "".join(f"{v}\n" for v in y[:30]))
text("y_large.txt", "".join(f"{2**64 - 1 - int(v)}\n" for v in y))
put("y-idx1-ubyte.gz", gzip.compress(struct.pack(">4Bi", 0, 0, 8, 1, N) + y.astype("u1").tobytes()))
def table(name, heading, **how):
    with open(path(name), "w", newline="") as f:
        rows = csv.writer(f, **how)
        if heading:
            rows.writerow(["row", "label", "the name"])
        for i in range(N):
            rows.writerow([i, y[i], names[i]])
table("t.csv", True)
table("bare.csv", False)
table("quoted.csv", True, quoting=csv.QUOTE_ALL)
table("t.tsv", True, delimiter="\t")
with open(path("one.csv"), "w") as f:
    f.write("label\n" + "".join(f"{v}\n" for v in y))
def objects(name, change=lambda i, one: one, end="\n"): # lines of JSON; Python's bytes are what they are
    lines = [change(i, {"row": i, "label": int(y[i]), "half": float(y[i]), "text": str(y[i]), "the name": str(names[i]),
                        "no": None, "yes": True, "list": [3], "hash": 2**64 - 1 - i, "large": str(2**64 - 1 - int(y[i]))}) for i in range(N)]
    put(name, end.join(v if isinstance(v, str) else json.dumps(v) for v in lines).encode())
    return lines
objects("t.jsonl")
objects("t.ndjson")
objects("colons.jsonl", lambda i, one: {"the:label": one["label"]})
put("dos.jsonl", b"\xef\xbb\xbf" + open(path("t.jsonl"), "rb").read().replace(b"\n", b"\r\n") + b"\r\n")
objects("values.jsonl", lambda i, one: json.dumps(one["the name"]))
objects("hole.jsonl", lambda i, one: {"row": i} if i == 50 else one)
objects("empty.jsonl", lambda i, one: {"label": ""} if i == 50 else one)
objects("blank.jsonl", lambda i, one: "" if i == 50 else one)
objects("deep.jsonl", lambda i, one: "[" * 100000 if i == 50 else one)
objects("half.jsonl", lambda i, one: {"label": 0.5} if i == 50 else one)
objects("cut.jsonl", lambda i, one: json.dumps(one)[:-1] if i == 50 else one)
objects("long.jsonl", lambda i, one: {"label": "x" * 65537} if i == 50 else one)
objects("wide.jsonl", lambda i, one: {f"field {k}": 1 for k in range(100)})
objects("short.jsonl", lambda i, one: one if i < 89 else "", "\n")
put("nul.jsonl", open(path("t.jsonl"), "rb").read().replace(b"cat", b"c\0t", 1))
put("bytes.jsonl", open(path("t.jsonl"), "rb").read().replace(b"cat", b"c\xfft", 1))
text("array.json", json.dumps([1] * N))
text("pretty.json", json.dumps([{"label": 1}] * N, indent=1))
place = np.argsort(np.argsort(["cat", "dog", "a,b", 'q"x', "z z", "two\nlines"]))[y]
text("y1.txt", "".join(f"{v}\n" for v in y[:40]))
np.save(path("y2"), y[40:])
text("w1.txt", "".join(f"c{v}\n" for v in place[:40]))
text("w2.csv", "what\n" + "".join(f"c{v}\n" for v in place[40:]))
text("mixed1.txt", "".join("7\n" if v == 0 else f"c{v}\n" for v in place[:40])) # "7" comes before "c..." as names
text("mixed2.txt", "".join("7\n" if v == 0 else f"c{v}\n" for v in place[40:]))
text("y_exact.txt", "".join("1.0000000000000000000001\n" if v == 0 else f"{v}.0\n" for v in y)) # no whole number: names
text("y_word.txt", "".join(("MATLAB\n" if v == 0 else f"c{v}\n") for v in y))
text("wide.csv", ",".join(f"c{i}" for i in range(20000)) + "\n" + "".join(f"{v}" + ",0" * 19999 + "\n" for v in y))
text("more.csv", "a,b\n" + "".join(f"{v},cat{', small' if i == 50 else ''}\n" for i, v in enumerate(y)))
text("one_more.csv", "label\n" + "".join(f"{v}{',x' if i == 50 else ''}\n" for i, v in enumerate(y)))
text("same.csv", "a,b,a\n" + "".join(f"{v},{v},{v}\n" for v in y))
put("return.csv", b"a,b\n" + b"".join(b'%d,"%d"\r' % (v, v) for v in y))
put("utf16.txt", "".join(f"{v}\n" for v in y).encode("utf-16"))
put("bom_quoted.csv", ("\ufeff\"label\"\r\n" + "".join(f'"{v}"\r\n' for v in y)).encode())
head = b"{'descr': '<f8', 'fortran_order': False, 'shape': (0, 4611686018427387904), }"
put("huge_none.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head)
put("bomb.gz", gzip.compress(struct.pack(">4B2i", 0, 0, 8, 2, N, D) + bytes(1 << 24))) # more comes out than its header says
put("claim.gz", gzip.compress(struct.pack(">4B4I", 0, 0, 14, 4, *[2**32 - 1] * 4) + bytes(99)))
text("docs.txt", "".join(f"doc {i}\n" for i in range(N)))
text("docs.csv", "id,label\n" + "".join(f'"d,{i}",{y[i]}\n' for i in range(N)))
text("ids1.txt", "".join(f"{i + 100}\n" for i in range(40)))
text("ids2.txt", "".join(f"{i + 100}\n" for i in range(40, N)))
text("ids2_names.txt", "".join(f"é{i}\n" for i in range(40, N)))
np.save(path("ids"), np.arange(N) + 100)
np.save(path("ids_float"), np.arange(N) + 0.0)
large = np.uint64(2**64 - 1) - np.arange(N, dtype="u8")
np.save(path("ids_large"), large)
write("ids_large", embeddings=x, labels=y, ids=large)
text("ids_large.txt", "".join(f"{v}\n" for v in large))
write("ids_signed", embeddings=x, labels=y, ids=np.arange(N))
text("colons.csv", "dc:id,the:label\n" + "".join(f"{i},{v}\n" for i, v in enumerate(y)))
os.mkfifo(path("pipe"))
text("q_ids.txt", "".join(f"q{i}\n" for i in range(30)))
write("part1", embeddings=x[:40], class_of=y[:40])
text("words.txt", "".join(f"c{v}\n" for v in place)) # c0 ... c5 in the order of the names

# what is refused
np.save(path("fortran"), np.asfortranarray(x))
np.save(path("flat"), x.ravel())
np.save(path("value"), np.float32(3))
np.save(path("complex"), x.astype("c8"))
np.save(path("dates"), np.zeros((N, D), "M8[s]"))
np.save(path("empty"), np.zeros((N, 0), "f4"))
class Trap: # loading it would leave a file behind
    def __reduce__(self):
        return os.mkdir, (path("loaded"),)
np.save(path("objects"), np.array([Trap()] * N, object), allow_pickle=True)
nan = x.copy(); nan[17, 3] = np.nan
np.save(path("nan"), nan)
zero = x.copy(); zero[11] = 0
np.save(path("zero"), zero)
np.save(path("dim7"), x[:, :7])
data = open(path("x_f4.npy"), "rb").read()
put("cut.npy", data[:-1])
put("longer.npy", data + b"x")
put("cut_head.npy", data[:40])
put("version9.npy", data[:6] + b"\x09" + data[7:])
for name, keep in (("x.fvecs", -1), ("x.fbin", -1), ("x-idx3-ubyte", -1)):
    put("cut_" + name, open(path(name), "rb").read()[:keep])
data = bytearray(open(path("x.fvecs"), "rb").read())
data[36 * 70] = 9
put("ragged.fvecs", data)
put("short.fbin", b"abc")
put("nothing.fvecs", b"")
put("nothing.npy", b"")
packed = open(path("x-idx3-ubyte.gz"), "rb").read()
put("cut.gz", packed[:-9])
put("damaged.gz", packed[:200] + bytes([packed[200] ^ 0x55]) + packed[201:])
plain, stored = (gzip.compress(gzip.decompress(packed), level) for level in (9, 0))
put("block.gz", plain[:10] + bytes([plain[10] | 6]) + plain[11:])
put("begun.gz", plain[:12])
put("mark.gz", stored[:17] + b"\x55" + stored[18:])
put("text.gz", gzip.compress(b"some text\n" * 100))
np.savez(path("two.npz"), x=x)
np.save(path("y_short"), y[:89])
np.save(path("y_two"), np.stack([y, y], 1))
np.save(path("y_half"), y + 0.5)
np.save(path("y_words"), names)
lines = [f"{v}\n" for v in y]
text("short.txt", "".join(lines[:89]))
text("long.txt", "".join(lines) + "3\n")
text("gap.txt", "".join(lines[:40] + ["\n"] + lines[41:]))
put("nul.txt", "".join(lines).encode().replace(b"3", b"\0", 1))
text("open.csv", "a,b\n" + "".join(f'{v},"{v}\n' for v in y))
text("behind.csv", "a,b\n" + "".join(f'{v},"{v}"x\n' for v in y))
text("fewer.csv", "a,b\n" + "".join(f"{v},{v}\n" if i != 50 else f"{v}\n" for i, v in enumerate(y)))
text("hole.csv", "a,b\n" + "".join(f"{v},{v}\n" if i != 50 else f"{v},\n" for i, v in enumerate(y)))
PY

# hash RANKS ARGUMENTS...: result_hash and fingerprint of what is mined.
hash() {
    on "$1" mine "${@:2}" --window none --json 2>"$dir/err" >"$dir/report" && hash_in "$dir/report"
}
hash_in() {
    "$python" -c 'import json, sys; j = json.load(open(sys.argv[1])); print(j["result_hash"], j["store"]["fingerprint"])' "$1"
}
wanted=() names=()
for ranks in 1 3; do
    wanted[ranks]=$(hash "$ranks" "$in/numbers.h5") || fail "mining HDF5" "$dir/err"
    names[ranks]=$(hash "$ranks" "$in/names.h5") || fail "mining HDF5" "$dir/err"
done
large=$(hash 1 "$in/large.h5")
expect "the hash is the same on 1 and 3 ranks" test "${wanted[1]}" = "${wanted[3]}"

# same WHAT WANTED ARGUMENTS...: mining gives that hash, on 1 and 3 ranks.
same() {
    local ranks got
    for ranks in 1 3; do
        got=
        quickly_on "$ranks" mine "${@:3}" --window none --json && got=$(hash_in "$dir/stdout")
        if [[ $got == "$2" ]]; then pass; else fail "$1 on $ranks ranks: '$got', not '$2'" "$dir/stderr"; fi
    done
}
numbers=${wanted[1]} named=${names[1]}
for name in x_f2.npy x_f4.npy x_f8.npy x_bf4.npy x_bf2.npy x_u1.npy x_i2.npy x_i4.npy x_bi8.npy x_bf16.npy x_bfloat16.npy x_cube.npy x_v2.npy x_v3.npy \
    x.fvecs x.BVECS x.ivecs x.fbin x.fp16bin x.u8bin x.i8bin x.ibin x-idx3-ubyte x-idx3-ubyte.gz x-idx2-double; do
    same "$name" "$numbers" "$in/$name" --labels "$in/y.npy"
done
for labels in y_float.npy y_column.npy y.txt y_dos.txt savetxt.txt y-idx1-ubyte.gz t.csv:label t.csv:2 bare.csv:2 quoted.csv:label \
    t.tsv:label one.csv one.csv:label t.jsonl:label t.jsonl:half t.jsonl:text dos.jsonl:label t.ndjson:label \
    colons.csv:the:label colons.jsonl:the:label; do
    same "labels of $labels" "$numbers" "$in/x_f4.npy" --labels "$in/$labels"
done
for labels in "t.csv:the name" t.csv:3 bare.csv:3 quoted.csv:3 "t.tsv:the name" words.txt \
    "t.jsonl:the name" "dos.jsonl:the name" values.jsonl; do
    same "names of $labels" "$named" "$in/x_f4.npy" --labels "$in/$labels"
done
same "labels beyond int64 of an array" "$large" "$in/x_f4.npy" --labels "$in/y_large.npy"
same "labels beyond int64 of a text" "$large" "$in/x_f4.npy" --labels "$in/y_large.txt"
same "labels beyond int64 of strings in JSON" "$large" "$in/x_f4.npy" --labels "$in/t.jsonl:large"
same "a mark of UTF-8, quotes, ends of lines of Windows" "$numbers" "$in/x_f4.npy" --labels "$in/bom_quoted.csv"
same "many columns" "$numbers" "$in/x_f4.npy" --labels "$in/wide.csv:c0"
same "a file without rows beside one with" "$numbers" "$in/huge_none.npy" "$in/x_f4.npy" --labels "$in/y.npy"
quickly info "$in/x_f4.npy" --labels "$in/y_exact.txt"
expect "what is nearly a whole number is a name" grep -q "names       6.*'1.0', '1.0000000000000000000001', '2.0'" "$dir/stdout"
quickly info "$in/x_f4.npy" --labels "$in/y_word.txt"
expect "a text may begin with the mark of another format" grep -q "names       6.*'MATLAB'" "$dir/stdout"
same "several files, one of labels" "$numbers" "$in/part1.npy" "$in/none.npy" "$in/part2.npy" --labels "$in/t.csv:label"
same "a file of labels for each store" "$numbers" "$in/part1.npy" "$in/part2.npy" --labels "$in/y1.txt" --labels "$in/y2.npy"
same "names for each store" "$named" "$in/part1.npy" "$in/part2.npy" --labels "$in/w1.txt" --labels "$in/w2.csv"
same "numbers of one text are names where others are" "$named" "$in/part1.npy" "$in/part2.npy" \
    --labels "$in/mixed1.txt" --labels "$in/mixed2.txt"
same "a dataset for one store, a file for the other" "$numbers" "$in/part1.h5" "$in/part2.npy" --labels class_of --labels "$in/y2.npy"
same "labels of a file go before those of HDF5" "$named" "$in/numbers.h5" --labels "$in/words.txt"

# Two sets: each has its labels where they are.
queries=$(hash 1 "$in/numbers.h5" --queries "$in/queries.h5")
same "queries of .npy" "$queries" "$in/x_f4.npy" --labels "$in/y.npy" --queries "$in/q.npy" --query-labels "$in/y_q.txt"
same "queries of HDF5, a store of .npy" "$queries" "$in/x.fvecs" --labels "$in/y.txt" --queries "$in/queries.h5"
same "a store of HDF5, queries of .npy" "$queries" "$in/numbers.h5" --queries "$in/q.npy" --query-labels "$in/y_q.txt"

# Other commands.
for command in "knn --k 3" "eval" "radius --radius 60" "loss --loss batch-hard" "info"; do
    read -ra words <<<"$command"
    quickly "${words[@]}" "$in/numbers.h5" --json
    cp "$dir/stdout" "$dir/one.json"
    quickly "${words[@]}" "$in/x.fbin" --labels "$in/t.csv:label" --json
    expect "$command: the same of .fbin" "$python" - "$dir/one.json" "$dir/stdout" <<'PY'
import json, sys
a, b = (json.load(open(p)) for p in sys.argv[1:])
def strip(j):
    return {k: v for k, v in j.items() if k not in ("run", "files", "ranks")} if isinstance(j, dict) else j
assert "error" not in a and strip(a) == strip(b), (strip(a), strip(b))
PY
done
quickly knn "$in/x_f4.npy" --k 2 --json
expect "knn needs no labels" test $? = 0
quickly info "$in/x_f2.npy" --labels "$in/t.csv:the name"
expect "info names format, type and where labels are" \
    grep -qE "embeddings 'npy' 90 x 8 float16; labels 'column 3' of '.*/t.csv' 90 strings; ids none" "$dir/stdout"
quickly info "$in/x_f2.npy" --labels "$in/t.jsonl:the name" --ids "$in/t.jsonl:row"
expect "info names fields of JSON" \
    grep -qE "labels 'field the name' of '.*/t.jsonl' 90 strings; ids field row of '.*/t.jsonl'" "$dir/stdout"

# What is refused.
no() { # NAME CODE PATTERN... -- FILE OPTIONS...
    refused "${@:1:$#}" -o "$out/t.h5"
}
sick() { # NAME PATTERN...: rows of that file
    no "$1" 65 "store '.*/$1'" "${@:2}" -- mine "$in/$1" --labels "$in/y.npy"
}
sick fortran.npy "Fortran order.*ascontiguousarray"
sick flat.npy "720 values in one dimension, needs rows x columns"
sick value.npy "a single value, needs rows"
sick complex.npy "holds '<c8', needs numbers"
sick dates.npy "holds '<M8"
sick empty.npy "90 x 0, needs at least one row and 1 to 65536 columns"
sick none.npy "no rows"
sick objects.npy "Python objects \(a pickle\)"
expect "no pickle was loaded" test ! -e "$in/loaded"
sick nan.npy "row 17 has a non-finite value \(nan\) at column 3"
no "zero.npy" 65 "zero.npy': row 11 has norm zero" -- mine "$in/zero.npy" --labels "$in/y.npy" --normalize
no "two dims" 65 "dim7.npy': the array has dim 7, '.*x_f4.npy' has 8" -- mine "$in/x_f4.npy" "$in/dim7.npy" --labels "$in/y.npy"
sick cut.npy "truncated .npy file: its array needs 2880 bytes, 2879"
sick longer.npy "1 bytes behind the array"
sick cut_head.npy "ends within its header"
sick version9.npy "version 9.0"
sick cut_x.fvecs "8 values, so 36 bytes a row.*truncated, or no .fvecs file"
sick ragged.fvecs "row 70 says that it has 9 values, row 0 has 8"
sick cut_x.fbin "90 rows x 8 of a .fbin file do not take 2887 bytes: truncated"
sick short.fbin "ends within its first 8 bytes"
sick cut_x-idx3-ubyte "90 rows of an IDX file of 3 dimensions do not take 735 bytes"
sick cut.gz "truncated gzip file"
sick damaged.gz "damaged gzip file"
sick block.gz "damaged gzip file \(invalid block type\)"
sick begun.gz "truncated gzip file"
sick mark.gz "damaged gzip file \(incorrect data check\)"
sick bomb.gz "90 rows of an IDX file of 2 dimensions do not take 733 bytes or more"
sick claim.gz "4294967295 rows of an IDX file of 4 dimensions do not take 119 bytes or more"
sick text.gz "a gzip file; unpack it first"
sick nothing.npy "an empty file"
sick nothing.fvecs "an empty file"
sick two.npz "NumPy arrays \(.npz\); convert it: numpy.save\('store.npy', numpy.load\(FILE\)\[NAME\]\)"
printf '{"id": "a", "embedding": [1, 2]}\n' >"$in/vectors.jsonl"
sick vectors.jsonl "a JSON text; .*pandas.read_json\(FILE, lines=True\)\['embedding'\]\)\), .*; where it has ids or labels, it is a file of --ids or --labels"
sick t.csv "a text.*numpy.loadtxt\(FILE\)\), .* \(of a CSV: with delimiter=','\); where it has the labels, it is a file of --labels"
no "no such file" 66 "absent.npy': No such file" -- mine "$in/absent.npy" --labels "$in/y.npy"

poor() { # NAME CODE PATTERN...: labels of that file
    no "labels of $1" "$2" "labels '.*/${1%:*}'" "${@:3}" -- mine "$in/x_f4.npy" --labels "$in/$1"
}
poor absent.npy 66 "No such file"
poor absent.csv:label 66 "No such file"
poor y_short.npy 65 "89 labels, for 90 rows"
poor y_two.npy 65 "90 rows of 2 values \(int64\), needs one value a row"
poor x_bf16.npy 65 "90 rows of 8 values \(bfloat16\)"
poor y_half.npy 65 "row 0 has the value 0.5, which is no whole number"
poor y_words.npy 65 "holds '<U9', needs numbers.*integers; names of labels go into a .txt, one a line$"
poor objects.npy 65 "Python objects"
poor short.txt 65 "89 labels, for 90 rows"
poor long.txt 65 "91 labels, for 90 rows: needs one for each: is its first line a heading"
poor gap.txt 65 "line 41: is empty: one label a line"
poor nul.txt 65 "line 4: has a NUL byte"
poor t.csv 65 "3 columns: choose one as .*t.csv:COLUMN.*row, label, the name"
poor t.csv:colour 65 "no column 'colour'.*1 to 3.*row, label, the name"
poor t.csv:4 65 "no column '4'"
poor open.csv:b 65 "line 9[0-9]: a quote does not end|line [0-9]+: something follows a field in quotes"
poor behind.csv:b 65 "line 2: something follows a field in quotes"
poor fewer.csv:b 65 "line 52: has 1 field, the labels are in field 2"
poor hole.csv:b 65 "line 52: its label is empty"
poor more.csv:b 65 "line 52: has 3 fields, the first line has 2: put fields that have the separator in them into quotes"
poor one_more.csv 65 "line 52: has 2 fields, the first line has 1"
poor same.csv:a 65 "several columns are called 'a': give the number of one"
poor return.csv:b 65 "line 2: something follows a field in quotes"
poor utf16.txt 65 "line 1: has a NUL byte: this is no text, or UTF-16: save it as UTF-8"
poor wide.csv 65 "20000 columns: choose one as .*: c0, c1, c2.*, \.\.\.$"
poor two.npz 65 "nor text but NumPy arrays"
poor numbers.h5 65 "nor text but an HDF5 file"
poor y.txt:label 64 "is no .csv, .tsv or .jsonl, so has no columns: leave out ':label'"
poor t.jsonl 65 "its lines are objects: choose a field of them as .*t.jsonl:FIELD; line 1 has: row, label, half, text, the name, no, yes, list, hash, large$"
poor t.jsonl: 65 "choose a field of them as .*t.jsonl:FIELD"
poor wide.jsonl 65 "line 1 has: field 0, field 1, .*, \.\.\.$"
poor t.jsonl:colour 65 "line 1: has no field 'colour'; it has: row, label,"
poor hole.jsonl:label 65 "line 51: has no field 'label'; it has: row$"
poor values.jsonl:label 65 "line 1: is a string: needs an object with the field 'label'"
poor t.jsonl:no 65 "line 1: 'no' is null: needs a string or a whole number"
poor t.jsonl:yes 65 "line 1: 'yes' is true: needs a string"
poor t.jsonl:list 65 "line 1: 'list' is a list: needs a string"
poor t.jsonl:hash 65 "line 1: 'hash' is too large for a number of JSON: write it as a string"
poor half.jsonl:label 65 "line 51: 'label' has a fraction"
poor empty.jsonl:label 65 "line 51: 'label' is empty"
poor blank.jsonl:label 65 "line 51: is empty: needs an object a line"
poor long.jsonl:label 65 "line 51: 'label' has more than 65536 bytes: one short value a row"
poor cut.jsonl:label 65 "line 51: is no JSON \('}' expected near end of file\): needs a whole object a line"
poor deep.jsonl:label 65 "line 51: is no JSON"
poor short.jsonl:label 65 "has 89 labels, for 90 rows: needs one for each$"
poor nul.jsonl:label 65 "line 1: has a NUL byte"
poor bytes.jsonl:label 65 "line 1: is no JSON \(unable to decode byte 0xff"
poor array.json:label 65 "line 1: begins one JSON array, needs an object a line: jq -c '.\[\]' FILE.json >FILE.jsonl"
poor pretty.json 65 "line 1: begins one JSON array"
poor absent.jsonl:label 66 "No such file"
poor "t.jsonl:$(printf 'x%.0s' {1..256})" 64 "a name of a field has at most 255 bytes"
poor t.ndjson 65 "its lines are objects: choose a field of them as"
poor pipe 66 "is a pipe, needs a file"
no "a folder of labels" 66 "--labels '$in': is a folder, needs a file" -- mine "$in/x_f4.npy" --labels "$in"
poor y.npy:label 64 "no columns with names: leave out ':label'"
"$python" -c 'import numpy as np, sys; np.save(sys.argv[2], np.ascontiguousarray(np.load(sys.argv[1]).T))' "$in/x_f4.npy" "$in/turned.npy"
no "columns for rows" 65 "has 90 labels, for 8 rows: needs one for each: the rows have as many columns: is it transposed\? Save its .T" -- \
    mine "$in/turned.npy" --labels "$in/y.txt"
sed '8s/.*//' "$in/y.txt" >"$in/blank.txt" # as many labels before it as columns
poor blank.txt 65 "line 8: is empty: one label a line$"
no "no labels" 65 "x_f4.npy': has no labels.*give --labels FILE \(.npy, .txt, .csv:COLUMN or .jsonl:FIELD\)" -- mine "$in/x_f4.npy"
no "no labels of queries" 65 "queries '.*q.npy'.*give --query-labels FILE.*or --pairs" -- \
    mine "$in/numbers.h5" --queries "$in/q.npy"
no "a dataset of .npy" 64 "no HDF5 file but npy, which has no datasets: leave out --embeddings" -- \
    mine "$in/x_f4.npy" --embeddings X --labels "$in/y.npy"
no "labels of another name" 66 "--labels 'y': No such file, and store '.*x_f4.npy' \(npy\) has no datasets" -- \
    mine "$in/x_f4.npy" --labels y
no "labels of the wrong part" 65 "labels '.*y2.npy': has 50 labels, for 40 rows" -- \
    mine "$in/part1.npy" "$in/part2.npy" --labels "$in/y2.npy" --labels "$in/y1.txt"
no "labels for two of three" 64 "--labels is given 2 times, for 3 stores: give it once for all, or once for each" -- \
    mine "$in/part1.npy" "$in/none.npy" "$in/part2.npy" --labels "$in/y1.txt" --labels "$in/y2.npy"
no "labels of two sorts" 65 "labels '.*y2.npy': labels of '.*part2.npy' are numbers.*part1.npy' are names" -- \
    mine "$in/part1.npy" "$in/part2.npy" --labels "$in/w1.txt" --labels "$in/y2.npy"
no "labels of an empty store" 65 "y1.txt': has 40 labels, for 0 rows" -- \
    mine "$in/none.npy" "$in/x_f4.npy" --labels "$in/y1.txt" --labels "$in/y.npy"
bad_ids() { # NAME CODE PATTERN...: ids of that file
    no "ids of $1" "$2" "${@:3}" -- mine "$in/x_f4.npy" --labels "$in/y.npy" --ids "$in/$1"
}
bad_ids ids1.txt 65 "ids '.*ids1.txt': has 40 ids, for 90 rows"
bad_ids gap.txt 65 "ids '.*gap.txt': line 41: is empty: one id a line"
bad_ids ids_float.npy 65 "ids '.*ids_float.npy': holds float64, needs integers"
bad_ids docs.csv 65 "2 columns: choose one"
bad_ids absent.txt 66 "ids '.*absent.txt': No such file"
no "a dataset of ids of .npy" 66 "--ids 'ids': No such file, and store '.*x_f4.npy' \(npy\) has no datasets" -- \
    mine "$in/x_f4.npy" --labels "$in/y.npy" --ids ids
no "ids of two sorts" 65 "ids '.*ids.npy': ids of '.*x_f4.npy' are numbers.*names" -- \
    mine "$in/x_f4.npy" "$in/x_f4.npy" --labels "$in/y.npy" --labels "$in/y.npy" --ids "$in/docs.txt" --ids "$in/ids.npy"
no "ids of queries without any" 64 "--query-ids goes with --queries only" -- \
    mine "$in/numbers.h5" --query-ids "$in/ids.npy"
no "labels of queries without any" 64 "--query-labels goes with --queries only" -- \
    mine "$in/numbers.h5" --query-labels "$in/y.npy"
no "numbers and names" 65 "labels of '.*queries.h5' are numbers.*x_f4.npy' are names.*the same sort" -- \
    mine "$in/x_f4.npy" --labels "$in/words.txt" --queries "$in/queries.h5"
# import: one HDF5 file, the same bytes on any number of ranks, with the same rows and labels.
"$python" - "$in" <<'PY' || exit 2
import struct
import numpy as np
from stores import folder, write
halves = np.arange(2**16, dtype="u2").view("f2")
halves = halves[np.isfinite(halves)]
np.save(f"{folder}/halves", halves.reshape(-1, 32))
for t in ("i1", "u2", "i2"):
    info = np.iinfo(t)
    np.save(f"{folder}/{t}", np.linspace(info.min, info.max, 256).astype(t).reshape(-1, 4))
large = np.arange(5000 * 4096, dtype="u4").astype("u1").reshape(5000, 4096) # several pieces
open(f"{folder}/large.u8bin", "wb").write(struct.pack("<ii", 5000, 4096) + large.tobytes())
open(f"{folder}/large.txt", "w").write("".join(f"{v % 77}\n" for v in range(5000)))
write("ids", embeddings=np.ones((5, 3), "f4"), labels=np.arange(5), ids=np.arange(5) + 100)
write("ids_not", embeddings=np.ones((5, 3), "f4"), labels=np.arange(5))
write("ids_short", embeddings=np.ones((5, 3), "f4"), labels=np.arange(5), ids=np.arange(4))
write("ids_only", embeddings=np.ones((5, 3), "f4"), ids=np.arange(5) + 200)
open(f"{folder}/five.txt", "w").write("0\n1\n2\n3\n4\n")
PY
imported() { # WHAT FILES...: on 1 and 3 ranks, as $dir/import.h5
    rm -f "$dir"/import*.h5
    on 3 import "$dir/import3.h5" "${@:2}" >"$dir/stdout" 2>"$dir/stderr"
    expect "import of $1 on 3 ranks" test $? = 0
    quickly import "$dir/import.h5" "${@:2}"
    expect "import of $1" test $? = 0
    expect "import of $1: the same bytes" cmp "$dir/import.h5" "$dir/import3.h5"
}
holds() { # WHAT PYTHON: an expression of the imported f and the folder
    expect "$1" "$python" -c "import h5py, sys, numpy as np; f = h5py.File(sys.argv[1] + '/import.h5'); folder = sys.argv[2]; assert $2" \
        "$dir" "$in"
}
imported x_f4.npy "$in/x_f4.npy" --labels "$in/y.npy"
same "what was imported" "$numbers" "$dir/import.h5"
imported "names" "$in/part1.npy" "$in/none.npy" "$in/part2.npy" --labels "$in/t.csv:the name"
same "what was imported with names" "$named" "$dir/import.h5"
holds "names are strings" "f['labels'].dtype == 'S9' and f['labels'][3] == b'q\"x' and f['embeddings'].dtype == '<f4'"
imported "labels beyond int64" "$in/x.fbin" --labels "$in/y_large.txt"
same "labels beyond int64 that were imported" "$large" "$dir/import.h5"
imported "float16" "$in/halves.npy"
holds "float16 stays, each value" "f['embeddings'].dtype == '<f2' and (f['embeddings'][:].view('u2') == np.load(folder + '/halves.npy').view('u2')).all()"
holds "without labels there are none" "list(f) == ['embeddings']"
for type in i1 u2 i2; do
    imported "$type" "$in/$type.npy"
    holds "$type stays" "f['embeddings'].dtype == '$type' and (f['embeddings'][:] == np.load(folder + '/$type.npy')).all()"
done
imported "several pieces" "$in/large.u8bin" --labels "$in/large.txt"
holds "all pieces are there" "f['embeddings'].dtype == 'u1' and f['embeddings'].shape == (5000, 4096) and \
    (f['embeddings'][:].ravel() == np.arange(5000 * 4096, dtype='u4').astype('u1')).all() and (f['labels'][:] == np.arange(5000) % 77).all()"
imported "pixels" "$in/x-idx3-ubyte.gz" --labels "$in/y-idx1-ubyte.gz" --divide 255
holds "pixels are divided" "(f['embeddings'][:] == np.load(folder + '/x_f4.npy') / np.float32(255)).all()"
imported "ids" "$in/ids.h5"
expect "import says that ids are there" grep -q 'with labels, with ids$' "$dir/stderr"
holds "ids stay" "list(f['ids']) == [100, 101, 102, 103, 104]"
for file in ids.npy docs.csv:id docs.txt t.jsonl:row; do
    imported "ids of $file" "$in/part1.npy" "$in/part2.npy" --labels "$in/y.npy" --ids "$in/$file"
    case $file in
    ids.npy) holds "ids are numbers" "f['ids'].dtype == 'i8' and (f['ids'][:] == np.arange(90) + 100).all()" ;;
    t.jsonl:row) holds "ids are a field" "(f['ids'][:] == np.arange(90)).all()" ;;
    docs.txt) holds "ids are strings" "list(f['ids'].asstr()) == [f'doc {i}' for i in range(90)]" ;;
    *) holds "ids are a column" "list(f['ids'].asstr()) == [f'd,{i}' for i in range(90)]" ;;
    esac
done
for file in ids_large.npy ids_large.txt; do
    imported "ids beyond int64 of $file" "$in/x_f4.npy" --ids "$in/$file"
    holds "ids beyond int64 of $file stay" "f['ids'].dtype == 'u8' and (f['ids'][:] == np.load(folder + '/ids_large.npy')).all()"
done
imported "ids beyond int64 of HDF5" "$in/ids_large.h5"
holds "ids beyond int64 of HDF5 stay" "(f['ids'][:] == np.load(folder + '/ids_large.npy')).all()"
# What only some files have is never left out without a word.
imported "ids of one of two" "$in/ids.h5" "$in/ids_not.h5"
expect "ids that are left out are told" grep -q "warning: store '.*ids.h5': its ids are not imported: other files of the store have none" "$dir/stderr"
holds "ids of one of two are none" "sorted(f) == ['embeddings', 'labels']"
quickly import "$dir/import.h5" "$in/ids.h5" "$in/ids_short.h5" --overwrite --json
expect "also in JSON" grep -q '"ids": false, "warnings": \["store .*ids.h5.: its ids (and those of 1 other file) are not imported' "$dir/stdout"
quickly import "$dir/import.h5" "$in/ids_short.h5" --overwrite
expect "so are ids of the wrong number" grep -q "its ids are not imported: dataset '/ids' has 4 rows, '/embeddings' has 5" "$dir/stderr"
for order in "ids ids_only" "ids_only ids"; do
    read -r one two <<<"$order"
    refused "labels of one of two" 65 "store '.*/ids_only.h5': has no labels, '.*/ids.h5' has: give those of all rows by --labels" -- \
        import "$out/i.h5" "$in/$one.h5" "$in/$two.h5"
done
imported "a dataset of labels, and a file" "$in/ids.h5" "$in/ids_only.h5" --labels labels --labels "$in/five.txt"
holds "both are there" "list(f['labels']) == [0, 1, 2, 3, 4] * 2"
refused "ids beyond int64 beside others with a sign" 65 "ids_large.h5': dataset '/ids' row 0 has the value 18446744073709551615, which does not fit int64" -- \
    import "$out/i.h5" "$in/ids_large.h5" "$in/ids_signed.h5"
imported "ids for each store" "$in/part1.npy" "$in/part2.npy" --labels "$in/y.npy" --ids "$in/ids1.txt" --ids "$in/ids2.txt"
holds "ids for each store follow each other" "(f['ids'][:] == np.arange(90) + 100).all()"
imported "ids of two sorts of text" "$in/part1.npy" "$in/part2.npy" --ids "$in/ids1.txt" --ids "$in/ids2_names.txt"
holds "ids are strings if any is" "list(f['ids'].asstr()) == [str(i + 100) if i < 40 else f'é{i}' for i in range(90)]"

# What is exported has them.
quickly mine "$in/x_f4.npy" --labels "$in/y.npy" --queries "$in/q.npy" --query-labels "$in/y_q.txt" --window none -o "$dir/ids.h5"
quickly export "$dir/ids.h5" --to csv --store "$dir/import.h5" --queries "$in/q.npy" --query-ids "$in/q_ids.txt" -o "$dir/ids.csv"
expect "ids of a store, and of queries in a file, in CSV" "$python" - "$dir/ids.csv" <<'PY'
import csv, sys
rows = list(csv.DictReader(open(sys.argv[1])))
name = lambda i: str(i + 100) if i < 40 else f"é{i}"
assert rows and all(r["anchor_id"] == f"q{r['anchor']}" and r["positive_id"] == name(int(r["positive"])) and
                    r["negative_id"] == name(int(r["negative"])) for r in rows), rows[:2]
PY
quickly export "$dir/ids.h5" --to npz --store "$in/x_f4.npy" --ids "$in/docs.csv:id" --queries "$in/q.npy" \
    --query-ids "$in/q_ids.txt" -o "$dir/ids.npz"
expect "ids in .npz" "$python" -c "import numpy as np, sys; z = np.load(sys.argv[1]); \
    assert list(z['ids']) == [f'd,{i}' for i in range(90)] and list(z['query_ids']) == [f'q{i}' for i in range(30)]" "$dir/ids.npz"
quickly knn "$in/ids_large.h5" --k 2 -o "$dir/large_ids.h5"
for to in npz csv jsonl; do
    quickly export "$dir/large_ids.h5" --store "$in/ids_large.h5" --labels "$in/y_large.npy" -o "$dir/large_ids.$to"
done
expect "ids and labels beyond int64 in all formats" "$python" - "$dir/large_ids" "$in/ids_large.npy" "$in/y_large.npy" <<'PY'
import csv, json, sys
import numpy as np
ids, labels = np.load(sys.argv[2]), np.load(sys.argv[3])
z = np.load(sys.argv[1] + ".npz")
assert (z["ids"] == ids).all() and (z["labels"] == labels).all(), (z["ids"].dtype, z["labels"].dtype)
for rows in (csv.DictReader(open(sys.argv[1] + ".csv")), map(json.loads, open(sys.argv[1] + ".jsonl"))):
    rows = list(rows)
    assert [int(r["row_id"]) for r in rows] == ids.tolist() and [int(r["row_label"]) for r in rows] == labels.tolist()
PY
quickly info "$in/x_f4.npy" --labels "$in/y.npy" --ids "$in/docs.csv:id"
expect "info says where ids are" grep -qE "ids column 1 of '.*/docs.csv' strings" "$dir/stdout"
quickly import "$dir/import.h5" "$in/x_f4.npy" --overwrite --json
expect "import reports" test "$(value "$dir/stdout" rows) $(value "$dir/stdout" dim) $(value "$dir/stdout" labels)" = "90 8 false"
refused "import without a file" 64 "an output file and what goes into it" -- import "$out/i.h5"
refused "import into an array" 64 "output '.*/i.npy': a store is HDF5: call it .h5$" -- import "$out/i.npy" "$in/x_f4.npy"
refused "a synthetic store that is called a table" 64 "output '.*/s.csv': a store is HDF5: call it .h5$" -- synth "$out/s.csv" --rows 10
refused "import over an input" 64 "x_f4.npy' is one of the inputs" -- import "$in/x_f4.npy" "$in/x_f4.npy" --overwrite
refused "import of nan" 65 "nan.npy': row 17 has a non-finite value" -- import "$out/i.h5" "$in/nan.npy"
refused "import of too few labels" 65 "short.txt': has 89 labels" -- import "$out/i.h5" "$in/x_f4.npy" --labels "$in/short.txt"
refused "import of what is cut" 65 "cut.npy': truncated" -- import "$out/i.h5" "$in/cut.npy"
"$python" - "$in" <<'PY'
import numpy as np, sys
folder = sys.argv[1]
np.save(f"{folder}/many.npy", np.zeros((20000, 1), "u1"))
for name, long in ("long", 60000), ("bearable", 40000):
    with open(f"{folder}/{name}.txt", "w") as f:
        f.writelines("x" * (long if i == 17777 else 3) + f"{i % 7}\n" for i in range(20000))
PY
long="has 60001 bytes, and in one store all take the room of the longest: 1.2 GB, where the others need 0.000 GB; shorten it, or name others by"
refused "an id that is a text" 65 "many.npy': the id of row 17777 $long --ids" -- \
    import "$out/i.h5" "$in/many.npy" --ids "$in/long.txt"
refused "a label that is a text" 65 "many.npy': label 'x{32}\.\.\.' $long --labels" -- \
    import "$out/i.h5" "$in/many.npy" --labels "$in/long.txt"
quickly_on 3 import "$dir/import.h5" "$in/many.npy" --ids "$in/bearable.txt" --overwrite --quiet
holds "an id that is long, but bearable, is kept" "len(f['ids'][17777]) == 40001 and f['ids'][17776] == b'xxx3'"
refused "division by 0" 64 "--divide '0'" -- import "$out/i.h5" "$in/x_f4.npy" --divide 0
cp "$in/numbers.h5" "$out/i.h5"
kept=$out/i.h5
refused "import to what is there" 73 "i.h5' exists; give --overwrite" -- import "$out/i.h5" "$in/x_f4.npy"
rm "$out/i.h5"

kept=
cp "$in/y.txt" "$out/y"
kept=$out/y
refused "an output in place of the labels" 64 "out/y' is one of the " -- mine "$in/x_f4.npy" --labels "$out/y" -o "$out/y" --overwrite
finish
