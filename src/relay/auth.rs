//! NIP-42: who a client is. A challenge for each connection, and the events that answer it.
//!
//! ```text
//!   connect:  ["AUTH", challenge]  -->  client signs kind 22242 with tags `challenge`, `relay`
//!   AUTH:     kind, time, challenge, relay (cheap) -> id -> signature (some 50 us) -> one key more
//! ```
//!
//! I1. A key is taken only from an event that was signed for this connection of this relay: another
//!     relay cannot pass on what its clients signed, since their `relay` tag names that one. So the relay's
//!     own name comes from its configuration, never from what a client says in a `Host` header.
//! I2. Keys are added and never taken away, so what a client was shown stays what it may see.

use super::config::{AuthMode, Config};
use super::front::Front;
use super::limits::AUTH_KEYS_MAX;
use super::publish::claimed_id;
use super::reply;
use crate::io::Entropy;
use crate::nostr::{Event, EventRef, id, verify};
use std::cell::{Ref, RefCell};
use std::net::{IpAddr, SocketAddr};
use tokio_tungstenite::tungstenite::protocol::Message;

/// The kind of the events that answer a challenge. They are never published.
pub(super) const AUTH_KIND: u16 = 22_242;

/// How far the time of an AUTH may be from this machine's: what NIP-42 suggests.
const AUTH_SECONDS_MAX: u64 = 600;

/// Bytes of chance in a challenge, enough that none comes twice.
const CHALLENGE_BYTES: usize = 16;

/// Who one client has proved to be.
pub(super) struct Identity {
    challenge: Box<str>,
    keys: RefCell<Vec<[u8; 32]>>,
}

impl Identity {
    /// Nobody yet, with a challenge of its own.
    pub(super) fn new(entropy: &dyn Entropy) -> Identity {
        let mut bytes = [0; CHALLENGE_BYTES];
        entropy.fill(&mut bytes);
        Identity { challenge: const_hex::encode(bytes).into(), keys: RefCell::default() }
    }

    /// What the client has to sign.
    pub(super) fn challenge(&self) -> &str {
        &self.challenge
    }

    /// The keys that it has proved to own.
    pub(super) fn keys(&self) -> Ref<'_, [[u8; 32]]> {
        Ref::map(self.keys.borrow(), Vec::as_slice)
    }

    /// Why this client may not do what only known clients may, if it may not.
    pub(super) fn refusal(&self, config: &Config) -> Option<&'static str> {
        let refused = config.auth == AuthMode::Required && self.keys.borrow().is_empty();
        refused.then_some("auth-required: this relay serves those who authenticate")
    }

    /// Adds a key; says whether there is room for it.
    fn add(&self, key: [u8; 32]) -> bool {
        let mut keys = self.keys.borrow_mut();
        if keys.contains(&key) {
            return true;
        }
        let room = keys.len() < AUTH_KEYS_MAX;
        if room {
            keys.push(key);
        }
        room
    }
}

/// Takes an AUTH message of a client at `from`; gives the answer.
pub(super) fn receive(front: &Front, identity: &Identity, from: IpAddr, json: &[u8]) -> Message {
    let refused = &front.counters.auths_refused;
    let event = match Event::from_json(json, &front.limits().event) {
        Ok(event) => event,
        Err(error) => {
            front.send_away(refused, from, "invalid: what is to prove a key is no event");
            let text = format!("invalid: {error}");
            return claimed_id(json)
                .map_or_else(|| reply::notice(&text), |id| reply::ok(&id, false, &text));
        }
    };
    match check(front, identity, &event.as_ref()) {
        Ok(()) => {
            front.counters.auths_accepted.add();
            reply::ok(event.id(), true, "")
        }
        Err(text) => {
            front.send_away(refused, from, text);
            reply::ok(event.id(), false, text)
        }
    }
}

