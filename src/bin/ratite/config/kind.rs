//! What an option may be set to, and what it then sets.
//!
//! ```text
//!   text of a flag, a variable, a file  --take-->  checked, set in `Built`, given back as it is printed
//! ```
//!
//! 1. A text that is refused sets nothing.
//! 2. The text that comes back, taken again, sets the same.

use super::units::{parse_size, parse_time, size, time};
use crate::logging::Format;
use ratite::io::Backend;
use ratite::logs::LogRetention;
use ratite::nostr::SearchKinds;
use ratite::nostr::retention::RuleConfig;
use ratite::relay;
use ratite::retention::{Limits, Retention};
use ratite::store::Options;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// All that options decide.
#[derive(Clone, Debug)]
pub struct Built {
    /// Directory of the store.
    pub data: PathBuf,
    /// How files are read and written.
    pub io: Backend,
    /// What is logged, unless the verb decides.
    pub log: Option<String>,
    /// How the log is written.
    pub log_format: Format,
    /// The engine's options.
    pub store: Options,
    /// Which kinds of event are searched, if the options say so.
    pub search: Option<SearchKinds>,
    /// What goes by rules.
    pub retention: Retaining,
    /// The relay's.
    pub relay: relay::Config,
    /// The relay's own URLs.
    pub relay_urls: Vec<String>,
    /// The relay's own log as records.
    pub own_log: OwnLogging,
}

/// Where a relay keeps its own log.
#[derive(Clone, Debug, Default)]
pub struct OwnLogging {
    /// Directory of the log store, if there is to be one.
    pub data: Option<PathBuf>,
    /// What is kept there.
    pub retain: LogRetention,
}

/// What goes by rules, and how a relay sees to it.
#[derive(Clone, Debug)]
pub struct Retaining {
    /// The rules.
    pub rules: Vec<RuleConfig>,
    /// Between two runs of a relay.
    pub interval: Duration,
    /// How fast these go.
    pub limits: Limits,
}

impl Default for Built {
    fn default() -> Built {
        Built {
            data: PathBuf::new(),
            io: Backend::Auto,
            log: None,
            log_format: Format::default(),
            store: Options::default(),
            search: None,
            retention: Retaining {
                rules: Vec::new(),
                interval: Retention::INTERVAL,
                limits: Limits::default(),
            },
            relay: relay::Config::default(),
            relay_urls: Vec::new(),
            own_log: OwnLogging::default(),
        }
    }
}

/// One of the words of an option.
pub struct Word {
    /// As it is written.
    pub word: &'static str,
    /// What it means.
    pub help: &'static str,
    /// What it sets.
    pub set: fn(&mut Built),
}

