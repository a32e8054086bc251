//! One segment: its pages, then its records, then its terms, and that the three say the same.
//!
//! ```text
//!   1 every page, in large reads in order: checksum, place          damaged pages are remembered
//!   2 every record: key ascends, id found by the index and the filter, body known to the model
//!   3 every term: ascending, in the filter, as many postings as the dictionary says
//!   4 the sum of postings by records equals that by terms; if not, exact.rs names who is wrong
//! ```
//!
//! What a damaged page makes unreadable is not said again in 2 to 4.

use super::sum::{self, Sum};
use super::{Scene, exact, page_bytes, what_of};
use crate::base::{Error, Key, Ordinal, Result, Terms};
use crate::io::Buf;
use crate::maintain::report::Notebook;
use crate::model::Record;
use crate::pool::format::check_page;
use crate::segment::{Body, Segment, file_name};
use crate::shard::Config;
use crate::shard::format::ManifestSegment;
use std::collections::HashSet;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;

/// Bytes of one read of pages: the device's full rate is reached.
const READ_BYTES: usize = 1 << 20;

/// Findings of one segment beside those of pages, so that one fault is not said a million times.
const SAID_MAX: usize = 100;

/// The look at one segment.
pub(super) struct Look<'a, 'b, 'c> {
    pub(super) scene: &'a Scene<'a>,
    pub(super) config: &'a Config,
    pub(super) path: PathBuf,
    pub(super) book: &'b mut Notebook<'c>,
    /// Offsets of pages that were said to be damaged.
    damaged: HashSet<u64>,
    said: usize,
}

/// Looks at one segment; false if there is no such file.
pub(super) fn check(
    scene: &Scene<'_>,
    config: &Config,
    listed: &ManifestSegment,
    book: &mut Notebook<'_>,
) -> Result<bool> {
    let path = config.dir.join(file_name(listed.id));
    // Opened first: a file that vanishes later stays readable.
    let opened = scene.open(config, listed.id);
    if opened.as_ref().is_err_and(is_gone) {
        return Ok(false);
    }
    let counts = &mut book.report.counts;
    counts.files += 1;
    counts.segments += 1;
    counts.dead += listed.dead.len() as u64;
    let mut look = Look { scene, config, path, book, damaged: HashSet::new(), said: 0 };
    // 1
    look.pages(&listed.id.0)?;
    let segment = match opened {
        Ok(segment) => segment,
        Err(error) => return look.unreadable(error, "header").map(|()| true),
    };
    if !segment.load_filters() && look.damaged.is_empty() {
        look.say(None, "filter", "the filters are not what was written");
    }
    if segment.records() != listed.records {
        let what = format!(
            "it holds {} records where the manifest lists {}",
            segment.records(),
            listed.records
        );
        look.say(0, "count", what);
    }
    // 2
    let by_records = look.records(&segment)?;
    // 3
    let by_terms = look.terms(&segment)?;
    // 4
    if let (Some(records), Some(terms)) = (by_records, by_terms)
        && records != terms
    {
        exact::name(&mut look, &segment)?;
    }
    Ok(true)
}

/// Whether the file is not there.
fn is_gone(error: &Error) -> bool {
    matches!(error, Error::Io { source, .. } if source.kind() == ErrorKind::NotFound)
}

