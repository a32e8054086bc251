//! A lock-free ring of bytes from many threads to one: how writers hand records to their shard.
//!
//! ```text
//!         head (drainer: consumed up to here)        tail (producers: reserved up to here)
//!          v                                          v
//!   0 0 0 [header|tag|payload ..][header|tag|payload][0 .. being copied ..] 0 0 0 0 0 0
//!          READY                  READY               not READY yet: the drainer stops here
//! ```
//!
//! The storage is 8-byte atomic words, so all of this is safe code. A message is a header word
//! (READY bit and payload length in bytes), a tag word, and the payload, zero padded to words. Words
//! are masked one by one, so a message may run across the end of the storage without padding.
//!
//! Invariants:
//! I1. `head <= tail <= head + capacity`; both count words since the start and never wrap.
//! I2. All words outside `head..tail` are zero, and so is the header of an unpublished message: the
//!     drainer zeroes what it consumed before it advances `head` (Release), a producer reads `head`
//!     (Acquire) before it reserves, so its stores come after the zeroes.
//! I3. Words in a reservation are written by its producer alone; the header is stored last (Release)
//!     and loaded first (Acquire), so who sees READY sees the payload.
//! I4. Nothing between reservation and publication can panic or block: a message that is reserved and
//!     never published would stop the ring for ever.
//!
//! A producer that the scheduler takes off the processor between reservation and publication delays
//! what was reserved after it; nothing is lost and no one spins.
//!
//! Built after the reservation scheme of the LMAX Disruptor and the in-band headers of Aeron's
//! many-to-one ring buffer.

#[cfg(test)]
mod tests;

use super::sync::Word;
use crossbeam::utils::CachePadded;
use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// Set in the header of a published message, so that no published header is zero.
const READY: u64 = 1 << 63;

/// Bytes of a word.
const WORD: usize = size_of::<u64>();

/// Words in front of the payload: header and tag.
const HEADER_WORDS: usize = 2;

/// Smallest ring: a message with a payload of two words.
const CAPACITY_MIN: usize = 32;

/// Why a message was not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Full {
    /// There is no room at present; there will be when the drainer has come round.
    Now,
    /// The message is larger than [`Ring::message_bytes_max`].
    Never,
}

/// The side of the producers: share it, push from any thread.
pub struct Ring<W: Word = AtomicU64> {
    words: Box<[W]>,
    /// Words reserved since the start.
    tail: CachePadded<W>,
    /// Words consumed since the start. On a line of its own: producers read it, the drainer writes it.
    head: CachePadded<W>,
}

/// The side of the one consumer.
pub struct Drainer<W: Word = AtomicU64> {
    ring: Arc<Ring<W>>,
    /// The drainer's own copy of `Ring::head`.
    head: u64,
    /// The payload at hand; grows to the largest message seen.
    scratch: Vec<u8>,
}

impl Ring {
    /// A ring with `bytes` of storage, allocated once.
    ///
    /// # Panics
    /// If `bytes` is not a power of two of at least 32.
    pub fn new(bytes: usize) -> (Arc<Ring>, Drainer) {
        Ring::with_words(bytes)
    }
}

impl<W: Word> Ring<W> {
    /// [`Ring::new`] over any kind of word.
    pub(crate) fn with_words(bytes: usize) -> (Arc<Ring<W>>, Drainer<W>) {
        assert!(bytes.is_power_of_two() && bytes >= CAPACITY_MIN, "a ring of {bytes} bytes");
        let ring = Arc::new(Ring {
            words: (0..bytes / WORD).map(|_| W::new(0)).collect(),
            tail: CachePadded::new(W::new(0)),
            head: CachePadded::new(W::new(0)),
        });
        (Arc::clone(&ring), Drainer { ring, head: 0, scratch: Vec::new() })
    }

    /// Appends the message made of `parts` in a row, under `tag`, which means nothing to the ring.
    /// It becomes visible to the drainer as a whole. Never blocks, never allocates; costs one
    /// compare-and-swap and a copy.
    ///
    /// # Errors
    /// `Full`; nothing was taken then.
    pub fn try_push(&self, tag: u64, parts: &[&[u8]]) -> Result<(), Full> {
        let bytes = parts.iter().fold(0usize, |sum, part| sum.saturating_add(part.len()));
        if bytes > self.message_bytes_max() {
            return Err(Full::Never);
        }
        let at = self.reserve(message_words(bytes))?;
        self.word(at + 1).store(tag, Relaxed);
        self.copy_in(at + HEADER_WORDS as u64, bytes, parts);
        self.word(at).store(READY | bytes as u64, Release); // I3
        Ok(())
    }

    /// The position of `count` words that now belong to the caller.
    fn reserve(&self, count: usize) -> Result<u64, Full> {
        let mut tail = self.tail.load(Relaxed);
        loop {
            // Acquire: I2. Read after `tail`, so that a ring called full was full. A tail so old that
            // it lies behind head makes the exchange fail and is read again.
            let head = self.head.load(Acquire);
            let end = tail + count as u64;
            if end.saturating_sub(head) > self.words.len() as u64 {
                return Err(Full::Now);
            }
            // Relaxed: a reservation hands over no data; I2 and I3 do.
            match self.tail.compare_exchange_weak(tail, end, Relaxed, Relaxed) {
                Ok(_) => return Ok(tail),
                Err(now) => tail = now,
            }
        }
    }

