#!/usr/bin/env bash
# trimine plan and mine --dry-run: the memory that they tell is the job's own plan, for any number of ranks, and holds; the
# table is sane; what is refused. Nothing is asserted of how long anything takes.
source "$(dirname "$0")/lib.sh"
cd "$dir" || exit 2
export OMP_NUM_THREADS=1

expect "synth" on 1 synth store.h5 --rows 3000 --dim 24 --classes 40 --seed 3 --quiet
expect "synth, larger" on 1 synth large.h5 --rows 60000 --dim 96 --classes 3000 --seed 4 --quiet
expect "synth, queries" on 1 synth few.h5 --rows 700 --dim 24 --classes 50 --seed 5 --quiet
expect "synth, many queries" on 1 synth many.h5 --rows 5000 --dim 24 --classes 30 --seed 6 --quiet
expect "synth, queries of the larger" on 1 synth asks.h5 --rows 6000 --dim 96 --classes 3000 --seed 4 --quiet

# As the job itself plans: options, ranks.
jobs=("2 --positives easiest" "3 --positives all" "3 --positives all -o x.h5" "2 --negatives topk:3 --positives nearest:2 --replicate 2"
    "3 --mem-per-rank 4500K --positives all --window none" "2 --gradient --positives easiest" "2 --metric cosine --normalize --negatives hard"
    "3 --positives all -o x.h5 --mem-per-rank 6M" "1 --negatives violating" "2 --histogram 20 --ignore-label 3"
    "1 --queries few.h5 --positives easiest" "3 --queries few.h5 --positives all -o x.h5" "4 --queries many.h5 --negatives topk:3 --replicate 2"
    "2 --queries many.h5 --positives all --window none --mem-per-rank 5M" "3 --queries few.h5 --gradient --metric cosine")
for job in "${jobs[@]}"; do
    read -r ranks options <<<"$job"
    rm -f x.h5
    # shellcheck disable=SC2086
    on "$ranks" mine store.h5 $options --json --quiet >job.json 2>job.err
    # shellcheck disable=SC2086
    quickly plan store.h5 $options --overwrite --ranks-list "$ranks" --gflops 10 --json --quiet
    mv stdout plan.json
    cat >same.py <<'PY'
import json
job, plan = (json.load(open(name)) for name in ("job.json", "plan.json"))
line = plan["plan"][0]
run = job["run"]
assert line["fits"] and (line["ranks"], line["replicate"], line["panels"], line["memory_bytes"]) == (
    run["ranks"], run["replicate"], run["panels"], run["plan_bytes"]), (line, run)
PY
    expect "plan $job: as the job has planned" "$python" same.py
done
quickly plan store.h5 --positives all --mem-per-rank 10K --ranks-list 1,2 --gflops 10 --json --quiet
cp stdout fits-not.json
quickly plan store.h5 --positives all --mem-per-rank 10K --ranks-list 1,2 --json --quiet
expect "where nothing fits nothing is probed" "$python" -c 'import json
told, before = json.load(open("stdout")), json.load(open("fits-not.json"))
assert told["probe"] is None and told["plan"] == before["plan"], told
assert not any("--disk" in text for text in told["assumed"]), told["assumed"]'
cp fits-not.json stdout
expect "what does not fit is a line of the table" "$python" -c 'import json
for line in json.load(open("stdout"))["plan"]:
    assert not line["fits"] and line["memory_bytes"] > 10000 and "total_s" not in line, line'

# What a rank really holds.
for ranks in 1 2; do
    quickly plan large.h5 --positives easiest --ranks-list $ranks --gflops 10 --json --quiet
    cp stdout plan.json
    on $ranks mine large.h5 --positives easiest --json --quiet >job.json
    expect "a rank of $ranks holds what is planned" "$python" -c 'import json
run, line = json.load(open("job.json"))["run"], json.load(open("plan.json"))["plan"][0]
held = run["peak_rss_bytes"] - run["baseline_rss_bytes"]
assert held < 1.1 * line["memory_bytes"] + (8 << 20) and held > 0.6 * line["memory_bytes"], (held, line)'
done

# Kinds that hold least of what was planned, or most: rows that batches are made from, which are read and stay; a smaller set that
# visits; a question.
while read -r least ranks job; do
    # shellcheck disable=SC2086
    on "$ranks" $job --json --quiet >job.json
    expect "$job on $ranks holds what it plans" "$python" -c 'import json, sys
