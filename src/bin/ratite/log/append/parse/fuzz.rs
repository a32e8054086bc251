//! What has to hold of any lines that are appended: for fuzzing, and for a test over a kept corpus and mutations of it.
//!
//! A function panics if what it says does not hold; any bytes are input.

use super::{Batch, Fields, Format, How, Origin, Parser, TsFrom};
use crate::import::lines::{self, Chunk};
use crate::log::base64;
use crate::log::look::Look;
use crate::log::rows::{Role, Rows};
use crossbeam::channel::unbounded;
use ratite::base::Key;
use ratite::io::ManualClock;
use ratite::logs::time::{Zone, stamp};
use ratite::logs::tokens::Needles;
use ratite::logs::{LogRef, Source, SourceRef};
use ratite::model::Record;
use serde_json::{Map, Value};
use std::io::{self, Read};
use std::sync::Arc;

/// The microsecond in which everything is read.
const NOW: u64 = 1_700_000_000_000_000;

/// When the input was last written.
const WRITTEN: u64 = 1_600_000_000_000_000;

/// Bytes of a line that is looked at, and of one that was written here.
const LINE_BYTES_MAX: usize = 600;
const OWN_LINE_BYTES_MAX: usize = 1 << 20;

/// What is appended: time, source, bytes.
type Row = (u64, Source, Vec<u8>);

/// Lines are the records that they are by hand, however they come in pieces, and go on where an earlier run ended.
/// What rows say of the records makes the same records.
pub fn log_append(bytes: &[u8]) {
    let [flags, piece, input @ ..] = bytes else { return };
    let whole = found(*flags, &chunks(input, input.len().max(1), LINE_BYTES_MAX), 0, true);
    let pieces = chunks(input, usize::from(piece % 64) + 1, LINE_BYTES_MAX);
    assert_eq!(found(*flags, &pieces, 0, true), whole);

    by_hand(*flags, input, &whole);
    if whole.given_up.is_none() {
        let begun = found(*flags, &pieces[..pieces.len() / 2], 0, false);
        let rest = found(*flags, &pieces, begun.until, true);
        assert_eq!([begun.rows, rest.rows].concat(), whole.rows, "from line {}", begun.until);
        assert_eq!([begun.refused, rest.refused].concat(), whole.refused);
    }

    let written = written(&whole.rows);
    let again = found(AS_WRITTEN, &chunks(&written, 64, OWN_LINE_BYTES_MAX), 0, true);
    assert_eq!(again.rows, whole.rows, "{}", String::from_utf8_lossy(&written));
    assert_eq!((again.refused.len(), again.given_up), (0, None));
}

// --- how ---

/// The flags under which rows are read: nothing but what is said of them.
const AS_WRITTEN: u8 = 3;

fn has(flags: u8, bit: u8) -> bool {
    flags >> bit & 1 == 1
}

fn how(flags: u8) -> How {
    let name = |is_given: bool, name: &str| is_given.then(|| name.to_string());
    How {
        format: [Format::Ndjson, Format::Text, Format::Auto, Format::Auto][usize::from(flags & 3)],
        ts_from: match (has(flags, 2), has(flags, 3)) {
            (false, _) => TsFrom::Line,
            (true, false) => TsFrom::Now,
            (true, true) => TsFrom::Mtime,
        },
        multiline: has(flags, 4),
        fields: Fields {
            ts: name(has(flags, 5) && has(flags, 3), "t"),
            source: name(has(flags, 5) && !has(flags, 2), "a.b"),
            raw: name(has(flags, 5), "m"),
        },
        source: has(flags, 6).then(|| Arc::new(source("all"))),
    }
}

fn origin(flags: u8, done: u64) -> Origin {
    let named = has(flags, 7).then(|| Arc::new(source("file")));
    Origin { source: named, written: Some(WRITTEN), done }
}

fn source(name: &str) -> Source {
    name.parse().unwrap_or_else(|_| panic!("{name} is a name"))
}

// --- what is found ---

