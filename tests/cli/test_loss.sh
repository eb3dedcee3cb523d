#!/usr/bin/env bash
# trimine loss and mine --gradient as a user runs them: golden values and presets, the same bytes on any number of
# ranks, every way to the same triplets gives the same value and gradient, and clear errors.
source "$(dirname "$0")/lib.sh"
jobs_share_starts
in=$dir/in
mkdir "$in" "$out"

"$python" - "$in" <<'PY' || exit 2
import numpy as np
from stores import write

line = np.array([0, 6, 1, 3, 6, -1, 4], np.float32)[:, None]
names = np.array([0, 0, 1, 2, 1, 3, 2])
write("golden", embeddings=line, labels=names)
rng = np.random.default_rng(3)
x = rng.standard_normal((300, 24)).astype(np.float32)
y = rng.integers(0, 9, 300)
x += 1.5 * rng.standard_normal((9, 24)).astype(np.float32)[y]
write("store", embeddings=x, labels=y)

def triplets(name, rows, **more):
    t = np.array(rows, np.int64).reshape(-1, 3)
    write(name, triplets__anchor=t[:, 0], triplets__positive=t[:, 1], triplets__negative=t[:, 2], **more)

good = [[0, 1, 2], [1, 0, 5], [2, 4, 0]]
triplets("good", good)
triplets("none", [])
triplets("range", good + [[6, 3, 7], [0, 0, 2]])
triplets("below", good + [[-1, 3, 2]])
triplets("same", good + [[6, 6, 0]])
triplets("positive", good + [[0, 3, 2]])
triplets("negative", good + [[3, 6, 6]])
write("no_negative", triplets__anchor=[0], triplets__positive=[1])
write("float", triplets__anchor=[0.0], triplets__positive=[1.0], triplets__negative=[2.0])
write("lengths", triplets__anchor=[0, 0], triplets__positive=[1], triplets__negative=[2])

b, k, d = 10, 100, 128
a, p = rng.standard_normal((2, b, d)).astype(np.float32)
n, many = rng.standard_normal((b, d)).astype(np.float32), rng.standard_normal((b, k, d)).astype(np.float32)
write("packed", anchor=a, positive=p, negative=n)
write("packed_many", anchor=a, positive=p, negatives=many)
write("packed_zero", anchor=0 * a, positive=p, negative=n)
write("packed_equal", anchor=a, positive=p, negative=p)
write("corner", embeddings=np.array([[0], [2], [3]], np.float32), labels=[0, 0, 1])  # |0 - 2| - |0 - 3| + 1 = 0
write("packed_both", anchor=a, positive=p, negative=n, negatives=many)
write("packed_rows", anchor=a, positive=p[:9], negative=n)
write("packed_dims", anchor=a, positive=p[:, :7], negative=n)
write("packed_k0", anchor=a, positive=p, negatives=many[:, :0])
write("packed_empty", anchor=a[:0], positive=p[:0], negative=n[:0])
bad = n.copy()
bad[4, 2] = np.nan
write("packed_nan", anchor=a, positive=p, negative=bad)
PY

loss() { # NAME RANKS ARGUMENTS...: a loss whose report goes to NAME.json
    local name=$1 ranks=$2
    shift 2
    on "$ranks" loss "$@" --json >"$dir/$name.json" 2>"$dir/$name.err" || fail "$name: exit code $?" "$dir/$name.err"
}

# --- golden values
golden() { # COUNT ACTIVE SUM ARGUMENTS...
    local count=$1 active=$2 sum=$3
    shift 3
    loss golden 2 "$in/golden.h5" "$@"
    expect "golden: $*" "$python" -c '
import json, sys
loss, (count, active, total) = json.load(open(sys.argv[1]))["loss"], map(float, sys.argv[2:])
assert (loss["count"], loss["active"], loss["sum"]) == (count, active, total), loss
assert abs(loss["mean_all"] * count - total) <= 1e-12 * total, loss' "$dir/golden.json" "$count" "$active" "$sum"
}
inside=(--loss mined --window none --fallback farthest-inside)
golden 6 2 2 "${inside[@]}" --metric l2
golden 6 2 2 "${inside[@]}" --metric sql2
golden 6 6 5 "${inside[@]}" --metric l2 --margin 1.5
golden 6 2 3 "${inside[@]}" --metric sql2 --margin 1.5
golden 4 4 2 --loss mined --window lt --metric l2 --margin 1.5
golden 6 4 24 --loss batch-hard --metric l2
golden 6 4 124 --loss batch-hard --metric sql2
golden 6 6 27 --loss batch-hard --metric l2 --margin 1.5
golden 6 4 126 --loss batch-hard --metric sql2 --margin 1.5
golden 30 17 68 --loss batch-all --metric l2
golden 30 17 384 --loss batch-all --metric sql2
golden 30 22 79 --loss batch-all --metric l2 --margin 1.5
golden 30 17 392.5 --loss batch-all --metric sql2 --margin 1.5
golden 5 0 0 --loss batch-all --within 1 --metric l2
golden 0 0 0 --loss batch-all --within 1 --metric sql2

