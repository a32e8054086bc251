//! Crashes: each moment of a run, cut off in each way, opened and checked; some of them cut off once more.
//!
//! ```text
//!   moment --crash--> a disk --> recovery -----> what it shows -----> a few steps more (chain.rs)
//!                       ^           | cut off         | cut off          | cut off
//!                       +-----------+-----------------+------------------+      three times deep
//! ```

use super::chain;
use super::check::{check, files, reads};
use super::history::Expect;
use super::run::{At, Run};
use super::subject::Subject;
use crate::base::{Error, hash64};
use crate::io::sim::{Moment, Survivors};
use crate::io::{Env, Faults, ManualClock, Rng, SeededEntropy, SimDisk};
use std::sync::Arc;
use std::time::Duration;

/// Draws of partial survival at a moment with unsynced bytes.
const DRAWS: usize = 4;
/// Crashes at the moment of a recovery that is cut off: what led to it is done once.
const RECOVERY_CUTS: usize = 3;
/// Crashes after a crash, and so on.
const DEPTH_MAX: usize = 3;

/// One way to survive: of bytes, of names.
pub type Way = (Survivors, Survivors);

/// What a crash has cut off.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Within {
    /// The recorded run.
    Run,
    /// The recovery from a crash.
    Recovery,
    /// Nothing: recovery was over.
    Shown,
    /// What a recovered store went on to do.
    Chain,
}

/// What a crash has left.
pub struct Cut {
    pub disk: Arc<SimDisk>,
    pub within: Within,
    pub seed: u64,
    /// Crashes before this one.
    pub depth: usize,
}

/// What may survive at a moment: nothing, all, and draws of the parts.
pub fn ways(moment: &Moment) -> Vec<Way> {
    use Survivors::{All, None, Some};
    let mut ways = match (moment.has_unsynced_bytes(), moment.has_unsynced_names()) {
        (false, false) => vec![(None, None)],
        (true, false) => vec![(None, None), (All, None)],
        (false, true) => vec![(None, None), (None, All), (None, Some), (None, Some)],
        (true, true) => vec![(None, None), (None, All), (All, None), (All, All), (Some, All)],
    };
    if moment.has_unsynced_bytes() {
        ways.extend([(Some, Some); DRAWS]);
    }
    ways
}

/// Crashes at all `moments` of a run.
///
/// # Errors
/// What does not hold.
pub fn everywhere<S: Subject>(run: &mut Run<S>, moments: &[Moment]) -> Result<(), String> {
    for (nth, moment) in moments.iter().enumerate() {
        let expect = run.marks[moment.mark() as usize].clone();
        for (way, (bytes, names)) in ways(moment).into_iter().enumerate() {
            let seed = [run.seed, run.epoch, nth as u64, way as u64];
            let seed = hash64(seed.map(u64::to_le_bytes).as_flattened());
            run.at.clear();
            run.at.push(At::Moment(nth, moments.len(), (bytes, names)));
            let disk = moment.crash(seed, bytes, names);
            state(run, Cut { disk, within: Within::Run, seed, depth: 0 }, &expect)?;
            if run.stats.states >= run.states_max {
                return Ok(());
            }
        }
    }
    Ok(())
}

impl<S: Subject> Run<S> {
    fn counts(&mut self, within: Within) {
        self.stats.states += 1;
        match within {
            Within::Run => {}
            Within::Recovery => self.stats.in_recovery += 1,
            Within::Shown => self.stats.after_recovery += 1,
            Within::Chain => self.stats.in_chains += 1,
        }
    }

    /// Whether an image is to be opened: one that was met before is not, if what was found then is allowed now (S2).
    fn is_new(&mut self, disk: &SimDisk, expect: &Expect) -> bool {
        let Some(found) = self.seen.get(&disk.image_hash()) else { return true };
        self.stats.repeated += 1;
        let versions = self.histories[expect.history].iter().zip(&expect.ranges);
        let mut shards = found.iter().zip(versions);
        let is_allowed = shards.all(|(hash, (versions, range))| {
            versions[range.least..=range.most].iter().any(|version| version.hash == *hash)
        });
        // Opened again, it will say what is wrong.
        !is_allowed
    }
}

