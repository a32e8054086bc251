//! Who makes a request: NIP-98, an event in the `Authorization` header.
//!
//! ```text
//!   Authorization: Nostr <base64 of an event of kind 27235>
//!     u        the relay's URL          method   POST           payload  SHA-256 of the body
//! ```
//!
//! I1. An event counts within [`WINDOW_SECONDS`] of its time, and once.
//! I2. What is remembered against a second use is signed by an admin; nobody else fills it.

use super::base64;
use crate::nostr::{Event, JsonLimits, id, verify};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

/// The kind of such events.
const KIND: u16 = 27_235;

/// Seconds that `created_at` may lie ahead or behind.
pub(super) const WINDOW_SECONDS: u64 = 60;

/// Requests that are remembered: eight a second for the whole window.
const SEEN_MAX: usize = 1024;

const SCHEME: &str = "nostr ";

/// Why a request is not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Refused {
    /// It does not prove who makes it.
    Unproven(&'static str),
    /// Who makes it may not.
    Forbidden,
    /// There are too many.
    TooMany,
}

/// A request, as far as it is to be proven.
pub(super) struct Request<'a> {
    /// The `Authorization` header.
    pub(super) header: Option<&'a str>,
    /// The URLs that it may have been made to.
    pub(super) urls: &'a [Url],
    pub(super) body: &'a [u8],
    /// Seconds since 1970.
    pub(super) now: u64,
}

/// A URL in the one spelling in which two are compared.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Url {
    /// Whether it is of TLS; `None` if that is not known.
    secure: Option<bool>,
    host: String,
    path: String,
}

impl Url {
    /// A URL of HTTP or of websockets: the relay's is both.
    pub(super) fn parse(text: &str) -> Option<Url> {
        let (scheme, rest) = text.split_once("://")?;
        let secure = match scheme.to_ascii_lowercase().as_str() {
            "https" | "wss" => true,
            "http" | "ws" => false,
            _ => return None,
        };
        let at = rest.find(['/', '?']).unwrap_or(rest.len());
        let (host, path) = rest.split_at(at);
        let default_port = if secure { ":443" } else { ":80" };
        let host = host.strip_suffix(default_port).unwrap_or(host);
        let known = Url { secure: Some(secure), ..Url::of(host, path) };
        (!host.is_empty()).then_some(known)
    }

    /// That of a relay on this host, at the port of this address.
    pub(super) fn on(host: &str, address: SocketAddr) -> Url {
        let host = if host.contains(':') { format!("[{host}]") } else { host.into() };
        let port = Some(address.port()).filter(|port| *port != 80);
        let port = port.map_or(String::new(), |port| format!(":{port}"));
        Url::of(&format!("{host}{port}"), "")
    }

    fn of(host: &str, path: &str) -> Url {
        let path = path.trim_end_matches('/').to_string();
        Url { secure: None, host: host.to_ascii_lowercase(), path }
    }

    fn is(&self, other: &Url) -> bool {
        let secure = self.secure.is_none_or(|secure| other.secure == Some(secure));
        secure && (&self.host, &self.path) == (&other.host, &other.path)
    }
}

/// Who may, and what they have used already.
pub(super) struct Guard {
    admins: Vec<[u8; 32]>,
    /// Ids of events, with the last second in which each would count.
    seen: Mutex<HashMap<[u8; 32], u64>>,
}

impl Guard {
    pub(super) fn new(admins: Vec<[u8; 32]>) -> Guard {
        Guard { admins, seen: Mutex::default() }
    }

    /// The admin who makes a request.
    ///
    /// # Errors
    /// Why it is not taken.
    pub(super) fn admit(&self, request: &Request<'_>) -> Result<[u8; 32], Refused> {
        let event = proof(request)?;
        if !self.admins.contains(event.pubkey()) {
            return Err(Refused::Forbidden);
        }
        // Nothing is half done when a thread panics here.
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.retain(|_, last| *last >= request.now);
        if seen.contains_key(event.id()) {
            return Err(Refused::Unproven("the Authorization was used already"));
        }
        if seen.len() >= SEEN_MAX {
            return Err(Refused::TooMany);
        }
        seen.insert(*event.id(), event.created_at().saturating_add(WINDOW_SECONDS));
        Ok(*event.pubkey())
    }
}

