#!/usr/bin/env bash
# The templates in slurm/ on a real Slurm of two nodes: a job that completes by srun and by mpirun, on one node and on two,
# an array, and one that gets its signal before the time limit, is put back into the queue and ends with the result of
# an undisturbed run; and what happens without --mpi=pmix.
source "$(dirname "$0")/../cli/lib.sh"
for tool in munged slurmctld slurmd sbatch; do
    if ! command -v "$tool" >/dev/null; then
        echo "skipped: $tool is not installed"
        exit 77
    fi
done
if ((EUID != 0)); then
    echo "skipped: a private Slurm is started as root"
    exit 77
fi
source "$(dirname "$0")/cluster.sh"
trap 'cluster_stop; rm -rf "$dir"' EXIT
cluster_start || {
    fail "Slurm does not start"
    finish
}
cd "$dir" || exit 2
export TRIMINE=$program OMP_NUM_THREADS=1
templates=$source_dir/slurm
"$program" synth s.h5 --rows 3000 --dim 32 --classes 30 --quiet || exit 2
"$program" synth short.h5 --rows 60000 --dim 64 --classes 30 --quiet || exit 2
"$program" synth long.h5 --rows 200000 --dim 64 --classes 30 --quiet || exit 2

hash_of() {
    "$python" -c 'import h5py, sys; print(h5py.File(sys.argv[1])["/"].attrs["result_hash"].decode())' "$1" 2>&1
}

on 2 mine s.h5 -o right.h5 --quiet || fail "undisturbed"
on 2 mine short.h5 -o short_right.h5 --positives easiest --quiet || fail "undisturbed, short"
on 2 mine long.h5 -o long_right.h5 --positives easiest --quiet || fail "undisturbed, long"

# completes NAME OUT RIGHT [VARIABLE=VALUE...] -- SBATCH ARGUMENTS...
completes() {
    local name=$1 out=$2 right=$3 settings=() job
    shift 3
    while [[ $1 != -- ]]; do
        settings+=("$1")
        shift
    done
    shift
    job=$(env "${settings[@]}" sbatch --parsable --output="job-%j.log" "$@" 2>stderr) || {
        fail "$name: not submitted" stderr
        return
    }
    ended "$job" 40 || fail "$name: does not end"
    if [[ $state != COMPLETED ]]; then
        fail "$name: $state, exit code $code" "job-$job.log"
    elif [[ $(hash_of "$out") != $(hash_of "$right") ]]; then
        fail "$name: another result" "job-$job.log"
    else
        pass
    fi
    log=job-$job.log
}

completes "one node by srun" a.h5 right.h5 -- --cpus-per-task=2 "$templates/one-node.sbatch" s.h5 a.h5
completes "one node by mpirun" b.h5 right.h5 LAUNCH=mpirun -- --cpus-per-task=2 "$templates/one-node.sbatch" s.h5 b.h5
completes "four ranks by srun" c.h5 right.h5 -- --nodes=1 --ntasks-per-node=4 --cpus-per-task=1 \
    "$templates/several-nodes.sbatch" s.h5 c.h5 --json
expect "srun connects them" grep -q '"ranks": 4' "$log"
# Two nodes that are one host can't share memory as one, nor talk over anything but loopback.
completes "two nodes by mpirun" d.h5 right.h5 LAUNCH=mpirun MAP=node BIND=none OMPI_MCA_btl=self,tcp OMPI_MCA_pml=ob1 \
    OMPI_MCA_btl_tcp_if_include=lo OMPI_MCA_oob_tcp_if_include=lo -- --nodes=2 --ntasks-per-node=2 --cpus-per-task=1 \
    "$templates/several-nodes.sbatch" s.h5 d.h5 --json
expect "mpirun connects them" grep -q '"ranks": 4' "$log"

# ---- an array ----

mkdir results stores
for i in 0 1 2; do "$program" synth "stores/$i.h5" --rows 500 --dim 8 --seed "$i" --quiet; done
job=$(OPTIONS='--positives easiest' sbatch --parsable --array=0-2 --cpus-per-task=1 --output=array-%a.log \
    "$templates/array.sbatch" results stores/0.h5 stores/1.h5 stores/2.h5)
for i in 0 1 2; do
    ended "${job}_$i" 60
    "$program" mine "stores/$i.h5" -o "stores/$i.right" --positives easiest --quiet
    expect "array task $i completes" test "$state" == COMPLETED
    expect "with its store's result" test "$(hash_of "results/$i.h5")" == "$(hash_of "stores/$i.right")"
done

# ---- stopped before the time limit, and on ----

# requeued NAME STORE OUT LAUNCH SIGNAL [ask]: by Slurm, SIGNAL seconds before the limit of a minute; ask: by scancel at once.
requeued() {
    local job i name=$1 store=$2 out=$3
    shift
    job=$(LAUNCH=$3 sbatch --parsable --ntasks=1 --cpus-per-task=1 --time=1 --signal="B:USR1@$4" --output="job-%j.log" \
        "$templates/preemptible.sbatch" "$store.h5" "$out" --positives easiest --kernel blas --tile 32 --checkpoint-every 0.05)
    if [[ -n ${5:-} ]]; then
        for ((i = 0; i < 300; i++)); do
            if [[ -s $out.checkpoint ]]; then break; fi
            sleep 0.1
        done
        scancel --batch --signal=USR1 "$job"
    fi
    ended "$job" 240 || fail "$name: does not end: $state" "job-$job.log"
    expect "$name: was stopped" grep -q "holds the work: run again with --resume" "job-$job.log"
    expect "$name: and went on" grep -q "^resume     from checkpoint" "job-$job.log"
    if [[ $state != COMPLETED ]]; then fail "$name: $state, exit code $code" "job-$job.log"; fi
    expect "$name: to the same result" test "$(hash_of "$out")" == "$(hash_of "${store}_right.h5")"
    expect "$name: the checkpoint is gone" test ! -e "$out.checkpoint"
}
requeued "a time limit" long e.h5 srun 45
requeued "mpirun" short f.h5 mpirun 5 ask

# ---- without pmix ----

srun -n 2 "$program" mine s.h5 -o g.h5 >stdout 2>stderr
expect "srun without --mpi=pmix is refused" test $? == 69
expect "with the hint, once" test "$(grep -c 'trimine: error: .*use srun --mpi=pmix, or mpirun' stderr)" == 1
expect "and writes nothing" test ! -e g.h5
finish
