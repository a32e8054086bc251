//! `ratite log tail`: the last records, and those that come.
//!
//! ```text
//!   open, write the last N, close --> files have changed? --> open, write what arrived since, close --> ...
//! ```
//!
//! 1. The store is open only while it is read: whoever appends has it in between.
//! 2. What came since has a later arrival than all that was there. It is looked for from the newest record back, and
//!    no further than an hour and some thousands of records: arrivals are no order in which a store is searched.
//! 3. While somebody else has the store open, nothing is read and nothing is lost.

use super::asked::Asked;
use super::look::LookArgs;
use super::rows::{Role, Rows};
use crate::failure::Outcome;
use crate::output::{Lines, say};
use crate::signals::Signals;
use crate::store::StoreArgs;
use crossbeam::channel::{after, select};
use ratite::logs::tokens::Needles;
use ratite::logs::{LogStore, Query};
use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// How often it is asked whether files have changed.
const TICK: Duration = Duration::from_millis(200);

/// How old a new record may be to be shown: clocks differ, and shippers are late.
const LATE_US: u64 = 3_600 * 1_000_000;

/// Records in a row that were there before, behind which no new ones are looked for.
const OLD_MAX: usize = 10_000;

/// New records that are shown at once.
const NEW_MAX: usize = 100_000;

/// Options of `ratite log tail`.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    asked: Asked,

    /// So many of the last records; 0: none
    #[arg(long, short = 'n', value_name = "N", default_value_t = 10)]
    lines: usize,

    /// Go on with those that come, until a signal
    #[arg(long, short)]
    follow: bool,

    #[command(flatten)]
    look: LookArgs,

    #[command(flatten)]
    store: StoreArgs,
}

pub fn run(args: &Args) -> Outcome<()> {
    let signals = if args.follow { Some(Signals::listen()?) } else { None };
    let query = args.asked.query(&args.store.env()?, false, None)?;
    let query = Query { reverse: false, ..query };
    let mut rows = Rows::new(args.look.look(), args.asked.zone(), Needles::new(&query.tokens));
    let mut lines = Lines::open();
    let mut arrival = args.store.with_logs(|log| {
        write_last(log, &query, args.lines, &mut rows, &mut lines)?;
        Ok(log.newest_arrival())
    })?;
    let mut files = Files::of(&args.store.data);
    // Behind that, so that whoever acts on what is shown changes files later.
    lines.flush()?;
    let Some(signals) = signals else { return lines.finish() };
    loop {
        select! {
            recv(signals.stop()) -> _ => return lines.finish(),
            recv(after(TICK)) -> _ => {}
        }
        if files == Files::of(&args.store.data) {
            continue;
        }
        let Ok(log) = args.store.try_open_logs(false)? else { continue }; // 3.
        let written = write_new(&log, &query, arrival, &mut rows, &mut lines);
        arrival = log.newest_arrival();
        let closed = log.close();
        // Opening and closing change files too. Whoever comes next takes longer to open the store than this does.
        files = Files::of(&args.store.data);
        written?;
        closed?;
        lines.flush()?;
    }
}

/// What can be seen of a store's files from outside: it differs after something was stored.
#[derive(PartialEq, Eq, Default)]
struct Files {
    bytes: u64,
    count: u64,
    changed: Option<SystemTime>,
}

impl Files {
    fn of(dir: &Path) -> Files {
        let mut files = Files::default();
        files.add(dir);
        files
    }

    /// What cannot be read now will be there the next time, or opening says why not.
    fn add(&mut self, dir: &Path) {
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(found) if found.is_dir() => self.add(&entry.path()),
                Ok(found) if entry.file_name() != "LOCK" => {
                    self.bytes += found.len();
                    self.count += 1;
                    self.changed = self.changed.max(found.modified().ok());
                }
                _ => {}
            }
        }
    }
}

fn write_last(
    log: &LogStore,
    query: &Query,
    count: usize,
    rows: &mut Rows,
    lines: &mut Lines,
) -> Outcome<()> {
    if count == 0 {
        return Ok(());
    }
    let query = Query { reverse: true, limit: count, ..query.clone() };
    let mut search = log.search(&query)?;
    let mut last = Vec::new();
    while let Some(record) = search.next()? {
        let mut row = Vec::new();
        rows.write(&record, Role::Match, &mut row);
        last.push(row);
    }
    last.iter().rev().try_for_each(|row| lines.add(|out| out.extend_from_slice(row)))
}

/// Writes what has a later arrival than `arrival`, in order of time.
fn write_new(
    log: &LogStore,
    query: &Query,
    arrival: u64,
    rows: &mut Rows,
    lines: &mut Lines,
) -> Outcome<()> {
    let late = log.engine().env().clock.unix_micros().saturating_sub(LATE_US);
    let from = query.from.map_or(late, |from| from.max(late));
    let mut search = log.search(&Query { reverse: true, from: Some(from), ..query.clone() })?;
    let (mut new, mut old) = (Vec::new(), 0);
    while let Some(record) = search.next()? {
        if record.position().arrival <= arrival {
            old += 1;
            if old > OLD_MAX {
                break;
            }
            continue;
        }
        old = 0;
        if new.len() == NEW_MAX {
            say(format_args!("... more came than is shown; `ratite log search` has it"));
            break;
        }
        let mut row = Vec::new();
        rows.write(&record, Role::Match, &mut row);
        new.push(row);
    }
    new.iter().rev().try_for_each(|row| lines.add(|out| out.extend_from_slice(row)))
}
