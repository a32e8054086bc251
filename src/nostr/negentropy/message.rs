//! The bytes of a message: numbers, bounds and ranges, read without trust and written without limits of their own.
//!
//! ```text
//!   message  0x61 range*
//!   range    bound mode payload         from where the range before ends; behind the last: skipped
//!   bound    time id-length id-prefix   time: 0 = no end, else 1 + difference to the bound before
//!   mode     0 skip | 1 fingerprint:16 | 2 count ids:32*count
//!   number   7 bits a byte, most significant first, the high bit on all but the last
//! ```

use std::cmp::Ordering;
use std::fmt;

/// The first byte of a message of version 1.
pub const PROTOCOL_VERSION: u8 = 0x61;
/// First bytes that versions of the protocol may have.
const VERSIONS: std::ops::RangeInclusive<u8> = 0x60..=0x6f;

/// Bytes of an id, and of a fingerprint.
pub(super) const ID_BYTES: usize = 32;
pub(super) const FINGERPRINT_BYTES: usize = 16;

/// Bytes of the longest bound: a time, a length, an id.
pub(super) const BOUND_BYTES_MAX: usize = NUMBER_BYTES_MAX + 1 + ID_BYTES;
/// Bytes of 64 bits, 7 a byte.
const NUMBER_BYTES_MAX: usize = 10;

/// Why bytes are no message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Malformed(pub &'static str);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Malformed {}

/// Where a range ends: before the first item that is not less. An id that is cut short goes on with zeros.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bound {
    pub(super) time: u64,
    pub(super) id: [u8; ID_BYTES],
    /// Bytes of the id that are written.
    length: u8,
}

impl Bound {
    /// Before everything.
    pub(super) const START: Bound = Bound { time: 0, id: [0; ID_BYTES], length: 0 };
    /// Behind everything.
    pub(super) const END: Bound = Bound { time: u64::MAX, id: [0; ID_BYTES], length: 0 };

    /// Before the item of this time and id.
    pub(super) fn before(time: u64, id: [u8; ID_BYTES]) -> Bound {
        Bound { time, id, length: ID_BYTES as u8 }
    }

    /// The shortest that has `last` before it and `first` behind it.
    pub(super) fn between(last: (u64, &[u8; ID_BYTES]), first: (u64, &[u8; ID_BYTES])) -> Bound {
        if last.0 != first.0 {
            return Bound { time: first.0, ..Bound::START };
        }
        let shared = last.1.iter().zip(first.1).take_while(|(a, b)| a == b).count();
        let length = (shared + 1).min(ID_BYTES);
        let mut id = [0; ID_BYTES];
        id[..length].copy_from_slice(&first.1[..length]);
        Bound { time: first.0, id, length: length as u8 }
    }
}

impl PartialEq for Bound {
    fn eq(&self, other: &Bound) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Bound {}

impl Ord for Bound {
    fn cmp(&self, other: &Bound) -> Ordering {
        // How much of the id was written makes no difference to where the bound is.
        (self.time, self.id).cmp(&(other.time, other.id))
    }
}

impl PartialOrd for Bound {
    fn partial_cmp(&self, other: &Bound) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// What is said of a range.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Mode<'a> {
    Skip,
    Fingerprint([u8; FINGERPRINT_BYTES]),
    /// Ids, one behind the other.
    Ids(&'a [[u8; ID_BYTES]]),
}

/// The ranges of a message.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    /// Of the bound before.
    time: u64,
}

impl<'a> Reader<'a> {
    /// Begins with `message`; `None` if it is of another version of the protocol.
    pub(super) fn new(message: &'a [u8]) -> Result<Option<Reader<'a>>, Malformed> {
        match message.split_first() {
            Some((&PROTOCOL_VERSION, rest)) => Ok(Some(Reader { rest, time: 0 })),
            Some((version, _)) if VERSIONS.contains(version) => Ok(None),
            _ => Err(Malformed("a negentropy message begins with its version")),
        }
    }

    /// The next range: its upper bound, and what is said of it.
    pub(super) fn next(&mut self) -> Result<Option<(Bound, Mode<'a>)>, Malformed> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let bound = self.bound()?;
        let mode = match self.number()? {
            0 => Mode::Skip,
            1 => Mode::Fingerprint(*self.take()?),
            2 => {
                let count = self.number()?;
                let (ids, _) = self.rest.as_chunks::<ID_BYTES>();
                let count = usize::try_from(count).ok().filter(|count| *count <= ids.len());
                let ids = &ids[..count.ok_or(Malformed("a list has fewer ids than it says"))?];
                self.rest = &self.rest[ids.len() * ID_BYTES..];
                Mode::Ids(ids)
            }
            _ => return Err(Malformed("a range has an unknown mode")),
        };
        Ok(Some((bound, mode)))
    }

    fn bound(&mut self) -> Result<Bound, Malformed> {
        self.time = match self.number()? {
            0 => u64::MAX,
            next => self.time.saturating_add(next - 1),
        };
        let length = self.number()?;
        let length = usize::try_from(length).ok().filter(|length| *length <= ID_BYTES);
        let length = length.ok_or(Malformed("a bound's id has at most 32 bytes"))?;
        let (prefix, rest) = self.rest.split_at_checked(length).ok_or(CUT)?;
        self.rest = rest;
        let mut id = [0; ID_BYTES];
        id[..length].copy_from_slice(prefix);
        Ok(Bound { time: self.time, id, length: length as u8 })
    }

    fn take<const N: usize>(&mut self) -> Result<&'a [u8; N], Malformed> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(CUT)?;
        self.rest = rest;
        Ok(taken)
    }

