//! A cursor: to and fro over the records of one snapshot, and to any position.
//!
//! ```text
//!     a   b | c   d         it stands between records: next gives c, prev gives b
//!         seek(c)
//! ```
//!
//! I1. What `next` gave, `prev` gives again, and the other way round.
//! I2. The ends are answers: `None` there, as often as asked, and the way back is open.

use super::{LogRef, Position};
use crate::base::{Error, Key, Result};
use crate::query::{Cursor, Order, Select};
use crate::store::{Store, StoreSnapshot};
use std::sync::Arc;

/// A walk over everything that was stored when it was made. A turn costs what opening a search does.
pub struct LogCursor {
    store: Arc<Store>,
    snapshot: StoreSnapshot,
    gap: Gap,
    /// The walk under way, and its direction: it stands in the gap.
    walk: Option<(Order, Cursor)>,
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
        LogCursor { store, snapshot, gap: Gap::Start, walk: None }
    }

    /// The record behind the gap, which is stepped over; `None` at the end.
    ///
    /// # Errors
    /// `Corrupt` or `Io`; the cursor stays where it is.
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
    /// `Gone` if there is none; the cursor stays where it is. `Corrupt` or `Io`.
    pub fn seek(&mut self, position: Position) -> Result<()> {
        let mut walk = self.open(Order::Oldest, Gap::Before(position))?;
        let found = walk.next()?.map(|record| Position::of(&record.key));
        if found != Some(position) {
            let why = format!("there is no record at {position}");
            return Err(Error::Gone { what: "position", why });
        }
        (self.gap, self.walk) = (Gap::Before(position), None);
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
        let at_end =
            matches!((self.gap, order), (Gap::Start, Order::Newest) | (Gap::End, Order::Oldest));
        if at_end {
            return Ok(None);
        }
        // Put back only if the step succeeds: a walk that failed is at its end.
        let walk = match self.walk.take() {
            Some((way, walk)) if way == order => walk,
            _ => self.open(order, self.gap)?,
        };
        let (_, walk) = self.walk.insert((order, walk));
        let dir = self.store.dir();
        let Some(record) = walk.next()? else {
            self.gap = match order {
                Order::Oldest => Gap::End,
                Order::Newest => Gap::Start,
            };
            return Ok(None);
        };
        let position = Position::of(&record.key);
        self.gap = match order {
            Order::Oldest => Gap::After(position),
            Order::Newest => Gap::Before(position),
        };
        let damaged =
            || Error::corrupt(dir, 0, format!("the record at {position} is no log record"));
        LogRef::stored(record).map(Some).ok_or_else(damaged)
    }

    /// A walk in `order` from `gap` on.
    fn open(&self, order: Order, gap: Gap) -> Result<Cursor> {
        let all = [Select::all()];
        let Some(behind) = behind(gap, order) else {
            return self.store.walk_at(&self.snapshot, &all, order);
        };
        self.store.query_after(&self.snapshot, &all, order, behind)
    }
}

/// The key up to which a walk in `order` leaves everything out to begin in `gap`. It need not be a record's.
fn behind(gap: Gap, order: Order) -> Option<Key> {
    let neighbour = |position: Position, arrival: Option<u64>| match (arrival, order) {
        (Some(arrival), _) => Some(Position { arrival, ..position }.key()),
        (None, Order::Oldest) => {
            position.ts.checked_sub(1).map(|ts| Position { ts, arrival: u64::MAX }.key())
        }
        (None, Order::Newest) => {
            position.ts.checked_add(1).map(|ts| Position { ts, arrival: 0 }.key())
        }
    };
    match (gap, order) {
        (Gap::Start | Gap::End, _) => None,
        (Gap::After(p), Order::Oldest) | (Gap::Before(p), Order::Newest) => Some(p.key()),
        (Gap::Before(p), Order::Oldest) => neighbour(p, p.arrival.checked_sub(1)),
        (Gap::After(p), Order::Newest) => neighbour(p, p.arrival.checked_add(1)),
    }
}
