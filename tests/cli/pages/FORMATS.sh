# What the commands of docs/FORMATS.md work on.
trimine synth numbers.h5 --rows 300 --dim 16 --classes 10 --seed 1 --quiet
python3 - <<'PY'
import h5py

with h5py.File("numbers.h5") as f:
    x, labels = f["embeddings"][:], [f"class {label}" for label in f["labels"]]
for name, rows in ("store", 300), ("queries", 40):
    with h5py.File(f"{name}.h5", "w") as f:
        f["embeddings"], f["labels"] = x[:rows], labels[:rows]
with h5py.File("packed.h5", "w") as f:
    f["anchor"], f["positive"], f["negatives"] = x[:20], x[20:40], x[40:120].reshape(20, 4, 16)
PY
