//! From and to the types of the `nostr` crate, 0.45 (feature `nostr-types`).
//!
//! | from | to | may fail |
//! | --- | --- | --- |
//! | `nostr::Event` | [`Event`] | no |
//! | [`EventRef`], [`Event`] | `nostr::Event` | if a tag is empty (`[]`), which that crate cannot hold |
//! | `nostr::Filter` | [`Filter`] | if it has a `search` |
//!
//! I1. Ids and signatures are carried over as they are, never computed nor checked.
//! I2. A list that is there and empty matches nothing, as NIP-01 says, although that crate's own matching takes it for
//!     no condition.

use super::event::{Event, EventRef};
use super::filter::{Filter, TagValue};
use super::search::Search;
use crate::base::Error;
use nostr_types::event::{EventId, Kind, Signature, Tag};
use nostr_types::key::PublicKey;
use nostr_types::types::Timestamp;

impl From<&nostr_types::event::Event> for Event {
    /// One allocation and a pass over the event; the id is computed by nobody (I1).
    ///
    /// # Panics
    /// If the event takes over 4 GiB.
    fn from(event: &nostr_types::event::Event) -> Event {
        let tags: Vec<&[String]> = event.tags.iter().map(Tag::as_slice).collect();
        let (pubkey, at) = (event.pubkey.to_bytes(), event.created_at.as_secs());
        let mut ours =
            Event::without_id(pubkey, at, event.kind.as_u16(), &tags, event.content.as_str());
        ours.set_id(event.id.to_bytes());
        ours.set_sig(event.sig.as_bytes());
        ours
    }
}

impl TryFrom<&EventRef<'_>> for nostr_types::event::Event {
    type Error = Error;

    /// An allocation for each item of each tag.
    fn try_from(event: &EventRef<'_>) -> Result<nostr_types::event::Event, Error> {
        let mut tags = Vec::with_capacity(event.tag_count());
        for tag in event.tags() {
            let tag = Tag::parse(tag.items().map(|item| item.to_string()));
            tags.push(tag.map_err(|error| Error::invalid("event", error.to_string()))?);
        }
        Ok(nostr_types::event::Event::new(
            EventId::from_byte_array(*event.id()),
            PublicKey::from_byte_array(*event.pubkey()),
            Timestamp::from_secs(event.created_at()),
            Kind::from_u16(event.kind()),
            tags,
            event.content(),
            Signature::from_byte_array(*event.sig()),
        ))
    }
}

impl TryFrom<&Event> for nostr_types::event::Event {
    type Error = Error;

    fn try_from(event: &Event) -> Result<nostr_types::event::Event, Error> {
        (&event.as_ref()).try_into()
    }
}

impl TryFrom<&nostr_types::filter::Filter> for Filter {
    type Error = Error;

    fn try_from(filter: &nostr_types::filter::Filter) -> Result<Filter, Error> {
        let search = filter.search.as_deref().map(Search::new).transpose();
        let search = search.map_err(|error| Error::invalid("search", error.to_string()))?;
        let values = |values: &std::collections::BTreeSet<String>| {
            values.iter().map(|value| TagValue::new(value)).collect()
        };
        let tags = filter.generic_tags.iter();
        let mut ours = Filter {
            ids: filter.ids.as_ref().map(|ids| ids.iter().map(|id| id.to_bytes()).collect()),
            authors: filter
                .authors
                .as_ref()
                .map(|keys| keys.iter().map(|k| k.to_bytes()).collect()),
            kinds: filter.kinds.as_ref().map(|kinds| kinds.iter().map(Kind::as_u16).collect()),
            tags: tags.map(|(letter, list)| (letter.as_byte(), values(list))).collect(),
            since: filter.since.map_or(0, |at| at.as_secs()),
            until: filter.until.map_or(u64::MAX, |at| at.as_secs()),
            limit: filter.limit.map(|limit| limit as u64),
            search,
            ..Filter::default()
        };
        ours.normalize();
        Ok(ours)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nostr::generate::{Config, Generator};

    #[test]
    fn events_go_there_and_back_unchanged_and_their_signatures_hold() {
        let mut generator = Generator::new(3, &Config { events: 200, ..Config::default() });
        for n in 0..200 {
            let event = generator.next_unsigned().sign();
            let theirs = nostr_types::event::Event::try_from(&event).unwrap();
            assert_eq!(Event::from(&theirs), event);
            if n < 5 {
                theirs.verify().unwrap();
            }
        }
    }

    #[test]
    fn what_the_other_crate_cannot_hold_is_refused() {
        let empty = Event::from_parts([1; 32], 5, 1, &[vec![""; 0]], "");
        assert!(nostr_types::event::Event::try_from(&empty).is_err());
        let search = nostr_types::filter::Filter::new().search("x".repeat(100_000));
        assert_eq!(Filter::try_from(&search).unwrap_err().code(), "ERR_INVALID");
    }
}
