//! Negentropy, protocol version 1 (0x61), which NIP-77 carries: two sets of events find out where they differ.
//!
//! ```text
//!   items:    (created_at, id) ascending, with sums of ids, so that any range has its fingerprint at once
//!   message:  0x61, then ranges one behind the other: upper bound, and
//!             skip | fingerprint of a range | ids of a range
//!
//!   respond(items, message) -> message       one side, which keeps nothing between messages
//!   Referee: passes messages between two sides and collects what only one of them has
//! ```
//!
//! Who begins a session by the protocol is itself a referee here, between its own items and the other side. So a
//! third party can as well compare two relays whose items it never sees.
//!
//! Files, lowest first: `message` (bytes), `items`, `respond`, `referee`. Pure; no message makes them panic or
//! hold more than a message's own size and one answer of `frame_bytes`.

mod items;
mod message;
mod referee;
mod respond;

pub use items::Items;
pub use message::{Malformed, PROTOCOL_VERSION};
pub use referee::{Differences, Referee, Side, opening};
pub use respond::{FRAME_BYTES_MIN, respond};

#[cfg(test)]
mod tests;
