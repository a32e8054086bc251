//! One worker: parses, checks and inserts lines, and takes the answers later.

use super::lines::Chunk;
use super::tally::{Counts, Fate};
use super::{Shared, Stop};
use crate::output::say;
use crossbeam::channel::{Receiver, TryRecvError, select};
use ratite::base::{Error, Key, Result};
use ratite::nostr::json::Refused;
use ratite::nostr::rules::{self, reason_text};
use ratite::nostr::{EventRef, Inserted, JsonLimits, ParseError, Pending};
use ratite::nostr::{id, parse_event, verify};
use std::collections::VecDeque;
use std::sync::Arc;

/// What a worker works with.
pub struct Worker {
    pub shared: Arc<Shared>,
    /// Inserts that it may have under way at once.
    pub under_way_max: usize,
}

impl Worker {
    /// Works until there are no more chunks, or `stop`.
    ///
    /// # Errors
    /// If the store takes no more events.
    pub fn run(&self, chunks: &Receiver<Chunk>, stop: &Stop) -> Result<()> {
        let mut desk = Desk {
            shared: &self.shared,
            under_way_max: self.under_way_max,
            body: Vec::new(),
            under_way: VecDeque::with_capacity(self.under_way_max),
            counts: Counts::default(),
        };
        while stop.try_recv() != Err(TryRecvError::Disconnected) {
            let chunk = match chunks.try_recv() {
                Ok(chunk) => chunk,
                Err(TryRecvError::Disconnected) => break,
                Err(TryRecvError::Empty) => {
                    // The input is slower than the store: there is time to look after the answers.
                    desk.settle(0)?;
                    select! {
                        recv(chunks) -> chunk => match chunk {
                            Ok(chunk) => chunk,
                            Err(_the_end) => break,
                        },
                        recv(stop) -> _ => break,
                    }
                }
            };
            desk.take(chunk)?;
        }
        desk.settle(0)
    }
}

/// A line that is not stored.
struct Rejected {
    fate: Fate,
    why: String,
}

struct Desk<'a> {
    shared: &'a Shared,
    under_way_max: usize,
    /// The body of the event at hand; its memory is used for all of them.
    body: Vec<u8>,
    /// Line numbers, and where their answers come, in the order of the inserts.
    under_way: VecDeque<(u64, Pending<'a>)>,
    counts: Counts,
}

impl Desk<'_> {
    fn take(&mut self, chunk: Chunk) -> Result<()> {
        match chunk {
            Chunk::TooLong { line, bytes } => {
                let why = format!("the line has {bytes} bytes");
                self.reject(line, &Rejected { fate: Fate::TooLarge, why });
                self.counts.read(bytes + 1);
            }
            Chunk::Lines { first, bytes } => {
                let lines = bytes.strip_suffix(b"\n").unwrap_or(&bytes).split(|b| *b == b'\n');
                for (number, line) in (first..).zip(lines) {
                    if !line.trim_ascii().is_empty() {
                        self.line(number, line)?;
                    }
                }
                self.counts.read(bytes.len() as u64);
            }
        }
        self.shared.tally.add(&mut self.counts);
        Ok(())
    }

    fn line(&mut self, number: u64, line: &[u8]) -> Result<()> {
        let key = match check(line, self.shared.verify, &mut self.body) {
            Ok(key) => key,
            Err(rejected) => {
                self.reject(number, &rejected);
                return Ok(());
            }
        };
        if self.under_way.len() == self.under_way_max {
            // Half at a time: the first wait may sleep, for the rest the answers are there.
            self.settle(self.under_way_max / 2)?;
        }
        let inserted = EventRef::new(key, &self.body)
            .map_err(|error| Error::invalid("event", error.to_string()))
            .and_then(|event| self.shared.store.insert(&event));
        match inserted {
            Ok(pending) => self.under_way.push_back((number, pending)),
            Err(error @ (Error::Invalid { .. } | Error::Full { .. })) => {
                self.reject(number, &Rejected { fate: Fate::TooLarge, why: error.to_string() });
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Takes answers until at most `left` inserts are under way.
    fn settle(&mut self, left: usize) -> Result<()> {
        while self.under_way.len() > left {
            let Some((number, pending)) = self.under_way.pop_front() else { break };
            let reason = match pending.wait()? {
                Inserted::Stored => Ok(Fate::Inserted),
                Inserted::Replaced => Ok(Fate::Replaced),
                Inserted::Duplicate => Ok(Fate::Duplicate),
                Inserted::Older => Err((Fate::Older, rules::OLDER)),
                Inserted::Ephemeral => Err((Fate::Ephemeral, rules::EPHEMERAL)),
                Inserted::Deleted => Err((Fate::Deleted, rules::DELETED)),
                Inserted::Vanished => Err((Fate::Deleted, rules::VANISHED)),
                Inserted::Expired => Err((Fate::Expired, rules::EXPIRED)),
                Inserted::InvalidDelete => Err((Fate::Deleted, rules::INVALID_DELETE)),
                Inserted::Malformed => Err((Fate::InvalidJson, rules::MALFORMED)),
            };
            match reason {
                Ok(fate) => self.counts.count(fate),
                Err((fate, reason)) => {
                    self.reject(number, &Rejected { fate, why: reason_text(reason).into() });
                }
            }
        }
        self.shared.tally.add(&mut self.counts);
        Ok(())
    }

    fn reject(&mut self, number: u64, rejected: &Rejected) {
        self.counts.count(rejected.fate);
        let Rejected { fate, why } = rejected;
        let line = || say(format_args!("line {number}: {}: {why}", fate.name()));
        self.shared.tally.reject(self.shared.show, || self.shared.progress.aside(line));
    }
}

/// Parses `line` into `body` and, with `verify`, checks id and signature.
fn check(line: &[u8], verify: bool, body: &mut Vec<u8>) -> std::result::Result<Key, Rejected> {
    let key = parse_event(line, &JsonLimits::WIDEST, body).map_err(Rejected::from)?;
    if !verify {
        return Ok(key);
    }
    let rejected = |fate, why: &str| Rejected { fate, why: why.into() };
    let event = EventRef::new(key, body)
        .map_err(|error| rejected(Fate::InvalidJson, &error.to_string()))?;
    if !id::check(&event) {
        return Err(rejected(Fate::BadId, "the id is not the hash of the event"));
    }
    if !verify::signature(&event) {
        return Err(rejected(Fate::BadSignature, "the signature is not the author's"));
    }
    Ok(key)
}

impl From<ParseError> for Rejected {
    fn from(error: ParseError) -> Rejected {
        let fate = match error.what {
            Refused::TooLong(_) | Refused::TooMany { .. } => Fate::TooLarge,
            _ => Fate::InvalidJson,
        };
        Rejected { fate, why: error.to_string() }
    }
}
