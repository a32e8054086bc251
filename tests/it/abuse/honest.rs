//! The honest client beside an attack: what it is answered, how long each answer took, and what that may be.

use super::*;
use std::sync::{Condvar, Mutex};

/// The longest that an honest client may ever wait for an answer.
const ANSWER_MAX: Duration = Duration::from_secs(20);

/// Answers that the quiet and each attack are measured by, at least: enough to have a 99th percentile.
pub(super) const ANSWERS_MIN: usize = 300;

/// The 99th percentile beside an attack is so many times that of the quiet before it at most ...
const FACTOR: u32 = if cfg!(debug_assertions) { 20 } else { 10 };

/// ... or this, where that is more: a machine of two cores has other things to do, all other tests among them.
const FLOOR: Duration = Duration::from_millis(if cfg!(debug_assertions) { 1_000 } else { 100 });

/// How many answers the honest clients of a relay have had.
#[derive(Default)]
pub(super) struct Progress {
    answers: Mutex<usize>,
    more: Condvar,
    over: AtomicBool,
}

impl Progress {
    pub(super) fn answers(&self) -> usize {
        *self.answers.lock().unwrap()
    }

    fn add(&self) {
        *self.answers.lock().unwrap() += 1;
        self.more.notify_all();
    }

    /// Waits for so many more answers.
    pub(super) fn wait(&self, count: usize) {
        let answers = self.answers.lock().unwrap();
        let all = *answers + count;
        let waits = |answers: &mut usize| *answers < all;
        let (_unlocked, waited) =
            self.more.wait_timeout_while(answers, 4 * crate::clients::DEADLINE, waits).unwrap();
        assert!(!waited.timed_out(), "the honest client is not served");
    }

    /// For who comes next.
    pub(super) fn begin(&self) {
        self.over.store(false, SeqCst);
    }
}

/// Ends the honest client's rounds, also if the attack panics.
pub(super) struct Over<'a>(pub(super) &'a Progress);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.over.store(true, SeqCst);
    }
}

/// How long answers took, in order.
pub(super) struct Answers(Vec<Duration>);

impl Answers {
    /// The least that so large a share of them does not exceed.
    pub(super) fn at(&self, share: f64) -> Duration {
        let rank = (self.0.len() as f64 * share).ceil() as usize;
        self.0[rank.saturating_sub(1)]
    }

    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    /// The row of the table, but for its end; asserts what is stated of others.
    pub(super) fn held_to(&self, quiet: &Answers, name: &str) -> String {
        let (p99, worst) = (self.at(0.99), self.at(1.0));
        let before = quiet.at(0.99);
        let ms = |time: Duration| format!("{:.1}", time.as_secs_f64() * 1e3);
        let times = p99.as_secs_f64() / before.as_secs_f64();
        let figures = [before, self.at(0.5), p99, worst].map(ms).join(" | ");
        let most = (before * FACTOR).max(FLOOR);
        assert!(p99 <= most, "{name}: of answers 1 % took over {p99:?}, which may be {most:?}");
        assert!(worst < ANSWER_MAX, "{name}: an honest client waited for {worst:?}");
        format!("| {name} | {} | {figures} | {times:.1} |", self.count())
    }
}

/// Publishes, hears it live, asks for it, until it is over; how long each answer took that was asked for before.
pub(super) fn rounds(url: &str, progress: &Progress) -> Answers {
    let (mut client, mut listener) = (Socket::connect(url), Socket::connect(url));
    let author = const_hex(signer(1).pubkey());
    listener
        .send(format!("[\"REQ\",\"live\",{{\"authors\":[\"{author}\"],\"limit\":0}}]"))
        .unwrap();
    assert_eq!(listener.next().unwrap()[0], "EOSE");
    let mut took = Vec::new();
    let mut answered = |begun: &Watch| {
        took.push(begun.elapsed());
        progress.add();
    };
    while !progress.over.load(SeqCst) {
        // No two are the same.
        let event = note(1, now(), &progress.answers().to_string());
        let id = const_hex(event.id());
        let begun = Watch::begin();
        client.publish(&event).unwrap();
        assert_eq!(client.next().unwrap(), json!(["OK", id, true, ""]));
        answered(&begun);
        assert_eq!(listener.next().unwrap()[2]["id"], id);
        answered(&begun);
        if progress.over.load(SeqCst) {
            break;
        }
        let begun = Watch::begin();
        let found = client.query(&json!({ "ids": [id] }));
        answered(&begun);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0]["content"], event.content().to_string());
    }
    took.sort();
    Answers(took)
}
