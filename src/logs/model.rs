//! What the engine is told of log records: how they are indexed. There are no rules to decide by.
//!
//! ```text
//!   1  uuid, 16 bytes             the source
//!   2  arrival >> 16, 6 bytes     a block of arrivals: the highest tells where to count on
//!   16 token, up to 10 bytes      a short token, as it is
//!   17 hash, 4 bytes              a longer one: what stands there is checked against the raw bytes
//!   18                            a record with more tokens than it is indexed under: it is checked likewise
//! ```
//!
//! Terms from 16 on are late: a memtable does not have them, and its records are searched.

use super::record::decode;
use super::{Position, tokens};
use crate::base::limits::TERMS_PER_RECORD_MAX;
use crate::base::{Terms, hash64};
use crate::model::{Bodies, Decision, Ids, Model, Probes, Record};

/// The field of sources.
pub(super) const SOURCE: u8 = 1;
/// The field of blocks of arrivals.
pub(super) const ARRIVAL: u8 = 2;
const TOKEN: u8 = 16;
const HASHED: u8 = 17;

/// The term of records that are not indexed under all of their tokens.
pub(super) const CROWDED: &[u8] = &[18];

/// Tokens of one record that are indexed. A line has some twenty; a megabyte may have 350,000, which is over what the
/// engine takes, and as many terms for one record serve nobody.
const TOKENS_MAX: usize = 16_384;

/// Bits of an arrival within its block: a term for every 65,536 records.
pub(super) const BLOCK_BITS: u32 = 16;

/// Bytes up to which a token is its own term. Of 300,000 generated lines (163 bytes each, most with an id of 16 digits)
/// the dictionary takes 6.4 bytes a line so, 6.4 with 6 to 12, and 16.4 if ids are not hashed.
const PLAIN_BYTES_MAX: usize = 10;

/// Bytes of a longer token's hash. 6 would take 8.5 bytes a line. Among a million such tokens of a segment, one in 8,600
/// shares its term with another, whose records are then read in vain.
const HASH_BYTES: usize = 4;

/// The model of log records.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogModel;

/// Whether a token's term stands for other tokens too.
pub(super) fn is_hashed(token: &[u8]) -> bool {
    token.len() > PLAIN_BYTES_MAX
}

/// Adds the term of a token.
pub(super) fn token_term(token: &[u8], out: &mut Terms) {
    if is_hashed(token) {
        out.push(&[&[HASHED], &hash64(token).to_be_bytes()[..HASH_BYTES]]);
    } else {
        out.push(&[&[TOKEN], token]);
    }
}

/// The term of a source.
pub(super) fn source_term(uuid: &[u8; 16], out: &mut Terms) {
    out.push(&[&[SOURCE], uuid]);
}

impl Model for LogModel {
    fn name(&self) -> &'static str {
        "logs"
    }

    fn version(&self) -> u32 {
        1
    }

    fn ids(&self) -> Ids {
        Ids::Own
    }

    fn late_from(&self) -> u8 {
        TOKEN
    }

    /// Lines are short, much like their neighbours in time, and read in rows.
    fn bodies(&self) -> Bodies {
        Bodies::Blocks
    }

    fn route(&self, record: Record<'_>) -> u64 {
        decode(record.body).map_or(0, |(source, _)| route_of(&source.uuid()))
    }

    fn early_terms(&self, record: Record<'_>, out: &mut Terms) {
        let Some((source, _)) = decode(record.body) else { return };
        source_term(&source.uuid(), out);
        let block = Position::of(&record.key).arrival >> BLOCK_BITS;
        out.push(&[&[ARRIVAL], &block.to_be_bytes()[2..]]);
    }

    fn terms(&self, record: Record<'_>, out: &mut Terms) {
        self.early_terms(record, out);
        let Some((_, raw)) = decode(record.body) else { return };
        let mut is_crowded = false;
        tokens::each(raw, |token| {
            if !is_crowded {
                token_term(token, out);
                is_crowded = is_over(out);
            }
        });
        if is_crowded {
            out.push(&[CROWDED]);
        }
    }

    fn check(&self, record: Record<'_>) -> Result<(), String> {
        if record.key.own_number().is_none() {
            return Err("the id of a log record has eight bytes, and zeros behind them".into());
        }
        decode(record.body).map(drop).ok_or_else(|| "the body is no log record's".into())
    }

    fn probes(&self, record: Record<'_>, out: &mut Probes) {
        let _nothing_is_compared = (record, out);
    }

    fn decide(&self, _: Record<'_>, _: &[Record<'_>], _: u64) -> Decision {
        Decision::Store { kills: Vec::new() }
    }
}

/// Whether `terms` are too many, each counted once. Repetitions are dropped whenever there is twice as much as is
/// allowed, so that the work stays in proportion.
fn is_over(terms: &mut Terms) -> bool {
    if terms.len() < 2 * TOKENS_MAX {
        return false;
    }
    terms.seal();
    terms.len() > TOKENS_MAX
}

const _: () = assert!(2 * TOKENS_MAX + 4 < TERMS_PER_RECORD_MAX);

/// What the records of a source are routed by: they are all in one shard.
pub(super) fn route_of(uuid: &[u8; 16]) -> u64 {
    hash64(uuid)
}
