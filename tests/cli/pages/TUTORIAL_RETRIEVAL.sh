# What the commands of docs/TUTORIAL_RETRIEVAL.md work on.
python3 - <<'PY'
import numpy

rng = numpy.random.default_rng(0)
passages = rng.standard_normal((1200, 32)).astype("f4")
questions = passages[::12] + 0.5 * rng.standard_normal((100, 32)).astype("f4")
for name, rows in ("questions", questions), ("passages", passages):
    numpy.save(f"{name}.npy", rows)
    with open(f"{name}.txt", "w") as out:
        print(*(f"text {i} of the {name}" for i in range(len(rows))), sep="\n", file=out)
with open("pairs.txt", "w") as out:
    print(*(f"{i} {12 * i}" for i in range(100)), sep="\n", file=out)
PY
