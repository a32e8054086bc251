//! The lines of strfry's plugin protocol.
//!
//! ```text
//!   -> {"type":"new","event":{..},"receivedAt":<s>,"sourceType":"IP4"|"IP6","sourceInfo":"<address>",
//!       "authed":"<hex, if the client has authenticated>"}
//!   <- {"id":"<hex>","action":"accept"|"reject"|"shadowReject","msg":"<text, if rejected>"}
//! ```

use super::Verdict;
use crate::nostr::{EventRef, write_event};
use serde::Deserialize;
use std::borrow::Cow;
use std::net::IpAddr;

/// Bytes of a plugin's text that a client is told.
const TEXT_BYTES_MAX: usize = 1024;

/// What a client is told if the plugin gives no reason: NIP-01 asks for one.
const NO_REASON: &str = "blocked: this relay does not take the event";

/// What is asked about an event.
pub(in crate::relay) struct Question<'a> {
    pub(in crate::relay) event: EventRef<'a>,
    /// Seconds since 1970.
    pub(in crate::relay) received_at: u64,
    /// Where its sender is.
    pub(in crate::relay) from: IpAddr,
    /// The key that it has authenticated.
    pub(in crate::relay) authed: Option<[u8; 32]>,
}

impl Question<'_> {
    /// The line that asks, its end included.
    pub(super) fn to_line(&self) -> Vec<u8> {
        let mut line = Vec::with_capacity(self.event.body().len() * 3 / 2 + 512);
        line.extend_from_slice(b"{\"type\":\"new\",\"event\":");
        write_event(&self.event, &mut line);
        let from = self.from.to_canonical();
        let kind = if from.is_ipv4() { "IP4" } else { "IP6" };
        let rest = format!(
            ",\"receivedAt\":{},\"sourceType\":\"{kind}\",\"sourceInfo\":\"{from}\"",
            self.received_at
        );
        line.extend_from_slice(rest.as_bytes());
        if let Some(key) = self.authed {
            line.extend_from_slice(
                format!(",\"authed\":\"{}\"", const_hex::encode(key)).as_bytes(),
            );
        }
        line.extend_from_slice(b"}\n");
        line
    }
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    action: Cow<'a, str>,
    #[serde(borrow, default)]
    msg: Option<Cow<'a, str>>,
}

/// What a line of a plugin says, and about which event.
///
/// # Errors
/// Why it is no answer.
pub(super) fn parse(line: &[u8]) -> Result<([u8; 32], Verdict), String> {
    let answer: Answer<'_> = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    let id = const_hex::decode_to_array(answer.id.as_bytes());
    let id = id.map_err(|_| "its id is not one of an event")?;
    let verdict = match &*answer.action {
        "accept" => Verdict::Accept,
        "shadowReject" => Verdict::ShadowReject,
        "reject" => Verdict::Reject(reason(answer.msg.as_deref().unwrap_or_default())),
        other => {
            let other: String = other.chars().take(32).collect();
            return Err(format!("its action {other:?} is not one"));
        }
    };
    Ok((id, verdict))
}

/// The text for the client: the plugin's, with a prefix as NIP-01 asks for.
fn reason(text: &str) -> String {
    let fits = |end: &usize| text.is_char_boundary(*end);
    let end = (0..=text.len().min(TEXT_BYTES_MAX)).rev().find(fits).unwrap_or(0);
    let text = &text[..end];
    let is_prefix = |prefix: &str| {
        !prefix.is_empty() && prefix.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')
    };
    match text.split_once(':') {
        _ if text.trim().is_empty() => NO_REASON.into(),
        Some((prefix, _)) if is_prefix(prefix) => text.into(),
        _ => format!("blocked: {text}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nostr::Event;
    use serde_json::{Value, json};

    #[test]
    fn a_question_is_one_line_of_json() {
        let event = Event::from_parts([1; 32], 5, 1, &[["t", "a\nb"]], "line\none \u{2028}");
        let ask = |from: &str, authed| {
            let question = Question {
                event: event.as_ref(),
                received_at: 1_700_000_000,
                from: from.parse().unwrap(),
                authed,
            };
            let mut line = question.to_line();
            assert_eq!(line.pop(), Some(b'\n'));
            assert!(!line.contains(&b'\n'));
            serde_json::from_slice::<Value>(&line).unwrap()
        };
        let asked = ask("::ffff:192.0.2.1", None);
        let own: Value = serde_json::from_slice(&event.to_json()).unwrap();
        let expected = json!({
            "type": "new", "event": own, "receivedAt": 1_700_000_000,
            "sourceType": "IP4", "sourceInfo": "192.0.2.1",
        });
        assert_eq!(asked, expected);
        let asked = ask("2001:db8::1", Some([10; 32]));
        assert_eq!(asked["authed"], "0a".repeat(32));
        assert_eq!(
            (&asked["sourceType"], &asked["sourceInfo"]),
            (&json!("IP6"), &json!("2001:db8::1"))
        );
    }

    #[test]
    fn answers_are_understood_and_all_else_is_not() {
        let id = "0a".repeat(32);
        let said = |rest: &str| parse(format!("{{\"id\":\"{id}\",{rest}}}").as_bytes());
        let verdict = |rest: &str| said(rest).unwrap().1;
        assert_eq!(said("\"action\":\"accept\"").unwrap(), ([10; 32], Verdict::Accept));
        assert_eq!(verdict("\"action\":\"shadowReject\",\"msg\":null"), Verdict::ShadowReject);
        let rejected = |msg: &str| match verdict(&format!("\"action\":\"reject\",\"x\":1{msg}")) {
            Verdict::Reject(text) => text,
            other => panic!("{other:?}"),
        };
        assert_eq!(rejected(",\"msg\":\"pow: \\u00e9\""), "pow: é");
        assert_eq!(rejected(",\"msg\":\"Spam: no\""), "blocked: Spam: no");
        assert_eq!(rejected(",\"msg\":\"no\""), "blocked: no");
        assert_eq!(rejected(""), NO_REASON);
        assert_eq!(rejected(",\"msg\":\" \""), NO_REASON);
        assert!(rejected(&format!(",\"msg\":\"{}\"", "é".repeat(5_000))).len() < 1_100);
        for bad in ["", "7", "{}", "null", "\u{feff}{}", "{\"id\":\"0a\",\"action\":\"accept\"}"] {
            parse(bad.as_bytes()).unwrap_err();
        }
        for bad in [
            "\"action\":\"Accept\"",
            "\"action\":1",
            "\"msg\":\"x\"",
            "\"action\":\"reject\",\"msg\":7",
        ] {
            said(bad).unwrap_err();
        }
    }
}
