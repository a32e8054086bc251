//! The compactor by hand: its turn, its pace, what it brings into memory, what it removes, and what it is told.

use super::*;
use crate::io::sim::Faults;
use crate::io::{Backend, Env, simulated, system};
use crate::pool::Pool;
use crate::segment::Segment;
use crate::shard::choose::Reason;
use crate::shard::compact::tests::{segment, shard};
use crate::shard::flush::expected;
use crossbeam::channel::unbounded;
use std::path::Path;

/// A merge of all of `inputs`.
fn merge_of(inputs: &[LiveSegment], urgent: bool) -> Merge {
    let ids = inputs.iter().map(|live| live.segment.info().id).collect();
    let choice = Choice { inputs: ids, compress: false, reason: Reason::Asked };
    let given_up = Arc::default();
    Merge { choice, inputs: inputs.to_vec(), at: Seq::MAX, urgent, given_up }
}

/// A shard on `env` with a rate, and two segments of it.
fn two(env: Env, dir: &Path, rate: u64) -> (Arc<Shared>, [LiveSegment; 2]) {
    let shared = shard(env, dir, Bodies::Each, |config| {
        config.compaction_bytes_per_second = rate;
        config.compaction.records_max = 4000;
    });
    let inputs = [segment(&shared, 0..3000, 1), segment(&shared, 3000..6000, 1)];
    (shared, inputs)
}

fn done(ended: Ended) -> Compacted {
    match ended {
        Ended::Done(compacted) => compacted,
        Ended::GivenUp => panic!("it was given up"),
        Ended::Failed(_, error) => panic!("{error}"),
    }
}

#[test]
fn a_merge_keeps_to_its_rate_unless_it_is_urgent() {
    let dir = tempfile::tempdir().unwrap();
    let env = system(Backend::Posix).unwrap();
    let clock = env.clock.clone();
    // At a byte a second it would take days.
    let (shared, inputs) = two(env.clone(), &dir.path().join("urgent"), 1);
    let moved = done(Compactor::new(shared).slices(merge_of(&inputs, true))).bytes;
    let (shared, inputs) = two(env, &dir.path().join("slow"), moved * 4);
    let before = clock.monotonic_nanos();
    let compacted = done(Compactor::new(shared).slices(merge_of(&inputs, false)));
    let took = clock.monotonic_nanos() - before;
    assert_eq!(compacted.bytes, moved);
    assert!(took >= 250_000_000, "{took} ns for a quarter of a second's bytes");
}

#[test]
fn who_waits_for_its_turn_hears_that_there_is_nothing_to_do_any_more() {
    let (env, _, _) = simulated(1, Faults::default());
    let (shared, inputs) = two(env, Path::new("/s"), u64::MAX);
    // Twice: who is through leaves the gate to the next one.
    for _ in 0..2 {
        let compacted = done(Compactor::new(shared.clone()).work(merge_of(&inputs, true)));
        assert_eq!(compacted.outputs.len(), 2);
    }
    shared.gate.enter.recv().unwrap();
    let job = merge_of(&inputs, true);
    job.given_up.store(true, Relaxed);
    assert!(matches!(Compactor::new(shared.clone()).work(job), Ended::GivenUp));
    shared.inbox.close();
    let job = merge_of(&inputs, true);
    assert!(matches!(Compactor::new(shared.clone()).work(job), Ended::GivenUp));
    shared.gate.leave.send(()).unwrap();
    let job = merge_of(&inputs, true);
    assert!(matches!(Compactor::new(shared).work(job), Ended::GivenUp), "after its first slice");
}

#[test]
fn a_merge_ends_at_its_next_slice_for_each_of_its_reasons() {
    let begun = || {
        let (env, _, _) = simulated(1, Faults::default());
        let (shared, inputs) = two(env, Path::new("/s"), u64::MAX);
        let (job, mut compactor) = (merge_of(&inputs, false), Compactor::new(shared.clone()));
        let given_up = job.given_up.clone();
        assert!(!compactor.is_running());
        assert!(compactor.begin(job).is_none() && compactor.is_running());
        assert!(compactor.step().is_none() && compactor.is_running());
        (shared, compactor, given_up)
    };
    for reason in 0..3 {
        let (shared, mut compactor, given_up) = begun();
        match reason {
            0 => given_up.store(true, Relaxed),
            1 => shared.inbox.close(),
            _ => shared.poison.set(("a test", String::new())).unwrap(),
        }
        assert!(matches!(compactor.step(), Some(Ended::GivenUp)), "reason {reason}");
        assert!(!compactor.is_running());
    }
}