/// Opens the store while reads, writes or syncs fail by chance, or the disk is full: it opens, or says so and opens once
/// that is over.
///
/// # Errors
/// Another error than that of the disk; an error when nothing fails any more.
fn in_trouble<S: Subject>(
    run: &mut Run<S>,
    env: &Env,
    disk: &SimDisk,
    rng: &mut Rng,
) -> Result<S::Open, String> {
    let usual = disk.faults();
    let one_in = 1 + rng.below(12) as u32;
    disk.set_faults(match rng.below(4) {
        0 => Faults { eio_read: one_in, ..usual },
        1 => Faults { eio_write: one_in, ..usual },
        2 => Faults { eio_sync: one_in, ..usual },
        _ => Faults { quota: Some(disk.used_bytes()), ..usual },
    });
    let opened = run.subject.open(env);
    disk.set_faults(usual);
    match opened {
        Ok(open) => return Ok(open),
        Err(Error::Io { .. }) => run.stats.refused += 1,
        Err(error) => return Err(format!("opening, while the disk fails: {error}")),
    }
    disk.kill();
    run.subject.open(env).map_err(|error| format!("opening, after the disk failed: {error}"))
}

/// The process ends, with the store open.
pub fn kill<S: Subject>(disk: &SimDisk, open: S::Open) {
    disk.kill();
    S::store(&open).abandon();
}

/// One state, unless its image was met before: opened, checked, and, by a draw, cut off again within the opening, right
/// after it, or a few steps later.
///
/// # Errors
/// What does not hold.
pub fn state<S: Subject>(run: &mut Run<S>, cut: Cut, expect: &Expect) -> Result<(), String> {
    if !run.is_new(&cut.disk, expect) {
        return Ok(());
    }
    let Cut { disk, within, seed, depth } = cut;
    let mut rng = Rng::new(seed);
    let image = disk.image_hash();
    let clock = Arc::new(ManualClock::new(expect.now * 1_000_000));
    if rng.chance(8) {
        clock.advance(Duration::from_secs(rng.below(100)));
    }
    let entropy = Arc::new(SeededEntropy::new(rng.next_u64()));
    let env = Env { disk: disk.clone(), clock: clock.clone(), entropy };
    let may_go_on = depth < DEPTH_MAX && within != Within::Shown;
    let is_recorded = may_go_on && !rng.chance(8);
    if is_recorded {
        disk.record_one(rng.next_u64());
    }
    // 1. Recovery.
    let before = disk.read_bytes();
    let is_troubled = rng.chance(40);
    let open = if is_troubled {
        in_trouble(run, &env, &disk, &mut rng)?
    } else {
        let open = run.subject.open(&env).map_err(|error| format!("opening: {error}"))?;
        reads(&disk, S::store(&open), run.subject.options(), disk.read_bytes() - before)?;
        open
    };
    let (mut moments, _) = disk.recorded();
    // 2. What it shows.
    let at = check(run, &open, expect, rng.next_u64())?;
    // What a manifest names that could not be read for a moment is left to the next opening.
    if !is_troubled {
        files(&disk, S::store(&open))?;
    }
    run.counts(within);
    let history = run.histories[expect.history].iter();
    run.seen.insert(image, history.zip(&at).map(|(of, &at)| of[at].hash).collect());
    let after = (may_go_on && rng.chance(12)).then(|| disk.moment());
    // 3. On it goes, and is cut off later; not if it may still hold the disk to be full.
    if may_go_on && !is_troubled && rng.chance(chain::ONE_IN) {
        let link = chain::Link { disk: disk.clone(), clock, seed: rng.next_u64(), depth };
        chain::go_on(run, open, link, expect, &at)?;
    } else {
        kill::<S>(&disk, open);
    }
    run.stats.io_hash = run.stats.io_hash.rotate_left(1) ^ disk.io_hash();
    // 4. Once shown, never lost.
    let place = run.at.len();
    if let Some(after) = after {
        let disk = after.crash(seed, Survivors::None, Survivors::None);
        run.at.push(At::Recovered);
        let cut = Cut { disk, within: Within::Shown, seed: !seed, depth: depth + 1 };
        state(run, cut, &expect.exactly(&at))?;
    }
    // 5. A crash inside recovery.
    if let Some(moment) = moments.pop() {
        let ways = ways(&moment);
        let mut done = Vec::new();
        for _ in 0..RECOVERY_CUTS {
            let way @ (bytes, names) = ways[rng.below(ways.len() as u64) as usize];
            // All or nothing leaves the same each time.
            if bytes != Survivors::Some && names != Survivors::Some {
                if done.contains(&way) {
                    continue;
                }
                done.push(way);
            }
            let disk = moment.crash(rng.next_u64(), bytes, names);
            run.at.truncate(place);
            run.at.push(At::Recovery((bytes, names)));
            let cut =
                Cut { disk, within: Within::Recovery, seed: rng.next_u64(), depth: depth + 1 };
            state(run, cut, expect)?;
        }
    }
    run.at.truncate(place);
    Ok(())
}
