//! Queues on io_uring: one ring per thread, entered only by the thread that built it.
//!
//! ```text
//!   push --> slab (owns buffer and file) --> SQ --enter--> kernel --> CQ --reap--> Done
//!               ^ user_data = slot, part                                |
//!               +-------------------------------------------------------+
//!   durable write = WRITE -link-> FSYNC(DATASYNC): two entries, two completions, one Done
//! ```
//!
//! Invariants:
//! 1. A buffer and its file stay in the slab until the kernel has answered every entry that names
//!    them, also after errors and in `drop` (closing a ring does not wait). If the ring itself breaks,
//!    they are leaked rather than freed.
//! 2. The rings have room for two entries of every operation and for the wake: neither overflows, and
//!    a linked pair is always pushed as one. Should the kernel take only the first of a pair (it may,
//!    out of memory), the sync is repeated after both have completed: it may have run too early.
//! 3. Success needs both completions of a pair, and all bytes.
//! 4. The eventfd is read by an entry that is in the ring whenever the thread sleeps; the doorbell
//!    (`signal.rs`) decides who must write it.
//!
//! O_DSYNC is never used here: where other work keeps the cores busy, the kernel finishes such a write
//! in a worker that waits a scheduler tick, and its median is 4 ms instead of 0.05 ms.
#![expect(unsafe_code, reason = "the kernel is given addresses")]

use super::signal::Doorbell;
use super::{Buf, Done, File, Op, Queue, Wait, Wake, fs};
use crate::base::{Error, Result};
use io_uring::squeue::{Entry, Flags};
use io_uring::types::{Fd, FsyncFlags, SubmitArgs, Timespec};
use io_uring::{IoUring, opcode};
use std::io::Write;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

/// `user_data` of the read of the eventfd.
const WAKE: u64 = u64::MAX;
/// Parts of an operation, in the low bit of `user_data`.
const HEAD: u64 = 0;
const TAIL: u64 = 1;
/// Bytes of the largest transfer that the kernel takes in one piece.
const TRANSFER_BYTES_MAX: usize = 0x7fff_f000;
/// Longest sleep that is handed to the kernel, so that no duration overflows its clock.
const SLEEP_MAX: Duration = Duration::from_secs(3600 * 24 * 365);

/// Whether rings can be built here.
pub(super) fn probe() -> Result<()> {
    Ring::new(1).map(drop)
}

/// A queue on a ring. Not `Send` as a `dyn Queue`: it stays on the thread that built it, as
/// SINGLE_ISSUER demands.
pub(super) struct Ring {
    ring: IoUring,
    depth: usize,
    flights: Vec<Option<Flight>>,
    free: Vec<usize>,
    /// `user_data` of the entries that the kernel has not taken yet, in order.
    staged: Vec<u64>,
    /// Operations that were refused before they reached the ring.
    refused: Vec<Done>,
    wake: Arc<EventFd>,
    /// Whether the read of the eventfd is in the ring.
    armed: bool,
    wake_count: Buf,
}

/// An operation in the ring.
struct Flight {
    token: u64,
    op: Op,
    /// Bytes that a read has got so far.
    filled: usize,
    /// Completions that the kernel owes.
    owed: u8,
    failed: Option<Error>,
    again: Again,
}

/// What is to be done again once nothing is owed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Again {
    Nothing,
    /// The rest of a read, or all of what was interrupted before it began.
    All,
    /// The sync of a pair that the kernel took apart (2).
    Sync,
}

impl Ring {
    /// A ring of the calling thread.
    pub fn new(depth: usize) -> Result<Ring> {
        let refused = |error| Error::io("set up", "io_uring", error);
        // Two entries for every operation, one for the wake (2).
        let entries = u32::try_from(depth.saturating_mul(2).saturating_add(1)).unwrap_or(u32::MAX);
        let ring =
            build(entries.checked_next_power_of_two().unwrap_or(u32::MAX)).map_err(refused)?;
        if !ring.params().is_feature_ext_arg() || !ring.params().is_feature_nodrop() {
            return Err(refused(std::io::ErrorKind::Unsupported.into()));
        }
        Ok(Ring {
            ring,
            depth,
            flights: (0..depth).map(|_| None).collect(),
            free: (0..depth).rev().collect(),
            staged: Vec::with_capacity(depth * 2 + 1),
            refused: Vec::new(),
            wake: Arc::new(EventFd::new().map_err(refused)?),
            armed: false,
            wake_count: Buf::zeroed(8, 8),
        })
    }