run = json.load(open("job.json"))["run"]
held, planned = run["peak_rss_bytes"] - run["baseline_rss_bytes"], run["plan_bytes"]
assert float(sys.argv[1]) * planned < held < 1.1 * planned + (8 << 20), (held, planned)' "$least"
done <<'EOF'
0.9 1 mine large.h5 --batches 50 --classes-per-batch 32 --rows-per-class 4
0.9 2 mine large.h5 --batches 50 --classes-per-batch 32 --rows-per-class 4
0.75 1 mine large.h5 --queries asks.h5 --positives easiest
0.75 2 mine large.h5 --queries asks.h5 --positives easiest
EOF
quickly plan large.h5 --negatives random:4 --ranks-list 1 --gflops 10 --json --quiet
mv stdout random.json
quickly plan large.h5 --negatives topk:4 --ranks-list 1 --gflops 10 --json --quiet
expect "where every distance is taken there is no room for other filters" "$python" -c 'import json
random, topk = (json.load(open(name))["plan"][0]["memory_bytes"] for name in ("random.json", "stdout"))
assert random < topk - 60000 * 16, (random, topk)'
quickly plan store.h5 --threads $((4 * $(nproc))) --ranks-list 1 --json --quiet
expect "the probe has no more threads than there are cores" "$python" -c 'import json, os
told = json.load(open("stdout"))
assert told["probe"]["threads"] <= os.cpu_count() < told["threads"] and any("cores here" in a for a in told["assumed"]), told'
expect "and is silent where that is asked for" test ! -s stderr

quickly plan large.h5 --positives easiest --gflops 10 --json --quiet
expect "more ranks hold less and compute less each" "$python" -c 'import json
lines = json.load(open("stdout"))["plan"]
alone = [line for line in lines if line["replicate"] == 1]
assert [line["ranks"] for line in alone] == [1, 2, 4, 8, 16, 32, 64], alone
for less, more in zip(alone, alone[1:]):
    assert more["memory_bytes"] < less["memory_bytes"] and more["operations"] < less["operations"], (less, more)
    assert more["total_s"] > 0 and more["moved_bytes"] > 0
for line in lines:
    if line["replicate"] > 1:
        (one,) = [a for a in alone if a["ranks"] == line["ranks"]]
        assert line["memory_bytes"] > one["memory_bytes"]
assert lines[0]["moved_bytes"] == 0'

# With the probe, and with a pilot.
# What several ranks exchange before they begin takes time, and no sweep hides it; an output is written at the rate that is given.
quickly plan large.h5 --positives easiest -o x.h5 --gflops 10 --network 1e6 --disk 1e6 --ranks-list 1,2 --replicate 1 --json --quiet
expect "ranks exchange rows, and write together" "$python" -c 'import json
one, two = json.load(open("stdout"))["plan"]
row = 96 * 4
shard_s = 30000 * row / 1e6 # the negatives sweep takes longer, and hides its visitor; no rate is known of the other
assert one["network_s"] == 0 and 2 * shard_s < two["network_s"] < 2.5 * shard_s, (one, two)
assert one["write_s"] > 0 and abs(one["write_s"] / two["write_s"] - 2) < 1e-9, (one, two)
# a visit for the negatives, one of those that share a label for the positives, and the rows before
assert 3 * 30000 * row < two["moved_bytes"] < 4 * 30000 * row, two'
quickly plan store.h5 --positives easiest --sample 300 --active 0.75 --json --quiet
expect "a probe and a pilot" "$python" -c 'import json
told = json.load(open("stdout"))
assert told["probe"]["rows"] == told["probe"]["of"] == 3000
for line in told["plan"]:
    assert line["total_s"] > 0 and line["kernel"] and line["likely_bytes"] <= line["memory_bytes"], line
