#!/usr/bin/env bash
# A real Slurm with two nodes, n1 and n2, on this one host, for tests.
#
#   slurm.sh up DIR          start it; prints the export that clients need
#   slurm.sh kill DIR NODE   power cut: kill -9 of the slurmd and of all its jobs' processes
#   slurm.sh start DIR NODE  start the slurmd of that node again
#   slurm.sh down DIR        end the daemons and all jobs' processes
# Use:  eval "$(slurm.sh up DIR)"; sbatch ...; slurm.sh down DIR
# Everything lies under DIR: keys, sockets, state, logs. Nothing is put in /etc or read from it.
# Needs slurmctld, slurmd, munged (Debian: slurm-wlm, munge), procps and python3.
# NODE_CPUS (1): how many CPUs a node claims to have; with 1, a node runs one job at a time.
set -euo pipefail
export PATH="$PATH:/usr/sbin:/sbin"

die() { echo "slurm.sh: $*" >&2; exit 1; }
[[ ${1:-}:${3:-} =~ ^((up|down):|(kill|start):n[12])$ ]] || { sed -n '2,8s/^# *//p' "$0" >&2; exit 2; }
dir=$(realpath -m "${2:?DIR}") conf=$dir/slurm.conf log=$dir/log all=(slurmctld n1 n2 munged)
export SLURM_CONF=$conf
# Short, as a path of a socket must be, and with no letters that mean something in slurm.conf.
[[ $dir =~ ^[A-Za-z0-9/._+-]{2,70}$ ]] || die "$dir is too long a path or has odd letters"
[[ $1 == up || $1 == down || -f $conf ]] || die "nothing was started in $dir"

# Start a daemon on its own, away from the caller's terminal, input and output.
daemon() { local name=$1; shift; setsid "$@" </dev/null >>"$log/$name.out" 2>&1 & }
start_node() { mkdir -p "$dir/spool/$1"; daemon "$1" env -u SLURMD_NODENAME slurmd -D -N "$1"; }

# Daemons by name. A slurmstepd also holds a log of its node open, so it counts with the node.
daemons() {
    local name pid
    for name in "$@"; do find /proc/[0-9]*/fd -lname "$log/$name.*" 2>/dev/null; done |
        cut -d/ -f3 | sort -u | while read -r pid; do
            grep -qE '^(slurm|munged)' "/proc/$pid/comm" 2>/dev/null && echo "$pid"
        done || true
}
# Processes of jobs on these nodes: our slurm.conf and the node's name are in their environment.
members() {
    grep -lzxF "SLURM_CONF=$conf" /proc/[0-9]*/environ 2>/dev/null |
        xargs -r grep -lzxF "${@/#/-eSLURMD_NODENAME=}" 2>/dev/null | cut -d/ -f3 || true
}
# Kill these daemons, their jobs and all that descends from them in one go, so that no process
# has the time to tell the controller of another's end. Again, for what was forked meanwhile.
kill_hard() {
    local pids level
    for _ in 1 2 3 4 5; do
        pids='' level=$(daemons "$@"; members "$@")
        while [[ -n $level ]]; do
            pids+=" $level" level=$(pgrep -P "$(xargs <<<"$level" | tr ' ' ,)" || true)
        done
        [[ -n $pids ]] || return 0
        kill -9 $pids 2>/dev/null || true
        sleep 0.2
    done
}

up() {
    local name=$(uname -n) ports node
    [[ -z $(daemons "${all[@]}") ]] || die "$dir is in use"
    rm -rf "$dir"/{log,munge,state,spool}; mkdir -p "$dir"/{log,munge,state,spool}
    (umask 077; head -c 1024 /dev/urandom >"$dir/munge/key")
    name=${name%%.*}  # only compared, never resolved: all addresses below are 127.0.0.1
    ports=($(python3 -c 'import socket
s = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
print(*(x.getsockname()[1] for x in s))'))
    node="NodeHostname=$name NodeAddr=127.0.0.1 CPUs=${NODE_CPUS:-1} RealMemory=1000000"
    # No cgroup is used, but the plugin wants to be named.
    printf 'CgroupPlugin=cgroup/v1\nCgroupMountpoint=%s/cgroup\n' "$dir" >"$dir/cgroup.conf"
    cat >"$conf" <<END
ClusterName=test
SlurmctldHost=$name(127.0.0.1)
SlurmctldPort=${ports[0]}
SlurmUser=$(id -un)
SlurmdUser=$(id -un)
# a requeued job is held back for cred_expire seconds and one more (120 if not set)
AuthInfo=socket=$dir/munge/socket,cred_expire=5
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool/%n
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/%n.pid
SlurmctldLogFile=$log/slurmctld.log
SlurmdLogFile=$log/%n.log
# a line for each end of a job: its state, nodes and times
JobCompType=jobcomp/filetxt
JobCompLoc=$log/jobs.txt
ProctrackType=proctrack/linuxproc
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
SchedulerType=sched/builtin
SchedulerParameters=sched_interval=1
# requeue the jobs of a node that is silent for 10 seconds, or comes back without them (at once
# if they are older than BatchStartTimeout + MessageTimeout, else up to a minute later)
JobRequeue=1
SlurmdTimeout=10
BatchStartTimeout=1
MessageTimeout=5
ReturnToService=2
KillWait=3
MinJobAge=30
NodeName=n1 Port=${ports[1]} $node
NodeName=n2 Port=${ports[2]} $node
PartitionName=main Nodes=n1,n2 Default=YES MaxTime=INFINITE DefaultTime=60
END
    daemon munged munged -F --force --socket="$dir/munge/socket" --key-file="$dir/munge/key" \
        --pid-file="$dir/munge/pid" --seed-file="$dir/munge/seed"
    until [[ -S $dir/munge/socket ]] || (( SECONDS > 10 )); do sleep 0.1; done
    daemon slurmctld slurmctld -D
    start_node n1; start_node n2
    until [[ $(sinfo -hN -o %T 2>/dev/null | xargs) == "idle idle" ]]; do
        (( SECONDS < 30 )) || { tail -n 20 "$log"/* >&2; kill_hard "${all[@]}"; die "nodes not idle"; }
        sleep 0.5
    done
    echo "export SLURM_CONF=$conf"
}

case $1 in
    up) up ;;
    kill) kill_hard "$3" ;;
    start) start_node "$3" ;;
    down) kill_hard "${all[@]}" ;;
esac
