//! What has to hold of everything that a client of the event store can send: one function for each decoder, for fuzzing.
//!
//! ```text
//!   bytes --> parser --> value --> writer --> parser --> the same value
//!        \--> serde_json and the rules of NIP-01 by hand (twin) --> the same value, or refused by both
//! ```
//!
//! A function panics if what it says does not hold; any bytes are input.

mod twin;

use super::format::TAGS_AT;
use super::json::Refused;
use super::negentropy::{Differences, FRAME_BYTES_MIN, Items, Referee, Side, opening, respond};
use super::{Event, EventRef, JsonLimits, Search, id, parse_filter, parse_filters, write_filter};
use crate::base::Key;
use crate::io::Rng;
use crate::model::Record;
use std::sync::OnceLock;

/// Limits that short texts can pass.
const SMALL: JsonLimits =
    JsonLimits { json_bytes: 900, content_bytes: 40, tags: 3, items: 3, item_bytes: 70, depth: 3 };

/// An event's JSON is refused and read as serde_json and NIP-01 have it, and written back it is the same event.
pub(crate) fn event_json(json: &[u8]) {
    let ours = Event::from_json(json, &JsonLimits::WIDEST);
    match (&ours, twin::event(json)) {
        (Ok(ours), Ok(theirs)) => assert!(*ours == theirs, "{ours:?} is not {theirs:?}"),
        (Err(ours), Ok(_)) => {
            // Where this parser is meant to be stricter.
            let stricter = matches!(ours.what, Refused::TooDeep | Refused::TooMany { .. });
            assert!(stricter, "{ours}");
        }
        // serde_json wants a value for each number, this parser none where nobody asks.
        (Ok(_), Err(theirs)) => assert!(theirs.contains("number out of range"), "{theirs}"),
        (Err(_), Err(_)) => {}
    }
    let small = Event::from_json(json, &SMALL);
    let Ok(event) = ours else {
        assert!(small.is_err());
        return assert!(ours.is_err_and(|error| error.offset <= json.len()));
    };
    assert!(small.is_ok_and(|small| small == event) || exceeds(&event, json), "within limits");
    // A byte of JSON never becomes more than one of the body, and lengths are shorter than quotes and commas.
    assert!(event.body().len() <= json.len() + TAGS_AT, "{} bytes", event.body().len());
    let _either = id::check(&event.as_ref());
    same_written(&event);
}

/// Whether an event may be over one of the small limits.
fn exceeds(event: &Event, json: &[u8]) -> bool {
    let deep = json.iter().filter(|b| matches!(b, b'{' | b'[')).count() > 3;
    let item = |tag: super::TagRef<'_>| tag.items().any(|item| item.text_len() > SMALL.item_bytes);
    deep || json.len() > SMALL.json_bytes
        || event.content().len() > SMALL.content_bytes
        || event.tags().count() > SMALL.tags
        || event.tags().any(|tag| tag.len() > SMALL.items || item(tag))
}

fn same_written(event: &Event) {
    let written = event.to_json();
    let again = Event::from_json(&written, &JsonLimits::WIDEST);
    assert!(again.is_ok_and(|again| again == *event), "{}", String::from_utf8_lossy(&written));
}

/// A filter's JSON is refused and read as serde_json and NIP-01 have it, and written back it is the same filter.
pub(crate) fn filter_json(json: &[u8]) {
    let ours = parse_filter(json);
    match (&ours, twin::filter(json)) {
        (Ok(ours), Ok(theirs)) => assert_eq!(*ours, theirs),
        (Ok(ours), Err(why)) => panic!("{ours:?}, which is refused: {why}"),
        (Err(why), Ok(theirs)) => panic!("{why}: {theirs:?}"),
        (Err(_), Err(_)) => {}
    }
    let list = parse_filters(json);
    let Ok(filter) = ours else {
        return;
    };
    assert_eq!(list, Ok(vec![filter.clone()]));
    let mut written = Vec::new();
    write_filter(&filter, &mut written);
    assert_eq!(parse_filter(&written).as_ref(), Ok(&filter));
    let both = [b"[", &written[..], b",", json, b"]"].concat();
    assert_eq!(parse_filters(&both), Ok(vec![filter.clone(), filter]));
}

