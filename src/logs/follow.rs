//! Following: what is stored, then what comes in, without a gap and without a repetition.
//!
//! ```text
//!   snapshot --+--> stream of the stored part, oldest first ------------+
//!              |                                                        +--> next, next_async
//!              +--> a tail for each shard --> [some records of each] ---+    the lowest arrival of the heads
//!                     stands in memtables      read when it is empty
//! ```
//!
//! F1. A tail begins where the snapshot of its shard ends, so that each record is in exactly one of the two parts.
//! F2. Nothing is queued for a follower but some records of each shard; a slow one stands in the memtables that hold what
//!     it has not read. Once more than `LogOptions::follow_bytes` of them are segments by now, and kept for it alone, it is
//!     cut off: it is given what it has at hand, and then `Lagged`, for ever. The shard's own thread sees to that, so that
//!     it holds for a follower that never comes back, too. Nobody ever waits for a follower.
//! F3. New records come in the order of their arrival, as far as shards have published them: of two that different shards
//!     stored at one moment, the earlier can be published, and come, later.
//! F4. A follower keeps no store open: when its store is closed it is given the rest, and then `Closed`.

use super::query::Matching;
use super::{LogRef, LogStore, Position, Query};
use crate::base::{Error, Key, Result};
use crate::io::{Clock, Wake};
use crate::model::Record;
use crate::query::{Order, Select};
use crate::shard::Tail;
use crate::store::{Store, StoreSnapshot, Stream};
use crossbeam::channel::{Receiver, Sender, bounded};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering::*};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// Matches of a shard that are copied at once, and their bytes.
const QUEUE_RECORDS: usize = 128;
const QUEUE_BYTES: usize = 256 << 10;

/// Records that are looked at before the tails are let go of for a moment.
const LOOK_RECORDS: usize = 4096;

/// A record in memory of its own.
struct Line {
    key: Key,
    body: Vec<u8>,
}

/// The answer to a query that goes on. See the module.
#[must_use = "a follower that is not asked falls behind"]
pub struct Follow {
    stored: Option<Stream<Line>>,
    watch: Arc<Watch>,
    matching: Matching,
    /// Matches of each shard that were read and not yet given.
    queues: Vec<VecDeque<Line>>,
    current: Line,
    clock: Arc<dyn Clock>,
    dir: PathBuf,
}

impl LogStore {
    /// The records that `query` asks for: those stored now, oldest first, then each that is appended from now on, once
    /// it is as durable as the sync mode says. With a limit, the newest so many of the stored ones.
    ///
    /// # Errors
    /// `Invalid` if the query is in reverse or continues a page; `Corrupt` or `Io`.
    pub fn follow(&self, query: &Query) -> Result<Follow> {
        let (snapshot, watch) = self.watch();
        let mut follow = self.live(query, watch)?;
        let after = before_newest(&self.store, &snapshot, query)?;
        let copy = |record: Record<'_>| Ok(Line::of(record));
        let selects = vec![query.select(&snapshot)];
        let stored = self.store.stream_at(&snapshot, selects, Order::Oldest, after, copy);
        follow.stored = Some(stored);
        Ok(follow)
    }

    /// As [`LogStore::follow`], without what is stored now.
    ///
    /// # Errors
    /// As [`LogStore::follow`].
    pub fn follow_new(&self, query: &Query) -> Result<Follow> {
        self.live(query, self.watch().1)
    }

    fn live(&self, query: &Query, watch: Arc<Watch>) -> Result<Follow> {
        if query.reverse || query.resume.is_some() {
            let why = "new records come last: it can be neither in reverse nor a further page";
            return Err(Error::invalid("query to follow", why));
        }
        Ok(Follow {
            stored: None,
            watch,
            matching: Matching::of(query),
            queues: (0..self.store.shard_count()).map(|_| VecDeque::new()).collect(),
            current: Line { key: Key { time: 0, id: [0; 32] }, body: Vec::new() },
            clock: self.store.env().clock.clone(),
            dir: self.store.dir().into(),
        })
    }

