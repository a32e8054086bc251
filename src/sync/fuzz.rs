//! What has to hold of everything that another relay can say to a sync, for fuzzing.
//!
//! A function panics if what it says does not hold; any bytes are input.

use super::socket::{Heard, parse};
use serde_json::Value;
use serde_json::value::RawValue;

/// A message that is JSON says what serde_json says, read by hand. What is heard of any other, and of that, takes no
/// more bytes than the message, and is heard again as it is written down.
pub(crate) fn relay_message(message: &[u8]) {
    let heard = parse(message).ok();
    if let Ok(elements) = serde_json::from_slice::<Vec<&RawValue>>(message) {
        assert_eq!(heard, twin(&elements), "{}", String::from_utf8_lossy(message));
    }
    let Some(heard) = heard else { return };
    assert!(bytes_of(&heard) <= message.len(), "{heard:?}");
    let written = written(&heard);
    assert_eq!(parse(&written).ok(), Some(heard), "{}", String::from_utf8_lossy(&written));
}

fn twin(elements: &[&RawValue]) -> Option<Heard> {
    let raw = |at: usize| elements.get(at).map(|element| element.get());
    let text = |at| match serde_json::from_str(raw(at)?) {
        Ok(Value::String(text)) => Some(text),
        _ => None,
    };
    Some(match raw(0)? {
        r#""EVENT""# => Heard::Event(text(1)?, raw(2)?.into()),
        r#""EOSE""# => Heard::Eose(text(1)?),
        r#""CLOSED""# => Heard::Closed(text(1)?, text(2)?),
        r#""OK""# => {
            text(1)?;
            Heard::Ok { accepted: raw(2)? == "true", text: text(3)? }
        }
        r#""NEG-MSG""# => Heard::Negentropy(text(1)?, spelled(&text(2)?)?),
        r#""NEG-ERR""# => Heard::NegentropyError(text(1)?, text(2)?),
        r#""NOTICE""# => Heard::Notice(text(1)?),
        _ => Heard::Other,
    })
}

/// The bytes that hex characters spell, two by two.
fn spelled(hex: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u32>> = hex.chars().map(|c| c.to_digit(16)).collect();
    let byte = |pair: &[u32]| match pair {
        [high, low] => u8::try_from(16 * high + low).ok(),
        _ => None,
    };
    digits?.chunks(2).map(byte).collect()
}

fn bytes_of(heard: &Heard) -> usize {
    match heard {
        Heard::Event(id, bytes) | Heard::Negentropy(id, bytes) => id.len() + bytes.len(),
        Heard::Closed(id, text) | Heard::NegentropyError(id, text) => id.len() + text.len(),
        Heard::Eose(text) | Heard::Notice(text) | Heard::Ok { text, .. } => text.len(),
        Heard::Other => 0,
    }
}

/// A message that says this.
fn written(heard: &Heard) -> Vec<u8> {
    let text = |text: &str| Value::from(text).to_string();
    let (verb, parts) = match heard {
        Heard::Event(id, json) => {
            return [b"[\"EVENT\",", text(id).as_bytes(), b",", json, b"]"].concat();
        }
        Heard::Eose(id) => ("EOSE", vec![text(id)]),
        Heard::Closed(id, why) => ("CLOSED", vec![text(id), text(why)]),
        Heard::Ok { accepted, text: said } => {
            ("OK", vec![text("id"), accepted.to_string(), text(said)])
        }
        Heard::Negentropy(id, bytes) => {
            ("NEG-MSG", vec![text(id), text(&const_hex::encode(bytes))])
        }
        Heard::NegentropyError(id, why) => ("NEG-ERR", vec![text(id), text(why)]),
        Heard::Notice(said) => ("NOTICE", vec![text(said)]),
        Heard::Other => ("AUTH", vec![text("challenge")]),
    };
    format!("[{},{}]", text(verb), parts.join(",")).into_bytes()
}
