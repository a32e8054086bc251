//! Growing and shrinking the pool while it serves.
//!
//! ```text
//!            below the allowance                     beyond it
//!   [ resident | free | victim of S3-FIFO ] <--copy-- [ resident, not pinned ]
//!                                                         |  pinned, or under a read: stays for now (P6)
//!                                                         v
//!                                                     whole runs back to the kernel
//! ```
//!
//! Z1. The pages that stay are those that eviction would have kept, wherever they stood: a page beyond
//!     the allowance moves into the frame of one that leaves, and keeps its place in its queue.
//! Z2. Nothing waits: not for pins, not for reads; the pool's mutex is let go every few pages.
//! Z3. What leaves is the end of the mapping, so that the kernel gets whole runs of pages back, huge
//!     ones unbroken.
//!
//! A move is invisible to readers but for the moment in which neither frame can be pinned: who looks then
//! looks again under the mutex, and finds the page in its new frame.

use super::{FRAMES_MIN, Inner, Pool, lock, split};

/// Frames emptied before the mutex is let go: some 20 microseconds.
const FRAMES_PER_TURN: usize = 32;

impl Pool {
    /// Allows the pool `bytes` bytes, at least 64 frames and at most what it was made with. Growing frees
    /// frames at once. Shrinking evicts what has no room any more and gives the memory back before it
    /// returns, pinned pages excepted (P6).
    ///
    /// Cost: a lock, if nothing changes; shrinking copies up to a page for each frame that goes.
    pub fn resize(&self, bytes: usize) {
        let mut reach = lock(&self.reach);
        let count = (bytes / self.page.bytes()).clamp(FRAMES_MIN, self.frames.count());
        let allowed = count as u32;
        if count == self.frames.allowed() && *reach <= allowed {
            return;
        }
        let mut leaving = {
            let mut inner = lock(&self.inner);
            inner.queues.resize(count);
            self.frames.allow(count)
        };
        for turn in (allowed..*reach).step_by(FRAMES_PER_TURN) {
            let mut inner = lock(&self.inner);
            let end = (*reach).min(turn + FRAMES_PER_TURN as u32);
            (turn..end).for_each(|frame| self.vacate(&mut inner, frame, &mut leaving));
        }
        let stays = |frame: &u32| !self.frames.state(*frame).is_free();
        *reach = (allowed..*reach).rev().find(stays).map_or(allowed, |last| last + 1);
        self.frames.give_back(leaving);
    }

    /// Empties `frame`, which is beyond the allowance, into one below it, unless its page is
    /// pinned or on its way.
    fn vacate(&self, inner: &mut Inner, frame: u32, leaving: &mut Vec<u32>) {
        let state = self.frames.state(frame);
        if !state.is_valid() || state.is_pinned() {
            return;
        }
        // The page that leaves instead goes first: it may be this very one.
        let room = self.take_allowed(inner, |taken| leaving.push(taken.leave()));
        let marks = state.marks();
        let Some(mut from) = self.frames.take(frame) else { return };
        let (slot, number) = split(from.owner());
        let table = inner.files.get(slot as usize).and_then(|table| table.as_ref());
        let table = table.filter(|table| table.frame(number) == Some(frame));
        match (room, table) {
            (Some(room), Some(table)) => {
                let to = room.frame();
                room.publish_copy(&mut from, marks);
                table.set(number, to);
                inner.queues.replace(frame, to);
            }
            // Its file is gone: only a reader of another one kept it, for a moment.
            _ => inner.queues.remove(frame),
        }
        leaving.push(from.leave());
    }
}
