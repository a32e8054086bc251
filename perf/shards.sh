#!/usr/bin/env bash
# What shards cost: `ratite bench` with 1 to 64 of them, one after the other, on this machine's cores.
# Leaves the figures in results/vm/shards-run.jsonl (or OUT), each row with its shards, and a table on standard output.
#
#   perf/shards.sh [DIR]              DIR is new; default: ./shards-data
#   MEMORY="4 GiB": 64 shards want 2.4 of it.
#   EVENTS=100000 SHARDS="1 2 4 8 16 32 64" RATITE=target/release/ratite OUT=figures.jsonl perf/shards.sh /mnt/disk/shards
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
dir=${1:-shards-data}
out=${OUT:-$here/results/vm/shards-run.jsonl}
ratite=${RATITE:-$here/../target/release/ratite}
if [ -e "$dir" ]; then
    echo "shards.sh: $dir is there; it wants a new directory" >&2
    exit 1
fi
for program in "$ratite" jq; do
    command -v "$program" >/dev/null || { echo "shards.sh: $program is missing" >&2; exit 1; }
done
: >"$out"
for shards in ${SHARDS:-1 2 4 8 16 32 64}; do
    echo "shards.sh: $shards" >&2
    "$ratite" bench -n "${EVENTS:-100000}" --shards "$shards" --memory "${MEMORY:-4 GiB}" --data "$dir" --json |
        jq -c --argjson shards "$shards" '. + {shards: $shards}' >>"$out"
done
# A line for each row, a column for each number of shards: CPU us, or else bytes an event, wall us, bytes.
jq -rs '
    def median: if type == "object" then .p50 else . end;
    def figure: .cpu_us_per_event // (.process_cpu_us | median) // .cpu_us.p50 // .bytes_per_event // .wall_us.p50 // .bytes;
    (map(.shards) | unique) as $shards
    | (reduce .[].row as $row ([]; if any(.[]; . == $row) then . else . + [$row] end)) as $rows
    | map({key: "\(.row) \(.shards)", value: figure}) | from_entries as $by
    | ["row", $shards[]], ($rows[] as $row | [$row, ($shards[] | $by["\($row) \(.)"])])
    | @tsv' "$out"