    /// What is published now, and a watch over what comes behind it (F1).
    fn watch(&self) -> (StoreSnapshot, Arc<Watch>) {
        let snapshot = self.store.snapshot();
        let watch = Arc::new(Watch::new(self.follow_bytes));
        let wake: Arc<dyn Wake> = watch.clone();
        *lock(&watch.tails) = Some(self.store.tails(&snapshot, &wake));
        self.followers.add(&watch);
        (snapshot, watch)
    }
}

/// The key before the newest `query.limit` matches; `None` if there are no more than those.
fn before_newest(store: &Store, snapshot: &StoreSnapshot, query: &Query) -> Result<Option<Key>> {
    if query.limit == 0 {
        return Ok(None);
    }
    let one_more = query.limit.saturating_add(1);
    let select = Select { limit: Some(one_more), ..query.select(snapshot) };
    let mut newest = store.walk_at(snapshot, &[select], Order::Newest)?;
    for _ in 0..query.limit {
        if newest.next()?.is_none() {
            return Ok(None);
        }
    }
    Ok(newest.next()?.map(|record| record.key))
}

impl Line {
    fn of(record: Record<'_>) -> Line {
        Line { key: record.key, body: record.body.to_vec() }
    }
}

impl Follow {
    /// The next record, good until the next call; `None` if none came within `timeout`. Waits on this thread.
    ///
    /// # Errors
    /// `Lagged` (F2), `Closed` (F4): for ever after. `Corrupt` or `Io` from the stored part.
    pub fn next(&mut self, timeout: Duration) -> Result<Option<LogRef<'_>>> {
        let began = self.clock.monotonic_nanos();
        let waker = Waker::from(self.watch.clone());
        let mut context = Context::from_waker(&waker);
        loop {
            // Before the look: what rings from here on is heard below.
            while self.watch.rung.try_recv().is_ok() {}
            if let Poll::Ready(found) = self.poll(&mut context, false) {
                found?;
                return self.record().map(Some);
            }
            let passed = Duration::from_nanos(self.clock.monotonic_nanos() - began);
            if self.watch.rung.recv_timeout(timeout.saturating_sub(passed)).is_err() {
                return Ok(None);
            }
        }
    }

    /// The next record, good until the next call, as a future of any executor. Dropping it loses nothing.
    ///
    /// # Errors
    /// As [`Follow::next`].
    pub async fn next_async(&mut self) -> Result<LogRef<'_>> {
        poll_fn(|context| self.poll(context, true)).await?;
        self.record()
    }

    /// Whether all that was stored at the beginning has been given.
    pub fn is_live(&self) -> bool {
        self.stored.is_none()
    }

    fn record(&self) -> Result<LogRef<'_>> {
        let Line { key, body } = &self.current;
        let damaged = || format!("the record at {} is no log record", Position::of(key));
        LogRef::stored(Record { key: *key, body })
            .ok_or_else(|| Error::corrupt(&self.dir, 0, damaged()))
    }

    /// Makes `current` the next record. `is_task`: whether to have the context woken by new records; whoever waits for
    /// the bell need not.
    fn poll(&mut self, context: &mut Context<'_>, is_task: bool) -> Poll<Result<()>> {
        if let Some(stored) = &mut self.stored {
            match std::task::ready!(stored.poll_next(context)) {
                Some(line) => {
                    return Poll::Ready(line.map(|line| self.current = line));
                }
                None => self.stored = None,
            }
        }
        if is_task {
            *lock(&self.watch.waker) = Some(context.waker().clone());
        }
        // Looked at before the tails: what was published before it was set is found.
        let is_closed = self.watch.is_closed.load(SeqCst);
        let has_tails = self.fill();
        let heads = self.queues.iter_mut().filter(|queue| !queue.is_empty());
        let nearest = heads.min_by_key(|queue| queue.front().map(arrival));
        if let Some(line) = nearest.and_then(VecDeque::pop_front) {
            self.current = line;
            return Poll::Ready(Ok(()));
        }
        match (has_tails, is_closed) {
            (false, _) => {
                let limit = self.watch.held_bytes_max as u64;
                Poll::Ready(Err(Error::Lagged { what: "bytes of memtables", limit }))
            }
            (true, true) => Poll::Ready(Err(Error::Closed)),
            (true, false) => Poll::Pending,
        }
    }

    /// Reads on for each shard whose queue is empty; false if it was cut off.
    fn fill(&mut self) -> bool {
        loop {
            let mut tails = lock(&self.watch.tails);
            let Some(tails) = &mut *tails else { return false };
            let mut again = false;
            for (tail, queue) in tails.iter_mut().zip(&mut self.queues) {
                if queue.is_empty() {
                    again |= read(tail, &self.matching, queue) && queue.is_empty();
                }
            }
            if !again {
                return true;
            }
        }
    }
}

