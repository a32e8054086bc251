#!/usr/bin/env bash
# A flame graph of what a command, or a process (-p PID, ended by Ctrl-C), has on the CPU.
# Without inferno the heaviest functions as text, which is often enough.
set -euo pipefail
. "$(dirname "$0")/need.sh"
usage "OUT.svg COMMAND... | OUT.svg -p PID" 2 "$@"
need_counters
out=$1
shift
samples=$(mktemp)
trap 'rm -f "$samples"' EXIT
clock=cycles
# Virtual machines often have no counter of cycles that interrupts; time does.
perf record -q -e cycles -o /dev/null true 2>/dev/null || clock=cpu-clock
[ "$1" = -p ] || set -- -- "$@"
perf record -q -e "$clock" -F 999 --call-graph dwarf,16384 -o "$samples" "$@" || true
if command -v inferno-collapse-perf >/dev/null 2>&1 && command -v inferno-flamegraph >/dev/null 2>&1; then
    perf script -i "$samples" 2>/dev/null | inferno-collapse-perf | inferno-flamegraph >"$out"
    echo "$out"
else
    echo "flame.sh: inferno is missing, so no picture; cargo install inferno. As text:" >&2
    perf report -i "$samples" --stdio --no-children -g none --percent-limit 1 2>/dev/null | grep -v '^#' | grep . || true
fi
