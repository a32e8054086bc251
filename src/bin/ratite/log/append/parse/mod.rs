//! Lines become records: their times, sources and bytes, in batches that own what they hold.
//!
//! 1. A line is in one batch: as a record, as part of one, as refused, or as nothing (a blank line).
//! 2. A batch is sent when it is large enough, or when the input has nothing more at hand.
//! 3. With continuation a record stays open until the next begins or its input ends.

#[cfg(any(test, feature = "fuzzing"))]
#[allow(
    dead_code,
    reason = "called by fuzz/fuzz_targets/log_append.rs, which has this module by its path"
)]
pub mod fuzz;
mod object;
#[cfg(test)]
mod tests;

pub use object::Fields;

use crate::import::lines::Chunk;
use clap::ValueEnum;
use crossbeam::channel::{Receiver, Sender, TryRecvError};
use object::{Line, Read};
use ratite::io::Clock;
use ratite::logs::time::stamp;
use ratite::logs::{LogRecord, RAW_BYTES_MAX, Source};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

/// A batch is sent when it has as many records or bytes: enough that waiting for the disk costs little beside them.
const BATCH_ROWS: usize = 8_192;
const BATCH_BYTES: usize = 4 << 20;

/// Sources that are kept by their names; more than one store has, and no more memory than a batch.
const SOURCES_MAX: usize = 4_096;

/// What some editors put before the first line.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// What lines are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Format {
    /// Lines that are JSON objects are that, others are text
    Auto,
    /// Every line is an object; what is none is refused
    Ndjson,
    /// Every line is a record
    Text,
}

/// Where a record's time comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum TsFrom {
    /// The line, if it carries one, else now
    Line,
    /// Now
    Now,
    /// The line, if it carries one, else when its file was last written
    Mtime,
}

/// How lines are read: what the flags say.
pub struct How {
    pub format: Format,
    pub ts_from: TsFrom,
    pub fields: Fields,
    pub multiline: bool,
    /// The source of every record whose own is not in a field that a flag names.
    pub source: Option<Arc<Source>>,
}

/// Where a line stands.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// The number of its input.
    pub input: usize,
    /// Its own, from 1.
    pub line: u64,
}

/// A record.
pub struct Row {
    pub ts: u64,
    pub source: Arc<Source>,
    /// Its bytes, among those of the batch.
    pub raw: Range<usize>,
}

/// Records in the order of their lines, and what was refused between them.
#[derive(Default)]
pub struct Batch {
    pub bytes: Vec<u8>,
    pub rows: Vec<Row>,
    pub refused: Vec<(Place, String)>,
    /// With this batch, so many lines of an input are done.
    pub until: Vec<(usize, u64)>,
    /// Why the rest is not looked at.
    pub given_up: Option<String>,
}

impl Batch {
    /// What is to be appended.
    pub fn records(&self) -> Vec<LogRecord<'_>> {
        let raw = |row: &Row| &self.bytes[row.raw.clone()];
        let rows = self.rows.iter();
        rows.map(|row| LogRecord { ts: row.ts, source: &row.source, raw: raw(row) }).collect()
    }

    fn is_full(&self) -> bool {
        self.rows.len() >= BATCH_ROWS || self.bytes.len() >= BATCH_BYTES
    }

    fn push(&mut self, ts: u64, source: Arc<Source>, raw: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(raw);
        self.rows.push(Row { ts, source, raw: start..self.bytes.len() });
    }

    fn done(&mut self, input: usize, lines: u64) {
        match self.until.last_mut() {
            Some((last, until)) if *last == input => *until = lines,
            _ => self.until.push((input, lines)),
        }
    }
}

/// What an input says of its records.
pub struct Origin {
    /// The source that its name is.
    pub source: Option<Arc<Source>>,
    /// When it was last written, in microseconds since the epoch.
    pub written: Option<u64>,
    /// Lines that were stored by an earlier run.
    pub done: u64,
}

