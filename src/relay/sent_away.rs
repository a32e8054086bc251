//! Who was turned away or dropped, or sent what was refused, and why: counted for everyone, said to the log without
//! letting anyone flood it.
//!
//! ```text
//!   warn   which reason, how often so far              at the 1st, 2nd, 4th, 8th ... time
//!   debug  which reason, from where, how many times    the first time at once, what follows after QUIET_NANOS;
//!                                                      LINES_MAX a second, and how many times were left out
//! ```
//!
//! Addresses are personal data, so they are said at `debug` only.
//!
//! I1. What is logged is the relay's own words and an address, never what a client sent.
//! I2. A thread says a reason of a client (an IPv4 address or IPv6 /64 network) once in [`QUIET_NANOS`] at most, and
//!     remembers [`TOLD_MAX`] of those that it has said.
//! I3. Each time is in one line: its own, a later one of its client and reason, or among those that a line left out.

use super::policy::Network;
use super::stats::Counter;
use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::sleep;
use tracing::Level;

/// Lines with addresses of one thread in one second: a few MB an hour if it never ends.
const LINES_MAX: u32 = 10;

const SECOND_NANOS: u64 = 1_000_000_000;

/// How long a client and a reason that the log was told are counted before it is told of them again.
const QUIET_NANOS: u64 = 10 * SECOND_NANOS;

/// Clients and reasons that one thread remembers, in some 30 KiB: more than it says in [`QUIET_NANOS`].
const TOLD_MAX: usize = 256;

const _: () = assert!(TOLD_MAX as u64 > LINES_MAX as u64 * QUIET_NANOS / SECOND_NANOS);

/// How often it is looked whose time is over, while there is anyone.
const LOOK: Duration = Duration::from_secs(1);

/// What one thread has told the log lately.
#[derive(Default)]
pub(super) struct SentAway {
    /// When the second began that `lines` are counted in.
    since_nanos: Cell<u64>,
    lines: Cell<u32>,
    left_out: Cell<u64>,
    told: RefCell<Vec<Told>>,
    /// That something was told.
    any: Notify,
}

/// A client and a reason that the log was told.
struct Told {
    client: Network,
    why: Box<str>,
    at_nanos: u64,
    /// Where it came from the last time.
    from: IpAddr,
    /// Times since.
    more: u64,
}

/// A line of the log.
#[derive(Debug, PartialEq)]
struct Line {
    from: IpAddr,
    times: u64,
    left_out: u64,
}

impl Line {
    fn say(&self, why: &str) {
        let Line { from, times, left_out } = self;
        tracing::debug!(%from, why, times, left_out, "a client was sent away, or a message of it");
    }
}

impl SentAway {
    /// Counts a client that was sent away, or a message of it, and says so to the log. `now` in nanoseconds of the
    /// monotonic clock. Costs a search among what was told lately if the log takes `debug`.
    pub(super) fn note(&self, counter: &Counter, now: u64, from: IpAddr, why: &str) {
        let why = why.trim_end();
        if counter.add_and_tell() {
            let so_far = counter.get();
            tracing::warn!(why, so_far, "clients are sent away; from where, the log says at debug");
        }
        if tracing::enabled!(Level::DEBUG)
            && let Some(line) = self.line(now, from, why)
        {
            line.say(why);
        }
    }

    /// Tells the log what came behind its lines, for ever. `now` in nanoseconds of the monotonic clock.
    pub(super) async fn tell(&self, now: impl Fn() -> u64) {
        loop {
            self.any.notified().await;
            while !self.told.borrow().is_empty() {
                sleep(LOOK).await;
                self.settle(now(), |told, line| line.say(&told.why));
            }
        }
    }

    /// Tells the log everything that it has not been told, at the end.
    pub(super) fn tell_all(&self) {
        for told in self.told.take().into_iter().filter(|told| told.more > 0) {
            Line { from: told.from, times: told.more, left_out: self.left_out.take() }
                .say(&told.why);
        }
        if let left_out @ 1.. = self.left_out.take() {
            tracing::debug!(left_out, "clients were sent away, too many at once to say who");
        }
    }

    /// The line of a client that was sent away now, unless it is counted for a later one (I2).
    fn line(&self, now: u64, from: IpAddr, why: &str) -> Option<Line> {
        let client = Network::of_client(from);
        let mut told = self.told.borrow_mut();
        if let Some(told) = told.iter_mut().find(|told| told.client == client && *told.why == *why)
        {
            (told.from, told.more) = (from, told.more + 1);
            return None;
        }
        if told.len() == TOLD_MAX || !self.admit(now) {
            self.left_out.set(self.left_out.get() + 1);
            return None;
        }
        told.push(Told { client, why: why.into(), at_nanos: now, from, more: 0 });
        self.any.notify_one();
        Some(Line { from, times: 1, left_out: self.left_out.take() })
    }