pilot = told["pilot"]
assert pilot["pairs"] == 300 and pilot["without"] == 0 and 0.75 <= pilot["active"] < 0.8, pilot
assert pilot["at_10"] < pilot["at_50"] < pilot["at_90"] and pilot["at_50"] < pilot["margin"], pilot
print(pilot["margin"])'
margin=$("$python" -c 'import json; print(json.load(open("stdout"))["pilot"]["margin"])')
on 1 mine store.h5 --positives easiest --margin "$margin" --json --quiet >job.json
expect "the pilot's margin reaches about that share of all pairs" "$python" -c 'import json
told = json.load(open("job.json"))
share = told["triplets"]["semihard"] / told["positive_pairs"]
assert 0.65 < share < 0.85, share'
for kernel in fp32 prefix; do # of so many dimensions the widest prefix costs more than what few directions leave
    quickly plan --rows 8000 --dim 384 --classes 20 --spread 0.1 --positives easiest --kernel $kernel --ranks-list 1,2 --json --quiet
    cp stdout $kernel.json
done
expect "what is likely has the width that the probe found; a kernel without a basis has none" "$python" -c 'import json
fp32, prefix = (json.load(open(name + ".json"))["plan"] for name in ("fp32", "prefix"))
assert all(line["likely_bytes"] == line["memory_bytes"] for line in fp32), fp32
assert all(line["likely_bytes"] < line["memory_bytes"] for line in prefix), prefix'
for gradient in "" --gradient; do
    # shellcheck disable=SC2086
    quickly plan store.h5 --positives easiest $gradient --ranks-list 1 --json --quiet
    expect "seconds of a gradient where there is one: ${gradient:-no}" "$python" -c 'import json, sys
(line,) = json.load(open("stdout"))["plan"]
parts = [value for name, value in line.items() if name.endswith("_s") and name != "total_s"]
assert (line["gradient_s"] > 0) == (len(sys.argv) > 1) and abs(sum(parts) - line["total_s"]) < 1e-9, line' $gradient
done
quickly plan store.h5 --negatives hard --positives hardest --sample 100 --gflops 10 --json --quiet
expect "a pilot of the nearest negatives of all may find them nearer than the positive" "$python" -c 'import json
pilot = json.load(open("stdout"))["pilot"]
assert pilot["pairs"] == 100 and pilot["at_10"] < pilot["at_90"] and pilot["planned_s"] is None, pilot'
quickly plan large.h5 --queries asks.h5 --positives easiest --ranks-list 1,3 --json --quiet
expect "two sets, by samples of both" "$python" -c 'import json
told = json.load(open("stdout"))
pairs = 60000 * 6000
assert 0 < told["probe"]["rows"] <= 60000 and told["pilot"] is None
for line in told["plan"]:
    assert line["total_s"] > 0 and 1.0 <= line["operations"] * line["ranks"] / (2.0 * 96 * pairs) < 1.1, line
for kernel in told["probe"]["kernels"]: # pairs of all, as the fit of the samples tells
    fit = kernel["negatives"]
    assert 1.8 <= fit["pairs_power"] <= 2.0, fit'
quickly plan --rows 5000 --dim 16 --classes 50 --ranks-list 1,4 --json --quiet
expect "data that are not there yet" "$python" -c 'import json
told = json.load(open("stdout"))
assert told["store"]["rows"] == 5000 and told["store"]["dim"] == 16 and told["probe"]["rows"] > 0
assert any("synth" in text for text in told["assumed"]), told["assumed"]
assert len(told["plan"]) >= 2 and all(line["total_s"] > 0 for line in told["plan"])'

# A dry run: by the ranks' own plan; nothing is written.
touch there.h5
for ranks in 1 3; do
    on $ranks mine store.h5 --positives all -o there.h5 --overwrite --dry-run --json --quiet >dry.json 2>dry.err
    expect "a dry run on $ranks" test "$? $(stat -c %s there.h5)" = "0 0"
    on $ranks mine store.h5 --positives all -o x.h5 --overwrite --json --quiet >job.json
    expect "a dry run on $ranks tells the job's plan" "$python" -c 'import json
