//! What the engine is told of log records: how they are indexed. There are no rules to decide by.
//!
//! ```text
//!   1  uuid, 16 bytes             the source
//!   2  arrival >> 16, 6 bytes     a block of arrivals: the highest tells where to count on
//!   16 token, up to 10 bytes      a short token, as it is
//!   17 hash, 6 bytes              a longer one: what stands there is checked against the raw bytes
//!   18                            a record with more tokens than it is indexed under: it is checked likewise
//! ```

use super::record::decode;
use super::{Position, tokens};
use crate::base::limits::TERMS_PER_RECORD_MAX;
use crate::base::{Terms, hash64};
use crate::model::{Decision, Model, Probes, Record};

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

/// Bytes up to which a token is its own term.
const PLAIN_BYTES_MAX: usize = 10;

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
        out.push(&[&[HASHED], &hash64(token).to_be_bytes()[..6]]);
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

    fn route(&self, record: Record<'_>) -> u64 {
        decode(record.body).map_or(0, |(source, _)| route_of(&source.uuid()))
    }

    fn terms(&self, record: Record<'_>, out: &mut Terms) {
        let Some((source, raw)) = decode(record.body) else { return };
        source_term(&source.uuid(), out);
        let block = Position::of(&record.key).arrival >> BLOCK_BITS;
        out.push(&[&[ARRIVAL], &block.to_be_bytes()[2..]]);
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
        if record.key.id[8..] != [0; 24] {
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