/// What became of the lines.
#[derive(Debug, Default, PartialEq)]
struct Found {
    rows: Vec<Row>,
    /// Lines that were refused.
    refused: Vec<u64>,
    /// Lines that are done, unless it was given up.
    until: u64,
    given_up: Option<String>,
}

impl Found {
    fn add(&mut self, batch: &Batch) {
        let row = |record: ratite::logs::LogRecord<'_>| {
            (record.ts, record.source.clone(), record.raw.to_vec())
        };
        self.rows.extend(batch.records().into_iter().map(row));
        self.refused.extend(batch.refused.iter().map(|(place, _)| place.line));
        assert!(self.refused.is_sorted_by(|a, b| a < b), "each line once, in order");
        for (_, until) in &batch.until {
            assert!(*until >= self.until, "what is done stays done");
            self.until = *until;
        }
    }
}

/// What the parser finds in chunks behind the lines that are done, each chunk a batch; at the end, if it is one.
fn found(flags: u8, chunks: &[Chunk], done: u64, is_end: bool) -> Found {
    let clock = Arc::new(ManualClock::new(NOW));
    let mut parser = Parser::new(how(flags), vec![origin(flags, done)], clock);
    let mut found = Found::default();
    for chunk in chunks {
        let mut batch = Batch::default();
        let taken = parser.take(0, copied(chunk), &mut batch);
        found.add(&batch);
        if let Err(why) = taken {
            return Found { given_up: Some(why), until: 0, ..found };
        }
    }
    if is_end {
        let mut batch = Batch::default();
        parser.close(&mut batch);
        found.add(&batch);
    }
    found
}

fn copied(chunk: &Chunk) -> Chunk {
    match chunk {
        Chunk::Lines { first, bytes } => Chunk::Lines { first: *first, bytes: bytes.clone() },
        Chunk::TooLong { line, bytes } => Chunk::TooLong { line: *line, bytes: *bytes },
    }
}

/// Gives its bytes in pieces.
struct Pieces<'a>(&'a [u8], usize);

impl Read for Pieces<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let size = self.1.min(out.len()).min(self.0.len());
        let (piece, rest) = self.0.split_at(size);
        out[..size].copy_from_slice(piece);
        self.0 = rest;
        Ok(size)
    }
}

fn chunks(input: &[u8], piece: usize, line_bytes_max: usize) -> Vec<Chunk> {
    let (chunks_in, chunks) = unbounded();
    let read = lines::read(Pieces(input, piece), 0, line_bytes_max, &chunks_in);
    assert!(read.is_ok());
    drop(chunks_in);
    chunks.iter().map(|(_, chunk)| chunk).collect()
}

// --- by hand ---

/// What a line says.
enum Said {
    Nothing,
    Refused,
    /// The time where only the line says it, a source, the bytes.
    Record(Option<u64>, Option<Source>, Vec<u8>),
}

fn by_hand(flags: u8, input: &[u8], found: &Found) {
    let how = how(flags);
    if how.fields.ts.is_some() {
        return; // what is a time is for another target to say
    }
    let (mut rows, mut refused, mut is_open) = (Vec::new(), Vec::new(), false);
    let mut given_up = false;
    let whole = input.strip_suffix(b"\n").unwrap_or(input);
    for (number, line) in (1..).zip(whole.split(|byte| *byte == b'\n')) {
        if line.len() >= LINE_BYTES_MAX {
            refused.push(number);
            is_open = false;
            continue;
        }
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let mark = (number == 1).then(|| line.strip_prefix("\u{feff}".as_bytes())).flatten();
        let line = mark.unwrap_or(line);
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        if let (true, b' ' | b'\t', Some((_, _, raw))) = (is_open, line[0], rows.last_mut()) {
            let raw: &mut Vec<u8> = raw;
            raw.extend([b"\n", line].concat());
            continue;
        }
        is_open = false;
        match said(&how, line) {
            Said::Nothing => {}
            Said::Refused => refused.push(number),
            Said::Record(ts, source, raw) => {
                let Some(source) = source.or_else(|| origin(flags, 0).source.as_deref().cloned())
                else {
                    given_up = true;
                    break;
                };
                rows.push((ts, source, raw));
                is_open = how.multiline;
            }
        }
    }
    assert_eq!(found.given_up.is_some(), given_up, "{:?}", found.given_up);
    assert_eq!(found.refused, refused);
    if !given_up {
        assert_eq!(found.rows.len(), rows.len());
    }
    for ((ts, source, raw), row) in rows.iter().zip(&found.rows) {
        assert_eq!((ts.unwrap_or(row.0), source, raw), (row.0, &row.1, &row.2));
    }
}

