#!/usr/bin/env bash
# Imports generated events with the real tool and kills it (SIGKILL) at random moments; then imports to the
# end and compares the store with one that was never killed. Prints one line a kill and one at the end.
#
#   perf/kill-import.sh RATITE EVENTS KILLS DIR [sync mode]
set -euo pipefail
ratite=$1 events=$2 kills=$3 dir=$4 sync=${5:-always}
mkdir -p "$dir"
[ -f "$dir/events.jsonl" ] || "$ratite" gen --count "$events" --seed 1 > "$dir/events.jsonl"
rm -rf "$dir/killed" "$dir/whole"
RANDOM=1
for kill in $(seq 1 "$kills"); do
    "$ratite" import --data "$dir/killed" --sync "$sync" --no-verify < "$dir/events.jsonl" > /dev/null 2>&1 &
    pid=$!
    # The moment is random on purpose: this is no wait for anything.
    sleep "$(printf '%d.%03d' $((RANDOM % 4)) $((RANDOM % 1000)))"
    kill -9 "$pid" 2> /dev/null || true
    wait "$pid" 2> /dev/null || true
    echo "kill $kill: $("$ratite" count --data "$dir/killed" --sync "$sync" '{}') events after reopening"
done
"$ratite" import --data "$dir/killed" --sync "$sync" --no-verify < "$dir/events.jsonl"
"$ratite" import --data "$dir/whole" --sync "$sync" --no-verify < "$dir/events.jsonl"
"$ratite" export --data "$dir/killed" | sha256sum > "$dir/killed.sum"
"$ratite" export --data "$dir/whole" | sha256sum > "$dir/whole.sum"
cmp "$dir/killed.sum" "$dir/whole.sum"
echo "after $kills kills the store is the one that was never killed ($sync)"
