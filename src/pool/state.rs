//! The state of one frame: who may touch its bytes, in one atomic word.
//!
//! ```text
//!            take_free                 publish                 pin / unpin
//!   FREE ----------------> TAKEN ------------------> VALID <--------------> VALID, n pins
//!    ^                     |   ^                       |
//!    +------- free --------+   +--------- take --------+  (only with no pins)
//!
//!   word:  | pins: 48 bits | ... | FRESH | FETCHED | WAITED | TAKEN | VALID | frequency: 2 |
//! ```
//!
//! S1. A pin exists only in VALID, and `take` succeeds only with no pins: bytes are read by pin
//!     holders or written by the one taker, never both.
//! S2. `publish` releases what the taker wrote, `pin` acquires it; `unpin` releases the reader's last
//!     read, `take` acquires it.
//! S3. The words of owner and kind change only in TAKEN, so that a pin holder may compare them: if the owner is not
//!     the wanted one, the frame was given to another page between the look-up and the pin.
//! S4. WAITED is set only in TAKEN and every way out of TAKEN reports it: no waiter is forgotten.
//!
//! The words are generic so that `state/tests.rs` runs this very code under loom. After the version and
//! lock word of LeanStore's frames, with counted pins in the place of its exclusive latch.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{self, AcqRel, Acquire, Relaxed, Release};

#[cfg(test)]
mod tests;

/// The atomic operations that the protocol uses.
pub(super) trait Word {
    fn load(&self, order: Ordering) -> u64;
    fn store(&self, value: u64, order: Ordering);
    /// Compares and exchanges; may fail for no reason. A failure is relaxed.
    fn replace(&self, old: u64, new: u64, order: Ordering) -> Result<u64, u64>;
    fn swap(&self, value: u64, order: Ordering) -> u64;
    fn fetch_and(&self, mask: u64, order: Ordering) -> u64;
    fn fetch_or(&self, bits: u64, order: Ordering) -> u64;
    fn fetch_sub(&self, value: u64, order: Ordering) -> u64;
}

/// Makes an atomic type a `Word`.
macro_rules! word {
    ($atomic:ty) => {
        impl Word for $atomic {
            fn load(&self, order: Ordering) -> u64 {
                <$atomic>::load(self, order)
            }
            fn store(&self, value: u64, order: Ordering) {
                <$atomic>::store(self, value, order);
            }
            fn replace(&self, old: u64, new: u64, order: Ordering) -> Result<u64, u64> {
                self.compare_exchange_weak(old, new, order, Ordering::Relaxed)
            }
            fn swap(&self, value: u64, order: Ordering) -> u64 {
                <$atomic>::swap(self, value, order)
            }
            fn fetch_and(&self, mask: u64, order: Ordering) -> u64 {
                <$atomic>::fetch_and(self, mask, order)
            }
            fn fetch_or(&self, bits: u64, order: Ordering) -> u64 {
                <$atomic>::fetch_or(self, bits, order)
            }
            fn fetch_sub(&self, value: u64, order: Ordering) -> u64 {
                <$atomic>::fetch_sub(self, value, order)
            }
        }
    };
}
#[cfg(test)]
use word;

word!(AtomicU64);

/// Hits since the page came in, at most this many counted.
const FREQUENCY_MAX: u64 = 3;
/// The bytes are a checked page that may be pinned.
const VALID: u64 = 1 << 2;
/// One thread, or the kernel, alone has the bytes.
const TAKEN: u64 = 1 << 3;
/// Somebody waits for the end of TAKEN.
const WAITED: u64 = 1 << 4;
/// The load goes through a `Fetch`, so that it may be given up and done again.
const FETCHED: u64 = 1 << 5;
/// Read ahead of its first use, which is therefore no sign of reuse.
const FRESH: u64 = 1 << 6;
/// What eviction knows of a page, and what goes with it into another frame.
const MARKS: u64 = FREQUENCY_MAX | FRESH;
const ONE_PIN: u64 = 1 << 16;
const PINS: u64 = !(ONE_PIN - 1);

/// How a page enters its frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Entrance {
    /// With one pin, the loader's own.
    Pinned,
    /// With no pin, read ahead.
    Ahead,
    /// With no pin, from another frame, where it had these `marks`.
    Moved(u64),
}

/// State, owner and kind of one frame, alone on their cache line: hot pages do not slow one another, and who pins a page
/// knows what it is without a look at the page's last bytes.
#[repr(align(64))]
#[derive(Default)]
pub(super) struct FrameState<W = AtomicU64> {
    pub(super) word: W,
    pub(super) owner: W,
    pub(super) kind: W,
}

