//! Every option of the configuration, once: its names, its default, its values, what it does.
//!
//! ```text
//!   a row of rows_store / rows_... ----+--> flag and --help      (flags)
//!                                      +--> variable             (layers)
//!                                      +--> [section] key        (file)
//!                                      +--> `ratite config`      (print), and the table in docs/operations.md
//!                                      +--> Options, relay::Config  (`Kind`'s setter)
//! ```
//!
//! 1. A row is all there is to an option: no other place names it. Tests hold each row to having an
//!    effect and docs/operations.md to having each row.
//! 2. Rows take effect in the order of the table: a row may adjust what an earlier one set.
//! 3. A default that is a word (`auto`, `none`, nothing) sets nothing: the engine's own choice counts.
//!
//! To add an option: a row in its section, a row in `tests/effects.rs`, and the line that the test of
//! docs/operations.md asks for. For a new section also a variant of [`Section`], and a word in `flags`
//! about the verbs that take it. A flag is the key in the sections of the store and the relay, in
//! others section and key.

use super::kind::{Built, Kind, Take, Word};
use super::{rows_about, rows_logs, rows_policy, rows_relay, rows_retention, rows_store};
use std::time::Duration;

/// A table of the configuration file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Section {
    /// The store and its files.
    Store,
    /// The merging of segments.
    Compaction,
    /// What goes by rules.
    Retention,
    /// The relay.
    Relay,
    /// What the relay lets in.
    Policy,
    /// What a relay says of itself.
    About,
    /// The log on standard error.
    Log,
    /// The relay's own log as records.
    Logs,
}

impl Section {
    /// All of them, in the order in which they are printed.
    pub const ALL: [Section; 8] = [
        Section::Store,
        Section::Compaction,
        Section::Retention,
        Section::Relay,
        Section::Policy,
        Section::About,
        Section::Log,
        Section::Logs,
    ];

    /// Its name in a file.
    pub fn name(self) -> &'static str {
        match self {
            Section::Store => "store",
            Section::Compaction => "compaction",
            Section::Retention => "retention",
            Section::Relay => "relay",
            Section::Policy => "policy",
            Section::About => "about",
            Section::Log => "log",
            Section::Logs => "logs",
        }
    }

    /// Its options.
    pub fn settings(self) -> &'static [Setting] {
        match self {
            Section::Store => rows_store::STORE,
            Section::Compaction => rows_store::COMPACTION,
            Section::Retention => rows_retention::RETENTION,
            Section::Relay => rows_relay::RELAY,
            Section::Policy => rows_policy::POLICY,
            Section::About => rows_about::ABOUT,
            Section::Log => rows_store::LOG,
            Section::Logs => rows_logs::LOGS,
        }
    }
}

/// One option.
pub struct Setting {
    /// Where it stands in a file.
    pub section: Section,
    /// Its name there.
    pub key: &'static str,
    /// Its name on the command line, without the dashes, and so in the environment.
    pub flag: &'static str,
    /// What it may be set to.
    pub kind: Kind,
    /// What it is if nobody sets it, as it is printed.
    pub default: &'static str,
    /// Whether the default is a word that sets nothing (3).
    pub default_is_word: bool,
    /// Key in the same section, and the value that it must have for this option to count.
    pub needs: Option<(&'static str, &'static str)>,
    /// Whether the short help of the verbs shows it.
    pub is_common: bool,
    /// What it does.
    pub effect: &'static str,
}

impl Setting {
    /// An option whose flag is its key.
    pub const fn new(
        section: Section,
        key: &'static str,
        kind: Kind,
        default: &'static str,
        effect: &'static str,
    ) -> Setting {
        Setting {
            section,
            key,
            flag: key,
            kind,
            default,
            default_is_word: false,
            needs: None,
            is_common: false,
            effect,
        }
    }

    /// Its default is a word that sets nothing.
    pub const fn word(self) -> Setting {
        Setting { default_is_word: true, ..self }
    }

    /// The short help of the verbs shows it.
    pub const fn common(self) -> Setting {
        Setting { is_common: true, ..self }
    }