# --- presets, recomputed from their definitions by a plain program
cat >"$dir/presets.py" <<'PY'
import json
import subprocess
import sys
import h5py
import numpy as np

store, packed, many, program, *launch = sys.argv[1:]


def run(preset, path, *more):
    done = subprocess.run([*launch, program, "loss", path, "--compat", preset, "--json", *more],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.returncode == 0, (preset, done.stderr)
    return json.loads(done.stdout), done.stderr


def close(preset, value, wanted, what="value", tolerance=1e-9):
    assert abs(value - wanted) <= tolerance * (1 + abs(wanted)), (preset, what, value, wanted)


def gradient(preset, report, wanted, *what):  # its values are float32
    close(preset, report["gradient"]["norm"], wanted, ("gradient", *what), 1e-6)


with h5py.File(store) as f:
    stored, y = f["embeddings"][:].astype(np.float64), f["labels"][:]
unit = (stored / np.linalg.norm(stored, axis=1, keepdims=True)).astype(np.float32).astype(np.float64)
same = y[:, None] == y
self = np.eye(len(y), dtype=bool)
positive = same & ~self


def distances(x, metric):
    g = x @ x.T
    n = np.diag(g)
    if metric == "cosine":
        return np.maximum(0, 1 - g / np.sqrt(n[:, None] * n))
    d = np.maximum(0, n[:, None] + n - 2 * g)
    return np.sqrt(d) if metric == "l2" else d


def semihard(d, pairs, inside, margin=None):
    """d_ap and d_an of each pair by nearest farther negative, then the farthest not farther (inside) or none."""
    result = []
    for a, p in pairs:
        negatives = d[a][~same[a]]
        beyond = negatives[negatives > d[a, p]]
        if margin is not None:
            beyond = beyond[beyond - d[a, p] < margin]
        if len(beyond):
            result.append((d[a, p], beyond.min()))
        elif inside and (negatives <= d[a, p]).any():
            result.append((d[a, p], negatives[negatives <= d[a, p]].max()))
    return np.array(result).T


def hinge(ap, an, m):
    return np.maximum(0, ap - an + m)


everyone = list(zip(*np.nonzero(positive)))
for preset, metric, m in (("tfa-semihard", "l2", 1), ("tfa-semihard-sql2", "sql2", 1), ("st-semihard", "l2", 5)):
    close(preset, run(preset, store)[0]["loss"]["value"], hinge(*semihard(distances(stored, metric), everyone, True), m).mean())

d = distances(stored, "l2")
farthest = np.where(positive, d, 0).max(axis=1)
close("tfa-hard", run("tfa-hard", store)[0]["loss"]["value"], hinge(farthest, np.where(same, np.inf, d).min(axis=1), 1).mean())

d = distances(stored, "cosine")
hardest = [(a, np.where(positive[a], d[a], -1).argmax()) for a in range(len(y))]
ap, an = semihard(d, hardest, True)
close("tfs", run("tfs", store)[0]["loss"]["value"], np.logaddexp(0, ap - an).mean())

d = distances(unit, "l2")
gap = [(d[a][~same[a]] - d[a, p]) for a, p in everyone]
terms = [np.maximum(0, 0.05 - g[(g > 0) & (g <= 0.2)]) for g in gap]
terms = np.concatenate(terms)
report = run("pml-semihard", store)[0]["loss"]
close("pml-semihard", report["value"], terms[terms > 0].mean())
assert report["count"] == len(terms), report

d = distances(unit, "sql2")
close("facenet", run("facenet", store)[0]["loss"]["value"], hinge(*semihard(d, everyone, False, 0.2), 0.2).sum())

d = distances(stored, "l2")
terms = np.concatenate([np.maximum(0, d[a, p] - d[a][~same[a]] + 1) for a, p in everyone])
close("batch-all-nonzero", run("batch-all-nonzero", store)[0]["loss"]["value"], terms[terms > 0].mean())

with h5py.File(packed) as f:
    a, p, n = (f[k][:].astype(np.float64) for k in ("anchor", "positive", "negative"))
with h5py.File(many) as f:
    negatives = f["negatives"][:].astype(np.float64)


def square(u, v):
    return ((u - v) ** 2).sum(-1)


def cosine(u, v):
    return 1 - (u * v).sum(-1) / np.sqrt((u * u).sum(-1) * (v * v).sum(-1))


close("guide-1", run("guide-1", packed)[0]["loss"]["value"], hinge(square(a, p), square(a, n), 1).mean())
close("guide-2", run("guide-2", packed)[0]["loss"]["value"], hinge(cosine(a, p), cosine(a, n), 0.5).mean())
report, warning = run("guide-3", many)
reversed_ = np.maximum(0, square(a[:, None], negatives) - square(a, p)[:, None] + 1).min(axis=1)
close("guide-3", report["loss"]["value"], reversed_.mean())
assert "reverse" in warning and "--negatives semihard" in warning, warning
report, _ = run("guide-1", packed, "--margin", "2")
close("guide-1, margin 2", report["loss"]["value"], hinge(square(a, p), square(a, n), 2).mean())
assert report["options"]["compat"] == {"name": "guide-1", "overridden": ["margin"]}, report["options"]

# Where the published code has corners: a row of zeros; z exactly 0, where tf.maximum passes the whole gradient.
report, _ = run("guide-2", packed.replace("packed", "packed_zero"), "--gradient")
close("guide-2, zero anchors", report["loss"]["value"], 0.5)
unit = [v / np.linalg.norm(v, axis=1, keepdims=True) for v in (p, n)]
gradient("guide-2, zero anchors", report, 1e6 * np.linalg.norm(unit[0] - unit[1]) / len(a))
report, _ = run("guide-1", packed.replace("packed", "packed_equal"), "--margin", "0", "--gradient")
gradient("guide-1, z = 0", report, np.sqrt(2) * np.linalg.norm(2 * (p - a)) / len(a))
assert report["loss"]["active"] == 0 and report["options"]["at_zero"] == "whole", report
corner = store.replace("store", "corner")
for preset, at_zero, square_norm, count in (("tfa-hard", [], 1 + 4**2 + 3**2, 3), ("tfa-semihard", [], 1 + 3**2 + 2**2, 2),
                                            ("tfa-hard", ["--at-zero", "none"], 1 + 2**2 + 1, 3)):
    report, _ = run(preset, corner, "--gradient", *at_zero)
    gradient(preset, report, np.sqrt(square_norm) / count, *at_zero)
    assert report["loss"]["active"] == 1, (preset, report)
PY
expect "presets do what they reproduce" "$python" "$dir/presets.py" "$in/store.h5" "$in/packed.h5" \
    "$in/packed_many.h5" "$program" mpirun --bind-to none -n 2

# --- the same bytes anywhere, and by every way
mined=(--positives nearest:3 --metric l2 --fallback farthest-inside --window none --reduction mean_nonzero --normalize)
for ranks in 1 3; do
    expect "mine --gradient on $ranks ranks" on "$ranks" mine "$in/store.h5" "${mined[@]}" --gradient --quiet --json \
        -o "$dir/mined$ranks.h5"
done
expect "mine --gradient: the same on 1 and 3 ranks" h5diff "$dir/mined1.h5" "$dir/mined3.h5"
loss again 2 "$in/store.h5" --triplets "$dir/mined1.h5" --metric l2 --reduction mean_nonzero --normalize --gradient \
    -o "$dir/again.h5"
expect "loss --triplets gives the gradient of mine --gradient" h5diff "$dir/mined1.h5" "$dir/again.h5" /gradient /gradient
expect "no warning about a store that is the same" bash -c "! grep -q warning $dir/again.err"
for case in "--metric=cosine --margin=0.3|--metric cosine --margin 0.3|--metric=cosine --margin=0.3" \
    "--metric=cosine|--metric cosine|--metric=cosine" "--margin=2 --normalize|--margin 2 --normalize|--margin=3 --normalize" \
    "|-|--metric=l2" "--metric=cosine --margin=0.3|--metric cosine --margin 0.3|--metric=sql2" "--soft|-|--soft" \
    "--margin=2|--margin 2|--metric=l2" "--metric=l2 --margin=2|--metric l2 --margin 2|--metric=l2 --soft"; do
    IFS='|' read -r by words given <<<"$case"
    # shellcheck disable=SC2086
    expect "triplets by $by" quickly mine "$in/store.h5" --positives easiest --window none $by --overwrite -o "$dir/by.h5"
    for with in "" "$given"; do
        # shellcheck disable=SC2086
        expect "loss of triplets by $by, and $with" quickly loss "$in/store.h5" --triplets "$dir/by.h5" $with --quiet
        if [[ $with == "" && $words != - ]]; then
            expect "triplets by $by: a warning" grep -qF "were mined with $words, their loss is taken without" "$dir/stderr"
        else
            expect "triplets by $by, and $with: no warning" test ! -s "$dir/stderr"
        fi
    done
done
"$python" -c '
import h5py, shutil, sys
for name, text in (("no", "{"), ("odd", "[1]"), ("half", "{\"metric\": 3, \"margin\": true}"), ("long", " " * 60000 + "{}")):
    shutil.copy(sys.argv[1], f"{sys.argv[2]}/{name}.h5")
    with h5py.File(f"{sys.argv[2]}/{name}.h5", "a") as f:
        f.attrs["options"] = text' "$dir/by.h5" "$dir"
for odd in no odd half long; do
    expect "triplets whose options can't be read: $odd" quickly loss "$in/store.h5" --triplets "$dir/$odd.h5" --quiet
done
number=0
for options in "--loss batch-all --metric sql2" "--loss batch-all --within 0.5 --metric cosine" \
    "--loss batch-hard --soft --metric dot" "--loss mined --swap --metric cosine --reduction sum" \
    "--loss mined --soft --normalize --metric l2 --reduction mean_valid"; do
    number=$((number + 1))
    for ranks in 1 2 5; do
        # shellcheck disable=SC2086
        loss "way$number.$ranks" "$ranks" "$in/store.h5" $options --gradient -o "$dir/way$number.$ranks.h5"
        expect "'$options' on $ranks ranks: the same datasets" h5diff "$dir/way$number.1.h5" "$dir/way$number.$ranks.h5"
        for key in loss gradient; do
            expect "'$options' on $ranks ranks: the same $key" \
                test "$(value "$dir/way$number.$ranks.json" $key)" = "$(value "$dir/way$number.1.json" $key)"
        done
    done
    expect "'$options': the ranks' parts add up" "$python" -c '
import json, math, sys
r = json.load(open(sys.argv[1]))
parts = r["ranks"]
assert sum(p["triplets"] for p in parts) == r["loss"]["count"]
assert math.isclose(sum(p["loss_sum"] for p in parts), r["loss"]["sum"], rel_tol=1e-12)
norm = math.sqrt(sum(p["gradient_norm"] ** 2 for p in parts))
assert math.isclose(norm, r["gradient"]["norm"], rel_tol=1e-12) and norm > 0
assert sum(p["rows"] for p in parts) == 300' "$dir/way$number.5.json"
done
for ranks in 1 3; do
    loss "packed$ranks" "$ranks" "$in/packed_many.h5" --negatives semihard --gradient -o "$dir/packed$ranks.h5"
done
expect "packed: the same on 1 and 3 ranks" h5diff "$dir/packed1.h5" "$dir/packed3.h5"
# --seed: a plain program draws by the rule of docs/DETERMINISM.md, the keys by Philox 4x32-10.
cat >"$dir/draws.py" <<'PY'
import json
import sys
import h5py
import numpy as np

packed, folder = sys.argv[1:]
with h5py.File(packed) as f:
    a, p, n = (f[k][:].astype(np.float64) for k in ("anchor", "positive", "negatives"))
M0, M1, W0, W1, LOW = 0xD2511F53, 0xCD9E8D57, 0x9E3779B9, 0xBB67AE85, 0xFFFFFFFF


def key(seed, anchor, row):
    c, k = [row & LOW, row >> 32, anchor & LOW, anchor >> 32], [seed & LOW, seed >> 32]
    for _ in range(10):
        high0, low0, high1, low1 = M0 * c[0] >> 32, M0 * c[0] & LOW, M1 * c[2] >> 32, M1 * c[2] & LOW
        c = [high1 ^ c[1] ^ k[0], low1, high0 ^ c[3] ^ k[1], low0]
        k = [k[0] + W0 & LOW, k[1] + W1 & LOW]
    return ((c[0] << 32 | c[1]) >> 11) + 0.5


def smallest(seed, anchor, rows):
    return min(rows, key=lambda row: key(seed, anchor, row))


def loss(seed, way):
    total = count = fallback = 0
    for i in range(len(a)):
        d_ap, d = ((a[i] - p[i]) ** 2).sum(), ((a[i] - n[i]) ** 2).sum(-1)
        inside = [k for k in range(len(d)) if 0 < d[k] - d_ap < 1]
        if way == "random":
            k = smallest(seed, i, range(len(d)))
        elif inside:
            k = smallest(seed, i, inside) if way == "pick" else min(inside, key=lambda k: d[k])
        else:
            k, fallback = smallest(seed, i, range(len(d))), fallback + 1
        total, count = total + max(0, d_ap - d[k] + 1), count + 1
    return total, fallback


seen = set()
for seed in 3, 2**40 + 5:
    for way in "random", "pick", "fallback":
        want, fallback = loss(seed, way)
        for ranks in 1, 3:
            with open(f"{folder}/draw.{way}.{seed}.{ranks}.json") as f:
                r = json.load(f)
            assert r["options"]["seed"] == seed, r["options"]
            assert abs(r["loss"]["sum"] - want) <= 1e-9 * want, (way, seed, ranks, r["loss"], want)
            assert r["triplets"]["fallback"] == fallback and (fallback > 0 or way == "random"), (way, r["triplets"])
            seen.add((way, r["loss"]["sum"]))
assert len(seen) == 6, seen
PY
for ranks in 1 3; do
    for seed in 3 $(((1 << 40) + 5)); do
        loss "draw.random.$seed.$ranks" "$ranks" "$in/packed_many.h5" --negatives random --seed "$seed"
        loss "draw.pick.$seed.$ranks" "$ranks" "$in/packed_many.h5" --pick random --fallback random --seed "$seed"
        loss "draw.fallback.$seed.$ranks" "$ranks" "$in/packed_many.h5" --fallback random --seed "$seed"
    done
done
expect "packed: what --seed draws" "$python" "$dir/draws.py" "$in/packed_many.h5" "$dir"
for ranks in 1 3; do
    loss "several$ranks" "$ranks" "$in/packed_many.h5" --negatives violating --margin 20 --gradient -o "$dir/several$ranks.h5"
done
expect "packed: several triplets an anchor, the same on 1 and 3 ranks" h5diff "$dir/several1.h5" "$dir/several3.h5"
for ranks in 1 3; do
    loss "told$ranks" "$ranks" "$in/packed_many.h5" --negatives topk:100 --histogram 5 --margins 5,100 --gradient -o "$dir/told$ranks.h5"
done
expect "packed: what is told of the triplets, as numpy has it" "$python" -c '
import json, sys
import h5py
import numpy as np
with h5py.File(sys.argv[1]) as f:
    a, p, n = (f[k][:].astype(np.float64) for k in ("anchor", "positive", "negatives"))
an = ((a[:, None] - n) ** 2).sum(-1)
ap = np.repeat(((a - p) ** 2).sum(-1)[:, None], 100, axis=1)
for path in sys.argv[2:]:
    with open(path + ".json") as f:
        r = json.load(f)
    with h5py.File(path + ".h5") as f:
        written = f["histogram/gap/counts"][:].tolist()
    for name, x in ("d_ap", ap), ("d_an", an), ("gap", an - ap):
        s = r["statistics"][name]
        want = [x.size, x.mean(), np.median(x), x.std(), x.min(), *np.quantile(x, (0.25, 0.75)), x.max()]
        assert np.allclose([s[k] for k in ("count", "mean", "median", "std", "min", "q1", "q3", "max")], want, rtol=1e-12), name
        assert r["histogram"][name]["counts"] == np.histogram(x, 5)[0].tolist(), name
    assert written == np.histogram(an - ap, 5)[0].tolist()
    for m in r["margins"]:
        gap = an - ap
        z = m["margin"] - gap
        assert (m["triplets"], m["active"]) == (1000, (z > 0).sum()), m
        assert m["semihard"] == ((gap > 0) & (z > 0)).sum() and np.isclose(m["loss_sum"], z[z > 0].sum(), rtol=1e-12), m
    assert 0 < r["margins"][0]["active"] < r["margins"][1]["active"], r["margins"]' \
    "$in/packed_many.h5" "$dir/told1" "$dir/told3"
printf '0 1 2\n' >"$dir/triplets.txt"
refused "a text of triplets" 65 "triplets '.*triplets.txt': not an HDF5 file but a text .CSV.*; triplets are what trimine mine wrote by -o, or row ids in /triplets/anchor" -- \
    loss "$in/store.h5" --triplets "$dir/triplets.txt"
refused "a text as packed triplets" 65 "not an HDF5 file but a text" -- loss "$dir/triplets.txt"
refused "batch-all, statistics" 64 'histogram does not apply to --loss batch-all' -- loss "$in/store.h5" --loss batch-all --histogram 5
refused "margins of a set by the margin" 64 'margins is of triplets .*--negatives violating does not go' -- \
    loss "$in/packed_many.h5" --negatives violating --margins 1,2
refused "margins of reversed" 64 'margins does not apply to packed triplets with --negatives reversed' -- \
    loss "$in/packed_many.h5" --negatives reversed --margins 1,2
refused "packed, filters" 64 'min-distance does not apply to packed triplets with --negatives hard' -- \
    loss "$in/packed_many.h5" --negatives hard --min-distance 1
refused "packed, --emit" 64 'emit does not apply to packed triplets with --negatives violating' -- \
    loss "$in/packed_many.h5" --negatives violating --emit
refused "reversed over a store" 64 'reversed is for packed triplets' -- loss "$in/store.h5" --loss mined --negatives reversed
refused "the loss of a set that is counted only" 64 'hard-all is counted only: a loss needs --emit' -- \
    loss "$in/store.h5" --loss mined --negatives hard-all
refused "--emit without a set" 64 'emit goes with --negatives that are a set' -- loss "$in/store.h5" --loss mined --emit
refused "policies of given triplets" 64 'negatives does not apply to --triplets' -- \
    loss "$in/store.h5" --triplets "$in/good.h5" --negatives topk:2
refused "filters of batch-hard" 64 'min-distance does not apply to --loss batch-hard' -- \
    loss "$in/store.h5" --loss batch-hard --min-distance 1
refused "a set too large" 65 'negatives easy-all: [0-9]+ triplets, more than the 5' -- \
    loss "$in/store.h5" --loss mined --negatives easy-all --emit --max-triplets 5
expect "packed: the gradient has the input's shapes" "$python" -c '
import h5py, sys
with h5py.File(sys.argv[1]) as f:
    shapes = [f["gradient/" + name].shape for name in ("anchor", "positive", "negatives")]
assert shapes == [(10, 128), (10, 128), (10, 100, 128)], shapes' "$dir/packed1.h5"

# --- errors
given() { # NAME CODE PATTERN...: triplets of NAME.h5 with the golden store are refused
    refused "triplets $1" "$2" "${@:3}" -- loss "$in/golden.h5" --triplets "$in/$1.h5" --gradient -o "$out/g.h5"
}
given absent 66 'absent\.h5'
given none 65 'none\.h5' triplet
given range 65 'range\.h5' 'triplet 3\b' negative '\b7\b'
given below 65 'below\.h5' 'triplet 3\b' anchor '-1'
given same 65 'same\.h5' 'triplet 3\b' 'same row'
given positive 65 'positive\.h5' 'triplet 3\b' label
given negative 65 'negative\.h5' 'triplet 3\b' label
# What mine found is a list, though it be empty: a loss of 0.
"$program" mine "$in/store.h5" --margin 1e-30 --quiet -o "$dir/none.h5" </dev/null
expect "mine finds none" test "$("$python" -c 'import h5py, sys; print(len(h5py.File(sys.argv[1])["triplets/anchor"]))' "$dir/none.h5")" = 0
for ranks in 1 3; do
    on $ranks loss "$in/store.h5" --triplets "$dir/none.h5" --gradient --overwrite -o "$dir/none.gradient.h5" --json \
        >"$dir/none.json" 2>"$dir/none.err"
    expect "no triplets: a loss of 0 on $ranks ranks" test $? -eq 0 -a "$(value "$dir/none.json" loss.value)" = 0.0
    expect "and a warning" grep -q "warning: triplets '.*none\.h5': there are none" "$dir/none.err"
    expect "a gradient of 0" "$python" -c 'import h5py, sys; assert not h5py.File(sys.argv[1])["gradient"][:].any()' "$dir/none.gradient.h5"
done
given no_negative 65 'no_negative\.h5' negative
given float 65 'float\.h5' 'integer|float'
given lengths 65 'lengths\.h5'
bad() { # NAME CODE PATTERN...: a packed file is refused
    refused "$1" "$2" "${@:3}" -- loss "$in/$1.h5" --gradient -o "$out/g.h5"
}
bad packed_both 65 'packed_both\.h5' negatives
bad packed_rows 65 'packed_rows\.h5' positive '\b9\b' '\b10\b'
bad packed_dims 65 'packed_dims\.h5' positive '\b7\b' '\b128\b'
bad packed_k0 65 'packed_k0\.h5' negatives
bad packed_empty 65 'packed_empty\.h5'
bad packed_nan 65 'packed_nan\.h5' negative 'row 4\b'
store=$in/store.h5
refused "no source of triplets" 64 triplets -- loss "$store"
refused "two sources of triplets" 64 triplets loss -- loss "$store" --triplets "$in/good.h5" --loss batch-all
refused "unknown loss" 64 loss -- loss "$store" --loss hinge
refused "unknown reduction" 64 reduction -- loss "$store" --loss batch-all --reduction median
refused "unknown preset" 64 compat -- loss "$store" --compat pytorch
refused "preset without triplets to write" 64 compat -- mine "$store" --compat batch-all-nonzero
refused "packed preset, store" 64 guide-1 packed -- loss "$store" --compat guide-1
refused "store's loss, packed file" 64 packed -- loss "$in/packed.h5" --loss batch-all
refused "guide-3, one negative an anchor" 64 '/negative .*guide-3.*/negatives.*B x B' -- \
    loss "$in/packed.h5" --compat guide-3
refused "a floor that is no number" 64 norm-floor -- loss "$in/packed.h5" --metric cosine --norm-floor=-1
refused "zero rows without a floor" 65 'anchor.*norm zero' -- loss "$in/packed_zero.h5" --metric cosine
refused "batch-all with a gradient at 0" 64 at-zero -- loss "$store" --loss batch-all --at-zero whole
refused "batch-all with soft" 64 soft -- loss "$store" --loss batch-all --soft
refused "within without batch-all" 64 within -- loss "$store" --loss mined --within 1
refused "margin negative" 64 margin -- loss "$store" --loss batch-all --margin=-1
refused "output without a gradient" 64 gradient -- loss "$store" --loss batch-all -o "$out/g.h5"
refused "gradient at normalized rows that are not" 64 normalize -- \
    loss "$store" --loss batch-all --gradient --gradient-at normalized
refused "output is the triplets" 64 'good\.h5' -- \
    loss "$in/golden.h5" --triplets "$in/good.h5" --gradient --overwrite -o "$in/good.h5"
expect "the triplets are as they were" "$python" -c '
import h5py, sys
assert len(h5py.File(sys.argv[1])["triplets/anchor"]) == 3' "$in/good.h5"
# Rows without a positive have triplets, too; -1 stands for the positive, also where they are given.
expect "mine --lone" quickly mine "$in/golden.h5" --negatives hard --lone --gradient -o "$dir/lone.h5"
expect "loss --triplets of lone rows" quickly loss "$in/golden.h5" --triplets "$dir/lone.h5" --gradient -o "$dir/lone_again.h5"
expect "the same gradient" h5diff "$dir/lone.h5" "$dir/lone_again.h5" /gradient /gradient
expect "there are lone rows" "$python" -c '
import h5py, sys
assert (h5py.File(sys.argv[1])["triplets/positive"][:] == -1).sum() == 1' "$dir/lone.h5"
on 2 loss "$in/store.h5" --triplets "$dir/mined1.h5" --json >"$dir/other.json" 2>"$dir/other.err"
expect "triplets mined from other rows: a warning" grep -q 'warning.*fingerprint' "$dir/other.err"

finish