    /// Says what of those is to be said who have been quiet about for long enough; forgets who did nothing since.
    fn settle(&self, now: u64, mut say: impl FnMut(&Told, Line)) {
        self.told.borrow_mut().retain_mut(|told| {
            if now.saturating_sub(told.at_nanos) < QUIET_NANOS {
                return true;
            }
            if told.more > 0 && self.admit(now) {
                let left_out = self.left_out.take();
                let line =
                    Line { from: told.from, times: std::mem::take(&mut told.more), left_out };
                say(told, line);
                told.at_nanos = now;
                return true;
            }
            // Whose line was not admitted waits for the next.
            told.more > 0
        });
    }

    /// Whether a line may be logged now.
    fn admit(&self, now: u64) -> bool {
        if now.saturating_sub(self.since_nanos.get()) >= SECOND_NANOS {
            self.since_nanos.set(now);
            self.lines.set(0);
        }
        let lines = self.lines.get();
        self.lines.set(lines.saturating_add(1));
        lines < LINES_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every line of a settling, with its reason.
    fn settled(sent: &SentAway, now: u64) -> Vec<(String, Line)> {
        let mut lines = Vec::new();
        sent.settle(now, |told, line| lines.push((told.why.to_string(), line)));
        lines
    }

    fn address(n: u32) -> IpAddr {
        IpAddr::from((0xc000_0200 + n).to_be_bytes())
    }

    #[test]
    fn a_flood_of_one_is_a_line_at_once_and_one_in_ten_seconds() {
        let (sent, from) = (SentAway::default(), address(1));
        let lines = |now| (0..1_000).filter_map(|_| sent.line(now, from, "x")).collect::<Vec<_>>();
        assert_eq!(lines(5), [Line { from, times: 1, left_out: 0 }]);
        assert_eq!(sent.line(6, from, "y"), Some(Line { from, times: 1, left_out: 0 }));
        assert_eq!((lines(SECOND_NANOS).len(), settled(&sent, QUIET_NANOS).len()), (0, 0));
        let more = Line { from, times: 1_999, left_out: 0 };
        // Of `y` nothing came, so it is forgotten.
        assert_eq!(settled(&sent, 7 + QUIET_NANOS), [("x".into(), more)]);
        assert!(settled(&sent, 8 + QUIET_NANOS).is_empty() && sent.told.borrow().len() == 1);
        assert!(settled(&sent, 7 + 2 * QUIET_NANOS).is_empty() && sent.told.borrow().is_empty());
        assert_eq!(lines(8 + 2 * QUIET_NANOS), [Line { from, times: 1, left_out: 0 }]);
    }

    #[test]
    fn a_client_is_a_network_and_its_line_names_who_came_last() {
        let sent = SentAway::default();
        let [first, last] = ["2001:db8::1", "2001:db8::2"].map(|from| from.parse().unwrap());
        assert!(sent.line(0, first, "x").is_some() && sent.line(0, last, "x").is_none());
        let line = Line { from: last, times: 1, left_out: 0 };
        assert_eq!(settled(&sent, QUIET_NANOS), [("x".into(), line)]);
    }

    #[test]
    fn a_flood_of_many_is_a_few_lines_a_second_and_no_time_is_forgotten() {
        let (sent, mut said, mut lines) = (SentAway::default(), 0, 0);
        let mut count = |line: &Line| {
            (said, lines) = (said + line.times + line.left_out, lines + 1);
        };
        // Four clients more each tenth of a second, thrice each, for a minute.
        let (mut noted, ticks) = (0, 600);
        for tick in 0..ticks {
            let now = tick * SECOND_NANOS / 10;
            for n in 0..12 {
                let from = address(tick as u32 * 4 + n % 4);
                sent.line(now, from, "x").iter().for_each(&mut count);
                noted += 1;
            }
            if tick % 10 == 0 {
                settled(&sent, now).iter().for_each(|(_, line)| count(line));
            }
            assert!(sent.told.borrow().len() <= TOLD_MAX);
        }
        let rest: u64 = sent.told.borrow().iter().map(|told| told.more).sum();
        assert_eq!(said + rest + sent.left_out.get(), noted);
        assert_eq!(lines, 10 * 60, "every line that there may be");
        sent.tell_all();
        assert_eq!((sent.left_out.get(), sent.told.borrow().len()), (0, 0));
    }

    #[test]
    fn who_comes_when_the_memory_is_full_is_left_out() {
        let sent = SentAway::default();
        for n in 0..TOLD_MAX as u32 {
            let now = u64::from(n) * SECOND_NANOS / 10;
            let lines = [(); 2].map(|()| sent.line(now, address(n), "x"));
            assert!(lines[0].is_some() && lines[1].is_none());
        }
        assert_eq!(sent.line(100 * SECOND_NANOS, address(999), "x"), None);
        // Ten of them a second are said.
        assert_eq!(settled(&sent, 200 * SECOND_NANOS).len(), 10);
        assert_eq!(settled(&sent, 201 * SECOND_NANOS)[0].1.left_out, 0);
    }
}
