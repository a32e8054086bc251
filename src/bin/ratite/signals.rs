//! SIGINT and SIGTERM: the first asks the verb to stop, the second ends the process. SIGHUP, for a verb that
//! wants it, says that the configuration has changed.
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
    changed: Receiver<()>,
    // Dropped before the thread, which it ends.
    _end: oneshot::Sender<()>,
    _thread: Thread<()>,
}

impl Signals {
    /// Takes the signals; returns when no later one can be missed.
    pub fn listen() -> Outcome<Signals> {
        Signals::of(false)
    }

    /// The same, and SIGHUP, which otherwise ends a process.
    pub fn listen_for_changes() -> Outcome<Signals> {
        Signals::of(true)
    }

    fn of(with_changes: bool) -> Outcome<Signals> {
        let failed = |error| Failure::Sentence(format!("cannot listen for signals: {error}"));
        let (runtime, installed) = install(with_changes).map_err(failed)?;
        let (stop_in, stop) = bounded(1);
        let (changed_in, changed) = bounded(1);
        let (end_in, end) = oneshot::channel();
        let thread = threads::spawn("signals", move || {
            runtime.block_on(wait(installed, stop_in, changed_in, end));
        });
        Ok(Signals { stop, changed, _end: end_in, _thread: thread })
    }

    /// Says that the configuration has changed; once for several signals in a row.
    pub fn changed(&self) -> &Receiver<()> {
        &self.changed
    }

    /// Gives the name of the first signal.
    pub fn stop(&self) -> &Receiver<&'static str> {
        &self.stop
    }
}

struct Installed {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Option<Signal>,
}

fn install(with_changes: bool) -> io::Result<(Runtime, Installed)> {
    let runtime = Builder::new_current_thread().enable_io().build()?;
    let entered = runtime.enter();
    let interrupt = signal(SignalKind::interrupt())?;
    let terminate = signal(SignalKind::terminate())?;
    let hang_up = with_changes.then(|| signal(SignalKind::hangup())).transpose()?;
    drop(entered);
    Ok((runtime, Installed { interrupt, terminate, hang_up }))
}

async fn hung_up(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}

async fn wait(
    mut installed: Installed,
    stop: Sender<&'static str>,
    changed: Sender<()>,
    mut end: oneshot::Receiver<()>,
) {
    let mut first = true;
    loop {
        let (name, status) = tokio::select! {
            _ = installed.interrupt.recv() => ("SIGINT", STATUS_INTERRUPTED),
            _ = installed.terminate.recv() => ("SIGTERM", STATUS_TERMINATED),
            () = hung_up(&mut installed.hang_up) => {
                // One that waits stands for this one too.
                let _waits = changed.try_send(());
                continue;
            }
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
