//! A hash index from 64-bit hashes to dense numbers, insert-only, that grows without ever moving a
//! node: a split-ordered list.
//!
//! ```text
//!   buckets   [0]------+   [2] not split yet   [1]------+   [3]------+
//!                      v                                v            v
//!   list      .. bucket 0 -> node -> node -> node -> bucket 1 -> bucket 3 -> node -> end
//! ```
//!
//! All nodes stand in one list, ordered by their *reversed* hash, and a bucket is a way into it.
//! Doubling the buckets is one store; a new bucket is linked into the list of its parent (its number
//! without the highest bit) when the first insertion needs it. So no insertion ever rehashes, memory
//! follows the number of nodes, and a reader that finds a bucket not split starts from its parent.
//!
//! A node's key is 31 bits of the hash, so a lookup yields *candidates*: the owner compares.
//! Among nodes of equal key the newest comes first. Most look-ups of what is not there end at a bit (`Seen`): a bitmap
//! of a few hundred KiB is in the cache, what a walk leads to is not.
//!
//! Invariants:
//! I1. Keys never fall along the list; a bucket stands before all nodes that hash into it.
//! I2. Number `n` is inserted as the `n`-th.
//! I3. Only one thread calls `insert`.
//! I4. A split bucket's parent is split.
//! I5. The bit of every hash that was inserted is set.
//!
//! Publication: a node's key and successor are written relaxed, then the predecessor's link to it with
//! release; a reader loads every link with acquire, so that it sees the node and its value whole, and
//! whatever the writer did before. The count of buckets publishes nothing: by I1 any start at or before
//! the right one is right. A bit is set before the node is linked, relaxed: who knows of the node by what the shard
//! publishes (`visible`) knows the bit. The loom model is in `model.rs`.
//!
//! After: Shalev and Shavit, "Split-Ordered Lists: Lock-Free Extensible Hash Tables", JACM 2006.

use super::slots::Column;
use super::sync::{AtomicU32, AtomicU64, Ordering};
use crossbeam::utils::CachePadded;
use std::cmp::Ordering::{Equal, Greater, Less};

/// `UNSPLIT` (a bucket not split), a node's number + 1, `BUCKET` and a bucket, or `END`.
pub(super) type Link = u32;
const UNSPLIT: u32 = 0;
const BUCKET: u32 = 1 << 31;
pub(super) const END: u32 = u32::MAX;

#[derive(Default)]
struct Node<T> {
    key: AtomicU32,
    next: AtomicU32,
    value: T,
}

/// The index. A node carries a value of its owner's, made of atomics, beside its links: what a lookup
/// leads to is on the cache line that it stands on.
pub(super) struct Index<T> {
    seen: Seen,
    nodes: Column<Node<T>>,
    buckets: Column<AtomicU32>,
    /// Binary logarithm of the number of buckets; it only grows.
    bits: CachePadded<AtomicU32>,
    bits_max: u32,
}

impl<T: Default> Index<T> {
    /// An empty index for at most `nodes` nodes (at least one) in at most `2^bits_max` buckets, and with a bitmap of some
    /// `seen_bytes` bytes.
    pub(super) fn new(nodes: usize, bits_max: u32, seen_bytes: usize) -> Index<T> {
        // With less than two buckets a node, every lookup is a step or two.
        let bits_max = bits_max.min(nodes.max(1).ilog2() + 1).min(30);
        Index {
            seen: Seen::new(seen_bytes),
            nodes: Column::new(nodes),
            buckets: Column::new(1 << bits_max),
            bits: CachePadded::default(),
            bits_max,
        }
    }

    /// Bytes allocated.
    pub(super) fn bytes(&self) -> usize {
        self.seen.bytes() + self.nodes.bytes() + self.buckets.bytes()
    }

    /// Bytes that insertions up to `count` nodes in all may add.
    pub(super) fn growth(&self, count: usize) -> usize {
        let bits = self.bits.load(Ordering::Relaxed);
        let bits = bits.max(count.max(1).ilog2() + 1).min(self.bits_max);
        self.nodes.growth(count) + self.buckets.growth(1 << bits)
    }

