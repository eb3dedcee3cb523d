#!/usr/bin/env bash
# Which options go together in trimine loss, what a report lists of them, what is said of an option beside a preset, and what
# an input that is neither a store nor packed triplets is refused with.
source "$(dirname "$0")/lib.sh"
in=$dir/in
mkdir "$in" "$out"

"$python" - "$in" <<'PY' || exit 2
import numpy as np
from stores import folder, write

rng = np.random.default_rng(8)
x = rng.standard_normal((60, 6)).astype(np.float32)
y = np.arange(60) % 5
write("store", embeddings=x, labels=y)
write("lonely", embeddings=x[:9], labels=np.arange(9))
write("pairs", query=[0, 1], positive=[5, 6])
write("given", triplets__anchor=[0, 1], triplets__positive=[5, 6], triplets__negative=[1, 3])
a, p, n = rng.standard_normal((3, 10, 6)).astype(np.float32)
many = rng.standard_normal((10, 7, 6)).astype(np.float32)
many[:4] = a[:4, None]  # nearer than the positive: nothing semihard
write("packed", anchor=a, positive=p, negative=n)
write("packed_too", anchor=a, positive=p, negative=n)
write("many", anchor=a, positive=p, negatives=many)
write("misspelt", anchor=a, positives=p, negative=n)
write("no_positive", anchor=a, negative=n)
write("no_negative", anchor=a, positive=p)
write("no_anchor", positive=p, negatives=many)
write("neither", rows=a)
open(f"{folder}/nothing.h5", "wb").close()
open(f"{folder}/text.h5", "w").write("no HDF5\n" * 100)
PY
store=$in/store.h5 many=$in/many.h5

# --- inputs
input() { # NAME CODE PATTERN...
    refused "$1" "$2" "${@:3}" -- loss "$in/$1.h5"
}
input absent 66 'absent\.h5' 'no such file'
input nothing 65 'nothing\.h5' 'not an HDF5 file'
input text 65 'text\.h5' 'not an HDF5 file'
input misspelt 65 'misspelt\.h5' "no dataset '/positive'" 'positives'
input no_positive 65 'no_positive\.h5' "no dataset '/positive'"
input no_negative 65 'no_negative\.h5' "no dataset '/negative'"
input no_anchor 65 'no_anchor\.h5' "no dataset '/anchor'"
input neither 65 'neither\.h5' embeddings
input store 64 '--triplets FILE, or --loss'
refused "a packed preset, a misspelt file" 65 "no dataset '/positive'" -- loss "$in/misspelt.h5" --compat guide-1
refused "a store's loss, a missing file" 66 'absent\.h5' -- loss "$in/absent.h5" --loss batch-all
refused "two packed files" 64 'packed\.h5.*packed triplets.*one' -- loss "$in/packed.h5" "$in/packed_too.h5"

# --- options that do not apply
apart() { # OPTION SOURCE ARGUMENTS...: --OPTION does not apply to SOURCE; one rank tells
    quickly loss "${@:3}"
    judge "${*:3}" $? 64 "--$1( [(].*[)])? does not apply to $2"
}
for more in "--positives hardest" "--negatives semihard" "--window none" "--pick farthest" "--fallback hardest"; do
    option=${more%% *}
    # shellcheck disable=SC2086
    for source in batch-hard batch-all; do
        apart "${option#--}" "--loss $source" "$store" --loss $source $more
    done
