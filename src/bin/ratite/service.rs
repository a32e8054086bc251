//! A process among others: the socket that a service manager hands over, and what it is told.
//!
//! ```text
//!   LISTEN_FDS      one socket that listens; it goes on doing so while one relay follows another
//!   NOTIFY_SOCKET   READY, RELOADING, STOPPING, and WATCHDOG while the process is alive
//! ```
//!
//! Without a service manager none of these is set, and nothing is done.

use crate::failure::{Failure, Outcome};
use crate::output::{print, say};
use crate::signals::Signals;
use crossbeam::channel::{Receiver, never, select, tick};
use listenfd::ListenFd;
use sd_notify::NotifyState;
use std::net::TcpListener;
use std::time::Instant;

/// The socket that was handed over, if one was.
pub fn listener() -> Outcome<Option<TcpListener>> {
    let mut handed = ListenFd::from_env();
    if handed.len() > 1 {
        let count = handed.len();
        return Err(Failure::Sentence(format!("{count} sockets were handed over, and not one")));
    }
    let wrong = |error| Failure::Sentence(format!("the socket that was handed over: {error}"));
    handed.take_tcp_listener(0).map_err(wrong)
}

/// Waits until a signal ends what serves. `line` says on standard output that it serves, `last` what it does before it
/// ends, and `changed` is called when the configuration has changed.
pub fn until_signal(line: Option<&str>, signals: &Signals, last: &str, mut changed: impl FnMut()) {
    if let Some(Err(Failure::Sentence(sentence))) = line.map(print) {
        // The line is for scripts; clients can do without.
        say(format_args!("ratite: {sentence}"));
    }
    ready();
    let watchdog = watchdog();
    let signal = loop {
        select! {
            recv(signals.stop()) -> name => break name.unwrap_or("the end of the signal thread"),
            recv(signals.changed()) -> _ => reloading(&mut changed),
            recv(watchdog) -> _ => tell(&[NotifyState::Watchdog]),
        }
    };
    // No new clients are let in.
    tell(&[NotifyState::Stopping]);
    say(format_args!("{signal}: {last}; once more ends at once"));
}

/// When the service manager wants a sign of life; never if it does not.
fn watchdog() -> Receiver<Instant> {
    // Twice as often as it has to be.
    sd_notify::watchdog_enabled().map_or_else(never, |longest| tick(longest / 2))
}

/// Tells that clients are served.
fn ready() {
    tell(&[NotifyState::Ready]);
}

/// Does something that counts as a change of the configuration.
fn reloading(change: impl FnOnce()) {
    if let Ok(now) = NotifyState::monotonic_usec_now() {
        tell(&[NotifyState::Reloading, now]);
    }
    change();
    ready();
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "the service manager is not told");
    }
}