    /// Operations whose buffers the kernel may use.
    fn flying(&self) -> usize {
        self.depth - self.free.len()
    }

    /// Pushes the entries of the operation in `slot`.
    fn stage(&mut self, slot: usize, again: Again) {
        let Some(flight) = self.flights[slot].as_mut() else { return };
        let (head, tail) = flight.entries(again);
        let head = head.map(|entry| entry.user_data((slot as u64) << 1 | HEAD));
        let tail = tail.map(|entry| entry.user_data((slot as u64) << 1 | TAIL));
        flight.owed = u8::from(head.is_some()) + u8::from(tail.is_some());
        match (head, tail) {
            (Some(head), Some(tail)) => self.push_entries(&[head, tail]),
            (Some(entry), None) | (None, Some(entry)) => self.push_entries(&[entry]),
            (None, None) => {}
        }
    }

    fn push_entries(&mut self, entries: &[Entry]) {
        // SAFETY: the entries name a buffer and a file that the slab (or `self`, for the wake) keeps
        // until their completions are reaped (1).
        let pushed = unsafe { self.ring.submission().push_multiple(entries) };
        pushed.expect("the ring has two entries for every operation"); // 2.
        self.staged.extend(entries.iter().map(Entry::get_user_data));
    }

    /// Puts the read of the eventfd into the ring, if it is not there.
    fn arm(&mut self) {
        if !self.armed {
            let fd = Fd(self.wake.file.as_raw_fd());
            let read = opcode::Read::new(fd, self.wake_count.as_mut_ptr(), 8).build();
            self.push_entries(&[read.user_data(WAKE)]);
            self.armed = true;
        }
    }

    /// Hands the staged entries to the kernel and sleeps as told. Returns whether time ran out.
    fn enter(&mut self, sleep: Wait) -> Result<bool> {
        let submitter = self.ring.submitter();
        let entered = match sleep {
            Wait::No => submitter.submit(),
            Wait::Forever => submitter.submit_and_wait(1),
            Wait::For(limit) => {
                let limit = Timespec::from(limit.min(SLEEP_MAX));
                submitter.submit_with_args(1, &SubmitArgs::new().timespec(&limit))
            }
        };
        let left = self.ring.submission().len();
        self.taken_except(left);
        let Err(error) = entered else { return Ok(false) };
        match error.raw_os_error() {
            Some(libc::ETIME) => Ok(true),
            Some(libc::EINTR) => Ok(false),
            // Short of memory, or of room for completions, which the caller reaps: the entries are
            // still in the ring, and the next try takes them.
            Some(libc::EAGAIN | libc::EBUSY) => {
                std::thread::yield_now();
                Ok(false)
            }
            _ => Err(Error::io("wait for", "io_uring", error)),
        }
    }

    /// Notes that the kernel took all staged entries but the last `left`.
    fn taken_except(&mut self, left: usize) {
        let taken = self.staged.len() - left;
        // A pair that was taken apart is no longer a chain: its sync may run before its write (2).
        if let Some(&first) = self.staged.get(taken)
            && taken > 0
            && self.staged[taken - 1] == first & !TAIL
            && first & TAIL == TAIL
            && let Some(flight) =
                self.flights.get_mut((first >> 1) as usize).and_then(Option::as_mut)
        {
            flight.again = Again::Sync;
        }
        self.staged.drain(..taken);
    }

    /// Takes every completion that is in the ring.
    fn reap(&mut self, done: &mut Vec<Done>) {
        loop {
            let next = self.ring.completion().next();
            let Some(entry) = next else { return };
            if entry.user_data() == WAKE {
                self.armed = false;
                continue;
            }
            let slot = (entry.user_data() >> 1) as usize;
            let Some(flight) = self.flights.get_mut(slot).and_then(Option::as_mut) else {
                debug_assert!(false, "a completion of no operation: {entry:?}");
                continue;
            };
            flight.answered(entry.user_data() & TAIL == TAIL, entry.result());
            if flight.owed > 0 {
                continue;
            }
            let again = std::mem::replace(&mut flight.again, Again::Nothing);
            if again != Again::Nothing && flight.failed.is_none() {
                self.stage(slot, again);
            } else if let Some(flight) = self.flights[slot].take() {
                self.free.push(slot);
                done.push(flight.done());
            }
        }
    }
}

