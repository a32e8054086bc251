//! Many terms looked up together: down the tree level by level, each page pinned once.
//!
//! ```text
//!   terms, ascending --> root --> the pages of a level, asked for together --> ... --> leaves, likewise
//! ```
//!
//! A filter of hundreds of authors would otherwise wait for one leaf after the other; so it waits once for
//! each level, and a page that serves several terms is parsed once.

use super::Dictionary;
use super::node::{Interior, Leaf};
use crate::base::Result;
use crate::segment::pages::Pages;
use crate::segment::postings::Postings;
use std::ops::Range;

/// Pages asked for at a time: twice what a shard's ring has in flight.
const PAGES_AHEAD: usize = 256;

/// A page, and the terms that lead to it.
type Visit = (u32, Range<usize>);

impl Dictionary {
    /// Appends the posting lists of those of `terms`, which ascend, that are here.
    ///
    /// # Errors
    /// `Io` and `Corrupt` as a page read says; `out` is then unspecified from its old end on.
    pub fn find_all(&self, pages: &Pages, terms: &[&[u8]], out: &mut Vec<Postings>) -> Result<()> {
        debug_assert!(terms.is_sorted());
        if self.levels == 0 || terms.is_empty() {
            return Ok(());
        }
        let mut visits = vec![(self.root, 0..terms.len())];
        for level in (1..self.levels).rev() {
            let mut below: Vec<Visit> = Vec::with_capacity(terms.len());
            ahead(pages, &visits, |(number, of)| {
                let page = self.page(pages, *number, level)?;
                let interior = Interior::parse(&page, level);
                let interior = interior.map_err(|what| pages.corrupt(*number, what))?;
                for i in of.clone() {
                    let child = interior.find(terms[i]).and_then(|at| interior.child(at));
                    let child = child.map_err(|what| pages.corrupt(*number, what))?;
                    match below.last_mut() {
                        Some((last, of)) if *last == child => of.end = i + 1,
                        _ => below.push((child, i..i + 1)),
                    }
                }
                Ok(())
            })?;
            visits = below;
        }
        ahead(pages, &visits, |(number, of)| {
            let page = self.page(pages, *number, 0)?;
            let leaf = Leaf::parse(&page).map_err(|what| pages.corrupt(*number, what))?;
            for term in &terms[of.clone()] {
                let tail = leaf.find(term).map_err(|what| pages.corrupt(*number, what))?;
                let list = tail.map(|tail| Postings::parse(tail, self.records)).transpose();
                out.extend(list.map_err(|what| pages.corrupt(*number, what))?);
            }
            Ok(())
        })
    }
}

/// Asks for the pages of some visits together, then makes them, and so on.
fn ahead(
    pages: &Pages,
    visits: &[Visit],
    mut visit: impl FnMut(&Visit) -> Result<()>,
) -> Result<()> {
    for some in visits.chunks(PAGES_AHEAD) {
        if let [_, _, ..] = some {
            let numbers: Vec<u32> = some.iter().map(|(number, _)| *number).collect();
            pages.prefetch(&numbers);
        }
        some.iter().try_for_each(&mut visit)?;
    }
    Ok(())
}
