//! What a rule is: which records, how much of them stays; and the words of the model above.

use crate::model::Record;
use crate::query::{AnyOf, Expiry, Matches, Select};
use std::sync::Arc;

/// Bytes that a record is taken to need beyond its body: key, columns, postings, its share of dictionary and
/// filters. Rules count by this constant and not by the files, so that a quota means the same before and after a
/// compaction. The generated mix takes 120 (a segment of 37,018 records, 25.6 MB, of which 21.1 MB are bodies).
pub const RECORD_OVERHEAD_BYTES: u64 = 128;

/// What stays of a selection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Keep {
    /// Records of the last so many seconds: one goes when `now - time` is more.
    Age(u64),
    /// The newest so many records.
    Count(u64),
    /// The newest records that take so many bytes together: bodies, and `RECORD_OVERHEAD_BYTES` each.
    Bytes(u64),
    /// As many of the newest records as leave the segments' files below so many bytes, with the dead that
    /// compaction has not dropped yet: live records get the limit less `garbage_percent`.
    DiskBytes(u64),
}

/// One rule.
#[derive(Clone, Debug)]
pub struct Rule {
    /// For figures and logs.
    pub name: String,
    /// The records that it is about. Limits of the selection do not count.
    pub what: Select,
    /// What stays of them.
    pub keep: Keep,
    /// Whether `keep` is meant for the records of each author, and not for all together. Counts only with
    /// `Count` and `Bytes`, and if the words name authors.
    pub each_author: bool,
}

/// All rules of a store. Without rules only the expired go.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// What stays, rule by rule.
    pub rules: Vec<Rule>,
    /// Records that no rule removes. The cheap form is one list of terms (`Select::all_of`).
    pub protect: Vec<Select>,
    /// What the model calls author, kind and expired.
    pub words: Words,
}

/// What only the model's own floor knows.
#[derive(Clone, Copy, Debug, Default)]
pub struct Words {
    /// Authors, for rules about each of them.
    pub author: Option<AuthorTerms>,
    /// A record's kind, for figures.
    pub kind: Option<fn(Record<'_>) -> u64>,
    /// Records that go at a time of their own.
    pub expiry: Option<Expiry>,
}

/// The terms of authors. All records of an author are in one shard (`Model::route`).
#[derive(Clone, Copy, Debug)]
pub struct AuthorTerms {
    /// First byte of every author's term, and of no other term.
    pub prefix: u8,
    /// The rest of the term of a record's author.
    pub of: for<'a> fn(Record<'a>) -> Option<&'a [u8]>,
}

/// Bytes that a record is accounted with.
pub(super) fn bytes_of(record: Record<'_>) -> u64 {
    record.body.len() as u64 + RECORD_OVERHEAD_BYTES
}

impl Rules {
    /// Of `what`, the records that a rule may remove at `now`: those that are neither protected nor expired. Its
    /// function has to be asked of every record, for lists decide only part of it.
    pub(super) fn removable(&self, what: &Select, now: u64) -> Select {
        let mut select = Select { limit: None, ..what.clone() };
        for protected in &self.protect {
            // What one list of terms decides is left out by that list, and never read.
            if let Some(terms) = one_list(protected) {
                select.none_of.extend(terms.iter().cloned());
            }
        }
        select.none_of.sort_unstable();
        select.none_of.dedup();
        let what = what.matches.clone();
        let protect: Vec<Matches> = self.protect.iter().map(|p| p.matches.clone()).collect();
        let expiry = self.words.expiry;
        let may_go = move |record: Record<'_>| {
            what(record)
                && !expiry.is_some_and(|expiry| (expiry.is_over)(record, now))
                && !protect.iter().any(|protected| protected(record))
        };
        select.matches = Arc::new(may_go);
        select
    }
}

fn one_list(select: &Select) -> Option<&AnyOf> {
    let plain = select.ids.is_none()
        && select.none_of.is_empty()
        && (select.since, select.until) == (0, u64::MAX);
    match &select.all_of[..] {
        [terms] if plain => Some(terms),
        _ => None,
    }
}

/// `what`, of the authors with these terms only.
pub(super) fn of_authors(what: &Select, terms: Vec<Vec<u8>>, matches: Matches) -> Select {
    let mut select = Select { limit: None, matches, ..what.clone() };
    select.all_of.push(terms.into());
    select
}
