//! Crashes: each moment of a run, cut off in each way, opened and checked; some of them cut off once more.

use super::check::{check, files, reads};
use super::history::Expect;
use super::run::Run;
use super::subject::Subject;
use crate::base::{Error, hash64};
use crate::io::sim::{Moment, Survivors};
use crate::io::{Env, Faults, ManualClock, Rng, SeededEntropy, SimDisk};
use std::sync::Arc;
use std::time::Duration;

/// Draws of partial survival at a moment with unsynced bytes.
const DRAWS: usize = 4;
/// Crashes within the recovery from a crash, and so on.
const DEPTH_MAX: usize = 3;

/// One way to survive: of bytes, of names.
pub type Way = (Survivors, Survivors);

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
            run.at = format!(
                "cut off at moment {nth} of {}, with {bytes:?} of the bytes and {names:?} of the names",
                moments.len()
            );
            let disk = moment.crash(seed, bytes, names);
            if run.is_new(&disk, &expect) {
                state(run, disk, &expect, seed, 0)?;
            }
            if run.stats.states >= run.states_max {
                return Ok(());
            }
        }
    }
    Ok(())
}

impl<S: Subject> Run<S> {
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

/// One state: opened, checked, and, by a draw, cut off again within the opening or right after it.
///
/// # Errors
/// What does not hold.
fn state<S: Subject>(
    run: &mut Run<S>,
    disk: Arc<SimDisk>,
    expect: &Expect,
    seed: u64,
    depth: usize,
) -> Result<(), String> {
    let mut rng = Rng::new(seed);
    let image = disk.image_hash();
    let clock = ManualClock::new(expect.now * 1_000_000);
    if rng.chance(8) {
        clock.advance(Duration::from_secs(rng.below(100)));
    }
    let entropy = Arc::new(SeededEntropy::new(rng.next_u64()));
    let env = Env { disk: disk.clone(), clock: Arc::new(clock), entropy };
    let within = depth < DEPTH_MAX && !rng.chance(3);
    if within {
        let typical = run.recovery_moments.max(1);
        disk.record(rng.below(typical), 1);
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
    let (mut moments, passed) = disk.recorded();
    if within {
        run.recovery_moments = passed;
    }
    // 2. What it shows.
    let at = check(run, &open, expect, rng.next_u64())?;
    // What a manifest names that could not be read for a moment is left to the next opening.
    if !is_troubled {
        files(&disk, S::store(&open))?;
    }
    run.stats.states += 1;
    run.stats.in_recovery += u64::from(depth > 0);
    let history = run.histories[expect.history].iter();
    run.seen.insert(image, history.zip(&at).map(|(of, &at)| of[at].hash).collect());
    run.stats.io_hash = run.stats.io_hash.rotate_left(1) ^ disk.io_hash();
    let after = (depth < DEPTH_MAX && rng.chance(12)).then(|| disk.moment());
    disk.kill();
    drop(open);
    // 3. Once shown, never lost.
    if let Some(after) = after {
        let disk = after.crash(seed, Survivors::None, Survivors::None);
        let exactly = expect.exactly(&at);
        if run.is_new(&disk, &exactly) {
            run.at += ", recovered, and cut off right after";
            state(run, disk, &exactly, !seed, DEPTH_MAX)?;
            run.stats.in_recovery -= 1;
            run.stats.after_recovery += 1;
        }
    }
    // 4. A crash inside recovery.
    if let Some(moment) = moments.pop() {
        let ways = ways(&moment);
        let (bytes, names) = ways[rng.below(ways.len() as u64) as usize];
        let disk = moment.crash(seed, bytes, names);
        if run.is_new(&disk, expect) {
            run.at += &format!(", and in recovery, with {bytes:?} and {names:?}");
            state(run, disk, expect, rng.next_u64(), depth + 1)?;
        }
    }
    Ok(())
}