/// A record that more lines may belong to.
struct Open {
    ts: u64,
    source: Arc<Source>,
    raw: Vec<u8>,
    place: Place,
    /// The last of its lines.
    last: u64,
}

/// Makes records of lines.
pub struct Parser {
    how: How,
    origins: Vec<Origin>,
    sources: HashMap<String, Arc<Source>>,
    clock: Arc<dyn Clock>,
    open: Option<Open>,
}

impl Parser {
    /// Reads lines of the inputs, by their numbers.
    pub fn new(how: How, origins: Vec<Origin>, clock: Arc<dyn Clock>) -> Parser {
        Parser { how, origins, sources: HashMap::new(), clock, open: None }
    }

    /// Makes batches of chunks until there are no more, or nobody takes them.
    pub fn run(mut self, chunks: &Receiver<(usize, Chunk)>, batches: &Sender<Batch>) {
        let mut batch = Batch::default();
        loop {
            let chunk = match chunks.try_recv() {
                Ok(chunk) => chunk,
                Err(TryRecvError::Empty) if !batch.until.is_empty() => {
                    if batches.send(std::mem::take(&mut batch)).is_err() {
                        return; // 2.
                    }
                    continue;
                }
                _ => match chunks.recv() {
                    Ok(chunk) => chunk,
                    Err(_the_end) => break,
                },
            };
            let taken = self.take(chunk.0, chunk.1, &mut batch);
            batch.given_up = taken.err();
            let ends = batch.given_up.is_some();
            let is_sent =
                !ends && !batch.is_full() || batches.send(std::mem::take(&mut batch)).is_ok();
            if ends || !is_sent {
                return;
            }
        }
        self.close(&mut batch);
        // Nobody takes it if the verb is being given up.
        let _taken = batches.send(batch);
    }

    /// Takes a chunk.
    ///
    /// # Errors
    /// Why nothing that follows can be stored either.
    fn take(&mut self, input: usize, chunk: Chunk, batch: &mut Batch) -> Result<(), String> {
        let now = self.clock.unix_micros();
        let done = self.origins.get(input).map_or(0, |origin| origin.done);
        if self.open.as_ref().is_some_and(|open| open.place.input != input) {
            self.close(batch);
        }
        let last = match chunk {
            Chunk::TooLong { line, .. } if line <= done => line,
            Chunk::TooLong { line, bytes } => {
                self.close(batch);
                let why = format!("it has {bytes} bytes; a record has at most {RAW_BYTES_MAX}");
                batch.refused.push((Place { input, line }, why));
                line
            }
            Chunk::Lines { first, bytes } => {
                let lines = bytes.strip_suffix(b"\n").unwrap_or(&bytes).split(|b| *b == b'\n');
                let mut last = first;
                for (line, text) in (first..).zip(lines) {
                    last = line;
                    if line > done {
                        self.line(Place { input, line }, text, now, batch)?;
                    }
                }
                last
            }
        };
        let open = self.open.as_ref().map(|open| open.place.line - 1);
        batch.done(input, open.unwrap_or(last).max(done));
        Ok(())
    }

