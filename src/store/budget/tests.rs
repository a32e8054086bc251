//! The division as a table, its limits for every combination of figures, and a pool that follows it.

use super::*;
use std::fmt::Write;

const MIB: usize = 1 << 20;

fn plan(memory: usize, shards: usize) -> Plan {
    let options = Options { memory_bytes: memory, ..Options::default() };
    Plan::new(&options, PageSize::K4, shards).unwrap()
}

fn shard(sealed: usize, segments: usize, working: usize, held: usize) -> ShardMemory {
    ShardMemory {
        sealed,
        memtable_bytes: 3 * MIB,
        held_bytes: held * MIB,
        segment_bytes: segments * MIB,
        working_bytes: working * MIB,
    }
}

/// Sealed memtables; MiB of segments, of working memory, and of memtables held by readers.
const CASES: [(usize, usize, usize, usize, usize); 9] = [
    (1024, 0, 0, 0, 0),
    (1024, 1, 0, 32, 0),
    (1024, 0, 100, 0, 0),
    (1024, 2, 100, 96, 32),
    (1024, 0, 500, 0, 0),
    (128, 0, 0, 0, 0),
    (128, 1, 0, 4, 0),
    (128, 1, 40, 12, 4),
    (128, 0, 100, 0, 0),
];

#[test]
fn the_division_of_two_shards_as_a_table_in_mib() {
    let mut table = String::from("budget fixed  memtables segments working pool over\n");
    for (memory, sealed, segments, working, held) in CASES {
        let plan = plan(memory * MIB, 2);
        // One shard is idle and has a tenth of the segments.
        let usage = [shard(sealed, segments, working, held), shard(0, segments / 10, 0, 0)];
        let found = divide(&plan, &usage);
        let mib = |bytes: usize| bytes.div_ceil(MIB);
        let fixed = plan.in_flight_bytes + plan.slack_bytes() + plan.pool_state_bytes();
        let all = [fixed, found.memtables, found.segments, found.working, found.pool, found.over];
        let [fixed, memtables, segments, working, pool, over] = all.map(mib);
        writeln!(
            table,
            "{memory:6} {fixed:5} {memtables:10} {segments:8} {working:7} {pool:4} {over:4}"
        )
        .unwrap();
    }
    assert_eq!(table, TABLE, "\n{table}");
}

const TABLE: &str = "\
budget fixed  memtables segments working pool over
  1024   153         64        0       0  806    0
  1024   153        128        0      32  710    0
  1024   153         64      110       0  696    0
  1024   153        160      110      96  504    0
  1024   153         64      550       0  256    0
   128    49          8        0       0   70    0
   128    49         16        0       4   58    0
   128    49         20       44      12    8    5
   128    49          8      110       0    8   47
";

#[test]
fn the_parts_never_exceed_the_budget_unless_the_pool_has_its_minimum() {
    for memory in [64, 100, 128, 500, 1024, 4096, 1 << 20] {
        for shards in [1, 2, 4, 16, 64] {
            let options = Options { memory_bytes: memory * MIB, ..Options::default() };
            let plan = Plan::new(&options, PageSize::K4, shards);
            let least = options.memory_bytes_min(shards);
            assert_eq!(plan.is_ok(), memory * MIB >= least, "{memory} MiB, {shards} shards");
            let Ok(plan) = plan else { continue };
            for sealed in 0..=MEMTABLES_SEALED_MAX {
                for segments in [0, 10, 1000] {
                    let usage = vec![shard(sealed, segments, sealed * 7, 0); shards];
                    let found = divide(&plan, &usage);
                    let fixed = plan.in_flight_bytes + plan.slack_bytes() + plan.pool_state_bytes();
                    let others = fixed + found.memtables + found.segments + found.working;
                    let minimum = (memory * MIB / 16).max(256 << 10);
                    assert!(found.pool >= minimum && found.pool <= plan.pool_bytes_max());
                    assert_eq!(found.over, (others + found.pool).saturating_sub(memory * MIB));
                    assert!(found.over == 0 || found.pool == minimum);
                }
            }
        }
    }
}

#[test]
fn the_busiest_shards_fit_the_least_memory_and_no_less() {
    for (page, shards) in [(PageSize::K4, 1), (PageSize::K16, 2), (PageSize::K8, 64)] {
        for options in [Options::default(), Options::tiny()] {
            let least = Plan::least_bytes(&options, page, shards);
            let at = |memory_bytes| Options { memory_bytes, ..options.clone() };
            assert!(Plan::new(&at(least - 1), page, shards).is_err());
            let plan = Plan::new(&at(least), page, shards).unwrap();
            let busy = ShardMemory {
                sealed: MEMTABLES_SEALED_MAX,
                working_bytes: plan.memtable_bytes,
                ..ShardMemory::default()
            };
            let mut usage = vec![busy; shards];
            usage[0].working_bytes += plan.compaction_bytes;
            let found = divide(&plan, &usage);
            assert_eq!((found.over, found.pool), (0, plan.pool_bytes_min()));
        }
    }
}

#[test]
fn the_defaults_open_on_any_machine_and_share_memtables_among_shards() {
    let of = |shards| plan(1 << 30, shards).memtable_bytes;
    assert_eq!((of(1), of(2), of(16)), (64 * MIB, 32 * MIB, 4 * MIB));
    // What `Options::default` has on a machine with that many cores.
    for cores in [1, 2, 16, 32, 64] {
        plan((1 << 30).max(cores * 40 * MIB), cores);
    }
    let policy = crate::shard::Policy::default();
    assert_eq!(plan(1 << 30, 2).merge_records_max, policy.records_max);
    assert_eq!(plan(96 * MIB, 2).merge_records_max, 6 * MIB as u32 / 60);
    let options = Options { memtable_bytes: Some(3 * MIB), ..Options::default() };
    assert_eq!(Plan::new(&options, PageSize::K4, 2).unwrap().memtable_bytes, 3 * MIB);
}

#[test]
fn the_pool_follows_what_the_shards_take() {
    let plan = plan(128 * MIB, 2);
    let pool = Pool::new(plan.pool_bytes_max(), PageSize::K4);
    let budget = Budget::new(plan.clone(), &pool);
    let pool_bytes = || pool.stats().frames * 4096;
    let idle = pool_bytes();
    assert!(idle >= 60 * MIB, "{idle}");
    budget.adjust(0, shard(1, 0, 0, 0));
    assert_eq!(idle - pool_bytes(), 2 * plan.memtable_bytes);
    budget.adjust(1, shard(0, 10, 6, 0));
    assert_eq!(idle - pool_bytes(), 2 * plan.memtable_bytes + 16 * MIB);
    budget.adjust(7, shard(2, 90, 0, 0)); // there is no such shard
    budget.adjust(0, shard(0, 1000, 0, 0));
    assert_eq!(pool_bytes(), plan.pool_bytes_min());
    let shards = [shard(0, 0, 0, 2), shard(0, 0, 0, 0)];
    shards.into_iter().zip(0..).for_each(|(taken, number)| budget.adjust(number, taken));
    let memory = budget.memory(shards.into_iter());
    assert_eq!(memory.memtable_bytes, 8 * MIB as u64);
    assert_eq!((pool_bytes(), memory.pool_bytes), (idle - 2 * MIB, pool_bytes() as u64));
    assert_eq!((memory.budget_bytes, memory.pool_resident_bytes), (128 * MIB as u64, 0));
}