run, told = json.load(open("job.json"))["run"], json.load(open("dry.json"))
(line,) = told["plan"]
assert told["dry_run"] and told["command"] == "mine"
assert (line["ranks"], line["memory_bytes"], line["panels"]) == (run["ranks"], run["plan_bytes"], run["panels"]), (line, run)
assert line["total_s"] > 0'
done
rm -f x.h5
on 2 mine store.h5 --queries few.h5 --dry-run --json --quiet >dry.json 2>dry.err
expect "a dry run of two sets tells its memory and seconds" "$python" -c 'import json
told = json.load(open("dry.json"))
(line,) = told["plan"]
assert line["memory_bytes"] > 0 and line["total_s"] > 0 and told["pilot"] is None'
printf '1 2\n3 4\n' >pairs.txt
# Listed pairs: the ranks mine for some of the queries, for all where there are few. Here each query gives a triplet.
seq 0 699 | sed 's/.*/& &/' >each.txt
seq 0 59999 | sed 's/.*/& &/' >every.txt
cat >listed.py <<'PY'
import json, sys
told, of = json.load(open("dry.json")), int(sys.argv[1])
(line,), probe = told["plan"], told["probe"]
parts = [value for name, value in line.items() if name.endswith("_s") and name != "total_s"]
assert min(parts) >= 0 and abs(sum(parts) - line["total_s"]) < 1e-9 and line["negatives_s"] > 0 and line["read_s"] > 0, line
assert (line["gradient_s"] > 0) == ("--gradient" in sys.argv) and (line["moved_bytes"] > 0) == (line["ranks"] > 1), line
assert 0 < line["likely_bytes"] <= line["memory_bytes"] and probe["of_queries"] == of, (line, probe)
written = line["write_s"] * 4e8 - ("--gradient" in sys.argv) * 3000 * 24 * 4
assert abs(written - 41 * of * ("-o" in sys.argv)) < 1, (written, probe)
if of == 700:
    run = json.load(open("job.json"))["run"]
    assert probe["queries"] == of and (line["replicate"], line["panels"], line["memory_bytes"]) == (
        run["replicate"], run["panels"], run["plan_bytes"]), (line, run)
else:
    assert 0 < probe["queries"] <= of / 2, probe
PY
while read -r ranks of job; do
    # shellcheck disable=SC2086
    on "$ranks" $job --negatives hard --window none --dry-run --json --quiet >dry.json 2>dry.err
    # shellcheck disable=SC2086
    test "$of" -gt 700 || on "$ranks" $job --negatives hard --window none --json --quiet >job.json
    test "$of" -gt 700 || rm -f x.h5
    # shellcheck disable=SC2086
    expect "a dry run on $ranks of $job" "$python" listed.py "$of" $job
done <<'EOF'
1 700 mine store.h5 --queries few.h5 --pairs each.txt
3 700 mine store.h5 --queries few.h5 --pairs each.txt --gradient -o x.h5
4 700 mine store.h5 --queries few.h5 --pairs each.txt --replicate 2
2 60000 mine large.h5 --queries large.h5 --pairs every.txt -o x.h5 --kernel float64
EOF
on 2 mine store.h5 --queries few.h5 --pairs pairs.txt --dry-run >dry.out 2>dry.err
expect "people see for how many queries was mined" grep -q '^probe  *for 700 of 700 queries, ' dry.err

# Questions are planned the same way: by the ranks' own plan, and what is likely by samples that are asked.
cat >question.py <<'PY'
import json
run, told = json.load(open("job.json"))["run"], json.load(open("dry.json"))
(line,) = told["plan"]
parts = [value for name, value in line.items() if name.endswith("_s") and name != "total_s"]
assert told["dry_run"] and told["command"] in ("knn", "eval", "radius") and told.get("pilot") is None
assert (line["ranks"], line["replicate"], line["panels"], line["memory_bytes"]) == (
    run["ranks"], run["replicate"], run["panels"], run["plan_bytes"]), (line, run)
assert 0 < line["likely_bytes"] <= line["memory_bytes"] and line["sweep_s"] > 0 and "negatives_s" not in line, line
assert abs(sum(parts) - line["total_s"]) < 1e-9 and (line["moved_bytes"] > 0) == (line["ranks"] > 1), line
PY
while read -r ranks job; do
    # shellcheck disable=SC2086
    on "$ranks" $job --overwrite --dry-run --json --quiet >dry.json 2>dry.err
    expect "a dry run of $job on $ranks" test "$? $(stat -c %s there.h5)" = "0 0"
    # shellcheck disable=SC2086
    on "$ranks" ${job/there.h5/x.h5} --overwrite --json --quiet >job.json 2>job.err
    expect "a dry run of $job on $ranks tells the job's plan" "$python" question.py
