#!/usr/bin/env bash
# Where the threads of a process wait, for so many seconds: microseconds off the CPU by thread and by stack of the kernel.
set -euo pipefail
. "$(dirname "$0")/need.sh"
usage "PID SECONDS" 2 "$@"
need_bpftrace
pid=$1 seconds=$2
exec bpftrace -e '
tracepoint:sched:sched_switch /pid == '"$pid"'/ { @left[tid] = nsecs; @at[tid] = kstack(8); }
tracepoint:sched:sched_switch /@left[args->next_pid]/ {
    @waited_us[args->next_comm, @at[args->next_pid]] = sum((nsecs - @left[args->next_pid]) / 1000);
    delete(@left[args->next_pid]); delete(@at[args->next_pid]);
}
interval:s:'"$seconds"' { clear(@left); clear(@at); exit(); }'