/// What kind of value an option has. Bounds are inclusive.
pub enum Kind {
    /// Bytes.
    Size { least: u64, most: u64, power_of_two: bool, set: fn(&mut Built, usize) },
    /// A time, in whole `step`s.
    Time { least: Duration, most: Duration, step: Duration, set: fn(&mut Built, Duration) },
    /// How many of something.
    Count { of: &'static str, least: u64, most: u64, power_of_two: bool, set: fn(&mut Built, u64) },
    /// One of a few words.
    Word { words: &'static [Word] },
    /// A directory.
    Dir { set: fn(&mut Built, PathBuf) },
    /// Something else, which `take` checks and gives back as it is printed.
    Text { name: &'static str, range: &'static str, take: Take },
    /// Any number of texts. `take` is given one after the other, after `clear`.
    List {
        name: &'static str,
        of: &'static str,
        range: &'static str,
        clear: fn(&mut Built),
        take: Take,
    },
}

/// Checks a text, sets what it says, and gives it back as it is printed.
pub type Take = fn(&mut Built, &str) -> Result<String, String>;

fn within<T: PartialOrd>(value: T, least: T, most: T, range: &str) -> Result<T, String> {
    match value >= least && value <= most {
        true => Ok(value),
        false => Err(format!("it is not in the range {range}")),
    }
}

fn power(value: u64, power_of_two: bool) -> Result<u64, String> {
    match power_of_two && !value.is_power_of_two() {
        true => Err("it is not a power of two".into()),
        false => Ok(value),
    }
}

/// What stands between two items of a list that is one text.
pub const ITEM_END: &str = "; ";

/// The items of a list that is one text: between semicolons, or one a line. What is blank is none.
pub fn items(text: &str) -> impl Iterator<Item = &str> {
    text.split([';', '\n']).map(str::trim).filter(|item| !item.is_empty())
}

fn take_list(
    text: &str,
    built: &mut Built,
    clear: fn(&mut Built),
    take: Take,
) -> Result<String, String> {
    let is_one = items(text).nth(1).is_none();
    let mut taken = built.clone();
    clear(&mut taken);
    let mut printed = Vec::new();
    for item in items(text) {
        let named = |why| if is_one { why } else { format!("{item:?}: {why}") };
        printed.push(take(&mut taken, item).map_err(named)?);
    }
    *built = taken; // 1.
    Ok(printed.join(ITEM_END))
}

impl Kind {
    /// Sets what `text` says in `built`, and gives it back as it is printed.
    pub fn take(&self, text: &str, built: &mut Built) -> Result<String, String> {
        let range = self.range();
        match self {
            Kind::Size { least, most, power_of_two, set } => {
                let bytes = within(parse_size(text)?, *least, *most, &range)?;
                let bytes = power(bytes, *power_of_two)?;
                set(built, usize::try_from(bytes).map_err(|_| "it is too large a number")?);
                Ok(size(bytes))
            }
            Kind::Time { least, most, step, set } => {
                let value = within(parse_time(text)?, *least, *most, &range)?;
                if !value.as_micros().is_multiple_of(step.as_micros()) {
                    return Err(format!("it is not a multiple of {}", time(*step)));
                }
                set(built, value);
                Ok(time(value))
            }
            Kind::Count { least, most, power_of_two, set, .. } => {
                let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
                let count = text.parse().ok().filter(|_| digits);
                let count = within(count.ok_or("it is not a whole number")?, *least, *most, &range);
                let count = power(count?, *power_of_two)?;
                set(built, count);
                Ok(count.to_string())
            }
            Kind::Word { words } => {
                let word = words.iter().find(|word| word.word == text);
                let word = word.ok_or_else(|| format!("it is none of {range}"))?;
                (word.set)(built);
                Ok(text.into())
            }
            Kind::Dir { set } => {
                if text.is_empty() {
                    return Err("it is empty".into());
                }
                set(built, Path::new(text).into());
                Ok(text.into())
            }
            Kind::Text { take, .. } => take(built, text),
            Kind::List { clear, take, .. } => take_list(text, built, *clear, *take),
        }
    }

    /// Which values are taken, in words.
    pub fn range(&self) -> String {
        let also = |power_of_two| if power_of_two { ", a power of two" } else { "" };
        match self {
            Kind::Size { least, most, power_of_two, .. } => {
                format!("{} to {}{}", size(*least), size(*most), also(*power_of_two))
            }
            Kind::Time { least, most, .. } => format!("{} to {}", time(*least), time(*most)),
            Kind::Count { least, most, power_of_two, .. } => {
                format!("{least} to {most}{}", also(*power_of_two))
            }
            Kind::Word { words } => words.iter().map(|w| w.word).collect::<Vec<_>>().join(", "),
            Kind::Dir { .. } => "a directory; in a file, relative to the file's".into(),
            Kind::Text { range, .. } | Kind::List { range, .. } => (*range).into(),
        }
    }

    /// What a value is in; for a number or a list, of what.
    pub fn unit(&self) -> &'static str {
        match self {
            Kind::Size { .. } => "size",
            Kind::Time { .. } => "time",
            Kind::Count { of, .. } => of,
            Kind::Word { .. } => "word",
            Kind::Dir { .. } => "path",
            Kind::Text { .. } => "text",
            Kind::List { of, .. } => of,
        }
    }

    /// What stands for a value in the help.
    pub fn value_name(&self) -> &'static str {
        match self {
            Kind::Size { .. } => "SIZE",
            Kind::Time { .. } => "TIME",
            Kind::Count { .. } => "N",
            Kind::Word { .. } => "WORD",
            Kind::Dir { .. } => "DIR",
            Kind::Text { name, .. } | Kind::List { name, .. } => name,
        }
    }

    /// Whether it is any number of texts.
    pub fn is_list(&self) -> bool {
        matches!(self, Kind::List { .. })
    }

    /// Whether a file has the value without quotes.
    pub fn is_number(&self) -> bool {
        matches!(self, Kind::Count { .. })
    }
}
