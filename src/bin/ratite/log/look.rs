//! How rows are written: as text or as NDJSON, with colours or without.
//!
//! 1. On a terminal rows are text, elsewhere NDJSON, unless a flag says otherwise.
//! 2. Colours are for terminals, and for those who ask for them; `NO_COLOR` is respected.

use clap::ValueEnum;
use std::io::{self, IsTerminal};

/// The flags.
#[derive(clap::Args, Debug)]
pub struct LookArgs {
    /// NDJSON on a terminal too
    #[arg(long, conflicts_with = "text")]
    json: bool,

    /// Text in a pipe too: time, source, and the record's bytes as they are
    #[arg(long)]
    text: bool,

    /// Whether there are colours: auto is on a terminal, unless NO_COLOR is set
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = Color::Auto)]
    color: Color,
}

/// When there are colours.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Color {
    Auto,
    Always,
    Never,
}

/// What the flags mean here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Look {
    /// NDJSON instead of text.
    pub json: bool,
    /// Whether text has colours.
    pub colors: bool,
    /// Whether text is for a terminal, which takes some bytes for commands.
    pub terminal: bool,
}

impl LookArgs {
    /// Whether NDJSON was asked for.
    pub fn wants_json(&self) -> bool {
        self.json
    }

    /// How rows are to be written on standard output.
    pub fn look(&self) -> Look {
        let terminal = io::stdout().is_terminal();
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let colors = match self.color {
            Color::Auto => terminal && !plain,
            Color::Always => true,
            Color::Never => false,
        };
        Look { json: self.json || !(terminal || self.text), colors, terminal: terminal || colors }
    }
}
