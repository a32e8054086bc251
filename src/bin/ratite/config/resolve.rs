//! The effective configuration: of all that was given for an option, what counts.
//!
//! 1. A flag counts before the environment, the environment before the file, the file before the
//!    default.
//! 2. Everything that was given is checked, also what something else overrides.
//! 3. An option that another one makes idle is refused if it was given at the same place or at one that
//!    counts before: `--sync-interval` under `sync = "always"`. The other way round the later word
//!    stands: `--sync always` over a file with a `sync-interval`.

use super::file;
use super::kind::Built;
use super::layers::{Given, Origin, Problems, Surroundings};
use super::table::{Setting, all};
use ratite::base::Error;
use std::path::{Path, PathBuf};

/// The value that counts for an option, and where it comes from.
#[derive(Clone)]
pub struct Effective {
    /// The option.
    pub setting: &'static Setting,
    /// Its value, as it is printed.
    pub text: String,
    /// Where it comes from.
    pub origin: Origin,
    /// Whether another option makes it idle.
    pub is_idle: bool,
}

/// The effective configuration.
#[derive(Clone)]
pub struct Settings {
    /// What the options decide.
    pub built: Built,
    /// Every option, in the order of the table.
    pub effective: Vec<Effective>,
    /// The file that was read.
    pub file: Option<PathBuf>,
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings").field("file", &self.file).field("built", &self.built).finish()
    }
}

/// An option with a number, and what it is in effect.
struct Number {
    name: &'static str,
    of: fn(&Built) -> u64,
}

const fn number(name: &'static str, of: fn(&Built) -> u64) -> Number {
    Number { name, of }
}

const LIMIT_DEFAULT: Number = number("relay.default-limit", |b| b.relay.limits.limit_default);
const LIMIT_MAX: Number = number("relay.max-limit", |b| b.relay.limits.limit_max);
const EVENT_MAX: Number = number("relay.max-event", |b| b.relay.limits.event.json_bytes as u64);
const MESSAGE_MAX: Number = number("relay.max-message", |b| b.relay.limits.message_bytes as u64);
const QUEUE_MAX: Number = number("relay.max-queue", |b| b.relay.limits.outbound_bytes as u64);
const QUEUE_TOTAL: Number =
    number("relay.max-queue-total", |b| b.relay.limits.outbound_total_bytes as u64);

/// Options of which the first may not be over the second.
const AT_MOST: [[Number; 2]; 4] = [
    [LIMIT_DEFAULT, LIMIT_MAX],
    [EVENT_MAX, MESSAGE_MAX],
    [MESSAGE_MAX, QUEUE_MAX],
    [QUEUE_MAX, QUEUE_TOTAL],
];

/// What the engine calls its options when it refuses them, and their names here.
const ENGINE_NAMES: [(&str, &str); 12] = [
    ("memory_bytes", "store.memory"),
    ("memtable_bytes", "store.memtable"),
    ("log_file_bytes", "store.log-file"),
    ("ring_bytes", "store.ring"),
    ("in_flight", "store.in-flight"),
    ("shards", "store.shards"),
    ("a number of shards of", "store.shards"),
    ("page size", "store.page-size"),
    ("compaction.records_max", "compaction.max-records"),
    ("compaction.fan_in", "compaction.fan-in"),
    ("compaction.garbage_percent", "compaction.garbage"),
    ("data directory", "store.data"),
];

fn described(effective: &Effective) -> String {
    let Effective { setting, text, origin, .. } = effective;
    format!("{} = {text:?} ({origin})", setting.name())
}

impl Settings {
    /// What opening the store that is meant would refuse of its options, by their names here. What can be known without
    /// the store was refused before.
    ///
    /// # Errors
    /// That, as a sentence.
    pub fn check_store(&self) -> Result<(), String> {
        let disk = ratite::io::system(self.built.io).map_err(|error| self.refused(&error))?.disk;
        let checked = self.built.store.check_in(&self.built.data, &*disk);
        checked.map_err(|error| self.refused(&error))
    }