fn check(front: &Front, identity: &Identity, event: &EventRef<'_>) -> Result<(), &'static str> {
    let has = |name: &str, holds: &dyn Fn(&str) -> bool| {
        let mut tags = event.tags().filter(|tag| tag.name().is_some_and(|n| n == name));
        tags.any(|tag| tag.value().is_some_and(|value| holds(&value.to_string())))
    };
    if front.config.auth == AuthMode::Off {
        return Err("unsupported: nobody can authenticate here");
    }
    if event.kind() != AUTH_KIND {
        return Err("invalid: the kind of an AUTH is 22242");
    }
    if event.created_at().abs_diff(front.now()) > AUTH_SECONDS_MAX {
        return Err("invalid: created_at is more than 10 minutes from now");
    }
    if !has("challenge", &|text| text == identity.challenge()) {
        return Err("invalid: the challenge is not the one of this connection");
    }
    if !has("relay", &|url| host(url).is_some_and(|host| front.hosts.contains(&host))) {
        return Err("invalid: the relay tag names another relay");
    }
    if !id::check(event) {
        return Err("invalid: the id is not the hash of the event");
    }
    if !verify::signature(event) {
        return Err("invalid: bad signature");
    }
    match identity.add(*event.pubkey()) {
        true => Ok(()),
        false => Err("restricted: this connection has authenticated too many keys"),
    }
}

/// The hosts under which clients may know the relay: those of its URLs, or, where there are none, the
/// address that it listens on, which is enough on one machine.
pub(super) fn hosts(config: &Config, address: SocketAddr) -> Vec<String> {
    if !config.relay_urls.is_empty() {
        return config.relay_urls.iter().filter_map(|url| host(url)).collect();
    }
    let is_local = address.ip().is_loopback() || address.ip().is_unspecified();
    let local = ["localhost", "127.0.0.1", "::1"].map(String::from).into_iter();
    let own = (!address.ip().is_unspecified()).then(|| address.ip().to_string());
    local.filter(|_| is_local).chain(own).collect()
}

/// The host of a websocket URL, in lower case, without port and final dot. `None` for what is no such URL,
/// and for what programs read differently: two would then disagree about whose challenge was signed.
pub(super) fn host(url: &str) -> Option<String> {
    let (scheme, rest) = url.trim().split_once("://")?;
    if !["ws", "wss", "http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
        return None;
    }
    let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    let plain = |byte: u8| byte.is_ascii_graphic() && !b"@\\%<>\"'".contains(&byte);
    if !authority.bytes().all(plain) {
        return None;
    }
    let (host, port) = match authority.strip_prefix('[') {
        Some(v6) => {
            let (host, rest) = v6.split_once(']')?;
            let IpAddr::V6(address) = host.parse().ok()? else { return None };
            (address.to_string(), rest.strip_prefix(':').or(rest.is_empty().then_some(""))?)
        }
        None => {
            let (host, port) = authority.split_once(':').unwrap_or((authority, ""));
            (host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase(), port)
        }
    };
    let is_port = port.bytes().all(|byte| byte.is_ascii_digit());
    (is_port && !host.is_empty()).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::SeededEntropy;

    #[test]
    fn hosts_are_compared_as_names_and_tricks_are_no_hosts() {
        for (url, expected) in [
            ("wss://relay.example.com", "relay.example.com"),
            ("WSS://Relay.Example.com.:443/path?x#y", "relay.example.com"),
            (" ws://relay.example.com/ ", "relay.example.com"),
            ("https://relay.example.com?x", "relay.example.com"),
            ("ws://127.0.0.1:7777", "127.0.0.1"),
            ("ws://[0:0::1]:7777/", "::1"),
            ("ws://[::1]", "::1"),
        ] {
            assert_eq!(host(url).as_deref(), Some(expected), "{url}");
        }
        for url in [
            "",
            "relay.example.com",
            "ftp://relay.example.com",
            "wss://",
            "wss://:443",
            "wss://evil.com\\@relay.example.com",
            "wss://relay.example.com@evil.com",
            "wss://evil.com%2f.relay.example.com",
            "wss://relay.example.com:x",
            "wss://[::1",
            "wss://[::1]x",
            "wss://[127.0.0.1]",
            "wss://exämple.com",
            "wss://a b",
        ] {
            assert_eq!(host(url), None, "{url}");
        }
    }

    #[test]
    fn the_relays_names_are_configured_or_else_local() {
        let named = |urls: &[&str], address: &str| {
            let relay_urls = urls.iter().map(|url| url.to_string()).collect();
            hosts(&Config { relay_urls, ..Config::default() }, address.parse().unwrap())
        };
        let loopback = named(&[], "127.0.0.1:7777");
        assert!(
            ["localhost", "127.0.0.1", "::1"].iter().all(|h| loopback.contains(&h.to_string()))
        );
        assert_eq!(named(&[], "192.0.2.1:80"), ["192.0.2.1"]);
        assert_eq!(named(&["wss://A.b/", "ws://c:1"], "127.0.0.1:7777"), ["a.b", "c"]);
    }

    #[test]
    fn challenges_differ_and_keys_are_bounded() {
        let entropy = SeededEntropy::new(1);
        let (one, two) = (Identity::new(&entropy), Identity::new(&entropy));
        assert_ne!(one.challenge(), two.challenge());
        assert_eq!(one.challenge().len(), 2 * CHALLENGE_BYTES);
        let key = |n: usize| [n as u8; 32];
        assert!((0..AUTH_KEYS_MAX).all(|n| one.add(key(n))));
        assert!(one.add(key(0)) && !one.add(key(AUTH_KEYS_MAX)));
        assert_eq!(one.keys().len(), AUTH_KEYS_MAX);
    }
}
