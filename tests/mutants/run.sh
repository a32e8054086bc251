#!/usr/bin/env bash
# All mutants of .cargo/mutants.toml, judged by the tests of the library: tests/mutants/run.sh OUT [TEST PREFIX..]
# What is known in OUT is not found out again; an interrupted run goes on where it was.
# RATITE_FILES="src/shard/recover.rs .." takes the mutants of these files only.
set -euo pipefail
cd "$(dirname "$0")/../.."
out=$(mkdir -p "$1" && cd "$1" && pwd)
shift
tool() { cargo run --quiet --manifest-path tests/mutants/Cargo.toml --target-dir "$out/tool" -- "$@"; }

if [ ! -e "$out/tests" ]; then
    files=()
    for file in ${RATITE_FILES:-}; do files+=(-f "$file"); done
    # Files that are named stand beside those of the configuration, so it is not read.
    cargo mutants ${files:+--no-config "${files[@]}"} --list --json >"$out/list.json"
    rm -rf "$out/tree" && mkdir "$out/tree"
    git archive HEAD | tar x -C "$out/tree"
    # What is planted is no code of ours: no lint speaks of it.
    sed -i '/^\[lints/,$d' "$out/tree/Cargo.toml"
    # The engine's own tests, without the skins.
    tool plant "$out/list.json" "$out/tree" --no-default-features | tee "$out/left"
    built=$(cd "$out/tree" && cargo test --lib --no-run --no-default-features --message-format json |
        grep -o '"executable":"[^"]*"' | tail -1 | cut -d'"' -f4)
    # A copy: in a target directory that others use too, the next build of the library takes its name.
    cp "$built" "$out/built" && mv "$out/built" "$out/tests"
fi
export RATITE_STATES=${RATITE_STATES:-1000} # of the simulator
cd "$out/tree"
tool() { "$out/tool/debug/mutants" "$@"; }
tool cover "$out/tests" "$out" "$@"
tool judge "$out/tests" "$out/list.json" "$out"
tool table "$out/list.json" "$out"
