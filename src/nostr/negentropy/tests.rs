//! The protocol against the crate `negentropy`, which is the twin: same messages, same differences.

use super::*;
use crate::base::Key;
use crate::io::Rng;
use negentropy::{Id, Negentropy, NegentropyStorageVector};
use std::collections::BTreeSet;

/// Times are few, so that many items share one; ids differ late now and then.
fn random_key(rng: &mut Rng, times: u64) -> Key {
    let mut id = [0; 32];
    id.chunks_mut(8).for_each(|chunk| chunk.copy_from_slice(&rng.next_u64().to_le_bytes()));
    if rng.below(4) == 0 {
        id[..27].fill(7);
    }
    Key { time: rng.below(times), id }
}

fn twin(keys: &BTreeSet<Key>) -> NegentropyStorageVector {
    let mut storage = NegentropyStorageVector::new();
    keys.iter().for_each(|k| storage.insert(k.time, Id::from_byte_array(k.id)).unwrap());
    storage.seal().unwrap();
    storage
}

fn items(keys: &BTreeSet<Key>) -> Items {
    Items::new(keys.iter().copied().collect())
}

/// Two sets that share some.
fn overlapping(rng: &mut Rng, most: u64) -> [BTreeSet<Key>; 2] {
    let times = 1 + rng.below(200);
    let (count, own) = (rng.below(most), rng.below(4));
    let mut sets = [BTreeSet::new(), BTreeSet::new()];
    for _ in 0..count {
        let key = random_key(rng, times);
        let whose = rng.below(3 + own * 20);
        for side in (0..2).filter(|side| whose != *side as u64) {
            sets[side].insert(key);
        }
    }
    sets
}

fn ids(keys: impl Iterator<Item = Key>) -> BTreeSet<[u8; 32]> {
    keys.map(|key| key.id).collect()
}

fn only(a: &BTreeSet<Key>, b: &BTreeSet<Key>) -> BTreeSet<[u8; 32]> {
    ids(a.difference(b).copied())
}

#[test]
fn answers_are_those_of_the_twin_byte_for_byte() {
    let mut rng = Rng::new(77);
    for round in 0..300 {
        let [ours, theirs] = overlapping(&mut rng, if round % 10 == 0 { 5_000 } else { 400 });
        let (own, own_twin, their_twin) = (items(&ours), twin(&ours), twin(&theirs));
        let mut server = Negentropy::borrowed(&own_twin, 0).unwrap();
        let mut client = Negentropy::borrowed(&their_twin, 0).unwrap();
        let (mut have, mut need) = (Vec::new(), Vec::new());
        let mut message = Some(client.initiate().unwrap());
        while let Some(asked) = message {
            let answer = respond(&own, &asked, usize::MAX).unwrap();
            assert_eq!(answer, server.reconcile(&asked).unwrap(), "round {round}");
            message = client.reconcile_with_ids(&answer, &mut have, &mut need).unwrap();
        }
        let set = |ids: Vec<Id>| ids.iter().map(|id| *id.as_bytes()).collect::<BTreeSet<_>>();
        assert_eq!(set(have), only(&theirs, &ours), "round {round}");
        assert_eq!(set(need), only(&ours, &theirs), "round {round}");
    }
}

#[test]
fn small_frames_are_kept_and_lose_nothing() {
    let mut rng = Rng::new(61);
    for round in 0..40 {
        let [ours, theirs] = overlapping(&mut rng, 3_000);
        let (own, their_twin) = (items(&ours), twin(&theirs));
        let frame = FRAME_BYTES_MIN + rng.below(6_000) as usize;
        let mut client = Negentropy::borrowed(&their_twin, 4_096).unwrap();
        let (mut have, mut need) = (Vec::new(), Vec::new());
        let mut message = Some(client.initiate().unwrap());
        while let Some(asked) = message {
            let answer = respond(&own, &asked, frame).unwrap();
            assert!(answer.len() <= frame, "round {round}: {} of {frame}", answer.len());
            message = client.reconcile_with_ids(&answer, &mut have, &mut need).unwrap();
        }
        // What the twin learns twice, when a range comes again, it says twice.
        let set = |ids: Vec<Id>| ids.iter().map(|id| *id.as_bytes()).collect::<BTreeSet<_>>();
        assert_eq!(set(have), only(&theirs, &ours), "round {round}");
        assert_eq!(set(need), only(&ours, &theirs), "round {round}");
    }
}

/// A session with a referee; the number of messages.
fn referee(
    mut answer: impl FnMut(Side, &[u8]) -> Vec<u8>,
    found: &mut Differences,
) -> Result<usize, Malformed> {
    let mut referee = Referee::new();
    let (mut side, mut message, mut count) = (Side::First, opening(), 0);
    loop {
        count += 1;
        assert!(count < 2_000, "the session does not end");
        match referee.pass(side, &answer(side, &message), found)? {
            Some(next) => message = next,
            None => return Ok(count),
        }
        side = if side == Side::First { Side::Second } else { Side::First };
    }
}

