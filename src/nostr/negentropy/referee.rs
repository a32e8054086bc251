//! The referee: passes messages between two sides, and collects what only one of them has.
//!
//! ```text
//!   opening --> first --message--> [ referee ] --message--> second --message--> [ referee ] --> first ..
//!                                       |  ids of one range from both sides: compared, and the range is done
//!                                       v
//!                                  Differences
//! ```
//!
//! Both sides only answer ([`respond`](super::respond())), so neither has to know that there is a referee.
//!
//! I1. Memory: the ids of the message that was passed last, and the differences that the caller takes away.
//! I2. A list that the other side answers for a part of its range only is passed back, and so narrowed, until both
//!     fit their frames.
//! I3. Every difference is found once at least. Behind a frame that was full, a range that was compared already is in
//!     the fingerprint of the rest, and may be compared again.

use super::message::{Bound, ID_BYTES, Malformed, Mode, Reader, Writer};
use std::collections::{HashMap, HashSet};

/// One of the two.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// Who gets the opening.
    First,
    /// The other.
    Second,
}

/// What only one side has, by ids.
#[derive(Debug, Default)]
pub struct Differences {
    /// What the first side has and the second has not.
    pub first: Vec<[u8; ID_BYTES]>,
    /// What the second side has and the first has not.
    pub second: Vec<[u8; ID_BYTES]>,
}

type Place = (u64, [u8; ID_BYTES]);

/// Stands between two sides.
#[derive(Debug, Default)]
pub struct Referee {
    /// The lists that were passed last, by their ranges.
    passed: HashMap<(Place, Place), Vec<[u8; ID_BYTES]>>,
}

/// The message that makes any side say what it has.
pub fn opening() -> Vec<u8> {
    let mut message = Writer::new();
    // No set has this fingerprint, but for one in 2^128.
    message.fingerprint(Bound::END, [0xff; 16]);
    message.finish().0
}

impl Referee {
    /// A referee for one session.
    pub fn new() -> Referee {
        Referee::default()
    }

    /// Takes the answer of the side `from`, adds to `found`, and gives what to pass to the other side; `None` if
    /// nothing is left to compare.
    ///
    /// # Errors
    /// [`Malformed`], also for another version of the protocol: the session cannot go on.
    pub fn pass(
        &mut self,
        from: Side,
        message: &[u8],
        found: &mut Differences,
    ) -> Result<Option<Vec<u8>>, Malformed> {
        let other_version = Malformed("the other side speaks another version of negentropy");
        let mut reader = Reader::new(message)?.ok_or(other_version)?;
        let passed = std::mem::take(&mut self.passed);
        let mut out = Writer::new();
        let mut lower = place(&Bound::START);
        while let Some((bound, mode)) = reader.next()? {
            let range = (lower, place(&bound));
            match mode {
                Mode::Skip => out.skip(bound),
                Mode::Fingerprint(fingerprint) => out.fingerprint(bound, fingerprint),
                Mode::Ids(ids) => match passed.get(&range) {
                    Some(others) => {
                        found.compare(from, ids, others);
                        out.skip(bound);
                    }
                    None => {
                        out.ids(bound, ids.iter());
                        self.passed.insert(range, ids.to_vec());
                    }
                },
            }
            lower = range.1;
        }
        let (message, says) = out.finish();
        Ok(says.then_some(message))
    }
}

impl Differences {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.first.is_empty() && self.second.is_empty()
    }

    fn compare(&mut self, from: Side, ids: &[[u8; ID_BYTES]], others: &[[u8; ID_BYTES]]) {
        let (first, second) = match from {
            Side::First => (ids, others),
            Side::Second => (others, ids),
        };
        only(first, second, &mut self.first);
        only(second, first, &mut self.second);
    }
}

/// Appends what is in `these` and not in `others`.
fn only(these: &[[u8; ID_BYTES]], others: &[[u8; ID_BYTES]], out: &mut Vec<[u8; ID_BYTES]>) {
    let others: HashSet<_> = others.iter().collect();
    out.extend(these.iter().filter(|id| !others.contains(id)));
}

fn place(bound: &Bound) -> Place {
    (bound.time, bound.id)
}