#[test]
fn as_much_of_the_outputs_is_in_memory_as_was_of_the_inputs() {
    for halves in [0, 1, 2] {
        let (env, _, _) = simulated(1, Faults::default());
        let (shared, inputs) = two(env, Path::new("/s"), u64::MAX);
        let compacted = done(Compactor::new(shared.clone()).slices(merge_of(&inputs, true)));
        // The same outputs through a pool of their own, in which nothing of them is yet.
        let pool = Pool::new(16 << 20, shared.config.page);
        let open = |output: &Arc<Segment>| {
            let (disk, dir) = (&*shared.env.disk, &shared.config.dir);
            Segment::open(&pool, disk, dir, output.info().id, expected(&shared), None).unwrap()
        };
        let outputs = compacted.outputs.iter().map(open).collect();
        let compacted = Compacted { outputs, ..compacted };
        for live in &inputs {
            let pages = 1..(live.segment.info().pages * halves / 2).max(1);
            live.segment.warm(pages, true, |_| true);
        }
        let sum = |of: fn(&LiveSegment) -> u32| inputs.iter().map(of).sum::<u32>();
        let resident = sum(|live| live.segment.resident_pages());
        let all = sum(|live| live.segment.info().pages);
        warm(&compacted, &inputs, |_| true);
        for output in &compacted.outputs {
            let (pages, now) = (output.info().pages, output.resident_pages());
            let share = pages * resident / all;
            assert!(pages > 40 && now.abs_diff(share) <= 6, "{now} of {pages}, not {share}");
        }
    }
}

#[test]
fn warming_tells_what_it_moved_and_ends_when_it_is_told_to() {
    let (env, _, _) = simulated(1, Faults::default());
    let (shared, inputs) = two(env, Path::new("/s"), u64::MAX);
    let compacted = done(Compactor::new(shared.clone()).slices(merge_of(&inputs, true)));
    inputs.iter().for_each(|live| live.segment.warm(1..live.segment.info().pages, true, |_| true));
    let told = std::cell::RefCell::new(Vec::new());
    warm(&compacted, &inputs, |bytes| {
        told.borrow_mut().push(bytes);
        true
    });
    let told = told.into_inner();
    assert!(told.is_sorted() && told.len() >= 2, "{told:?}");
    // Each page of each output once, as bytes; a few at the ends are not warmed.
    let all: u64 = compacted.outputs.iter().map(|output| output.info().bytes).sum();
    let last = told[told.len() - 1];
    assert!(last <= all && last * 2 > all, "{last} of {all} bytes");
    let calls = std::cell::Cell::new(0);
    warm(&compacted, &inputs, |_| {
        calls.set(calls.get() + 1);
        false
    });
    assert_eq!(calls.get(), 1);
}

#[test]
fn removals_are_gentle_where_merges_keep_to_a_rate_and_segments_are_few() {
    let path = || vec![PathBuf::from("/s/one.seg")];
    for (gentle, segments, is_gentle) in
        [(true, 1, true), (true, 32, true), (true, 33, false), (false, 1, false)]
    {
        let (jobs, received) = unbounded();
        let mut compactions = Compactions::new(jobs, gentle);
        assert!(compactions.is_idle());
        compactions.remove(Vec::new(), segments);
        assert!(compactions.is_idle() && received.is_empty(), "nothing to remove");
        compactions.remove(path(), segments);
        compactions.remove(path(), segments);
        let Ok(Job::Remove(paths, gently)) = received.recv() else { panic!("no removal") };
        assert_eq!((paths, gently), (path(), is_gentle));
        compactions.removed();
        assert!(!compactions.is_idle() && compactions.due, "one is left");
        compactions.removed();
        assert!(compactions.is_idle());
        drop(received);
        compactions.remove(path(), segments);
        assert!(compactions.is_idle(), "nobody is there to do it");
    }
}

#[test]
fn a_merge_waits_until_the_inputs_of_the_last_one_are_gone() {
    let (jobs, _received) = unbounded();
    let mut compactions = Compactions::new(jobs, false);
    assert!(!compactions.is_ready(0), "nothing changed");
    compactions.changed();
    assert!(compactions.is_ready(0));
    compactions.awaits(7);
    assert!(!compactions.is_ready(6), "they are not yet to be removed");
    compactions.remove(vec![PathBuf::from("/s/one.seg")], 1);
    assert!(!compactions.is_ready(7), "they are being removed");
    compactions.removed();
    assert!(compactions.is_ready(7) && compactions.is_ready(8));
}

#[test]
fn a_merge_is_given_up_for_its_own_inputs_only() {
    let (jobs, _received) = unbounded();
    let mut compactions = Compactions::new(jobs, false);
    let [one, two, other] = [1, 2, 3].map(|b| SegmentId([b; 16]));
    compactions.give_up(|_| true);
    assert!(!compactions.is_running() && compactions.is_idle());
    let given_up = Arc::new(AtomicBool::new(false));
    compactions.running = Some((vec![one, two], given_up.clone()));
    assert!(compactions.is_running() && !compactions.is_idle());
    compactions.give_up(|id| id == other);
    assert!(!given_up.load(Relaxed));
    compactions.give_up(|id| id == two);
    assert!(given_up.load(Relaxed));
    compactions.ask(7);
    compactions.ask(9);
    assert!(compactions.due && !compactions.paused);
    assert_eq!(compactions.take_waiters(), [7, 9]);
    assert_eq!(compactions.take_waiters(), [0; 0]);
}

#[test]
fn what_is_removed_is_gone_gently_or_not() {
    let dir = tempfile::tempdir().unwrap();
    let env = system(Backend::Posix).unwrap();
    let (shared, inputs) = two(env, dir.path(), u64::MAX);
    let compactor = Compactor::new(shared);
    for (live, gently) in inputs.iter().zip([false, true]) {
        let path = live.segment.path().to_path_buf();
        assert!(path.exists());
        compactor.remove(&[path.with_extension("none"), path.clone()], gently);
        assert!(!path.exists(), "gently: {gently}");
    }
}