fn said(how: &How, line: &[u8]) -> Said {
    let looks = how.format == Format::Ndjson || line.trim_ascii_start().starts_with(b"{");
    let object = match serde_json::from_slice(line) {
        Ok(Value::Object(object)) if looks && how.format != Format::Text => object,
        _ if how.format == Format::Ndjson => return Said::Refused,
        _ => {
            let source = how.source.as_deref().cloned();
            return Said::Record(Some(time_of(how, line)), source, line.to_vec());
        }
    };
    let token = object.get("resume").and_then(Value::as_str).filter(|_| object.len() == 1);
    if token.is_some_and(|token| token.parse::<ratite::logs::Resume>().is_ok()) {
        return Said::Nothing;
    }
    of_object(how, line, &object).unwrap_or(Said::Refused)
}

/// When a line without an object was written.
fn time_of(how: &How, line: &[u8]) -> u64 {
    let own = stamp::recognise(line, NOW).map(|(ts, _)| ts);
    match how.ts_from {
        TsFrom::Now => NOW,
        TsFrom::Line => own.unwrap_or(NOW),
        TsFrom::Mtime => own.unwrap_or(WRITTEN),
    }
}

/// What an object says; `None` if it lacks what it has to have.
fn of_object(how: &How, line: &[u8], object: &Map<String, Value>) -> Option<Said> {
    let member = |name: &str| object.get(name).and_then(Value::as_str);
    let known = ["ts", "source", "source_id", "raw", "raw_base64", "context"];
    let is_own = member("ts").is_some()
        && member("raw").is_some()
        && object.keys().all(|key| known.contains(&&**key));
    let raw = match (&how.fields.raw, is_own, object.get("raw_base64")) {
        (Some(field), ..) => text(object.get(field)?).into_bytes(),
        (None, true, Some(packed)) => {
            let (packed, mut again) = (packed.as_str()?, Vec::new());
            let raw = base64::decode(packed)?;
            base64::encode(&raw, &mut again);
            assert_eq!(again, packed.as_bytes(), "it is what is written");
            raw
        }
        (None, true, None) => member("raw")?.into(),
        (None, false, _) => line.to_vec(),
    };
    let named = match &how.fields.source {
        Some(_) => {
            let inner = || object.get("a")?.as_object()?.get("b");
            Some(text(object.get("a.b").or_else(inner)?))
        }
        None => object.get("source").filter(|_| is_own && how.source.is_none()).map(text),
    };
    let source = match named {
        Some(name) => Some(name.parse().ok()?),
        None => how.source.as_deref().cloned(),
    };
    let ts = (how.ts_from == TsFrom::Now).then_some(NOW);
    Some(Said::Record(ts, source, raw))
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), String::from)
}

// --- written ---

/// The rows as `search` and `export` write them.
fn written(rows: &[Row]) -> Vec<u8> {
    let look = Look { json: true, colors: false, terminal: false };
    let mut writer = Rows::new(look, Zone::utc(), Needles::new::<&str>(&[]));
    let mut out = Vec::new();
    for (at, (ts, source, raw)) in rows.iter().enumerate() {
        let body = match source.as_ref() {
            SourceRef::Name(name) => [&[name.len() as u8], name.as_bytes(), raw].concat(),
            SourceRef::Uuid(uuid) => [&[0], &uuid[..], raw].concat(),
        };
        let key = Key { time: *ts, id: [0; 32] };
        let role = if at % 3 == 2 { Role::Context } else { Role::Match };
        match LogRef::stored(Record { key, body: &body }) {
            Some(record) => writer.write(&record, role, &mut out),
            None => panic!("{source} has no record"),
        }
    }
    out
}
