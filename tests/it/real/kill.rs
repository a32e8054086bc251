//! kill -9 of a writer, again and again: what was answered is there when the store is opened again, in each sync mode
//! (promises 1 and 2 of docs/guarantees.md).
//!
//! `RATITE_KILLS` says how many kills there are in a row, `RATITE_KILL_SYNC` in which sync mode; without it the modes
//! take turns.

use super::events::Events;
#[cfg(feature = "logs")]
use super::records::Records;
use super::{Kind, SYNC_MODES, Said, Writer, reopened, said_to};
use crate::replay;
use ratite::io::Rng;

/// Kills of one store. The next begins with an empty one: each kill compares all that is there.
const STORE_KILLS: u64 = 100;

/// Kills writers after at most `acks_max` answers each.
fn kill_repeatedly<K: Kind>(kills: u64, acks_max: u64, large: bool) {
    let kills = replay::number("RATITE_KILLS").unwrap_or(kills);
    let only = said_to("KILL_SYNC");
    let modes: Vec<_> = SYNC_MODES
        .into_iter()
        .filter(|(name, _)| only.as_ref().is_none_or(|o| o == name))
        .collect();
    let mut rng = Rng::new(kills);
    let (mut dir, mut told, mut next) = (tempfile::tempdir().unwrap(), K::Told::default(), 0);
    let (mut acked, mut found, mut flushed) = (0, 0, 0);
    for kill in 0..kills {
        if kill > 0 && kill.is_multiple_of(STORE_KILLS) {
            (dir, told, next) = (tempfile::tempdir().unwrap(), K::Told::default(), 0);
        }
        let (_, sync) = modes[kill as usize % modes.len()];
        let mut writer = Writer::start::<K>(dir.path(), sync, large, next);
        let (acks, mut seen) = (1 + rng.below(acks_max), 0);
        while let Some(said) = writer.next() {
            let Said::Ack(ack) = said else { panic!("{said:?}") };
            K::tell(&mut told, &ack);
            seen += 1;
            if seen == acks {
                writer.kill();
            }
        }
        assert!(seen >= acks, "the writer ended by itself after {seen} answers");
        drop(writer);
        let (checked, segments) = reopened::<K>(dir.path(), sync, large, &told);
        next = checked.next;
        acked += seen;
        flushed += u64::from(segments > 0);
        if (kill + 1).is_multiple_of(STORE_KILLS) || kill + 1 == kills {
            found += checked.found;
        }
    }
    let modes: Vec<_> = modes.iter().map(|(name, _)| *name).collect();
    eprintln!(
        "{kills} kills of writers of {}, sync {}: {acked} answers, none lost; {found} records at the ends, \
         {flushed} stores with segments",
        K::NAME,
        modes.join(", ")
    );
    assert!(flushed > 0, "the kills never met a flush");
}

#[test]
fn kill_9_loses_nothing_that_was_acknowledged() {
    kill_repeatedly::<Events>(120, 400, false);
}

/// Some minutes: `cargo test --release --test it kill_9_during -- --ignored`.
#[test]
#[ignore = "takes minutes; the short one runs always"]
fn kill_9_during_a_million_writes() {
    kill_repeatedly::<Events>(51, 40_000, true);
}

#[cfg(feature = "logs")]
#[test]
fn kill_9_loses_no_acknowledged_record() {
    kill_repeatedly::<Records>(80, 1_500, false);
}

#[cfg(feature = "logs")]
#[test]
#[ignore = "takes minutes; the short one runs always"]
fn kill_9_loses_no_acknowledged_record_of_a_million() {
    kill_repeatedly::<Records>(51, 40_000, false);
}
