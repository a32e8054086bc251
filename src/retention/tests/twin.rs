//! The rules once more, literally, over a map.

use super::*;

fn is_over(item: &Item, now: u64) -> bool {
    (1..=now).contains(&expires(&item.body))
}

/// What goes of `records`: what has expired, then by rule.
pub fn going(records: &Records, specs: &Specs, now: u64) -> Vec<BTreeSet<Key>> {
    let over: BTreeSet<Key> =
        records.values().filter(|item| is_over(item, now)).map(|item| item.key).collect();
    let mut going = vec![over.clone()];
    for spec in &specs.rules {
        let mut groups: BTreeMap<u8, Vec<&Item>> = BTreeMap::new();
        let held = records.values().filter(|i| !over.contains(&i.key) && spec.matches(&i.body));
        for item in held {
            groups.entry(if spec.each { item.body[0] } else { 0 }).or_default().push(item);
        }
        let gone =
            groups.values().flat_map(|group| of_group(group, specs, spec.keep.unwrap(), now));
        going.push(gone.collect());
    }
    going
}

/// Of one group, from the oldest on.
fn of_group(group: &[&Item], specs: &Specs, keep: Keep, now: u64) -> Vec<Key> {
    let bytes = |item: &Item| item.body.len() as u64 + RECORD_OVERHEAD_BYTES;
    let mut left_count = group.len() as u64;
    let mut left_bytes: u64 = group.iter().map(|item| bytes(item)).sum();
    let mut gone = Vec::new();
    for item in group {
        let too_much = match keep {
            Keep::Age(age) => item.key.time + age < now,
            Keep::Count(count) => left_count > count,
            Keep::Bytes(limit) => left_bytes > limit,
            Keep::DiskBytes(_) => panic!("the twin has no disk"),
        };
        let protected = specs.protect.iter().any(|spec| spec.matches(&item.body));
        if too_much && !protected {
            gone.push(item.key);
            left_count -= 1;
            left_bytes -= bytes(item);
        }
    }
    gone
}
