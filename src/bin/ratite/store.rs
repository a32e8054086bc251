//! The store that a verb works on: its options on the command line, its opening, its closing.

use crate::config::{Built, Settings, StoreFlags};
use crate::failure::{Failure, Outcome};
use clap::{ArgMatches, Args, Command, Error, FromArgMatches};
use crossbeam::channel::after;
use ratite::base::Error as StoreError;
use ratite::io::{self, Backend, Env};
use ratite::logs::{LogModel, LogOptions, LogStore};
use ratite::model::Model;
use ratite::nostr::{EventModel, EventOptions, EventStore, SearchKinds};
use ratite::shard::SyncMode;
use ratite::store::{self, Options, Store};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// What a store holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Holds {
    /// Events of Nostr.
    Events,
    /// Log records.
    Logs,
}

impl Holds {
    /// What the store in `dir` holds, as its STORE file says; `None` if there is no store, or one of another kind,
    /// which opening refuses by name.
    pub fn of(dir: &Path, env: &Env) -> Option<Holds> {
        let name = store::model_name_of(&*env.disk, dir)?;
        let logs = LogModel.name();
        Some(if name == logs { Holds::Logs } else { Holds::Events })
    }
}

/// How often a verb of the log tries to open a store that another has open for a moment, and how long it waits
/// between: `ratite log tail --follow` looks into the store again and again.
const TRIES: u32 = 20;
const BETWEEN_TRIES: Duration = Duration::from_millis(50);

/// An open store of either kind.
pub enum Opened {
    /// Events.
    Events(Arc<EventStore>),
    /// Log records.
    Logs(Arc<LogStore>),
}

impl Opened {
    /// The engine below.
    pub fn engine(&self) -> &Store {
        match self {
            Opened::Events(store) => store.engine(),
            Opened::Logs(store) => store.engine(),
        }
    }
}

/// The options of every verb that opens a store: flags, environment and file together. The options
/// themselves are rows of `config/rows_store.rs`.
#[derive(Clone, Debug)]
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
    /// The same options for a store in `dir`.
    pub fn elsewhere(&self, dir: &Path) -> StoreArgs {
        StoreArgs { data: dir.into(), ..self.clone() }
    }

    /// When writes are answered.
    pub fn sync(&self) -> SyncMode {
        self.options.sync
    }

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
        let env = self.env()?;
        self.expect(Holds::Events, options.store.create, &env)?;
        options.relay_urls.clone_from(&self.relay_urls);
        options.search.clone_from(&self.search);
        Ok(Arc::new(EventStore::open_with(&self.data, &options, env)?))
    }

    /// Opens the store of log records, or creates it if `create`. Waits a second for one who has it open.
    pub fn open_logs(&self, create: bool) -> Outcome<Arc<LogStore>> {
        let mut tries = 0;
        loop {
            match self.try_open_logs(create)? {
                Ok(store) => return Ok(store),
                Err(_) if tries < TRIES => tries += 1,
                Err(locked) => return Err(locked.into()),
            }
            let _a_while = after(BETWEEN_TRIES).recv();
        }
    }

    /// The same without waiting: `Locked` comes back as an answer.
    pub fn try_open_logs(&self, create: bool) -> Outcome<Result<Arc<LogStore>, StoreError>> {
        let env = self.env()?;
        self.expect(Holds::Logs, create, &env)?;
        let mut options = LogOptions::from(&self.options);
        options.store.create = create;
        match LogStore::open_in(&self.data, &options, env) {
            Ok(store) => Ok(Ok(Arc::new(store))),
            Err(locked @ StoreError::Locked { .. }) => Ok(Err(locked)),
            Err(error) => Err(error.into()),
        }
    }

    /// Refuses a directory without a store, unless one may be made, and one with a store of another kind.
    fn expect(&self, holds: Holds, create: bool, env: &Env) -> Outcome<()> {
        let dir = self.data.display();
        // Asked here, because opening would leave its lock file in a place that is no store.
        if !create && !self.data.join("STORE").is_file() {
            let remedy = match holds {
                Holds::Events => "`ratite import` and `ratite relay` make one",
                Holds::Logs => "`ratite log append` makes one",
            };
            return Err(Failure::Sentence(format!("there is no store in {dir}; {remedy}")));
        }
        let why = match (holds, Holds::of(&self.data, env)) {
            (Holds::Events, Some(Holds::Logs)) => {
                "log records, not events; `ratite log` works on it"
            }
            (Holds::Logs, Some(Holds::Events)) => {
                "events, not log records; `ratite scan` and `ratite import` work on it"
            }
            _ => return Ok(()),
        };
        Err(Failure::Sentence(format!("the store in {dir} holds {why}")))
    }

    /// The model of the store, for who looks at its files without opening it.
    pub fn model(&self, env: &Env) -> Outcome<Arc<dyn Model>> {
        if Holds::of(&self.data, env) == Some(Holds::Logs) {
            return Ok(Arc::new(LogModel));
        }
        let model = EventModel::of_store(&self.data, self.search.as_ref(), env)?;
        Ok(Arc::new(model.of_relays(&self.relay_urls)))
    }

    /// How the machine is reached.
    pub fn env(&self) -> Outcome<Env> {
        Ok(io::system(self.io)?)
    }

    /// Runs `ask` on the existing store and closes it.
    pub fn with<T>(&self, ask: impl FnOnce(&Arc<EventStore>) -> Outcome<T>) -> Outcome<T> {
        let store = self.open(&self.existing())?;
        closed(ask(&store), store.close())
    }

    /// Runs `ask` on the existing store of log records and closes it.
    pub fn with_logs<T>(&self, ask: impl FnOnce(&Arc<LogStore>) -> Outcome<T>) -> Outcome<T> {
        let store = self.open_logs(false)?;
        closed(ask(&store), store.close())
    }

    /// Runs `ask` on the existing store, whatever it holds, and closes it.
    pub fn with_any<T>(&self, ask: impl FnOnce(&Opened) -> Outcome<T>) -> Outcome<T> {
        match Holds::of(&self.data, &self.env()?) {
            Some(Holds::Logs) => self.with_logs(|store| ask(&Opened::Logs(store.clone()))),
            _ => self.with(|store| ask(&Opened::Events(store.clone()))),
        }
    }

    fn existing(&self) -> Options {
        let mut options = self.options.clone();
        options.create = false;
        options
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

/// What was answered, unless closing failed.
fn closed<T>(answer: Outcome<T>, closed: ratite::base::Result<()>) -> Outcome<T> {
    let answer = answer?;
    closed?;
    Ok(answer)
}