done <<'EOF'
1 knn store.h5 --k 5
3 knn store.h5 --k 5 -o there.h5
2 knn store.h5 --k 5 --queries few.h5 --metric cosine
4 knn store.h5 --k 3 --among same --replicate 2
2 eval store.h5 --per-query there.h5
3 eval store.h5 --queries few.h5
2 radius store.h5 --radius 0.01
EOF
rm -f x.h5
on 2 radius store.h5 --radius 20 -o there.h5 --overwrite --groups --dry-run --json --quiet >dry.json 2>dry.err
one_sweep=$("$python" -c 'import json; print(json.load(open("dry.json"))["plan"][0]["operations"])')
on 2 radius store.h5 --radius 20 --dry-run --json --quiet >dry.json 2>dry.err
expect "pairs that are listed are counted before, in a sweep of its own" "$python" -c 'import json, sys
assert float(sys.argv[1]) == 2 * json.load(open("dry.json"))["plan"][0]["operations"] > 0' "$one_sweep"
# How long a list is shows when pairs are counted; a dry run goes by its samples, here all rows.
for options in "-o x.h5" "-o x.h5 --groups" "--groups"; do
    for radius in 2 1e-4; do
        # shellcheck disable=SC2086
        on 1 radius store.h5 --radius $radius --kernel fp32 $options --dry-run --json --quiet >dry.json
        # shellcheck disable=SC2086
        on 1 radius store.h5 --radius $radius --kernel fp32 $options --json --quiet >job.json
        rm -f x.h5
        expect "radius $radius $options: what is likely has room for the pairs that were found" "$python" -c 'import json
(line,), job = json.load(open("dry.json"))["plan"], json.load(open("job.json"))
likely, pairs = line["likely_bytes"], job["pairs"]["total"]
if pairs:
    assert line["memory_bytes"] < 16 * pairs < likely == job["run"]["plan_bytes"], (line, job["run"])
else:
    assert likely < job["run"]["plan_bytes"], (line, job["run"])
written = 24 * pairs + 8 * 3000 if job["pairs"]["listed"] else 0
assert abs(line["write_s"] - written / 4e8) < 1e-9, line'
    done
done
# An evaluation of listed pairs: its ranks ask for some of the queries, for all where there are few, as a job of mine mines.
while read -r ranks of job; do
    # shellcheck disable=SC2086
    on "$ranks" $job --dry-run --json --quiet >dry.json 2>dry.err
    # shellcheck disable=SC2086
    test "$of" -gt 700 || on "$ranks" $job --json --quiet >job.json 2>job.err
    rm -f x.h5
    test "$of" -gt 700 || expect "a dry run of $job on $ranks tells the job's plan" "$python" question.py
    expect "a dry run of $job on $ranks asks for some of the queries" "$python" -c 'import json, sys
told, of = json.load(open("dry.json")), int(sys.argv[1])
(line,), probe = told["plan"], told["probe"]
assert line["total_s"] > line["sweep_s"] > 0 and line["read_s"] > 0 and line["write_s"] == 0, line
assert probe["of_queries"] == of and (probe["queries"] == of if of == 700 else 0 < probe["queries"] <= of / 2), probe
assert (line["operations"] * line["ranks"] >= 2.0 * 24 * 3000 * 700 if of == 700 else line["operations"] > 0), line' "$of"
done <<'EOF'
1 700 eval store.h5 --queries few.h5 --pairs each.txt
3 700 eval store.h5 --queries few.h5 --pairs each.txt --per-query x.h5 --at 1,20
4 700 eval store.h5 --queries few.h5 --pairs each.txt --replicate 2
2 60000 eval large.h5 --queries large.h5 --pairs every.txt --kernel float64
EOF
on 2 eval store.h5 --queries few.h5 --pairs pairs.txt --dry-run >dry.out 2>dry.err
expect "people see for how many queries was asked" grep -q '^probe  *for 700 of 700 queries, ' dry.err
quickly synth wide.h5 --rows 8000 --dim 384 --classes 20 --spread 0.1 --quiet
for job in "knn wide.h5 --k 5" "eval wide.h5" "radius wide.h5 --radius 0.1"; do
    for ranks in 1 2; do
        # shellcheck disable=SC2086
        on $ranks $job --kernel prefix --dry-run --json --quiet >dry.json 2>dry.err
        # shellcheck disable=SC2086
        on $ranks $job --kernel prefix --json --quiet >job.json
        expect "$job on $ranks: what is likely has the width that the probe found, and is held" "$python" -c 'import json