done
apart window --triplets "$store" --triplets "$in/given.h5" --window none
apart lone --triplets "$store" --triplets "$in/given.h5" --lone
apart checkpoint --triplets "$store" --triplets "$in/given.h5" --checkpoint "$out/c"
apart within '--loss batch-hard' "$store" --loss batch-hard --within 1
apart swap '--loss batch-all' "$store" --loss batch-all --within 1 --swap
apart lone '--loss mined' "$store" --loss mined --lone
apart labels 'packed triplets' "$many" --labels foo
apart ignore-label 'packed triplets' "$many" --ignore-label 1
apart positives 'packed triplets' "$many" --positives hardest
apart lone 'packed triplets' "$many" --lone
apart checkpoint 'packed triplets' "$many" --checkpoint "$out/c"
apart loss 'packed triplets' "$many" --loss mined
apart triplets 'packed triplets' "$many" --triplets "$in/given.h5"
apart window 'packed triplets with --negatives hard' "$many" --negatives hard --window none
apart soft 'packed triplets with --negatives reversed' "$many" --negatives reversed --soft
apart lone '--loss batch-all' "$store" --compat tfa-hard --loss batch-all
apart within '--loss batch-hard' "$store" --compat pml-semihard --loss batch-hard
refused "an option of the preset's alone" 64 'lone.*tfa-hard' -- loss "$store" --compat tfa-hard --loss batch-all
refused "a source of the preset's alone" 64 'soft.*batch-all.*batch-all-nonzero' -- \
    loss "$store" --compat batch-all-nonzero --soft
refused "given triplets beside a preset" 64 'loss.*tfa-semihard.*--triplets' -- \
    loss "$store" --compat tfa-semihard --triplets "$in/given.h5"
refused "two presets" 64 'tfs.*facenet' -- loss "$store" --compat tfs --compat facenet

# --- what is reported
report() { # NAME ARGUMENTS...: a report in NAME.json, of one rank
    quickly "${@:2}" --json --threads 2 || fail "${*:2}: exit code $?" "$dir/stderr"
    cp "$dir/stdout" "$dir/$1.json"
    cp "$dir/stderr" "$dir/$1.err"
}
changed() { # NAMES ARGUMENTS...: with a preset; what is reported as changed
    report changed "${@:2}"
    expect "${*:2}: $1" test "$(value "$dir/changed.json" options.compat.overridden)" = "$1"
}
changed '[]' loss "$store" --compat tfs
changed '["margin"]' loss "$store" --compat tfs --margin 0.1
changed '["metric"]' loss "$store" --compat tfs --metric l2
changed '["swap"]' loss "$store" --compat tfa-hard --swap
changed '["within"]' loss "$store" --compat batch-all-nonzero --within 3
changed '["normalize", "ignore-label"]' loss "$store" --compat tfa-hard --normalize --ignore-label 4
changed '[]' loss "$store" --compat tfa-hard --metric l2 --margin 1.0 --threads 1
changed '["loss"]' loss "$store" --compat batch-all-nonzero --loss batch-hard
changed '["fallback"]' mine "$store" --compat facenet --fallback hardest --seed 3
changed '["negatives"]' loss "$many" --compat guide-3 --negatives semihard
expect "what guide-3's warning recommends is not warned of" bash -c "! grep -q warning $dir/changed.err"
for reversed in "--compat guide-3" "--negatives reversed"; do
    # shellcheck disable=SC2086
    report reversed loss "$many" $reversed
    expect "$reversed: a warning" grep -q 'warning.*reverse.*--negatives semihard' "$dir/reversed.err"
done
expect "--negatives reversed is in the help" bash -c "$program loss --help | grep -q reversed"

cat >"$dir/check.py" <<'PY'
import json
import sys
import h5py

folder = sys.argv[1]


def read(name):
    with open(f"{folder}/{name}.json") as f:
        return json.load(f)


def wanted(name, report, **values):
    for key, value in values.items():
        assert report[key] == value, (name, key, report[key], value)


