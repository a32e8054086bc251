//! The thread of a tracing layer, which empties the queue, and who waits for it.
//!
//! When it sleeps and ends is a matter of `queue` (W1, W3).
//! W2. A mark in the ring is reached when all before it is appended or given up: that is what a flush waits for.

use super::queue::Queue;
use crate::io::threads::Thread;
use crate::logs::{LogRecord, LogStore, Source};
use crate::wal::{Drainer, Full, Ring};
use crossbeam::sync::Parker;
use std::fmt;
use std::fmt::Write;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Records and bytes of a batch: enough that the flush behind it costs each record little, and no more memory than a
/// part of the queue.
const BATCH_RECORDS: usize = 1024;
const BATCH_BYTES: usize = 256 << 10;

/// The tag of a mark (W2). No event is of that time.
const MARK: u64 = u64::MAX;

/// How long who waits for room in the queue waits before it looks again.
const AGAIN: Duration = Duration::from_millis(5);

/// What the producers and the thread share.
pub(super) struct Shared {
    queue: Queue,
    dropped: AtomicU64,
    progress: Mutex<Progress>,
    moved: Condvar,
}

/// How far the thread came.
#[derive(Default)]
struct Progress {
    /// Marks that were pushed, and the last that was reached.
    marks: u64,
    reached: u64,
    ended: bool,
    thread: Option<Thread<()>>,
}

impl Shared {
    pub fn new(ring: Arc<Ring>) -> (Arc<Shared>, Parker) {
        let (queue, parker) = Queue::new(ring);
        let shared = Shared {
            queue,
            dropped: AtomicU64::new(0),
            progress: Mutex::default(),
            moved: Condvar::new(),
        };
        (Arc::new(shared), parker)
    }

    /// Keeps the thread's handle. The thread itself keeps `self`, so that whoever lets go last does not wait for it.
    pub fn keep(&self, thread: Thread<()>) {
        self.lock().thread = Some(thread);
    }

