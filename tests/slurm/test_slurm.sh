#!/usr/bin/env bash
# The templates in slurm/ on a real Slurm of two nodes: a job that completes by srun and by mpirun, on one node and on two,
# an array, and ones that get their signal before the time limit, are put back into the queue and end with the result of
# an undisturbed run; and what happens without the program, and without --mpi=pmix.
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
at_exit+=(cluster_stop)
cluster_start || {
    fail "Slurm does not start"
    finish
}
cd "$dir" || exit 2
export TRIMINE=$program OMP_NUM_THREADS=1
templates=$source_dir/slurm
"$program" synth s.h5 --rows 3000 --dim 32 --classes 30 --quiet || exit 2
"$program" synth long.h5 --rows 20000 --dim 64 --classes 30 --quiet || exit 2

hash_of() {
    "$python" -c 'import h5py, sys; print(h5py.File(sys.argv[1])["/"].attrs["result_hash"].decode())' "$1" 2>&1
}

on 2 mine s.h5 -o right.h5 --quiet || fail "undisturbed"
on 2 mine long.h5 -o long_right.h5 --positives easiest --quiet || fail "undisturbed, long"

# ---- stopped before the time limit, and on ----

# However fast the machine is, a job must not end before its signal comes. So in its first run it waits at its first
# checkpoint, and is stopped there (SIGSTOP) until the signal is pending.
cat >held <<HELD
#!/bin/bash
if [[ \${SLURM_RESTART_COUNT:-0} == 0 ]]; then export LD_PRELOAD=$shim; fi
exec "$program" "\$@"
HELD
chmod +x held

# held OUT LAUNCH SBATCH ARGUMENTS...: submits a job and waits until it is held. Its number goes to $held_job. With
# --array it is a task of an array, whose result is in a folder under the store's name.
held() {
    local launch=$2 options=(--positives easiest --kernel blas --tile 32 --checkpoint-every 0.0001) words
    held_out=$1
    shift 2
    words=("$templates/preemptible.sbatch" long.h5 "$dir/$held_out" "${options[@]}")
    if [[ $* == *--array* ]]; then words=("$templates/array.sbatch" "$dir/${held_out%/*}" "${held_out##*/}"); fi
    held_job=$(env TRIMINE="$dir/held" LAUNCH="$launch" FAULT_CALL=rename FAULT_NTH=1 FAULT_PATH="$dir/$held_out.checkpoint" \
        FAULT_HERE="$dir/$held_out.here" FAULT_WAIT="$dir/$held_out.go" \
        OPTIONS="${options[*]}" sbatch --parsable --ntasks=1 --cpus-per-task=1 --output="job-%j.log" "$@" "${words[@]}")
    if awaits "$patience" test -s "$held_out.here"; then
        kill -STOP "$(<"$held_out.here")"
        touch "$held_out.go"
    else
        fail "$held_out: does not come to its first checkpoint" "job-$held_job.log"
    fi
}

# goes_on NAME OUT JOB: a held job gets its signal, is put back into the queue and ends as it should.
goes_on() {
    local name=$1 out=$2 job=$3
    if [[ -s $out.here ]]; then
        awaits "$patience" usr1_is_pending_or_gone "$(<"$out.here")" || fail "$name: no signal comes"
        kill -CONT "$(<"$out.here")"
    fi
    awaits "$patience" is_over "$job" || fail "$name: does not end: $state" "job-$job.log"
    expect "$name: was stopped" grep -q "holds the work: run again with --resume" "job-$job.log"
    expect "$name: and went on" grep -q "^resume     from checkpoint" "job-$job.log"
    if [[ $state != COMPLETED ]]; then fail "$name: $state, exit code $code" "job-$job.log"; fi
    expect "$name: to the same result" test "$(hash_of "$out")" == "$(hash_of long_right.h5)"
    expect "$name: the checkpoint is gone" test ! -e "$out.checkpoint"
}

# Slurm looks at time limits every half minute, so it sends the signal 30 to 60 seconds after the start of this one.
held limit.h5 srun --time=2 --signal=B:USR1@60
limit_job=$held_job
held asked.h5 mpirun
scancel --batch --signal=USR1 "$held_job"
goes_on "mpirun" asked.h5 "$held_job"
mkdir tasks
held tasks/long.h5 srun --array=0
scancel --batch --signal=USR1 "$held_job"
goes_on "a task of an array" tasks/long.h5 "$held_job"

# ---- jobs that complete ----

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
    awaits "$patience" is_over "$job" || fail "$name: does not end"
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
    awaits "$patience" is_over "${job}_$i" || fail "array task $i: does not end"
    "$program" mine "stores/$i.h5" -o "stores/$i.right" --positives easiest --quiet
    expect "array task $i completes" test "$state" == COMPLETED
    expect "with its store's result" test "$(hash_of "results/$i.h5")" == "$(hash_of "stores/$i.right")"
done

goes_on "a time limit" limit.h5 "$limit_job"

# ---- without the program, and without pmix ----

for template in one-node several-nodes preemptible array; do
    sbatch --wait --parsable --nodes=1 --ntasks=1 --ntasks-per-node=1 --cpus-per-task=1 --array=0 --export=ALL,TRIMINE=nosuch \
        --output=none.log "$templates/$template.sbatch" s.h5 none.h5 >stdout 2>stderr
    expect "$template without the program" test "$? $(cat none.log)" == "127 nosuch is not in PATH on $(hostname): load its module, or set TRIMINE"
    rm -f none.log
    "$templates/$template.sbatch" s.h5 >stdout 2>stderr
    expect "$template without an output" test "$? $(grep -c '^usage: sbatch ' stderr)" == "64 1"
done

srun -n 2 "$program" mine s.h5 -o g.h5 >stdout 2>stderr
expect "srun without --mpi=pmix is refused" test $? == 69
expect "with the hint, once" test "$(grep -c 'trimine: error: .*use srun --mpi=pmix, or mpirun' stderr)" == 1
expect "and writes nothing" test ! -e g.h5
finish