semihard = {"negatives", "window", "pick", "fallback"}
common = {"source", "metric", "margin", "loss_margin", "normalize", "reduction"}
listed = {
    "hard": common | {"soft", "swap", "lone", "ignore_label"},
    "all": common | {"ignore_label"},
    "within": common | {"ignore_label", "within"},
    "given": common | {"soft", "swap", "ignore_label"},
    "mined": common | semihard | {"positives", "soft", "swap", "ignore_label"},
    "packed": common | semihard | {"soft", "swap"},
    "packed_hard": common | {"negatives", "soft", "swap"},
    "packed_random": common | {"negatives", "soft", "swap", "seed"},
}
for name, keys in listed.items():
    r = read(name)
    assert set(r["options"]) - {"gradient_at", "at_zero"} == keys, (name, set(r["options"]) ^ keys)
    assert set(r["triplets"]) == {"total", "picked", "semihard", "fallback", "skipped"}, (name, r["triplets"])
    assert {"total", "valid", "no_positive", "no_negative", "ignored"} == set(r["anchors"]), (name, r["anchors"])
    for rank in r["ranks"]:
        assert rank["compute_s"] > 0, (name, rank)
    if r["options"]["source"] == "mined":
        assert 0 < r["run"]["prepare_s"] < r["run"]["total_s"], (name, r["run"])
    for key in ("ranks", "threads", "read_s", "loss_s", "gradient_s", "write_s", "total_s", "peak_rss_bytes"):
        assert key in r["run"], (name, key)
wanted("hard", read("hard")["triplets"], total=60, semihard=0, fallback=0, skipped=0)
wanted("given", read("given")["triplets"], total=2, semihard=0, fallback=0, skipped=0)
mined = read("mined")["triplets"]
assert mined["picked"] == mined["semihard"] == mined["total"] > 0, mined

r = read("packed")
wanted("packed", r["anchors"], total=10, valid=10)
found = r["triplets"]
assert found["total"] == found["semihard"] == 10 - found["skipped"] and found["fallback"] == 0, found
assert found["skipped"] >= 4, found
wanted("packed, fallback", read("packed_fallback")["triplets"], total=10, semihard=found["semihard"],
       fallback=found["skipped"], skipped=0)
wanted("packed", r["options"], source="packed")
wanted("packed", r["run"], threads=2, ranks=1)
assert r["run"]["peak_rss_bytes"] > 0
with h5py.File(f"{folder}/packed_out.h5") as f:
    wanted("packed attributes", f.attrs, batch=10, negatives=7, dim=6)
    assert f.attrs["packed_fingerprint"].decode() == r["packed"]["fingerprint"], dict(f.attrs)
    assert json.loads(f.attrs["options"])["source"] == "packed"
assert read("packed_3")["packed"] == r["packed"]
wanted("packed on 3 ranks", read("packed_3"), triplets=found, loss=r["loss"])

for name, pairs, elements in (("mined", 60 * 59 / 2, 60 * 60), ("queries", 9 * 60, 9 * 60)):
    run = read(name)["run"]
    assert abs(run["pairs_per_s"] * run["negatives_s"] / pairs - 1) < 1e-9, (name, run)
    assert abs(run["gflops_effective"] * 1e9 * run["negatives_s"] / (2 * 6 * elements) - 1) < 1e-9, (name, run)
PY
report hard loss "$store" --loss batch-hard
report all loss "$store" --loss batch-all --gradient
report within loss "$store" --loss batch-all --within 1
report given loss "$store" --triplets "$in/given.h5" --gradient
report mined loss "$store" --loss mined --window none
report queries mine "$store" --queries "$in/lonely.h5"
quickly mine "$store" --queries "$in/lonely.h5" --pairs "$in/pairs.h5"
expect "pairs ask for no labels: the store's line is silent of classes" grep -q '^store *60 rows x 6, fingerprint' "$dir/stderr"
report packed loss "$many" --window none --gradient -o "$dir/packed_out.h5"
report packed_fallback loss "$many" --window none --fallback hardest
report packed_hard loss "$many" --negatives hard
report packed_random loss "$many" --negatives random --seed 3
on 3 loss "$many" --window none --json >"$dir/packed_3.json" 2>/dev/null
expect "reports list what applies, and count every anchor" "$python" "$dir/check.py" "$dir"

