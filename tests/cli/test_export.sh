#!/usr/bin/env bash
# trimine show and trimine export: every kind of result is told of, and comes back the same through other tools.
source "$(dirname "$0")/lib.sh"
jobs_share_starts
cd "$dir" || exit 2
mkdir "$out"

"$python" - <<'PY'
import h5py, json, numpy as np
rng = np.random.default_rng(3)
def store(name, rows, queries=False):
    with h5py.File(name, "w") as f:
        f["embeddings"] = rng.normal(size=(rows, 5)).astype("f4")
        names = [["ant", "b,e\"e", "çat"][k] for k in rng.integers(0, 3, rows)]
        names[7] = "dog" # alone in its class
        f["labels"] = np.array([name.encode() for name in names], dtype="S")
        f["ids"] = rng.permutation(rows) + 1000 * (1 + queries)
store("s.h5", 60)
store("q.h5", 12, True)
with h5py.File("p.h5", "w") as f:
    for name in ("anchor", "positive"): f[name] = rng.normal(size=(7, 4)).astype("f4")
    f["negatives"] = rng.normal(size=(7, 3, 4)).astype("f4")
words = ["plain", "with, comma", 'a "quote"', " space", "tab\tand é 日本", "", "back\\slash", "end\x01"]
texts = ["%s %d" % (words[i % len(words)], i) if i % 9 else words[i % len(words)] for i in range(60)]
open("texts.txt", "w", newline="\n").write("".join(t + "\n" for t in texts))
texts = [t.replace(" ", "\n", 1) for t in texts]
open("texts.jsonl", "w").write("".join(json.dumps(t) + "\n" for t in texts))
with open("objects.jsonl", "w") as objects, open("joined.jsonl", "w") as joined:  # as BEIR has corpora, and what is made of them
    for i, t in enumerate(texts):
        title = [None, "", "A \"title\" é"][i % 3]
        objects.write(json.dumps({"_id": "d%d" % i, "text": t, **({} if title is None else {"title": title})}) + "\n")
        joined.write(json.dumps(title + " " + t if title else t) + "\n")
open("queries.txt", "w").write("\n".join("query %d" % i for i in range(12))) # the last line without its end
PY

makes() {
    quickly "$@" --quiet
    expect "$*" test $? = 0
}
makes mine s.h5 -o triplets.h5 --negatives topk:3 --positives nearest:2 --min-distance 2 --histogram 4
makes mine s.h5 -o gradients.h5 --positives easiest --gradient
makes mine s.h5 -o both.h5 --queries q.h5 --positives easiest --gradient
makes mine s.h5 -o fallback.h5 --positives easiest --window none --fallback hardest
makes mine s.h5 -o lists.h5 --negatives topk:4 --positives nearest:2 --min-distance 9 --form lists
makes mine s.h5 -o batches.h5 --batches 4 --classes-per-batch 2 --rows-per-class 4 --window none --batch-list drawn.h5
makes mine s.h5 -o queries.h5 --queries q.h5 --negatives topk:2 --positives easiest
makes mine s.h5 -o none.h5 --margin 1e-9
makes mine s.h5 -o lone.h5 --negatives hard --lone --ignore-label ant
makes knn s.h5 -o knn.h5 -k 4
makes knn s.h5 --queries q.h5 -o asked.h5 -k 3
makes knn s.h5 -o short.h5 -k 30 --among same
makes radius s.h5 -o radius.h5 --radius 3 --groups
makes eval s.h5 --per-query eval.h5
makes loss s.h5 -o gradient.h5 --loss batch-all --gradient
makes loss p.h5 -o packed.h5 --gradient
makes loss s.h5 --queries q.h5 --triplets queries.h5 -o two.h5 --gradient

