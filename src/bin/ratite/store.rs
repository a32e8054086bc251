//! The store that a verb works on: its options on the command line, its opening, its closing.

use crate::config::{Built, Settings, StoreFlags};
use crate::failure::{Failure, Outcome};
use clap::{ArgMatches, Args, Command, Error, FromArgMatches};
use ratite::io::{self, Backend, Env};
use ratite::logs::{LogOptions, LogStore};
use ratite::model::Model;
use ratite::nostr::{EventModel, EventOptions, EventStore, SearchKinds};
use ratite::shard::SyncMode;
use ratite::store::Options;
use std::path::PathBuf;
use std::sync::Arc;

/// The options of every verb that opens a store: flags, environment and file together. The options
/// themselves are rows of `config/rows_store.rs`.
#[derive(Debug)]
pub struct StoreArgs {
    /// Directory of the store.
    pub data: PathBuf,
    io: Backend,
    options: Options,
    relay_urls: Vec<String>,
    search: Option<SearchKinds>,
}

impl Args for StoreArgs {
    fn augment_args(command: Command) -> Command {
        StoreFlags::augment_args(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        StoreFlags::augment_args_for_update(command)
    }
}

impl FromArgMatches for StoreArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<StoreArgs, Error> {
        let built = Settings::from_arg_matches(matches)?.built;
        let Built { data, io, store: options, search, relay_urls, .. } = built;
        Ok(StoreArgs { data, io, options, search, relay_urls })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = StoreArgs::from_arg_matches(matches)?;
        Ok(())
    }
}

impl StoreArgs {
    /// The engine's options.
    pub fn options(&self) -> Outcome<Options> {
        Ok(self.options.clone())
    }

    /// Opens the store, or creates it if `options` say so.
    pub fn open(&self, options: &Options) -> Outcome<Arc<EventStore>> {
        self.open_with(EventOptions::from(options))
    }

    /// As [`StoreArgs::open`], to take in what another store has.
    pub fn open_copy(&self, options: &Options) -> Outcome<Arc<EventStore>> {
        let options = EventOptions::from(options);
        self.open_with(EventOptions { refuse_foreign_deletes: false, ..options })
    }

    fn open_with(&self, mut options: EventOptions) -> Outcome<Arc<EventStore>> {
        // Asked here, because opening would leave its lock file in a place that is no store.
        if !options.store.create && !self.data.join("STORE").is_file() {
            let dir = self.data.display();
            let remedy = "`ratite import` and `ratite relay` make one";
            return Err(Failure::Sentence(format!("there is no store in {dir}; {remedy}")));
        }
        options.relay_urls.clone_from(&self.relay_urls);
        options.search.clone_from(&self.search);
        Ok(Arc::new(EventStore::open_with(&self.data, &options, self.env()?)?))
    }

    /// Opens the store of log records, or creates it if `create`.
    pub fn open_logs(&self, create: bool) -> Outcome<Arc<LogStore>> {
        let mut options = LogOptions::from(&self.options);
        options.store.create = create;
        Ok(Arc::new(LogStore::open_in(&self.data, &options, self.env()?)?))
    }

    /// The model of the store, for who looks at its files without opening it.
    pub fn model(&self, env: &Env) -> Outcome<Arc<dyn Model>> {
        let model = EventModel::of_store(&self.data, self.search.as_ref(), env)?;
        Ok(Arc::new(model.of_relays(&self.relay_urls)))
    }

    /// How the machine is reached.
    pub fn env(&self) -> Outcome<Env> {
        Ok(io::system(self.io)?)
    }

    /// Runs `ask` on the existing store and closes it.
    pub fn with<T>(&self, ask: impl FnOnce(&Arc<EventStore>) -> Outcome<T>) -> Outcome<T> {
        let mut options = self.options()?;
        options.create = false;
        let store = self.open(&options)?;
        let answer = ask(&store);
        let closed = store.close();
        let answer = answer?;
        closed?;
        Ok(answer)
    }

    /// What a stored event survives, in words.
    pub fn promise(mode: SyncMode) -> String {
        match mode {
            SyncMode::Always => "always: a stored event survives power loss".into(),
            SyncMode::Batch { interval, .. } => format!(
                "batch: a stored event survives a crash of this program at once, and power loss \
                 after {} ms",
                interval.as_millis()
            ),
            SyncMode::Never => "never: a stored event survives a crash of this program, but not \
                 power loss"
                .into(),
        }
    }
}