    /// The nodes that may have been inserted under `hash`, newest first.
    pub(super) fn candidates(&self, hash: u64) -> Candidates<'_, T> {
        let next = if self.seen.may_have(hash) { self.enter(hash) } else { END };
        Candidates { index: self, key: node_key(hash), next }
    }

    /// The link out of the bucket of `hash`, or of the nearest ancestor that is split: one load, of a
    /// line that is seldom cached.
    pub(super) fn enter(&self, hash: u64) -> Link {
        let mut bucket = self.bucket(hash);
        loop {
            match self.buckets.get(bucket).map_or(UNSPLIT, |b| b.load(Ordering::Acquire)) {
                UNSPLIT if bucket == 0 => return END,
                UNSPLIT => bucket = parent(bucket),
                link => return link,
            }
        }
    }

    /// The value of a node that was inserted.
    pub(super) fn value(&self, number: u32) -> &T {
        &self.nodes.at(number).value
    }

    /// All nodes that are there now, in no order of use. One that is inserted meanwhile may be missed.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        let mut next = self.enter(0);
        std::iter::from_fn(move || {
            while next != END {
                let at = next;
                next = self.link(at).load(Ordering::Acquire);
                if at & BUCKET == 0 {
                    return Some((at - 1, self.value(at - 1)));
                }
            }
            None
        })
    }

    /// Inserts the next number under `hash`, with the value that `fill` writes. Writer only (I3).
    pub(super) fn insert(&self, hash: u64, number: u32, fill: impl FnOnce(&T)) {
        // 1. The node, which no reader sees yet.
        let key = node_key(hash);
        let node = self.nodes.make(number);
        node.key.store(key, Ordering::Relaxed);
        fill(&node.value);
        self.seen.set(hash); // I5
        // 2. In front of the first key that is not below its own, so that the newest comes first.
        let before = self.seek(self.split(self.bucket(hash)), key);
        node.next.store(before.load(Ordering::Relaxed), Ordering::Relaxed);
        before.store(number + 1, Ordering::Release);
        // 3. More than one node a bucket: twice the buckets.
        let bits = self.bits.load(Ordering::Relaxed);
        if number >= 1 << bits && bits < self.bits_max {
            self.bits.store(bits + 1, Ordering::Relaxed);
        }
    }

    fn bucket(&self, hash: u64) -> u32 {
        hash as u32 & ((1 << self.bits.load(Ordering::Relaxed)) - 1)
    }

    /// The link of a bucket, which is split off its parent if it was not yet. Writer only. The depth of
    /// the recursion is at most the number of bits.
    fn split(&self, bucket: u32) -> &AtomicU32 {
        let link = self.buckets.make(bucket);
        if link.load(Ordering::Relaxed) != UNSPLIT {
            return link;
        }
        if bucket == 0 {
            link.store(END, Ordering::Release);
            return link;
        }
        let before = self.seek(self.split(parent(bucket)), bucket.reverse_bits());
        // The way in first, the way past it after: at no moment does a reader miss a node.
        link.store(before.load(Ordering::Relaxed), Ordering::Release);
        before.store(BUCKET | bucket, Ordering::Release);
        link
    }

    /// The last link, from `from` on, whose target's key is `key` or higher while all before are lower.
    /// Writer only.
    fn seek<'a>(&'a self, mut from: &'a AtomicU32, key: u32) -> &'a AtomicU32 {
        loop {
            let to = from.load(Ordering::Relaxed);
            if to == END || self.key(to) >= key {
                return from;
            }
            from = self.link(to);
        }
    }

    /// The key of what a link leads to.
    pub(super) fn key(&self, to: Link) -> u32 {
        match to & BUCKET {
            0 => self.nodes.at(to - 1).key.load(Ordering::Relaxed),
            _ => (to & !BUCKET).reverse_bits(),
        }
    }

    /// The link out of what a link leads to.
    pub(super) fn link(&self, to: Link) -> &AtomicU32 {
        match to & BUCKET {
            0 => &self.nodes.at(to - 1).next,
            _ => self.buckets.at(to & !BUCKET),
        }
    }
}

/// A bit for each hash that was inserted, by its upper half; different hashes may share one.
struct Seen {
    words: Box<[AtomicU64]>,
}

impl Seen {
    fn new(bytes: usize) -> Seen {
        let words = (bytes / size_of::<u64>()).max(1).next_power_of_two();
        Seen { words: (0..words).map(|_| AtomicU64::default()).collect() }
    }

    fn bytes(&self) -> usize {
        size_of_val(&*self.words)
    }

    fn place(&self, hash: u64) -> (&AtomicU64, u64) {
        let bit = (hash >> u32::BITS) as usize & (self.words.len() * 64 - 1);
        (&self.words[bit / 64], 1 << (bit % 64))
    }

    fn may_have(&self, hash: u64) -> bool {
        let (word, bit) = self.place(hash);
        word.load(Ordering::Relaxed) & bit != 0
    }

    /// Writer only.
    fn set(&self, hash: u64) {
        let (word, bit) = self.place(hash);
        word.store(word.load(Ordering::Relaxed) | bit, Ordering::Relaxed);
    }
}

/// Where a node stands in the list. Odd, while the keys of buckets are even: a bucket's key is the
/// lowest of what hashes into it.
pub(super) fn node_key(hash: u64) -> u32 {
    (hash as u32).reverse_bits() | 1
}

fn parent(bucket: u32) -> u32 {
    bucket & !(1 << bucket.ilog2())
}

/// A walk over the nodes whose key is that of a hash.
pub(super) struct Candidates<'a, T> {
    index: &'a Index<T>,
    pub(super) key: u32,
    pub(super) next: Link,
}

impl<T: Default> Candidates<'_, T> {
    /// Goes on to the next node of the key, or to the end.
    fn settle(&mut self) {
        while self.next != END {
            match self.index.key(self.next).cmp(&self.key) {
                Less => self.next = self.index.link(self.next).load(Ordering::Acquire),
                Equal => return,
                Greater => self.next = END,
            }
        }
    }
}

impl<'a, T: Default> Iterator for Candidates<'a, T> {
    type Item = (u32, &'a T);

    fn next(&mut self) -> Option<(u32, &'a T)> {
        self.settle();
        if self.next == END {
            return None;
        }
        let number = self.next - 1;
        self.next = self.index.link(self.next).load(Ordering::Acquire);
        Some((number, self.index.value(number)))
    }
}