impl<W: Word> FrameState<W> {
    /// Adds a pin if the frame holds the page of `owner`, and counts the use.
    ///
    /// # Panics
    /// At 2^48 pins: pins were leaked for days.
    pub fn pin(&self, owner: u64) -> bool {
        let mut word = self.word.load(Relaxed);
        loop {
            if word & VALID == 0 {
                return false;
            }
            assert!(word & PINS != PINS, "2^48 pins of one page");
            let bump = word & FRESH == 0 && word & FREQUENCY_MAX < FREQUENCY_MAX;
            let pinned = (word & !FRESH) + ONE_PIN + u64::from(bump);
            match self.word.replace(word, pinned, Acquire) {
                Ok(_) => break,
                Err(now) => word = now,
            }
        }
        let ours = self.owner.load(Relaxed) == owner; // S3
        if !ours {
            self.unpin();
        }
        ours
    }

    /// Takes a pin away.
    pub fn unpin(&self) {
        let before = self.word.fetch_sub(ONE_PIN, Release);
        debug_assert!(before & PINS != 0 && before & VALID != 0, "S1");
    }

    /// From VALID to TAKEN if nobody has it pinned.
    pub fn take(&self) -> bool {
        let mut word = self.word.load(Relaxed);
        while word & VALID != 0 && word & PINS == 0 {
            match self.word.replace(word, TAKEN, Acquire) {
                Ok(_) => return true,
                Err(now) => word = now,
            }
        }
        false
    }

    /// From FREE to TAKEN, by the one who has the frame from the free list.
    pub fn take_free(&self) {
        let before = self.word.swap(TAKEN, Acquire);
        debug_assert_eq!(before, 0, "a free frame");
    }

    /// In TAKEN, by the taker: names the page to come, and whether a `Fetch` brings it.
    pub fn own(&self, owner: u64, fetched: bool) {
        self.owner.store(owner, Relaxed);
        // Only adds: somebody may wait already, who looked just before the frame changed pages (S4).
        let before = self.word.fetch_or(if fetched { FETCHED } else { 0 }, Relaxed);
        debug_assert_eq!(before & (VALID | TAKEN | PINS), TAKEN, "S1");
    }

    /// From TAKEN to VALID; says whether somebody waits.
    pub fn publish(&self, how: Entrance) -> bool {
        let entered = match how {
            Entrance::Pinned => VALID | ONE_PIN,
            Entrance::Ahead => VALID | FRESH,
            Entrance::Moved(marks) => VALID | marks & MARKS,
        };
        let before = self.word.swap(entered, Release);
        debug_assert_eq!(before & (TAKEN | PINS), TAKEN, "S1");
        before & WAITED != 0
    }

    /// From TAKEN to FREE; says whether somebody waits.
    pub fn free(&self) -> bool {
        let before = self.word.swap(0, Release);
        debug_assert_eq!(before & (TAKEN | PINS), TAKEN, "S1");
        before & WAITED != 0
    }

    /// In TAKEN: notes that the caller waits for the end of it. False if it has ended; the caller then
    /// sees what was done before.
    pub fn await_change(&self) -> bool {
        loop {
            let word = self.word.load(Acquire);
            if word & TAKEN == 0 {
                return false;
            }
            if self.word.replace(word, word | WAITED, AcqRel).is_ok() {
                return true;
            }
        }
    }

    /// Says whether somebody waits, and takes the note away.
    pub fn dismiss(&self) -> bool {
        self.word.fetch_and(!WAITED, AcqRel) & WAITED != 0
    }

    /// The page that the frame holds or awaits; stable only for a pin holder or the taker.
    pub fn owner(&self) -> u64 {
        self.owner.load(Relaxed)
    }

    /// Says of what kind the page is that is about to be published.
    pub fn set_kind(&self, kind: u32) {
        self.kind.store(kind.into(), Relaxed);
    }

    /// The kind of the page that the frame holds; good for who has a pin (S3).
    pub fn kind(&self) -> u32 {
        self.kind.load(Relaxed) as u32
    }

    /// Uses counted and not yet decayed, 0 to 3.
    pub fn frequency(&self) -> u64 {
        self.word.load(Relaxed) & FREQUENCY_MAX
    }

    /// What eviction knows of the page, for `Entrance::Moved`.
    pub fn marks(&self) -> u64 {
        self.word.load(Relaxed) & MARKS
    }

    /// Takes one use off the count.
    pub fn decay(&self) {
        let mut word = self.word.load(Relaxed);
        while word & FREQUENCY_MAX != 0 {
            match self.word.replace(word, word - 1, Relaxed) {
                Ok(_) => return,
                Err(now) => word = now,
            }
        }
    }

    /// Whether the frame holds a page.
    pub fn is_valid(&self) -> bool {
        self.word.load(Relaxed) & VALID != 0
    }

    /// Whether nobody has the frame: it is on a list, or about to be.
    pub fn is_free(&self) -> bool {
        self.word.load(Relaxed) & (VALID | TAKEN) == 0
    }

    /// Whether somebody has the page pinned.
    pub fn is_pinned(&self) -> bool {
        self.word.load(Relaxed) & PINS != 0
    }

    /// Whether the page to come is brought by a `Fetch`.
    pub fn is_fetched(&self) -> bool {
        self.word.load(Relaxed) & FETCHED != 0
    }
}
