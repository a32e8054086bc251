//! Random records, rules and moments against the twin, through flushes, merges and reopenings.

use super::*;

/// What `plan` says of `gone`.
fn check_figures(going: &Going, gone: &BTreeSet<Key>, records: &Records) {
    let items = || gone.iter().map(|key| &records[key]);
    assert_eq!(going.records, gone.len() as u64);
    let bytes = items().map(|item| item.body.len() as u64 + RECORD_OVERHEAD_BYTES).sum::<u64>();
    assert_eq!(going.bytes, bytes);
    let times = gone.first().zip(gone.last()).map(|(first, last)| (first.time, last.time));
    assert_eq!(going.times, times);
    let mut kinds = BTreeMap::new();
    items().for_each(|item| *kinds.entry(u64::from(item.body[1])).or_default() += 1);
    assert_eq!(going.kinds, kinds);
}

#[test]
fn decisions_dry_runs_and_runs_agree_with_the_twin() {
    let (mut removed, mut merges, mut partial) = (0, 0, 0);
    for seed in 0..25 {
        let mut rng = Rng::new(seed);
        let machine = Machine::new(seed);
        let shards = 1 << rng.below(3);
        let mut store = machine.open(shards);
        let (mut records, mut now) = (Records::new(), 1000);
        for _ in 0..14 {
            for _ in 0..rng.below(250) {
                now += rng.below(3);
                let item = Item::random(&mut rng, now);
                insert(&store, &mut records, item);
            }
            let specs = Specs::random(&mut rng);
            let rules = specs.rules();
            let expected = twin::going(&records, &specs, now);
            assert_eq!(going(&store, &rules, now), expected, "seed {seed}: {specs:?}");

            let plan = plan(&store, &rules, now).unwrap();
            let all: BTreeSet<Key> = expected.iter().flatten().copied().collect();
            check_figures(&plan.expired, &expected[0], &records);
            for (going, gone) in plan.rules.iter().zip(&expected[1..]) {
                check_figures(going, gone, &records);
            }
            check_figures(&plan.all, &all, &records);
            assert_eq!(stored(&store), records, "seed {seed}: a dry run removes nothing");

            let before = store.snapshot();
            let report = run(&store, &rules, now);
            assert_eq!(report.removed(), plan.all.records, "seed {seed}: {specs:?}");
            assert!(report.ended);
            let count = store.count_at(&before, &[Select::all()]).unwrap();
            assert_eq!(count, records.len() as u64, "a snapshot stays as it was");
            partial += u64::from(!all.is_empty() && all.len() < records.len());
            removed += report.removed();
            records.retain(|key, _| !all.contains(key));
            assert_eq!(stored(&store), records, "seed {seed}: {specs:?}");
            let again = run(&store, &rules, now);
            assert_eq!(again.removed(), 0, "seed {seed}: one run is enough: {specs:?}");
            match rng.below(6) {
                0 => store.compact().unwrap(),
                1 => {
                    merges += store.stats().iter().map(|s| s.compactions).sum::<u64>();
                    store.close().unwrap();
                    drop(store);
                    store = machine.open(shards);
                }
                _ => {}
            }
        }
    }
    assert!(removed > 5_000 && merges > 20 && partial > 80, "{removed} {merges} {partial}");
}

#[test]
fn a_run_that_is_stopped_has_removed_a_part_and_the_next_removes_the_rest() {
    let store = Machine::new(3).open(1);
    let (mut rng, mut records) = (Rng::new(3), Records::new());
    for now in 1000..1600 {
        insert(&store, &mut records, Item::random(&mut rng, now));
    }
    let specs = Specs { rules: vec![Spec::parse("count=100")], ..Specs::default() };
    let stopped = AtomicBool::new(true);
    let report = apply(&store, &specs.rules(), 1600, NOW_OR_NEVER, &stopped).unwrap();
    assert_eq!((report.removed(), report.ended), (0, false));
    assert_eq!(stored(&store), records);
    let expected = twin::going(&records, &specs, 1600);
    run(&store, &specs.rules(), 1600);
    records.retain(|key, _| !expected.iter().any(|keys| keys.contains(key)));
    assert_eq!(stored(&store), records);
    store.close().unwrap();
    // Records that are too many, and a store that takes no removals.
    let none = Specs { rules: vec![Spec::parse("age=1")], ..Specs::default() };
    let error = apply(&store, &none.rules(), 9999, NOW_OR_NEVER, &AtomicBool::new(false));
    assert_eq!(error.unwrap_err().code(), "ERR_CLOSED");
}
