//! One worker: parses, checks and inserts lines, and takes the answers later.

use super::lines::Chunk;
use super::tally::{Counts, Fate};
use super::{Place, Shared, Stop};
use crate::output::say;
use crossbeam::channel::{Receiver, TryRecvError, select};
use memchr::{memchr, memrchr};
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
    pub fn run(&self, chunks: &Receiver<(usize, Chunk)>, stop: &Stop) -> Result<()> {
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
            desk.take(chunk.0, chunk.1)?;
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
    /// Lines, and where their answers come, in the order of the inserts.
    under_way: VecDeque<(Place, Pending<'a>)>,
    counts: Counts,
}

impl Desk<'_> {
    fn take(&mut self, input: usize, chunk: Chunk) -> Result<()> {
        match chunk {
            Chunk::TooLong { line, bytes } => {
                let why = format!("the line has {bytes} bytes");
                let place = Place { input, line };
                self.reject(place, &Rejected { fate: Fate::TooLarge, why }, None);
            }
            Chunk::Lines { first, bytes } => {
                let lines = bytes.strip_suffix(b"\n").unwrap_or(&bytes).split(|b| *b == b'\n');
                for (line, text) in (first..).zip(lines) {
                    let text = text.trim_ascii();
                    if !text.is_empty() {
                        self.line(Place { input, line }, text)?;
                    }
                }
            }
        }
        self.shared.tally.add(&mut self.counts);
        Ok(())
    }

    fn line(&mut self, place: Place, line: &[u8]) -> Result<()> {
        let key = match self.check(line) {
            Ok(Checked::New(key)) => key,
            Ok(Checked::Stored) => {
                self.counts.count(Fate::Duplicate);
                return Ok(());
            }
            Err(rejected) => {
                self.reject(place, &rejected, Some(line));
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
            Ok(pending) => self.under_way.push_back((place, pending)),
            Err(error @ (Error::Invalid { .. } | Error::Full { .. })) => {
                let rejected = Rejected { fate: Fate::TooLarge, why: error.to_string() };
                self.reject(place, &rejected, Some(line));
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Takes answers until at most `left` inserts are under way.
    fn settle(&mut self, left: usize) -> Result<()> {
        while self.under_way.len() > left {
            let Some((place, pending)) = self.under_way.pop_front() else { break };
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
                    // Its text is gone, and it was that of an event.
                    self.reject(place, &Rejected { fate, why: reason_text(reason).into() }, None);
                }
            }
        }
        self.shared.tally.add(&mut self.counts);
        Ok(())
    }

    fn reject(&mut self, place: Place, rejected: &Rejected, text: Option<&[u8]>) {
        let Rejected { fate, why } = rejected;
        self.counts.count(*fate);
        let file = self.shared.inputs.name(place.input);
        let line = || match file {
            Some(file) => format!("{}: line {}", file.display(), place.line),
            None => format!("line {}", place.line),
        };
        let show = || say(format_args!("{}: {}: {why}", line(), fate.name()));
        self.shared.tally.reject(self.shared.show, || self.shared.progress.aside(show));
        if let Some(refused) = self.shared.refused.as_ref().filter(|_| fate.is_refused()) {
            refused.write(file, place, *fate, why, text);
        }
    }

    /// Parses a line into `body` and, if that is asked for, checks id and signature.
    fn check(&mut self, line: &[u8]) -> std::result::Result<Checked, Rejected> {
        let body = &mut self.body;
        let key = parse_event(event_of(line), &JsonLimits::WIDEST, body).map_err(Rejected::from)?;
        if !self.shared.verify {
            return Ok(Checked::New(key));
        }
        let rejected = |fate, why: &str| Rejected { fate, why: why.into() };
        let event = EventRef::new(key, body)
            .map_err(|error| rejected(Fate::InvalidJson, &error.to_string()))?;
        if !id::check(&event) {
            return Err(rejected(Fate::BadId, "the id is not the hash of the event"));
        }
        // An id that is right stands for the whole event but its signature, which was checked then.
        if self.shared.resume && matches!(self.shared.store.get(event.id()), Ok(Some(_))) {
            return Ok(Checked::Stored);
        }
        if !verify::signature(&event) {
            return Err(rejected(Fate::BadSignature, "the signature is not the author's"));
        }
        Ok(Checked::New(key))
    }
}

/// What a line is that is not rejected.
enum Checked {
    /// An event with this key.
    New(Key),
    /// An event that an earlier import has stored.
    Stored,
}

/// The event in a line, which may stand in a message of the protocol, as programs that listen to relays
/// keep them: `["EVENT","sub",{...}]`.
fn event_of(line: &[u8]) -> &[u8] {
    if !line.starts_with(b"[") || !line.ends_with(b"]") {
        return line;
    }
    let (first, last) = (memchr(b'{', line), memrchr(b'}', line));
    match first.zip(last) {
        Some((first, last)) if is_head(&line[..first]) && line[last + 1..].trim_ascii() == b"]" => {
            &line[first..=last]
        }
        _ => line,
    }
}

/// Whether this is the `["EVENT",` or `["EVENT","sub",` of a message.
fn is_head(head: &[u8]) -> bool {
    let rest = head[1..].trim_ascii().strip_prefix(b"\"EVENT\"").map(<[u8]>::trim_ascii);
    rest.is_some_and(|rest| rest.starts_with(b",") && rest.ends_with(b","))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_found_in_the_message_that_carries_it() {
        let event = r#"{"id":"a","content":"}]"}"#;
        for head in ["[\"EVENT\",", "[ \"EVENT\" , \"sub\" , "] {
            let line = format!("{head}{event} ]");
            assert_eq!(event_of(line.as_bytes()), event.as_bytes(), "{line}");
        }
        let others = [event.to_string(), format!("[{event}]"), format!("[\"REQ\",\"s\",{event}]")];
        for line in others.into_iter().chain(["[".into(), "[]".into(), "[\"EVENT\"]".into()]) {
            assert_eq!(event_of(line.as_bytes()), line.as_bytes());
        }
    }
}
