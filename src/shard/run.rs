//! A shard at work: its threads, or, for simulations, its callers' thread in their place.

use super::compactor::{self, Compactor, Gate};
use super::inbox::Inbox;
use super::recover::{Opened, create, open};
use super::ticket::{Ticket, with_thread_waker};
use super::work::{Finished, Job, Worker};
use super::write::{COMPACT, Core, FLUSH, REMOVE};
use super::{ChangeReader, Config, LogPosition, Outcome, ShardMemory, Shared, Snapshot, Tail};
use crate::base::limits::KILLS_PER_RECORD_MAX;
use crate::base::{Error, Result, ShardId};
use crate::io::{Env, Wait, Wake, threads};
use crate::model::{Model, Record};
use crate::pool::Pool;
use crossbeam::channel::{Receiver, Sender, unbounded};
use std::future::poll_fn;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

/// How long a turn without threads waits, with nothing to do.
const INLINE_TURN: Duration = Duration::from_millis(1);

/// An open shard.
pub struct Shard {
    shared: Arc<Shared>,
    /// Whether whoever waits for the shard runs it.
    inline: bool,
    driver: Mutex<Driver>,
}

enum Driver {
    Threads {
        writer: threads::Thread<()>,
        worker: threads::Thread<()>,
        compactor: threads::Thread<()>,
    },
    /// No threads: whoever waits for the shard runs it.
    Inline(Box<Inline>),
    /// A panic has ended it.
    Broken,
    Closed,
}

struct Inline {
    core: Core,
    worker: Worker,
    jobs: Receiver<Job>,
    compactor: Compactor,
    merges: Receiver<compactor::Job>,
    results: Sender<Finished>,
}

/// Figures of a shard since it was opened.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct ShardStats {
    /// Its number.
    pub shard: ShardId,
    /// Records stored.
    pub stored: u64,
    /// Records refused as duplicates.
    pub duplicates: u64,
    /// Records that the model refused.
    pub refused: u64,
    /// Groups written to the log.
    pub commits: u64,
    /// Bytes written to the log.
    pub log_bytes: u64,
    /// Records removed without a record in their place.
    pub removed: u64,
    /// Memtables flushed.
    pub flushes: u64,
    /// Merges of segments.
    pub compactions: u64,
    /// Bytes that merges read and wrote.
    pub compaction_bytes: u64,
    /// Log entries replayed at open.
    pub replayed: u64,
    /// Segments now.
    pub segments: u64,
    /// Records in segments now, the dead included.
    pub segment_records: u64,
    /// Dead records in segments now.
    pub segment_dead: u64,
    /// Bytes of the segments now.
    pub segment_bytes: u64,
    /// Records in memtables now, the dead included.
    pub memtable_records: u64,
    /// Dead records in memtables now.
    pub memtable_dead: u64,
    /// Bytes of the memtables now.
    pub memtable_bytes: u64,
    /// Memtables now.
    pub memtables: u64,
    /// Whether it takes no writes any more, since one failed.
    pub poisoned: bool,
    /// Whether it takes no records for now, since the disk is full.
    pub full: bool,
}

impl Shard {
    /// Makes the directory and the first manifest of a new shard.
    pub(crate) fn create(env: &Env, config: &Config) -> Result<()> {
        create(env, config)
    }

    /// Opens a shard and starts its threads, or with `inline` none.
    pub(crate) fn open(
        env: Env,
        model: Arc<dyn Model>,
        pool: Arc<Pool>,
        config: Config,
        gate: Gate,
        inline: bool,
    ) -> Result<Shard> {
        let opened = open(env, model, pool, config, gate)?;
        let shared = opened.shared.clone();
        let driver = if inline { start_inline(opened)? } else { start_threads(opened)? };
        shared.adjust();
        Ok(Shard { shared, inline, driver: Mutex::new(driver) })
    }

