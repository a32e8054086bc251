#!/usr/bin/env bash
# Ratite, its peers and the limits of the machine on the same events in one run: loading, single durable events, then every
# query of each in turn, answers compared. Leaves the figures in OUT (what was there before is another run and is removed),
# tables on standard output and in OUT's name with .md, and a picture beside them.
#
#   perf/compare.sh [DIR]             DIR is new; default: ./compare-data; some 40 KB of disk an event (nostr-lmdb, nostrdb)
#   EVENTS=100000 FEATURES=rocksdb,nostrdb OUT=figures.jsonl CALLS=30 KEEP=1 perf/compare.sh /mnt/disk/compare
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
dir=${1:-compare-data}
events=${EVENTS:-100000}
features=${FEATURES:-peers}
out=${OUT:-$here/results/vm/compare-run.jsonl}
if [ -e "$dir" ]; then
    echo "compare.sh: $dir is there; it wants a new directory" >&2
    exit 1
fi
(cd "$here" && cargo build --release --features "$features")
perf=${CARGO_TARGET_DIR:-$here/target}/release/perf
mkdir -p "$dir" "$(dirname "$out")"
rm -f "$out"
step() {
    echo "compare.sh: $* ($(date +%T))" >&2
}
# Signed, so that the bare verifier has something to verify.
step making events
"$perf" generate --events "$events" --file "$dir/events.bin"
step one durable insert beside bare writes
"$perf" publish --data "$dir/publish" --turns 100 --out "$out"
rm -r "$dir/publish"
step the store that is asked
"$perf" load --file "$dir/events.bin" --data "$dir/store" --no-verify --flush --out "$out"
"$perf" compact --data "$dir/store" --out "$out"
step loading peers, asking them
"$perf" query --data "$dir/store" --peers "$dir/events.bin" --calls "${CALLS:-30}" --out "$out"
"$perf" report "$out" --short --svg "${out%.jsonl}.svg" | tee "${out%.jsonl}.md"
if [ -z "${KEEP:-}" ]; then
    rm -r "$dir"
fi
step done
