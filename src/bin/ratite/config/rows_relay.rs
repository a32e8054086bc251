//! The options of the relay.

use super::kind::{Built, Kind, Word};
use super::table::{
    DAY, GIB, KIB, LONG, MIB, MS, SECOND, Section, Setting, TIB, count, list, size, text, time,
    word, words,
};
use ratite::nostr::requests::normal_url;
use ratite::relay::{AuthMode, Metrics};
use std::time::Duration;

const fn relay(
    key: &'static str,
    kind: Kind,
    default: &'static str,
    effect: &'static str,
) -> Setting {
    Setting::new(Section::Relay, key, kind, default, effect)
}

fn listen(built: &mut Built, text: &str) -> Result<String, String> {
    built.relay.listen =
        text.parse().map_err(|_| "it is not an IP address and a port, like 127.0.0.1:7777")?;
    Ok(built.relay.listen.to_string())
}

fn metrics(built: &mut Built, text: &str) -> Result<String, String> {
    built.relay.metrics = match text {
        "relay" => Metrics::Public,
        address => Metrics::At(address.parse().map_err(
            |_| "it is neither an IP address and a port, like 127.0.0.1:9100, nor relay nor none",
        )?),
    };
    Ok(text.into())
}

fn pubkey(built: &mut Built, text: &str) -> Result<String, String> {
    let mut key = [0; 32];
    match text.len() == 64 && const_hex::decode_to_slice(text, &mut key).is_ok() {
        true => built.relay.pubkey = Some(key),
        false => return Err("it is not 64 hex characters".into()),
    }
    Ok(text.to_ascii_lowercase())
}

fn relay_url(built: &mut Built, text: &str) -> Result<String, String> {
    let url = normal_url(text);
    let host = url.strip_prefix("wss://").or_else(|| url.strip_prefix("ws://"));
    if host.is_none_or(str::is_empty) {
        return Err("it is not a URL like wss://relay.example.com".into());
    }
    built.relay_urls.push(url.clone());
    Ok(url)
}

fn max_event(built: &mut Built, bytes: usize) {
    let limits = &mut built.relay.limits;
    limits.event.json_bytes = bytes;
    // What is around the content takes some 400 bytes; the default is 60 of 64 KiB.
    limits.event.content_bytes = bytes - bytes / 16;
    // An event has to fit a message.
    max_message(built, built.relay.limits.message_bytes.max(2 * bytes));
}

fn max_message(built: &mut Built, bytes: usize) {
    let limits = &mut built.relay.limits;
    limits.message_bytes = bytes;
    // And a message the queue of a client.
    max_queue(built, built.relay.limits.outbound_bytes.max(4 * bytes));
}

fn max_queue(built: &mut Built, bytes: usize) {
    let limits = &mut built.relay.limits;
    limits.outbound_bytes = bytes;
    // And that what all have together.
    limits.outbound_total_bytes = limits.outbound_total_bytes.max(bytes);
}

fn max_limit(built: &mut Built, most: u64) {
    let limits = &mut built.relay.limits;
    limits.limit_max = most;
    limits.limit_default = limits.limit_default.min(most);
}

fn max_negentropy(built: &mut Built, events: u64) {
    let limits = &mut built.relay.limits;
    limits.negentropy_items = events as usize;
    // One session has to fit what all may hold.
    limits.negentropy_items_total = limits.negentropy_items_total.max(limits.negentropy_items);
}

const COMPRESSIONS: &[Word] = &[
    word("on", "For clients that offer it", |b| b.relay.compression = true),
    word("off", "For nobody", |b| b.relay.compression = false),
];

const AUTHS: &[Word] = &[
    word("off", "Nobody can; for a relay without private kinds", |b| b.relay.auth = AuthMode::Off),
    word("on-demand", "Who wants to; it is asked of those who want what needs it", |b| {
        b.relay.auth = AuthMode::OnDemand;
    }),
    word("required", "Everybody has to, before anything else", |b| {
        b.relay.auth = AuthMode::Required;
    }),
];

/// Each is a term that selections leave out, so there are not many.
const PRIVATE_KINDS_MAX: usize = 64;

fn private_kinds(built: &mut Built, text: &str) -> Result<String, String> {
    let kinds = text.split(',').map(|kind| kind.trim().parse::<u16>());
    let mut kinds: Vec<u16> = match text {
        "none" => Vec::new(),
        _ => kinds.collect::<Result<_, _>>().map_err(|_| "it is not kinds with commas, or none")?,
    };
    kinds.sort_unstable();
    kinds.dedup();
    if kinds.len() > PRIVATE_KINDS_MAX {
        return Err(format!("it is more than {PRIVATE_KINDS_MAX} kinds"));
    }
    let printed = kinds.iter().map(u16::to_string).collect::<Vec<_>>().join(",");
    built.relay.private_kinds = kinds;
    Ok(if printed.is_empty() { "none".into() } else { printed })
}

