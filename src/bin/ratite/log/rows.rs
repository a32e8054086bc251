//! Records as rows of text or as objects of NDJSON.
//!
//! ```text
//!   2026-11-22T15:00:00.123456+01:00 nginx GET /index.html 200
//!   {"ts":"2026-11-22T14:00:00.123456Z","source":"nginx","source_id":"1726f5e8-...","raw":"GET ..."}
//! ```
//!
//! 1. On a terminal, bytes that would be commands to it are shown instead: whoever can write to a log must not
//!    be able to write to the screens of those who read it.

use super::base64;
use super::look::Look;
use ratite::logs::time::Zone;
use ratite::logs::tokens::Needles;
use ratite::logs::{LogRef, SourceRef};

/// Writes rows, of whatever records.
pub struct Rows {
    look: Look,
    zone: Zone,
    utc: Zone,
    needles: Needles,
    /// The source of the record before, and what NDJSON says of it.
    source: Option<(Vec<u8>, Vec<u8>)>,
}

/// Why a record is shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// It was asked for.
    Match,
    /// It stands beside one that was.
    Context,
}

const RESET: &[u8] = b"\x1b[0m";
const DIM: &[u8] = b"\x1b[2m";
const CYAN: &[u8] = b"\x1b[36m";
const RED: &[u8] = b"\x1b[31m";
const YELLOW: &[u8] = b"\x1b[33m";
const BOLD_UNDERLINED: &[u8] = b"\x1b[1;4m";

/// Words that say how bad it is, and their colours. The first in a record counts.
const LEVELS: [(&[u8], &[u8]); 16] = [
    (b"emerg", RED),
    (b"emergency", RED),
    (b"alert", RED),
    (b"crit", RED),
    (b"critical", RED),
    (b"fatal", RED),
    (b"panic", RED),
    (b"err", RED),
    (b"error", RED),
    (b"warn", YELLOW),
    (b"warning", YELLOW),
    (b"notice", b""),
    (b"info", b""),
    (b"debug", DIM),
    (b"trace", DIM),
    (b"verbose", DIM),
];

/// How far into a record a level is looked for.
const LEVEL_REACH_BYTES: usize = 256;

impl Rows {
    /// Rows with the needles highlighted, and times in `zone` if they are text.
    pub fn new(look: Look, zone: Zone, needles: Needles) -> Rows {
        Rows { look, zone, utc: Zone::utc(), needles, source: None }
    }

    /// Appends a record and a line feed.
    pub fn write(&mut self, record: &LogRef<'_>, role: Role, out: &mut Vec<u8>) {
        match self.look.json {
            true => self.json(record, role, out),
            false => self.text(record, role, out),
        }
    }

    /// Appends what stands between records that do not follow each other.
    pub fn divider(&self, out: &mut Vec<u8>) {
        if !self.look.json {
            out.extend_from_slice(b"--\n");
        }
    }

    fn json(&mut self, record: &LogRef<'_>, role: Role, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"ts\":\"");
        self.utc.write(record.ts(), out);
        out.extend_from_slice(b"\",");
        self.json_source(record.source(), out);
        let raw = record.raw();
        match std::str::from_utf8(raw) {
            Ok(text) => string(text, out),
            Err(_) => {
                string(&String::from_utf8_lossy(raw), out);
                out.extend_from_slice(b",\"raw_base64\":\"");
                base64::encode(raw, out);
                out.push(b'"');
            }
        }
        if role == Role::Context {
            out.extend_from_slice(b",\"context\":true");
        }
        out.extend_from_slice(b"}\n");
    }

    /// Source, its UUID, and the name of what follows. The UUID of a name is a hash, so the last one is kept.
    fn json_source(&mut self, source: SourceRef<'_>, out: &mut Vec<u8>) {
        let key = match &source {
            SourceRef::Uuid(uuid) => &uuid[..],
            SourceRef::Name(name) => name.as_bytes(),
        };
        let is_same = self.source.as_ref().is_some_and(|(last, _)| last == key);
        if !is_same {
            let mut text = b"\"source\":".to_vec();
            string(&source.to_string(), &mut text);
            text.extend_from_slice(b",\"source_id\":");
            string(&SourceRef::Uuid(source.uuid()).to_string(), &mut text);
            text.extend_from_slice(b",\"raw\":");
            self.source = Some((key.to_vec(), text));
        }
        out.extend(self.source.iter().flat_map(|(_, text)| text));
    }

    fn text(&mut self, record: &LogRef<'_>, role: Role, out: &mut Vec<u8>) {
        let paint = |code: &[u8], out: &mut Vec<u8>| {
            if self.look.colors {
                out.extend_from_slice(code);
            }
        };
        paint(DIM, out);
        self.zone.write(record.ts(), out);
        paint(RESET, out);
        out.push(b' ');
        paint(CYAN, out);
        self.shown(record.source().to_string().as_bytes(), out);
        paint(RESET, out);
        out.push(b' ');
        let raw = record.raw();
        match (self.look.colors, role) {
            (false, _) => self.shown(raw, out),
            (true, Role::Context) => {
                paint(DIM, out);
                self.shown(raw, out);
                paint(RESET, out);
            }
            (true, Role::Match) => self.highlighted(raw, out),
        }
        out.push(b'\n');
    }

    /// Colours for the level and the needles.
    fn highlighted(&self, raw: &[u8], out: &mut Vec<u8>) {
        let color = level(raw);
        out.extend_from_slice(color);
        for word in raw.chunk_by(|a, b| is_part(*a) == is_part(*b)) {
            let is_needle = |token: &[u8]| token.eq_ignore_ascii_case(word);
            if !self.needles.tokens().any(is_needle) {
                self.shown(word, out);
                continue;
            }
            out.extend_from_slice(BOLD_UNDERLINED);
            self.shown(word, out);
            out.extend_from_slice(RESET);
            out.extend_from_slice(color);
        }
        if !color.is_empty() {
            out.extend_from_slice(RESET);
        }
    }

    /// Bytes as they are, or for a terminal as it may show them (1).
    fn shown(&self, bytes: &[u8], out: &mut Vec<u8>) {
        if !self.look.terminal {
            out.extend_from_slice(bytes);
            return;
        }
        for c in String::from_utf8_lossy(bytes).chars() {
            match c {
                // A record of several lines stays recognisable as one.
                '\n' => out.extend_from_slice(b"\n    "),
                '\t' => out.push(b'\t'),
                c if c.is_control() => out.extend(c.escape_default().map(|c| c as u8)),
                c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
    }
}

/// Whether a byte is part of a word, as the index has it.
fn is_part(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte >= 0x80
}

fn level(raw: &[u8]) -> &'static [u8] {
    let mut words = raw[..raw.len().min(LEVEL_REACH_BYTES)].split(|byte| !is_part(*byte));
    let color = |word: &[u8]| {
        let found = LEVELS.iter().find(|(level, _)| level.eq_ignore_ascii_case(word));
        found.map(|(_, color)| *color)
    };
    words.find_map(color).unwrap_or(b"")
}

/// Appends `text` as a string of JSON.
pub(super) fn string(text: &str, out: &mut Vec<u8>) {
    // Writing to a Vec cannot fail.
    let _written = serde_json::to_writer(out, text);
}
