# What the commands of docs/TUTORIAL_RETRIEVAL.md work on.
python3 - <<'PY'
import json, numpy

rng = numpy.random.default_rng(0)
passages = rng.standard_normal((1200, 32)).astype("f4")
questions = passages[::12] + 0.5 * rng.standard_normal((100, 32)).astype("f4")
for name, letter, rows in ("questions", "q", questions), ("passages", "p", passages):
    numpy.save(f"{name}.npy", rows)
    with open(f"{name}.jsonl", "w") as out:
        for i in range(len(rows)):
            print(json.dumps({"_id": f"{letter}{7 * i}", "title": "", "text": f"text {i}\nof the {name}"}), file=out)
with open("qrels.tsv", "w") as out:
    print("query-id\tcorpus-id\tscore", *(f"q{7 * i}\tp{84 * i}\t1" for i in range(100)), sep="\n", file=out)
PY
