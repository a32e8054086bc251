//! Requests to delete and to vanish, gift wraps and expirations from a seed: tags that name past events.

use super::random::{pick, pick_of};
use super::{Ev, HERE};
use ratite::io::Rng;
use std::sync::Arc;

/// What is known of an event before it has its tags.
pub struct About {
    pub kind: u64,
    pub created_at: u64,
    pub now: u64,
    pub is_calm: bool,
    /// Whether it may expire soon.
    pub is_mortal: bool,
}

/// One of the kinds that this is about, or none; few requests to vanish if there is to be a `long` history.
pub fn kind(rng: &mut Rng, long: bool) -> Option<u64> {
    match rng.below(24) {
        0..4 => Some(5),
        4..8 => Some(1059),
        8 if rng.chance(if long { 30 } else { 3 }) => Some(62),
        _ => None,
    }
}

/// Adds what an event of this kind says to the relay.
pub fn add_tags(
    rng: &mut Rng,
    about: About,
    (past, authors): (&[Arc<Ev>], &[String]),
    tags: &mut Vec<Vec<String>>,
) {
    let mut add = |tag: &[&str]| tags.push(tag.iter().map(|item| item.to_string()).collect());
    if about.is_mortal && rng.chance(6) {
        let at = about.now - 2 + rng.below(60);
        add(&["expiration", &at.to_string()]);
    } else if rng.chance(10) {
        // Past since a moment, or not for long: the clock of a test goes on by seconds.
        let at = if rng.chance(2) { about.now - rng.below(5) } else { about.now + 1_000_000 };
        add(&["expiration", &at.to_string()]);
    }
    match about.kind {
        1059 => (0..1 + rng.below(2)).for_each(|_| add(&["p", pick_of(rng, authors).as_str()])),
        62 => add(&["relay", pick(rng, &[HERE, "ALL_RELAYS", "wss://there.example"])]),
        5 if !past.is_empty() => {
            for _ in 0..1 + rng.below(4) {
                let target = pick_of(rng, past);
                let calm = target.created_at <= about.created_at && target.slot().is_none();
                match target.slot().filter(|_| rng.chance(2)) {
                    Some((kind, author, d)) => add(&["a", &format!("{kind}:{author}:{d}")]),
                    None if calm || !about.is_calm => add(&["e", &target.id]),
                    None => {}
                }
            }
        }
        _ => {}
    }
}