fn arrival(line: &Line) -> u64 {
    Position::of(&line.key).arrival
}

/// Copies the next matches of a shard; whether it may have more.
fn read(tail: &mut Tail, matching: &Matching, queue: &mut VecDeque<Line>) -> bool {
    let (mut looked, mut bytes, mut more) = (0, 0, false);
    tail.poll_some(&mut |_, record| {
        looked += 1;
        if matching.holds(record) {
            bytes += record.body.len();
            queue.push_back(Line::of(record));
        }
        more = looked >= LOOK_RECORDS || queue.len() >= QUEUE_RECORDS || bytes >= QUEUE_BYTES;
        if more { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    more
}

/// What a follower and the shards share.
struct Watch {
    /// `None` once it is cut off (F2).
    tails: Mutex<Option<Vec<Tail>>>,
    held_bytes_max: usize,
    is_closed: AtomicBool,
    /// Rings for who waits on a thread.
    ring: Sender<()>,
    rung: Receiver<()>,
    /// Wakes who waits as a task.
    waker: Mutex<Option<Waker>>,
}

impl Watch {
    fn new(held_bytes_max: usize) -> Watch {
        let (ring, rung) = bounded(1);
        let (tails, waker) = (Mutex::new(None), Mutex::new(None));
        Watch { tails, held_bytes_max, is_closed: AtomicBool::new(false), ring, rung, waker }
    }

    fn ring(&self) {
        // If it is full, it has rung.
        let _rung = self.ring.try_send(());
        let waker = lock(&self.waker).take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Lets go of memtables that nobody else needs, if there are too many.
    fn cut_off(&self) {
        // Whoever has the lock is reading, and is looked at the next time.
        let Ok(mut tails) = self.tails.try_lock() else { return };
        let held = |tails: &Vec<Tail>| tails.iter().map(Tail::held_bytes).sum::<usize>();
        if tails.as_ref().is_some_and(|tails| held(tails) > self.held_bytes_max) {
            let parting = tails.take();
            drop(tails);
            drop(parting);
        }
    }
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Watch")
    }
}

impl Wake for Watch {
    fn wake(&self) {
        self.cut_off();
        self.ring();
    }
}

impl std::task::Wake for Watch {
    fn wake(self: Arc<Watch>) {
        let _rung = self.ring.try_send(());
    }
}

/// The followers of a store, who are told when it is closed.
#[derive(Default)]
pub(super) struct Followers(Mutex<Vec<Weak<Watch>>>);

impl Followers {
    fn add(&self, watch: &Arc<Watch>) {
        let mut watches = lock(&self.0);
        watches.retain(|watch| watch.strong_count() > 0);
        watches.push(Arc::downgrade(watch));
    }

    /// Nothing comes any more (F4).
    pub(super) fn end(&self) {
        let watches = std::mem::take(&mut *lock(&self.0));
        for watch in watches.iter().filter_map(Weak::upgrade) {
            watch.is_closed.store(true, SeqCst);
            watch.ring();
        }
    }
}

impl Drop for Followers {
    fn drop(&mut self) {
        self.end();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each critical section leaves its state whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
