//! A process among others: the socket that a service manager hands over, and what it is told.
//!
//! ```text
//!   LISTEN_FDS      one socket that listens; it goes on doing so while one relay follows another
//!   NOTIFY_SOCKET   READY, RELOADING, STOPPING, and WATCHDOG while the process is alive
//! ```
//!
//! Without a service manager none of these is set, and nothing is done.

use crate::failure::{Failure, Outcome};
use crossbeam::channel::{Receiver, never, tick};
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

/// When the service manager wants a sign of life; never if it does not.
pub fn watchdog() -> Receiver<Instant> {
    // Twice as often as it has to be.
    sd_notify::watchdog_enabled().map_or_else(never, |longest| tick(longest / 2))
}

/// Tells that clients are served.
pub fn ready() {
    tell(&[NotifyState::Ready]);
}

/// Tells that the process is alive.
pub fn alive() {
    tell(&[NotifyState::Watchdog]);
}

/// Tells that no new clients are let in.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Does something that counts as a change of the configuration.
pub fn reloading<T>(change: impl FnOnce() -> T) -> T {
    if let Ok(now) = NotifyState::monotonic_usec_now() {
        tell(&[NotifyState::Reloading, now]);
    }
    let changed = change();
    ready();
    changed
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "the service manager is not told");
    }
}