# --- threads: those that the cores are there for, whatever the OpenMP library has bound before main begins
threads() { # NAME VARIABLE=VALUE...: a report in NAME.json, with nothing said about threads but that
    timeout -k 5 "$patience" env -u OMP_NUM_THREADS "${@:2}" "$program" mine "$store" --json </dev/null >"$dir/$1.json" 2>"$dir/$1.err" ||
        fail "${*:2}: exit code $?" "$dir/$1.err"
}
threads free SOME=THING
for bound in OMP_PROC_BIND=true OMP_PLACES=cores GOMP_CPU_AFFINITY=0-4095; do
    threads bound $bound
    expect "$bound leaves as many threads" test "$(value "$dir/bound.json" run.threads)" = "$(value "$dir/free.json" run.threads)"
done
threads one OMP_THREAD_LIMIT=1
expect "OMP_THREAD_LIMIT is kept" test "$(value "$dir/one.json" run.threads)" = 1
if (($(getconf _NPROCESSORS_ONLN) > 1)); then
    expect "and named" grep -q 'threads_note.*OMP_THREAD_LIMIT=1' "$dir/one.json"
fi
OMP_NUM_THREADS=100000 refused "absurd threads" 64 'OMP_NUM_THREADS=100000: a rank can have at most 4096 threads' -- mine "$store"
threads many OMP_NUM_THREADS=$((4 * $(getconf _NPROCESSORS_ONLN) + 1))
expect "a warning of far too many" grep -q 'warning: .* threads a rank on a host of' "$dir/many.err"

# --- with --json a failure is one object too, whatever fails and on however many ranks
failed_json() { # NAME CODE KIND ARGUMENTS...
    local name=$1 wanted=$2 kind=$3 ranks code
    shift 3
    for ranks in 1 3; do
        quickly_on "$ranks" "$@"
        code=$?
        "$python" - "$dir/stdout" "$dir/stderr" "$code" "$wanted" "$kind" "$ranks" >"$dir/check.log" 2>&1 <<'PY'
import json, sys
out, err, code, wanted, kind, ranks = sys.argv[1:]
failure = json.load(open(out))
assert set(failure) == {"error"} and set(failure["error"]) == {"code", "kind", "message", "rank", "host"}, failure
e = failure["error"]
assert code == wanted == str(e["code"]) and e["kind"] == kind, (code, e)
lines = [line for line in open(err, encoding="utf-8") if line.startswith("trimine: error: ")]
assert len(lines) == 1 and lines[0].rstrip("\n").endswith(e["message"]), (lines, e)
assert (e["rank"] is None) == (ranks == "1" or kind == "usage") == (e["host"] is None), e
PY
        expect "$name on $ranks ranks: $(tail -n 1 "$dir/check.log")" test ! -s "$dir/check.log"
    done
}
failed_json "a missing store" 66 no_input mine "$in/absent.h5" --json
failed_json "bad data" 65 data loss --json "$in/misspelt.h5"
failed_json "bad options before and after --json" 64 usage mine --metrc --json "$store"
failed_json "an output that exists" 73 create mine "$store" -o "$in/given.h5" --json
failed_json "info" 65 data info "$in/text.h5" --json
failed_json "memory" 71 memory mine "$store" --json --mem-per-rank 1KB
"$program" mine "$store" --json --quiet >/dev/full 2>"$dir/stderr"
expect "a report that can't be written is an error, once" test "$? $(grep -c error "$dir/stderr")" = "74 1"
"$program" mine "$store" --json --quiet <&- >&- 2>&-
expect "a report is not written into what took the number of a closed stream" test $? = 74
"$program" --version -v >"$dir/version"
"$program" -v --version | cmp - "$dir/version" || fail "-v --version is another text"
for word in compiler mpi hdf5 blas kernels openmp; do
    expect "--version -v tells $word" grep -qE "^$word +[^ ]" "$dir/version"
done

report lonely loss "$in/lonely.h5" --loss batch-hard --lone --margin 100
expect "--lone: triplets of lone rows are triplets" test "$(value "$dir/lonely.json" triplets.total)" = 9
expect "--lone: no warning that there are none" bash -c "! grep -q 'no triplets' $dir/lonely.err"
report alone loss "$in/lonely.h5" --loss batch-hard
expect "a warning where there are none" grep -q 'warning.*no triplets' "$dir/alone.err"

finish
