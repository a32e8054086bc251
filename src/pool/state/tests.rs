//! The frame state by hand, and under loom: every interleaving and every allowed reordering of the
//! protocol's own code, with the frame's bytes as a cell whose races loom reports. The page table that
//! leads to a frame is the pool's own too: with the load of `frame` or the store of `set` made relaxed,
//! a reader misses the page that moved.

use super::*;
use crate::pool::table::{ABSENT, NEVER, PageTable};
use loom::cell::UnsafeCell;
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

word!(loom::sync::atomic::AtomicU64);

type Modelled = FrameState<loom::sync::atomic::AtomicU64>;
type Table = PageTable<loom::sync::atomic::AtomicU32>;

fn plain(word: u64, owner: u64) -> FrameState {
    FrameState { word: word.into(), owner: owner.into(), ..FrameState::default() }
}

#[test]
fn pins_exclude_takes_and_only_the_owners_page_is_pinned() {
    let state = plain(0, 0);
    assert!(!state.pin(7) && !state.take());
    state.take_free();
    state.own(7, false);
    assert!(!state.pin(7) && !state.is_valid());
    assert!(!state.publish(Entrance::Pinned));
    assert!(!state.take() && state.is_pinned());
    assert!(!state.pin(8));
    assert!(state.pin(7));
    state.unpin();
    assert!(!state.take());
    state.unpin();
    assert!(state.take() && !state.take());
    assert!(!state.free());
}

#[test]
fn uses_count_to_three_and_the_first_use_of_a_page_read_ahead_does_not() {
    for (how, after_one) in [(Entrance::Pinned, 1), (Entrance::Ahead, 0)] {
        let state = plain(TAKEN, 7);
        state.publish(how);
        let mut want = after_one;
        for _ in 0..6 {
            assert!(state.pin(7));
            assert_eq!(state.frequency(), want);
            want = (want + 1).min(3);
        }
        (0..5).for_each(|_| state.decay());
        assert_eq!(state.frequency(), 0);
        assert!(state.is_pinned());
    }
}

#[test]
fn every_way_out_of_taken_reports_the_waiter() {
    let ways: [fn(&FrameState) -> bool; 4] = [
        |s| s.publish(Entrance::Ahead),
        |s| s.publish(Entrance::Pinned),
        FrameState::free,
        FrameState::dismiss,
    ];
    for way in ways {
        let state = plain(TAKEN, 7);
        assert!(!way(&state));
        let state = plain(TAKEN, 7);
        assert!(state.await_change());
        state.own(8, true);
        assert!(way(&state));
    }
    let state = plain(VALID, 7);
    assert!(!state.await_change());
}

/// Frame 0, its bytes, and the table of two pages of which an entry leads to it.
struct Model {
    state: Modelled,
    bytes: UnsafeCell<()>,
    content: loom::sync::atomic::AtomicU64,
    table: Table,
    lock: Mutex<()>,
    changed: Condvar,
}

impl Model {
    fn new(word: u64, owner: u64) -> Arc<Model> {
        let atomic = loom::sync::atomic::AtomicU64::new;
        let table = Table::new(2);
        if owner < 2 {
            table.set(owner as u32, 0);
        }
        Arc::new(Model {
            state: FrameState { word: atomic(word), owner: atomic(owner), kind: atomic(0) },
            bytes: UnsafeCell::new(()),
            content: atomic(owner),
            table,
            lock: Mutex::new(()),
            changed: Condvar::new(),
        })
    }

    /// Reads the page if it is there; loom sees the access, the assert what was read.
    fn read(&self, owner: u64) -> bool {
        let pinned = self.state.pin(owner);
        if pinned {
            self.bytes.with(|_| assert_eq!(self.content.load(Relaxed), owner));
            self.state.unpin();
        }
        pinned
    }

    fn load(&self, owner: u64) {
        self.state.own(owner, false);
        self.bytes.with_mut(|_| self.content.store(owner, Relaxed));
    }

    /// As `Frames::wait`, without a limit.
    fn wait(&self, page: u32) {
        let guard = self.lock.lock().unwrap();
        if self.state.await_change() && self.table.frame(page) == Some(0) {
            drop(self.changed.wait(guard).unwrap());
        }
    }

    /// As `Frames::notify`.
    fn notify(&self, waited: bool) {
        if waited {
            drop(self.lock.lock().unwrap());
            self.changed.notify_all();
        }
    }
}

