# What the commands of docs/TUTORIAL_FACES.md work on.
python3 - <<'PY'
import numpy

numpy.save("vectors.npy", numpy.random.default_rng(0).standard_normal((60, 16)).astype("f4"))
with open("people.txt", "w") as out:
    print(*(f"person {i % 12}" for i in range(60)), sep="\n", file=out)
PY
