//! Marks of events: author and kind in four bytes, which queries for many authors sift.
//!
//! ```text
//!   | upper 26 bits: of the author's hash | lower 6 bits: the kind if it is below 48, else one of 16 values |
//! ```
//!
//! I1. The upper bits are the highest of the same hash whose lowest choose the shard: in a shard they tell authors apart
//!     as well as anywhere.
//! I2. A mark proves nothing: one author in 67 million has that of another, and who chooses keys can make them share it.
//!     That costs a look at the record, and no answer. Kinds above 47 share theirs with many.

use super::filter::Filter;
use super::format::{KIND_AT, PUBKEY_AT};
use crate::base::hash64;
use crate::query::{SIEVE_TERMS_MIN, Sieve};

const _: () = assert!(PUBKEY_AT == 0);

/// Kinds from 0 on that a mark tells apart: what feeds ask for. The others take the 16 values that are left.
const KINDS_TOLD: u16 = 48;

/// The mark of an event with this body; 0 if it is none.
pub fn mark(body: &[u8]) -> u32 {
    let kind = body.get(KIND_AT..).and_then(|rest| rest.first_chunk());
    let (Some(pubkey), Some(kind)) = (body.first_chunk::<32>(), kind) else { return 0 };
    Sieve::mark_of(of_author(hash64(pubkey)), of_kind(u16::from_le_bytes(*kind)))
}

/// What the mark has of an author, by the hash of the key.
fn of_author(hash: u64) -> u32 {
    (hash >> 38) as u32
}

/// What the mark has of a kind.
fn of_kind(kind: u16) -> u8 {
    if kind < KINDS_TOLD {
        kind as u8
    } else {
        KINDS_TOLD as u8 + (kind.wrapping_mul(40_503) >> 12) as u8
    }
}

/// The marks of what `filter` matches, in the place of `terms` terms of its authors, whose keys have these `hashes`. None if
/// other conditions are likely to lead to less.
pub fn sieve(filter: &Filter, hashes: &[u64], terms: usize) -> Option<Sieve> {
    let alone = filter.ids.is_none() && filter.tags.is_empty() && filter.ranked().is_none();
    if !alone || terms < SIEVE_TERMS_MIN {
        return None;
    }
    let mut authors = hashes.iter().map(|&hash| of_author(hash));
    let mut kinds = filter.kinds.as_ref().map(|kinds| kinds.iter().map(|&kind| of_kind(kind)));
    let kinds = kinds.as_mut().map(|kinds| kinds as &mut dyn Iterator<Item = u8>);
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
        assert_eq!((marked(1, 1, "") & 63, marked(1, 47, "") & 63), (1, 47));
        assert!((48..64).contains(&(marked(1, 30_023, "") & 63)));
        assert_eq!(marked(1, 7, "") >> 6, marked(1, 30_023, "") >> 6);
        assert_ne!(marked(1, 7, "") >> 6, marked(2, 7, "") >> 6);
        let body = event(3, 4, "").body().to_vec();
        for cut in 0..KIND_AT + 2 {
            assert_eq!(mark(&body[..cut]), 0);
        }
    }

    #[test]
    fn every_kind_has_one_of_64_values_and_the_later_ones_share_16_evenly() {
        let mut shared = [0; 64];
        (0..=u16::MAX).for_each(|kind| shared[usize::from(of_kind(kind))] += 1);
        assert!(shared[..48].iter().all(|count| *count == 1), "{shared:?}");
        assert!(shared[48..].iter().all(|count| (4_000..4_200).contains(count)), "{shared:?}");
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
