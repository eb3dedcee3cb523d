# shellcheck shell=bash
# A Slurm cluster of two nodes on this host, private to the test: everything in $dir/slurm, on loopback. Sourced after
# cli/lib.sh; cluster_start, and cluster_stop on exit.
cluster=$dir/slurm
daemons=()

# What belongs to the cluster has its configuration in its environment: the daemons, slurmstepd and the jobs.
cluster_processes() {
    local file pid
    for file in $(grep -lzsE "^SLURM_CONF=$cluster/" /proc/[0-9]*/environ); do
        pid=${file#/proc/}
        echo "${pid%/environ}"
    done
}

# Jobs first: a daemon that is killed leaves its jobs running.
cluster_stop() {
    local pid i jobs
    if ((${#daemons[@]} == 0)); then return; fi
    jobs=$(timeout 10 squeue -h -o %A 2>/dev/null | sort -u)
    if [[ -n $jobs ]]; then
        # shellcheck disable=SC2086 # one word a job
        timeout 10 scancel --quiet $jobs 2>/dev/null
        for ((i = 0; i < 300; i++)); do
            if [[ -z $(timeout 10 squeue -h -o %A 2>/dev/null) ]]; then break; fi
            sleep 0.1
        done
    fi
    for pid in "${daemons[@]}"; do kill "$pid" 2>/dev/null; done
    for pid in "${daemons[@]}"; do ends "$pid" 10; done
    for pid in $(cluster_processes); do kill -9 "$pid" 2>/dev/null; done
    wait "${daemons[@]}" 2>/dev/null
    daemons=()
}

cluster_start() {
    local host port cores node
    host=$(hostname)
    port=$((20000 + $$ % 12000)) # below the ports that the system hands out
    cores=$(nproc)
    # A folder that PMIx left in a shared one, when a cluster was killed, would stop every later job of that number.
    mkdir -p "$cluster/state" "$cluster/munge" "$cluster/tmp"
    chmod 700 "$cluster/munge"
    head -c 128 /dev/urandom >"$cluster/munge/key"
    chmod 400 "$cluster/munge/key"
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
TmpFS=$cluster/tmp
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=5
MinJobAge=3600
MessageTimeout=100
SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=1
NodeName=node1 NodeHostname=$host NodeAddr=127.0.0.1 Port=$((port + 1)) CPUs=$((cores * 2))
NodeName=node2 NodeHostname=$host NodeAddr=127.0.0.1 Port=$((port + 2)) CPUs=$((cores * 2))
PartitionName=all Nodes=node1,node2 Default=YES MaxTime=INFINITE State=UP
CONF
    export SLURM_CONF=$cluster/slurm.conf
    munged --foreground --force --key-file="$cluster/munge/key" --socket="$cluster/munge/socket" \
        --pid-file="$cluster/munge/pid" --log-file="$cluster/munge/log" --seed-file="$cluster/munge/seed" \
        </dev/null >"$cluster/munge/out" 2>&1 &
    daemons+=($!)
    slurmctld -D </dev/null >"$cluster/slurmctld.out" 2>&1 &
    daemons+=($!)
    for node in node1 node2; do
        mkdir -p "$cluster/spool.$node"
        slurmd -D -N "$node" </dev/null >"$cluster/$node.out" 2>&1 &
        daemons+=($!)
    done
    if awaits 120 nodes_are_idle; then return 0; fi
    tail -n 5 "$cluster"/*.log "$cluster"/*.out >&2
    return 1
}

nodes_are_idle() {
    [[ $(sinfo -h -t idle -o %D 2>/dev/null) == 2 ]]
}

# is_over JOB: no longer in the queue? Its state and exit code go into $state and $code.
is_over() {
    local shown
    shown=$(scontrol show job "$1" -o 2>/dev/null | head -n 1)
    state=$(sed -nE 's/.*JobState=([A-Z_]+).*/\1/p' <<<"$shown")
    code=$(sed -nE 's/.*ExitCode=([0-9]+):.*/\1/p' <<<"$shown")
    case $state in
    COMPLETED | FAILED | TIMEOUT | CANCELLED | NODE_FAIL | OUT_OF_MEMORY) return 0 ;;
    esac
    return 1
}