/// The event that proves who makes a request; its author may be anyone.
fn proof(request: &Request<'_>) -> Result<Event, Refused> {
    let check = |holds: bool, why| if holds { Ok(()) } else { Err(Refused::Unproven(why)) };
    let header = request.header.ok_or(Refused::Unproven("there is no Authorization"))?;
    let scheme = header.get(..SCHEME.len()).unwrap_or_default();
    check(scheme.eq_ignore_ascii_case(SCHEME), "the Authorization is not one of Nostr")?;
    let json = base64::decode(header[SCHEME.len()..].trim());
    let json = json.ok_or(Refused::Unproven("the Authorization is not base64"))?;
    let event = Event::from_json(&json, &JsonLimits::default());
    let event = event.map_err(|_| Refused::Unproven("the Authorization is no event"))?;
    check(event.kind() == KIND, "the Authorization is not of kind 27235")?;
    let apart = event.created_at().abs_diff(request.now);
    check(apart <= WINDOW_SECONDS, "the Authorization is not of this minute")?;
    let url = tag(&event, "u").and_then(|url| Url::parse(&url));
    let is_ours = |url: Url| request.urls.iter().any(|own| own.is(&url));
    check(url.is_some_and(is_ours), "the tag u is not this relay's URL")?;
    check(tag(&event, "method").as_deref() == Some("POST"), "the tag method is not POST")?;
    let payload = const_hex::encode(Sha256::digest(request.body));
    check(tag(&event, "payload") == Some(payload), "the tag payload is not the body's SHA-256")?;
    check(id::check(&event.as_ref()), "the Authorization's id is not its hash")?;
    check(verify::signature(&event.as_ref()), "the Authorization has a bad signature")?;
    Ok(event)
}

