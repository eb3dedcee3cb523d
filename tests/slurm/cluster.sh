# shellcheck shell=bash
# A Slurm cluster of two nodes on this host, private to the test: everything in $dir/slurm, on loopback. Sourced after
# cli/lib.sh; cluster_start, and cluster_stop on exit.
cluster=$dir/slurm
daemons=()

cluster_stop() {
    local pid i
    for pid in "${daemons[@]}"; do kill "$pid" 2>/dev/null; done
    for pid in "${daemons[@]}"; do
        for ((i = 0; i < 50; i++)); do
            if ! kill -0 "$pid" 2>/dev/null; then break; fi
            sleep 0.1
        done
        kill -9 "$pid" 2>/dev/null
    done
    daemons=()
}

cluster_start() {
    local host port cores node i
    host=$(hostname)
    port=$((20000 + $$ % 20000))
    cores=$(nproc)
    mkdir -p "$cluster/state" "$cluster/munge"
    chmod 700 "$cluster/munge"
    head -c 128 /dev/urandom >"$cluster/munge/key"
    chmod 400 "$cluster/munge/key"
    munged --foreground --force --key-file="$cluster/munge/key" --socket="$cluster/munge/socket" \
        --pid-file="$cluster/munge/pid" --log-file="$cluster/munge/log" --seed-file="$cluster/munge/seed" \
        </dev/null >"$cluster/munge/out" 2>&1 &
    daemons+=($!)
    cat >"$cluster/slurm.conf" <<CONF
ClusterName=trimine
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$port
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$cluster/munge/socket,cred_expire=5
StateSaveLocation=$cluster/state
SlurmdSpoolDir=$cluster/spool.%n
SlurmctldPidFile=$cluster/slurmctld.pid
SlurmdPidFile=$cluster/%n.pid
SlurmctldLogFile=$cluster/slurmctld.log
SlurmdLogFile=$cluster/%n.log
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=5
MessageTimeout=30
SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=1
NodeName=node1 NodeHostname=$host NodeAddr=127.0.0.1 Port=$((port + 1)) CPUs=$((cores * 2))
NodeName=node2 NodeHostname=$host NodeAddr=127.0.0.1 Port=$((port + 2)) CPUs=$((cores * 2))
PartitionName=all Nodes=node1,node2 Default=YES MaxTime=INFINITE State=UP
CONF
    export SLURM_CONF=$cluster/slurm.conf
    slurmctld -D </dev/null >"$cluster/slurmctld.out" 2>&1 &
    daemons+=($!)
    for node in node1 node2; do
        mkdir -p "$cluster/spool.$node"
        slurmd -D -N "$node" </dev/null >"$cluster/$node.out" 2>&1 &
        daemons+=($!)
    done
    for ((i = 0; i < 300; i++)); do
        if [[ $(sinfo -h -t idle -o %D 2>/dev/null) == 2 ]]; then return 0; fi
        sleep 0.1
    done
    tail -n 5 "$cluster"/*.log "$cluster"/*.out >&2
    return 1
}

# ended JOB SECONDS: waits until a job is in the queue no more; its state and exit code in $state and $code.
ended() {
    local i
    for ((i = 0; i < $2 * 5; i++)); do
        state=$(scontrol show job "$1" -o 2>/dev/null | sed -nE 's/.*JobState=([A-Z_]+).*/\1/p' | head -n 1)
        code=$(scontrol show job "$1" -o 2>/dev/null | sed -nE 's/.*ExitCode=([0-9]+):.*/\1/p' | head -n 1)
        case $state in
        COMPLETED | FAILED | TIMEOUT | CANCELLED | NODE_FAIL | OUT_OF_MEMORY) return 0 ;;
        esac
        sleep 0.2
    done
    return 1
}
