//! The simulated queue: in `wait`, operations start, finish and are handed back in a seeded order.
//!
//! ```text
//!   push -> Queued -> Written (durable writes: the sync is still to come) -> Finished -> handed back
//! ```
//!
//! Each wait moves every operation on or not, by a coin, in an order that is drawn; a wait that may
//! block goes on until something can be handed back. Effects thus come before, after and between
//! completions, as on a device. A power cut between two steps leaves the rest undone, and every
//! operation that is left comes back with an error (I1).

use super::{Shared, lock};
use crate::base::{Error, Result};
use crate::io::fs::check_op_aligned;
use crate::io::signal::Signal;
use crate::io::{Done, Op, Queue, Wait, Wake};
use std::path::Path;
use std::sync::Arc;

#[cfg(test)]
thread_local! {
    /// How often this thread waited for a wake that only another can give, while no wake was pending.
    pub(crate) static SLEEPS: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

pub(super) struct SimQueue {
    shared: Shared,
    epoch: u64,
    depth: usize,
    flights: Vec<Flight>,
    signal: Arc<Signal>,
}

struct Flight {
    token: u64,
    op: Op,
    step: Step,
}

enum Step {
    Queued,
    Written,
    Finished(Result<()>),
}

impl Flight {
    fn advance(&mut self) {
        self.step = match (&self.step, &mut self.op) {
            (Step::Finished(_), _) => return,
            (Step::Queued, Op::Read { file, offset, buf }) => {
                Step::Finished(file.read_at(*offset, buf))
            }
            (Step::Queued, Op::Write { file, offset, buf, durable }) => {
                match file.write_at(*offset, buf) {
                    Ok(()) if *durable => Step::Written,
                    result => Step::Finished(result),
                }
            }
            (_, Op::Write { file, .. } | Op::Sync { file } | Op::Read { file, .. }) => {
                Step::Finished(file.sync())
            }
        };
    }

    fn done(self, otherwise: impl FnOnce(&Path) -> Error) -> Done {
        let file = match &self.op {
            Op::Read { file, .. } | Op::Write { file, .. } | Op::Sync { file } => file,
        };
        let result = match self.step {
            Step::Finished(result) => result,
            _ => Err(otherwise(file.path())),
        };
        Done { token: self.token, result, buf: self.op.into_buf() }
    }
}

impl SimQueue {
    pub fn new(shared: Shared, depth: usize) -> Result<SimQueue> {
        let signal = Arc::new(Signal::default());
        let mut state = lock(&shared);
        let epoch = state.epoch;
        state.check_alive("set up", Path::new("a queue"), epoch)?;
        state.sleepers.retain(|sleeper| sleeper.strong_count() > 0);
        state.sleepers.push(Arc::downgrade(&signal));
        drop(state);
        Ok(SimQueue { shared, epoch, depth, flights: Vec::new(), signal })
    }

    /// The error of everything once the machine or the process is gone.
    fn gone(&self) -> Option<Error> {
        let state = lock(&self.shared);
        state.check_alive("wait for", Path::new("a queue"), self.epoch).err()
    }

    /// One round: each operation moves on or not, and what is finished is handed back or not.
    fn round(&mut self, done: &mut Vec<Done>) {
        lock(&self.shared).rng.shuffle(&mut self.flights);
        for flight in &mut self.flights {
            if lock(&self.shared).rng.chance(2) {
                flight.advance();
            }
        }
        let mut left = Vec::with_capacity(self.flights.len());
        for flight in self.flights.drain(..) {
            let finished = matches!(flight.step, Step::Finished(_));
            if finished && lock(&self.shared).rng.chance(2) {
                done.push(flight.done(|path| Error::io("finish", path, std::io::Error::other(""))));
            } else {
                left.push(flight);
            }
        }
        self.flights = left;
    }

    fn hand_back_all(&mut self, done: &mut Vec<Done>) {
        let shared = &self.shared;
        // Locked for each by itself: the last handle of a file takes the lock when it is dropped.
        let gone = |path: &Path| lock(shared).gone_error("finish the operation on", path);
        done.extend(self.flights.drain(..).map(|flight| flight.done(gone)));
    }
}

impl Queue for SimQueue {
    fn push(&mut self, token: u64, op: Op) -> std::result::Result<(), Op> {
        if self.flights.len() >= self.depth {
            return Err(op);
        }
        let step = match check_op_aligned(&op) {
            Ok(()) => Step::Queued,
            Err(error) => Step::Finished(Err(error)),
        };
        self.flights.push(Flight { token, op, step });
        lock(&self.shared).queued += 1;
        Ok(())
    }

    fn wait(&mut self, wait: Wait, done: &mut Vec<Done>) -> Result<()> {
        lock(&self.shared).step();
        let before = done.len();
        if self.flights.is_empty() {
            let woken = self.gone().is_some() || self.signal.take();
            match wait {
                _ if woken => false,
                Wait::No => false,
                Wait::For(limit) => {
                    #[cfg(test)]
                    SLEEPS.set(SLEEPS.get() + u64::from(!limit.is_zero()));
                    self.signal.wait(Some(limit))
                }
                Wait::Forever => self.signal.wait(None),
            };
            return self.gone().map_or(Ok(()), Err);
        }
        let woken = self.signal.take();
        loop {
            if self.gone().is_some() {
                self.hand_back_all(done);
                return Ok(());
            }
            self.round(done);
            if woken || wait == Wait::No || done.len() > before {
                return Ok(());
            }
        }
    }

    fn in_flight(&self) -> usize {
        self.flights.len()
    }

    fn waker(&self) -> Arc<dyn Wake> {
        self.signal.clone()
    }
}

impl Drop for SimQueue {
    /// A device finishes what it was given, unless the power is gone.
    fn drop(&mut self) {
        let mut done = Vec::new();
        while !self.flights.is_empty() && self.gone().is_none() {
            self.round(&mut done);
        }
    }
}
