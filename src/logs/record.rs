//! A record as it goes in and as it comes out, and the bytes between.
//!
//! ```text
//!   body:  n u8 | n = 0: UUID, 16 bytes; n > 0: name, n bytes | raw, to the end
//!   key:   time = ts, id = !arrival as 8 bytes big-endian, then 24 zero bytes
//! ```
//!
//! The name stands in each record, so that nothing has to be kept beside them: a copy of some records is whole.

use super::{Position, Source, SourceRef};
use crate::base::{Error, Result};
use crate::model::Record;

/// Bytes of a record's `raw`. More is no line; the engine's records have 2 MiB, which leaves room for a source.
pub const RAW_BYTES_MAX: usize = 1 << 20;

/// A record to be appended.
#[derive(Clone, Copy, Debug)]
pub struct LogRecord<'a> {
    /// Microseconds since the Unix epoch, as the caller says.
    pub ts: u64,
    /// Where it comes from.
    pub source: &'a Source,
    /// Any bytes, at most [`RAW_BYTES_MAX`].
    pub raw: &'a [u8],
}

impl LogRecord<'_> {
    /// Whether it can be stored; `index` is its place in its batch.
    pub(super) fn check(&self, index: usize) -> Result<()> {
        if self.raw.len() > RAW_BYTES_MAX {
            let bytes = self.raw.len();
            let why = format!("record {index} has {bytes} bytes; the limit is {RAW_BYTES_MAX}");
            return Err(Error::invalid("log record", why));
        }
        Ok(())
    }

    /// Bytes of the body.
    pub(super) fn body_bytes(&self) -> usize {
        1 + self.source.name().map_or(16, str::len) + self.raw.len()
    }

    /// Appends the body to `out`.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        match self.source.as_ref() {
            SourceRef::Uuid(uuid) => {
                out.push(0);
                out.extend_from_slice(&uuid);
            }
            SourceRef::Name(name) => {
                out.push(name.len() as u8);
                out.extend_from_slice(name.as_bytes());
            }
        }
        out.extend_from_slice(self.raw);
    }
}

/// Source and raw bytes of a body; `None` if it is none.
pub(super) fn decode(body: &[u8]) -> Option<(SourceRef<'_>, &[u8])> {
    let (&n, rest) = body.split_first()?;
    if n == 0 {
        let (uuid, raw) = rest.split_first_chunk::<16>()?;
        return Some((SourceRef::Uuid(*uuid), raw));
    }
    let (name, raw) = rest.split_at_checked(n.into())?;
    Some((SourceRef::Name(std::str::from_utf8(name).ok()?), raw))
}

/// A stored record, lent by who reads it.
#[derive(Clone, Copy, Debug)]
pub struct LogRef<'a> {
    position: Position,
    source: SourceRef<'a>,
    raw: &'a [u8],
}

impl<'a> LogRef<'a> {
    /// The record that the engine stores as `record`; `None` if it is of no log store.
    pub fn stored(record: Record<'a>) -> Option<LogRef<'a>> {
        let (source, raw) = decode(record.body)?;
        Some(LogRef { position: Position::of(&record.key), source, raw })
    }

    /// Microseconds since the Unix epoch.
    pub fn ts(&self) -> u64 {
        self.position.ts
    }

    /// The bytes as they were given.
    pub fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// Where it comes from.
    pub fn source(&self) -> SourceRef<'a> {
        self.source
    }

    /// Where it stands, for ever.
    pub fn position(&self) -> Position {
        self.position
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_gives_back_what_went_in() {
        for source in [
            Source::named("a").unwrap(),
            Source::named(&"n".repeat(255)).unwrap(),
            Source::of([7; 16]),
        ] {
            for raw in [&b""[..], b"x", b"\0\xff\n"] {
                let (mut body, record) = (Vec::new(), LogRecord { ts: 1, source: &source, raw });
                record.encode(&mut body);
                assert_eq!(body.len(), record.body_bytes());
                let (back, bytes) = decode(&body).unwrap();
                assert_eq!(
                    (back.to_source(), back.name(), bytes),
                    (source.clone(), source.name(), raw)
                );
            }
        }
    }

    #[test]
    fn bytes_that_are_no_body_are_none() {
        for bad in [&b""[..], &[0], &[0; 16], &[3, b'a', b'b'], &[1, 0xff]] {
            assert!(decode(bad).is_none(), "{bad:?}");
        }
    }
}
