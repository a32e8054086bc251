//! The store as a whole, on the simulated disk, against lists of lines and questions answered by looking at each.

mod append;
mod arrival;
mod cursor;
mod paging;
mod random;
mod resume;

use super::*;
use crate::base::Result;
use crate::io::{self, Env, Faults, ManualClock, Rng, SimDisk};
use crate::store::Options;
use std::path::Path;
use std::sync::Arc;

/// A second.
const S: u64 = 1_000_000;

/// A machine whose disk and clock tests move.
struct Machine {
    env: Env,
    disk: Arc<SimDisk>,
    clock: Arc<ManualClock>,
}

impl Machine {
    fn new(seed: u64) -> Machine {
        let (env, disk, clock) = io::simulated(seed, Faults::default());
        Machine { env, disk, clock }
    }

    fn open(&self) -> LogStore {
        self.open_with(&Options::tiny())
    }

    fn open_with(&self, options: &Options) -> LogStore {
        LogStore::open_in(Path::new("/logs"), &options.into(), self.env.clone()).unwrap()
    }
}

/// Where records can be: nothing that is asked may depend on it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Shape {
    Active,
    Sealed,
    /// Half of them sealed.
    Mixed,
    /// Each in a segment of its own.
    Scattered,
    Merged,
    /// Replayed from the log.
    Reopened,
}

const SHAPES: [Shape; 6] =
    [Shape::Active, Shape::Sealed, Shape::Mixed, Shape::Scattered, Shape::Merged, Shape::Reopened];

/// A record as tests write it.
type Line<'a> = (u64, &'a Source, &'a str);

/// A store with `lines` in this shape, and their positions.
fn shaped(machine: &Machine, shape: Shape, lines: &[Line<'_>]) -> (LogStore, Vec<Position>) {
    let log = machine.open();
    let mut positions = Vec::new();
    for (i, &(ts, source, raw)) in lines.iter().enumerate() {
        positions.push(log.append(LogRecord { ts, source, raw: raw.as_bytes() }).unwrap());
        let seals = match shape {
            Shape::Active | Shape::Sealed | Shape::Reopened => false,
            Shape::Mixed => i + 1 == lines.len() / 2,
            Shape::Scattered | Shape::Merged => true,
        };
        if seals {
            log.engine().flush().unwrap();
        }
    }
    match shape {
        Shape::Sealed => log.engine().flush().unwrap(),
        Shape::Merged => log.engine().compact().unwrap(),
        Shape::Reopened => {
            drop(log);
            machine.disk.kill();
            return (machine.open(), positions);
        }
        _ => {}
    }
    (log, positions)
}

/// The texts of what `search` gives.
fn texts(search: &mut Search) -> Vec<String> {
    let mut out = Vec::new();
    while let Some(record) = search.next().unwrap() {
        out.push(String::from_utf8_lossy(record.raw()).into_owned());
    }
    out
}

fn find(log: &LogStore, query: &Query) -> Vec<String> {
    texts(&mut log.search(query).unwrap())
}

/// One page, and where the next begins.
fn page(log: &LogStore, query: &Query) -> (Vec<String>, Option<Resume>) {
    let mut search = log.search(query).unwrap();
    (texts(&mut search), search.resume().unwrap())
}

/// The code of the error that there has to be.
fn code<T>(result: Result<T>) -> &'static str {
    result.err().expect("an error").code()
}

fn named(name: &str) -> Source {
    Source::named(name).unwrap()
}
