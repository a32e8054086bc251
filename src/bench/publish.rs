//! One durable insert at a time, as a person's client makes it, in turn with bare synced writes of the same run: what
//! disturbs one disturbs both.

use super::Going;
use super::clock::{Meter, process_cpu};
use super::device::{BLOCK_BYTES, Device};
use crate::base::Result;
use crate::nostr::{Event, EventStore};

/// What the turns came to; the first one warmed up and is not counted.
pub struct Alone {
    /// Inserts until their answers.
    pub ours: Meter,
    /// Bare writes of 4 KiB.
    pub bare: Meter,
    /// CPU nanoseconds of the process during the inserts, the store's threads included.
    pub process_cpu_nanos: u64,
}

impl Alone {
    /// How many times as long as a bare write an insert takes, at this quantile.
    pub fn times_bare(&self, quantile: f64) -> f64 {
        let at = |meter: &Meter| meter.wall.value_at_quantile(quantile) as f64;
        at(&self.ours) / at(&self.bare).max(1.0)
    }

    /// CPU microseconds of the process an insert.
    pub fn process_cpu_us(&self) -> f64 {
        self.process_cpu_nanos as f64 / 1e3 / self.ours.calls().max(1) as f64
    }
}

/// So many turns of so many inserts and as many writes each; fewer if told to end or if the events do.
///
/// # Errors
/// Of the store and of the file.
pub fn alone(
    store: &EventStore,
    device: &mut Device,
    events: &mut dyn Iterator<Item = Event>,
    (turns, per_turn): (usize, usize),
    going: &Going,
) -> Result<Alone> {
    let new = || Alone { ours: Meter::new(), bare: Meter::new(), process_cpu_nanos: 0 };
    let mut alone = new();
    for turn in 0..=turns {
        if turn == 1 {
            alone = new();
        }
        let batch: Vec<Event> = events.take(per_turn).collect();
        // One turn counts on the slowest disk, too: without it there is no figure.
        if batch.is_empty() || (turn > 1 && !going()) {
            break;
        }
        let cpu = process_cpu();
        for event in &batch {
            alone.ours.time(|| store.insert(&event.as_ref())?.wait().map(|_| 1))?;
        }
        alone.process_cpu_nanos += process_cpu() - cpu;
        for _ in 0..batch.len() {
            alone.bare.time(|| device.write(BLOCK_BYTES))?;
        }
    }
    Ok(alone)
}
