#!/usr/bin/env bash
# Ratite and its peers on the same events in one run: loading, then every query of each in turn, answers compared.
# Leaves the figures in results/vm/compare-run.jsonl (or OUT), a table on standard output and a picture beside the figures.
#
#   perf/compare.sh [DIR]             DIR is new; default: ./compare-data
#   EVENTS=100000 FEATURES=rocksdb,nostrdb OUT=figures.jsonl perf/compare.sh /mnt/disk/compare
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
mkdir -p "$dir"
# Signed, so that the bare verifier has something to verify.
"$perf" generate --events "$events" --file "$dir/events.bin"
"$perf" load --file "$dir/events.bin" --data "$dir/verified" --out "$out"
rm -r "$dir/verified"
"$perf" load --file "$dir/events.bin" --data "$dir/store" --no-verify --flush --out "$out"
"$perf" compact --data "$dir/store" --out "$out"
"$perf" query --data "$dir/store" --peers "$dir/events.bin" --peer-events "$events" --calls 30 --out "$out"
"$perf" report "$out" --svg "${out%.jsonl}.svg"