    /// Hands a record over and waits for room if there is none.
    ///
    /// # Errors
    /// `Closed`, `Invalid` or `Full` if it can never be taken.
    pub(crate) fn insert(&self, record: Record<'_>) -> Result<Ticket> {
        let inbox = &self.shared.inbox;
        loop {
            if let Some(ticket) = self.why(inbox.try_insert(record))? {
                return Ok(ticket);
            }
            if !self.turn_inline()? {
                let waited = inbox.until_room(|context| inbox.poll_insert(record, context));
                return self.why(waited);
            }
        }
    }

    /// As [`Shard::insert`], but returns `None` instead of waiting.
    pub(crate) fn try_insert(&self, record: Record<'_>) -> Result<Option<Ticket>> {
        self.why(self.shared.inbox.try_insert(record))
    }

    /// As [`Shard::insert`], waiting as a future does.
    pub(crate) fn poll_insert(
        &self,
        record: Record<'_>,
        context: &mut Context<'_>,
    ) -> Poll<Result<Ticket>> {
        self.shared.inbox.poll_insert(record, context).map(|polled| self.why(polled))
    }

    /// What `polled` says, where `Closed` is not the reason but what came of it.
    pub(super) fn why<T>(&self, polled: Result<T>) -> Result<T> {
        match polled {
            Err(Error::Closed) => Err(self.shared.poisoned().unwrap_or(Error::Closed)),
            other => other,
        }
    }

    /// Waits for the answer, running the shard if it has no thread.
    pub(crate) fn wait(&self, mut ticket: Ticket) -> Result<Outcome> {
        if !self.inline {
            return ticket.wait();
        }
        loop {
            if let Poll::Ready(answer) = ticket.poll_answer(std::task::Waker::noop()) {
                return answer;
            }
            if !self.turn_inline()? {
                return self.why(Err(Error::Closed));
            }
        }
    }