    fn line(
        &mut self,
        place: Place,
        line: &[u8],
        now: u64,
        batch: &mut Batch,
    ) -> Result<(), String> {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let line = match place.line {
            1 => line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line),
            _ => line,
        };
        if line.trim_ascii().is_empty() {
            return Ok(());
        }
        if self.continues(place, line, batch) {
            return Ok(());
        }
        self.close(batch);
        let is_object = match self.how.format {
            Format::Text => false,
            Format::Ndjson => true,
            Format::Auto => line.trim_ascii_start().starts_with(b"{"),
        };
        let object = if is_object { object::parse(line) } else { None };
        let read = match &object {
            Some(object) => object::of(object, &self.how.fields, now),
            None if self.how.format == Format::Ndjson => Err("it is no JSON object".into()),
            None => Ok(Line::Record(Read { ts: None, source: None, raw: None })),
        };
        match read {
            Ok(Line::Resume) => Ok(()),
            Ok(Line::Record(read)) => self.record(place, line, &read, now, batch),
            Err(why) => {
                batch.refused.push((place, why));
                Ok(())
            }
        }
    }

    fn record(
        &mut self,
        place: Place,
        line: &[u8],
        read: &Read<'_>,
        now: u64,
        batch: &mut Batch,
    ) -> Result<(), String> {
        let raw = read.raw.as_deref().unwrap_or(line);
        if raw.len() > RAW_BYTES_MAX {
            let bytes = raw.len();
            let why = format!("it has {bytes} bytes; a record has at most {RAW_BYTES_MAX}");
            batch.refused.push((place, why));
            return Ok(());
        }
        let source = match self.source_of(place, read.source.as_ref()) {
            Ok(Some(source)) => source,
            Ok(None) => {
                let line = place.line;
                return Err(format!("line {line} is of which source? --source NAME or UUID"));
            }
            Err(why) => {
                batch.refused.push((place, why));
                return Ok(());
            }
        };
        let ts = self.ts_of(place, raw, read.ts, now);
        match self.how.multiline {
            true => {
                let (raw, last) = (raw.to_vec(), place.line);
                self.open = Some(Open { ts, source, raw, place, last }); // 3.
            }
            false => batch.push(ts, source, raw),
        }
        Ok(())
    }

    fn ts_of(&self, place: Place, raw: &[u8], read: Option<u64>, now: u64) -> u64 {
        let own = || read.or_else(|| stamp::recognise(raw, now).map(|(ts, _)| ts));
        let written = || self.origins.get(place.input).and_then(|origin| origin.written);
        match self.how.ts_from {
            TsFrom::Now => now,
            TsFrom::Line => own().unwrap_or(now),
            TsFrom::Mtime => own().or_else(written).unwrap_or(now),
        }
    }

    /// What a flag names, then what --source says, then what the object says, then the file's name.
    fn source_of(
        &mut self,
        place: Place,
        read: Option<&(String, bool)>,
    ) -> Result<Option<Arc<Source>>, String> {
        match (read, &self.how.source) {
            (Some((name, true)), _) | (Some((name, false)), None) => self.named(name).map(Some),
            (_, Some(source)) => Ok(Some(source.clone())),
            (None, None) => Ok(self.origins.get(place.input).and_then(|o| o.source.clone())),
        }
    }

    fn named(&mut self, name: &str) -> Result<Arc<Source>, String> {
        if let Some(source) = self.sources.get(name) {
            return Ok(source.clone());
        }
        let source: Source =
            name.parse().map_err(|error: ratite::base::Error| error.to_string())?;
        let source = Arc::new(source);
        if self.sources.len() == SOURCES_MAX {
            self.sources.clear();
        }
        self.sources.insert(name.into(), source.clone());
        Ok(source)
    }

    /// Whether the line belongs to the record before, which then has it.
    fn continues(&mut self, place: Place, line: &[u8], batch: &mut Batch) -> bool {
        let Some(open) = &mut self.open else { return false };
        if !matches!(line.first(), Some(b' ' | b'\t')) {
            return false;
        }
        if open.raw.len() + 1 + line.len() > RAW_BYTES_MAX {
            let why = format!("with it, its record has more than {RAW_BYTES_MAX} bytes");
            batch.refused.push((place, why));
            return true;
        }
        open.last = place.line;
        open.raw.push(b'\n');
        open.raw.extend_from_slice(line);
        true
    }

    fn close(&mut self, batch: &mut Batch) {
        if let Some(Open { ts, source, raw, place, last }) = self.open.take() {
            batch.push(ts, source, &raw);
            batch.done(place.input, last);
        }
    }
}
