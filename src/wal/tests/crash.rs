//! Power loss at every place of a write, and long histories of crashes against a list of groups.

use super::*;
use proptest::prelude::*;

/// A write on its way when power is lost, of which any subset of sectors arrives: first in its file or
/// not, over zeroes or over an older round.
#[test]
fn every_subset_of_the_sectors_of_the_last_write() {
    for (first, recycled) in [(false, false), (false, true), (true, false), (true, true)] {
        // Six sectors, one of them the file's header if it is the first.
        let bytes = if first { 2300 } else { 2800 };
        for subset in 0..1u32 << 6 {
            let mut log = Log::new(512, 8192);
            if recycled {
                (0..9).for_each(|i| log.append(&[entry(1500, i)], true));
                log.from = log.writer.end();
                log.rotate();
            }
            if recycled || !first {
                log.append(&[entry(5, 5), entry(6, 6)], true);
            }
            if first {
                log.rotate();
            }
            let entries = [entry(bytes, 77), entry(7, 7)];
            in_flight(&mut log, &entries);
            assert_eq!(log.pending[0].2.len(), 6 * 512);
            let before = log.writer.position();
            let lost = log.crash(&mut |sector| subset & 1 << sector != 0);
            assert_eq!(lost, usize::from(subset != 63), "subset {subset:b} before {before}");
            // The log goes on behind the torn tail.
            log.append(&[entry(8, 8)], true);
            log.crash(&mut |_| false);
        }
    }
}

#[test]
fn a_torn_tail_is_noticed_by_its_header() {
    for (kept, torn) in [(0, false), (1, true), (3, true), (4, false)] {
        let mut log = Log::new(512, 8192);
        log.append(&[entry(5, 5)], true);
        in_flight(&mut log, &[entry(1900, 1)]);
        let (file, offset, bytes) = log.pending.pop().unwrap();
        write_sectors(&*file, offset, &bytes, &mut |sector| sector < kept);
        let (entries, found) = read(&log.files, Lsn(0)).unwrap();
        assert_eq!((entries.len(), found.torn), (if kept == 4 { 2 } else { 1 }, torn), "{kept}");
    }
}

/// Places a group durably; its write neither completes nor fails.
fn in_flight(log: &mut Log, entries: &[Vec<u8>]) {
    let group = log.group(entries);
    if !log.writer.fits(&group) {
        log.rotate();
    }
    let placed = log.place(group, entries, true);
    log.twin.last_mut().unwrap().durable = false;
    let Op::Write { file, offset, buf, .. } = placed.op else { panic!("no write") };
    log.pending.push((file, offset, buf.to_vec()));
}

#[derive(Clone, Debug)]
enum Step {
    Append {
        lens: Vec<usize>,
        durable: bool,
    },
    Sync,
    Rotate,
    /// Sync, and begin replay at the end from now on.
    Checkpoint,
    /// Lose power; the bits say which sectors arrive.
    Crash(u64),
    /// The same in the middle of a durable write.
    CrashInFlight(Vec<usize>, u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let lens = || prop::collection::vec(prop_oneof![0usize..40, 0usize..900], 0..12);
    let chance = || prop_oneof![Just(0), Just(u64::MAX), any::<u64>()];
    let step = prop_oneof![
        8 => (lens(), any::<bool>()).prop_map(|(lens, durable)| Step::Append { lens, durable }),
        1 => Just(Step::Sync),
        1 => Just(Step::Rotate),
        1 => Just(Step::Checkpoint),
        1 => chance().prop_map(Step::Crash),
        1 => (lens(), chance()).prop_map(|(lens, bits)| Step::CrashInFlight(lens, bits)),
    ];
    prop::collection::vec(step, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn histories_of_crashes_agree_with_a_list(
        steps in steps(), align in prop_oneof![Just(1usize), Just(512), Just(4096)], kib in 4u32..17,
    ) {
        let mut log = Log::new(align, kib * 4096);
        let mut seed = 0;
        let mut entries = |log: &Log, lens: &[usize]| {
            let mut room = log.files.group_bytes_max();
            let mut entries = Vec::new();
            for &len in lens {
                room = room.saturating_sub(format::entry_bytes(len));
                if room > 0 {
                    seed += 1;
                    entries.push(entry(len, seed));
                }
            }
            entries
        };
        for step in steps {
            match step {
                Step::Append { lens, durable } => {
                    let entries = entries(&log, &lens);
                    log.append(&entries, durable);
                }
                Step::Sync | Step::Checkpoint => {
                    log.sync();
                    log.writer.synced(log.writer.end());
                    if matches!(step, Step::Checkpoint) {
                        log.from = log.writer.end();
                    }
                }
                Step::Rotate => log.rotate(),
                Step::Crash(mut bits) => {
                    log.crash(&mut |_| next_bit(&mut bits));
                }
                Step::CrashInFlight(lens, mut bits) => {
                    let entries = entries(&log, &lens);
                    in_flight(&mut log, &entries);
                    log.crash(&mut |_| next_bit(&mut bits));
                }
            }
        }
        log.crash(&mut |_| true);
    }
}

/// The lowest bit, moved to the top.
fn next_bit(bits: &mut u64) -> bool {
    *bits = bits.rotate_right(1);
    *bits >> 63 == 1
}
