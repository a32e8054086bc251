//! Large queries over several shards: one stream a shard, read by reader threads, merged by the caller.
//!
//! ```text
//!   caller                      reader threads
//!   Remote --Merged of a shard--> fill one chunk --(Merged, chunk)--> Remote
//! ```
//!
//! A reader fills one chunk and hands everything back, so that it never waits for anybody: any number
//! of streams over any number of threads cannot block one another. The next chunk is asked for when
//! one arrives, so that reading and merging overlap.

use super::merge::{Merged, Source};
use super::{Order, Select, memtable, segment};
use crate::base::{Error, Key, Result};
use crate::io::threads::{self, Thread};
use crate::shard::Snapshot;
use crossbeam::channel::{Receiver, Sender, bounded, unbounded};
use std::sync::{Mutex, PoisonError};

/// Records and bytes of a chunk: enough to be worth a hop, small enough to stay in the cache.
const CHUNK_RECORDS: usize = 256;
const CHUNK_BYTES: usize = 256 * 1024;

/// What a reader thread does next.
pub(super) type Job = Box<dyn FnOnce() + Send>;

/// `None` ends the thread that takes it: whoever still holds a sender does not keep it alive.
pub(super) type Jobs = Sender<Option<Job>>;

/// From what size on a selection is scattered.
#[derive(Clone, Copy, Debug)]
pub struct Large {
    /// Selections with a limit up to this are never scattered: they end early.
    pub limit: usize,
    /// Nor are those that walk fewer postings.
    pub postings: u64,
}

impl Default for Large {
    /// Limits over 2,048 and 100,000 postings: some 10 ms of walking, against 20 us a hop.
    fn default() -> Large {
        Large { limit: 2_048, postings: 100_000 }
    }
}

/// Threads that read for large queries. Dropping it ends them.
pub struct Readers {
    large: Large,
    jobs: Mutex<Option<Jobs>>,
    threads: Mutex<Vec<Thread<()>>>,
}

impl Readers {
    /// Starts `count` threads for what is `large`; with none, nothing is ever scattered.
    pub fn start(count: usize, large: Large) -> Readers {
        let (jobs, next) = unbounded::<Option<Job>>();
        let start = |i| {
            let next = next.clone();
            threads::spawn(format!("ratite-read-{i}"), move || {
                for job in next.iter().map_while(|job| job) {
                    // Who waits for the job hears of it by what the job drops; the next one has its reader.
                    if let Err(why) = threads::caught(job) {
                        tracing::error!("a reader panicked: {why}");
                    }
                }
            })
        };
        let threads = (0..count).map(start).collect();
        let jobs = (count > 0).then_some(jobs);
        Readers { large, jobs: Mutex::new(jobs), threads: Mutex::new(threads) }
    }

    /// A handle to give jobs with, if there are threads.
    pub(super) fn sender(&self) -> Option<Jobs> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A handle to give jobs with, if `select` over `snapshots` is worth them.
    pub(super) fn for_large(
        &self,
        select: &Select,
        snapshots: &[Snapshot],
    ) -> Result<Option<Jobs>> {
        if snapshots.len() < 2 || select.limit.is_some_and(|limit| limit <= self.large.limit) {
            return Ok(None);
        }
        let Some(sender) = self.sender() else { return Ok(None) };
        Ok((estimate(select, snapshots)? >= self.large.postings).then_some(sender))
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner).take();
        let threads =
            std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        // Cursors and streams that outlive the store hold senders too.
        for jobs in threads.iter().filter_map(|_| jobs.as_ref()) {
            let _ended_already = jobs.send(None);
        }
        for thread in threads {
            if let Err(error) = thread.join() {
                tracing::error!("{error}");
            }
        }
    }
}

/// Postings that `select` would walk.
pub(super) fn estimate(select: &Select, snapshots: &[Snapshot]) -> Result<u64> {
    let mut postings = 0;
    for snapshot in snapshots {
        for table in snapshot.view.memtables() {
            postings += memtable::candidates(table, &memtable::access(table, select));
        }
        for live in &snapshot.view.segments {
            postings += segment::plan(&live.segment, select)?.cost();
        }
    }
    Ok(postings)
}

