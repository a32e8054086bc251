//! `ratite log export`: the store, or what a query selects of it, as NDJSON or as raw lines.

use super::asked::Asked;
use super::look::Look;
use super::rows::{Role, Rows};
use crate::failure::Outcome;
use crate::output::{Lines, say};
use crate::store::StoreArgs;
use clap::ValueEnum;
use ratite::logs::tokens::Needles;
use std::path::PathBuf;

/// Options of `ratite log export`.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    asked: Asked,

    /// Newest first instead of oldest first
    #[arg(long, short)]
    reverse: bool,

    /// What is written
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Format::Ndjson)]
    format: Format,

    /// Write to FILE instead of standard output, packed if it ends in .gz or .zst
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,

    #[command(flatten)]
    store: StoreArgs,
}

/// What is written of a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Format {
    /// Time, source and bytes: `ratite log append` makes the same records of it
    Ndjson,
    /// The bytes alone, as lines
    Text,
}

pub fn run(args: &Args) -> Outcome<()> {
    let query = args.asked.query(&args.store.env()?, args.reverse, None)?;
    args.store.with_logs(|log| {
        let mut search = log.search(&query)?;
        let mut lines = args.out.as_deref().map_or_else(|| Ok(Lines::open()), Lines::to)?;
        let look = Look { json: true, colors: false, terminal: false };
        let mut rows = Rows::new(look, args.asked.zone(), Needles::default());
        let mut count = 0u64;
        while let Some(record) = search.next()? {
            lines.add(|out| match args.format {
                Format::Ndjson => rows.write(&record, Role::Match, out),
                Format::Text => {
                    out.extend_from_slice(record.raw());
                    out.push(b'\n');
                }
            })?;
            count += 1;
        }
        lines.finish()?;
        if let Some(path) = &args.out {
            say(format_args!("{} in {}", records_of(count), path.display()));
        }
        Ok(())
    })
}

/// So many records, in words.
pub fn records_of(count: u64) -> String {
    if count == 1 { "1 record".into() } else { format!("{count} records") }
}
