#!/usr/bin/env bash
# Runs targets for a number of executions each, one after the other, and prints a row of docs/testing.md for each.
#
#   fuzz/run.sh RUNS TARGET...            without a sanitizer, which is fast
#   SANITIZER=address fuzz/run.sh 20s TARGET...    for so many seconds instead, with one
#
# What a run found interesting goes to $FUZZ_DIR/corpus (default: the target directory), not into the tree: see README.md.
set -euo pipefail
cd "$(dirname "$0")/.."
export RUSTC_BOOTSTRAP=1
sanitizer=${SANITIZER:-none}
target_dir=${CARGO_TARGET_DIR:-fuzz/target}
work=${FUZZ_DIR:-$target_dir/fuzz}
runs=$1
shift

for target in "$@"; do
    corpus=$work/corpus/$target
    mkdir -p "$corpus" "$work/artifacts/$target" "$work/logs"
    log=$work/logs/$target-$sanitizer.log
    case $runs in
        *s) limit=-max_total_time=${runs%s} ;;
        *) limit=-runs=$runs ;;
    esac
    options=("$limit" -max_len=4096 -use_value_profile=1 -print_final_stats=1 "-artifact_prefix=$work/artifacts/$target/")
    [ -f "fuzz/dictionaries/$target.dict" ] && options+=("-dict=fuzz/dictionaries/$target.dict")
    started=$(date +%s)
    found=nothing
    # Whether a run ends well or not, the next target comes.
    nice -n "${NICE:-10}" cargo fuzz run -s "$sanitizer" "$target" "$corpus" "fuzz/corpus/$target" -- \
        "${options[@]}" >"$log" 2>&1 || found="see $log"
    seconds=$(($(date +%s) - started))
    executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log" | tail -1)
    features=$(grep -o ' ft: [0-9]*' "$log" | tail -1 | tr -dc '0-9' || true)
    echo "| \`$target\` | ${executions:-0} | $seconds | ${features:-0} | $found |"
done