#[test]
fn a_referee_finds_what_only_one_side_has_in_any_frames() {
    let mut rng = Rng::new(9);
    for round in 0..120 {
        let [one, two] = overlapping(&mut rng, if round % 8 == 0 { 8_000 } else { 500 });
        let (first, second) = (items(&one), items(&two));
        let mut frame = || FRAME_BYTES_MIN + rng.below(40_000) as usize;
        let frames = [frame(), frame()];
        let mut found = Differences::default();
        let answer = |side, message: &[u8]| match side {
            Side::First => respond(&first, message, frames[0]).unwrap(),
            Side::Second => respond(&second, message, frames[1]).unwrap(),
        };
        referee(answer, &mut found).unwrap();
        // Behind a full frame, what is known already comes again: then it is found twice.
        assert_eq!(found.first.into_iter().collect::<BTreeSet<_>>(), only(&one, &two), "{round}");
        assert_eq!(found.second.into_iter().collect::<BTreeSet<_>>(), only(&two, &one));
    }
}

#[test]
fn a_referee_serves_sides_that_others_wrote() {
    let mut rng = Rng::new(10);
    for round in 0..40 {
        let [one, two] = overlapping(&mut rng, 2_000);
        let (first, second) = (twin(&one), items(&two));
        let mut found = Differences::default();
        let answer = |side, message: &[u8]| match side {
            // A new one each time: the twin as well keeps nothing that matters.
            Side::First => Negentropy::borrowed(&first, 4_096).unwrap().reconcile(message).unwrap(),
            Side::Second => respond(&second, message, 5_000).unwrap(),
        };
        referee(answer, &mut found).unwrap();
        assert_eq!(found.first.into_iter().collect::<BTreeSet<_>>(), only(&one, &two), "{round}");
        assert_eq!(found.second.into_iter().collect::<BTreeSet<_>>(), only(&two, &one), "{round}");
    }
}

#[test]
fn equal_and_empty_sets_end_at_once() {
    let mut rng = Rng::new(3);
    let some: BTreeSet<Key> = (0..100).map(|_| random_key(&mut rng, 50)).collect();
    for (one, two, messages) in [
        (BTreeSet::new(), BTreeSet::new(), 2),
        (some.clone(), some.clone(), 2),
        (BTreeSet::new(), some.clone(), 2),
    ] {
        let (first, second) = (items(&one), items(&two));
        let mut found = Differences::default();
        let answer = |side, message: &[u8]| {
            respond(if side == Side::First { &first } else { &second }, message, 60_000).unwrap()
        };
        assert_eq!(referee(answer, &mut found).unwrap(), messages);
        assert_eq!(found.first.len() + found.second.len(), two.len() - one.len());
    }
}

#[test]
fn every_time_and_the_ends_of_the_ids_are_told_apart() {
    let key = |time, byte| Key { time, id: [byte; 32] };
    let last = u64::MAX - 1;
    let all = [key(0, 0), key(0, 255), key(1, 1), key(last, 2), key(last, 254)];
    for left_out in 0..all.len() {
        let one = Items::new(all.to_vec());
        let two = Items::new(all.iter().copied().filter(|k| *k != all[left_out]).collect());
        let mut found = Differences::default();
        let answer = |side, message: &[u8]| {
            respond(if side == Side::First { &one } else { &two }, message, 60_000).unwrap()
        };
        referee(answer, &mut found).unwrap();
        assert_eq!((found.first, found.second), (vec![all[left_out].id], vec![]));
    }
    assert!(Items::new(vec![key(u64::MAX, 1)]).is_empty(), "the protocol has no number for it");
}

#[test]
fn other_versions_get_ours_and_garbage_is_refused() {
    let own = Items::new((0..100).map(|i| Key { time: i, id: [i as u8; 32] }).collect());
    for version in [0x60, 0x62, 0x6f] {
        assert_eq!(respond(&own, &[version, 1, 2, 3], 5_000), Ok(vec![0x61]));
        let mut found = Differences::default();
        assert!(Referee::new().pass(Side::First, &[version], &mut found).is_err());
    }
    let mut huge_list = vec![0x61, 0, 0, 2];
    huge_list.extend([0xff; 8]);
    huge_list.push(1);
    let bad: [&[u8]; 9] = [
        &[],
        &[0x51],
        b"{}",
        &[0x61, 0x80],
        &[0x61, 0, 33],
        &[0x61, 0, 0, 3],
        &[0x61, 0, 0, 1, 5],
        &[0x61, 0, 0, 2, 1, 9],
        &huge_list,
    ];
    for message in bad {
        assert!(respond(&own, message, 5_000).is_err(), "{message:?}");
    }
    let overlong = [&[0x61][..], &[0xff; 11]].concat();
    assert!(respond(&own, &overlong, 5_000).is_err());
}

#[test]
fn no_bytes_make_it_panic_or_answer_too_much() {
    let mut rng = Rng::new(4);
    let own = Items::new((0..3_000).map(|_| random_key(&mut rng, 20)).collect());
    let seed = respond(&own, &opening(), 60_000).unwrap();
    for _ in 0..20_000 {
        let mut message = seed.clone();
        for _ in 0..=rng.below(6) {
            let at = 1 + rng.below(message.len() as u64 - 1) as usize;
            message[at] = rng.next_u64() as u8;
        }
        message.truncate(1 + rng.below(message.len() as u64) as usize);
        let mut found = Differences::default();
        let _either = Referee::new().pass(Side::Second, &message, &mut found);
        if let Ok(answer) = respond(&own, &message, 5_000) {
            assert!(answer.len() <= 5_000, "{}", answer.len());
        }
    }
}
