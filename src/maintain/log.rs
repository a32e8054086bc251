//! The log of a shard, read without a write: which blocks are part of it, what is damaged, what is torn.
//!
//! ```text
//!   log_start                                 proven: the highest place that a header says was durable
//!   v                                         v
//!   [block][block][ gap: damage ][block][block][ gap: torn tail ]
//! ```
//!
//! 1. Headers of files and of blocks are collected; a block proves `durable_to`, a file its `prev_end`, the manifest its
//!    `log_end`.
//! 2. Blocks behind the place where the next file says that the log went on are none of it.
//! 3. A gap in front of the proven place is damage; the first behind it ends the log (rules 2 and 3 of
//!    `wal::replay`, whose verdict this is).
//!
//! Memory: 32 bytes a block.

use crate::base::{Error, Lsn, Result};
use crate::shard::format::Manifest;
use crate::wal::survey::{self, Block, Header, Survey};
use crate::wal::{Files, Identity};
use std::io::ErrorKind;
use std::path::PathBuf;

/// The entries of a block, `None` if they do not fill it.
type Entries<'a> = Option<Vec<&'a [u8]>>;

/// A place where something is missing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Gap {
    pub path: PathBuf,
    pub from: Lsn,
    /// Where the log is whole again; `None` if that is not known.
    pub to: Option<Lsn>,
    pub what: &'static str,
    /// Whether acknowledged data is missing; else it is a torn tail.
    pub damage: bool,
}

/// A block of the log, by what its header says.
#[derive(Clone, Copy, Debug)]
struct Known {
    lsn: Lsn,
    end: Lsn,
    whole: bool,
}

/// One file that may be part of the log.
struct Part {
    number: u32,
    /// Only if whole.
    header: Option<Header>,
    blocks: Vec<Known>,
}

/// What is known of a log without its entries.
pub struct Log {
    files: Files,
    parts: Vec<Part>,
    start: Lsn,
    proven: Lsn,
    /// In order.
    pub gaps: Vec<Gap>,
    /// Blocks that are part of the log and whole.
    kept: Vec<Lsn>,
    /// Bytes of the files that were looked through.
    pub bytes: u64,
    /// The largest of those files.
    pub file_bytes: u32,
    /// Where the first block of a file written on this machine begins.
    first_block: u32,
}

impl Log {
    /// Reads the headers of the log that `manifest` says there is.
    pub fn read(files: &Files, manifest: &Manifest) -> Result<Log> {
        let start = manifest.log_start;
        let mut log = Log {
            files: files.clone(),
            parts: Vec::new(),
            start,
            proven: manifest.log_end.max(start),
            gaps: Vec::new(),
            kept: Vec::new(),
            bytes: 0,
            file_bytes: 0,
            first_block: 0,
        };
        // 1
        for number in files.list()?.into_iter().filter(|&number| number >= start.file()) {
            log.part(number)?;
        }
        let begins = |part: &Part| part.number == start.file() && start.offset() > log.first_block;
        log.parts.retain(|part| part.header.is_some() || !part.blocks.is_empty() || begins(part));
        log.find_gaps()?;
        Ok(log)
    }

    fn part(&mut self, number: u32) -> Result<()> {
        let path = self.files.path(number);
        let mut survey = Survey::open(&*self.files.disk, &path, number)?;
        self.bytes += survey.bytes();
        self.first_block = survey.first_block();
        self.file_bytes = self.file_bytes.max(survey.bytes() as u32);
        let of = self.files.identity();
        let own = |h: &Header| h.whole && h.number == number && same(h, of);
        let header = survey.header()?.filter(own);
        if let Some(found) = header.map(|h| h.version).filter(|&v| v != survey::VERSION) {
            return Err(Error::WrongVersion { path, found, supported: survey::VERSION });
        }
        let begins = number == self.start.file();
        let detached = header.is_some_and(|header| is_detached(&header));
        if detached && !begins {
            return Ok(());
        }
        let from = if begins { self.start.offset() } else { 0 };
        let (mut blocks, mut proven) = (Vec::new(), self.proven);
        if let Some(header) = header.filter(|_| !detached) {
            proven = proven.max(header.prev_end);
        }
        survey.blocks(of, header.map(|h| h.grain), from, &mut |block| {
            let end = Lsn::new(number, block.end);
            blocks.push(Known { lsn: block.lsn, end, whole: block.payload.is_some() });
            proven = proven.max(block.durable_to);
            Ok(true)
        })?;
        self.proven = proven;
        self.parts.push(Part { number, header, blocks });
        Ok(())
    }

    fn find_gaps(&mut self) -> Result<()> {
        let mut at = self.start;
        let mut gaps = Vec::new();
        let mut ended = self.check_start(&mut gaps);
        for i in 0..self.parts.len() {
            let part = &self.parts[i];
            let next = self.parts[i + 1..].iter().find_map(|part| part.header);
            // 2
            let limit = next.filter(|next| next.prev_end.file() <= part.number);
            let limit = limit.map(|next| next.prev_end);
            let void = limit.is_some_and(|limit| limit.file() < part.number);
            if ended || void || self.enter(part, &mut at, &mut gaps) {
                ended |= !void;
                continue;
            }
            for block in part.blocks.iter().filter(|b| limit.is_none_or(|limit| b.lsn < limit)) {
                if block.lsn != at {
                    ended |= self.gap(&mut gaps, at, Some(block.lsn), "no whole block begins here");
                }
                if !ended && !block.whole {
                    let what = "the block's checksum does not match its entries";
                    ended = self.gap(&mut gaps, block.lsn, Some(block.end), what);
                }
                if ended {
                    break;
                }
                if block.whole {
                    self.kept.push(block.lsn);
                }
                at = block.end;
            }
            let proven_here = Some(self.proven).filter(|proven| proven.file() == part.number);
            if let Some(to) = limit.or(proven_here).filter(|&to| to > at && !ended) {
                self.gap(&mut gaps, at, Some(to), "no whole block begins here");
                at = to;
            }
        }
        if !ended && self.proven > at {
            let from = Lsn::new(self.proven.file(), 0);
            self.gap(&mut gaps, from, Some(self.proven), "the log went on here, and is not there");
        }
        if gaps.is_empty() && self.begun(at)? {
            self.gap(&mut gaps, at, None, "the last write was interrupted, or is damaged");
        }
        self.gaps = gaps;
        Ok(())
    }

