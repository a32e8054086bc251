//! Bare reads beside a mixed run: what the device itself gives at that time, the store not asked.
//!
//! They read the events file, with O_DIRECT; that tells something only if it is on the store's device.

use super::shared::{DONE, STAGES, Schedule, Shared};
use crate::Result;
use crate::clock::{Meter, thread_cpu};
use crate::publish::O_DIRECT;
use ratite::bench::device::BLOCK_BYTES as BLOCK;
use ratite::io::{Buf, Rng};
use std::fs::OpenOptions;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::time::Instant;

/// Reads a second: few enough to disturb nothing.
const PER_SECOND: f64 = 100.0;

/// Reads random blocks until all is done; a meter for each stage, from when a read really began.
pub fn probe(shared: &Shared<'_>, file: &Path) -> Result<Vec<Meter>> {
    let mut stages: Vec<Meter> = STAGES.iter().map(|_| Meter::new()).collect();
    let file = OpenOptions::new().read(true).custom_flags(O_DIRECT).open(file)?;
    let blocks = file.metadata()?.len() / BLOCK as u64;
    let (mut rng, mut buf) = (Rng::new(5), Buf::zeroed(BLOCK, BLOCK));
    let mut schedule = Schedule::new(PER_SECOND);
    loop {
        let (_, stage) = schedule.wait(shared);
        if stage == DONE {
            return Ok(stages);
        }
        let (begun, cpu) = (Instant::now(), thread_cpu());
        file.read_exact_at(&mut buf, rng.below(blocks.max(1)) * BLOCK as u64)?;
        let (wall, cpu) = (begun.elapsed().as_nanos() as u64, thread_cpu() - cpu);
        if let Some(meter) = stages.get_mut(stage) {
            meter.record(wall, cpu, 1);
        }
    }
}