impl Flight {
    /// The ring entries that carry the operation out: the first, and the one linked to it.
    fn entries(&mut self, again: Again) -> (Option<Entry>, Option<Entry>) {
        let sync =
            |file: &dyn File| opcode::Fsync::new(fd(file)).flags(FsyncFlags::DATASYNC).build();
        match &mut self.op {
            Op::Read { file, offset, buf } => {
                let rest = &mut buf[self.filled..];
                let len = rest.len().min(TRANSFER_BYTES_MAX) as u32;
                let read = opcode::Read::new(fd(&**file), rest.as_mut_ptr(), len);
                (Some(read.offset(*offset + self.filled as u64).build()), None)
            }
            Op::Write { file, .. } if again == Again::Sync => (None, Some(sync(&**file))),
            Op::Write { file, offset, buf, durable } => {
                let len = buf.len() as u32;
                let write = opcode::Write::new(fd(&**file), buf.as_ptr(), len).offset(*offset);
                match *durable {
                    true => (Some(write.build().flags(Flags::IO_LINK)), Some(sync(&**file))),
                    false => (Some(write.build()), None),
                }
            }
            Op::Sync { file } => (Some(sync(&**file)), None),
        }
    }

    /// Notes one completion.
    fn answered(&mut self, tail: bool, result: i32) {
        self.owed -= 1;
        let outcome = match (&self.op, usize::try_from(result)) {
            (_, Err(_)) if !tail && matches!(-result, libc::EINTR | libc::EAGAIN) => {
                // Interrupted before it began. A tail behind it is cancelled, and goes again too.
                self.again = Again::All;
                Ok(())
            }
            (_, Err(_)) if tail && self.again == Again::All => Ok(()),
            (op, Err(_)) => {
                let error = std::io::Error::from_raw_os_error(-result);
                Err(Error::io(if tail { "sync" } else { verb(op) }, op_file(op).path(), error))
            }
            (Op::Read { file, offset, buf }, Ok(n)) => {
                self.filled += n;
                let whole = self.filled == buf.len();
                if !whole && (n == 0 || !n.is_multiple_of(file.align())) {
                    Err(fs::ends_early(&**file, *offset, self.filled, buf.len()))
                } else {
                    self.again = if whole { Again::Nothing } else { Again::All };
                    Ok(())
                }
            }
            (Op::Write { file, buf, .. }, Ok(n)) if !tail && n != buf.len() => {
                Err(fs::short_write(&**file, n, buf.len()))
            }
            (Op::Write { .. } | Op::Sync { .. }, Ok(_)) => Ok(()),
        };
        // The write's own error says more than the cancellation of its sync.
        if let Err(error) = outcome
            && (self.failed.is_none() || !tail)
        {
            self.failed = Some(error);
        }
    }

    fn done(self) -> Done {
        let result = self.failed.map_or(Ok(()), Err);
        Done { token: self.token, result, buf: self.op.into_buf() }
    }
}

impl Queue for Ring {
    fn push(&mut self, token: u64, op: Op) -> std::result::Result<(), Op> {
        if self.in_flight() >= self.depth {
            return Err(op);
        }
        let checked = fs::check_op_aligned(&op).and_then(|()| check_fits(&op));
        let (failed, again) = (checked.err(), Again::Nothing);
        let flight = Flight { token, op, filled: 0, owed: 0, failed, again };
        if flight.failed.is_some() {
            self.refused.push(flight.done());
        } else if let Some(slot) = self.free.pop() {
            self.flights[slot] = Some(flight);
            self.stage(slot, Again::All);
        } else {
            return Err(flight.op);
        }
        Ok(())
    }

    fn wait(&mut self, wait: Wait, done: &mut Vec<Done>) -> Result<()> {
        let before = done.len();
        let start = matches!(wait, Wait::For(_)).then(quanta::Instant::now);
        let (mut woken, mut timed_out) = (false, false);
        done.append(&mut self.refused);
        loop {
            self.reap(done);
            woken |= self.wake.bell.take();
            let mut sleep = match (wait, start) {
                _ if woken || timed_out || done.len() > before => Wait::No,
                (Wait::For(limit), Some(start)) => Wait::For(limit.saturating_sub(start.elapsed())),
                (wait, _) => wait,
            };
            if sleep != Wait::No {
                self.arm();
                if !self.wake.bell.lie_down() {
                    sleep = Wait::No; // Someone rang: take it in the next round.
                }
            }
            let entered = match sleep == Wait::No && !self.must_enter() {
                true => Ok(false),
                false => self.enter(sleep),
            };
            self.wake.bell.get_up();
            timed_out |= entered?;
            self.reap(done);
            let over = woken || timed_out || wait == Wait::No || done.len() > before;
            if over && self.staged.is_empty() {
                return Ok(());
            }
        }
    }

