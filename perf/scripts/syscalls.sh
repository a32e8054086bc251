#!/usr/bin/env bash
# How many system calls a command makes and how long they take: by perf trace, else by strace, which slows it much more.
set -euo pipefail
. "$(dirname "$0")/need.sh"
usage "COMMAND..." 1 "$@"
if command -v perf >/dev/null 2>&1 && perf trace -s true >/dev/null 2>&1; then
    exec perf trace -s -- "$@"
fi
need strace "and perf trace does not work here (no tracefs, or no right to it); it is in the package strace"
echo "syscalls.sh: perf trace does not work here; strace counts, and its times are its own" >&2
exec strace -f -c -- "$@"