    /// Packs `parts`, of `bytes` bytes together, into the words from `at`.
    fn copy_in(&self, at: u64, bytes: usize, parts: &[&[u8]]) {
        let mut slots = self.span(at, bytes.div_ceil(WORD));
        let mut put = |word: u64| {
            if let Some(slot) = slots.next() {
                slot.store(word, Relaxed);
            }
        };
        // `held` bits of `pending` wait for the rest of their word; parts need not end on one.
        let (mut pending, mut held) = (0u64, 0u32);
        for part in parts {
            let (words, rest) = part.as_chunks::<WORD>();
            for word in words {
                let word = u64::from_le_bytes(*word);
                put(pending | word << held);
                // In two steps, since a shift by 64 is none.
                pending = word >> 1 >> (63 - held);
            }
            for &byte in rest {
                pending |= u64::from(byte) << held;
                held += 8;
                if held == 64 {
                    put(pending);
                    (pending, held) = (0, 0);
                }
            }
        }
        if held > 0 {
            put(pending);
        }
    }

    /// The word at a position.
    fn word(&self, at: u64) -> &W {
        &self.words[(at & (self.words.len() as u64 - 1)) as usize]
    }

    /// `count` words from a position, in up to two runs.
    fn span(&self, at: u64, count: usize) -> impl Iterator<Item = &W> {
        let start = (at & (self.words.len() as u64 - 1)) as usize;
        let first = count.min(self.words.len() - start);
        self.words[start..start + first].iter().chain(self.words[..count - first].iter())
    }

    /// Bytes of the largest payload, which fits an empty ring only: give a ring several times that.
    pub fn message_bytes_max(&self) -> usize {
        self.capacity() - HEADER_WORDS * WORD
    }

    /// Bytes of storage.
    pub fn capacity(&self) -> usize {
        self.words.len() * WORD
    }

    /// Whether nothing is reserved: every message pushed was consumed.
    pub fn is_empty(&self) -> bool {
        self.used_bytes() == 0
    }

    /// Bytes reserved and not consumed yet, 16 of them in front of each payload. Only a hint while
    /// others push and drain.
    pub fn used_bytes(&self) -> usize {
        let tail = self.tail.load(Relaxed);
        let head = self.head.load(Relaxed);
        tail.saturating_sub(head) as usize * WORD
    }
}

impl<W: Word> Drainer<W> {
    /// Hands the oldest messages to `f`, as tag and payload, in the order of their reservation; stops
    /// behind the message at which `f` breaks, at `max_messages`, and at the first message that is not
    /// published yet. Returns how many were handed over. A message's room is free before `f` sees it,
    /// so a panic in `f` loses that message and nothing else.
    pub fn drain(
        &mut self,
        max_messages: usize,
        f: &mut dyn FnMut(u64, &[u8]) -> ControlFlow<()>,
    ) -> usize {
        let mut count = 0;
        while count < max_messages {
            let Some((tag, bytes)) = self.take() else { break };
            count += 1;
            if f(tag, &self.scratch[..bytes]).is_break() {
                break;
            }
        }
        count
    }

    /// Whether `drain` would find a message. Unlike `!is_empty()` it does not count a message that is
    /// still being copied: its producer will wake the drainer, so the drainer may sleep.
    pub fn is_ready(&self) -> bool {
        self.ring.word(self.head).load(Acquire) & READY != 0
    }

    /// Moves the oldest message to the scratch; its tag and length.
    fn take(&mut self) -> Option<(u64, usize)> {
        let ring = &*self.ring;
        let header = ring.word(self.head).load(Acquire); // I3
        if header & READY == 0 {
            return None;
        }
        let bytes = (header & !READY) as usize;
        let tag = ring.word(self.head + 1).load(Relaxed);
        let count = message_words(bytes);
        let padded = bytes.next_multiple_of(WORD);
        if self.scratch.len() < padded {
            self.scratch.resize(padded, 0);
        }
        let payload = ring.span(self.head + HEADER_WORDS as u64, count - HEADER_WORDS);
        for (chunk, word) in self.scratch.as_chunks_mut::<WORD>().0.iter_mut().zip(payload) {
            *chunk = word.load(Relaxed).to_le_bytes();
        }
        for word in ring.span(self.head, count) {
            word.store(0, Relaxed);
        }
        self.head += count as u64;
        ring.head.store(self.head, Release); // I2
        Some((tag, bytes))
    }
}

/// Words that a message with a payload of `bytes` takes.
fn message_words(bytes: usize) -> usize {
    HEADER_WORDS + bytes.div_ceil(WORD)
}

impl<W: Word> fmt::Debug for Ring<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ring({} of {} bytes)", self.used_bytes(), self.capacity())
    }
}

impl<W: Word> fmt::Debug for Drainer<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Drainer({:?})", self.ring)
    }
}
