//! `ratite import`: events from files or standard input into the store.
//!
//! ```text
//!   inputs --lines: read (1 thread)--> chunks --work: parse, check, insert (a thread a core)--> store
//!     (gzip, zstd)                               |  thousands of inserts under way in each
//!                                                v
//!                           tally, refused <-- answers, in the order of the inserts
//! ```
//!
//! 1. Every line that is not blank is counted exactly once, as what became of it.
//! 2. Events of one author may be stored in another order than they came in. The rules make the
//!    outcome independent of it; only whether an old version counts as `older` or as one that was
//!    `replaced` depends on it.
//! 3. Workers together never hold all the tickets of a shard, or they would wait for each other.
//! 4. There is no state of an import but the store itself, so an import is resumed by running it again.

pub mod inputs;
pub mod lines;
mod refused;
mod tally;
mod work;

use crate::failure::{Failure, Outcome, tell};
use crate::output::say;
use crate::progress::{Progress, TICK};
use crate::signals::Signals;
use crate::store::StoreArgs;
use crossbeam::channel::{Receiver, Sender, after, bounded, never, select};
use inputs::Inputs;
use ratite::io::threads::{self, Thread};
use ratite::nostr::{EventStore, JsonLimits};
use refused::Refused;
use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;
use tally::Tally;
use work::Worker;

/// Rejected lines that `--show-rejected` names if no number is given.
const SHOWN_DEFAULT: &str = "1000";

/// Bytes of the longest line that is not skipped, line feed included.
const LINE_BYTES_MAX: usize = JsonLimits::WIDEST.json_bytes + 2;

/// Options of `ratite import`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Files of JSONL, packed with gzip or zstd or not; `-` or none is standard input
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,

    /// Check no signature again of what an earlier import has stored
    #[arg(long, conflicts_with = "no_verify")]
    resume: bool,

    /// Write the lines that are refused to FILE, with the reason, one JSON object a line
    #[arg(long, value_name = "FILE")]
    refused: Option<PathBuf>,

    /// Trust ids and signatures instead of checking them
    #[arg(long)]
    no_verify: bool,

    /// Name the first N lines that are not stored, with the reason [default N: 1000]
    #[arg(long, value_name = "N", num_args = 0..=1, require_equals = true,
        default_value = "0", default_missing_value = SHOWN_DEFAULT, hide_default_value = true)]
    show_rejected: u64,

    #[command(flatten)]
    store: StoreArgs,
}

/// What the main thread and the workers share.
struct Shared {
    store: Arc<EventStore>,
    inputs: Inputs,
    verify: bool,
    resume: bool,
    tally: Tally,
    progress: Progress,
    refused: Option<Refused>,
    /// Rejected lines to be shown.
    show: u64,
}

/// Where a line stands.
#[derive(Clone, Copy)]
struct Place {
    /// The number of its input.
    input: usize,
    /// Its own, from 1.
    line: u64,
}

/// A channel that carries nothing: all who hold the receiver see when the sender is dropped.
type Stop = Receiver<Infallible>;

pub fn run(args: &Args) -> Outcome<()> {
    let signals = Signals::listen()?;
    let options = args.store.options()?;
    let inputs = Inputs::new(&args.files, LINE_BYTES_MAX)?;
    let refused = args.refused.as_deref().map(Refused::create).transpose()?;
    // Of a copy each request is taken: its targets may come after it, or never.
    let store = args.store.open_copy(&options)?;
    if inputs.is_typed() {
        say("reading events from the terminal, one a line; Ctrl-D ends");
    }
    let shared = Arc::new(Shared {
        store,
        progress: Progress::of_bytes(inputs.bytes()),
        inputs,
        verify: !args.no_verify,
        resume: args.resume,
        tally: Tally::default(),
        refused,
        show: args.show_rejected,
    });
    let start = shared.now();
    let ended = pump(&shared, &signals, options.in_flight);
    shared.progress.clear();
    let closed = shared.store.close();
    let seconds = shared.now().saturating_sub(start) as f64 / 1e9;
    let kept = shared.refused.as_ref().map_or(Ok(()), Refused::finish);
    let whole = tell(&ended, &kept, &closed);
    shared.tally.say(shared.show, seconds);
    match whole && shared.tally.refused() == 0 {
        true => Ok(()),
        false => Err(Failure::Said),
    }
}

impl Shared {
    fn now(&self) -> u64 {
        self.store.engine().env().clock.monotonic_nanos()
    }
}

/// Starts the threads and waits for their end, with at most `in_flight` inserts of one shard.
fn pump(
    shared: &Arc<Shared>,
    signals: &Signals,
    in_flight: usize,
) -> Outcome<Option<&'static str>> {
    let worker_count = threads::cores();
    let under_way_max = (in_flight / 2 / worker_count).max(1); // 3.
    let (chunks_in, chunks) = bounded(2 * worker_count);
    let reading = shared.clone();
    let reader = threads::spawn("import-read", move || reading.inputs.read(&chunks_in));
    let (stop_in, stop) = bounded(0);
    let (done_in, done) = bounded(worker_count);
    let start = |i| {
        let worker = Worker { shared: shared.clone(), under_way_max };
        let (chunks, stop, done) = (chunks.clone(), stop.clone(), done_in.clone());
        threads::spawn(format!("import-{i}"), move || {
            // Nobody listens if the verb is being given up.
            let _heard = done.send(worker.run(&chunks, &stop));
        })
    };
    let workers: Vec<Thread<()>> = (0..worker_count).map(start).collect();
    drop((chunks, stop, done_in));

    let (stopped, result) = watch(shared, signals, &done, stop_in);
    let joined = workers.into_iter().try_for_each(Thread::join);
    if stopped.is_some() || result.is_err() || joined.is_err() {
        // It may sit in a read that nothing ends but the end of the process.
        std::mem::forget(reader);
        result.and(joined)?;
        return Ok(stopped);
    }
    reader.join()??;
    Ok(None)
}

/// Waits until all workers are done; tells them to stop (by dropping `stop`) on a signal, whose name
/// it gives, and on the first failure.
fn watch(
    shared: &Shared,
    signals: &Signals,
    done: &Receiver<ratite::base::Result<()>>,
    stop: Sender<Infallible>,
) -> (Option<&'static str>, ratite::base::Result<()>) {
    let mut stop = Some(stop);
    let mut signal = signals.stop().clone();
    let (mut stopped, mut result) = (None, Ok(()));
    loop {
        let tick = after(TICK);
        select! {
            recv(signal) -> name => {
                stopped = name.ok();
                stop = stop.filter(|_| stopped.is_none());
                signal = never();
            }
            recv(done) -> worker => match worker {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    result = result.and(Err(error));
                    stop = None;
                }
                Err(_all_are) => break,
            },
            recv(tick) -> _ => {
                shared.progress.set(shared.inputs.bytes_read(), shared.tally.lines());
            }
        }
    }
    drop(stop);
    (stopped, result)
}
