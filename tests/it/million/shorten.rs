//! Takes away from a history that fails as much as can be, and prints what is left.

use super::Op;
use super::machine::Machine;
use crate::naive::{Ask, Ev};
use ratite::io::{Clock, SystemClock};
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Arc;

/// Seconds until it is good enough.
const SECONDS: u64 = 60;

/// Lines that are printed.
pub const LINES: usize = 80;

/// Whether it still fails, from empty.
fn fails(seed: u64, history: &[Op]) -> bool {
    let run = || {
        let mut machine = Machine::new(seed);
        history.iter().for_each(|op| machine.apply(op));
    };
    catch_unwind(AssertUnwindSafe(run)).is_err()
}

/// Half of it, a quarter, and so on: whatever can be left out is.
pub fn shorten<T: Clone>(history: &mut Vec<T>, fails: impl Fn(&[T]) -> bool) {
    let clock = SystemClock::new();
    let end = clock.monotonic_nanos() + SECONDS * 1_000_000_000;
    let mut chunk = history.len().div_ceil(2);
    while chunk > 0 {
        let mut at = 0;
        while at < history.len() && clock.monotonic_nanos() < end {
            let mut less = history.clone();
            less.drain(at..(at + chunk).min(history.len()));
            match fails(&less) {
                true => *history = less,
                false => at += chunk,
            }
        }
        chunk = if chunk == 1 { 0 } else { chunk.div_ceil(2) };
    }
}

/// Runs `f`, whose failures on this thread say nothing new.
pub fn quietly<T>(f: impl FnOnce() -> T) -> T {
    let (me, others) = (std::thread::current().id(), take_hook());
    set_hook(Box::new(move |info| {
        if std::thread::current().id() != me {
            others(info);
        }
    }));
    f()
}

/// Prints a shortened history of the failure of `test`.
pub(super) fn report(test: &str, seed: u64, history: &[Op]) {
    let mut atoms = atoms(history);
    quietly(|| shorten(&mut atoms, |atoms| fails(seed, &built(history, atoms))));
    let short = built(history, &atoms);
    eprintln!("{test}, seed {seed}: {} steps fail, shortened to {}:", history.len(), short.len());
    short.iter().rev().take(LINES).rev().for_each(|op| eprintln!("  {}", line(op)));
}

/// What can be left out: an operation, or an event of one.
fn atoms(history: &[Op]) -> Vec<(usize, usize)> {
    let of = |(at, op): (usize, &Op)| match op {
        Op::Insert { events, .. } | Op::Cut { events, .. } => {
            (0..events.len()).map(|i| (at, i)).collect()
        }
        _ => vec![(at, 0)],
    };
    history.iter().enumerate().flat_map(of).collect()
}

/// The operations of which something is left.
fn built(history: &[Op], atoms: &[(usize, usize)]) -> Vec<Op> {
    let build = |atoms: &[(usize, usize)]| {
        let mut op = history[atoms[0].0].clone();
        if let Op::Insert { events, .. } | Op::Cut { events, .. } = &mut op {
            *events = atoms.iter().map(|(_, i)| events[*i].clone()).collect();
        }
        op
    };
    atoms.chunk_by(|a, b| a.0 == b.0).map(build).collect()
}

/// An event, as far as a person can take it in.
fn event(ev: &Arc<Ev>) -> String {
    let tags: Vec<Vec<String>> =
        ev.tags.iter().map(|tag| tag.iter().map(|text| cut(text, 90)).collect()).collect();
    let (id, pubkey) = (&ev.id, cut(&ev.pubkey, 16));
    format!(
        "{id} kind {} of {pubkey} at {} {tags:?} {:?}",
        ev.kind,
        ev.created_at,
        cut(&ev.content, 40)
    )
}

fn line(op: &Op) -> String {
    let events = |events: &[Arc<Ev>]| {
        events.iter().map(|ev| "\n    ".to_string() + &event(ev)).collect::<String>()
    };
    let asks = |asks: &[Ask]| {
        cut(&asks.iter().map(|ask| ask.value().to_string()).collect::<Vec<_>>().join(" "), 600)
    };
    match op {
        Op::Insert { events: list, also } => format!("insert (other: {also}) {}", events(list)),
        Op::Ask { asks: list, seed } => format!("ask ({seed}) {}", asks(list)),
        Op::Search { asks: list, seed } => format!("search ({seed}) {}", asks(list)),
        Op::Get(ev) => format!("get {}", ev.id),
        Op::Items { asks: list, frame } => format!("items ({frame}) {}", asks(list)),
        Op::Registers(ask) => format!("registers {}", asks(std::slice::from_ref(ask))),
        Op::Clock(seconds) => format!("clock {seconds}"),
        Op::Sweep => "sweep".into(),
        Op::Flush => "flush".into(),
        Op::Compact => "compact".into(),
        Op::Reopen => "reopen".into(),
        Op::Cut { after, events: list, merges } => {
            format!("cut ({after}, merges: {merges}) {}", events(list))
        }
        Op::Reshard { shards, after } => format!("reshard {shards} (cut {after})"),
        Op::Restore => "restore".into(),
        Op::Everything => "everything".into(),
    }
}

/// The beginning of a text.
pub fn cut(text: &str, chars: usize) -> String {
    let mut out: String = text.chars().take(chars).collect();
    if out.len() < text.len() {
        out.push_str("...");
    }
    out
}

#[test]
fn a_history_is_shortened_to_what_fails() {
    let mut history: Vec<u32> = (0..300).collect();
    shorten(&mut history, |left| [7, 150, 151, 299].iter().all(|n| left.contains(n)));
    assert_eq!(history, [7, 150, 151, 299]);
}