/// Runs `work` for each snapshot on the reader threads and gives the results in any order.
pub(super) fn run<T: Send + 'static>(
    sender: &Jobs,
    snapshots: &[Snapshot],
    work: impl Fn(&Snapshot) -> T + Clone + Send + 'static,
) -> Result<Vec<T>> {
    let (results, done) = bounded(snapshots.len());
    for snapshot in snapshots {
        let (results, snapshot, work) = (results.clone(), snapshot.clone(), work.clone());
        let job: Job = Box::new(move || {
            // The caller may have gone away; then nobody needs the result.
            let _sent = results.send(work(&snapshot));
        });
        sender.send(Some(job)).map_err(|_| Error::Closed)?;
    }
    drop(results);
    let results: Vec<T> = done.iter().collect();
    if results.len() == snapshots.len() { Ok(results) } else { Err(Error::Closed) }
}

/// The matches of `select` in `snapshots`, a stream for each.
pub(super) fn scatter(
    sender: &Jobs,
    select: &Select,
    order: Order,
    snapshots: &[Snapshot],
) -> Result<Vec<Source>> {
    let ask = |snapshot: &Snapshot| {
        let (select, snapshot) = (select.clone(), snapshot.clone());
        Remote::ask(sender.clone(), move || {
            Merged::open(select, order, std::slice::from_ref(&snapshot))
        })
    };
    let asked: Vec<Pending> = snapshots.iter().map(ask).collect::<Result<_>>()?;
    let mut sources = Vec::new();
    for pending in asked {
        sources.extend(Remote::first(pending)?.map(Source::Remote));
    }
    Ok(sources)
}

/// Records in a row: keys, and where each body ends.
#[derive(Default)]
struct Chunk {
    records: Vec<(Key, usize)>,
    bytes: Vec<u8>,
    /// Whether nothing follows.
    last: bool,
}

type Filled = Result<(Box<Merged>, Chunk)>;

/// A chunk that was asked for.
struct Pending {
    jobs: Jobs,
    chunk: Receiver<Filled>,
}

/// A shard's matches, read by another thread.
pub(super) struct Remote {
    chunk: Chunk,
    at: usize,
    pending: Option<Pending>,
}

impl Remote {
    fn ask(jobs: Jobs, merged: impl FnOnce() -> Merged + Send + 'static) -> Result<Pending> {
        let (filled, chunk) = bounded(1);
        let job: Job = Box::new(move || {
            // The caller may have gone away; then the stream ends here.
            let _sent = filled.send(fill(Box::new(merged())));
        });
        jobs.send(Some(job)).map_err(|_| Error::Closed)?;
        Ok(Pending { jobs, chunk })
    }

    fn first(pending: Pending) -> Result<Option<Remote>> {
        let mut remote = Remote { chunk: Chunk::default(), at: 0, pending: Some(pending) };
        Ok(remote.next_chunk()?.then_some(remote))
    }

    pub(super) fn key(&self) -> Key {
        self.chunk.records[self.at].0
    }

    pub(super) fn body(&self) -> &[u8] {
        let start = self.at.checked_sub(1).map_or(0, |before| self.chunk.records[before].1);
        &self.chunk.bytes[start..self.chunk.records[self.at].1]
    }

    /// Steps to the next match; false if there is none.
    pub(super) fn advance(&mut self) -> Result<bool> {
        self.at += 1;
        if self.at < self.chunk.records.len() { Ok(true) } else { self.next_chunk() }
    }

    fn next_chunk(&mut self) -> Result<bool> {
        let Some(pending) = self.pending.take() else { return Ok(false) };
        let (merged, chunk) = pending.chunk.recv().map_err(|_| Error::Closed)??;
        if !chunk.last {
            self.pending = Some(Remote::ask(pending.jobs, move || *merged)?);
        }
        self.chunk = chunk;
        self.at = 0;
        Ok(!self.chunk.records.is_empty())
    }
}

fn fill(mut merged: Box<Merged>) -> Filled {
    let mut chunk = Chunk::default();
    while chunk.records.len() < CHUNK_RECORDS && chunk.bytes.len() < CHUNK_BYTES {
        if merged.peek_time()?.is_none() {
            chunk.last = true;
            break;
        }
        let record = merged.record()?;
        chunk.bytes.extend_from_slice(record.body);
        chunk.records.push((record.key, chunk.bytes.len()));
        merged.advance()?;
    }
    Ok((merged, chunk))
}
