//! The simulator judged: each bug that is planted (`base::plant`) is found, or the simulator is not good enough.

use super::hunt;
#[cfg(feature = "nostr")]
use super::hunt_in;
use crate::base::plant::{self, Bug};

/// States within which each is to be found.
const STATES_MAX: u64 = 100_000;

/// `RATITE_BUG=AckBeforeSync` looks for that one only; `RATITE_STATES` says within how many states.
#[test]
fn every_planted_bug_is_found() {
    let only = std::env::var("RATITE_BUG").ok();
    let states = std::env::var("RATITE_STATES").ok().and_then(|states| states.parse().ok());
    let mut missed = Vec::new();
    println!("| bug | found after so many states | what was found |\n| --- | ---: | --- |");
    // Those need batches, rot, one chosen sync, syncs that fail often, a disk that lies, clients that are told too
    // much: `store::tests::many`, `store::tests::compaction`, `misplaced` and `relay::tests::secrecy` judge them.
    let elsewhere = [
        Bug::BatchInTwoBlocks,
        Bug::InputRemovedWhileNamed,
        Bug::ManifestNotSettled,
        Bug::FailedSyncRetried,
        Bug::ProofNotLookedAt,
        Bug::LogEndNotLookedAt,
        Bug::CountOfTheHidden,
        Bug::DuplicateToldToStrangers,
        Bug::DeletionRefusedByTheHidden,
    ];
    let is_left_out = |bug: &Bug| {
        let is_there = cfg!(feature = "nostr") || *bug != Bug::RequestBeforeWraps;
        !is_there || elsewhere.contains(bug) && only.is_none()
    };
    for bug in Bug::ALL.into_iter().filter(|bug| !is_left_out(bug)) {
        if only.as_ref().is_some_and(|only| *only != format!("{bug:?}")) {
            continue;
        }
        let most = states.unwrap_or(STATES_MAX);
        let found = plant::with(bug, || match bug {
            #[cfg(feature = "nostr")]
            Bug::RequestBeforeWraps => hunt_in::<super::nostr::Nostr>(0..1 << 40, most),
            _ => hunt(0..1 << 40, most),
        });
        match found {
            Err(failure) => {
                let what: String = failure.what.chars().take(90).collect();
                println!("| {bug:?} | {} | {what} |", failure.stats.states);
            }
            Ok(stats) => {
                println!("| {bug:?} | not in {} | {} seeds |", stats.states, stats.seeds);
                missed.push(bug);
            }
        }
    }
    assert_eq!(missed, []);
}
