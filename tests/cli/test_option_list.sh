#!/usr/bin/env bash
# trimine options: the list of all options, for people and for programs, is what the program takes.
source "$(dirname "$0")/lib.sh"
mkdir "$out"

for words in options "options --json"; do
    # shellcheck disable=SC2086
    env -u OMPI_ALLOW_RUN_AS_ROOT "$program" $words >"$dir/stdout" 2>"$dir/stderr" </dev/null
    expect "'$words' works without MPI" test $? = 0
    expect "'$words' prints to stdout" test -s "$dir/stdout"
    expect "'$words' prints nothing else" test ! -s "$dir/stderr"
    # shellcheck disable=SC2086
    "$program" $words >/dev/full 2>"$dir/stderr"
    expect "'$words' into a full device is one error" test "$? $(grep -c '^trimine: error: ' "$dir/stderr")" = "74 1"
done
expect "three ranks print it once" test "$(on 3 options --json | wc -l)" = 1
quickly options --quiet
expect "--quiet is quiet" test "$? $(wc -c <"$dir/stdout")" = "0 0"
refused "a store" 64 "options takes no store: 's\.h5'" -- options s.h5
refused "an option of others" 64 "'--metric': not an option of trimine options, but of: mine loss knn eval radius plan bench" -- options --metric l2
refused "an unknown option, with JSON" 64 "'--jsn': unknown option, did you mean '--json'" -- options --json --jsn

"$program" options >"$dir/table"
"$program" options --json >"$dir/options.json"
expect "--json is one line" test "$(wc -l <"$dir/options.json")" = 1
mapfile -t commands < <("$python" -c 'import json, sys; print(*(c["name"] for c in json.load(sys.stdin)["commands"]), sep="\n")' <"$dir/options.json")
for command in "${commands[@]}"; do
    "$program" "$command" --help >"$dir/$command.help"
done

# Facts of the JSON, and the command lines that follow from it: "EXIT-CODE WORD...".
cat >"$dir/check.py" <<'PY'
import json
import re
import sys

folder, *pages = sys.argv[1:]
with open(f"{folder}/options.json") as f:
    schema = json.load(f)
with open(f"{folder}/table") as f:
    table = f.read()
text = ""
for page in pages:
    with open(page) as f:
        text += f.read()
commands = {c["name"]: {o["name"]: o for o in c["options"]} for c in schema["commands"]}
assert list(commands)[:2] == ["mine", "loss"], list(commands)
for command in commands:
    assert f"`trimine {command} " in text, f"README and docs say nothing of trimine {command}"
for c in schema["commands"]:
    assert c["about"] and c["needs_mpi"] == (c["name"] not in ("options", "report")), c["name"]
for command, options in commands.items():
    with open(f"{folder}/{command}.help") as f:
        told = set(re.findall(r"--([a-z][a-z-]*)(?:=\S+)? {2,}", f.read()))
    assert told - {"help", "usage", "version"} == set(options), (command, told ^ set(options))
    for name, o in options.items():
        assert re.search(rf"--{name}\b", table), name
        assert set(o["applies_to"] or []) <= set(schema["sources"]), name
        assert o["kind"] in ("flag", "count", "word", "whole", "real", "reals", "size", "text", "texts", "labels"), name
        assert (o["value"] is None) == (o["kind"] in ("flag", "count")), name
        assert (o["kind"] in ("texts", "labels")) == o["repeats"], name
for command in "mine", "loss", "knn":
    for name in commands[command]:
        assert f"--{name}" in text or name in ("output", "verbose"), f"README and docs say nothing of --{name}"


def wanted(command, name, **values):
    for key, value in values.items():
        assert commands[command][name][key] == value, (command, name, key, commands[command][name][key])


