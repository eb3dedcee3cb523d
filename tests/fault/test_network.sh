#!/usr/bin/env bash
# Two hosts with addresses of their own (network namespaces and a pair of virtual cables) run a job over TCP; one is cut
# off in the middle of a sweep. The job ends, or its time limit ends it, and it goes on elsewhere to the same result.
source "$(dirname "$0")/../cli/lib.sh"
export OMP_NUM_THREADS=1
one=trimine-$$-1 two=trimine-$$-2
hosts_end() {
    local name pid
    for name in "$one" "$two"; do
        for pid in $(ip netns pids "$name" 2>/dev/null); do kill -9 "$pid" 2>/dev/null; done
        ip netns del "$name" 2>/dev/null
    done
}
if ((EUID != 0)) || ! ip netns add "$one" 2>/dev/null; then
    echo "skipped: no network namespace can be made here"
    exit 77
fi
at_exit+=(hosts_end)
ip netns add "$two" &&
    ip -n "$one" link add cable type veth peer name cable netns "$two" &&
    ip -n "$one" addr add 10.213.77.1/24 dev cable && ip -n "$two" addr add 10.213.77.2/24 dev cable &&
    ip -n "$one" link set lo up && ip -n "$two" link set lo up &&
    ip -n "$one" link set cable up && ip -n "$two" link set cable up || {
    echo "skipped: no virtual cable can be laid here"
    exit 77
}

# How mpirun starts its daemon on the other host: `agent HOST COMMAND...`
cat >"$dir/agent" <<AGENT
#!/bin/bash
shift
exec ip netns exec $two unshare --uts bash -c 'hostname two; exec bash -c "\$*"' agent "\$@"
AGENT
chmod +x "$dir/agent"
launch=(timeout -k 5 "$patience" ip netns exec "$one" unshare --uts bash -c 'hostname one; exec "$@"' mpirun
    mpirun --mca plm_rsh_agent "$dir/agent" --mca btl self,tcp --mca pml ob1 --mca btl_tcp_if_include cable
    --mca oob_tcp_if_include cable --bind-to none --host "10.213.77.1:1,10.213.77.2:1")

"$program" synth "$dir/s.h5" --rows 30000 --dim 64 --classes 40 --quiet || exit 2
job=(mine "$dir/s.h5" --positives easiest --kernel blas --tile 256 --json)
on 2 "${job[@]}" >"$dir/right.json" 2>"$dir/stderr" || fail "undisturbed" "$dir/stderr"
right=$(value "$dir/right.json" result_hash)

"${launch[@]}" -n 2 "$program" "${job[@]}" </dev/null >"$dir/both.json" 2>"$dir/stderr" || fail "on two hosts" "$dir/stderr"
expect "two hosts give the same result" test "$(value "$dir/both.json" result_hash)" == "$right"
expect "they are two hosts" test "$(value "$dir/both.json" ranks | grep -o '"host": "[a-z]*"' | sort -u | wc -l)" == 2

# Cut off when there is a whole checkpoint and work is left. What comes first: the job sees it, or its time is over.
starts_held "0 rename 2 $dir/c" 2 "${job[@]}" --checkpoint "$dir/c" --checkpoint-every 0.00001
ip -n "$two" link set cable down
let_go
awaits 10 is_gone "$launcher" || kill "$launcher"
ends "$launcher" || fail "neither the job nor its time limit ends it" "$dir/stderr"
wait "$launcher"
expect "a job that lost a host has failed" test $? != 0
expect "its checkpoint is there" test -s "$dir/c"
# Rank 0 is on this side. It holds the checkpoint until it has seen that its launcher is gone.
is_left() { [[ -z $(ip netns pids "$one") ]]; }
awaits 60 is_left || fail "the processes on the host that is left do not end" "$dir/stderr"
on 3 "${job[@]}" --checkpoint "$dir/c" --resume >"$dir/again.json" 2>"$dir/stderr" || fail "going on elsewhere" "$dir/stderr"
expect "elsewhere it goes on to the same result" test "$(value "$dir/again.json" result_hash)" == "$right"
expect "from the checkpoint" test "$(value "$dir/again.json" checkpoint.resumed)" == true
finish