impl Look<'_, '_, '_> {
    /// A problem of this segment, if not too many were said.
    pub(super) fn say(
        &mut self,
        offset: impl Into<Option<u64>>,
        kind: &'static str,
        what: impl Into<String>,
    ) {
        self.said += 1;
        if self.said <= SAID_MAX {
            self.book.problem(&self.path, offset, kind, what);
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.said >= SAID_MAX
    }

    /// Takes an error of a read for a finding, once for each page.
    pub(super) fn unreadable(&mut self, error: Error, kind: &'static str) -> Result<()> {
        match &error {
            Error::Corrupt { offset, .. } => {
                if self.damaged.insert(*offset) {
                    self.say(*offset, kind, what_of(&error));
                }
                Ok(())
            }
            // The page that says so is whole, and of another store, or lies.
            Error::Mismatch { .. } | Error::Invalid { .. } => {
                self.say(0, kind, what_of(&error));
                Ok(())
            }
            Error::Io { .. } => {
                self.say(None, kind, what_of(&error));
                Ok(())
            }
            // Another program's segment is not damaged.
            _ => Err(error),
        }
    }

    fn pages(&mut self, id: &[u8; 16]) -> Result<()> {
        // Not through the read-ahead: these reads are large themselves.
        let file = match self.scene.disk.0.open_read(&self.path) {
            Ok(file) => file,
            // Gone since it was opened, as a file is that nothing needs any more.
            Err(error) if is_gone(&error) => return Ok(()),
            Err(error) => return self.unreadable(error, "page"),
        };
        let page = page_bytes(self.scene.site.page);
        let (len, align) = (file.len(), file.align() as u64);
        if len % page != 0 || len == 0 {
            self.say(len - len % page, "page", "the file does not end with a page");
        }
        let mut buf = Buf::zeroed(READ_BYTES, file.align().max(page as usize));
        let mut at = 0;
        while at + page <= len {
            let bytes = (READ_BYTES as u64).min(len - at) / page * page;
            debug_assert!(bytes.is_multiple_of(align), "pages are whole units");
            buf.set_len(bytes as usize);
            if let Err(error) = file.read_at(at, &mut buf) {
                // A sector that the device no longer gives: page by page, to name it.
                self.read_singly(&*file, at, &mut buf, error);
            } else {
                self.check_pages(at, &buf, id);
            }
            self.book.report.counts.pages += bytes / page;
            self.book.read(bytes);
            at += bytes;
        }
        Ok(())
    }

    fn check_pages(&mut self, at: u64, bytes: &[u8], id: &[u8; 16]) {
        let size = self.scene.site.page.bytes();
        for (i, page) in bytes.chunks_exact(size).enumerate() {
            let offset = at + (i * size) as u64;
            let number = (offset / size as u64) as u32;
            if let Err(what) = check_page(page, id, number) {
                self.damaged.insert(offset);
                self.book.problem(&self.path, offset, "page", what);
            }
        }
    }

    fn read_singly(&mut self, file: &dyn crate::io::File, at: u64, buf: &mut Buf, error: Error) {
        let size = self.scene.site.page.bytes();
        let mut named = false;
        for i in 0..buf.len() / size {
            let offset = at + (i * size) as u64;
            if let Err(error) = file.read_at(offset, &mut buf[..size]) {
                named = true;
                self.damaged.insert(offset);
                self.book.problem(&self.path, offset, "page", error.to_string());
            }
        }
        if !named {
            self.book.problem(&self.path, at, "page", error.to_string());
        }
    }

    /// Walks the records; the sum of the postings that they ask for, `None` if some could not be read.
    fn records(&mut self, segment: &Arc<Segment>) -> Result<Option<Sum>> {
        let mut sum = Some(Sum::default());
        let (mut last, mut previous, mut terms) = (None, Body::default(), Terms::new());
        let info = *segment.info();
        for ordinal in 0..segment.records() {
            self.book.report.counts.records += 1;
            let read = segment.key(ordinal).and_then(|key| {
                let body = segment.body(ordinal, std::mem::take(&mut previous))?;
                Ok((key, body))
            });
            let (key, body) = match read {
                Ok(read) => read,
                Err(error) => {
                    sum = None;
                    last = None;
                    self.unreadable(error, "record")?;
                    continue;
                }
            };
            let record = Record { key, body: &body };
            self.check_key(segment, ordinal, key, last)?;
            if let Err(what) = self.scene.check_record(self.config, record) {
                self.say(None, "record", format!("record {ordinal}, {}: {what}", named(&key)));
            }
            self.check_mark(segment, ordinal, record)?;
            last = Some(key);
            terms.clear();
            self.scene.model.terms(record, &mut terms);
            terms.seal();
            if let Some(sum) = &mut sum {
                terms.iter().for_each(|term| sum.add(sum::of_term(term), ordinal));
            }
            previous = body;
            if ordinal % 4096 == 0 {
                self.book.read(0);
            }
        }
        if last.is_some_and(|key| key.time != info.time_max) {
            self.say(0, "header", "the header's highest time is not that of the last record");
        }
        Ok(sum)
    }

    /// That the record has its own mark, if records have marks: by another one it would not be found.
    fn check_mark(
        &mut self,
        segment: &Arc<Segment>,
        ordinal: Ordinal,
        record: Record<'_>,
    ) -> Result<()> {
        let Some(mark) = self.scene.model.mark() else { return Ok(()) };
        match segment.mark(ordinal) {
            Ok(Some(found)) if found != mark(record.body) => {
                let what = format!("record {ordinal}, {}, has another's mark", named(&record.key));
                self.say(None, "mark", what);
                Ok(())
            }
            Ok(_) => Ok(()),
            Err(error) => self.unreadable(error, "mark"),
        }
    }

    /// That the key stands where it should and can be found.
    fn check_key(
        &mut self,
        segment: &Arc<Segment>,
        ordinal: Ordinal,
        key: Key,
        last: Option<Key>,
    ) -> Result<()> {
        if last.is_some_and(|last| last >= key) {
            self.say(None, "record", format!("record {ordinal}, {}, does not ascend", named(&key)));
        }
        if ordinal == 0 && key.time != segment.info().time_min {
            self.say(0, "header", "the header's lowest time is not that of the first record");
        }
        if segment.finds_ids() && !segment.may_have_id(&key.id) {
            let what = format!("the filter denies record {ordinal}, {}", named(&key));
            self.say(None, "filter", what);
        }
        let found =
            if segment.finds_ids() { segment.find(&key.id) } else { segment.find_key(&key) };
        match found {
            Ok(Some(found)) if found == ordinal => Ok(()),
            Ok(found) => {
                let instead = found.map_or("nothing".into(), |found| format!("record {found}"));
                let what = format!("for record {ordinal}, {}, it has {instead}", named(&key));
                self.say(None, "id-index", what);
                Ok(())
            }
            Err(error) => self.unreadable(error, "id-index"),
        }
    }

    /// Walks the terms; the sum of their postings, `None` if some could not be read.
    fn terms(&mut self, segment: &Arc<Segment>) -> Result<Option<Sum>> {
        let mut sum = Some(Sum::default());
        let (mut terms, mut all) = (0, 0);
        let mut scan = segment.terms();
        loop {
            let (term, postings) = match scan.next() {
                Ok(Some(next)) => next,
                Ok(None) => break,
                Err(error) => {
                    self.unreadable(error, "posting")?;
                    return Ok(None);
                }
            };
            terms += 1;
            all += u64::from(postings.count());
            let of = sum::of_term(term);
            let denied = !segment.may_have_term(term);
            let (mut cursor, mut next, mut found) = (postings.cursor(segment), 0, 0);
            let walked = loop {
                match cursor.seek_ge(next) {
                    Ok(Some(ordinal)) => {
                        found += 1;
                        next = ordinal + 1;
                        if let Some(sum) = &mut sum {
                            sum.add(of, ordinal);
                        }
                    }
                    Ok(None) => break Ok(()),
                    Err(error) => break Err(error),
                }
            };
            if denied {
                self.say(None, "filter", format!("the filter denies the term {}", shown(term)));
            }
            match walked {
                Err(error) => {
                    sum = None;
                    self.unreadable(error, "posting")?;
                }
                Ok(()) if found != postings.count() => {
                    let (term, count) = (shown(term), postings.count());
                    let what = format!("{found} postings under {term}, not {count}");
                    self.say(None, "count", what);
                }
                Ok(()) => {}
            }
        }
        self.book.report.counts.terms += terms;
        self.book.report.counts.postings += all;
        let info = segment.info();
        if (info.terms, info.postings) != (terms, all) {
            let (said, postings) = (info.terms, info.postings);
            let what = format!(
                "the header counts {said} terms and {postings} postings, the dictionary {terms} and {all}"
            );
            self.say(0, "count", what);
        }
        Ok(sum)
    }
}

/// A key for a sentence.
pub(super) fn named(key: &Key) -> String {
    let id: String = key.id.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("time {} id {id}", key.time)
}

/// A term for a sentence.
pub(super) fn shown(term: &[u8]) -> String {
    term.iter().flat_map(|&byte| std::ascii::escape_default(byte)).map(char::from).collect()
}