wanted("mine", "metric", letter=None, kind="word", value="NAME", default="sql2", decides=True, key="metric")
wanted("mine", "output", letter="o", default=None, decides=False, applies_to=None, group="Output")
wanted("mine", "margin", default=None, least=0.0, most=None)
wanted("mine", "positives", default="all", applies_to=["mined"])
wanted("bench", "positives", default="easiest")
wanted("loss", "loss", default=None)
wanted("loss", "window", applies_to=["mined", "packed-semihard"])
wanted("loss", "within", applies_to=["within-margin"], default=None)
wanted("synth", "seed", default=0, least=0, most=2**63 - 1)
wanted("synth", "rows", default=20000, least=1, most=2**40)
wanted("synth", "spread", default=1.0, most=1e100)
wanted("mine", "threads", default=None, least=1, most=4096)
wanted("mine", "replicate", default="auto")
words = {w["name"]: w for w in commands["mine"]["positives"]["words"]}
assert list(words)[:2] == ["all", "hardest"], words
assert words["nearest"]["number"] == "K" and words["nearest"]["least"] == 1, words
assert [w["name"] for w in commands["mine"]["negatives"]["words"]][:2] == ["semihard", "hard"]
store_words, words_of_loss = ([w["name"] for w in commands[c]["negatives"]["words"]] for c in ("mine", "loss"))
assert words_of_loss == store_words + ["reversed"], words_of_loss
random = next(w for w in commands["mine"]["negatives"]["words"] if w["name"] == "random")
assert (random["least"], random["usual"]) == (1, 1), random
assert [w["name"] for w in commands["loss"]["loss"]["words"]] == ["batch-hard", "batch-all", "mined"]
presets = {p["name"]: p for p in schema["presets"]}
assert presets["facenet"]["mine"] and "--margin=0.2" in presets["facenet"]["words"], presets["facenet"]

lines = []
for command in "mine", "loss":
    for name, o in commands[command].items():
        for w in o["words"] or []:
            number = f":{w['least']:g}" if w["number"] else ""
            lines.append((66, command, name, w["name"] + number))
        if o["kind"] == "word":
            lines.append((64, command, name, "nonsense"))
        if o["kind"] in ("whole", "real") and o["least"] is not None:
            lines.append((66, command, name, o["least"]))
            lines.append((64, command, name, o["least"] - 1))
            if o["most"] is not None and o["kind"] == "whole":
                lines.append((66 if name not in ("replicate", "tile") else None, command, name, o["most"]))
                lines.append((64, command, name, o["most"] + 1))
with open(f"{folder}/lines", "w") as f:
    for code, command, name, value in lines:
        if code is not None:
            f.write(f"{code} {command} absent.h5 --{name} {value}\n")
PY
"$python" "$dir/check.py" "$dir" "$source_dir/README.md" "$source_dir"/docs/*.md 2>"$dir/check.log"
expect "the list: $(tail -n 1 "$dir/check.log")" test ! -s "$dir/check.log"

# An option that needs another one, and what is known only where the job begins, come later than a missing store.
expect "there are lines to try" test "$(wc -l <"$dir/lines")" -gt 60
while read -r code words; do
    case $words in
    *--form*) words+=" -o $out/o.h5" ;;
    *--batches*) words+=" --classes-per-batch 1 --rows-per-class 1" ;;
    *--classes-per-batch*) words+=" --batches 1 --rows-per-class 1" ;;
    *--rows-per-class*) words+=" --batches 1 --classes-per-batch 1" ;;
    loss*--max-triplets*) words+=" --negatives violating --emit" ;;
    *--max-triplets*) words+=" --negatives violating --emit -o $out/o.h5" ;;
    *--rank-order*) words+=" --negatives hard --ranks 1-" ;;
    *--relative-margin* | *--shortlist*) words+=" --negatives hard" ;;
    *--checkpoint-every*) words+=" --checkpoint $out/c" ;;
    *"--gradient-at normalized"*) words+=" --normalize" ;;
    *--threads*) [[ $code == 64 ]] || words="${words%--threads*}--threads 1" ;;
    *--replicate*|*--tile*) [[ $code == 64 ]] || continue ;;
    esac
    # shellcheck disable=SC2086
    quickly $words
    judge "$words" $? "$code"
done <"$dir/lines"
finish
