//! Power loss in the middle of a run: what is gone was to go, and the next run completes it.

use super::*;

#[test]
fn after_power_loss_a_run_is_completed_and_nothing_else_is_lost() {
    let (mut cut_short, mut cut_in_between) = (0, 0);
    for seed in 0..120 {
        let mut rng = Rng::new(seed);
        let machine = Machine::new(seed);
        let store = machine.open(1);
        let (mut records, mut now) = (Records::new(), 1000);
        for _ in 0..200 + rng.below(400) {
            now += rng.below(3);
            insert(&store, &mut records, Item::random(&mut rng, now));
        }
        let mut specs = Specs::random(&mut rng);
        specs.rules.push(Spec::parse("count=150"));
        let rules = specs.rules();
        let expected = twin::going(&records, &specs, now);
        let all: BTreeSet<Key> = expected.iter().flatten().copied().collect();
        machine.disk.crash_after(1 + rng.below(80));
        let ran = apply(&store, &rules, now, NOW_OR_NEVER, &AtomicBool::new(false));
        drop(store);
        machine.disk.power_loss();

        let store = machine.open(1);
        let left = stored(&store);
        for (key, item) in &left {
            assert_eq!(records.get(key), Some(item), "seed {seed}");
        }
        let gone: BTreeSet<Key> =
            records.keys().filter(|key| !left.contains_key(key)).copied().collect();
        assert!(gone.is_subset(&all), "seed {seed}: lost {:?}", gone.difference(&all));
        match ran {
            Ok(report) => assert_eq!(report.removed(), gone.len() as u64, "seed {seed}"),
            Err(_) => {
                cut_short += 1;
                cut_in_between += u64::from(!gone.is_empty() && gone.len() < all.len());
            }
        }
        // The oldest of each part go first: a prefix of the one rule that there is.
        if specs.rules.len() == 1 && expected[0].is_empty() {
            assert!(gone.iter().eq(all.iter().take(gone.len())), "seed {seed}: no prefix");
        }
        run(&store, &rules, now);
        let rest = stored(&store);
        let wanted = twin::going(&left, &specs, now);
        let wanted: BTreeSet<Key> = wanted.into_iter().flatten().collect();
        assert!(wanted.is_subset(&all), "seed {seed}: the second run goes beyond the first");
        assert!(rest.keys().eq(left.keys().filter(|key| !wanted.contains(key))), "seed {seed}");
        assert!(twin::going(&rest, &specs, now).iter().all(BTreeSet::is_empty), "seed {seed}");
    }
    assert!(cut_short > 40 && cut_in_between > 20, "{cut_short} {cut_in_between}");
}
