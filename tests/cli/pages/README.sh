# What the commands of README.md work on.
trimine synth queries.h5 --rows 60 --dim 16 --classes 10 --seed 2 --quiet
trimine synth passages.h5 --rows 300 --dim 16 --classes 10 --seed 1 --quiet
for query in {0..59}; do echo "$query $((5 * query))"; done >pairs.txt
python3 - <<'PY'
import h5py, numpy
with h5py.File("passages.h5") as f:
    numpy.save("embeddings.npy", f["embeddings"][:])
    with open("labels.txt", "w") as out:
        print(*(f"class {label}" for label in f["labels"]), sep="\n", file=out)
with h5py.File("queries.h5") as f, h5py.File("test.h5", "w") as out:
    out["embeddings"], out["labels"] = f["embeddings"][:], [f"class {label}" for label in f["labels"]]
PY
for row in {0..299}; do echo "passage $row"; done >passages.txt
for row in {0..59}; do echo "query $row"; done >queries.txt
mkdir data
trimine mine passages.h5 -o data/fashion_triplets.h5 --quiet
