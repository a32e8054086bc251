//! Crash states of a real ext4 under this binary's writers (promises 1 and 2 of docs/guarantees.md), made by
//! `tests/blkrec`, a program of its own: `.ci/run` builds it where it can be used, and without it the tests are left out.
//!
//! `RATITE_CUTS` says how many states, `RATITE_SEED` which.

use super::mount::skipped;
use crate::replay;
use std::path::Path;
use std::process::Command;

/// Records a run of writers of this kind, and compares so many of its crash states.
fn compare(test: &str, kind: &str, states: u64) {
    let blkrec = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/blkrec/target/debug/blkrec");
    if !blkrec.exists() {
        return skipped(test, "tests/blkrec is not built; .ci/run does that");
    }
    let states = replay::number("RATITE_CUTS").unwrap_or(states).to_string();
    let seed = replay::number("RATITE_SEED").unwrap_or(1).to_string();
    let ran = Command::new(blkrec)
        .arg(std::env::current_exe().unwrap())
        .args([kind, "crash", &states, "always", &seed])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stdout);
    eprint!("{said}");
    assert!(ran.status.success(), "{said}{}", String::from_utf8_lossy(&ran.stderr));
    match said.trim_start().strip_prefix("SKIPPED") {
        Some(why) => skipped(test, why),
        None => assert!(said.contains(&format!("{states} crash states of ext4, 0 with")), "{said}"),
    }
}

#[test]
fn crash_states_of_a_real_ext4_keep_every_answered_event() {
    compare("crash_states_of_a_real_ext4_keep_every_answered_event", "events", 120);
}

#[cfg(feature = "logs")]
#[test]
fn crash_states_of_a_real_ext4_keep_every_answered_record() {
    compare("crash_states_of_a_real_ext4_keep_every_answered_record", "records", 80);
}