for result in triplets gradients both fallback lists batches queries none lone knn short radius eval gradient packed two; do
    quickly show $result.h5
    expect "show $result" test "$? $(grep -c '^rows  ' "$dir/stdout")" = "0 1"
    quickly show $result.h5 --json --rows 3
    expect "show $result --json" test $? = 0
    cp "$dir/stdout" $result.show.json
    for to in npz csv jsonl; do
        quickly export $result.h5 --to $to --quiet
        expect "export $result --to $to" test $? = 0
    done
    [[ $result == packed ]] && continue # is of no store
    quickly export $result.h5 --to npz --quiet -o again.npz --store s.h5
    expect "export $result with its store" test $? = 0
    mv again.npz $result.store.npz
done
quickly show drawn.h5 --json --rows 3
cp "$dir/stdout" drawn.show.json
makes export drawn.h5 --to csv
makes export drawn.h5 --to jsonl
for form in triplet n-tuple labeled-list flagembedding; do
    for result in triplets lists batches; do
        for texts in txt jsonl; do
            quickly export $result.h5 --to jsonl --form $form --texts texts.$texts -o $result.$form.$texts.out --quiet
            expect "export $result --form $form --texts texts.$texts" test $? = 0
        done
    done
done
for form in triplet n-tuple; do
    quickly export lists.h5 --to csv --form $form --texts texts.jsonl -o lists.$form.csv --json
    expect "export --to csv --form $form" test "$? $(value "$dir/stdout" command)" = "0 export"
done
for texts in objects joined; do
    quickly export lists.h5 --to jsonl --form n-tuple --texts $texts.jsonl -o lists.$texts.out --quiet
done
expect "texts in objects, with their titles" cmp lists.objects.out lists.joined.out
quickly export lists.h5 --form n-tuple --texts objects.jsonl:text -o lists.field.jsonl --quiet
quickly export lists.h5 --form n-tuple --texts texts.jsonl -o lists.strings.jsonl --quiet
expect "texts in a field that is named, without titles" cmp lists.field.jsonl lists.strings.jsonl
quickly export triplets.h5 --to csv --store s.h5 -o named.csv
expect "names in CSV" test $? = 0
makes export eval.h5 --store s.h5 -o eval.named.jsonl
for to in csv jsonl; do
    makes export knn.h5 --store s.h5 -o knn.named.$to
    makes export asked.h5 --store s.h5 --queries q.h5 -o asked.named.$to
    makes export two.h5 --store s.h5 --queries q.h5 -o two.named.$to
done
quickly export triplets.h5 --to jsonl --store s.h5 --form triplet -o ids.jsonl
expect "ids where there are no texts" test $? = 0
for to in csv jsonl npz; do
    quickly export triplets.h5 --to $to -o "told.$to" --quiet
    quickly export triplets.h5 -o "by_name.$to" --quiet
    expect "the name of the file says $to" cmp "told.$to" "by_name.$to"
    quickly export triplets.h5 --to csv -o "other.$to" --overwrite --quiet
    expect "--to goes before the name of the file" cmp told.csv "other.$to"
done
quickly export queries.h5 --to jsonl --texts texts.txt --query-texts queries.txt -o queries.texts.jsonl
expect "texts of queries" test $? = 0
quickly export queries.h5 --to jsonl --store s.h5 --queries q.h5 -o queries.named.jsonl
expect "ids of queries" test $? = 0
quickly export lone.h5 --to jsonl --form triplet -o lone.out --json
expect "what has no positive is counted" test "$(value "$dir/stdout" left_out)" -gt 0

"$python" - >"$dir/python.log" 2>&1 <<'PY'
import csv, glob, json, math, h5py, numpy as np