#[test]
fn loom_readers_never_meet_a_writer_or_another_page() {
    // Three threads: without a bound on preemptions it takes seconds, and finds nothing more.
    let mut bounded = loom::model::Builder::new();
    bounded.preemption_bound = Some(3);
    bounded.check(|| {
        let model = Model::new(VALID, 1);
        let reader = |owner| {
            let model = Arc::clone(&model);
            thread::spawn(move || model.read(owner))
        };
        let readers = [reader(1), reader(2)];
        if model.state.take() {
            model.load(2);
            model.state.publish(Entrance::Ahead);
        }
        for reader in readers {
            reader.join().unwrap();
        }
    });
}

#[test]
fn loom_a_page_that_moves_is_read_right_in_either_frame_or_not_at_all() {
    loom::model(|| {
        let (from, to) = (Model::new(VALID | 2, 1), Model::new(0, 9));
        // `from` is frame 0, and `to` frame 1.
        let table = Arc::new(Table::new(2));
        table.set(1, 0);
        let reader = {
            let (from, to, table) = (Arc::clone(&from), Arc::clone(&to), Arc::clone(&table));
            thread::spawn(move || match table.frame(1) {
                Some(0) => drop(from.read(1)),
                frame => {
                    assert_eq!(frame, Some(1));
                    assert!(to.read(1), "the table leads to the page");
                }
            })
        };
        let marks = from.state.marks();
        if from.state.take() {
            to.state.take_free();
            let content = from.bytes.with(|_| from.content.load(Relaxed));
            to.load(content);
            to.state.publish(Entrance::Moved(marks));
            table.set(1, 1);
            // The kernel takes the bytes, and they are zero.
            from.bytes.with_mut(|_| from.content.store(0, Relaxed));
            from.state.free();
        }
        reader.join().unwrap();
    });
}

#[test]
fn a_page_that_moves_keeps_its_marks() {
    for (uses, marks) in [(0, FRESH), (1, 0), (2, 1), (9, 3)] {
        let state = plain(TAKEN, 7);
        state.publish(Entrance::Ahead);
        (0..uses).for_each(|_| assert!(state.pin(7)));
        (0..uses).for_each(|_| state.unpin());
        assert_eq!(state.marks(), marks);
        let moved = plain(TAKEN, 7);
        moved.publish(Entrance::Moved(state.marks()));
        assert_eq!((moved.marks(), moved.is_pinned(), moved.is_valid()), (marks, false, true));
    }
}

#[test]
fn loom_two_takers_never_share_a_frame() {
    loom::model(|| {
        let model = Model::new(VALID, 1);
        let other = {
            let model = Arc::clone(&model);
            thread::spawn(move || {
                model.read(1);
                if model.state.take() {
                    model.load(3);
                    model.state.free();
                }
            })
        };
        if model.state.take() {
            model.load(2);
            model.state.publish(Entrance::Pinned);
            model.bytes.with(|_| assert_eq!(model.content.load(Relaxed), 2));
            model.state.unpin();
        }
        other.join().unwrap();
    });
}

/// Runs `end` beside a thread that waits for page 1 until it is read or its entry has changed; a wake
/// that is lost is a deadlock, which loom reports.
fn loom_waiter(word: u64, end: fn(&Model)) {
    loom::model(move || {
        let model = Model::new(word, 1);
        let waiter = {
            let model = Arc::clone(&model);
            thread::spawn(move || {
                while model.table.frame(1) == Some(0) && !model.read(1) {
                    model.wait(1);
                }
            })
        };
        end(&model);
        waiter.join().unwrap();
    });
}

#[test]
fn loom_a_waiter_is_woken_by_the_page() {
    loom_waiter(TAKEN, |model| {
        model.load(1);
        model.notify(model.state.publish(Entrance::Ahead));
    });
}

#[test]
fn loom_a_waiter_is_woken_by_the_end_of_the_claim() {
    // The frame stays taken: the kernel has it still.
    loom_waiter(TAKEN, |model| {
        model.table.clear(1, 0, NEVER);
        model.notify(model.state.dismiss());
    });
}

#[test]
fn loom_a_waiter_is_woken_by_a_frame_that_is_freed() {
    loom_waiter(TAKEN, |model| {
        model.table.clear(1, 0, ABSENT | 7);
        model.notify(model.state.free());
    });
}

#[test]
fn loom_a_waiter_with_a_stale_entry_is_woken_by_the_next_page() {
    loom_waiter(VALID, |model| {
        if model.state.take() {
            model.table.clear(1, 0, ABSENT | 7);
            model.load(2);
            model.notify(model.state.publish(Entrance::Pinned));
        }
    });
}
