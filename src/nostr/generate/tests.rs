//! The generator: the same bytes for ever, and the mix it promises.

use std::collections::BTreeMap;

use super::*;
use crate::nostr::{JsonLimits, id, verify};

#[test]
fn the_first_hundred_events_are_pinned() {
    let mut hash = Sha256::new();
    for event in Generator::new(1, &Config::default()).take(100) {
        hash.update(event.to_json());
    }
    let digest: [u8; 32] = hash.finalize().into();
    assert_eq!(
        const_hex::encode(digest),
        "f24dd00cb6d415331e6a4285d1e660f669bc162cd6e1d0165796e8c843532fb1",
        "a change of bytes is a new SCHEME"
    );
}

#[test]
fn every_event_has_its_id_and_signature() {
    for event in Generator::new(2, &Config::default()).take(100) {
        assert!(id::check(&event.as_ref()) && verify::signature(&event.as_ref()));
        let back = Event::from_json(&event.to_json(), &JsonLimits::default()).unwrap();
        assert_eq!(back, event);
    }
}

#[test]
fn the_mix_is_what_a_relay_sees() {
    const COUNT: u64 = 8_000;
    let mut generator = Generator::new(3, &Config { events: COUNT, start: 1_700_000_000 });
    let (mut kinds, mut authors, mut bytes) = (BTreeMap::new(), BTreeMap::new(), 0);
    let (mut late, mut newest, mut answers, mut hashtags) = (0, 0, 0, 0);
    for _ in 0..COUNT {
        let event = generator.next_unsigned().into_event();
        *kinds.entry(event.kind()).or_insert(0) += 1;
        *authors.entry(*event.pubkey()).or_insert(0) += 1;
        bytes += event.to_json().len() as u64;
        late += u64::from(event.created_at() + 60 < newest);
        newest = newest.max(event.created_at());
        answers += u64::from(event.tags().any(|tag| tag.letter() == Some(b'e')));
        hashtags += u64::from(event.tags().any(|tag| tag.letter() == Some(b't')));
    }
    let share = |kind: u16| kinds[&kind] * 1000 / COUNT;
    assert!((420..480).contains(&share(1)) && (225..275).contains(&share(7)), "{kinds:?}");
    assert!((20..40).contains(&share(3)) && share(30023) >= 5 && !kinds.contains_key(&5));
    let average = bytes / COUNT;
    assert!((1_000..=1_300).contains(&average), "{average} bytes of JSON on average");
    assert!((300..500).contains(&late), "{late} late");
    assert!((6_500..9_500).contains(&(newest - 1_700_000_000)));
    assert!(answers > COUNT / 2 && hashtags > COUNT / 20, "{answers} {hashtags}");
    let busiest = authors.values().max().copied().unwrap_or(0);
    assert!(busiest > COUNT / 15 && authors.len() > 300, "{busiest}, {}", authors.len());
}

#[test]
fn recent_notes_are_the_last_ones_and_exist() {
    let mut generator = Generator::new(4, &Config { events: 1_000, start: 0 });
    let mut notes = Vec::new();
    for _ in 0..4_000 {
        let event = generator.next_unsigned().into_event();
        if event.kind() == 7 {
            let of = event.tags().next().and_then(|tag| tag.value()?.id().copied());
            let place = of.map(|id| notes.iter().rposition(|note| *note == id).unwrap());
            assert!(place.is_none_or(|at| notes.len() - at <= RECENT_MAX));
        }
        if event.kind() == 1 {
            notes.push(*event.id());
        }
    }
}

#[test]
fn another_seed_is_another_sequence_and_the_same_is_the_same() {
    let ids = |seed| {
        let mut generator = Generator::new(seed, &Config::default());
        (0..20).map(move |_| *generator.next_unsigned().into_event().id()).collect::<Vec<_>>()
    };
    assert_eq!(ids(5), ids(5));
    assert_ne!(ids(5), ids(6));
}
