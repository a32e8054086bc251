//! Which page leaves: S3-FIFO over frame numbers.
//!
//! ```text
//!   first read ---> [ small, 10 % ] --used twice or pinned--> [ main, 90 % ] <--+
//!                        |                                        |   +-- used --+
//!                        v                                        v
//!                  ghost: a mark in the                        (gone)
//!                  page's table entry
//!   read while marked ------------------------------------> [ main ]
//! ```
//!
//! E1. A frame is in one queue exactly while it is resident; a taken or free frame is in none.
//! E2. A hit moves nothing: it bumps two bits in the frame's state, which a queue reads when the frame
//!     comes to its end.
//! E3. A pinned frame is never chosen; each choice ends after a bounded number of looks.
//! E4. Pages read once (a scan) pass through `small` and never push out what is in `main`.
//!
//! The ghost queue of the paper needs no memory here: a page table entry without a frame carries the
//! number of the eviction instead, and the page is a ghost while that is recent.
//!
//! After Yang et al., "FIFO queues are all you need for cache eviction" (SOSP 2023).

use super::frames::{Frames, Taken};
use super::table::{ABSENT, NEVER};
use std::sync::Arc;

/// No frame.
const NIL: u32 = u32::MAX;

/// Uses after which a page in `small` has proved itself.
const PROVEN: u64 = 2;

/// Looks at one frame before its frequency no longer counts: three to decay it, and one each for its
/// way from small to main and for the choice itself.
const LOOKS_PER_FRAME: usize = 5;

/// Eviction numbers count modulo this, so that no mark equals `NEVER`.
const CLOCK: u32 = NEVER & !ABSENT;

/// The two queues of resident frames and the clock of the ghosts.
pub(super) struct Queues {
    links: Box<[Link]>,
    small: List,
    main: List,
    small_target: usize,
    ghost_clock: u32,
    ghosts: u32,
}

/// A frame's neighbours in its queue.
#[derive(Clone, Copy)]
pub(super) struct Link {
    older: u32,
    newer: u32,
    in_main: bool,
}

struct List {
    oldest: u32,
    newest: u32,
    len: usize,
}

/// A frame chosen, and what to leave in the table entry of the page that was in it.
pub(super) struct Victim {
    pub taken: Taken,
    pub mark: u32,
}

impl Queues {
    /// Empty queues for `frames` frames.
    pub fn new(frames: usize) -> Queues {
        let empty = || List { oldest: NIL, newest: NIL, len: 0 };
        let mut queues = Queues {
            links: vec![Link { older: NIL, newer: NIL, in_main: false }; frames].into(),
            small: empty(),
            main: empty(),
            small_target: 0,
            ghost_clock: 0,
            ghosts: 0,
        };
        queues.resize(frames);
        queues
    }

    /// Sets the shares of the two queues, and how long a page stays a ghost, for `frames` frames.
    pub fn resize(&mut self, frames: usize) {
        self.small_target = (frames / 10).max(1);
        self.ghosts = (frames - self.small_target) as u32;
    }

    /// Whether a table entry without a frame marks a page that left lately and was little used.
    pub fn is_ghost(&self, entry: u32) -> bool {
        let age = (self.ghost_clock + CLOCK - (entry & !ABSENT)) % CLOCK;
        entry != NEVER && age <= self.ghosts
    }

    /// Chooses a frame, takes it and removes it from its queue. `None` if all are pinned.
    pub fn evict(&mut self, frames: &Arc<Frames>) -> Option<Victim> {
        let resident = self.small.len + self.main.len;
        let mut pinned = 0; // met in main
        for _ in 0..resident * LOOKS_PER_FRAME {
            let from_small = self.small.len > self.small_target || self.main.len == 0;
            let frame = if from_small { self.small.oldest } else { self.main.oldest };
            let state = frames.state(frame);
            self.remove(frame);
            if from_small {
                if state.frequency() < PROVEN
                    && let Some(taken) = frames.take(frame)
                {
                    return Some(Victim { taken, mark: self.next_mark() });
                }
                self.push(frame, true);
            } else if state.frequency() > 0 {
                state.decay();
                self.push(frame, true);
            } else if let Some(taken) = frames.take(frame) {
                return Some(Victim { taken, mark: NEVER });
            } else {
                self.push(frame, true);
                pinned += 1;
                if pinned > self.main.len {
                    break;
                }
            }
        }
        self.evict_any(frames)
    }

    /// All of main is pinned, or hits came faster than they decayed: the oldest that can be taken.
    fn evict_any(&mut self, frames: &Arc<Frames>) -> Option<Victim> {
        for start in [self.small.oldest, self.main.oldest] {
            let mut frame = start;
            while frame != NIL {
                if let Some(taken) = frames.take(frame) {
                    self.remove(frame);
                    return Some(Victim { taken, mark: NEVER });
                }
                frame = self.links[frame as usize].newer;
            }
        }
        None
    }

    fn next_mark(&mut self) -> u32 {
        self.ghost_clock = (self.ghost_clock + 1) % CLOCK;
        ABSENT | self.ghost_clock
    }

    /// Queues a frame that has become resident as the newest of its queue.
    pub fn push(&mut self, frame: u32, in_main: bool) {
        let list = if in_main { &mut self.main } else { &mut self.small };
        self.links[frame as usize] = Link { older: list.newest, newer: NIL, in_main };
        match list.newest {
            NIL => list.oldest = frame,
            newest => self.links[newest as usize].newer = frame,
        }
        list.newest = frame;
        list.len += 1;
    }

    /// Puts frame `to`, which is in no queue, in the place of `from`.
    pub fn replace(&mut self, from: u32, to: u32) {
        let link = self.links[from as usize];
        self.links[to as usize] = link;
        let list = if link.in_main { &mut self.main } else { &mut self.small };
        match link.older {
            NIL => list.oldest = to,
            older => self.links[older as usize].newer = to,
        }
        match link.newer {
            NIL => list.newest = to,
            newer => self.links[newer as usize].older = to,
        }
    }

    /// Takes a frame out of its queue.
    pub fn remove(&mut self, frame: u32) {
        let Link { older, newer, in_main } = self.links[frame as usize];
        let list = if in_main { &mut self.main } else { &mut self.small };
        match older {
            NIL => list.oldest = newer,
            older => self.links[older as usize].newer = newer,
        }
        match newer {
            NIL => list.newest = older,
            newer => self.links[newer as usize].older = older,
        }
        list.len -= 1;
    }
}
