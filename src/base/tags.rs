//! A table from hashes to numbers, in memory, of one thread: what a hash may stand for, in one miss of the cache.
//!
//! ```text
//!   hash >> 32 = tag     slots  [ 0 | tag, n | tag, n | 0 | tag, n | .. ]     place: the upper bits of the tag
//! ```
//!
//! Open addressing, slot by slot. A lookup yields *candidates*, since different keys may have one tag: the owner
//! compares. Places are the upper bits, so that doubling is one walk through both tables from start to end.
//!
//! I1. At most three quarters of the slots are taken, so that every lookup ends.

/// Binary logarithm of the slots of the first table.
const BITS_MIN: u32 = 8;

/// The table. A number is below 2^32 - 1.
#[derive(Default)]
pub struct Tags {
    /// A tag in the upper half and a number, plus 1, in the lower; 0 if nothing is there.
    slots: Vec<u64>,
    bits: u32,
    count: usize,
}

/// A lookup on its way.
#[derive(Clone, Copy, Debug)]
pub struct Cursor {
    tag: u64,
    at: usize,
}

impl Tags {
    /// Begins the lookup of `hash`.
    pub fn cursor(&self, hash: u64) -> Cursor {
        let tag = hash >> u32::BITS;
        Cursor { tag, at: self.place_of(tag) }
    }

    /// The next number that was inserted under a hash with this tag. The table is as it was when the lookup began.
    pub fn next(&self, cursor: &mut Cursor) -> Option<u32> {
        loop {
            let slot = *self.slots.get(cursor.at)?;
            if slot == 0 {
                return None;
            }
            cursor.at = (cursor.at + 1) & (self.slots.len() - 1);
            if slot >> u32::BITS == cursor.tag {
                return Some(slot as u32 - 1);
            }
        }
    }

    /// Inserts `number` under `hash`. Every doubling costs a walk over all slots.
    pub fn insert(&mut self, hash: u64, number: u32) {
        if self.count + 1 > limit(self.slots.len()) {
            self.bits = (self.bits + 1).max(BITS_MIN);
            let old = std::mem::replace(&mut self.slots, vec![0; 1 << self.bits]);
            old.into_iter().filter(|&slot| slot != 0).for_each(|slot| self.put(slot));
        }
        self.put(hash >> u32::BITS << u32::BITS | (u64::from(number) + 1));
        self.count += 1;
    }

    /// Bytes of memory.
    pub fn bytes(&self) -> usize {
        size_of_val(&*self.slots)
    }

    /// Bytes that `more` insertions add.
    pub fn growth(&self, more: usize) -> usize {
        let mut slots = self.slots.len();
        while self.count + more > limit(slots) {
            slots = (slots * 2).max(1 << BITS_MIN);
        }
        (slots - self.slots.len()) * size_of::<u64>()
    }

    fn put(&mut self, slot: u64) {
        let mut at = self.place_of(slot >> u32::BITS);
        while self.slots[at] != 0 {
            at = (at + 1) & (self.slots.len() - 1);
        }
        self.slots[at] = slot;
    }

    fn place_of(&self, tag: u64) -> usize {
        (tag >> (u32::BITS - self.bits)) as usize
    }
}

/// Numbers that a table of `slots` slots takes (I1).
fn limit(slots: usize) -> usize {
    slots / 4 * 3
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn all(tags: &Tags, hash: u64) -> Vec<u32> {
        let mut cursor = tags.cursor(hash);
        let mut found: Vec<u32> = std::iter::from_fn(|| tags.next(&mut cursor)).collect();
        found.sort_unstable();
        found
    }

    #[test]
    fn every_number_is_found_under_its_tag_and_no_other_while_the_table_grows() {
        // Tags that spread, tags that are all in the last places, which wrap around, and few tags for many numbers.
        let spread: fn(u64) -> u64 = |n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        for hash in [spread, |n| !n << 20, |n| (n % 7) << 60 | n] {
            let (mut tags, mut twin) = (Tags::default(), BTreeMap::<u64, Vec<u32>>::new());
            assert!(all(&tags, 5).is_empty());
            for n in 0..3000u32 {
                let hash = hash(n.into());
                let before = tags.bytes() + tags.growth(1);
                tags.insert(hash, n);
                assert_eq!(tags.bytes(), before);
                twin.entry(hash >> 32).or_default().push(n);
            }
            for n in 0..6000 {
                let none = Vec::new();
                assert_eq!(&all(&tags, hash(n)), twin.get(&(hash(n) >> 32)).unwrap_or(&none));
            }
        }
    }

    #[test]
    fn growth_says_what_many_insertions_add() {
        for more in [0, 1, 192, 193, 5000] {
            let mut tags = Tags::default();
            let bytes = tags.growth(more);
            (0..more).for_each(|n| tags.insert((n as u64) << 32, n as u32));
            assert_eq!(tags.bytes(), bytes);
        }
    }
}