    pub fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }

    /// Hands over a record, or counts it. Never waits.
    pub fn push(&self, ts: u64, raw: &[u8]) {
        if !self.queue.push(ts.min(MARK - 1), raw) {
            self.dropped.fetch_add(1, Relaxed);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn flush(&self, within: Duration) -> bool {
        let mut left = within;
        let mut progress = self.lock();
        let mark = progress.marks + 1;
        progress.marks = mark;
        while self.queue.push_mark(MARK, mark) == Err(Full::Now) {
            if progress.ended || left.is_zero() {
                return false;
            }
            self.queue.hurry();
            let wait = left.min(AGAIN);
            left -= wait;
            let waited = self.moved.wait_timeout(progress, wait);
            progress = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        self.queue.hurry();
        let waits = |progress: &mut Progress| progress.reached < mark && !progress.ended;
        let waited = self.moved.wait_timeout_while(progress, left, waits);
        waited.unwrap_or_else(PoisonError::into_inner).0.reached >= mark
    }

    pub fn close(&self, within: Duration) -> bool {
        self.queue.close();
        let waited = self.moved.wait_timeout_while(self.lock(), within, |progress| !progress.ended);
        let mut progress = waited.unwrap_or_else(PoisonError::into_inner).0;
        let ended = progress.ended;
        // What has ended is joined at once; what has not is left to itself.
        let thread = progress.thread.take_if(|_| ended);
        drop(progress);
        drop(thread);
        ended
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}, {} dropped", self.queue, self.dropped())
    }
}

/// The thread.
pub(super) struct Worker {
    store: Arc<LogStore>,
    source: Source,
    drainer: Drainer,
    linger: Duration,
    shared: Arc<Shared>,
    parker: Parker,
    batch: Batch,
    /// Of the dropped, those that a record tells of.
    told: u64,
    /// Whether the last batch was refused (L3).
    refused: bool,
}

/// Records on their way: their bytes in a row.
#[derive(Default)]
struct Batch {
    bytes: Vec<u8>,
    /// Time, and where its bytes end.
    records: Vec<(u64, usize)>,
    /// The last mark in it.
    mark: Option<u64>,
}

impl Batch {
    fn push(&mut self, ts: u64, raw: &[u8]) {
        self.bytes.extend_from_slice(raw);
        self.records.push((ts, self.bytes.len()));
    }

    fn is_full(&self) -> bool {
        self.records.len() >= BATCH_RECORDS || self.bytes.len() >= BATCH_BYTES
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.records.clear();
        self.mark = None;
    }
}

impl Worker {
    pub fn new(
        store: Arc<LogStore>,
        source: Source,
        drainer: Drainer,
        linger: Duration,
        shared: Arc<Shared>,
        parker: Parker,
    ) -> Worker {
        let batch = Batch::default();
        Worker { store, source, drainer, linger, shared, parker, batch, told: 0, refused: false }
    }

    /// Until the end is asked for and nothing is queued.
    pub fn run(mut self) {
        loop {
            self.shared.queue.begin_round();
            if self.take_batch() {
                self.append();
                self.reach();
                if self.batch.is_full() {
                    continue;
                }
            } else if self.shared.queue.is_drained() {
                break;
            }
            self.shared.queue.rest(&self.drainer, &self.parker, self.linger);
        }
        self.last_words();
        let Worker { store, shared, .. } = self;
        drop(store);
        shared.lock().ended = true;
        shared.moved.notify_all();
    }

    /// Fills the batch from the ring; whether there was anything.
    fn take_batch(&mut self) -> bool {
        let batch = &mut self.batch;
        batch.clear();
        let taken = self.drainer.drain(BATCH_RECORDS, &mut |tag, payload| {
            match (tag, <[u8; 8]>::try_from(payload)) {
                (MARK, Ok(mark)) => batch.mark = Some(u64::from_le_bytes(mark)),
                _ => batch.push(tag, payload),
            }
            if batch.is_full() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        taken > 0
    }

    fn append(&mut self) {
        let dropped = self.shared.dropped();
        if dropped > self.told && self.tell(dropped - self.told) {
            self.told = dropped;
        }
        let mut start = 0;
        let records: Vec<LogRecord<'_>> = (self.batch.records.iter())
            .map(|&(ts, end)| {
                let raw = &self.batch.bytes[start..end];
                start = end;
                LogRecord { ts, source: &self.source, raw }
            })
            .collect();
        if records.is_empty() {
            return;
        }
        match self.store.append_batch(&records) {
            Ok(_positions) => {
                self.refused = false;
            }
            Err(error) => {
                self.shared.dropped.fetch_add(records.len() as u64, Relaxed);
                if !self.refused {
                    self.refused = true;
                    let code = error.code();
                    // Not to this layer (L2), but to the others.
                    tracing::error!(code, "the log store does not take the program's log: {error}");
                }
            }
        }
    }

    /// A record that says how many are missing; whether it is stored. By itself, since of a batch that is refused a part
    /// may be stored.
    fn tell(&self, count: u64) -> bool {
        let ts = self.store.engine().env().clock.unix_micros();
        let mut text = String::from(r#"{"level":"WARN","target":"ratite::logs","#);
        // Writing to a String cannot fail.
        let _written = write!(
            text,
            r#""message":"events were dropped, for the store was slower","fields":{{"dropped":{count}}}}}"#
        );
        let record = LogRecord { ts, source: &self.source, raw: text.as_bytes() };
        self.store.append(record).is_ok()
    }

    /// Tells who waits how far it came (W2).
    fn reach(&mut self) {
        if let Some(mark) = self.batch.mark.take() {
            let mut progress = self.shared.lock();
            progress.reached = progress.reached.max(mark);
        }
        // Also who waits for room.
        self.shared.moved.notify_all();
    }

    /// What was dropped last is told too, if the store takes it.
    fn last_words(&mut self) {
        self.batch.clear();
        self.append();
    }
}
