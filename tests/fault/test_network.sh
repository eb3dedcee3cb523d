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
    rm -rf "$dir"
}
if ((EUID != 0)) || ! ip netns add "$one" 2>/dev/null; then
    echo "skipped: no network namespace can be made here"
    exit 77
fi
trap hosts_end EXIT
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
over_tcp=(--mca plm_rsh_agent "$dir/agent" --mca btl self,tcp --mca pml ob1 --mca btl_tcp_if_include cable
    --mca oob_tcp_if_include cable --bind-to none --host "10.213.77.1:1,10.213.77.2:1" -n 2)

# on_hosts ARGUMENTS...: the program on both, in at most 25 seconds.
on_hosts() {
    timeout -k 5 25 ip netns exec "$one" unshare --uts bash -c 'hostname one; exec "$@"' mpirun mpirun "${over_tcp[@]}" \
        "$program" "$@" </dev/null
}

"$program" synth "$dir/s.h5" --rows 50000 --dim 64 --classes 40 --quiet || exit 2
job=(mine "$dir/s.h5" --positives easiest --kernel blas --tile 32 --json)
on 2 "${job[@]}" >"$dir/right.json" 2>"$dir/stderr" || fail "undisturbed" "$dir/stderr"
right=$(value "$dir/right.json" result_hash)

on_hosts "${job[@]}" >"$dir/both.json" 2>"$dir/stderr" || fail "on two hosts" "$dir/stderr"
expect "two hosts give the same result" test "$(value "$dir/both.json" result_hash)" == "$right"
expect "they are two hosts" test "$(value "$dir/both.json" ranks | grep -o '"host": "[a-z]*"' | sort -u | wc -l)" == 2

on_hosts "${job[@]}" --checkpoint "$dir/c" --checkpoint-every 0.005 >"$dir/stdout" 2>"$dir/stderr" &
job_process=$!
for ((i = 0; i < 200; i++)); do
    if [[ -s $dir/c ]]; then break; fi
    sleep 0.05
done
ip -n "$two" link set cable down
ends "$job_process" 40 || fail "neither the job nor its time limit ends it" "$dir/stderr"
wait "$job_process"
expect "a job that lost a host has failed" test $? != 0
expect "its checkpoint is there" test -s "$dir/c"
on 3 "${job[@]}" --checkpoint "$dir/c" --resume >"$dir/again.json" 2>"$dir/stderr" || fail "going on elsewhere" "$dir/stderr"
expect "elsewhere it goes on to the same result" test "$(value "$dir/again.json" result_hash)" == "$right"
expect "from the checkpoint" test "$(value "$dir/again.json" checkpoint.resumed)" == true
finish