/// A stored body is refused by its check, or it is the one body of the event that its parts are of; unchecked, it
/// lends nothing that it does not hold.
pub(crate) fn event_body(bytes: &[u8]) {
    let key = Key { time: 1, id: [2; 32] };
    let whole = [&[0; TAGS_AT][..], bytes].concat();
    for body in [bytes, &whole] {
        if let Ok(event) = EventRef::stored(Record { key, body }) {
            let items: usize = event.tags().map(|tag| tag.items().count()).sum();
            assert!(items <= body.len() && event.content().len() <= body.len());
            let _any = (event.d(), event.tags().filter_map(|tag| tag.value()).count());
        }
        match EventRef::new(key, body) {
            Err(error) => assert!(error.offset <= body.len(), "{error}"),
            Ok(event) => {
                let tags = event.tags().map(|tag| tag.items().map(|item| item.to_string()));
                let tags: Vec<Vec<String>> = tags.map(Iterator::collect).collect();
                let (author, kind) = (*event.pubkey(), event.kind());
                let mut again = Event::from_parts(author, 1, kind, &tags, event.content());
                again.set_id([2; 32]);
                again.set_sig(event.sig());
                assert_eq!(again.body(), body, "one body for one event");
                same_written(&again);
            }
        }
    }
}

fn items() -> &'static Items {
    static ITEMS: OnceLock<Items> = OnceLock::new();
    ITEMS.get_or_init(|| {
        let mut rng = Rng::new(7);
        let key = |rng: &mut Rng| {
            let mut id = [0; 32];
            rng.fill(&mut id);
            Key { time: rng.below(40), id }
        };
        Items::new((0..200).map(|_| key(&mut rng)).collect())
    })
}

/// An answer to any message keeps to its frame, and can itself be read.
pub(crate) fn negentropy(message: &[u8]) {
    if let Ok(answer) = respond(items(), message, FRAME_BYTES_MIN) {
        assert!(answer.len() <= FRAME_BYTES_MIN, "{} bytes", answer.len());
        assert!(respond(&Items::default(), &answer, FRAME_BYTES_MIN).is_ok(), "{answer:02x?}");
    }
}

/// A referee between two sides that may say anything finds no more than they have said, and opens with a message.
pub(crate) fn negentropy_referee(mut bytes: &[u8]) {
    let said = bytes.len();
    let (mut referee, mut found) = (Referee::new(), Differences::default());
    let mut messages = 0;
    while let [head, rest @ ..] = bytes {
        let (message, rest) = rest.split_at(rest.len().min(usize::from(head >> 1) * 4));
        let side = if head & 1 == 0 { Side::First } else { Side::Second };
        bytes = rest;
        messages += 1;
        match referee.pass(side, message, &mut found) {
            Err(_) => break,
            Ok(Some(next)) => assert!(respond(&Items::default(), &next, FRAME_BYTES_MIN).is_ok()),
            Ok(None) => {}
        }
    }
    assert!(found.first.len() + found.second.len() <= messages * (said / 32));
    assert!(respond(items(), &opening(), FRAME_BYTES_MIN).is_ok());
}

/// The words of a search keep to their limits, and its text asks for the same again.
pub(crate) fn search(text: &[u8]) {
    let Ok(text) = std::str::from_utf8(text) else { return };
    let Ok(search) = Search::new(text) else { return };
    assert!(search.words().is_sorted() && search.words().len() <= text.len());
    assert_eq!(search.text(), text);
    assert_eq!(Search::new(search.text()).as_ref(), Ok(&search));
    // Itself as an event's text has every word that it asks for.
    if !search.is_empty() {
        let event = Event::from_parts([1; 32], 1, 1, &[] as &[Vec<&str>], text);
        let has = search.matches(&event.as_ref(), &std::cell::OnceCell::new());
        assert!(has || text.contains(':'), "{text:?} has not its own words");
    }
}