    /// Says so if nothing of the log is there where it has to begin.
    fn check_start(&self, gaps: &mut Vec<Gap>) -> bool {
        let gone = self.parts.is_empty() && self.start.offset() > self.first_block;
        if gone {
            let what = "no such file of the log, yet replay begins here";
            self.push(gaps, self.start, None, what, true);
        }
        gone
    }

    /// Moves `at` to the start of `part`, and says what is missing before it; true if the log ended before.
    fn enter(&self, part: &Part, at: &mut Lsn, gaps: &mut Vec<Gap>) -> bool {
        let begins = Lsn::new(part.number, 0);
        match part.header {
            None => {
                // A torn first write has no header either. A block in front of `start` proves one.
                let first = part.blocks.first().map_or(begins, |block| block.lsn);
                let within =
                    self.start.file() == part.number && self.start.offset() > self.first_block;
                let damage = within || self.proven > *at;
                // The first block was written with the header, and lost with it.
                let is_lost = first > self.start.max(Lsn::new(part.number, self.first_block));
                let to = is_lost.then_some(first);
                self.push(gaps, begins, to, "the file's header is damaged", damage);
                if damage && at.file() < part.number {
                    *at = first;
                }
                !damage
            }
            Some(header) if at.file() < part.number => {
                if header.prev_end != *at {
                    let gone = header.prev_end.file() > at.file();
                    let from = if gone { Lsn::new(header.prev_end.file(), 0) } else { *at };
                    self.push(gaps, from, Some(header.prev_end), "the log is not there", true);
                }
                *at = Lsn::new(part.number, header.grain);
                false
            }
            Some(_) => false,
        }
    }

    /// Adds a gap; true if it ends the log (3).
    fn gap(&self, gaps: &mut Vec<Gap>, from: Lsn, to: Option<Lsn>, what: &'static str) -> bool {
        let damage = from < self.proven;
        self.push(gaps, from, to, what, damage);
        !damage
    }

    fn push(
        &self,
        gaps: &mut Vec<Gap>,
        from: Lsn,
        to: Option<Lsn>,
        what: &'static str,
        damage: bool,
    ) {
        gaps.push(Gap { path: self.files.path(from.file()), from, to, what, damage });
    }

    fn begun(&self, at: Lsn) -> Result<bool> {
        let path = self.files.path(at.file());
        match Survey::open(&*self.files.disk, &path, at.file()) {
            Ok(mut survey) => survey.begun(self.files.identity(), at.offset()),
            Err(Error::Io { source, .. }) if source.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether replay would refuse it.
    pub fn is_damaged(&self) -> bool {
        self.gaps.iter().any(|gap| gap.damage)
    }

    /// Hands every whole block of the log to `visit`, in order; its entries are `None` if they do not fill it.
    pub fn visit(&self, visit: &mut dyn FnMut(Lsn, Entries<'_>) -> Result<()>) -> Result<()> {
        let of: Identity = self.files.identity();
        let mut kept = self.kept.iter().copied().peekable();
        for part in &self.parts {
            let path = self.files.path(part.number);
            let Some(first) = kept.peek().filter(|lsn| lsn.file() == part.number) else { continue };
            let mut survey = Survey::open(&*self.files.disk, &path, part.number)?;
            let grain = part.header.map(|header| header.grain);
            survey.blocks(of, grain, first.offset(), &mut |block: Block<'_>| {
                if kept.next_if_eq(&block.lsn).is_some() {
                    visit(block.lsn, survey::entries(&block))?;
                }
                Ok(kept.peek().is_some_and(|lsn| lsn.file() == part.number))
            })?;
        }
        Ok(())
    }
}

/// The first place at or behind `start` where the log is still there, if what `start` names is gone.
pub fn first_there(files: &Files, start: Lsn) -> Result<Lsn> {
    for number in files.list()?.into_iter().filter(|&number| number >= start.file()) {
        let header = Survey::open(&*files.disk, &files.path(number), number)?.header()?;
        let own = |h: &Header| h.whole && h.number == number && same(h, files.identity());
        match header.filter(own) {
            Some(_) if number == start.file() => return Ok(start),
            Some(header) if !is_detached(&header) => return Ok(Lsn::new(number, header.grain)),
            _ => {}
        }
    }
    Ok(Lsn(0))
}

/// Whether the file was written by a repair: it continues no log, and counts only once a manifest begins in
/// it. An interrupted repair leaves it void.
fn is_detached(header: &Header) -> bool {
    header.prev_end.file() == header.number
}

fn same(header: &Header, of: Identity) -> bool {
    header.store == of.store && header.shard == of.shard
}
