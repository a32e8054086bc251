//! Events from JSON and to JSON, by an own strict scanner: this is the hot path of a relay.
//!
//! `scan` knows JSON, `event` knows which fields an event has, `write` goes the other way. No
//! `String` is built on either way, and nothing recurses.
//!
//! A [`ParseError`] is the sender's fault; its text can stand behind `invalid: `.

mod event;
pub(super) mod scan;
#[cfg(test)]
mod tests;
pub(super) mod write;

use crate::base::limits::{RECORD_BYTES_MAX, TERMS_PER_RECORD_MAX};

pub use event::parse_event;
pub use write::write_event;

/// Unknown fields that one event may have; their names are remembered to refuse repetitions.
pub const UNKNOWN_KEYS_MAX: usize = 16;

/// The deepest nesting that can be asked for: the scanner keeps one bit a level.
pub const DEPTH_MAX: u32 = 64;

/// What the JSON of an event may be; more is refused. `Default` is for relays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonLimits {
    /// Bytes of the whole JSON text. Default 64 KiB.
    pub json_bytes: usize,
    /// Bytes of the content, unescaped. Default 60 KiB.
    pub content_bytes: usize,
    /// Tags. Default 2,000.
    pub tags: usize,
    /// Items of one tag. Default 64.
    pub items: usize,
    /// Bytes of one tag item, unescaped. Default 16 KiB: zap receipts carry a whole event in one.
    pub item_bytes: usize,
    /// Levels of nesting, also in unknown fields, at most [`DEPTH_MAX`]. An event has 3. Default 8.
    pub depth: u32,
}

impl Default for JsonLimits {
    fn default() -> JsonLimits {
        JsonLimits {
            json_bytes: 64 * 1024,
            content_bytes: 60 * 1024,
            tags: 2_000,
            items: 64,
            item_bytes: 16 * 1024,
            depth: 8,
        }
    }
}

impl JsonLimits {
    /// Everything that the engine can store: a body of `RECORD_BYTES_MAX`, each byte of which may
    /// have taken six (`\u0000`) in JSON. For imports.
    pub const WIDEST: JsonLimits = JsonLimits {
        json_bytes: 6 * RECORD_BYTES_MAX + 1024,
        content_bytes: RECORD_BYTES_MAX,
        tags: TERMS_PER_RECORD_MAX - 8,
        items: RECORD_BYTES_MAX,
        item_bytes: RECORD_BYTES_MAX,
        depth: 8,
    };
}

// Each tag is one term at most; author, kind, author + kind and address are four more.
const _: () = assert!(JsonLimits::WIDEST.tags + 4 <= TERMS_PER_RECORD_MAX);

/// Why a text was refused, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} (byte {offset})")]
pub struct ParseError {
    /// What does not hold.
    pub what: Refused,
    /// Byte offset in the JSON text.
    pub offset: usize,
}

/// What can be wrong with a JSON text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// Longer than [`JsonLimits::json_bytes`].
    #[error("the event takes more than {0} bytes")]
    TooLong(usize),
    /// Not UTF-8.
    #[error("the text is not UTF-8")]
    NotUtf8,
    /// Starts with a byte order mark.
    #[error("the text starts with a byte order mark")]
    ByteOrderMark,
    /// Something else than JSON, or than this format, asks for at this place.
    #[error("expected {0}")]
    Expected(&'static str),
    /// The text ends within a string.
    #[error("a string does not end")]
    UnclosedString,
    /// A character below U+0020 as it is.
    #[error("a control character stands in a string without an escape")]
    ControlCharacter,
    /// `\` and something that is no escape.
    #[error("an escape is unknown or cut off")]
    Escape,
    /// Half of a surrogate pair.
    #[error("an escape is half of a surrogate pair")]
    LoneSurrogate,
    /// Not a number of the JSON grammar.
    #[error("a number is malformed")]
    Number,
    /// Not an integer in the field's range.
    #[error("{field} must be an integer from 0 to {max}, without sign, fraction and exponent")]
    Integer {
        /// The field.
        field: &'static str,
        /// The largest value.
        max: u64,
    },
    /// Not hex of the field's length.
    #[error("{field} must be {chars} lowercase hex characters")]
    Hex {
        /// The field.
        field: &'static str,
        /// Its length in characters.
        chars: usize,
    },
    /// A field stands twice.
    #[error("{0} stands twice")]
    Duplicate(&'static str),
    /// A field is not there.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// Over a limit.
    #[error("more than {limit} {what}")]
    TooMany {
        /// What there is too much of, with its unit.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// Nested deeper than [`JsonLimits::depth`].
    #[error("nested too deeply")]
    TooDeep,
    /// Bytes after the value.
    #[error("something follows the end of the value")]
    Trailing,
}
