//! Queues without rings: each operation is a `pread`, `pwrite` or `fdatasync` inside `wait`.
//!
//! As fast as a ring for one operation at a time, and the only way where io_uring is forbidden.
//! Operations are carried out in the order in which they were pushed, all of them in the next `wait`;
//! I1 is thereby trivial: nothing is in flight outside `wait`.

use super::signal::Signal;
use super::{Buf, Done, Op, Queue, Wait, Wake, fs};
use crate::base::Result;
use std::collections::VecDeque;
use std::sync::Arc;

/// A queue that its own thread works off.
#[derive(Debug)]
pub(super) struct Line {
    /// Each with the verdict on its alignment.
    pushed: VecDeque<(u64, Op, Result<()>)>,
    depth: usize,
    signal: Arc<Signal>,
}

impl Line {
    pub fn new(depth: usize) -> Line {
        Line { pushed: VecDeque::with_capacity(depth), depth, signal: Arc::default() }
    }
}

impl Queue for Line {
    fn push(&mut self, token: u64, op: Op) -> std::result::Result<(), Op> {
        if self.pushed.len() >= self.depth {
            return Err(op);
        }
        let checked = fs::check_op_aligned(&op);
        self.pushed.push_back((token, op, checked));
        Ok(())
    }

    fn wait(&mut self, wait: Wait, done: &mut Vec<Done>) -> Result<()> {
        if self.pushed.is_empty() {
            match wait {
                Wait::No => self.signal.take(),
                Wait::For(limit) => self.signal.wait(Some(limit)),
                Wait::Forever => self.signal.wait(None),
            };
            return Ok(());
        }
        self.signal.take();
        while let Some((token, op, checked)) = self.pushed.pop_front() {
            let (result, buf) = carry_out(op, checked);
            done.push(Done { token, result, buf });
        }
        Ok(())
    }

    fn in_flight(&self) -> usize {
        self.pushed.len()
    }

    fn waker(&self) -> Arc<dyn Wake> {
        self.signal.clone()
    }
}

impl Drop for Line {
    /// What was pushed is carried out, as a ring would have.
    fn drop(&mut self) {
        for (_, op, checked) in self.pushed.drain(..) {
            let _ = carry_out(op, checked);
        }
    }
}

fn carry_out(op: Op, checked: Result<()>) -> (Result<()>, Option<Buf>) {
    match checked {
        Ok(()) => op.carry_out(),
        Err(error) => (Err(error), op.into_buf()),
    }
}
