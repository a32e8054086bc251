//! Resume tokens: where a page ended, in one short word that holds all it needs.
//!
//! ```text
//!   60 bytes as 80 characters (base64url)
//!   version, flags 1 | store 4 | query 7 | from 8 | to 8 | frozen arrival 8 | ts 8 | arrival 8 | checksum 8
//! ```
//!
//! I1. A token is good for one store, one question and one direction; the times it froze are its own.
//! I2. Records that arrived after the first page began are on no page.
//! I3. A damaged token is refused: the checksum covers every byte before it, and every byte is in the text whole.

use super::{Position, Query};
use crate::base::{Error, Result, StoreId, crc64, hash64};
use std::fmt;
use std::str::FromStr;

const VERSION: u8 = 1;
const BYTES: usize = 60;
const TO: u8 = 1;
const POSITION: u8 = 2;
const REVERSE: u8 = 4;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Where to go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Resume {
    store: u32,
    query: u64,
    reverse: bool,
    pub(super) from: u64,
    pub(super) to: Option<u64>,
    /// The highest arrival that counts.
    pub(super) frozen: u64,
    /// The last record given; `None` before the first.
    pub(super) after: Option<Position>,
}

impl Resume {
    /// A token for `query` of the store with id `store`.
    pub(super) fn new(
        store: StoreId,
        query: &Query,
        frozen: u64,
        after: Option<Position>,
    ) -> Resume {
        Resume {
            store: short_store(store),
            query: short_query(query),
            reverse: query.reverse,
            from: query.from.unwrap_or(0),
            to: query.to,
            frozen,
            after,
        }
    }

    /// Whether it continues `query` in this store. Bounds that the query gives must be the token's.
    pub(super) fn check(&self, store: StoreId, query: &Query) -> Result<()> {
        let refuse = |why: &str| Err(Error::invalid("resume token", why));
        if self.store != short_store(store) {
            return refuse("it is of another store");
        }
        if self.reverse != query.reverse {
            return refuse("it goes the other direction");
        }
        if self.query != short_query(query) {
            return refuse("it is of another query");
        }
        let same_from = query.from.is_none_or(|from| from == self.from);
        if !same_from || query.to.is_some_and(|to| Some(to) != self.to) {
            return refuse("it is of another range of time");
        }
        Ok(())
    }

    fn bytes(&self) -> [u8; BYTES] {
        let flag = |set, bit| if set { bit } else { 0 };
        let mut out = Vec::with_capacity(BYTES);
        out.push(
            VERSION << 4
                | flag(self.to.is_some(), TO)
                | flag(self.after.is_some(), POSITION)
                | flag(self.reverse, REVERSE),
        );
        out.extend(self.store.to_be_bytes());
        out.extend(&self.query.to_be_bytes()[1..]);
        let after = self.after.unwrap_or(Position { ts: 0, arrival: 0 });
        for number in [self.from, self.to.unwrap_or(0), self.frozen, after.ts, after.arrival] {
            out.extend(number.to_be_bytes());
        }
        out.extend(crc64(&out).to_be_bytes());
        let mut bytes = [0; BYTES];
        bytes.copy_from_slice(&out);
        bytes
    }

    fn from_bytes(bytes: &[u8; BYTES]) -> Result<Resume> {
        let refuse = |why: &str| Err(Error::invalid("resume token", why));
        let number = |at: usize| bytes[at..at + 8].iter().fold(0, |n, &b| n << 8 | u64::from(b));
        if number(52) != crc64(&bytes[..52]) {
            return refuse("it is damaged");
        }
        if bytes[0] >> 4 != VERSION {
            return refuse("it is of another version");
        }
        let has = |bit| bytes[0] & bit != 0;
        Ok(Resume {
            store: (number(0) >> 24) as u32,
            query: number(4) & QUERY_MASK,
            reverse: has(REVERSE),
            from: number(12),
            to: has(TO).then(|| number(20)),
            frozen: number(28),
            after: has(POSITION).then(|| Position { ts: number(36), arrival: number(44) }),
        })
    }
}

const QUERY_MASK: u64 = u64::MAX >> 8;

fn short_store(store: StoreId) -> u32 {
    hash64(&store.0) as u32
}

fn short_query(query: &Query) -> u64 {
    query.hash() & QUERY_MASK
}

impl fmt::Display for Resume {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::with_capacity(BYTES / 3 * 4);
        for three in self.bytes().chunks_exact(3) {
            let bits = three.iter().fold(0_u32, |bits, &b| bits << 8 | u32::from(b));
            let digits = [18, 12, 6, 0].map(|shift| ALPHABET[(bits >> shift & 63) as usize]);
            text.extend(digits.map(char::from));
        }
        f.write_str(&text)
    }
}

impl FromStr for Resume {
    type Err = Error;

    fn from_str(text: &str) -> Result<Resume> {
        let damaged = || Error::invalid("resume token", "it is damaged");
        if text.len() != BYTES / 3 * 4 {
            return Err(damaged());
        }
        let mut bytes = [0; BYTES];
        for (four, out) in text.as_bytes().chunks_exact(4).zip(bytes.chunks_exact_mut(3)) {
            let mut bits = 0;
            for digit in four {
                let value = ALPHABET.iter().position(|c| c == digit).ok_or_else(damaged)?;
                bits = bits << 6 | value as u32;
            }
            out.copy_from_slice(&bits.to_be_bytes()[1..]);
        }
        Resume::from_bytes(&bytes)
    }
}
