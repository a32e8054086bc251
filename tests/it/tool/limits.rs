//! What a client meets of the limits that an option sets: just what is allowed, and one more.

use super::serving::Served;
use super::*;
use ratite::nostr::{Event, Signer};
use std::time::SystemTime;
use tungstenite::Message;

/// An event with these tags, so many seconds from now.
fn event(from_now: i64, tags: &[Vec<String>], content: &str) -> String {
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let signer = Signer::new([9; 32]).unwrap();
    let at = now.saturating_add_signed(from_now);
    let event = Event::from_parts(*signer.pubkey(), at, 1, tags, content).sign(&signer);
    format!("[\"EVENT\",{}]", String::from_utf8(event.to_json()).unwrap())
}

/// `count` tags of `items` items, the last of which has `bytes` bytes.
fn tags(count: usize, items: usize, bytes: usize) -> Vec<Vec<String>> {
    let tag = |n: usize| {
        let mut tag = vec![format!("x{n}"); items - 1];
        tag.push("y".repeat(bytes));
        tag
    };
    (0..count).map(tag).collect()
}

/// A request with filters of so many values each.
fn request(id: &str, filters: &[usize]) -> String {
    let filter = |&values: &usize| {
        let kinds: Vec<String> = (0..values).map(|kind| kind.to_string()).collect();
        format!("{{\"kinds\":[{}],\"limit\":1}}", kinds.join(","))
    };
    let filters: Vec<String> = filters.iter().map(filter).collect();
    format!("[\"REQ\",\"{id}\",{}]", filters.join(","))
}

/// Options, what is sent, and what is in the answer to the last of it; nothing if that is what is asked for.
type Case = (&'static [&'static str], Vec<String>, Option<&'static str>);

fn cases() -> Vec<Case> {
    let one = |event: String| vec![event];
    let both = |flags: &'static [&'static str], fits: Vec<String>, over: Vec<String>, says| {
        [(flags, fits, None), (flags, over, Some(says))]
    };
    let subscriptions = |count: usize| (0..count).map(|n| request(&n.to_string(), &[1])).collect();
    [
        both(
            &["--max-event-tags", "5"],
            one(event(0, &tags(5, 2, 1), "")),
            one(event(0, &tags(6, 2, 1), "")),
            "more than 5 tags",
        ),
        both(
            &["--max-tag-items", "4"],
            one(event(0, &tags(1, 4, 1), "")),
            one(event(0, &tags(1, 5, 1), "")),
            "more than 4 items in a tag",
        ),
        both(
            &["--max-tag-item", "64 B"],
            one(event(0, &tags(1, 2, 64), "")),
            one(event(0, &tags(1, 2, 65), "")),
            "more than 64 bytes in a tag item",
        ),
        both(
            &["--max-event", "1 KiB"],
            one(event(0, &[], &"z".repeat(500))),
            one(event(0, &[], &"z".repeat(1200))),
            "more than 1024 bytes",
        ),
        both(
            &["--reject-newer", "1 h"],
            one(event(3500, &[], "")),
            one(event(3800, &[], "")),
            "too far in the future",
        ),
        both(
            &["--reject-older", "2 h"],
            one(event(-7000, &[], "")),
            one(event(-7300, &[], "")),
            "too far in the past",
        ),
        both(&["--policy-pow", "40"], Vec::new(), one(event(0, &[], "")), "pow: "),
        both(&["--max-subscriptions", "2"], subscriptions(2), subscriptions(3), "at most 2 subs"),
        both(
            &["--max-filters", "2"],
            one(request("a", &[1, 1])),
            one(request("a", &[1, 1, 1])),
            "at most 2 filters",
        ),
        both(
            &["--max-filter-values", "7"],
            one(request("a", &[7])),
            one(request("a", &[8])),
            "a filter has at most 7 values",
        ),
        both(
            &["--max-connection-values", "9"],
            vec![request("a", &[4]), request("b", &[5])],
            vec![request("a", &[5]), request("b", &[5])],
            "filters have at most 9 values",
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The last answer to `message`: EOSE and OK are what ends one that goes well.
fn answer(
    client: &mut tungstenite::WebSocket<tungstenite::stream::MaybeTlsStream<std::net::TcpStream>>,
    message: &str,
) -> String {
    client.send(Message::text(message)).unwrap();
    loop {
        let said = client.read().unwrap().into_text().unwrap().to_string();
        let ends = ["[\"OK\"", "[\"EOSE\"", "[\"CLOSED\"", "[\"NOTICE\""];
        if ends.iter().any(|end| said.starts_with(end)) {
            return said;
        }
    }
}

#[test]
fn what_an_option_limits_is_taken_up_to_its_limit_and_refused_beyond_it() {
    let mut flags: Vec<&[&str]> = cases().iter().map(|(flags, ..)| *flags).collect();
    flags.dedup();
    for flags in flags {
        let store = Store::new();
        let (mut relay, _out, url) = Served::start(&store, flags);
        for (_, messages, refused) in cases().iter().filter(|(of, ..)| *of == flags) {
            let (mut client, _response) = tungstenite::connect(&url).unwrap();
            let Some((last, first)) = messages.split_last() else { continue };
            for message in first {
                let said = answer(&mut client, message);
                assert!(said.starts_with("[\"EOSE\""), "{flags:?}: {said}");
            }
            let said = answer(&mut client, last);
            match refused {
                Some(says) => assert!(said.contains(says), "{flags:?}: {said}"),
                None => {
                    let is_well = said.starts_with("[\"EOSE\"") || said.contains(",true,");
                    assert!(is_well, "{flags:?}: {said}");
                }
            }
        }
        relay.signal("-TERM");
        assert_eq!(relay.0.wait().unwrap().code(), Some(0));
    }
}