    fn number(&mut self) -> Result<u64, Malformed> {
        let mut number: u64 = 0;
        loop {
            let [byte] = *self.take()?;
            if number > u64::MAX >> 7 {
                return Err(Malformed("a number has more than 64 bits"));
            }
            number = number << 7 | u64::from(byte & 0x7f);
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
    }
}

const CUT: Malformed = Malformed("the message is cut short");

/// A message being written.
pub(super) struct Writer {
    out: Vec<u8>,
    /// Of the bound before.
    time: u64,
    /// To where nothing is to be said, if that is not written yet.
    skip: Option<Bound>,
}

impl Writer {
    pub(super) fn new() -> Writer {
        Writer { out: vec![PROTOCOL_VERSION], time: 0, skip: None }
    }

    /// Bytes so far, with what is put off.
    pub(super) fn bytes(&self) -> usize {
        self.out.len() + if self.skip.is_some() { BOUND_BYTES_MAX + 1 } else { 0 }
    }

    /// Says nothing of the range up to `bound`.
    pub(super) fn skip(&mut self, bound: Bound) {
        self.skip = Some(bound);
    }

    pub(super) fn fingerprint(&mut self, bound: Bound, fingerprint: [u8; FINGERPRINT_BYTES]) {
        self.range(bound, 1);
        self.out.extend(fingerprint);
    }

    pub(super) fn ids<'a>(
        &mut self,
        bound: Bound,
        ids: impl ExactSizeIterator<Item = &'a [u8; ID_BYTES]>,
    ) {
        self.range(bound, 2);
        put_number(ids.len() as u64, &mut self.out);
        ids.for_each(|id| self.out.extend(id));
    }

    /// The message, and whether it says anything.
    pub(super) fn finish(self) -> (Vec<u8>, bool) {
        let says = self.out.len() > 1;
        (self.out, says)
    }

    fn range(&mut self, bound: Bound, mode: u8) {
        if let Some(skipped) = self.skip.take() {
            self.bound(skipped);
            self.out.push(0);
        }
        self.bound(bound);
        self.out.push(mode);
    }

    fn bound(&mut self, bound: Bound) {
        let time = match bound.time {
            u64::MAX => 0,
            time => time.saturating_sub(self.time) + 1,
        };
        self.time = bound.time;
        put_number(time, &mut self.out);
        put_number(bound.length.into(), &mut self.out);
        self.out.extend(&bound.id[..usize::from(bound.length)]);
    }
}

/// Appends a number.
pub(super) fn put_number(number: u64, out: &mut Vec<u8>) {
    let groups = (64 - number.leading_zeros()).div_ceil(7).max(1);
    for group in (0..groups).rev() {
        let more = if group > 0 { 0x80 } else { 0 };
        out.push((number >> (7 * group)) as u8 & 0x7f | more);
    }
}
