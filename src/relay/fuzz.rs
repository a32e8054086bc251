//! What has to hold of everything that a client of the relay can send: one function for each decoder, for fuzzing.
//!
//! A function panics if what it says does not hold; any bytes are input.

use super::deflate::{Deflate, Unfit, is_offered};
use super::message::{ClientMessage, Refused, parse};
use super::split::{Elements, member};
pub(crate) use super::{
    manage::fuzz::{nip86, nip98},
    plugin::fuzz::plugin,
    policy::fuzz::{forwarded, policy_json, rules},
    transport::fuzz::websocket,
};
use serde_json::value::RawValue;
use std::cell::RefCell;

/// Filters that a request may have.
const FILTERS_MAX: usize = 3;
/// Bytes of a message that is unpacked.
const MESSAGE_BYTES_MAX: usize = 2_000;

/// A message comes apart where serde_json says that its elements end.
pub(crate) fn client_message(text: &[u8]) {
    let whole: Option<Vec<&RawValue>> = serde_json::from_slice(text).ok();
    let ours = elements(text);
    if let Some(whole) = &whole {
        let theirs: Vec<&[u8]> = whole.iter().map(|value| value.get().as_bytes()).collect();
        assert_eq!(ours.as_deref(), Some(&theirs[..]), "{}", String::from_utf8_lossy(text));
    }
    let count = ours.map_or(0, |elements| elements.len());
    match parse(text, FILTERS_MAX) {
        Ok(message) => assert_eq!(parts(&message), count, "{message:?}"),
        // What a client said is repeated in part only.
        Err(Refused::Notice(why)) => assert!(why.len() < 400, "{why}"),
        Err(Refused::Closed(id, why)) => {
            assert!(why.len() < 400, "{why}");
            let id: String = serde_json::from_str(id.json()).expect("an id is JSON");
            assert!((1..=64).contains(&id.chars().count()), "{id}");
        }
    }
    let _any = member(text, "kind");
}

fn elements(text: &[u8]) -> Option<Vec<&[u8]>> {
    let mut elements = Elements::new(text).ok()?;
    let mut found = Vec::new();
    while let Some(element) = elements.next().ok()? {
        found.push(element);
    }
    Some(found)
}

/// Elements that a message has.
fn parts(message: &ClientMessage<'_>) -> usize {
    match message {
        ClientMessage::Req(_, filters) | ClientMessage::Count(_, filters) => {
            assert!((1..=FILTERS_MAX).contains(&filters.len()));
            2 + filters.len()
        }
        ClientMessage::NegOpen(..) => 4,
        ClientMessage::NegMsg(..) => 3,
        ClientMessage::Event(_)
        | ClientMessage::Auth(_)
        | ClientMessage::Close(_)
        | ClientMessage::NegClose(_) => 2,
    }
}

/// No payload becomes larger than a message may be, and what was made smaller comes back as it was.
pub(crate) fn deflate(bytes: &[u8]) {
    thread_local! {
        static DEFLATE: RefCell<Deflate> = RefCell::new(Deflate::new());
    }
    let Some((head, payload)) = bytes.split_first() else { return };
    if let (0, Ok(header)) = (head % 8, std::str::from_utf8(payload)) {
        let _either = is_offered(header);
    }
    DEFLATE.with_borrow_mut(|deflate| {
        match deflate.larger(payload.to_vec(), MESSAGE_BYTES_MAX) {
            Ok(larger) => assert!(larger.len() <= MESSAGE_BYTES_MAX),
            Err(Unfit::TooLarge | Unfit::Corrupt) => {}
        }
        // Not each time: a compressor takes longer than all else.
        if head % 32 == 1 {
            let message = [b"[\"EVENT\",\"", payload, b"\",{", &[b' '; 1024]].concat();
            if let Some(small) = deflate.smaller(&message) {
                assert_eq!(deflate.larger(small, message.len()), Ok(message));
            }
        }
    });
}
