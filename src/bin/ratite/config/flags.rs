//! The options as flags: what clap is told of them, and what it was told.
//!
//! 1. A verb's help shows the options of its section that most people need; `ratite help config` shows
//!    all. All are taken wherever their section is.
//! 2. clap never sees the environment, nor a default: what counts is decided in one place, `resolve`.

use super::kind::{ITEM_END, Kind};
use super::layers::{Given, Origin, Surroundings};
use super::resolve::Settings;
use super::table::{Section, Setting, all};
use clap::builder::{PossibleValue, PossibleValuesParser, ValueParser};
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, Error, FromArgMatches};
use std::path::{Path, PathBuf};

/// Where the file's name is among clap's arguments.
const FILE: &str = "config";

/// How much of a section the help shows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shown {
    /// What is common.
    Common,
    /// What is common in the short help, everything in the long one.
    LongHelp,
    /// Everything, with variables and ranges in the long help.
    Reference,
}

impl Setting {
    /// clap's name of it; a verb's own arguments have no dots in theirs.
    fn id(&self) -> String {
        self.name()
    }

    fn arg(&'static self, heading: &'static str, shown: Shown) -> Arg {
        let default = match self.default {
            "" => String::new(),
            default => format!(" [default: {default}]"),
        };
        let mut help = format!("{}{default}", self.does());
        let arg = Arg::new(self.id()).long(self.flag).help_heading(heading);
        let arg = arg.value_name(self.kind.value_name()).value_parser(self.parser());
        let action = if self.kind.is_list() { ArgAction::Append } else { ArgAction::Set };
        let arg = arg.help(help.clone()).action(action);
        let is_words = matches!(self.kind, Kind::Word { .. });
        match shown {
            Shown::Common => arg.hide(!self.is_common),
            Shown::LongHelp => arg.hide_short_help(!self.is_common),
            Shown::Reference => {
                if !is_words {
                    help += &format!("\n{}", self.range());
                }
                arg.long_help(format!("{help}\n{} or {}", self.variable(), self.name()))
            }
        }
    }

    fn parser(&'static self) -> ValueParser {
        match &self.kind {
            Kind::Word { words } => {
                let words = words.iter().map(|word| PossibleValue::new(word.word).help(word.help));
                PossibleValuesParser::new(words).into()
            }
            _ => ValueParser::new(|text: &str| self.check(text)),
        }
    }
}

fn with_section(
    command: Command,
    section: Section,
    heading: &'static str,
    shown: Shown,
) -> Command {
    let args = section.settings().iter().map(|setting| setting.arg(heading, shown));
    args.fold(command, Command::arg)
}

/// A type that a verb flattens to take the flags of sections. It holds nothing: what the flags say is
/// in [`Settings`], with what the environment and the file say.
macro_rules! flags {
    ($(#[$doc:meta])* $name:ident: $($section:ident $heading:literal $shown:ident),+) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name;

        impl Args for $name {
            fn augment_args(command: Command) -> Command {
                $(let command = with_section(command, Section::$section, $heading, Shown::$shown);)+
                command
            }

            fn augment_args_for_update(command: Command) -> Command {
                Self::augment_args(command)
            }
        }

        impl FromArgMatches for $name {
            fn from_arg_matches(_: &ArgMatches) -> Result<Self, Error> {
                Ok($name)
            }

            fn update_from_arg_matches(&mut self, _: &ArgMatches) -> Result<(), Error> {
                Ok(())
            }
        }
    };
}

flags! {
    /// The flags of [store] and [compaction].
    StoreFlags:
        Store "Store (all its options: ratite help config)" Common,
        Compaction "Compaction" Common
}

flags! {
    /// The flags of [relay], [policy], [about], [retention] and [logs].
    RelayFlags:
        Relay "Relay" LongHelp,
        Policy "Policy" LongHelp,
        About "About the relay" LongHelp,
        Retention "Retention" LongHelp,
        Logs "The relay's own log" LongHelp
}

flags! {
    /// The flags of all sections, for `ratite config`, whose help is the reference.
    AllFlags:
        Store "[store]" Reference,
        Compaction "[compaction]" Reference,
        Retention "[retention]" Reference,
        Relay "[relay]" Reference,
        Policy "[policy]" Reference,
        About "[about]" Reference,
        Logs "[logs]" Reference
}

impl Args for Settings {
    fn augment_args(command: Command) -> Command {
        let file = Arg::new(FILE)
            .long("config")
            .value_name("FILE")
            .value_parser(clap::value_parser!(PathBuf))
            .help("Configuration file [default: ./ratite.toml, else /etc/ratite/ratite.toml]")
            .help_heading("Everywhere")
            .global(true);
        let command = command.arg(file);
        let log = Section::Log.settings().iter();
        log.fold(command, |command, setting| {
            command.arg(setting.arg("Everywhere", Shown::Reference).global(true))
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Settings {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Settings, Error> {
        let (mut level, mut config, mut flags) = (Some(matches), None, Vec::new());
        while let Some(matches) = level {
            if let Ok(Some(path)) = matches.try_get_one::<PathBuf>(FILE) {
                config = Some(path.as_path());
            }
            flags.extend(all().filter_map(|setting| given(matches, setting)));
            level = matches.subcommand().map(|(_, below)| below);
        }
        resolved(config, flags)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Settings::from_arg_matches(matches)?;
        Ok(())
    }
}

/// What the command line says of an option, if this verb has it.
fn given(matches: &ArgMatches, setting: &Setting) -> Option<Given> {
    let texts = matches.try_get_many::<String>(&setting.id()).ok()??;
    let text = texts.map(String::as_str).collect::<Vec<_>>().join(ITEM_END);
    let is_given = matches.value_source(&setting.id()) == Some(ValueSource::CommandLine);
    let origin = Origin::Flag(format!("--{}", setting.flag));
    is_given.then(|| Given { name: setting.name(), text, origin })
}

fn resolved(config: Option<&Path>, flags: Vec<Given>) -> Result<Settings, Error> {
    Settings::resolve(&Surroundings::of_the_process(), config, flags)
        .map_err(|problems| Error::raw(ErrorKind::ValueValidation, problems.join("\nratite: ")))
}
