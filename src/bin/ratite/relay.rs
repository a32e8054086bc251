//! `ratite relay`: the store, served over websockets until a signal.

use crate::config::{RelayFlags, Settings};
use crate::export::events_of;
use crate::failure::Outcome;
use crate::logging::Log;
use crate::output::say;
use crate::reload::Running;
use crate::signals::Signals;
use crate::store::StoreArgs;
use crate::{retain, service};
use ratite::nostr::{EventStore, Filter};
use ratite::relay::Relay;
use ratite::shard::SyncMode;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Options of `ratite relay`: its own are rows of `config/rows_relay.rs` and `config/rows_retention.rs`.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    _flags: RelayFlags,

    #[command(flatten)]
    store: StoreArgs,
}

pub fn run(args: &Args, settings: &Settings, log: &Log) -> Outcome<()> {
    let mut config = settings.built.relay.clone();
    config.retention.clone_from(&settings.built.retention.rules);
    config.relay_urls.clone_from(&settings.built.relay_urls);
    let options = args.store.options()?;
    let signals = Signals::listen_for_changes()?;
    take_descriptors();
    // Taken first: clients who come from here on wait for this relay.
    let listener = service::listener()?;
    let store = args.store.open(&options)?;
    let retention = retain::start(&store, &settings.built.retention);
    let served = retention.and_then(|retention| {
        introduce(&store, options.sync)?;
        let relay = Relay::start_on(store.clone(), config, listener)?;
        let retention = &mut Some(retention);
        let settings = settings.clone();
        serve(Running { store: &store, relay: &relay, retention, log, settings }, &signals)
    });
    let stored: u64 = store.engine().stats().iter().map(|shard| shard.stored).sum();
    let closed = store.close();
    served?;
    closed?;
    let events = events_of(stored);
    say(format_args!("stopped: {events} stored since the start; the store is closed"));
    Ok(())
}

fn serve(mut running: Running<'_>, signals: &Signals) -> Outcome<()> {
    let relay = running.relay;
    if let Some(address) = relay.metrics_addr() {
        say(format_args!("metrics http://{address}/metrics"));
    }
    let line = format!("listening on ws://{}\n", relay.local_addr());
    service::until_signal(Some(&line), signals, "closing connections", || running.reload());
    Ok(relay.stop()?)
}

/// Takes as many descriptors as the process may have: by default it is told to do with 1,024.
fn take_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    let most = Rlimit { current: limit.maximum, ..limit };
    // Where that is refused it goes on with what it has; the relay then lets fewer clients in.
    let _refused = setrlimit(Resource::Nofile, most);
}

fn introduce(store: &EventStore, sync: SyncMode) -> Outcome<()> {
    let engine = store.engine();
    let dir = std::fs::canonicalize(engine.dir()).unwrap_or_else(|_| engine.dir().into());
    let (shards, page) = (engine.shard_count(), engine.page_size().bytes());
    let io = engine.env().disk.backend();
    let events = events_of(store.count(&[Filter::default()])?);
    say(format_args!("data    {}, {events}", dir.display()));
    say(format_args!("shards  {shards}, pages of {page} bytes, files by {io}"));
    say(format_args!("sync    {}", StoreArgs::promise(sync)));
    Ok(())
}