run, (line,) = json.load(open("job.json"))["run"], json.load(open("dry.json"))["plan"]
held = run["peak_rss_bytes"] - run["baseline_rss_bytes"]
assert line["likely_bytes"] < line["memory_bytes"], line
assert 0.75 * line["likely_bytes"] < held < 1.1 * line["likely_bytes"] + (8 << 20), (held, line)'
    done
done
# Listed pairs are measured before rows are packed for any kernel, and before negatives are asked for: what is likely has room for what
# takes most, of few pairs a query and of many.
awk 'BEGIN { for (i = 0; i < 200000; i++) print i % 8000, i * 7919 % 8000 }' >wide.txt
quickly synth eager.h5 --rows 200 --dim 384 --classes 20 --spread 0.1 --quiet
awk 'BEGIN { for (i = 0; i < 200; i++) for (k = 0; k < 5000; k++) print i, (i + k) % 8000 }' >eager.txt
while read -r ranks queries positives; do
    for also in --dry-run --quiet; do
        on "$ranks" mine wide.h5 --queries "$queries.h5" --pairs "$queries.txt" --positives "$positives" -o x.h5 "$also" --json --quiet \
            >job$also.json 2>job.err
    done
    rm -f x.h5
    expect "pairs of $queries on $ranks, positives $positives: what is likely is held" "$python" -c 'import json
run, (line,) = json.load(open("job--quiet.json"))["run"], json.load(open("job--dry-run.json"))["plan"]
held = run["peak_rss_bytes"] - run["baseline_rss_bytes"]
assert 0.9 * line["likely_bytes"] < held < 1.1 * line["likely_bytes"] + (8 << 20), (held, line)'
done <<'EOF'
1 wide all
2 wide all
1 eager easiest
2 eager easiest
EOF
on 1 knn store.h5 --k 5 --dry-run >dry.out 2>dry.err
expect "people see one time of all sweeps" test "$(grep -c 'sweep   total s' dry.err) $(grep -c positives dry.err)" = "1 0"

# Batches: a few of them are mined, all where there are no more; the memory is that of the job.
printf '0 1 2 3\n4 5 6 7\n8 9 10 11\n' >list.txt
cat >batches.py <<'PY'
import json, sys
told, of = json.load(open("dry.json")), int(sys.argv[1])
(line,), probe = told["plan"], told["probe"]
parts = [value for name, value in line.items() if name.endswith("_s") and name != "total_s"]
assert min(parts) >= 0 and abs(sum(parts) - line["total_s"]) < 1e-9 and line["positives_s"] > 0 and line["read_s"] > 0, line
assert (line["gradient_s"] > 0) == ("--gradient" in sys.argv) and (line["write_s"] > 0) == ("-o" in sys.argv), line
assert (line["moved_bytes"] > 0) == (line["ranks"] > 1), line
assert probe["of_batches"] == of and 0 < probe["batches"] <= of, probe
if of > 1000:
    assert probe["batches"] < of / 2 and line["operations"] > 2.0 * 24 * of * 6, (probe, line)
else:
    job = json.load(open("job.json"))
    assert probe["batches"] == of and line["memory_bytes"] == job["run"]["plan_bytes"], (probe, line, job["run"])
    assert line["operations"] * line["ranks"] == 2.0 * 24 * job["certify"]["elements"], (line, job["certify"])
PY
while read -r ranks of options; do
    # shellcheck disable=SC2086
    on "$ranks" mine store.h5 $options --dry-run --json --quiet >dry.json 2>dry.err
    # shellcheck disable=SC2086
    test "$of" -gt 1000 || on "$ranks" mine store.h5 $options --overwrite --json --quiet >job.json 2>job.err
    test "$of" -gt 1000 || rm -f x.h5
    # shellcheck disable=SC2086
    expect "a dry run on $ranks of $options" "$python" batches.py "$of" $options
