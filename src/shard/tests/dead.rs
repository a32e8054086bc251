//! Tombstones by hand: walks, sequence numbers, what is settled.

use crate::shard::Dead;

#[test]
fn walks_give_what_single_looks_give() {
    let dead = Dead::new(20_001);
    let mut x = 7u32;
    for seq in 1..300 {
        x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        // Bunched at first, then all over.
        dead.kill(if seq < 150 { x % 600 + 4000 } else { x % 20_001 }, seq);
    }
    dead.kill(20_000, 300);
    for (range, at) in [(0..20_001, 300), (0..20_001, 150), (4095..4097, 300), (63..8200, 299)] {
        let walked: Vec<_> = dead.iter(range.clone(), at).collect();
        let looked: Vec<_> = range.filter(|&o| dead.is_dead(o, at)).collect();
        assert_eq!(walked, looked);
    }
    assert!(dead.iter(5..5, 300).next().is_none() && dead.iter(0..9, 0).next().is_none());
    let mut killed = Vec::new();
    dead.each_killed(|ordinal, seq| killed.push((ordinal, seq.is_some())));
    let all: Vec<_> = (0..20_001).filter(|&o| dead.is_killed(o)).map(|o| (o, true)).collect();
    assert_eq!(killed, all);
}

#[test]
fn a_kill_is_seen_from_its_sequence_number_on() {
    let dead = Dead::with(130, [3, 129, 500]);
    dead.kill(64, 7);
    dead.kill(64, 6);
    assert_eq!(dead.iter(0..130, 6).collect::<Vec<_>>(), vec![3, 129]);
    assert_eq!(dead.iter(0..130, 7).collect::<Vec<_>>(), vec![3, 64, 129]);
    assert_eq!(dead.iter(4..129, 9).collect::<Vec<_>>(), vec![64]);
    assert!(!dead.is_dead(64, 6) && dead.is_killed(64));
    assert_eq!(dead.count(), 3);
}

#[test]
fn kills_may_come_in_any_order() {
    let dead = Dead::new(10);
    dead.kill(1, 9);
    dead.kill(2, 5);
    assert!(!dead.is_dead(1, 5) && dead.is_dead(2, 5) && dead.is_dead(1, 9));
}

#[test]
fn settling_forgets_only_what_no_later_snapshot_needs() {
    let dead = Dead::new(10);
    dead.kill(1, 5);
    dead.kill(2, 9);
    let settled = dead.settled(5);
    assert!(settled.is_dead(1, 5) && !settled.is_dead(2, 8) && settled.is_dead(2, 9));
    assert!(settled.has_history() && !settled.settled(9).has_history());
}