/// `[relay]`. The table of docs/operations.md has the same order.
pub static RELAY: &[Setting] = &[
    relay(
        "listen",
        text("ADDR:PORT", "an IP address and a port", listen),
        "127.0.0.1:7777",
        "Address and port to listen on; port 0 takes a free one",
    )
    .common(),
    relay(
        "threads",
        count("threads", 1, 1024, |b, n| b.relay.threads = n as usize),
        "auto",
        "Threads that serve clients; auto: the cores at hand",
    )
    .word(),
    relay(
        "name",
        text("TEXT", "any text", |b, t| {
            b.relay.name = t.into();
            Ok(t.into())
        }),
        "ratite",
        "Name of the relay, in NIP-11 and on its page",
    )
    .common(),
    relay(
        "description",
        text("TEXT", "any text", |b, t| {
            b.relay.description = t.into();
            Ok(t.into())
        }),
        "A Nostr relay on the Ratite store.",
        "What the relay is for, in a sentence or two, in NIP-11 and on its page",
    )
    .common(),
    relay(
        "contact",
        text("URI", "any text", |b, t| {
            b.relay.contact = Some(t.into());
            Ok(t.into())
        }),
        "",
        "How to reach who runs the relay, in NIP-11; empty: not said",
    )
    .word()
    .common(),
    relay(
        "pubkey",
        text("HEX", "64 hex characters", pubkey),
        "",
        "Public key of who runs the relay, in NIP-11; empty: not said",
    )
    .word()
    .common(),
    relay("auth", words(AUTHS), "on-demand", "Whether clients authenticate (NIP-42)"),
    relay(
        "private-kinds",
        text("KINDS", "up to 64 kinds with commas, or none", private_kinds),
        "4,13,14,1059",
        "Kinds of which each event is shown to its author and those it names in p tags only",
    ),
    relay(
        "compression",
        words(COMPRESSIONS),
        "on",
        "Whether messages of 1 KiB and more are compressed (permessage-deflate)",
    ),
    relay(
        "metrics-listen",
        text("ADDR:PORT", "an IP address and a port, relay (where clients connect)", metrics),
        "none",
        "Where /metrics for Prometheus is served, with /health and /ready; none: nowhere",
    )
    .word(),
    relay(
        "relay-url",
        list(
            "URL",
            "URLs",
            "ws:// or wss://, as clients know the relay; several: an array in a file, the flag repeated, \
             with ; between them in the environment",
            |b| b.relay_urls.clear(),
            relay_url,
        ),
        "",
        "The relay's own URLs: clients authenticate (NIP-42) to the host of one; requests to vanish (NIP-62) that name one are honoured, as are those to all relays",
    )
    .common(),
    relay(
        "max-event",
        size(512, 2 * MIB, max_event),
        "64 KiB",
        "The largest event, as JSON; its content may take 15/16 of it",
    ),
    relay(
        "max-event-tags",
        count("tags", 1, 60_000, |b, n| b.relay.limits.event.tags = n as usize),
        "2000",
        "Tags of an event",
    ),
    relay(
        "max-tag-items",
        count("items", 1, 60_000, |b, n| b.relay.limits.event.items = n as usize),
        "64",
        "Items of one tag",
    ),
    relay(
        "max-tag-item",
        size(64, 2 * MIB, |b, n| b.relay.limits.event.item_bytes = n),
        "16 KiB",
        "The largest item of a tag",
    ),
    relay(
        "reject-newer",
        time(Duration::ZERO, LONG, SECOND, |b, t| b.relay.limits.future_seconds = t.as_secs()),
        "15 min",
        "Refuse events from further in the future",
    ),
    relay(
        "reject-older",
        time(SECOND, LONG, SECOND, |b, t| b.relay.limits.past_seconds = Some(t.as_secs())),
        "none",
        "Refuse events that are older; none: no age is too old",
    )
    .word(),
    relay(
        "max-message",
        size(KIB, 16 * MIB, max_message),
        "auto",
        "The largest message of a client; auto: 128 KiB, or twice max-event if that is more",
    )
    .word(),
    relay(
        "max-queue",
        size(KIB, GIB, max_queue),
        "auto",
        "Answers that may wait for a slow client; auto: 4 MiB, more if max-message is over 1 MiB",
    )
    .word(),
    relay(
        "max-queue-total",
        size(KIB, TIB, |b, n| b.relay.limits.outbound_total_bytes = n),
        "auto",
        "Answers that may wait for all clients, before each may have a 16th of max-queue; auto: 256 MiB, or max-queue if that is more",
    )
    .word(),
    relay(
        "max-limit",
        count("events", 1, 1_000_000_000, max_limit),
        "1000",
        "Stored events for any filter; a larger limit is lowered to it",
    ),
    relay(
        "default-limit",
        count("events", 1, 1_000_000_000, |b, n| b.relay.limits.limit_default = n),
        "auto",
        "Stored events for a filter without a limit; auto: 500, or max-limit if that is less",
    )
    .word(),
    relay(
        "max-subscriptions",
        count("subscriptions", 1, 1_000_000, |b, n| b.relay.limits.subscriptions = n as usize),
        "200",
        "Subscriptions of one connection",
    ),
    relay(
        "max-filters",
        count("filters", 1, 100_000, |b, n| b.relay.limits.filters = n as usize),
        "20",
        "Filters of one REQ or COUNT",
    ),
    relay(
        "max-filter-values",
        count("values", 1, 1_000_000, |b, n| b.relay.limits.filter_values = n as usize),
        "2000",
        "Values of one filter, all its lists together",
    ),
    relay(
        "max-connection-values",
        count("values", 1, 100_000_000, |b, n| b.relay.limits.connection_values = n as usize),
        "50000",
        "Values of all filters of one connection; each takes some 150 bytes",
    ),
    relay(
        "max-total-values",
        count("values", 1, 1_000_000_000_000, |b, n| b.relay.limits.total_values = n as usize),
        "10000000",
        "Values of all filters of the relay, 8 more for each filter, before each connection may have a 16th of max-connection-values",
    ),
    relay(
        "max-writes",
        count("events", 1, 1_000_000, |b, n| b.relay.limits.writes = n as usize),
        "256",
        "Events of one connection that may wait for the store; beyond, it is not read",
    ),
    relay(
        "max-count-hll",
        count("events", 0, 1_000_000_000, |b, n| b.relay.limits.hll_events = n as usize),
        "10000",
        "Events of a COUNT whose authors are counted by HyperLogLog too; they are read for it",
    ),
    relay(
        "max-negentropy-sessions",
        count("sessions", 1, 1_000_000, |b, n| b.relay.limits.negentropy_sessions = n as usize),
        "8",
        "Negentropy sessions of one connection",
    ),
    relay(
        "max-negentropy-events",
        count("events", 1, 1_000_000_000, max_negentropy),
        "1000000",
        "Events of one negentropy session; filters that match more are refused",
    ),
    relay(
        "max-negentropy-total",
        count("events", 1, 1_000_000_000, |b, n| {
            b.relay.limits.negentropy_items_total = n as usize
        }),
        "auto",
        "Events of all negentropy sessions, 42 bytes each; auto: 4000000, or max-negentropy-events if that is more",
    )
    .word(),
    relay(
        "negentropy-idle",
        time(MS, DAY, MS, |b, t| b.relay.limits.negentropy_idle = t),
        "5 min",
        "Silence after which a negentropy session ends",
    ),
    relay(
        "max-connections",
        count("connections", 1, 10_000_000, |b, n| b.relay.limits.connections = n as usize),
        "10000",
        "Connections in all; an idle one takes some 30 KiB",
    ),
    relay(
        "max-connections-per-address",
        count("connections", 1, 10_000_000, |b, n| {
            b.relay.limits.connections_per_address = n as usize
        }),
        "256",
        "Connections from one address, this machine's own excepted",
    ),
    relay(
        "ping",
        time(SECOND, DAY, MS, |b, t| b.relay.limits.ping = t),
        "55 s",
        "Silence after which a client is pinged",
    ),
    relay(
        "pong",
        time(SECOND, DAY, MS, |b, t| b.relay.limits.pong = t),
        "1 min",
        "Silence after a ping at which a connection is given up",
    ),
    relay(
        "head-timeout",
        time(MS, DAY, MS, |b, t| b.relay.limits.head = t),
        "5 s",
        "Time in which the head of an HTTP request must have come",
    ),
    relay(
        "http-timeout",
        time(MS, DAY, MS, |b, t| b.relay.limits.http = t),
        "10 s",
        "Time for everything before the websocket, answers of plain HTTP included",
    ),
    relay(
        "close-timeout",
        time(MS, DAY, MS, |b, t| b.relay.limits.closing = t),
        "5 s",
        "Time for a connection that is being closed",
    ),
];
