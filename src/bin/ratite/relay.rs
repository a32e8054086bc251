//! `ratite relay`: the store, served over websockets until a signal.

use crate::failure::{Failure, Outcome};
use crate::output::{print, say};
use crate::retain;
use crate::signals::Signals;
use crate::store::StoreArgs;
use ratite::nostr::retention::RuleConfig;
use ratite::nostr::{EventStore, Filter};
use ratite::relay::{Config, Limits, Relay};
use ratite::shard::SyncMode;
use std::net::SocketAddr;
use std::sync::Arc;

/// Options of `ratite relay`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Address and port to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:7777")]
    listen: SocketAddr,

    /// Threads that serve clients [default: the cores at hand]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,

    /// What goes while the relay runs, as `ratite help retain` says it; may be repeated
    #[arg(long = "retain", value_name = "WORDS", value_parser = RuleConfig::parse)]
    retain: Vec<RuleConfig>,

    #[command(flatten)]
    about: AboutArgs,

    #[command(flatten)]
    limits: LimitArgs,

    #[command(flatten)]
    store: StoreArgs,
}

/// What clients are told of the relay.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = "What clients are told (NIP-11)")]
struct AboutArgs {
    /// Name of the relay [default: ratite]
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,

    /// What it is for, in a sentence or two
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,

    /// How to reach who runs it, as a URI
    #[arg(long, value_name = "URI")]
    contact: Option<String>,

    /// Public key of who runs it, in hex
    #[arg(long, value_name = "HEX", value_parser = pubkey)]
    pubkey: Option<[u8; 32]>,
}

/// What clients may do. Without a value here the relay's own default counts.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Limits")]
struct LimitArgs {
    /// Bytes of the largest event, as JSON [default: 65536]
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(512..=2 << 20))]
    max_event_bytes: Option<u32>,

    /// Tags of an event [default: 2000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=60_000))]
    max_event_tags: Option<u32>,

    /// Refuse events of more than so many seconds in the future [default: 900]
    #[arg(long, value_name = "SECONDS")]
    reject_newer_seconds: Option<u64>,

    /// Refuse events older than so many seconds [default: no limit]
    #[arg(long, value_name = "SECONDS")]
    reject_older_seconds: Option<u64>,

    /// Stored events for a filter without a limit [default: 500, or --max-limit if that is less]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    default_limit: Option<u64>,

    /// Stored events for any filter; a larger limit is lowered to it [default: 1000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    max_limit: Option<u64>,

    /// Subscriptions of one connection [default: 200]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_subscriptions: Option<u32>,

    /// Filters of one REQ or COUNT [default: 20]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_filters: Option<u32>,

    /// Connections in all [default: 10000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_connections: Option<u32>,

    /// Connections from one address, this machine's own excepted [default: 256]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_connections_per_address: Option<u32>,
}

fn pubkey(text: &str) -> Result<[u8; 32], String> {
    let mut key = [0; 32];
    match text.len() == 64 && const_hex::decode_to_slice(text, &mut key).is_ok() {
        true => Ok(key),
        false => Err("it is not 64 hex characters".into()),
    }
}

fn set<T, U>(setting: &mut T, value: Option<U>, convert: impl FnOnce(U) -> T) {
    if let Some(value) = value {
        *setting = convert(value);
    }
}

impl LimitArgs {
    fn limits(&self) -> Limits {
        let mut limits = Limits::default();
        if let Some(bytes) = self.max_event_bytes {
            let bytes = bytes as usize;
            (limits.event.json_bytes, limits.event.content_bytes) = (bytes, bytes);
            // An event has to fit a message, and a message the queue of a client.
            limits.message_bytes = limits.message_bytes.max(2 * bytes);
            limits.outbound_bytes = limits.outbound_bytes.max(4 * limits.message_bytes);
        }
        set(&mut limits.event.tags, self.max_event_tags, |n| n as usize);
        set(&mut limits.future_seconds, self.reject_newer_seconds, |n| n);
        set(&mut limits.past_seconds, self.reject_older_seconds, Some);
        set(&mut limits.limit_max, self.max_limit, |n| n);
        limits.limit_default = limits.limit_default.min(limits.limit_max);
        set(&mut limits.limit_default, self.default_limit, |n| n);
        set(&mut limits.subscriptions, self.max_subscriptions, |n| n as usize);
        set(&mut limits.filters, self.max_filters, |n| n as usize);
        set(&mut limits.connections, self.max_connections, |n| n as usize);
        set(&mut limits.connections_per_address, self.max_connections_per_address, |n| n as usize);
        limits
    }
}

impl Args {
    fn config(&self) -> Outcome<Config> {
        let mut config = Config::default();
        config.listen = self.listen;
        set(&mut config.threads, self.threads, usize::from);
        set(&mut config.name, self.about.name.clone(), |text| text);
        set(&mut config.description, self.about.description.clone(), |text| text);
        set(&mut config.contact, self.about.contact.clone(), Some);
        set(&mut config.pubkey, self.about.pubkey, Some);
        config.limits = self.limits.limits();
        if config.limits.limit_default > config.limits.limit_max {
            let (default, max) = (config.limits.limit_default, config.limits.limit_max);
            let sentence = format!("--default-limit {default} is over --max-limit, which is {max}");
            return Err(Failure::Usage(sentence));
        }
        Ok(config)
    }
}

pub fn run(args: &Args) -> Outcome<()> {
    let config = args.config()?;
    let options = args.store.options()?;
    let signals = Signals::listen()?;
    let store = args.store.open(&options)?;
    let retention = retain::start(&store, &args.retain);
    let served = match &retention {
        Ok(_) => serve(&store, config, &signals, options.sync),
        Err(_) => Ok(()),
    };
    let retention = retention.map(drop);
    let stored: u64 = store.engine().stats().iter().map(|shard| shard.stored).sum();
    let closed = store.close();
    retention.and(served)?;
    closed?;
    say(format_args!("stopped: {stored} events were stored since the start; the store is closed"));
    Ok(())
}

fn serve(
    store: &Arc<EventStore>,
    config: Config,
    signals: &Signals,
    sync: SyncMode,
) -> Outcome<()> {
    introduce(store, sync)?;
    let relay = Relay::start(store.clone(), config)?;
    let ready = print(&format!("listening on ws://{}\n", relay.local_addr()));
    if let Err(Failure::Sentence(sentence)) = ready {
        // The line is for scripts; clients can do without.
        say(format_args!("ratite: {sentence}"));
    }
    let signal = signals.stop().recv().unwrap_or("the end of the signal thread");
    say(format_args!("{signal}: closing connections; once more ends at once"));
    Ok(relay.stop()?)
}

fn introduce(store: &EventStore, sync: SyncMode) -> Outcome<()> {
    let engine = store.engine();
    let dir = std::fs::canonicalize(engine.dir()).unwrap_or_else(|_| engine.dir().into());
    let (shards, page) = (engine.shard_count(), engine.page_size().bytes());
    let (io, events) = (engine.env().disk.backend(), store.count(&[Filter::default()])?);
    say(format_args!("data    {}, {events} events", dir.display()));
    say(format_args!("shards  {shards}, pages of {page} bytes, files by {io}"));
    say(format_args!("sync    {}", StoreArgs::promise(sync)));
    Ok(())
}
