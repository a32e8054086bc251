#!/usr/bin/env bash
# What the processor counted while a command ran: instructions, misses, faults, switches. Names those that it does not count.
set -euo pipefail
. "$(dirname "$0")/need.sh"
usage "COMMAND..." 1 "$@"
need_counters
events=task-clock,context-switches,cpu-migrations,page-faults,cycles,instructions,branches,branch-misses,cache-references,cache-misses,dTLB-load-misses
counted=$(mktemp)
trap 'rm -f "$counted"' EXIT
perf stat -e "$events" -o "$counted" -- "$@"
grep -v '^#' "$counted" | grep .
if grep -q 'not supported' "$counted"; then
    echo "counters.sh: not counted here: $(awk '/not supported/ {printf "%s ", $3}' "$counted")(a virtual machine without a PMU, most likely)" >&2
fi
