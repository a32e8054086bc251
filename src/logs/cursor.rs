//! A cursor: to and fro over the records of one snapshot, and to any position.
//!
//! ```text
//!     a   b | c   d         it stands between records: next gives c, prev gives b
//!         seek(c)
//! ```
//!
//! I1. What `next` gave, `prev` gives again, and the other way round.
//! I2. The ends are answers: `None` there, as often as asked, and the way back is open.
//! I3. A step that fails leaves the cursor where it was.

use super::walk::{Edge, Walk};
use super::{LogRef, Position};
use crate::base::{Error, Result};
use crate::query::{Order, Select};
use crate::store::{Store, StoreSnapshot};
use std::sync::Arc;

/// Records that a walk is begun with: a few, since whoever seeks looks around.
const CHUNK: usize = 32;

/// A walk over everything that was stored when it was made. A turn costs what opening a search does.
pub struct LogCursor {
    store: Arc<Store>,
    snapshot: StoreSnapshot,
    gap: Gap,
    /// The walk that went to one side of the gap last, and which way.
    walk: Option<(Order, Walk)>,
    /// The walk stands on the other side of the gap already.
    is_ahead: bool,
}

/// Where the cursor stands.
#[derive(Clone, Copy)]
enum Gap {
    Start,
    Before(Position),
    After(Position),
    End,
}

impl LogCursor {
    /// Over `snapshot`, before its first record.
    pub(super) fn over(store: Arc<Store>, snapshot: StoreSnapshot) -> LogCursor {
        LogCursor { store, snapshot, gap: Gap::Start, walk: None, is_ahead: false }
    }

    /// The record behind the gap, which is stepped over; `None` at the end.
    ///
    /// # Errors
    /// `Corrupt` or `Io` (I3).
    #[expect(clippy::should_implement_trait, reason = "the record borrows from the cursor")]
    pub fn next(&mut self) -> Result<Option<LogRef<'_>>> {
        self.step(Order::Oldest)
    }

    /// The record before the gap, which is stepped over; `None` at the start.
    ///
    /// # Errors
    /// As [`LogCursor::next`].
    pub fn prev(&mut self) -> Result<Option<LogRef<'_>>> {
        self.step(Order::Newest)
    }

    /// Goes before the record at `position`: `next` gives it, `prev` the one before it.
    ///
    /// # Errors
    /// `Gone` if there is none; `Corrupt` or `Io` (I3).
    pub fn seek(&mut self, position: Position) -> Result<()> {
        let mut walk = self.open(Order::Oldest, Gap::Before(position))?;
        if !walk.advance()? || walk.position != position {
            let why = format!("there is no record at {position}");
            return Err(Error::Gone { what: "position", why });
        }
        self.gap = Gap::Before(position);
        self.walk = Some((Order::Oldest, walk));
        self.is_ahead = true;
        Ok(())
    }

    /// Goes before the first record.
    pub fn to_start(&mut self) {
        (self.gap, self.walk) = (Gap::Start, None);
    }

    /// Goes behind the last record.
    pub fn to_end(&mut self) {
        (self.gap, self.walk) = (Gap::End, None);
    }

    fn step(&mut self, order: Order) -> Result<Option<LogRef<'_>>> {
        // Put back only if the step succeeds: a walk that failed is at its end.
        let mut walk = match self.walk.take() {
            Some((way, walk)) if way == order => walk,
            _ => {
                self.is_ahead = false;
                self.open(order, self.gap)?
            }
        };
        let found = std::mem::take(&mut self.is_ahead) || walk.advance()?;
        self.gap = match (found, order) {
            (true, Order::Oldest) => Gap::After(walk.position),
            (true, Order::Newest) => Gap::Before(walk.position),
            (false, Order::Oldest) => Gap::End,
            (false, Order::Newest) => Gap::Start,
        };
        let (_, walk) = self.walk.insert((order, walk));
        found.then(|| walk.record()).transpose()
    }

    /// A walk in `order` from `gap` on.
    fn open(&self, order: Order, gap: Gap) -> Result<Walk> {
        let mut select = Select::all();
        let edge = match (gap, order) {
            (Gap::Start, Order::Oldest) | (Gap::End, Order::Newest) => None,
            (Gap::Before(at), _) => Some(Edge { at, included: order == Order::Oldest }),
            (Gap::After(at), _) => Some(Edge { at, included: order == Order::Newest }),
            (Gap::Start, Order::Newest) | (Gap::End, Order::Oldest) => {
                (select.since, select.until) = (1, 0); // nothing
                None
            }
        };
        let (store, snapshot) = (self.store.clone(), self.snapshot.clone());
        Walk::open(store, snapshot, select, order, edge, Some(CHUNK))
    }
}
