//! What stands in a page of the dictionary or of posting lists, for tools that look at one page, damaged or not.
//!
//! Whatever the bytes, what comes back is bounded by the page; an `Err` says what does not hold.

use super::dictionary::node::{Entry, GROUP, Interior, Leaf, level_of};
pub use super::filter::look_at_parts;
use super::format::{Decoded, get_u32};
use super::postings::block::BLOCK;
use super::postings::run::{HEAD_BYTES, Head, Run};
use super::postings::{Place, Postings};
use crate::base::limits::TERM_BYTES_MAX;

/// Hands the terms of a leaf, in a segment of `records` records, to `visit` with their posting lists.
///
/// # Errors
/// What does not hold, behind what `visit` was given.
pub fn leaf(payload: &[u8], records: u32, visit: &mut dyn FnMut(&[u8], &Postings)) -> Decoded<()> {
    let leaf = Leaf::parse(payload)?;
    let mut term = Vec::new();
    for first in (0..leaf.count()).step_by(GROUP) {
        let mut rest = leaf.group(first / GROUP)?;
        for i in first..leaf.count().min(first + GROUP) {
            let (entry, behind) = Entry::split(rest)?;
            rest = behind;
            let shared = if i == first { 0 } else { entry.shared };
            let kept = leaf.prefix().len() + shared;
            if i == first {
                term = leaf.prefix().to_vec();
            }
            if kept > term.len() || kept + entry.suffix.len() > TERM_BYTES_MAX {
                return Err("a term shares more than there is, or is too long");
            }
            term.truncate(kept);
            term.extend_from_slice(entry.suffix);
            visit(&term, &Postings::parse(entry.tail, records)?);
        }
    }
    Ok(())
}

/// A child of an interior page: what its terms are not below, and its page.
pub type Child<'a> = (&'a [u8], u32);

/// The level of an interior page, and its children.
///
/// # Errors
/// What does not hold.
pub fn interior(payload: &[u8]) -> Decoded<(u8, Vec<Child<'_>>)> {
    let level = level_of(payload);
    let interior = Interior::parse(payload, level)?;
    let child = |i| Ok((interior.separator(i)?, interior.child(i)?));
    Ok((level, (0..interior.count()).map(child).collect::<Decoded<_>>()?))
}

/// What of a posting list stands in one page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OnPage {
    /// Byte of the page at which it begins.
    pub at: usize,
    /// Postings of the list in earlier pages.
    pub rank: u32,
    /// Postings here.
    pub postings: u32,
    /// The first ordinal here.
    pub first: u32,
    /// The last ordinal here.
    pub last: u32,
}

/// The part of `list` in the page of posting lists `number`, if any is.
///
/// # Errors
/// What does not hold.
pub fn list_on(list: &Postings, number: u32, payload: &[u8]) -> Option<Decoded<OnPage>> {
    match *list.place() {
        Place::Shared { page, offset } if page == number => {
            Some(run(payload, usize::from(offset), 0, list.count()))
        }
        Place::Exclusive { page, pages } if number.checked_sub(page).is_some_and(|i| i < pages) => {
            Some(whole_page(list, payload))
        }
        _ => None,
    }
}

/// Where a list stands: the word for it, its page, and then its offset there or how many pages it has.
pub fn place_of(list: &Postings) -> (&'static str, Option<(u32, u32)>) {
    match *list.place() {
        Place::Inline { .. } => ("inline", None),
        Place::Shared { page, offset } => ("shared", Some((page, offset.into()))),
        Place::Exclusive { page, pages } => ("own", Some((page, pages))),
    }
}

fn whole_page(list: &Postings, payload: &[u8]) -> Decoded<OnPage> {
    let head = Head::parse(payload, list.count())?;
    run(payload, HEAD_BYTES, head.rank, head.count)
}

fn run(payload: &[u8], at: usize, rank: u32, postings: u32) -> Decoded<OnPage> {
    let bytes = payload.get(at..).ok_or("a run begins outside its page")?;
    let run = Run::parse(bytes, postings)?;
    let (mut last, mut values) = (None, [0; BLOCK]);
    for i in 0..run.blocks() {
        let count = run.decode(i, &mut values)?;
        for &ordinal in &values[..count] {
            if last.is_some_and(|last| last >= ordinal) {
                return Err("ordinals do not ascend");
            }
            last = Some(ordinal);
        }
    }
    Ok(OnPage { at, rank, postings, first: get_u32(bytes, 0)?, last: last.unwrap_or(0) })
}
