//! Chains of crashes: a store that was recovered goes on for some steps, is cut off, recovered, goes on ...
//!
//! ```text
//!   crash --> recovery --> some steps --crash--> recovery --> some steps --crash--> recovery
//!             of what a torn end, an old round of a log file, a half-done merge has left
//! ```
//!
//! What recovery leaves is not only to be shown: it is what the store writes on. An end of the log that is not really one,
//! a file that should have been removed, a manifest that counts and is not durable harm nobody before the next crash.
//!
//! C1. The run is as it was before, when a chain has ended: what it draws next does not depend on how many there were.

use super::crash::{Cut, Within, kill, state, ways};
use super::history::Expect;
use super::run::{At, Flow, Run};
use super::subject::Subject;
use crate::io::{ManualClock, Rng, SimDisk};
use std::mem::replace;
use std::sync::Arc;

/// One recovered state in so many goes on.
pub const ONE_IN: u32 = 6;
/// Steps that it goes on for: enough for a flush now and then.
const STEPS: u64 = 5;
/// Crashes of it: what led to it is done once.
const CRASHES: u64 = 4;

/// A machine on which a store was recovered.
pub struct Link {
    pub disk: Arc<SimDisk>,
    pub clock: Arc<ManualClock>,
    pub seed: u64,
    /// Crashes before.
    pub depth: usize,
}

/// Goes on with `open`, which shows the versions `at` of what was expected; it is cut off at some of its moments.
///
/// # Errors
/// What does not hold.
pub fn go_on<S: Subject>(
    run: &mut Run<S>,
    open: S::Open,
    link: Link,
    expect: &Expect,
    at: &[usize],
) -> Result<(), String> {
    let Link { disk, clock, seed, depth } = link;
    let (histories, marks, rows) = (run.histories.len(), run.marks.len(), run.rows.clone());
    let (place, subject) = (run.at.len(), run.subject.clone());
    let was_on = replace(&mut run.disk, disk.clone());
    let was_at = replace(&mut run.clock, clock);
    let drawn = replace(&mut run.rng, Rng::new(seed));
    disk.record(0, u64::MAX);
    run.begin_history(expect, at);
    steps(run, &open)?;
    let (mut moments, _) = disk.recorded();
    let mut last = disk.moment();
    last.set_mark(run.marks.len() as u64 - 1);
    moments.push(last);
    kill::<S>(&disk, open);
    let mut rng = Rng::new(!seed);
    for _ in 0..1 + rng.below(CRASHES) {
        let moment = &moments[rng.below(moments.len() as u64) as usize];
        let (ways, expect) = (ways(moment), run.marks[moment.mark() as usize].clone());
        let (bytes, names) = ways[rng.below(ways.len() as u64) as usize];
        let seed = rng.next_u64();
        run.at.truncate(place);
        run.at.push(At::WentOn((bytes, names)));
        let disk = moment.crash(seed, bytes, names);
        state(run, Cut { disk, within: Within::Chain, seed, depth: depth + 1 }, &expect)?;
    }
    // C1
    run.histories.truncate(histories);
    run.marks.truncate(marks);
    run.at.truncate(place);
    (run.rows, run.subject) = (rows, subject);
    (run.disk, run.clock, run.rng) = (was_on, was_at, drawn);
    Ok(())
}

/// Some steps of a run, with a mishap in the last ones now and then.
fn steps<S: Subject>(run: &mut Run<S>, open: &S::Open) -> Result<(), String> {
    let place = run.at.len();
    let steps = 1 + run.rng.below(STEPS);
    let mishap = if run.rng.chance(6) { run.rng.below(steps) } else { steps };
    for step in 0..steps {
        run.at.truncate(place);
        run.at.push(At::GoesOn(step));
        if step == mishap {
            run.begin_mishap();
        }
        match run.step(open)? {
            Flow::On => {}
            Flow::Over(_) if mishap <= step => break,
            Flow::Over(why) => return Err(format!("nothing had failed, and yet: {why}")),
        }
    }
    run.count(open);
    run.end_mishap();
    Ok(())
}