    /// Polls, and runs the shard meanwhile if it has no thread of its own: nobody else would.
    pub(crate) fn poll_running<T>(
        &self,
        mut poll: impl FnMut() -> Poll<Result<T>>,
    ) -> Poll<Result<T>> {
        loop {
            match poll() {
                Poll::Pending if self.inline => {}
                polled => return polled,
            }
            match self.turn_inline() {
                Ok(true) => {}
                Ok(false) => return Poll::Ready(self.why(Err(Error::Closed))),
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    /// The answer as a future.
    pub(crate) async fn answer(&self, mut ticket: Ticket) -> Result<Outcome> {
        poll_fn(|context| self.poll_running(|| ticket.poll_answer(context.waker()))).await
    }

    /// Makes a segment of everything that was stored before the call, and a manifest.
    ///
    /// # Errors
    /// `Poisoned` if that fails.
    pub(crate) fn flush(&self) -> Result<()> {
        self.ask(FLUSH, &[]).map(|_| ())
    }

    /// Flushes, then merges until nothing is left to gain: no dead, no two neighbours that fit one segment.
    ///
    /// # Errors
    /// `Poisoned` if a merge fails.
    pub(crate) fn compact(&self) -> Result<()> {
        self.ask(COMPACT, &[]).map(|_| ())
    }

    /// Removes the live records among `ids`, at most `KILLS_PER_RECORD_MAX`, all at once; how many there were.
    ///
    /// # Errors
    /// `Full` if there are more ids, `Poisoned`, `Closed`; what the look-ups met.
    pub(crate) fn remove(&self, ids: &[[u8; 32]]) -> Result<u32> {
        let limit = KILLS_PER_RECORD_MAX;
        if ids.len() > limit {
            return Err(Error::Full { what: "ids of one removal", limit: limit as u64 });
        }
        match self.ask(REMOVE, &[ids.as_flattened()])? {
            Outcome::Removed { records } => Ok(records),
            _ => Ok(0),
        }
    }

    /// Asks for an answer once everything is published that was handed over before.
    ///
    /// # Errors
    /// `Closed`.
    pub(crate) fn barrier(&self) -> Result<Ticket> {
        // A removal of nothing is answered in its turn, and writes nothing.
        self.send(|inbox| inbox.try_send(REMOVE, &[]))
    }

    /// As [`Shard::insert`], with a ticket of the reserve.
    ///
    /// # Errors
    /// As [`Shard::insert`].
    pub(crate) fn insert_own(&self, record: Record<'_>) -> Result<Ticket> {
        self.send(|inbox| inbox.try_insert_own(record))
    }

    /// Polls until it is ready, on this thread, and runs the shard meanwhile if it has none of its own.
    ///
    /// # Errors
    /// `Closed`, if it never will be.
    pub(crate) fn block_on<T>(
        &self,
        mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Result<T> {
        with_thread_waker(|waker| {
            let mut context = Context::from_waker(waker);
            loop {
                if let Poll::Ready(done) = poll(&mut context) {
                    return Ok(done);
                }
                match self.inline {
                    false => std::thread::park(),
                    true if self.turn_inline()? => {}
                    true => return self.why(Err(Error::Closed)),
                }
            }
        })
    }

    /// As [`Shard::remove`], waiting for room as a future does; the ticket's answer is `Removed`.
    pub(crate) fn poll_remove(
        &self,
        ids: &[[u8; 32]],
        context: &mut Context<'_>,
    ) -> Poll<Result<Ticket>> {
        let polled = self.shared.inbox.poll_send(REMOVE, &[ids.as_flattened()], context);
        polled.map(|polled| self.why(polled))
    }

    /// Sends a message, waiting for room, and waits for its answer.
    pub(super) fn ask(&self, tag: u64, parts: &[&[u8]]) -> Result<Outcome> {
        let ticket = self.send(|inbox| inbox.try_send(tag, parts))?;
        self.wait(ticket)
    }

    /// Sends a message of the store's own, waiting for room.
    fn send(&self, attempt: impl Fn(&Inbox) -> Result<Option<Ticket>>) -> Result<Ticket> {
        loop {
            if let Some(ticket) = self.why(attempt(&self.shared.inbox))? {
                return Ok(ticket);
            }
            if !self.turn_inline()? {
                std::thread::yield_now();
            }
        }
    }

    /// What is published now.
    pub fn snapshot(&self) -> Snapshot {
        self.shared.published.snapshot()
    }

    /// The records after `snapshot`, from now on; `wake` is told when there are new ones, until it is
    /// dropped by its owner.
    pub(crate) fn tail(&self, snapshot: &Snapshot, wake: &Arc<dyn Wake>) -> Tail {
        let mut tails = self.shared.tails.lock().unwrap_or_else(PoisonError::into_inner);
        tails.push(Arc::downgrade(wake));
        Tail::after(self.shared.clone(), snapshot)
    }

    /// Where the log of what is published ends.
    pub(crate) fn log_end(&self) -> LogPosition {
        LogPosition { block: self.shared.published.log_end(), entry: 0 }
    }

    /// The entries of the log from `from` on; `wake` is told as by [`Shard::tail`].
    pub(crate) fn changes(&self, from: LogPosition, wake: &Arc<dyn Wake>) -> ChangeReader {
        let mut tails = self.shared.tails.lock().unwrap_or_else(PoisonError::into_inner);
        tails.push(Arc::downgrade(wake));
        ChangeReader::new(self.shared.clone(), from)
    }

    /// Figures.
    pub fn stats(&self) -> ShardStats {
        let stats = &self.shared.stats;
        let view = self.shared.published.view();
        let sum = |of: fn(&super::LiveSegment) -> u64| view.segments.iter().map(of).sum();
        ShardStats {
            shard: self.shared.config.shard,
            stored: stats.stored.load(Relaxed),
            duplicates: stats.duplicates.load(Relaxed),
            refused: stats.refused.load(Relaxed),
            commits: stats.commits.load(Relaxed),
            log_bytes: stats.log_bytes.load(Relaxed),
            removed: stats.removed.load(Relaxed),
            flushes: stats.flushes.load(Relaxed),
            compactions: stats.compactions.load(Relaxed),
            compaction_bytes: stats.compaction_bytes.load(Relaxed),
            replayed: stats.replayed.load(Relaxed),
            segments: view.segments.len() as u64,
            segment_records: sum(|live| u64::from(live.segment.records())),
            segment_dead: sum(|live| u64::from(live.dead.count())),
            segment_bytes: sum(|live| live.segment.info().bytes),
            memtable_records: view.memtables().map(|m| u64::from(m.len())).sum(),
            memtable_dead: view.memtables().map(|m| u64::from(m.dead())).sum(),
            memtable_bytes: view.memtables().map(|m| m.bytes_used() as u64).sum(),
            memtables: view.memtables().count() as u64,
            poisoned: self.poisoned().is_some(),
            full: self.disk_full().is_some(),
        }
    }

    /// Memory that the shard takes now.
    pub fn memory(&self) -> ShardMemory {
        self.shared.memory()
    }

    /// The error that writes get, if the shard takes none.
    pub fn poisoned(&self) -> Option<Error> {
        self.shared.poisoned()
    }

    /// Takes no more records, answers those that came in, syncs, and ends the shard.
    ///
    /// # Errors
    /// If something could not be made durable.
    pub(crate) fn close(&self) -> Result<()> {
        self.shared.inbox.close();
        let driver = std::mem::replace(&mut *self.driver(), Driver::Closed);
        match driver {
            Driver::Threads { writer, worker, compactor } => {
                let ended = writer.join();
                let worked = worker.join();
                compactor.join().and(worked).and(ended)?;
            }
            Driver::Inline(mut inline) => {
                let ended = threads::caught(|| {
                    while !inline.core.wind_up() {
                        inline.turn()?;
                    }
                    inline.core.finish();
                    Ok(())
                });
                end(&self.shared, inline, ended.as_ref().err());
                ended.unwrap_or(Ok(()))?;
            }
            Driver::Broken => {}
            Driver::Closed => return Ok(()),
        }
        self.shared.poisoned().map_or(Ok(()), Err)
    }

    /// Ends it as a kill of the process does, on a disk that is gone: nothing more is done, nobody is answered. Only
    /// without threads, and where nobody waits.
    #[cfg(test)]
    pub(crate) fn abandon(&self) {
        self.shared.inbox.close();
        drop(std::mem::replace(&mut *self.driver(), Driver::Closed));
    }

    /// What it shares with its threads.
    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Runs an inline shard for one turn; false if it has threads or is closed.
    pub(super) fn turn_inline(&self) -> Result<bool> {
        if !self.inline {
            return Ok(false);
        }
        let mut driver = self.driver();
        let Driver::Inline(inline) = &mut *driver else { return Ok(false) };
        threads::caught(|| inline.turn()).unwrap_or_else(|why| {
            let torn = std::mem::replace(&mut *driver, Driver::Broken);
            end(&self.shared, torn, Some(&why));
            self.why(Err(Error::Closed))
        })?;
        Ok(true)
    }

    fn driver(&self) -> MutexGuard<'_, Driver> {
        self.driver.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Shard {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            tracing::error!(code = error.code(), "closing a shard: {error}");
        }
    }
}

impl Inline {
    fn turn(&mut self) -> Result<()> {
        let mut worked = false;
        while let Ok(job) = self.jobs.try_recv() {
            let finished = self.worker.work(job);
            worked |= self.tell(finished);
        }
        // One slice a turn, so that records come in between.
        let ended = if self.compactor.is_running() {
            self.compactor.step()
        } else {
            match self.merges.try_recv() {
                Ok(compactor::Job::Merge(merge)) => self.compactor.begin(merge),
                Ok(compactor::Job::Remove(obsolete, gently)) => {
                    self.compactor.remove(&obsolete, gently);
                    worked |= self.tell(Finished::Removed);
                    None
                }
                Err(_) => None,
            }
        };
        if let Some(ended) = ended {
            worked |= self.tell(Finished::Compaction(ended));
        }
        // Nobody else ends a sleep for a result of this thread, or for the next slice of a merge.
        let awaited = worked || self.compactor.is_running();
        self.core.turn(Wait::For(if awaited { Duration::ZERO } else { INLINE_TURN }))
    }

    /// Tells the core beside it, which listens as long as it lives: that something was done.
    fn tell(&self, finished: Finished) -> bool {
        self.results.send(finished).is_ok()
    }
}

/// A shard without threads.
fn start_inline(opened: Opened) -> Result<Driver> {
    let Opened { shared, start, worker } = opened;
    let (jobs_in, jobs) = unbounded();
    let (merges_in, merges) = unbounded();
    let (results, results_out) = unbounded();
    let compactor = Compactor::new(shared.clone());
    let mut core = Core::new(shared, start, (jobs_in, merges_in), results_out, true)?;
    core.begin();
    Ok(Driver::Inline(Box::new(Inline { core, worker, jobs, compactor, merges, results })))
}

/// Starts the shard's threads; returns when the writer runs.
fn start_threads(opened: Opened) -> Result<Driver> {
    let Opened { shared, start, worker } = opened;
    let number = shared.config.shard;
    let (jobs_in, jobs) = unbounded();
    let (merges_in, merges) = unbounded();
    let (results, results_out) = unbounded();
    let (started, has_started) = unbounded();
    let compacting = shared.clone();
    let writer = threads::spawn(format!("ratite-shard-{number}"), move || {
        threads::raise_priority_current();
        match Core::new(shared.clone(), start, (jobs_in, merges_in), results_out, false) {
            Ok(core) => {
                let _told = started.send(Ok(()));
                run(core, &shared);
            }
            Err(error) => {
                let _told = started.send(Err(error));
            }
        }
    });
    let merged = results.clone();
    let worker =
        threads::spawn(format!("ratite-work-{number}"), move || worker.run(&jobs, &results));
    let compactor = threads::spawn(format!("ratite-gate-{number}"), move || {
        Compactor::run(compacting, &merges, &merged);
    });
    match has_started.recv() {
        Ok(Ok(())) => Ok(Driver::Threads { writer, worker, compactor }),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(writer.join().err().unwrap_or(Error::Closed)),
    }
}

/// The writer's thread, from start to end.
fn run(mut core: Core, shared: &Arc<Shared>) {
    let ended = threads::caught(|| {
        core.begin();
        while !core.wind_up() {
            if core.turn(Wait::Forever).is_err() {
                break;
            }
        }
        core.finish();
    });
    end(shared, core, ended.as_ref().err());
}

/// The end of a shard, of which `rest` is left, however it came to it: nobody is left waiting.
fn end<T>(shared: &Shared, rest: T, panicked: Option<&String>) {
    if let Some(why) = panicked {
        let why = format!("it panicked: {why}");
        tracing::error!(shard = shared.config.shard, "the shard's thread ends, for {why}");
        // Only the first failure is kept.
        let _first = shared.poison.set(("the shard's thread", why));
    }
    shared.inbox.close();
    // What a panic has torn may panic again.
    let _gone = threads::caught(|| drop(rest));
    shared.inbox.until_entered();
    shared.inbox.tickets.fail_all(|| shared.poisoned().unwrap_or(Error::Closed));
    shared.inbox.made_room();
}

impl Core {
    /// Gives the worker what is to be done first.
    fn begin(&mut self) {
        self.measure_group();
        self.judge_space();
        self.send(Job::PrepareLog);
        self.flush_if_ready();
        if self.short.owes_manifest() {
            self.checkpoint(Vec::new());
        }
        let view = self.shared.published.view();
        let segments = view.segments.iter().map(|live| live.segment.clone());
        self.send(Job::Warm(segments.collect()));
    }

    /// Brings the shard to its end once it is closing: true when nothing is left to do.
    fn wind_up(&mut self) -> bool {
        if !self.shared.inbox.is_drained() || !self.is_settled() {
            return false;
        }
        if self.shared.poison.get().is_some() {
            return self.jobs_out == 0 && self.compactions.is_idle();
        }
        if self.has_unsynced() {
            self.sync_now();
            return false;
        }
        if self.short.is_out() {
            // What is owed is in the log, and made when the store is open again.
            return self.jobs_out == 0 && self.compactions.is_idle() && !self.close_log();
        }
        let memtable = self.memtable.memtable();
        if !memtable.is_empty() && memtable.bytes_used() >= self.shared.config.flush_at_close_bytes
        {
            self.seal();
        }
        let idle = self.sealed.is_empty() && self.jobs_out == 0;
        idle && self.compactions.is_idle() && !self.close_log()
    }
}
