#!/usr/bin/env bash
# Numbers that do not fit: a gradient beyond float32 or a loss beyond float64 is an error that says so, on all ranks alike,
# and nothing is written. Nothing prints NaN or infinity, and no report lacks a part because of one.
source "$(dirname "$0")/lib.sh"
jobs_share_starts
in=$dir/in
mkdir "$in" "$out"

"$python" - "$in" <<'PY' || exit 2
import numpy as np
from stores import write

rng = np.random.default_rng(5)
x = rng.standard_normal((40, 8)).astype(np.float32)
y = np.arange(40) % 4

write("good", embeddings=x, labels=y)
large, tiny = x.copy(), x.copy()
large *= np.float32(1e38)
tiny[23] *= np.float32(1e-43)
write("large", embeddings=large, labels=y)
write("tiny", embeddings=tiny, labels=y)
a, p, n = rng.standard_normal((3, 12, 8)).astype(np.float32)
write("packed", anchor=a, positive=p, negative=n)
p[7, 0] = p[9, 0] = a[9, 0] = 3e38
write("packed_large", anchor=a, positive=p, negative=n)
PY

refuses() { # NAME PATTERN FILE ARGUMENTS...: a gradient that does not fit
    local name=$1 pattern=$2 file=$3
    shift 3
    rm -f "$out"/*
    refused "$name" 65 "$pattern" -- loss "$in/$file.h5" "$@" --gradient --json -o "$out/g.h5"
}
fits='gradient of row [0-9]+ does not fit float32'
refuses "batch-hard, sql2" "$fits" large --loss batch-hard --reduction sum
refuses "batch-hard, dot" "$fits" large --loss batch-hard --metric dot --reduction sum
refuses "batch-all" "$fits" large --loss batch-all --reduction sum
refuses "mined" "$fits" large --loss mined --fallback hardest --reduction sum
refuses "a tiny row under cosine" 'gradient of row 23 does not fit float32' tiny --loss batch-hard --metric cosine
refuses "a tiny row under --normalize" 'gradient of row 23 does not fit float32' tiny --loss batch-all --normalize
refuses "packed: the lowest anchor" 'gradient of row 7 does not fit float32.*anchor' packed_large --reduction sum
refused "mine" 65 "$fits" -- mine "$in/large.h5" --fallback hardest --reduction sum --gradient --json -o "$out/t.h5"

beyond='loss .*does not fit float64.*--margin'
refused "mine, margin 1e308" 65 "$beyond" -- mine "$in/good.h5" --margin 1e308 --json -o "$out/t.h5"
for source in batch-hard batch-all mined; do
    refused "$source, margin 1e308" 65 "$beyond" -- loss "$in/good.h5" --loss $source --margin 1e308 --json
done
refused "packed, margin 1e308" 65 "$beyond" -- loss "$in/packed.h5" --margin 1e308 --json
on 2 loss "$in/packed.h5" --margin 1e300 --json >"$dir/most.json" 2>"$dir/most.err"
expect "a margin that fits is allowed" "$python" -c '
import json, sys
r = json.load(open(sys.argv[1]))
assert r["loss"]["value"] == 1e300 and len(r["ranks"]) == 2, r' "$dir/most.json"

finish