def rows(name): return list(csv.reader(open(name, newline="")))
def lines(name): return [json.loads(l) for l in open(name)]
# Arrays: the same bits, under the last name of their path or with their group.
for name in "triplets gradients both fallback lists batches queries none lone knn short radius eval gradient packed two".split():
    z, found = np.load(name + ".npz", allow_pickle=False), 0
    with h5py.File(name + ".h5") as f:
        paths = []
        f.visititems(lambda p, o: paths.append(p) if isinstance(o, h5py.Dataset) else None)
        for p in paths:
            if p == "label_names":
                assert [x.decode() for x in f[p]] == list(z[p]) == ["ant", 'b,e"e', "dog", "çat"]
                continue
            key = p.split("/")[-1] if p.split("/")[-1] in z and z[p.split("/")[-1]].tobytes() == f[p][:].tobytes() else p.replace("/", "_")
            a = z[key]
            assert a.dtype == f[p].dtype and a.shape == f[p].shape and a.tobytes() == f[p][:].tobytes(), (name, p)
            found += 1
        assert found and len(z.files) == len(paths), (name, z.files, paths)
        z = np.load(("knn" if name == "packed" else name) + ".store.npz")
        with h5py.File("s.h5") as s:
            assert (z["ids"] == s["ids"][:]).all()
            names = sorted(set(s["labels"][:]))
            assert [names[k] for k in z["labels"]] == list(s["labels"][:])
            assert [n.encode() for n in z["label_names"]] == names, name # also where the result has none, as that of knn
        # What show tells.
        told = json.load(open(name + ".show.json"))
        first = [k for k in ("triplets", "lists", "neighbors", "pairs", "relevant", "gradient") if k in f][0]
        group = f[first]
        columns = {k: group[k] for k in group if k != "anchor_start"} if isinstance(group, h5py.Group) else {first: group}
        n = told["counts"]["rows"]
        if first != "gradient": assert n == len(next(iter(columns.values())))
        assert len(told["rows"]) == min(n, 3)
        if first in ("triplets", "lists") and n:
            keep = columns["positive"][:] >= 0
            assert told["anchors"] == len(set(zip(columns["batch"][:] if "batch" in columns else np.zeros(n), columns["anchor"][:])))
            p, q = columns["d_ap"][:][keep], columns["d_an"][:][keep]
            if q.ndim == 2: p = np.repeat(p, q.shape[1]).reshape(q.shape)
            p, q = p[np.isfinite(q)], q[np.isfinite(q)]
            for key, v in ("d_ap", p), ("d_an", q), ("gap", q - p):
                s = told["statistics"][key]
                assert s["count"] == len(v)
                if len(v):
                    assert [s["min"], s["q1"], s["median"], s["q3"], s["max"]] == list(np.quantile(v, [0, .25, .5, .75, 1]))
        if first == "triplets" and n: assert told["fallback"] == columns["kind"][:].sum()
        # CSV and JSON: the same rows, numbers read back exactly.
        if isinstance(group, h5py.Group) and first not in ("gradient",):
            table, objects = rows(name + ".csv"), lines(name + ".jsonl")
            assert len(table) == n + 1 and len(objects) == n
            for i in (0, n // 2, n - 1) if n else ():
                flat = dict(zip(table[0], table[i + 1]))
                for key, c in columns.items():
                    v = c[i]
                    if np.ndim(v):
                        for j, x in enumerate(v): assert float(flat["%s_%d" % (key, j + 1)]) == x, (name, key, i)
                        keep = v[v != -1] if v.dtype.kind == "i" else v[np.isfinite(v)]
                        assert objects[i][key] == keep.tolist()
                    else: assert float(flat[key]) == v and objects[i][key] == v, (name, key, i)
# A line of a relevant row tells its query, one of a list of batches its batch.
for name, number, starts, first in ("eval", "query", "queries/start", "relevant/row"), ("drawn", "batch", "batches/start", "batches/row"):
    with h5py.File(name + ".h5") as f:
        right = np.repeat(np.arange(len(f[starts]) - 1), np.diff(f[starts][:])).tolist()
        assert len(right) == len(f[first])
    table, objects = rows(name + ".csv"), lines(name + ".jsonl")
    assert table[0][0] == number and [int(line[0]) for line in table[1:]] == right, name
    assert [o[number] for o in objects] == right, name
    assert [o[number] for o in json.load(open(name + ".show.json"))["rows"]] == right[:3], name
named = lines("eval.named.jsonl")
with h5py.File("s.h5") as s: assert [o["query_id"] for o in named] == [int(s["ids"][o["query"]]) for o in named]
short = lines("short.jsonl")
with h5py.File("short.h5") as f:
    for i, o in enumerate(short): assert o["row"] == i and o["neighbors"] == [x for x in f["neighbors"][i].tolist() if x >= 0]

# Names and ids.
with h5py.File("s.h5") as s, h5py.File("q.h5") as q, h5py.File("triplets.h5") as t, h5py.File("queries.h5") as tq:
    ids, y, qids = s["ids"][:], [x.decode() for x in s["labels"][:]], q["ids"][:]
    a, p, m = (t["triplets"][k][:] for k in ("anchor", "positive", "negative"))
    table = rows("named.csv")
    for i, r in enumerate(table[1:]):
        r = dict(zip(table[0], r))
        assert int(r["anchor_id"]) == ids[a[i]] and int(r["negative_id"]) == ids[m[i]]
        assert r["positive_label"] == y[p[i]] and r["negative_label"] == y[m[i]]
    assert [[o["anchor"], o["positive"], o["negative"]] for o in lines("ids.jsonl")][::1] is not None
    got = {(o["anchor"], o["positive"], o["negative"]) for o in lines("ids.jsonl")}
    assert got == set(zip(ids[a], ids[p], ids[m])) and len(got) == len(a)
    for i, o in enumerate(lines("queries.named.jsonl")):
        assert o["anchor_id"] == qids[tq["triplets/anchor"][i]] and o["positive_id"] == ids[tq["triplets/positive"][i]]

    # Lines that are of a row each: of the store, or of the queries.
    for name, own, labels in ("knn", ids.tolist(), y), ("asked", qids, None), ("two", ids.tolist(), y):
        head, *table = rows(name + ".named.csv")
        objects = lines(name + ".named.jsonl")
        assert len(table) == len(objects) == len(own)
        for i, (r, o) in enumerate(zip(table, objects)):
            r = dict(zip(head, r))
            assert r["row"] == str(i) and o["row"] == i and r["row_id"] == str(own[i]) and o["row_id"] == own[i], (name, i, r, o)
            assert labels is None or r["row_label"] == o["row_label"] == labels[i]
            assert name == "two" or o["neighbors_id"] == [ids[k] for k in o["neighbors"]]

# Training data, against a plain grouping of the triplets.
def triplets(name):
    with h5py.File(name + ".h5") as f:
        if "lists" in f:
            l = f["lists"]
            return [(0, a, p, n, d, j) for a, p, ns, ds in zip(l["anchor"][:], l["positive"][:], l["negative"][:], l["d_an"][:])
                    for j, (n, d) in enumerate(zip(ns, ds)) if n >= 0]
        t = f["triplets"]
        b = t["batch"][:] if "batch" in t else np.zeros(len(t["anchor"]), int)
        return list(zip(b, t["anchor"][:], t["positive"][:], t["negative"][:], t["d_an"][:], t["rank"][:]))
for texts in "txt", "jsonl":
    x = [json.loads(l) for l in open("texts.jsonl")] if texts == "jsonl" else open("texts.txt", newline="").read().split("\n")
    for name in "triplets", "lists", "batches":
        pairs, anchors = {}, {}
        for t in triplets(name):
            pairs.setdefault(t[:3], []).append(t)
            anchors.setdefault(t[:2], []).append(t)
        k = max(map(len, pairs.values()))
        want = {f: [] for f in ("triplet", "n-tuple", "labeled-list", "flagembedding")}
        for (b, a, p), ts in pairs.items():
            n = [x[t[3]] for t in sorted(ts, key=lambda t: t[5])]
            want["triplet"] += [{"anchor": x[a], "positive": x[p], "negative": y} for y in n]
            want["labeled-list"].append({"anchor": x[a], "documents": [x[p]] + n, "labels": [1] + [0] * len(n)})
            if len(n) == k: want["n-tuple"].append({"anchor": x[a], "positive": x[p], **{"negative_%d" % (i + 1): y for i, y in enumerate(n)}})
        for (b, a), ts in anchors.items():
            want["flagembedding"].append({"query": x[a], "pos": [x[p] for p in dict.fromkeys(t[2] for t in ts)],
                                          "neg": [x[n] for n in dict.fromkeys(t[3] for t in sorted(ts, key=lambda t: (t[4], t[3])))]})
        for form in want:
            got = lines("%s.%s.%s.out" % (name, form, texts))
            assert got == want[form], (name, form, texts, got[:1], want[form][:1])
        if texts == "jsonl" and name == "lists":
            for form in "triplet", "n-tuple":
                table = rows("lists.%s.csv" % form)
                assert [dict(zip(table[0], r)) for r in table[1:]] == want[form]
assert lines("queries.texts.jsonl")[0]["anchor"] == "query 0" or lines("queries.texts.jsonl")[0]["anchor"].startswith("query")
print("fine")
PY
expect "everything reads back as it is" grep -q '^fine' "$dir/python.log" || cat "$dir/python.log"

# A file with all datasets that any kind has: as large as an .npz can get.
"$python" - <<'PY'
import h5py, numpy as np, shutil
shutil.copy("batches.h5", "full.h5")
with h5py.File("full.h5", "r+") as f:
    for name in ["triplets/anchor_start", "degree", "isolated", "group", "queries/start", "gradient/store", "gradient/queries",
                 "histogram/edges", "histogram/counts"] + ["histogram/%s/%s" % (a, b) for a in ("d_ap", "d_an", "gap") for b in ("edges", "counts")]:
        f[name] = np.arange(3)
    f.attrs["queries_rows"] = np.int64(12)
shutil.copy("batches.h5", "huge.h5")
with h5py.File("huge.h5", "r+") as f:
    f.create_dataset("group", (1 << 40, 1 << 20), "i8", chunks=(1, 1))
PY
quickly export full.h5 --to npz -o full.npz --quiet --store s.h5 --queries q.h5
expect "an .npz of all datasets" test $? = 0
"$python" -c 'import numpy as np
z = np.load("full.npz"); assert len(z.files) == 8 + 17 + 5, sorted(z.files); [z[k] for k in z.files]'
expect "an .npz of all datasets reads back" test $? = 0
refused "a dataset that is larger than any file" 65 "dataset '/group' .* is none that trimine writes" -- export huge.h5 --to npz -o "$out/x"

# Refusals: one line, and no file.
refused "no format" 64 "give --to npz, csv or jsonl, or -o FILE with one of these ends" -- export triplets.h5 -o "$out/x.json"
refused "no format and no file" 64 "give --to npz, csv or jsonl" -- export triplets.h5
refused "a store as an argument" 64 "export takes one result; give its store by --store" -- export triplets.h5 s.h5 --to csv -o "$out/x"
refused "forms of numbers" 64 "--to npz holds numbers" -- export triplets.h5 --to npz --form triplet -o "$out/x"
refused "lists in CSV" 64 "which go with --to jsonl only" -- export triplets.h5 --to csv --form flagembedding -o "$out/x"
refused "a form of neighbours" 65 "'knn.h5': --form and --texts are for triplets" -- export knn.h5 --to jsonl --form triplet -o "$out/x"
refused "another number of texts" 65 "texts 'queries.txt': has 12 lines, there are 60 rows" -- export triplets.h5 --to jsonl --texts queries.txt -o "$out/x"
refused "a table of texts" 64 "texts 'texts.tsv': is a table, needs a text a line, or .jsonl: cut -f2" -- export triplets.h5 --to jsonl --texts texts.tsv -o "$out/x"
for option in labels ids query-labels query-ids; do
    refused "$option of no store" 64 "--$option goes with --store" -- export triplets.h5 --to jsonl --$option ids.txt -o "$out/x"
done
refused "what is no result" 65 "result 'queries.txt': not an HDF5 file but a text.*; a result is what a job of trimine wrote by -o" -- export queries.txt --to csv -o "$out/x"
refused "texts that are not there" 66 "texts 'no.txt'" -- export triplets.h5 --to jsonl --texts no.txt -o "$out/x"
sed '5s/.*/nothing/' texts.jsonl >wrong.jsonl
printf '[{"text": "a"}]\n' >array.json
refused "one array of texts" 65 "texts 'array.json': line 1: begins one JSON array, needs an object a line: jq" -- export triplets.h5 --to jsonl --texts array.json -o "$out/x"
refused "a result as texts" 65 "texts 'triplets.h5': is an HDF5 file, needs a text a line" -- export triplets.h5 --to jsonl --texts triplets.h5 -o "$out/x"
"$python" -c 'lines = ["é %d" % i for i in range(60)]
open("utf16.txt", "wb").write("\n".join(lines).encode("utf-16"))
open("latin.txt", "wb").write("\n".join(lines).encode("latin-1"))'
for to in jsonl csv; do
    refused "texts of UTF-16 to $to" 65 "texts 'utf16.txt': line [0-9]+: has a NUL byte: this is no text, or UTF-16: save it as UTF-8$" -- export triplets.h5 --to $to --texts utf16.txt -o "$out/x"
    refused "texts of Latin-1 to $to" 65 "texts 'latin.txt': line [0-9]+: is no UTF-8: iconv" -- export triplets.h5 --to $to --texts latin.txt -o "$out/x"
done
refused "a line that is no JSON" 65 "texts 'wrong.jsonl': line 5 is no JSON string" -- export triplets.h5 --to jsonl --texts wrong.jsonl -o "$out/x"
sed 's/"text"/"body"/' objects.jsonl >wrong.jsonl
refused "another field" 65 "texts 'wrong.jsonl': line [0-9]+ is no object with a string \"caption\"; it has: [a-z_, ]*\bbody\b" -- export triplets.h5 --to jsonl --texts wrong.jsonl:caption -o "$out/x"
refused "a field of no file" 66 "texts 'no.jsonl': No such file" -- export triplets.h5 --to jsonl --texts no.jsonl:caption -o "$out/x"
refused "a column of texts" 64 "texts 'texts.tsv': is a table" -- export triplets.h5 --to jsonl --texts texts.tsv:2 -o "$out/x"
refused "an object without a text" 65 "texts 'wrong.jsonl': line [0-9]+ is no JSON string, and no object with a string \"text\": another field is named as wrong.jsonl:FIELD; it has: [a-z_, ]*\bbody\b" -- export triplets.h5 --to jsonl --texts wrong.jsonl -o "$out/x"
refused "one file of texts for two sets" 64 "is of queries: give --query-texts" -- export queries.h5 --to jsonl --texts texts.txt -o "$out/x"
refused "another store" 65 "attribute 'store_rows' is 60, the rows given are 12" -- export triplets.h5 --to csv --store q.h5 -o "$out/x"
refused "packed triplets and a store" 65 "attribute .store_rows. is missing" -- export packed.h5 --to csv --store s.h5 -o "$out/x"
refused "no result" 65 "attribute 'format' is missing: no result" -- export s.h5 --to csv -o "$out/x"
refused "show: no result" 65 "attribute 'format' is missing: no result" -- show s.h5
cp objects.jsonl own.jsonl
cp s.h5 own.h5
for input in own.jsonl own.h5; do
    refused "export over $input" 64 "output '$input' .*(is one of the inputs|leads to)" -- \
        export triplets.h5 --to csv --store own.h5 --texts own.jsonl:text -o $input --overwrite
done
refused "show: two results" 64 "show takes one result" -- show triplets.h5 lists.h5
refused "an output that is there" 73 "'triplets.csv'.*exists" -- export triplets.h5 --to csv
refused "the result itself" 64 "'triplets.h5'" -- export triplets.h5 --to csv -o triplets.h5 --overwrite
on 3 export triplets.h5 --to csv -o three.csv --quiet
expect "three ranks write the same" cmp three.csv triplets.csv
finish
