//! Which authors may have more records than a quota: from the counts of dictionaries, without reading a record.
//!
//! ```text
//!   segment      [1 aa..: 3][1 ab..: 7] ...  --\
//!   segment      [1 ab..: 2]            ...  ---+--> merged by term, counts added --> those above
//!   memtables    sorted here            ...  --/
//! ```
//!
//! The counts are upper bounds, as the dead are still in the lists. Memory: the terms of memtables; segments are
//! read a page at a time.

use crate::base::Result;
use crate::segment::TermScan;
use crate::shard::Snapshot;
use std::collections::BTreeMap;

/// The next author of a segment, and its count.
struct Head {
    scan: TermScan,
    term: Vec<u8>,
    count: u64,
}

impl Head {
    /// Steps to the next term that begins with `prefix`; false behind the last.
    fn step(&mut self, prefix: u8) -> Result<bool> {
        match self.scan.next()? {
            Some((term, postings)) if term.first() == Some(&prefix) => {
                self.term.clear();
                self.term.extend_from_slice(term);
                self.count = u64::from(postings.count());
                Ok(true)
            }
            _ => Ok(false),
        }
    }
}

/// Gives the terms with `prefix` under which more than `least` records may live in the shard of `snapshot`, in
/// order. Reads the leaves of the dictionaries that hold such terms.
pub(super) fn above(snapshot: &Snapshot, prefix: u8, least: u64) -> Result<Vec<Vec<u8>>> {
    let mut young: BTreeMap<&[u8], u64> = BTreeMap::new();
    for memtable in snapshot.view.memtables() {
        for (term, postings) in memtable.terms().filter(|(term, _)| term.first() == Some(&prefix)) {
            *young.entry(term).or_default() += u64::from(postings.count());
        }
    }
    let mut heads = Vec::new();
    for live in &snapshot.view.segments {
        let scan = live.segment.terms_from(&[prefix])?;
        let mut head = Head { scan, term: Vec::new(), count: 0 };
        if head.step(prefix)? {
            heads.push(head);
        }
    }
    let mut found = Vec::new();
    let mut young = young.into_iter().peekable();
    loop {
        let old = heads.iter().map(|head| &head.term[..]).min();
        let new = young.peek().map(|(term, _)| *term);
        let Some(term) = old.into_iter().chain(new).min().map(<[u8]>::to_vec) else { break };
        let mut count = young.next_if(|(other, _)| *other == term).map_or(0, |(_, count)| count);
        let mut i = 0;
        while i < heads.len() {
            if heads[i].term == term {
                count += heads[i].count;
                if !heads[i].step(prefix)? {
                    heads.swap_remove(i);
                    continue;
                }
            }
            i += 1;
        }
        if count > least {
            found.push(term);
        }
    }
    Ok(found)
}
