//! Merges by hand: what one takes, how far a step goes, what it says that it moved, what is left of one that ends early.

use super::*;
use crate::base::{PageSize, StoreId, Terms};
use crate::io::sim::Faults;
use crate::io::{Env, simulated};
use crate::memtable;
use crate::model::{Bodies, Decision, Model, Probes, Record};
use crate::shard::{Config, Gate, recover, write};
use std::path::Path;

/// Bytes of every body.
const BODY_BYTES: usize = 24;

/// A model without rules: the first two bytes of a body say how many terms the record has.
struct Plain(Bodies);

impl Model for Plain {
    fn name(&self) -> &'static str {
        "plain"
    }
    fn version(&self) -> u32 {
        1
    }
    fn bodies(&self) -> Bodies {
        self.0
    }
    fn route(&self, _record: Record<'_>) -> u64 {
        0
    }
    fn terms(&self, record: Record<'_>, out: &mut Terms) {
        (0..record.body[0]).for_each(|n| out.push(&[b"t", &[n]]));
    }
    fn probes(&self, _record: Record<'_>, _out: &mut Probes) {}
    fn decide(&self, _record: Record<'_>, _hits: &[Record<'_>], _now: u64) -> Decision {
        Decision::Store { kills: Vec::new() }
    }
}

/// A shard in `/s`, or under `dir`, that nobody runs.
pub fn shard(env: Env, dir: &Path, bodies: Bodies, set: impl FnOnce(&mut Config)) -> Arc<Shared> {
    let mut config = crate::store::config_of_files(dir, StoreId([1; 16]), PageSize::K4, 0);
    (config.memtable_bytes, config.ring_bytes, config.log_file_bytes) = (8 << 20, 1 << 16, 1 << 16);
    set(&mut config);
    recover::create(&env, &config).unwrap();
    let pool = Pool::new(16 << 20, PageSize::K4);
    recover::open(env, Arc::new(Plain(bodies)), pool, config, Gate::new()).unwrap().shared
}

/// A segment of a record for each of `times`, each with so many terms.
pub fn segment(
    shared: &Arc<Shared>,
    times: impl IntoIterator<Item = u64>,
    terms: u8,
) -> LiveSegment {
    let config = write::memtable_config(8 << 20, &*shared.model);
    let (mut writer, memtable) = memtable::new(config, 0);
    for time in times {
        let mut id = [0; 32];
        id[..8].copy_from_slice(&time.to_be_bytes());
        let mut body = [time as u8; BODY_BYTES];
        body[0] = terms;
        let key = Key { time, id };
        let mut of_record = Terms::new();
        shared.model.terms(Record { key, body: &body }, &mut of_record);
        of_record.seal();
        writer.append(key, &body, &of_record).unwrap();
    }
    let flushed = flush::flush(shared, &memtable, u64::from(memtable.len())).unwrap();
    flush::with_late_deaths(&flushed).unwrap()
}

fn on_memory(bodies: Bodies, records_max: u32) -> Arc<Shared> {
    let (env, _, _) = simulated(1, Faults::default());
    shard(env, Path::new("/s"), bodies, |config| config.compaction.records_max = records_max)
}

#[test]
fn the_place_of_a_record_is_in_the_output_whose_window_it_lies_in() {
    let map = vec![0, NOWHERE, 1, 0, 1];
    let merged = MergedInput { id: SegmentId([1; 16]), map, ends: vec![3, 5] };
    let places: Vec<_> = (0..6).map(|ordinal| merged.place(ordinal)).collect();
    let expected = [Some((0, 0)), None, Some((0, 1)), Some((1, 0)), Some((1, 1)), None];
    assert_eq!(places, expected);
}

/// 64 bytes a record of the window, 4 a record, what the inputs have in memory, and for each of them 2 MiB and 64
/// frames; blocks: two for the output, and two for each input that has some.
#[test]
fn a_merge_sets_aside_what_it_takes() {
    for (bodies, records_max) in
        [(Bodies::Each, 1000), (Bodies::Each, 2000), (Bodies::Blocks, 1000)]
    {
        let shared = on_memory(bodies, records_max);
        let inputs = [segment(&shared, 0..900, 1), segment(&shared, 900..1500, 1)];
        let filters = inputs.iter().map(LiveSegment::memory_bytes).sum::<usize>();
        let blocks = if bodies == Bodies::Blocks { 6 } else { 2 } * BLOCK_BYTES;
        let window = records_max.min(1500) as usize;
        let frames = 128 * (4096 + Pool::FRAME_STATE_BYTES);
        let bytes = window * 64 + 1500 * 4 + filters + blocks + (4 << 20) + frames;
        assert_eq!(memory_bytes(&shared, &inputs), bytes, "{bodies:?}");
        let working = || shared.memory().working_bytes;
        let merge = Compaction::begin(&shared, inputs.to_vec(), 1500, Compression::None).unwrap();
        assert_eq!(working(), bytes);
        drop(merge);
        assert_eq!(working(), 0);
    }
}

#[test]
fn a_step_goes_as_far_as_a_slice_and_what_was_moved_is_told() {
    // Two windows: a step for each 2,048 records, for each 65,536 postings, one to open, and one that ends it.
    for (terms, steps) in [(1, 3 + 1 + 1 + 1 + 2), (40, 3 + 3 + 1 + 1 + 2)] {
        let shared = on_memory(Bodies::Each, 4100);
        let (even, odd) = ((0..3000).map(|n| n * 2), (0..2200).map(|n| n * 2 + 1));
        let inputs = vec![segment(&shared, even, terms), segment(&shared, odd, terms)];
        for ordinal in 0..100 {
            inputs[0].dead.kill(ordinal, 7);
            inputs[0].dead.kill(1000 + ordinal, 9);
        }
        let mut merge = Compaction::begin(&shared, inputs, 8, Compression::None).unwrap();
        let (mut count, mut moved) = (0, 0);
        let compacted = loop {
            count += 1;
            let done = merge.step().unwrap();
            assert!(merge.bytes() >= moved);
            moved = merge.bytes();
            if let Some(compacted) = done {
                break compacted;
            }
        };
        assert_eq!(merge.step().err().map(|error| error.code()), Some(Error::Closed.code()));
        let records: Vec<u32> = compacted.outputs.iter().map(|output| output.records()).collect();
        assert_eq!((records, count), (vec![4100, 1000], steps), "{terms} terms");
        let lists = 2 * (2 + 2 + 5100) * usize::from(terms);
        assert_eq!(compacted.bytes, (2 * BODY_BYTES * 5100 + lists) as u64);
        assert_eq!(compacted.bytes, moved);
    }
}

#[test]
fn of_a_merge_that_is_not_ended_no_file_is_left() {
    for steps in 0..7 {
        let shared = on_memory(Bodies::Each, 2100);
        let inputs = vec![segment(&shared, 0..3000, 1), segment(&shared, 3000..6000, 1)];
        let files = || {
            let names = shared.env.disk.list(&shared.config.dir).unwrap();
            names.into_iter().filter(|name| name.ends_with(".seg")).count()
        };
        let mut merge = Compaction::begin(&shared, inputs, 6000, Compression::None).unwrap();
        for _ in 0..steps {
            assert!(merge.step().unwrap().is_none());
        }
        assert_eq!(files() > 2, steps > 0);
        drop(merge);
        assert_eq!(files(), 2, "after {steps} steps");
    }
}