done <<'EOF'
1 7 --batches 7 --classes-per-batch 4 --rows-per-class 3
3 7 --batches 7 --classes-per-batch 4 --rows-per-class 3 --positives all --margin 3 -o x.h5 --gradient
4 3 --batch-list list.txt --positives all
2 200000 --batches 200000 --classes-per-batch 4 --rows-per-class 3 --margin 3 --batch-list drawn.h5 -o x.h5 --checkpoint kept --resume
EOF
# Triplets wait in memory for the file: what is likely has room for as many as the batches that were mined have given.
for given in "1 --negatives hard" "0 --negatives semihard --margin 1e-9"; do
    read -r all options <<<"$given"
    # shellcheck disable=SC2086
    on 2 mine large.h5 --batches 5000 --classes-per-batch 32 --rows-per-class 4 --positives all $options -o x.h5 --dry-run --json --quiet >dry.json
    expect "what is likely where negatives are found for all of the pairs, or none: $options" "$python" -c 'import json, sys
(line,) = json.load(open("dry.json"))["plan"]
waiting = 2500 * 128 * 3 * 56
if int(sys.argv[1]):
    assert line["likely_bytes"] == line["memory_bytes"] > waiting, line
else:
    assert 0 < line["likely_bytes"] < line["memory_bytes"] - waiting / 2, line' "$all"
done
on 2 mine store.h5 --batches 3 --classes-per-batch 4 --rows-per-class 3 --dry-run >dry.out 2>dry.err
expect "people see how many batches were mined" grep -q '^probe  *3 of 3 batches, ' dry.err
expect "no list of batches is written, and no checkpoint" test ! -e drawn.h5 -a ! -e kept
expect "none of them wrote anything" test "$(ls x.h5 .*.trimine* 2>/dev/null | wc -l)" = 0

# It is refused as the job is, word for word.
while read -r code job; do
    for ranks in 1 3; do
        # shellcheck disable=SC2086
        quickly_on $ranks $job
        grep '^trimine: error: ' stderr >job.refused
        expect "refused: $job on $ranks" test "$? $(wc -l <job.refused)" = "0 1"
        # shellcheck disable=SC2086
        quickly_on $ranks $job --dry-run
        is="$? $(grep '^trimine: error: ' stderr)"
        expect "a dry run of $job on $ranks is refused as the job" test "$is" = "$code $(<job.refused)"
    done
done <<'EOF'
73 mine store.h5 -o there.h5
73 mine store.h5 -o none/x.h5
73 mine store.h5 -o store.h5/x.h5
73 mine store.h5 -o . --overwrite
64 mine store.h5 -o store.h5
64 mine store.h5 -o x.csv
64 mine store.h5 -o -
73 mine store.h5 -o x.h5 --checkpoint there.h5
64 mine store.h5 -o x.h5 --checkpoint x.h5
73 mine store.h5 --json-report there.h5
73 mine store.h5 --json-report none/report.json
64 mine store.h5 -o x.h5 --json-report x.h5
73 mine store.h5 --batches 3 --classes-per-batch 4 --rows-per-class 3 --batch-list there.h5
73 knn store.h5 --k 5 -o there.h5
73 eval store.h5 --per-query there.h5
73 eval store.h5 --queries few.h5 --pairs each.txt --per-query there.h5
73 radius store.h5 --radius 1 -o there.h5
EOF
# More than may be listed: what samples tell of all, and what they have too many of alone.
for ranks in 1 3; do
    on $ranks mine store.h5 --batches 200000 --classes-per-batch 4 --rows-per-class 3 --positives all --negatives within-margin --margin 1000 \
        --window none --emit --max-triplets 30000000 -o x.h5 --dry-run --json >dry.json 2>dry.err
    code=$?
    expect "a dry run on $ranks expects more triplets than may be listed" \
        test "$code $(grep -cE '^trimine: warning: would stop: about 4\.[0-9]+e\+07 triplets are expected, more than the 30000000 that may be listed \(--max-triplets\)$' dry.err)" = "0 1"
    expect "its JSON, too" "$python" -c 'import json
