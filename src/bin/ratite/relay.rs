//! `ratite relay`: the store, served over websockets until a signal.

use crate::config::{RelayFlags, Settings};
use crate::failure::{Failure, Outcome};
use crate::output::{print, say};
use crate::retain;
use crate::signals::Signals;
use crate::store::StoreArgs;
use ratite::nostr::{EventStore, Filter};
use ratite::relay::{Config, Relay};
use ratite::shard::SyncMode;
use std::sync::Arc;

/// Options of `ratite relay`: its own are rows of `config/rows_relay.rs` and `config/rows_retention.rs`.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    _flags: RelayFlags,

    #[command(flatten)]
    store: StoreArgs,
}

pub fn run(args: &Args, settings: &Settings) -> Outcome<()> {
    let mut config = settings.built.relay.clone();
    config.retention.clone_from(&settings.built.retention.rules);
    config.relay_urls.clone_from(&settings.built.relay_urls);
    let options = args.store.options()?;
    let signals = Signals::listen()?;
    let store = args.store.open(&options)?;
    let retention = retain::start(&store, &settings.built.retention);
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