    /// Another flag than the key.
    pub const fn flag(self, flag: &'static str) -> Setting {
        Setting { flag, ..self }
    }

    /// It counts only if `key` of the same section is `value`.
    pub const fn needs(self, key: &'static str, value: &'static str) -> Setting {
        Setting { needs: Some((key, value)), ..self }
    }

    /// Section and key.
    pub fn name(&self) -> String {
        format!("{}.{}", self.section.name(), self.key)
    }

    /// Its variable: the flag in capitals.
    pub fn variable(&self) -> String {
        format!("RATITE_{}", self.flag.to_ascii_uppercase().replace('-', "_"))
    }

    /// What it does, and when.
    pub fn does(&self) -> String {
        let when = self.needs.map(|(key, value)| format!("; only with {key} = {value}"));
        format!("{}{}", self.effect, when.unwrap_or_default())
    }

    /// Sets what `text` says in `built`, and gives it back as it is printed.
    pub fn take(&self, text: &str, built: &mut Built) -> Result<String, String> {
        match self.is_default_word(text) {
            true => Ok(text.into()),
            false => self.kind.take(text, built),
        }
    }

    /// Whether `text` is the word that sets nothing (3).
    pub fn is_default_word(&self, text: &str) -> bool {
        self.default_is_word && text == self.default
    }

    /// The text as it is printed, if it is acceptable.
    pub fn check(&self, text: &str) -> Result<String, String> {
        self.take(text, &mut Built::default())
    }

    /// Which values are taken, the word of the default among them.
    pub fn range(&self) -> String {
        match self.default_is_word && !self.default.is_empty() {
            true => format!("{}, or {}", self.kind.range(), self.default),
            false => self.kind.range(),
        }
    }
}

/// Every option, in the order in which they take effect (2).
pub fn all() -> impl Iterator<Item = &'static Setting> {
    Section::ALL.into_iter().flat_map(Section::settings)
}

/// The option of this section and key.
pub fn find(section: Section, key: &str) -> Option<&'static Setting> {
    section.settings().iter().find(|setting| setting.key == key)
}

// What the rows are written with.

pub const KIB: u64 = 1 << 10;
pub const MIB: u64 = 1 << 20;
pub const GIB: u64 = 1 << 30;
pub const TIB: u64 = 1 << 40;
pub const MS: Duration = Duration::from_millis(1);
pub const SECOND: Duration = Duration::from_secs(1);
pub const DAY: Duration = Duration::from_secs(86_400);
/// The longest time that an option takes: a century.
pub const LONG: Duration = DAY.saturating_mul(36_500);

/// Bytes.
pub const fn size(least: u64, most: u64, set: fn(&mut Built, usize)) -> Kind {
    Kind::Size { least, most, power_of_two: false, set }
}

/// Bytes, a power of two.
pub const fn size_power(least: u64, most: u64, set: fn(&mut Built, usize)) -> Kind {
    Kind::Size { least, most, power_of_two: true, set }
}

/// A time in steps of `step`.
pub const fn time(
    least: Duration,
    most: Duration,
    step: Duration,
    set: fn(&mut Built, Duration),
) -> Kind {
    Kind::Time { least, most, step, set }
}

/// How many.
pub const fn count(of: &'static str, least: u64, most: u64, set: fn(&mut Built, u64)) -> Kind {
    Kind::Count { of, least, most, power_of_two: false, set }
}

/// One of these.
pub const fn words(words: &'static [Word]) -> Kind {
    Kind::Word { words }
}

/// A word of them.
pub const fn word(word: &'static str, help: &'static str, set: fn(&mut Built)) -> Word {
    Word { word, help, set }
}

/// Any number of texts.
pub const fn list(
    name: &'static str,
    of: &'static str,
    range: &'static str,
    clear: fn(&mut Built),
    take: Take,
) -> Kind {
    Kind::List { name, of, range, clear, take }
}

/// Something else.
pub const fn text(name: &'static str, range: &'static str, take: Take) -> Kind {
    Kind::Text { name, range, take }
}
