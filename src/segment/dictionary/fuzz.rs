//! What has to hold of a page of the dictionary, damaged or forged behind a right checksum, for fuzzing.

use super::node::{Entry, GROUP, Interior, Leaf};
use crate::segment::format::Decoded;

/// Terms of a leaf that are looked up.
const LOOKED_UP_MAX: usize = 8;

/// Whatever a page says, what is read lies in it, a walk over it ends, and a leaf whose terms ascend has each of them.
pub(crate) fn dictionary(bytes: &[u8]) {
    let Some((level, bytes)) = bytes.split_first() else { return };
    let forged_leaf = [b"L", bytes].concat();
    let forged_interior = [&[b'N', *level], bytes].concat();
    if let Ok(leaf) = Leaf::parse(&forged_leaf) {
        check_leaf(&leaf, forged_leaf.len());
    }
    if let Ok(interior) = Interior::parse(&forged_interior, *level) {
        assert!(interior.count() * 4 <= forged_interior.len());
        for term in [&b""[..], b"\x01", b"author", &[0xff; 9]] {
            if let Ok(at) = interior.find(term) {
                assert!(at < interior.count() && interior.child(at).is_ok());
            }
        }
        assert!(interior.child(interior.count()).is_err());
    }
}

fn check_leaf(leaf: &Leaf<'_>, bytes: usize) {
    assert!(leaf.count() <= bytes * GROUP && leaf.prefix().len() < bytes);
    let _any = (leaf.find(b""), leaf.find(&[leaf.prefix(), b"x"].concat()));
    let Ok(terms) = terms(leaf) else { return };
    let total: usize = terms.iter().map(|(_, tail)| tail.len()).sum();
    assert!(total <= bytes * GROUP);
    if terms.is_sorted_by(|a, b| a.0 < b.0) {
        let step = terms.len() / LOOKED_UP_MAX + 1;
        for (term, tail) in terms.iter().step_by(step) {
            let found = leaf.find(term);
            // What an entry has in common with the one before it may be said too short: then it is not found.
            assert!(matches!(found, Ok(None)) || found == Ok(Some(tail)), "{term:02x?}: {found:?}");
        }
    }
}

type Terms<'a> = Vec<(Vec<u8>, &'a [u8])>;

/// The terms of a leaf, with the tails of their entries.
fn terms<'a>(leaf: &Leaf<'a>) -> Decoded<Terms<'a>> {
    let mut terms: Terms<'a> = Vec::new();
    for group in 0..leaf.count().div_ceil(GROUP) {
        let mut rest = leaf.group(group)?;
        let mut last = Vec::new();
        for _ in 0..(leaf.count() - group * GROUP).min(GROUP) {
            let (entry, behind) = Entry::split(rest)?;
            assert!(entry.suffix.len() + entry.tail.len() < rest.len());
            rest = behind;
            let shared = last.get(..entry.shared).ok_or("more is shared than there is")?;
            last = [shared, entry.suffix].concat();
            terms.push(([leaf.prefix(), &last].concat(), entry.tail));
        }
    }
    Ok(terms)
}
