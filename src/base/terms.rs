//! A reusable list of terms in one allocation: what a record is indexed under.
//!
//! A term is a byte string of 1 to `TERM_BYTES_MAX` bytes. Its first byte is the field it belongs to;
//! what follows is that model's affair. Longer values are hashed by the model (SHA-256), never cut.

use super::limits::TERM_BYTES_MAX;

/// Terms of one record, in any order until [`Terms::seal`] sorts them and drops repetitions.
#[derive(Clone, Debug)]
pub struct Terms {
    bytes: Vec<u8>,
    spans: Vec<Span>,
    /// Nothing was added since `seal`, or ever.
    is_sealed: bool,
}

/// Where a term stands in `bytes`.
#[derive(Clone, Copy, Debug)]
struct Span {
    /// [`prefix`] of the term, so that two terms are mostly told apart without their bytes.
    prefix: u64,
    start: u32,
    end: u32,
}

/// The first eight bytes of `term` as a number, zeros behind a shorter one: terms are never in another order than their
/// prefixes, if these differ.
pub fn prefix(term: &[u8]) -> u64 {
    let mut first = [0; 8];
    match term.first_chunk() {
        Some(whole) => first = *whole,
        None => first[..term.len()].copy_from_slice(term),
    }
    u64::from_be_bytes(first)
}

/// Sorts numbers, each behind the [`prefix`] of its term, by their terms.
pub fn sort_by_term<'a>(numbers: &mut [(u64, u32)], term: impl Fn(u32) -> &'a [u8]) {
    numbers.sort_unstable_by(|x, y| x.0.cmp(&y.0).then_with(|| term(x.1).cmp(term(y.1))));
}

impl Default for Terms {
    fn default() -> Terms {
        Terms { bytes: Vec::new(), spans: Vec::new(), is_sealed: true }
    }
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
        self.is_sealed = true;
    }

    /// Adds the term made of `parts` in a row.
    ///
    /// # Panics
    /// If the term is empty or longer than `TERM_BYTES_MAX`: the model has to see to that.
    pub fn push(&mut self, parts: &[&[u8]]) {
        let start = self.bytes.len();
        parts.iter().for_each(|p| self.bytes.extend_from_slice(p));
        let term = &self.bytes[start..];
        assert!((1..=TERM_BYTES_MAX).contains(&term.len()), "a term of {} bytes", term.len());
        let (prefix, end) = (prefix(term), self.bytes.len() as u32);
        self.is_sealed = false;
        self.spans.push(Span { prefix, start: start as u32, end });
    }

    /// Sorts the terms and drops repetitions, so that a record stands once in each posting list.
    pub fn seal(&mut self) {
        let bytes = &self.bytes;
        let at = |span: &Span| &bytes[span.start as usize..span.end as usize];
        self.spans.sort_unstable_by(|x, y| x.prefix.cmp(&y.prefix).then_with(|| at(x).cmp(at(y))));
        self.spans.dedup_by(|x, y| x.prefix == y.prefix && at(x) == at(y));
        self.is_sealed = true;
    }

    /// Whether the terms ascend, each once: `seal` was called since one was added, or there is none.
    pub fn is_sealed(&self) -> bool {
        self.is_sealed
    }

    /// The terms.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.spans.iter().map(|span| &self.bytes[span.start as usize..span.end as usize])
    }

    /// The terms, each behind its [`prefix`].
    pub fn prefixed(&self) -> impl Iterator<Item = (u64, &[u8])> {
        self.spans.iter().zip(self.iter()).map(|(span, term)| (span.prefix, term))
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
    use std::collections::BTreeSet;

    #[test]
    fn sealed_terms_are_the_set_of_what_was_pushed_whatever_they_begin_with() {
        // Every text of up to nine bytes of two kinds that agrees with others in its first eight, or ends within them.
        let mut wanted = BTreeSet::new();
        let mut terms = Terms::new();
        for len in 1..=10 {
            for bits in 0..1u32 << 4 {
                let term: Vec<u8> = (0..len)
                    .map(|i| if i + 4 < len { 0 } else { (bits >> (i % 4)) as u8 & 1 })
                    .collect();
                terms.push(&[&term[..1], &term[1..]]);
                terms.push(&[&term]);
                wanted.insert(term);
            }
        }
        terms.seal();
        assert!(terms.iter().eq(wanted.iter().map(Vec::as_slice)));
    }

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
