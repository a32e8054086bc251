//! `ratite import`: events from standard input into the store.
//!
//! ```text
//!   stdin --lines: read (1 thread)--> chunks --work: parse, check, insert (a thread a core)--> store
//!                                                |  thousands of inserts under way in each
//!                                                v
//!                                    tally <-- answers, in the order of the inserts
//! ```
//!
//! 1. Every line that is not blank is counted exactly once, as what became of it.
//! 2. Events of one author may be stored in another order than they came in. The rules make the
//!    outcome independent of it; only whether an old version counts as `older` or as one that was
//!    `replaced` depends on it.
//! 3. Workers together never hold all the tickets of a shard, or they would wait for each other.

mod lines;
mod tally;
mod work;

use crate::failure::{Failure, Outcome};
use crate::output::say;
use crate::progress::{Progress, TICK};
use crate::signals::Signals;
use crate::store::StoreArgs;
use crossbeam::channel::{Receiver, Sender, after, bounded, never, select};
use ratite::io::threads::{self, Thread};
use ratite::nostr::EventStore;
use std::convert::Infallible;
use std::fs::File;
use std::io::{self, IsTerminal, Seek};
use std::os::fd::AsFd;
use std::sync::Arc;
use tally::Tally;
use work::Worker;

/// Rejected lines that `--show-rejected` names if no number is given.
const SHOWN_DEFAULT: &str = "1000";

/// Options of `ratite import`.
#[derive(clap::Args, Debug)]
pub struct Args {
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
    verify: bool,
    tally: Tally,
    progress: Progress,
    /// Rejected lines to be shown.
    show: u64,
}

/// A channel that carries nothing: all who hold the receiver see when the sender is dropped.
type Stop = Receiver<Infallible>;

pub fn run(args: &Args) -> Outcome<()> {
    let signals = Signals::listen()?;
    let options = args.store.options()?;
    // Of a copy each request is taken: its targets may come after it, or never.
    let store = args.store.open_copy(&options)?;
    if io::stdin().is_terminal() {
        say("reading events from the terminal, one a line; Ctrl-D ends");
    }
    let shared = Arc::new(Shared {
        store,
        verify: !args.no_verify,
        tally: Tally::default(),
        progress: Progress::of_bytes(input_bytes()),
        show: args.show_rejected,
    });
    let start = shared.now();
    let ended = pump(&shared, &signals, options.in_flight);
    shared.progress.clear();
    let closed = shared.store.close();
    let seconds = shared.now().saturating_sub(start) as f64 / 1e9;
    let whole = tell(&ended, &closed);
    shared.tally.say(shared.show, seconds);
    match whole && shared.tally.is_clean() {
        true => Ok(()),
        false => Err(Failure::Said),
    }
}

impl Shared {
    fn now(&self) -> u64 {
        self.store.engine().env().clock.monotonic_nanos()
    }
}

/// Says what went wrong as a whole; true if nothing did.
fn tell(ended: &Outcome<Ended>, closed: &ratite::base::Result<()>) -> bool {
    match ended {
        Ok(Ended::AtTheEnd) => {}
        Ok(Ended::Stopped(signal)) => say(format_args!("ratite: stopped by {signal}")),
        Err(Failure::Sentence(sentence) | Failure::Usage(sentence)) => {
            say(format_args!("ratite: {sentence}"))
        }
        Err(Failure::PipeClosed | Failure::Said) => {}
    }
    if let Err(error) = closed {
        say(format_args!("ratite: {error}"));
    }
    matches!(ended, Ok(Ended::AtTheEnd)) && closed.is_ok()
}

enum Ended {
    AtTheEnd,
    /// By the signal of this name.
    Stopped(&'static str),
}

/// Starts the threads and waits for their end, with at most `in_flight` inserts of one shard.
fn pump(shared: &Arc<Shared>, signals: &Signals, in_flight: usize) -> Outcome<Ended> {
    let worker_count = threads::cores();
    let under_way_max = (in_flight / 2 / worker_count).max(1); // 3.
    let (chunks_in, chunks) = bounded(2 * worker_count);
    let reader = threads::spawn("read-stdin", move || lines::read(io::stdin().lock(), &chunks_in));
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
        return Ok(stopped.map_or(Ended::AtTheEnd, Ended::Stopped));
    }
    reader.join()?.map_err(|e| Failure::input(&e))?;
    Ok(Ended::AtTheEnd)
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
                shared.progress.set(shared.tally.bytes(), shared.tally.lines());
            }
        }
    }
    drop(stop);
    (stopped, result)
}

/// How much there is to read, if standard input is a file.
fn input_bytes() -> Option<u64> {
    let mut file = File::from(io::stdin().as_fd().try_clone_to_owned().ok()?);
    let found = file.metadata().ok().filter(std::fs::Metadata::is_file)?;
    Some(found.len().saturating_sub(file.stream_position().ok()?))
}
