#!/usr/bin/env bash
# How long the block device takes for each read and write, for so many seconds, all processes together, as histograms.
set -euo pipefail
. "$(dirname "$0")/need.sh"
usage "SECONDS" 1 "$@"
need_bpftrace
exec bpftrace -e '
tracepoint:block:block_rq_issue { @began[args->dev, args->sector] = nsecs; }
tracepoint:block:block_rq_complete /@began[args->dev, args->sector]/ {
    @us[args->rwbs] = hist((nsecs - @began[args->dev, args->sector]) / 1000);
    delete(@began[args->dev, args->sector]);
}
interval:s:'"$1"' { clear(@began); exit(); }'
