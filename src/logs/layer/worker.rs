//! The queue of a tracing layer, and the thread that empties it.
//!
//! ```text
//!   state:  AWAKE --nothing there--> ASLEEP --first event--> AWAKE --others may follow--> LINGERING --half full, or
//!             ^                                                                                |     told to hurry
//!             +------------------------- drain, append ---------------------------------------+
//! ```
//!
//! W1. A wake is never lost: a producer looks at the state after its push, the thread at the ring after it changed the
//!     state, with a fence between on both sides.
//! W2. A mark in the ring is reached when all before it is appended or given up: that is what a flush waits for.

use crate::io::threads::Thread;
use crate::logs::{LogRecord, LogStore, Source};
use crate::wal::{Drainer, Full, Ring};
use crossbeam::sync::{Parker, Unparker};
use std::fmt;
use std::fmt::Write;
use std::ops::ControlFlow;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, fence};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Records and bytes of a batch: enough that the flush behind it costs each record little, and no more memory than a
/// part of the queue.
const BATCH_RECORDS: usize = 1024;
const BATCH_BYTES: usize = 256 << 10;

/// The tag of a mark (W2). No event is of that time.
const MARK: u64 = u64::MAX;

const AWAKE: u8 = 0;
const ASLEEP: u8 = 1;
const LINGERING: u8 = 2;

/// How long who waits for room in the queue waits before it looks again.
const AGAIN: Duration = Duration::from_millis(5);

/// What the producers and the thread share.
pub(super) struct Shared {
    ring: Arc<Ring>,
    state: AtomicU8,
    /// What waits is not to wait for others: a flush or the end is asked for.
    hurry: AtomicBool,
    closing: AtomicBool,
    dropped: AtomicU64,
    unparker: Unparker,
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
        let parker = Parker::new();
        let shared = Shared {
            ring,
            state: AtomicU8::new(AWAKE),
            hurry: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            dropped: AtomicU64::new(0),
            unparker: parker.unparker().clone(),
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
        if self.closing.load(Relaxed) || self.ring.try_push(ts.min(MARK - 1), &[raw]).is_err() {
            self.dropped.fetch_add(1, Relaxed);
            return;
        }
        fence(SeqCst); // W1
        match self.state.load(Relaxed) {
            ASLEEP => self.wake(ASLEEP),
            LINGERING if self.ring.used_bytes() > self.ring.capacity() / 2 => self.wake(LINGERING),
            _ => {}
        }
    }

    fn wake(&self, from: u8) {
        if self.state.compare_exchange(from, AWAKE, SeqCst, Relaxed).is_ok() {
            self.unparker.unpark();
        }
    }

    fn hurry(&self) {
        self.hurry.store(true, SeqCst);
        self.unparker.unpark();
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn flush(&self, within: Duration) -> bool {
        let mut left = within;
        let mut progress = self.lock();
        let mark = progress.marks + 1;
        progress.marks = mark;
        while self.ring.try_push(MARK, &[&mark.to_le_bytes()]) == Err(Full::Now) {
            if progress.ended || left.is_zero() {
                return false;
            }
            self.hurry();
            let wait = left.min(AGAIN);
            left -= wait;
            let waited = self.moved.wait_timeout(progress, wait);
            progress = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        self.hurry();
        let waits = |progress: &mut Progress| progress.reached < mark && !progress.ended;
        let waited = self.moved.wait_timeout_while(progress, left, waits);
        waited.unwrap_or_else(PoisonError::into_inner).0.reached >= mark
    }

    pub fn close(&self, within: Duration) -> bool {
        self.closing.store(true, SeqCst);
        self.hurry();
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
        write!(f, "{:?}, {} dropped", self.ring, self.dropped())
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
            // What asks from here on finds this batch gone, or its own next.
            self.shared.hurry.store(false, SeqCst);
            if self.take_batch() {
                self.append();
                self.reach();
                if self.batch.is_full() {
                    continue;
                }
            } else if self.shared.closing.load(SeqCst) && self.shared.ring.is_empty() {
                break;
            }
            self.rest();
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

    /// Sleeps until there is something, and a little longer, so that others come along.
    fn rest(&mut self) {
        let shared = &*self.shared;
        self.pause(ASLEEP, |worker| {
            if !worker.drainer.is_ready() {
                worker.parker.park();
            }
        });
        self.pause(LINGERING, |worker| {
            if shared.ring.used_bytes() <= shared.ring.capacity() / 2 {
                worker.parker.park_timeout(worker.linger);
            }
        });
        if shared.closing.load(SeqCst) {
            // For a producer between reservation and publication, which is a matter of instructions.
            std::thread::yield_now();
        }
    }

    /// Waits in `state` unless nothing is to wait.
    fn pause(&self, state: u8, wait: impl FnOnce(&Worker)) {
        let shared = &*self.shared;
        shared.state.store(state, SeqCst);
        fence(SeqCst); // W1
        if !shared.hurry.load(SeqCst) && !shared.closing.load(SeqCst) {
            wait(self);
        }
        shared.state.store(AWAKE, SeqCst);
    }

    /// What was dropped last is told too, if the store takes it.
    fn last_words(&mut self) {
        self.batch.clear();
        self.append();
    }
}
