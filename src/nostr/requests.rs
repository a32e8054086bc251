//! What authors ask the relay to forget, read from their events: NIP-09 (kind 5) and NIP-62 (kind 62).
//!
//! ```text
//!   kind 5    e <id>                 own events by id, at any time; gift wraps addressed to the author
//!             a <kind>:<author>:<d>  own versions of an address, up to the request's own time
//!   kind 62   relay <url>            everything of the author, and gift wraps addressed to it, up to the request's time
//!             relay ALL_RELAYS
//! ```
//!
//! I1. What is known is the stored request itself, found by terms of its own (`terms`). It is never killed by anything
//!     but, if it is a kind 5, by a request of its author to vanish.
//! I2. Tags that are not of these forms say nothing: an id in capitals, an address without its second colon, a kind that
//!     is neither replaceable nor addressable.

use super::event::{EventRef, Item};
use super::filter::TagValue;
use super::rules::{Class, class};

/// A request to delete.
pub const DELETION: u16 = 5;
/// A request to vanish.
pub const VANISH: u16 = 62;
/// A gift wrap: of a key that nobody has, addressed by `p`.
pub const GIFT_WRAP: u16 = 1059;
/// The relay that stands for every relay.
pub const ALL_RELAYS: &str = "ALL_RELAYS";

/// Whether an event of this kind is a request, which no request reaches by id or address.
pub fn is_request(kind: u16) -> bool {
    matches!(kind, DELETION | VANISH)
}

/// The ids that a request to delete names, as often as it does.
pub fn ids<'a>(request: &EventRef<'a>) -> impl Iterator<Item = &'a [u8; 32]> + use<'a> {
    request.tags().filter(|tag| tag.letter() == Some(b'e')).filter_map(|tag| tag.value()?.id())
}

/// What an `a` tag names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Address {
    /// The kind, replaceable or addressable.
    pub kind: u16,
    /// The author.
    pub pubkey: [u8; 32],
    /// The value of `d`; empty for replaceable kinds.
    pub d: TagValue,
}

impl Address {
    /// The address that a text names, if it names one.
    pub fn parse(text: &str) -> Option<Address> {
        let mut parts = text.splitn(3, ':');
        let (kind, pubkey, d) = (parts.next()?, parts.next()?, parts.next()?);
        let digits = kind.bytes().all(|byte| byte.is_ascii_digit());
        let plain = digits && (kind == "0" || !kind.starts_with('0'));
        let kind = if plain { kind.parse().ok()? } else { return None };
        let pubkey = *TagValue::new(pubkey).item().id()?;
        match class(kind) {
            Class::Addressable => {}
            Class::Replaceable if d.is_empty() => {}
            _ => return None,
        }
        Some(Address { kind, pubkey, d: TagValue::new(d) })
    }
}

/// The addresses that a request to delete names, of whatever author.
pub fn addresses<'a>(request: &EventRef<'a>) -> impl Iterator<Item = Address> + use<'a> {
    let named = request.tags().filter(|tag| tag.letter() == Some(b'a'));
    named.filter_map(|tag| match tag.value()? {
        Item::Text(text) => Address::parse(text),
        Item::Hex(_) => None,
    })
}

/// The relays that a request to vanish names, as [`normal_url`] writes them.
pub fn relays<'a>(request: &EventRef<'a>) -> impl Iterator<Item = String> + use<'a> {
    let named = request.tags().filter(|tag| tag.name().is_some_and(|name| name == "relay"));
    named.filter_map(|tag| match tag.value()? {
        Item::Text(text) => Some(normal_url(text)),
        Item::Hex(_) => None,
    })
}

/// The keys that an event is addressed to by `p`.
pub fn recipients<'a>(event: &EventRef<'a>) -> impl Iterator<Item = &'a [u8; 32]> + use<'a> {
    event.tags().filter(|tag| tag.letter() == Some(b'p')).filter_map(|tag| tag.value()?.id())
}

/// Whether `pubkey` may delete `event`: it wrote it, or it is a gift wrap addressed to it.
pub fn may_delete(pubkey: &[u8; 32], event: &EventRef<'_>) -> bool {
    let wrapped = || event.kind() == GIFT_WRAP && recipients(event).any(|p| p == pubkey);
    event.pubkey() == pubkey || wrapped()
}

/// A relay's URL in the one form in which URLs are compared: without space around it, scheme and host in lower case,
/// without the port that the scheme implies and without slashes at the end. `ALL_RELAYS` stays as it is.
pub fn normal_url(text: &str) -> String {
    let text = text.trim();
    let Some((scheme, rest)) = text.split_once("://") else { return text.into() };
    let scheme = scheme.to_ascii_lowercase();
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let (user, host) = match authority.rsplit_once('@') {
        Some((user, host)) => (format!("{user}@"), host),
        None => (String::new(), authority),
    };
    let host = host.to_ascii_lowercase();
    let port = match &scheme[..] {
        "ws" | "http" => ":80",
        "wss" | "https" => ":443",
        _ => "",
    };
    // Nothing else ends like a port: within an address of IPv6 a bracket follows.
    let host = host.strip_suffix(port).or_else(|| host.strip_suffix(':')).unwrap_or(&host);
    format!("{scheme}://{user}{host}{}", path.trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nostr::Event;

    #[test]
    fn addresses_are_read_strictly() {
        let key = "ab".repeat(32);
        let parse = |text: String| {
            let address = Address::parse(&text)?;
            assert_eq!(address.pubkey, [0xab; 32]);
            Some((address.kind, address.d.item().to_string()))
        };
        assert_eq!(parse(format!("30023:{key}:a:b")), Some((30023, "a:b".into())));
        assert_eq!(parse(format!("30023:{key}:")), Some((30023, String::new())));
        assert_eq!(parse(format!("0:{key}:")), Some((0, String::new())));
        assert_eq!(parse(format!("10002:{key}:")), Some((10002, String::new())));
        for wrong in [
            format!("30023:{key}"),
            format!("0:{key}"),
            format!("10002:{key}:x"),
            format!("1:{key}:"),
            format!("5:{key}:"),
            format!("20001:{key}:"),
            format!("+30023:{key}:x"),
            format!("030023:{key}:x"),
            format!("95559:{key}:x"),
            format!(":{key}:x"),
            format!("30023:{}:x", key.to_uppercase()),
            format!("30023:{}:x", &key[1..]),
            String::new(),
        ] {
            assert_eq!(parse(wrong.clone()), None, "{wrong}");
        }
    }

    #[test]
    fn urls_have_one_form() {
        let cases = include_str!("../../tests/cases/nostr/urls/normal.txt");
        let mut count = 0;
        for line in cases.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (text, normal) = line.split_once(" => ").unwrap();
            assert_eq!(normal_url(text), normal, "{text}");
            assert_eq!(normal_url(normal), normal, "what is normal stays as it is");
            count += 1;
        }
        assert!(count >= 20, "{count} cases");
    }

    #[test]
    fn gift_wraps_are_their_recipients_too() {
        let p = |byte: u8| vec!["p".to_string(), const_hex::encode([byte; 32])];
        let event = |kind| Event::from_parts([1; 32], 5, kind, &[p(2), p(3)], "");
        let may = |kind, pubkey: u8| may_delete(&[pubkey; 32], &event(kind).as_ref());
        assert_eq!([1, 2, 3, 4].map(|key| may(GIFT_WRAP, key)), [true, true, true, false]);
        assert_eq!([1, 2].map(|key| may(1, key)), [true, false]);
    }
}