assert any(w.startswith("would stop: ") for w in json.load(open("dry.json"))["warnings"])'
done
for job in "pairs radius store.h5 --radius 20" "triplets mine store.h5 --negatives within-margin --margin 5 --emit"; do
    read -r what options <<<"$job"
    for ranks in 1 3; do
        # shellcheck disable=SC2086
        quickly_on $ranks $options -o x.h5 --max-$what 10 --dry-run
        expect "a sample alone has too many $what on $ranks" \
            test "$? $(grep -cE "^trimine: error: .*would stop: [0-9]+ rows alone, a sample: .* [0-9]+ $what, more than the 10 that may be listed \(--max-$what\)\$" stderr)" = "65 1"
    done
done
quickly plan store.h5 --gflops 10 -o there.h5
expect "so is a plan" test "$? $(grep -c "^trimine: error: output 'there.h5' exists; give --overwrite" stderr)" = "73 1"
quickly plan store.h5 --gflops 10 -o there.h5 --overwrite
expect "which may replace it" test "$? $(stat -c %s there.h5)" = "0 0"
mkdir looked
touched=$(stat -c %y looked)
quickly mine store.h5 -o looked/x.h5 --checkpoint looked/kept --json-report looked/report.json --dry-run
expect "a dry run touches no folder that it looks at" test "$? $(stat -c %y looked)" = "0 $touched"
quickly plan store.h5 --ranks-list 1,2 --gflops 10
expect "a table for people" grep -q 'replicate' stderr
quickly plan --rows 50000 --dim 64 --ranks-list 1 --gflops 0.001
expect "large numbers in full" grep -qE ' 160 +0 +159997 +159997$' stderr
on 3 mine store.h5 --mem-per-rank 10K --positives all --dry-run >out 2>err
expect "a dry run that does not fit is refused as the job is" test "$? $(grep -c 'needs at least' err)" = "71 1"

refused() { # what, exit code, pattern; then the words
    local what=$1 code=$2 pattern=$3
    shift 3
    quickly "$@"
    expect "$what" test "$? $(grep -c '^trimine: error: ' stderr)" = "$code 1"
    expect "$what: $pattern" grep -qE -- "$pattern" stderr
}
refused "neither store nor rows" 64 "give a STORE, or --rows" plan
refused "both" 64 "a store or --rows, not both" plan store.h5 --rows 5
refused "dimensions of a store" 64 "--dim goes with --rows" plan store.h5 --dim 5
refused "a pilot without rows" 64 "--sample goes with a STORE" plan --rows 100 --sample 5
refused "a share without a pilot" 64 "--active goes with --sample" plan store.h5 --active 0.5
refused "a kernel that is none" 64 "--kernel 'gpu': must be one of auto .*bf16" mine store.h5 --kernel gpu --dry-run
refused "half a rank" 64 "--ranks-list: 2.5 is no number of ranks" plan store.h5 --ranks-list 1,2.5
refused "teams that do not go up" 64 "--replicate 2: must divide the number of ranks, 3" plan store.h5 --ranks-list 3 --replicate 2
refused "batches" 64 "'--batches': not an option of trimine plan" plan store.h5 --batches 4
refused "queries of data that are not there yet" 64 "--queries goes with a STORE" plan --rows 100 --queries few.h5
refused "pairs" 64 "a job of --pairs is planned by its own --dry-run" plan store.h5 --queries few.h5 --pairs pairs.txt
refused "a pilot of queries" 64 "--sample: a pilot is of one set" plan store.h5 --queries few.h5 --sample 5
refused "no such store" 66 "store 'nosuch.h5': No such file" plan nosuch.h5
refused "a pilot that does not fit" 71 "the pilot, which has all rows in one process, needs" plan large.h5 --positives easiest --sample 5 --gflops 1 --mem-per-rank 3M
# Its one process has all labels, whatever --mem-per-rank says of the ranks.
refused "more labels than memory" 71 "labels of all rows in one process: 10[0-9.]* MB, .*--rows [0-9]+ --dim 8:" plan --rows 100000000000 --dim 8 --classes 9 --gflops 1 --mem-per-rank 100000T
on 3 plan store.h5 >out 2>err
expect "several ranks" test "$? $(grep -c 'plan is for one process' err)" = "64 1"

# Where BLAS can't run, the probe tries what the job itself would try: no kernel that needs it.
OPENBLAS_CORETYPE=SkylakeX on 1 plan large.h5 --positives easiest --ranks-list 1 --json --quiet >out 2>err
expect "a BLAS that can't run here" test $? = 0

finish
