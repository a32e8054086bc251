//! `ratite log gen`: log lines from a seed.
//!
//! 1. The same seed gives the same bytes on every machine.

use super::rows::string;
use crate::failure::Outcome;
use crate::output::Lines;
use crate::progress::Progress;
use clap::ValueEnum;
use ratite::logs::generate::{Config, Generator};
use ratite::logs::time::Zone;
use std::io::{self, IsTerminal};
use std::path::PathBuf;

/// Lines from one look at the progress to the next.
const GROUP: u64 = 4_096;

/// Options of `ratite log gen`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// How many lines
    #[arg(long, short = 'n', value_name = "N", default_value_t = 1000)]
    lines: u64,

    /// Another seed gives other lines, the same seed the same bytes, on every machine
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,

    /// When the lines begin, in microseconds since the epoch; there are some 18,000 a second
    #[arg(long, value_name = "TIME", default_value_t = Config::default().start_us)]
    start: u64,

    /// What is written
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Format::Ndjson)]
    format: Format,

    /// Write to FILE instead of standard output, packed if it ends in .gz or .zst
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// What is written of a line.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Format {
    /// Time, source and bytes, as `ratite log append` takes them
    Ndjson,
    /// The bytes alone, as lines
    Text,
}

pub fn run(args: &Args) -> Outcome<()> {
    let config = Config { seed: args.seed, start_us: args.start, ..Config::default() };
    let generator = Generator::new(&config);
    // On a terminal that shows the lines a bar would only be in the way.
    let is_shown = args.out.is_none() && io::stdout().is_terminal();
    let progress = (!is_shown).then(|| Progress::of_items(args.lines));
    let mut out = args.out.as_deref().map_or_else(|| Ok(Lines::open()), Lines::to)?;
    let (utc, mut raw) = (Zone::utc(), Vec::new());
    for index in 0..args.lines {
        raw.clear();
        let line = generator.line(index, &mut raw);
        out.add(|out| match args.format {
            Format::Ndjson => {
                out.extend_from_slice(b"{\"ts\":\"");
                utc.write(line.ts, out);
                out.extend_from_slice(b"\",\"source\":");
                string(generator.source(line.source), out);
                out.extend_from_slice(b",\"raw\":");
                string(&String::from_utf8_lossy(&raw), out);
                out.extend_from_slice(b"}\n");
            }
            Format::Text => {
                out.extend_from_slice(&raw);
                out.push(b'\n');
            }
        })?;
        if let Some(progress) = progress.as_ref().filter(|_| index % GROUP == 0) {
            progress.set(index, index);
        }
    }
    if let Some(progress) = progress {
        progress.clear();
    }
    out.finish()
}