    /// Why the engine refuses an option, by its name here.
    fn refused(&self, error: &Error) -> String {
        let (what, why) = match error {
            Error::Invalid { what, why } => (*what, why.clone()),
            Error::Mismatch { what, .. } => (*what, error.to_string()),
            _ => return error.to_string(),
        };
        let known = ENGINE_NAMES.iter().find(|(engine, _)| *engine == what);
        match known.and_then(|(_, name)| self.named(name)) {
            Some(effective) => format!("{}: {why}", described(effective)),
            None => error.to_string(),
        }
    }

    /// The effective configuration, with these flags, and the file that `--config` names.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn resolve(
        around: &Surroundings,
        config: Option<&Path>,
        flags: Vec<Given>,
    ) -> Result<Settings, Problems> {
        let mut problems = Problems::new();
        let file = around.file(config);
        let of_file = file.as_ref().map(|(path, by)| file::read(path, by.as_ref(), &mut problems));
        let of_environment = around.given(&mut problems);
        // 1.
        let mut given = of_file.unwrap_or_default();
        given.extend(of_environment);
        given.extend(flags);
        let settings = Settings::counting(&given, problems)?;
        Ok(Settings { file: file.map(|(path, _)| path), ..settings })
    }

    /// What counts of `given`, in which these problems were found already; no file is named.
    pub(super) fn counting(given: &[Given], mut problems: Problems) -> Result<Settings, Problems> {
        let mut settings = Settings::of(given);
        settings.relate(&mut problems);
        match problems.is_empty() {
            true => Ok(settings),
            false => Err(problems),
        }
    }

    /// What counts of `given`; of several values for an option, the last.
    fn of(given: &[Given]) -> Settings {
        let mut built = Built::default();
        let effective = all()
            .map(|setting| {
                let given = given.iter().rev().find(|given| given.name == setting.name());
                let (text, origin) = given.map_or_else(
                    || (setting.default.to_string(), Origin::Default),
                    |given| (given.text.clone(), given.origin.clone()),
                );
                // It was checked when it was given; the rows' tests check the defaults.
                let _as_printed = setting.take(&text, &mut built);
                Effective { setting, text, origin, is_idle: false }
            })
            .collect();
        Settings { built, effective, file: None }
    }

    /// The option of this name. All are there.
    pub fn named(&self, name: &str) -> Option<&Effective> {
        self.effective.iter().find(|effective| effective.setting.name() == name)
    }

    /// Whether the command line itself says what this option is.
    pub fn is_flag(&self, name: &str) -> bool {
        self.named(name).is_some_and(|effective| matches!(effective.origin, Origin::Flag(_)))
    }

    /// What contradicts what.
    fn relate(&mut self, problems: &mut Problems) {
        let mut idle = Vec::new();
        for (at, effective) in self.effective.iter().enumerate() {
            let Some((key, value)) = effective.setting.needs else { continue };
            let needed = format!("{}.{key}", effective.setting.section.name());
            let Some(needed) = self.named(&needed).filter(|needed| needed.text != value) else {
                continue;
            };
            idle.push(at);
            // 3.
            if effective.origin != Origin::Default && effective.origin.outranks(&needed.origin) {
                let (this, other) = (described(effective), described(needed));
                let name = needed.setting.name();
                problems.push(format!("{this} says nothing without {name} = {value:?}: {other}"));
            }
        }
        for pair in AT_MOST {
            let [less, more] = pair.each_ref().map(|number| (number.of)(&self.built));
            if less > more {
                let of =
                    |number: Number| self.named(number.name).map_or_else(String::new, described);
                let [less, more] = pair.map(of);
                problems.push(format!("{less} is over {more}"));
            }
        }
        idle.into_iter().for_each(|at| self.effective[at].is_idle = true);
        if problems.is_empty()
            && let Err(error) = self.built.relay.check()
        {
            problems.push(error.to_string());
        }
        // Of an existing store nobody knows the shards before it is looked at: less than this opens none.
        let shards = self.built.store.shards.unwrap_or(1);
        if problems.is_empty()
            && let Err(error) = self.built.store.check_for(shards)
        {
            problems.push(self.refused(&error));
        }
    }
}
