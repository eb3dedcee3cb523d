#!/usr/bin/env bash
# Bad inputs and bad options, on 1 rank (without mpirun) and on 3: the right exit code, no hang, exactly one line of error that names
# what is wrong and where, nothing on stdout, and neither an output nor a temporary file left behind.
source "$(dirname "$0")/lib.sh"
in=$dir/in
mkdir "$in" "$out"

"$python" - "$in" <<'PY' || exit 2
import numpy as np
from stores import folder, write

rng = np.random.default_rng(1)
x = rng.standard_normal((40, 8)).astype(np.float32)
y = np.arange(40) % 4

def changed(row, col, value):
    z = x.copy()
    z[row, col] = value
    return z

def zeroed(row):
    z = x.copy()
    z[row] = 0
    return z

write("good", embeddings=x, labels=y)
write("good2", embeddings=x, labels=y)
write("dim7", embeddings=x[:, :7], labels=y)
write("no_embeddings", labels=y)
write("no_labels", embeddings=x)
write("ambiguous", embeddings=x, features=x, labels=y)
write("flat", embeddings=x.ravel(), labels=np.zeros(320, int))
write("cube", embeddings=x.reshape(40, 4, 2), labels=y)
write("labels2d", embeddings=x, labels=y.reshape(20, 2))
write("text", embeddings=np.full((40, 8), b"x"), labels=y)
write("fractions", embeddings=x, labels=y + 0.5 * (np.arange(40) > 30))
write("short_labels", embeddings=x, labels=y[:39])
write("empty", embeddings=x[:0], labels=y[:0])
write("nan", embeddings=changed(17, 3, np.nan), labels=y)
write("inf", embeddings=changed(39, 0, -np.inf), labels=y)
write("zero", embeddings=zeroed(11), labels=y)
data = open(f"{folder}/good.h5", "rb").read()
open(f"{folder}/truncated.h5", "wb").write(data[: len(data) * 2 // 3])
open(f"{folder}/not_hdf5.h5", "wb").write(b"rows,of,text\n" * 100)
open(f"{folder}/nothing.h5", "wb").close()
PY

mine() { # NAME CODE PATTERN... -- FILE OPTIONS...: mine with an output that must not appear
    refused "${@:1:$#}" -o "$out/t.h5"
}

# sick NAME PATTERN...: mining the input file NAME.h5 is refused as bad data, and the file is named.
sick() {
    local name=$1
    shift
    mine "$name" 65 "$name\.h5" "$@" -- mine "$in/$name.h5"
}

mine "a name of two lines" 66 'absent\\x0a\.h5' -- mine "$in/absent"$'\n.h5'
# Names hold what they like; a terminal gets no control character of them, nor a line of their own.
odd=$dir/odd$'\e[31m\n\xc2\x9b\xc3\xbc' # the last is a letter
shown() { # WHAT COMMAND...: it ends well and shows the name
    "$program" "${@:2}" </dev/null >"$dir/shown.log" 2>&1
    expect "$1 ends well" test $? = 0
    expect "$1 names the file, in one line" grep -q $'odd\\\\.*\xc3\xbc' "$dir/shown.log"
    if LC_ALL=C grep -q $'\e\\|\xc2\x9b' "$dir/shown.log"; then fail "$1: a control character" "$dir/shown.log"; else pass; fi
}
shown synth synth "$odd" --rows 40 --dim 4 --classes 3
shown info info "$odd"
shown "info --json" info "$odd" --json
shown mine mine "$in/good.h5" --window none -o "$odd.h5"
shown loss loss "$in/good.h5" --triplets "$odd.h5" --gradient -o "$odd.gradient.h5"
mine "missing file" 66 'absent\.h5' -- mine "$in/absent.h5"
mine "one of two missing" 66 'absent\.h5' -- mine "$in/good.h5" "$in/absent.h5"
sick not_hdf5 HDF5
sick nothing HDF5
sick truncated
sick no_embeddings embeddings
sick no_labels labels
sick ambiguous embeddings features
sick flat embeddings
sick cube embeddings
sick labels2d labels
sick text embeddings
sick fractions labels 'row 31\b' '0?\.5' 'whole number'
sick short_labels '\b39\b' '\b40\b'
sick empty '\b(0|no|zero|empty)\b'
sick nan embeddings 'row 17\b'
sick inf embeddings 'row 39\b'
mine "given dataset missing" 65 'good\.h5' nonesuch -- mine "$in/good.h5" --embeddings nonesuch
mine "zero norm under cosine" 65 'zero\.h5' embeddings 'row 11\b' norm -- mine "$in/zero.h5" --metric cosine
mine "zero norm under --normalize" 65 'zero\.h5' embeddings 'row 11\b' norm -- mine "$in/zero.h5" --normalize
mine "dims differ" 65 'dim7\.h5' '\b7\b' '\b8\b' -- mine "$in/good.h5" "$in/dim7.h5"

mine "unknown option" 64 frobnicate -- mine "$in/good.h5" --frobnicate
mine "no store" 64 store -- mine
mine "margin nan" 64 margin -- mine "$in/good.h5" --margin nan
mine "margin inf" 64 margin -- mine "$in/good.h5" --margin inf
mine "margin negative" 64 margin -- mine "$in/good.h5" --margin=-0.5
mine "margin not a number" 64 margin -- mine "$in/good.h5" --margin 1.0x
refused "noise that would overflow" 64 "spread '1e101': must be at most 1e100" -- synth "$out/s.h5" --rows 5 --spread 1e101
mine "unknown metric" 64 metric euclidean -- mine "$in/good.h5" --metric euclidean
mine "unknown positives" 64 positives -- mine "$in/good.h5" --positives some
mine "nearest zero" 64 'positives|nearest' -- mine "$in/good.h5" --positives nearest:0
mine "unknown window" 64 window -- mine "$in/good.h5" --window ge
mine "unknown pick" 64 pick -- mine "$in/good.h5" --pick middle
mine "unknown fallback" 64 fallback -- mine "$in/good.h5" --fallback some
mine "unknown kernel" 64 kernel -- mine "$in/good.h5" --kernel fp7
mine "odd tile" 64 tile -- mine "$in/good.h5" --tile 33
mine "negative threads" 64 threads -- mine "$in/good.h5" --threads=-1
mine "replicate more than ranks" 64 replicate -- mine "$in/good.h5" --replicate 7
mine "unknown command" 64 digest -- digest "$in/good.h5"
refused "no command" 64 command --

refused "output folder missing" 73 'absent/t\.h5' -- mine "$in/good.h5" -o "$out/absent/t.h5"
refused "output is a folder" 73 'out' -- mine "$in/good.h5" -o "$out" --overwrite
printf old >"$out/t.h5"
kept=$out/t.h5
mine "output exists" 73 't\.h5' overwrite -- mine "$in/good.h5"
expect "the old output is as it was" test "$(cat "$out/t.h5")" = old
rm "$out/t.h5"
kept=

before=$(sha256sum <"$in/good.h5")
refused "output is an input" 64 'good\.h5' -- mine "$in/good.h5" --overwrite -o "$in/good.h5"
ln -s ../in/good.h5 "$out/link.h5"
kept=$out/link.h5
refused "output is an input through a link" 64 'link\.h5|good\.h5' -- \
    mine "$in/good2.h5" "$in/good.h5" --overwrite -o "$out/link.h5"
rm "$out/link.h5"
kept=
expect "the input is as it was" test "$(sha256sum <"$in/good.h5")" = "$before"

# Permissions do not hold for root, who tries as another user; or not at all where that user can't run the program.
as_other=()
if ((EUID == 0)); then
    as_other=(setpriv --reuid=65534 --regid=65534 --clear-groups env HOME="$dir/home" TMPDIR="$dir/home")
    mkdir -m 777 "$dir/home"
    chmod 755 "$dir" "$in" "$out"
fi
cp "$in/good.h5" "$in/secret.h5"
chmod 000 "$in/secret.h5"
chmod 555 "$out"
if "${as_other[@]}" "$program" --version >/dev/null 2>&1; then
    for ranks in 1 3; do
        timeout -k 5 "$patience" "${as_other[@]}" mpirun --bind-to none -n "$ranks" "$program" mine "$in/good.h5" \
            -o "$out/t.h5" </dev/null >"$dir/stdout" 2>"$dir/stderr"
        judge "output folder not writable on $ranks ranks" $? 77 'out'
        timeout -k 5 "$patience" "${as_other[@]}" mpirun --bind-to none -n "$ranks" "$program" mine "$in/secret.h5" \
            </dev/null >"$dir/stdout" 2>"$dir/stderr"
        judge "input not readable on $ranks ranks" $? 77 'secret\.h5'
    done
else
    echo "skipped: permissions (run as root, and the other user can't run the program where it is)"
fi
chmod 755 "$out"

# One of several tasks of a step that MPI does not connect: N copies, each with the whole work. The batch script and the
# shells of such a job are something else. (unit.test_launch has more.)
env -i PATH="$PATH" HOME="$dir" SLURM_STEP_NUM_TASKS=4 SLURM_STEP_ID=0 SLURM_PROCID=0 OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 \
    timeout -k 5 "$patience" "$program" mine "$in/good.h5" -o "$out/t.h5" </dev/null >"$dir/stdout" 2>"$dir/stderr"
judge "singletons under Slurm" $? 69 '--mpi=pmix'
SLURM_STEP_NUM_TASKS=4 on 1 mine "$in/good.h5" --quiet >"$dir/stdout" 2>"$dir/stderr"
expect "one rank under mpirun inside a step of four tasks is fine" test $? = 0
SLURM_NTASKS=4 SLURM_PROCID=0 SLURM_NODELIST=a SLURM_JOBID=7 timeout -k 5 "$patience" "$program" info "$in/good.h5" --quiet
expect "so is the batch script itself" test $? = 0

# Too little memory: the line says what to type, where the limit is Slurm's. (unit.test_host looks at where it is from.)
# granted RANKS VARIABLE=MIB OPTIONS...: a job in a job of Slurm, which has two CPUs here.
granted() {
    local -x SLURM_JOB_ID=7 SLURM_CPUS_ON_NODE=2 "$2"
    quickly_on "$1" mine "$in/good.h5" --threads 2 --quiet "${@:3}"
}
for ranks in 1 3; do
    for way in SLURM_MEM_PER_NODE:--mem:nodes SLURM_MEM_PER_CPU:--mem-per-cpu:ranks; do
        IFS=: read -r variable option more <<<"$way"
        granted "$ranks" "$variable=1"
        judge "$option on $ranks ranks" $? 71 "[KM]B a rank, the limit is .*: give sbatch $option=[0-9]+M or use more $more\$"
        enough=$(sed -nE "s/.*$option=([0-9]+)M .*/\1/p" "$dir/stderr")
        granted "$ranks" "$variable=$((enough - 1))"
        judge "less than that $option on $ranks ranks" $? 71 "give sbatch $option=${enough}M"
        granted "$ranks" "$variable=$enough"
        expect "what the line says is enough: $option on $ranks ranks" test $? = 0
    done
    granted "$ranks" SLURM_MEM_PER_NODE=1 --mem-per-rank 1K
    judge "both limits on $ranks ranks" $? 71 "give --mem-per-rank [0-9]+[KM], and sbatch --mem=[0-9]+M or use more nodes\$"
    granted "$ranks" SLURM_MEM_PER_NODE=9000 --mem-per-rank 1K
    judge "the option's limit alone on $ranks ranks" $? 71 "give --mem-per-rank [0-9]+[KM] or use more ranks\$"
done

finish
