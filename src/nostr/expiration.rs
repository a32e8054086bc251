//! NIP-40: the time at which an event expires.
//!
//! The first tag named `expiration` counts, and its value must be decimal digits; an event whose tag is anything else
//! never expires. It has expired from that second on.

use super::event::{EventRef, Item};
use super::terms;
use crate::model::Record;
use crate::query::{Expired, Expiry, Side};

/// How the engine finds what has expired.
pub const EXPIRY: Expiry = Expiry { any: &[terms::EXPIRES], prefix: &[terms::EXPIRATION], is_over };

/// For a selection that leaves out what has expired at `now`.
pub fn hidden(now: u64) -> Expired {
    Expired { expiry: EXPIRY, now, side: Side::Hidden }
}

/// When the event expires, in seconds since the Unix epoch.
pub fn of(event: &EventRef<'_>) -> Option<u64> {
    let tag = event.tags().find(|tag| tag.is_named("expiration"))?;
    match tag.value()? {
        Item::Text(text) => seconds(text),
        // So many digits that they are stored as hex.
        packed => seconds(&packed.to_string()),
    }
}

/// Whether the record is an event that has expired at `now`.
pub fn is_over(record: Record<'_>, now: u64) -> bool {
    let at = EventRef::stored(record).ok().and_then(|event| of(&event));
    at.is_some_and(|at| at <= now)
}

fn seconds(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Terms;
    use crate::nostr::{Event, terms};

    fn event(tags: &[&[&str]]) -> Event {
        let tags: Vec<Vec<&str>> = tags.iter().map(|tag| tag.to_vec()).collect();
        Event::from_parts([5; 32], 9, 1, &tags, "")
    }

    #[test]
    fn the_first_expiration_tag_counts_and_only_digits() {
        let cases: [(&[&[&str]], Option<u64>); 11] = [
            (&[], None),
            (&[&["expiration"]], None),
            (&[&["expiration", "100"]], Some(100)),
            (&[&["expiration", "100"], &["expiration", "50"]], Some(100)),
            (&[&["expiration", "x"], &["expiration", "50"]], None),
            (&[&["e", "1"], &["expiration", "007", "more"]], Some(7)),
            (&[&["expiration", "+7"]], None),
            (&[&["expiration", ""]], None),
            (&[&["expiration", "99999999999999999999"]], None),
            (&[&["expiration", "1700000000000000"]], Some(1_700_000_000_000_000)),
            (&[&["expirations", "100"], &["Expiration", "100"]], None),
        ];
        for (tags, expected) in cases {
            let event = event(tags);
            assert_eq!(of(&event.as_ref()), expected, "{tags:?}");
            let mut found = Terms::new();
            terms::of_event(&event.as_ref(), &mut found);
            let times = [terms::EXPIRES, terms::EXPIRATION];
            let found: Vec<&[u8]> = found.iter().filter(|term| times.contains(&term[0])).collect();
            let mut asked = Terms::new();
            expected.iter().for_each(|at| terms::expiration(*at, &mut asked));
            assert_eq!(found, asked.iter().collect::<Vec<_>>(), "{tags:?}");
        }
    }

    #[test]
    fn an_event_is_over_from_its_second_on() {
        let event = event(&[&["expiration", "100"]]);
        let record = event.as_ref().record();
        assert!(!is_over(record, 99) && is_over(record, 100) && is_over(record, u64::MAX));
    }
}
