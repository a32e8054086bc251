//! A reusable list of terms in one allocation: what a record is indexed under.
//!
//! A term is a byte string of 1 to `TERM_BYTES_MAX` bytes. Its first byte is the field it belongs to;
//! what follows is that model's affair. Longer values are hashed by the model (SHA-256), never cut.

use super::limits::TERM_BYTES_MAX;

/// Terms of one record, in any order until [`Terms::seal`] sorts them and drops repetitions.
#[derive(Default, Clone, Debug)]
pub struct Terms {
    bytes: Vec<u8>,
    /// Start and end of each term in `bytes`.
    spans: Vec<(u32, u32)>,
}

impl Terms {
    /// An empty list.
    pub fn new() -> Terms {
        Terms::default()
    }

    /// Empties the list and keeps its memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.spans.clear();
    }

    /// Adds the term made of `parts` in a row.
    ///
    /// # Panics
    /// If the term is empty or longer than `TERM_BYTES_MAX`: the model has to see to that.
    pub fn push(&mut self, parts: &[&[u8]]) {
        let start = self.bytes.len();
        parts.iter().for_each(|p| self.bytes.extend_from_slice(p));
        let len = self.bytes.len() - start;
        assert!((1..=TERM_BYTES_MAX).contains(&len), "a term of {len} bytes");
        self.spans.push((start as u32, self.bytes.len() as u32));
    }

    /// Sorts the terms and drops repetitions, so that a record stands once in each posting list.
    pub fn seal(&mut self) {
        let bytes = &self.bytes;
        let at = |&(a, b): &(u32, u32)| &bytes[a as usize..b as usize];
        self.spans.sort_unstable_by(|x, y| at(x).cmp(at(y)));
        self.spans.dedup_by(|x, y| at(x) == at(y));
    }

    /// The terms.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.spans.iter().map(|&(a, b)| &self.bytes[a as usize..b as usize])
    }

    /// How many terms there are.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sealing_sorts_and_drops_repetitions() {
        let mut terms = Terms::new();
        terms.push(&[b"b"]);
        terms.push(&[b"a", b"c"]);
        terms.push(&[b"b"]);
        terms.seal();
        assert_eq!(terms.iter().collect::<Vec<_>>(), vec![&b"ac"[..], b"b"]);
        terms.clear();
        assert!(terms.is_empty());
    }
}
