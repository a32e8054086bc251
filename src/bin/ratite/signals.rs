//! SIGINT and SIGTERM: the first asks the verb to stop, the second ends the process.
//!
//! The waiting is tokio's, on a thread of its own, since handlers are installed by unsafe calls.

use crate::failure::{Failure, Outcome};
use crossbeam::channel::{Receiver, Sender, bounded};
use ratite::io::threads::{self, Thread};
use std::io;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

/// 128 + SIGINT and 128 + SIGTERM, as a shell reports processes that these killed.
const STATUS_INTERRUPTED: i32 = 130;
const STATUS_TERMINATED: i32 = 143;

/// Signals are ours as long as this lives.
pub struct Signals {
    stop: Receiver<&'static str>,
    // Dropped before the thread, which it ends.
    _end: oneshot::Sender<()>,
    _thread: Thread<()>,
}

impl Signals {
    /// Takes the signals; returns when no later one can be missed.
    pub fn listen() -> Outcome<Signals> {
        let failed = |error| Failure::Sentence(format!("cannot listen for signals: {error}"));
        let (runtime, interrupt, terminate) = install().map_err(failed)?;
        let (stop_in, stop) = bounded(1);
        let (end_in, end) = oneshot::channel();
        let thread = threads::spawn("signals", move || {
            runtime.block_on(wait(interrupt, terminate, stop_in, end));
        });
        Ok(Signals { stop, _end: end_in, _thread: thread })
    }

    /// Gives the name of the first signal.
    pub fn stop(&self) -> &Receiver<&'static str> {
        &self.stop
    }
}

fn install() -> io::Result<(Runtime, Signal, Signal)> {
    let runtime = Builder::new_current_thread().enable_io().build()?;
    let entered = runtime.enter();
    let interrupt = signal(SignalKind::interrupt())?;
    let terminate = signal(SignalKind::terminate())?;
    drop(entered);
    Ok((runtime, interrupt, terminate))
}

async fn wait(
    mut interrupt: Signal,
    mut terminate: Signal,
    stop: Sender<&'static str>,
    mut end: oneshot::Receiver<()>,
) {
    let mut first = true;
    loop {
        let (name, status) = tokio::select! {
            _ = interrupt.recv() => ("SIGINT", STATUS_INTERRUPTED),
            _ = terminate.recv() => ("SIGTERM", STATUS_TERMINATED),
            _ = &mut end => return,
        };
        if !first {
            std::process::exit(status);
        }
        first = false;
        // The receiver lives as long as `end`'s sender, and there is room for one.
        let _sent = stop.send(name);
    }
}