    fn in_flight(&self) -> usize {
        self.flying() + self.refused.len()
    }

    fn waker(&self) -> Arc<dyn Wake> {
        self.wake.clone()
    }
}

impl Ring {
    /// Whether the kernel has something to take, or completions that only an enter brings out.
    fn must_enter(&mut self) -> bool {
        let submission = self.ring.submission();
        !self.staged.is_empty() || submission.taskrun() || submission.cq_overflow()
    }
}

impl Drop for Ring {
    /// Carries out what was pushed and waits for the last completion (1).
    fn drop(&mut self) {
        // The armed read ends by being answered.
        if self.armed {
            self.wake.signal();
        }
        let mut done = Vec::new();
        while self.flying() > 0 || self.armed {
            let entered = self.enter(Wait::Forever);
            self.reap(&mut done);
            if let Err(error) = entered {
                tracing::error!(%error, "a ring broke; its buffers are leaked, for the kernel may use them");
                std::mem::forget(std::mem::take(&mut self.flights));
                std::mem::forget(std::mem::replace(&mut self.wake_count, Buf::zeroed(0, 1)));
                return;
            }
        }
    }
}

/// Builds a ring with the best set of flags that this kernel knows.
fn build(entries: u32) -> std::io::Result<IoUring> {
    // 6.1 and later: completions are worked off only in our own enters, so nothing interrupts us.
    let mut newest = IoUring::builder();
    newest.setup_single_issuer().setup_defer_taskrun().setup_taskrun_flag().setup_submit_all();
    // 5.19 and later: no interrupts between processors.
    let mut newer = IoUring::builder();
    newer.setup_coop_taskrun().setup_taskrun_flag().setup_submit_all();
    let plain = IoUring::builder();
    let mut built = newest.build(entries);
    for builder in [newer, plain] {
        match &built {
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
                built = builder.build(entries);
            }
            _ => break,
        }
    }
    built
}

/// A transfer that the kernel would cut is refused: a cut write is an error anyway (I2).
fn check_fits(op: &Op) -> Result<()> {
    let file = op_file(op);
    if file.raw_fd().is_none() {
        return Err(Error::invalid("file operation", "the file is of another backend"));
    }
    match op {
        Op::Write { buf, .. } if buf.len() > TRANSFER_BYTES_MAX => {
            Err(Error::invalid("file operation", format!("a write of {} bytes", buf.len())))
        }
        _ => Ok(()),
    }
}

fn op_file(op: &Op) -> &dyn File {
    match op {
        Op::Read { file, .. } | Op::Write { file, .. } | Op::Sync { file } => &**file,
    }
}

fn verb(op: &Op) -> &'static str {
    match op {
        Op::Read { .. } => "read",
        Op::Write { .. } => "write",
        Op::Sync { .. } => "sync",
    }
}

fn fd(file: &dyn File) -> Fd {
    // `check_fits` has refused files without a descriptor; the kernel would refuse -1.
    Fd(file.raw_fd().unwrap_or(-1))
}

/// What ends a sleep in the ring.
#[derive(Debug)]
struct EventFd {
    bell: Doorbell,
    file: std::fs::File,
}

impl EventFd {
    fn new() -> std::io::Result<EventFd> {
        // SAFETY: takes no pointers. Blocking, so that the ring waits for it instead of failing.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC) };
        if fd < 0 {
            return Err(std::io::Error::last_os_error());
        }
        // SAFETY: just opened, and owned by nobody else.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(EventFd { bell: Doorbell::new(), file: fd.into() })
    }

    /// Makes the read in the ring return, now or whenever it comes. Never blocks: the count would
    /// have to reach 2^64, and a ring that is read resets it.
    fn signal(&self) {
        if let Err(error) = (&self.file).write_all(&1u64.to_ne_bytes()) {
            tracing::error!(%error, "cannot wake a ring");
        }
    }
}

