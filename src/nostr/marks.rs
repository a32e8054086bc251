//! Marks of events: author and kind in four bytes, which queries for many authors sift.
//!
//! ```text
//!   | upper 16 bits: of the author's hash | lower 16 bits: the kind |
//! ```
//!
//! I1. The upper bits are the highest of the same hash whose lowest choose the shard: in a shard they tell authors apart
//!     as well as anywhere.
//! I2. A mark proves nothing: two authors in 65,536 share theirs, and who chooses keys can make them share it. That
//!     costs a look at the record, and no answer.

use super::filter::Filter;
use super::format::{KIND_AT, PUBKEY_AT};
use crate::base::hash64;
use crate::query::{SIEVE_TERMS_MIN, Sieve};

const _: () = assert!(PUBKEY_AT == 0);

/// The mark of an event with this body; 0 if it is none.
pub fn mark(body: &[u8]) -> u32 {
    let kind = body.get(KIND_AT..).and_then(|rest| rest.first_chunk());
    let (Some(pubkey), Some(kind)) = (body.first_chunk::<32>(), kind) else { return 0 };
    u32::from(of_author(hash64(pubkey))) << 16 | u32::from(u16::from_le_bytes(*kind))
}

/// What the mark has of an author, by the hash of the key.
fn of_author(hash: u64) -> u16 {
    (hash >> 48) as u16
}

/// The marks of what `filter` matches, in the place of `terms` terms of its authors, whose keys have these `hashes`. None if
/// other conditions are likely to lead to less.
pub fn sieve(filter: &Filter, hashes: &[u64], terms: usize) -> Option<Sieve> {
    let alone = filter.ids.is_none() && filter.tags.is_empty() && filter.ranked().is_none();
    if !alone || terms < SIEVE_TERMS_MIN {
        return None;
    }
    let mut authors = hashes.iter().map(|&hash| of_author(hash));
    let mut kinds = filter.kinds.as_ref().map(|kinds| kinds.iter().copied());
    let kinds = kinds.as_mut().map(|kinds| kinds as &mut dyn Iterator<Item = u16>);
    Some(Sieve::new(mark, Some(&mut authors), kinds, terms))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nostr::Event;

    #[test]
    fn a_mark_is_of_author_and_kind_and_of_any_bytes() {
        let event = |key: u8, kind: u16, text: &str| {
            Event::from_parts([key; 32], 9, kind, &[] as &[Vec<&str>], text)
        };
        let marked = |key, kind, text| mark(event(key, kind, text).body());
        assert_eq!(marked(1, 30_023, "a"), marked(1, 30_023, "b"));
        assert_eq!(marked(1, 30_023, "") & 0xffff, 30_023);
        assert_eq!(marked(1, 7, "") >> 16, marked(1, 9, "") >> 16);
        assert_ne!(marked(1, 7, "") >> 16, marked(2, 7, "") >> 16);
        let body = event(3, 4, "").body().to_vec();
        for cut in 0..KIND_AT + 2 {
            assert_eq!(mark(&body[..cut]), 0);
        }
    }

    #[test]
    fn only_filters_of_many_authors_are_sifted() {
        let of = |count: usize| Filter {
            authors: Some((0..count).map(|n| [n as u8; 32]).collect()),
            ..Filter::default()
        };
        let sifts = |filter: &Filter| {
            let authors = filter.authors.as_ref().unwrap();
            let hashes: Vec<u64> = authors.iter().map(|author| hash64(author)).collect();
            sieve(filter, &hashes, hashes.len()).is_some()
        };
        assert!(sifts(&of(SIEVE_TERMS_MIN)) && !sifts(&of(SIEVE_TERMS_MIN - 1)));
        assert!(!sifts(&Filter { ids: Some(vec![[1; 32]]), ..of(40) }));
        assert!(!sifts(&Filter { tags: vec![(b't', vec!["x".into()])], ..of(40) }));
    }
}
