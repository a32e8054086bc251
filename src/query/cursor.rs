//! The cursor: the union of several selections, each with its own limit, every record once.

use super::merge::Merged;
use super::scatter::{Readers, scatter};
use super::{Expired, Order, Select};
use crate::base::{Key, Result};
use crate::model::Record;
use crate::shard::Snapshot;

/// A walk over the answer to one or several selections. It owns its snapshot.
pub struct Cursor {
    order: Order,
    selections: Vec<Merged>,
    /// The selections whose head was given last, and its key.
    given: Vec<usize>,
    /// What expires while the cursor is held open, once time has passed.
    later: Option<Expired>,
    failed: bool,
}

impl Cursor {
    /// Opens the union of `selects` over `snapshots` (one for each shard).
    ///
    /// # Errors
    /// `Corrupt` or `Io` from what has to be read for the plans.
    pub fn open(
        selects: &[Select],
        order: Order,
        snapshots: &[Snapshot],
        readers: &Readers,
    ) -> Result<Cursor> {
        let mut selections = Vec::with_capacity(selects.len());
        for select in selects.iter().filter(|s| !s.is_empty()) {
            let select = select.clone();
            selections.push(match readers.for_large(&select, snapshots)? {
                Some(sender) => {
                    let sources = scatter(&sender, &select, order, snapshots)?;
                    Merged::over(select.into(), order, sources)
                }
                None => Merged::open(select, order, snapshots),
            });
        }
        let later = None;
        Ok(Cursor { order, selections, given: Vec::new(), later, failed: false })
    }

    /// As [`Cursor::open`], of what comes behind `last` in `order`, on the caller's thread alone. What is left out
    /// counts for no limit, so that answers of `limit` records follow each other without a gap.
    ///
    /// # Errors
    /// As [`Cursor::open`].
    pub fn open_after(
        selects: &[Select],
        order: Order,
        snapshots: &[Snapshot],
        last: Key,
    ) -> Result<Cursor> {
        let mut selections = Vec::with_capacity(selects.len());
        for select in selects.iter().filter(|s| !s.is_empty()) {
            let mut select = select.clone();
            match order {
                Order::Newest => select.until = select.until.min(last.time),
                Order::Oldest => select.since = select.since.max(last.time),
            }
            // Sources know the limit too, and would count what is left out.
            let limit = select.limit.take();
            let mut merged = Merged::open(select, order, snapshots);
            merged.skip_through(last, limit)?;
            selections.push(merged);
        }
        let later = None;
        Ok(Cursor { order, selections, given: Vec::new(), later, failed: false })
    }

    /// The next record, good until the next call; `None` at the end, for ever after.
    ///
    /// # Errors
    /// `Corrupt` or `Io`; the cursor is at its end then (I3).
    #[expect(clippy::should_implement_trait, reason = "the record borrows from the cursor")]
    pub fn next(&mut self) -> Result<Option<Record<'_>>> {
        if self.failed {
            return Ok(None);
        }
        self.failed = true;
        let Some(nearest) = self.step()? else { return Ok(None) };
        self.failed = false;
        let record = self.selections[nearest].record();
        if record.is_err() {
            self.failed = true;
        }
        record.map(Some)
    }

    /// From here on, records that have expired by `now` are not given, if the selections hide what has expired: for
    /// whoever holds a cursor for long. They count for the limits all the same. Costs a look at each record, if
    /// `now` is later than what the selections count by.
    pub fn pass_time(&mut self, now: u64) {
        let hides = self.selections.iter().find_map(Merged::hides);
        self.later = hides.filter(|hides| now > hides.now).map(|hides| Expired { now, ..hides });
    }

    /// Goes to the next record, and says whose head it is.
    fn step(&mut self) -> Result<Option<usize>> {
        loop {
            for &given in &self.given {
                self.selections[given].advance()?;
            }
            self.given.clear();
            let Some(nearest) = self.find_nearest()? else { return Ok(None) };
            match self.later {
                Some(later) if !later.admits(self.selections[nearest].record()?) => {}
                _ => return Ok(Some(nearest)),
            }
        }
    }

    /// The selection with the nearest head; notes all that share it.
    fn find_nearest(&mut self) -> Result<Option<usize>> {
        if let [only] = &mut self.selections[..] {
            let any = only.peek_time()?.is_some();
            self.given.extend(any.then_some(0));
            return Ok(any.then_some(0));
        }
        let mut nearest: Option<(u64, usize)> = None;
        for i in 0..self.selections.len() {
            let Some(time) = self.selections[i].peek_time()? else { continue };
            let sooner = match nearest {
                None => true,
                Some((best, _)) if best != time => (time > best) == (self.order == Order::Newest),
                Some((_, at)) => {
                    let (a, b) = (self.selections[i].peek_key(), self.selections[at].peek_key());
                    a != b && (a > b) == (self.order == Order::Newest)
                }
            };
            if sooner {
                nearest = Some((time, i));
            }
        }
        let Some((time, nearest)) = nearest else { return Ok(None) };
        for i in 0..self.selections.len() {
            let same = i == nearest
                || self.selections[i].peek_time()? == Some(time)
                    && self.selections[i].peek_key() == self.selections[nearest].peek_key();
            self.given.extend(same.then_some(i));
        }
        Ok(Some(nearest))
    }
}