/// The value of the first tag with this name.
fn tag(event: &Event, name: &str) -> Option<String> {
    let tag = event.tags().find(|tag| tag.name().is_some_and(|item| item == *name))?;
    tag.value().map(|value| value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nostr::Signer;

    const NOW: u64 = 1_700_000_000;
    const BODY: &[u8] = b"{\"method\":\"supportedmethods\",\"params\":[]}";

    fn signer(n: u8) -> Signer {
        Signer::new([n; 32]).unwrap()
    }

    /// What makes a request, to be changed in one way.
    struct Draft {
        kind: u16,
        at: u64,
        tags: Vec<[String; 2]>,
        signer: Signer,
        wrap: fn(&Event) -> String,
    }

    fn nostr(event: &Event) -> String {
        format!("Nostr {}", base64::encode(&event.to_json()))
    }

    fn draft() -> Draft {
        let payload = const_hex::encode(Sha256::digest(BODY));
        let tags = [["u", "https://relay.test/"], ["method", "POST"], ["payload", &payload]];
        let tags = tags.map(|tag| tag.map(String::from)).to_vec();
        Draft { kind: KIND, at: NOW, tags, signer: signer(1), wrap: nostr }
    }

    fn admit(guard: &Guard, draft: &Draft) -> Result<[u8; 32], Refused> {
        let Draft { kind, at, tags, signer, wrap } = draft;
        let event = Event::from_parts(*signer.pubkey(), *at, *kind, tags, "").sign(signer);
        let urls = ["ws://else.test", "wss://Relay.Test:443"].map(|url| Url::parse(url).unwrap());
        guard.admit(&Request { header: Some(&wrap(&event)), urls: &urls, body: BODY, now: NOW })
    }

    fn guard() -> Guard {
        Guard::new(vec![*signer(9).pubkey(), *signer(1).pubkey()])
    }

    #[test]
    fn a_right_request_counts_once() {
        let guard = guard();
        assert_eq!(admit(&guard, &draft()), Ok(*signer(1).pubkey()));
        let again = admit(&guard, &draft()).unwrap_err();
        assert!(matches!(again, Refused::Unproven(why) if why.contains("already")));
        for at in [NOW - 60, NOW + 60] {
            assert!(admit(&guard, &Draft { at, ..draft() }).is_ok());
        }
    }

    #[test]
    fn a_wrong_request_is_refused_for_its_reason() {
        type Change = fn(&mut Draft);
        let wrongs: [(Change, &str); 14] = [
            (|d| d.kind = 1, "kind 27235"),
            (|d| d.at = NOW - 61, "minute"),
            (|d| d.at = NOW + 61, "minute"),
            (|d| d.at = 0, "minute"),
            (|d| d.tags[0][1] = "https://other.test/".into(), "URL"),
            (|d| d.tags[0][1] = "http://relay.test/".into(), "URL"),
            (|d| d.tags[0][1] = "https://relay.test/x".into(), "URL"),
            (|d| drop(d.tags.remove(0)), "URL"),
            (|d| d.tags[1][1] = "GET".into(), "POST"),
            (|d| drop(d.tags.remove(2)), "SHA-256"),
            (|d| d.tags[2][1] = "00".repeat(32), "SHA-256"),
            (|d| d.wrap = |e| nostr(e).replace("Nostr", "Bearer"), "one of Nostr"),
            (|d| d.wrap = |_| "Nostr ?".into(), "base64"),
            (|d| d.wrap = |_| format!("Nostr {}", base64::encode(b"{}")), "no event"),
        ];
        let guard = guard();
        for (at, (change, why)) in wrongs.into_iter().enumerate() {
            let mut draft = draft();
            change(&mut draft);
            let refused = admit(&guard, &draft).unwrap_err();
            assert!(
                matches!(refused, Refused::Unproven(text) if text.contains(why)),
                "{at}: {refused:?}"
            );
        }
        type Forge = fn(&Event) -> String;
        let forged: [(Forge, &str); 2] = [
            (|e| forge(e, "\"content\":\"\"", "\"content\":\"x\""), "hash"),
            (|e| forge(e, &const_hex::encode(&e.sig()[..2]), "0000"), "signature"),
        ];
        for (wrap, why) in forged {
            let refused = admit(&guard, &Draft { wrap, ..draft() }).unwrap_err();
            assert!(
                matches!(refused, Refused::Unproven(text) if text.contains(why)),
                "{refused:?}"
            );
        }
        let other = Draft { signer: signer(2), ..draft() };
        assert_eq!(admit(&guard, &other), Err(Refused::Forbidden));
        let none = Request { header: None, urls: &[], body: BODY, now: NOW };
        assert!(matches!(guard.admit(&none), Err(Refused::Unproven(_))));
        assert!(guard.seen.lock().unwrap().is_empty(), "I2");
    }

    fn forge(event: &Event, what: &str, with: &str) -> String {
        let json = String::from_utf8(event.to_json()).unwrap();
        assert!(json.contains(what), "{json}");
        format!("Nostr {}", base64::encode(json.replacen(what, with, 1).as_bytes()))
    }

    #[test]
    fn what_is_remembered_is_bounded_and_forgotten_when_it_no_longer_counts() {
        let guard = guard();
        for n in 0..SEEN_MAX {
            let mut draft = draft();
            draft.tags.push(["n".into(), n.to_string()]);
            if n == 0 {
                admit(&guard, &draft).unwrap();
            } else {
                guard.seen.lock().unwrap().insert([n as u8; 32], NOW);
                guard.seen.lock().unwrap().insert(Sha256::digest(n.to_le_bytes()).into(), NOW);
            }
        }
        assert_eq!(admit(&guard, &draft()), Err(Refused::TooMany));
        guard.seen.lock().unwrap().values_mut().for_each(|last| *last = NOW - 1);
        assert!(admit(&guard, &draft()).is_ok());
        assert_eq!(guard.seen.lock().unwrap().len(), 1);
    }

    #[test]
    fn urls_are_compared_in_one_spelling() {
        let is = |own: &str, other: &str| Url::parse(own).unwrap().is(&Url::parse(other).unwrap());
        assert!(is("wss://a.b", "https://A.b:443/") && is("ws://a:80/x/", "http://a/x"));
        assert!(!is("wss://a.b", "ws://a.b") && !is("wss://a.b/x", "wss://a.b/y"));
        assert!(!is("wss://a.b", "wss://a.b:444") && !is("wss://a.b", "wss://a.b/?q"));
        let of = |host, path, other: &str| Url::of(host, path).is(&Url::parse(other).unwrap());
        assert!(of("a.b", "/", "wss://a.b") && of("a.b:99", "/x", "http://a.b:99/x"));
        assert!(!of("a.b", "/", "wss://a.c"));
        let on = |host, address: &str, other: &str| {
            Url::on(host, address.parse().unwrap()).is(&Url::parse(other).unwrap())
        };
        assert!(on("a.b", "127.0.0.1:80", "ws://a.b") && on("::1", "[::1]:7", "http://[::1]:7/"));
        assert!(!on("a.b", "127.0.0.1:8", "ws://a.b") && !on("a.b", "127.0.0.1:8", "ws://c:8"));
        assert_eq!(
            (Url::parse("a.b"), Url::parse("ftp://a"), Url::parse("http://")),
            (None, None, None)
        );
    }
}