impl Wake for EventFd {
    fn wake(&self) {
        if self.bell.ring() {
            self.signal();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::{Backend, system};

    #[test]
    fn a_pair_that_the_kernel_took_apart_is_synced_again() {
        let Ok(env) = system(Backend::Uring) else { return };
        let dir = tempfile::tempdir().unwrap();
        let file = env.disk.create(&dir.path().join("f"), 4096).unwrap();
        let mut ring = Ring::new(4).unwrap();
        let buf = Buf::zeroed(4096, 4096);
        ring.push(9, Op::Write { file, offset: 0, buf, durable: true }).unwrap();
        assert_eq!(ring.staged.len(), 2);
        // As if the kernel had taken the write alone.
        ring.taken_except(1);
        assert_eq!(ring.flights[ring.staged[0] as usize >> 1].as_ref().unwrap().again, Again::Sync);
        ring.staged.insert(0, HEAD);
        let mut done = Vec::new();
        while ring.staged.is_empty() || ring.staged.len() == 2 {
            ring.enter(Wait::Forever).unwrap();
            ring.reap(&mut done);
        }
        assert!(ring.staged == [TAIL] && done.is_empty(), "both completed, one sync to go again");
        ring.wait(Wait::Forever, &mut done).unwrap();
        assert!(done.len() == 1 && done[0].result.is_ok() && done[0].token == 9, "{done:?}");
        assert_eq!(ring.in_flight(), 0);
    }

    #[test]
    fn the_sync_of_a_failed_write_is_cancelled() {
        let Ok(env) = system(Backend::Uring) else { return };
        let dir = tempfile::tempdir().unwrap();
        let file = env.disk.create(&dir.path().join("f"), 4096).unwrap();
        let mut ring = Ring::new(4).unwrap();
        // No file system has files that reach this far.
        let (offset, buf) = (i64::MAX as u64 & !0xFFFF, Buf::zeroed(4096, 4096));
        ring.push(0, Op::Write { file, offset, buf, durable: true }).unwrap();
        let mut answers = Vec::new();
        while answers.len() < 2 {
            ring.enter(Wait::Forever).unwrap();
            answers.extend(ring.ring.completion().map(|entry| (entry.user_data(), entry.result())));
        }
        let mut flight = ring.flights[0].take().unwrap();
        ring.free.push(0);
        assert!(answers[0].0 == HEAD && answers[0].1 < 0, "{answers:?}");
        assert_eq!(answers[1], (TAIL, -libc::ECANCELED), "the two are one chain");
        answers.iter().for_each(|&(part, result)| flight.answered(part == TAIL, result));
        let error = flight.done().result.unwrap_err().to_string();
        assert!(error.starts_with("cannot write"), "{error}");
    }

    #[test]
    fn success_needs_every_byte_and_both_completions() {
        let (env, _, _) = crate::io::simulated(1, Default::default());
        env.disk.create_dir("/d".as_ref()).unwrap();
        let file = env.disk.create("/d/f".as_ref(), 4096).unwrap();
        let answer = |durable, answers: &[(bool, i32)]| {
            let op =
                Op::Write { file: file.clone(), offset: 0, buf: Buf::zeroed(4096, 4096), durable };
            let owed = answers.len() as u8;
            let (failed, again) = (None, Again::Nothing);
            let mut flight = Flight { token: 0, op, filled: 0, owed, failed, again };
            answers.iter().for_each(|&(tail, result)| flight.answered(tail, result));
            let again = flight.again;
            (flight.done().result.map_err(|error| error.to_string()), again)
        };
        assert_eq!(answer(true, &[(false, 4096), (true, 0)]), (Ok(()), Again::Nothing));
        let (short, _) = answer(true, &[(false, 512), (true, -libc::ECANCELED)]);
        assert!(short.unwrap_err().contains("only 512 of 4096 bytes"));
        let (unsynced, _) = answer(true, &[(false, 4096), (true, -libc::EIO)]);
        assert!(unsynced.unwrap_err().starts_with("cannot sync /d/f"));
        let (unwritten, _) = answer(true, &[(true, -libc::ECANCELED), (false, -libc::ENOSPC)]);
        assert!(unwritten.unwrap_err().starts_with("cannot write /d/f: No space"));
        let interrupted = answer(true, &[(false, -libc::EINTR), (true, -libc::ECANCELED)]);
        assert_eq!(interrupted, (Ok(()), Again::All));
        assert!(answer(false, &[(false, 0)]).0.is_err());
    }
}
