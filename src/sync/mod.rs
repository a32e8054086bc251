//! Bringing events from relay to relay, as a client of both: once, by negentropy, or as they come.
//!
//! ```text
//!   sync:    local party <--messages-- referee --messages--> remote party     (NIP-77)
//!            local party <------------- events -------------> remote party    (REQ by ids, EVENT)
//!   stream:  live events of one side --> the other, again and again connected
//! ```
//!
//! A party is a store that this process has open, or a relay at a URL. So a store that its relay has open is
//! brought up to date through that relay, and two relays of others can be compared as well.
//!
//! Files, lowest first: `socket` (a websocket client), `party`, `reconcile`, `stream`.
//!
//! I1. Every wait has an end: what a relay does not answer in time is a [`Failed`].
//! I2. Events are taken from nobody unchecked: id and signature are verified before they are stored or passed on.
//! I3. Memory is bounded by batches, whatever a relay sends.
//! I4. Nothing is undone by an end in the middle: what was brought is there, and the next run finds the rest.

#[cfg(any(all(test, feature = "tool"), feature = "fuzzing"))]
pub(crate) mod fuzz;
mod party;
mod reconcile;
mod socket;
mod stream;
#[cfg(test)]
mod tests;

pub use party::Party;
pub use reconcile::sync;
pub use stream::{Happened, Local, Stream, stream};

use std::time::Duration;

/// Which way events go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// From the remote side to the local one.
    Down,
    /// From the local side to the remote one.
    Up,
    /// Both ways.
    Both,
}

impl Direction {
    /// Whether events come from the remote side.
    pub fn is_down(self) -> bool {
        self != Direction::Up
    }

    /// Whether events go to the remote side.
    pub fn is_up(self) -> bool {
        self != Direction::Down
    }
}

/// What became of the events of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Found on one side only.
    pub found: u64,
    /// Taken by the other.
    pub stored: u64,
    /// There already, when they came.
    pub duplicate: u64,
    /// Not taken: older than what is there, deleted, or against a rule of the relay.
    pub refused: u64,
    /// Offered and then not given, or not what they were said to be.
    pub missing: u64,
}

/// What was done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Negentropy messages that were passed.
    pub messages: u64,
    /// To the local side.
    pub down: Tally,
    /// To the remote side.
    pub up: Tally,
}

/// How long others may take.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For a connection, its TLS and websocket handshakes included.
    pub connect: Duration,
    /// For an answer, and for sending a message.
    pub answer: Duration,
}

impl Default for Patience {
    /// 10 s and 60 s: a relay may have to read a million keys first.
    fn default() -> Patience {
        Patience { connect: Duration::from_secs(10), answer: Duration::from_secs(60) }
    }
}

/// Why it ended early.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failed {
    /// There is no connection.
    #[error("cannot connect to {url}: {why}")]
    Connect {
        /// The relay.
        url: String,
        /// What the system or the relay said.
        why: String,
    },
    /// The relay said nothing for too long.
    #[error("{url} did not answer in time")]
    Silent {
        /// The relay.
        url: String,
    },
    /// The connection ended.
    #[error("{url} hung up: {why}")]
    Gone {
        /// The relay.
        url: String,
        /// How.
        why: String,
    },
    /// The relay will not.
    #[error("{url} refuses: {why}")]
    Refused {
        /// The relay.
        url: String,
        /// In its own words.
        why: String,
    },
    /// The relay does not do what the protocol says.
    #[error("{url} breaks the protocol: {why}")]
    Protocol {
        /// The relay.
        url: String,
        /// What does not hold.
        why: String,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] crate::base::Error),
}
