#!/usr/bin/env bash
# Relays on the wire, those that are installed, with the same events in one run: EVENT to OK from 16 connections and from
# one, EVENT to delivery, REQ to EOSE and COUNT, round by round, answers compared. Leaves the figures in OUT (what was there
# before is another run and is removed) and tables on standard output and in OUT's name with .md.
#
#   perf/wire.sh [DIR]                DIR is new; default: ./wire-data
#   EVENTS=20000 OUT=wire.jsonl CALLS=20 RATITE=path NOSTR_RS_RELAY=path STRFRY=path perf/wire.sh /mnt/disk/wire
#
# A relay that is not in PATH nor named is left out, and said to be. URL=ws://... NAME=other adds one that runs already.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
dir=${1:-wire-data}
events=${EVENTS:-20000}
out=${OUT:-$here/results/vm/wire-run.jsonl}
port=${PORT:-7101}
target=${CARGO_TARGET_DIR:-$here/target}
alone=${ALONE:-500}
if [ -e "$dir" ]; then
    echo "wire.sh: $dir is there; it wants a new directory" >&2
    exit 1
fi
if [ "$events" -le $((4 * alone)) ]; then
    echo "wire.sh: $events events are too few beside $alone that are published alone" >&2
    exit 1
fi
perf=${PERF:-$target/release/perf}
if [ ! -x "$perf" ]; then
    (cd "$here" && cargo build --release)
fi
for place in "${CARGO_TARGET_DIR:-}" "$here/../target"; do
    [ -n "${RATITE:-}" ] || [ ! -x "$place/release/ratite" ] || RATITE=$place/release/ratite
done
RATITE=${RATITE:-$(command -v ratite || true)}
NOSTR_RS_RELAY=${NOSTR_RS_RELAY:-$(command -v nostr-rs-relay || true)}
STRFRY=${STRFRY:-$(command -v strfry || true)}
mkdir -p "$dir" "$(dirname "$out")"
dir=$(cd "$dir" && pwd)
rm -f "$out"
pids=()
relays=()

stop() {
    for pid in "${pids[@]}"; do
        kill "$pid" 2> /dev/null || true
        wait "$pid" 2> /dev/null || true
    done
}
trap stop EXIT

# begin NAME COMMAND...: starts a relay on $port in a session of its own, waits until it listens, and notes it.
begin() {
    local name=$1
    shift
    setsid "$@" > "$dir/$name.log" 2>&1 &
    local pid=$!
    pids+=("$pid")
    for _ in $(seq 300); do
        if (exec 3<> "/dev/tcp/127.0.0.1/$port") 2> /dev/null; then
            relays+=(--url "ws://127.0.0.1:$port" --store "$name:$pid")
            port=$((port + 1))
            return
        fi
        if ! kill -0 "$pid" 2> /dev/null; then
            break
        fi
        sleep 0.1
    done
    echo "wire.sh: $name does not listen on $port; see its log:" >&2
    tail -5 "$dir/$name.log" >&2
    exit 1
}

if [ -z "$RATITE" ]; then
    echo "wire.sh: no ratite: cargo build --release --bin ratite, or RATITE=path" >&2
    exit 1
fi
# What others show to everybody it shows as well: private kinds are for who authenticates otherwise.
begin ratite "$RATITE" relay --data "$dir/ratite" --listen "127.0.0.1:$port" --sync always --auth off --private-kinds none
if [ -n "$NOSTR_RS_RELAY" ]; then
    mkdir -p "$dir/nostr-rs-relay"
    cat > "$dir/nostr-rs-relay.toml" << END
[info]
relay_url = "ws://127.0.0.1:$port/"
[database]
data_directory = "$dir/nostr-rs-relay"
[network]
address = "127.0.0.1"
port = $port
[limits]
END
    RUST_LOG=warn begin nostr-rs-relay "$NOSTR_RS_RELAY" --config "$dir/nostr-rs-relay.toml"
else
    echo "wire.sh: no nostr-rs-relay: cargo install nostr-rs-relay, or NOSTR_RS_RELAY=path" >&2
fi
if [ -n "$STRFRY" ]; then
    mkdir -p "$dir/strfry"
    # The generated events are of 2023, which its own settings refuse as too old.
    cat > "$dir/strfry.conf" << END
db = "$dir/strfry/"
events {
    rejectEventsOlderThanSeconds = 946080000
}
relay {
    bind = "127.0.0.1"
    port = $port
    nofiles = 0
    maxFilterLimit = 1000
    logging {
        dumpInAll = false
        dumpInEvents = false
        dumpInReqs = false
        dbScanPerf = false
    }
}
END
    begin strfry "$STRFRY" --config "$dir/strfry.conf" relay
else
    echo "wire.sh: no strfry: it is built from its sources (github.com/hoytech/strfry), or STRFRY=path" >&2
fi
if [ -n "${URL:-}" ]; then
    relays+=(--url "$URL" --store "${NAME:-other}")
fi

"$perf" generate --events "$events" --file "$dir/events.bin"
wire() {
    "$perf" wire "${relays[@]}" --file "$dir/events.bin" --out "$out" "$@"
}
# Not all: some are left for those that are published alone.
many=$((events - 3 * alone))
wire --publish --connections 16 --events "$many"
wire --publish --skip "$many" --events "$alone"
wire --deliver --skip $((many + alone)) --events $((2 * alone))
wire --events "$events" --calls "${CALLS:-20}"
"$perf" report "$out" --short | tee "${out%.jsonl}.md"
if [ -z "${KEEP:-}" ]; then
    stop
    pids=()
    rm -r "$dir"
fi
