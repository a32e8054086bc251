//! What is said to clients, written straight into the bytes of a websocket message.

use super::message::SubId;
use crate::nostr::hll::Hll;
use crate::nostr::{EventRef, write_event};
use tokio_tungstenite::tungstenite::protocol::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Utf8Bytes;

/// `["EVENT",<id>,<event>]` of an event that is JSON already.
pub(super) fn event_json(id: &SubId, event: &[u8]) -> Message {
    let mut out = Vec::with_capacity(event.len() + id.json().len() + 12);
    event_head(id, &mut out);
    out.extend_from_slice(event);
    out.push(b']');
    message(out)
}

/// `["EVENT",<id>,<event>]`.
pub(super) fn event(id: &SubId, event: &EventRef<'_>) -> Message {
    let mut out = Vec::with_capacity(event.body().len() * 3 / 2 + id.json().len() + 416);
    event_head(id, &mut out);
    write_event(event, &mut out);
    out.push(b']');
    message(out)
}

fn event_head(id: &SubId, out: &mut Vec<u8>) {
    out.extend_from_slice(b"[\"EVENT\",");
    out.extend_from_slice(id.json().as_bytes());
    out.push(b',');
}

/// `["OK",<id>,<accepted>,<text>]`.
pub(super) fn ok(id: &[u8; 32], accepted: bool, text: &str) -> Message {
    let mut out = String::with_capacity(96 + text.len());
    out.push_str("[\"OK\",\"");
    out.push_str(const_hex::Buffer::<32>::new().format(id));
    out.push_str(if accepted { "\",true," } else { "\",false," });
    string(text, &mut out);
    out.push(']');
    Message::Text(out.into())
}

/// `["EOSE",<id>]`.
pub(super) fn eose(id: &SubId) -> Message {
    Message::Text(format!("[\"EOSE\",{}]", id.json()).into())
}

/// `["CLOSED",<id>,<text>]`.
pub(super) fn closed(id: &SubId, text: &str) -> Message {
    let mut out = format!("[\"CLOSED\",{},", id.json());
    string(text, &mut out);
    out.push(']');
    Message::Text(out.into())
}

/// `["COUNT",<id>,{"count":<count>,"hll":<registers>}]`.
pub(super) fn count(id: &SubId, count: u64, hll: Option<&Hll>) -> Message {
    let hll = hll.map_or_else(String::new, |hll| format!(",\"hll\":\"{hll}\""));
    Message::Text(format!("[\"COUNT\",{},{{\"count\":{count}{hll}}}]", id.json()).into())
}

/// `["NEG-MSG",<id>,<message in hex>]`.
pub(super) fn negentropy(id: &SubId, message: &[u8]) -> Message {
    Message::Text(format!("[\"NEG-MSG\",{},\"{}\"]", id.json(), const_hex::encode(message)).into())
}

/// `["NEG-ERR",<id>,<text>]`.
pub(super) fn negentropy_error(id: &SubId, text: &str) -> Message {
    let mut out = format!("[\"NEG-ERR\",{},", id.json());
    string(text, &mut out);
    out.push(']');
    Message::Text(out.into())
}

/// `["AUTH",<challenge>]`.
pub(super) fn auth(challenge: &str) -> Message {
    let mut out = String::from("[\"AUTH\",");
    string(challenge, &mut out);
    out.push(']');
    Message::Text(out.into())
}

/// `["NOTICE",<text>]`.
pub(super) fn notice(text: &str) -> Message {
    let mut out = String::from("[\"NOTICE\",");
    string(text, &mut out);
    out.push(']');
    Message::Text(out.into())
}

fn string(text: &str, out: &mut String) {
    match text {
        "" => out.push_str("\"\""),
        _ => out.push_str(&serde_json::to_string(text).unwrap_or_default()),
    }
}

fn message(json: Vec<u8>) -> Message {
    let text = Utf8Bytes::try_from(json);
    Message::Text(text.expect("ids are text, and a checked event is UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nostr::{Event, Filter};
    use crate::relay::message::{ClientMessage, parse};

    #[test]
    fn replies_are_the_json_that_they_should_be() {
        let Ok(ClientMessage::Close(id)) = parse(b"[\"CLOSE\",\"a\\\"\\n\"]", 1) else { panic!() };
        let text = |message: Message| message.into_text().unwrap().to_string();
        let some = Event::from_parts([1; 32], 5, 1, &[["t", "\"x\""]], "content \u{1}é\n");
        let json = String::from_utf8(some.to_json()).unwrap();
        let whole = format!("[\"EVENT\",\"a\\\"\\n\",{json}]");
        assert_eq!(text(event(&id, &some.as_ref())), whole);
        assert_eq!(text(event_json(&id, json.as_bytes())), whole);
        serde_json::from_str::<serde_json::Value>(&whole).unwrap();
        let hex = "07".repeat(32);
        assert_eq!(text(ok(&[7; 32], true, "")), format!("[\"OK\",\"{hex}\",true,\"\"]"));
        let refusal = format!("[\"OK\",\"{hex}\",false,\"invalid: \\\"q\\\"\"]");
        assert_eq!(text(ok(&[7; 32], false, "invalid: \"q\"")), refusal);
        assert_eq!(text(eose(&id)), r#"["EOSE","a\"\n"]"#);
        assert_eq!(text(closed(&id, "error: x")), r#"["CLOSED","a\"\n","error: x"]"#);
        assert_eq!(text(count(&id, 12, None)), r#"["COUNT","a\"\n",{"count":12}]"#);
        let filter = Filter { tags: vec![(b't', vec!["x".into()])], ..Filter::default() };
        let hll =
            format!("[\"COUNT\",\"a\\\"\\n\",{{\"count\":0,\"hll\":\"{}\"}}]", "0".repeat(512));
        assert_eq!(text(count(&id, 0, Hll::new(&filter).as_ref())), hll);
        assert_eq!(text(negentropy(&id, &[0x61, 0])), r#"["NEG-MSG","a\"\n","6100"]"#);
        assert_eq!(text(negentropy_error(&id, "x: y")), r#"["NEG-ERR","a\"\n","x: y"]"#);
        assert_eq!(text(auth("0a")), r#"["AUTH","0a"]"#);
        assert_eq!(text(notice("error: \t")), r#"["NOTICE","error: \t"]"#);
    }
}
