//! What a client says: `["EVENT",{..}]`, `["REQ",id,{..}..]`, `["COUNT",id,{..}..]`, `["CLOSE",id]`,
//! `["AUTH",{..}]`, `["NEG-OPEN",id,{..},hex]`, `["NEG-MSG",id,hex]`, `["NEG-CLOSE",id]`.
//!
//! Events and filters stay the byte ranges that they are in the message; their parsers come later.
//! A [`Refused`] is answered and forgotten: a client's mistake costs it nothing else.

use super::limits::SUBID_CHARS_MAX;
use super::split::{Elements, Malformed};

/// Characters of a client's own text that a refusal repeats.
const QUOTED_CHARS_MAX: usize = 32;

/// A subscription id, in the one JSON spelling that all spellings of it come to, quotes included.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct SubId(Box<str>);

impl SubId {
    /// The id as JSON.
    pub(super) fn json(&self) -> &str {
        &self.0
    }

    fn parse(element: Option<&[u8]>) -> Result<SubId, Refused> {
        let refused = || {
            let text =
                format!("a subscription id is a string of 1 to {SUBID_CHARS_MAX} characters");
            Refused::Notice(format!("invalid: {text}"))
        };
        let id: String =
            element.and_then(|e| serde_json::from_slice(e).ok()).ok_or_else(refused)?;
        let chars = id.chars().take(SUBID_CHARS_MAX + 1).count();
        if !(1..=SUBID_CHARS_MAX).contains(&chars) {
            return Err(refused());
        }
        serde_json::to_string(&id).map(|json| SubId(json.into())).map_err(|_| refused())
    }
}

/// A message of a client.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ClientMessage<'a> {
    /// An event to publish.
    Event(&'a [u8]),
    /// An event that says who the client is.
    Auth(&'a [u8]),
    /// Stored events, and then live ones.
    Req(SubId, Vec<&'a [u8]>),
    /// How many there are.
    Count(SubId, Vec<&'a [u8]>),
    /// The end of a subscription.
    Close(SubId),
    /// The beginning of a negentropy session: filter, and message as a JSON string.
    NegOpen(SubId, &'a [u8], &'a [u8]),
    /// Its next message, as a JSON string.
    NegMsg(SubId, &'a [u8]),
    /// Its end.
    NegClose(SubId),
}

/// How a message is refused.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// With a NOTICE of this text.
    Notice(String),
    /// With a CLOSED of this text for the subscription.
    Closed(SubId, String),
}

impl From<Malformed> for Refused {
    fn from(malformed: Malformed) -> Refused {
        Refused::Notice(format!("invalid: {malformed}"))
    }
}

/// Takes a message apart; a request may have up to `filters_max` filters.
///
/// # Errors
/// What to answer instead.
pub(super) fn parse(text: &[u8], filters_max: usize) -> Result<ClientMessage<'_>, Refused> {
    let mut elements = Elements::new(text)?;
    let verb = elements.next()?.ok_or(Malformed("a message has a verb"))?;
    let message = match verb {
        b"\"EVENT\"" => {
            let event = elements.next()?.ok_or(Malformed("EVENT has an event"))?;
            ClientMessage::Event(event)
        }
        b"\"AUTH\"" => {
            let event = elements.next()?.ok_or(Malformed("AUTH has an event"))?;
            ClientMessage::Auth(event)
        }
        b"\"REQ\"" => {
            let id = SubId::parse(elements.next()?)?;
            let filters = filters(&id, &mut elements, filters_max)?;
            ClientMessage::Req(id, filters)
        }
        b"\"COUNT\"" => {
            let id = SubId::parse(elements.next()?)?;
            let filters = filters(&id, &mut elements, filters_max)?;
            ClientMessage::Count(id, filters)
        }
        b"\"CLOSE\"" => ClientMessage::Close(SubId::parse(elements.next()?)?),
        b"\"NEG-OPEN\"" => {
            let id = SubId::parse(elements.next()?)?;
            let filter = elements.next()?.ok_or(Malformed("NEG-OPEN has a filter"))?;
            let message = elements.next()?.ok_or(Malformed("NEG-OPEN has a message"))?;
            ClientMessage::NegOpen(id, filter, message)
        }
        b"\"NEG-MSG\"" => {
            let id = SubId::parse(elements.next()?)?;
            let message = elements.next()?.ok_or(Malformed("NEG-MSG has a message"))?;
            ClientMessage::NegMsg(id, message)
        }
        b"\"NEG-CLOSE\"" => ClientMessage::NegClose(SubId::parse(elements.next()?)?),
        _ => return Err(unknown(verb)),
    };
    match elements.next()? {
        None => Ok(message),
        Some(_) => Err(Malformed("the message has more elements than its verb asks for").into()),
    }
}

fn filters<'a>(
    id: &SubId,
    elements: &mut Elements<'a>,
    max: usize,
) -> Result<Vec<&'a [u8]>, Refused> {
    let closed = |text: String| Refused::Closed(id.clone(), text);
    let mut filters = Vec::new();
    while let Some(filter) = elements.next().map_err(|m| closed(format!("invalid: {m}")))? {
        if filters.len() == max {
            return Err(closed(format!("invalid: a request has at most {max} filters")));
        }
        filters.push(filter);
    }
    if filters.is_empty() {
        return Err(closed("invalid: a request has at least one filter".into()));
    }
    Ok(filters)
}

fn unknown(verb: &[u8]) -> Refused {
    Refused::Notice(match serde_json::from_slice::<String>(verb) {
        Ok(verb) => {
            let verb: String = verb.chars().take(QUOTED_CHARS_MAX).collect();
            format!("unsupported: the verb {verb:?} is unknown here")
        }
        Err(_) => "invalid: a message starts with a verb, a string".into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> SubId {
        SubId(serde_json::to_string(text).unwrap().into())
    }

    fn parsed(text: &str) -> Result<ClientMessage<'_>, Refused> {
        parse(text.as_bytes(), 2)
    }

    #[test]
    fn the_messages_are_understood() {
        use ClientMessage::*;
        assert_eq!(parsed(r#"["EVENT",{"a":1}]"#), Ok(Event(br#"{"a":1}"#)));
        assert_eq!(parsed(r#"["AUTH",{"a":1}]"#), Ok(Auth(br#"{"a":1}"#)));
        assert_eq!(parsed(r#" [ "REQ" , "s" , {} ] "#), Ok(Req(id("s"), vec![b"{}"])));
        let two = vec![&b"{\"limit\":1}"[..], b"{}"];
        assert_eq!(parsed(r#"["COUNT","é",{"limit":1},{}]"#), Ok(Count(id("é"), two)));
        assert_eq!(parsed(r#"["CLOSE","s"]"#), Ok(Close(id("s"))));
        let open = parsed(r#"["NEG-OPEN","s",{"limit":1},"61"]"#);
        assert_eq!(open, Ok(NegOpen(id("s"), b"{\"limit\":1}", b"\"61\"")));
        assert_eq!(parsed(r#"["NEG-MSG","s",7]"#), Ok(NegMsg(id("s"), b"7")));
        assert_eq!(parsed(r#"["NEG-CLOSE","s"]"#), Ok(NegClose(id("s"))));
        // Two spellings of one id are one id.
        assert_eq!(parsed(r#"["CLOSE","\u0073\u00e9\/"]"#), Ok(Close(id("sé/"))));
        let longest = "é".repeat(64);
        assert_eq!(parsed(&format!("[\"CLOSE\",\"{longest}\"]")), Ok(Close(id(&longest))));
    }

    #[test]
    fn what_is_refused_says_why() {
        let notice = |text: &str| match parsed(text) {
            Err(Refused::Notice(text)) => text,
            other => panic!("{text}: {other:?}"),
        };
        let long = format!("[\"CLOSE\",\"{}\"]", "x".repeat(65));
        for (text, start) in [
            ("", "invalid: a message is a JSON array"),
            ("{}", "invalid: a message is a JSON array"),
            ("[]", "invalid: a message has a verb"),
            ("[1]", "invalid: a message starts with"),
            (r#"["HELLO",{}]"#, "unsupported: the verb \"HELLO\""),
            (r#"["AUTH"]"#, "invalid: AUTH has"),
            (r#"["EVENT"]"#, "invalid: EVENT has"),
            (r#"["EVENT",{},{}]"#, "invalid: the message has more"),
            (r#"["CLOSE"]"#, "invalid: a subscription id"),
            (r#"["CLOSE",""]"#, "invalid: a subscription id"),
            (r#"["NEG-OPEN","a",{}]"#, "invalid: NEG-OPEN has a message"),
            (r#"["NEG-OPEN","a"]"#, "invalid: NEG-OPEN has a filter"),
            (r#"["NEG-MSG","a"]"#, "invalid: NEG-MSG has"),
            (r#"["NEG-CLOSE",[]]"#, "invalid: a subscription id"),
            (r#"["CLOSE",7]"#, "invalid: a subscription id"),
            (r#"["CLOSE","a","b"]"#, "invalid: the message has more"),
            (r#"["REQ"]"#, "invalid: a subscription id"),
            (r#"["EVENT",{}] []"#, "invalid: something follows"),
            (&long, "invalid: a subscription id"),
        ] {
            assert!(notice(text).starts_with(start), "{text}: {}", notice(text));
        }
        let verb = notice(&format!("[\"{}\"]", "v".repeat(1000)));
        assert!(verb.len() < 100, "{verb}");
        for (text, why) in [
            (r#"["REQ","s"]"#, "invalid: a request has at least one filter"),
            (r#"["COUNT","s",{},{},{}]"#, "invalid: a request has at most 2 filters"),
            (r#"["REQ","s",{}"#, "invalid: expected ',' or ']'"),
        ] {
            assert_eq!(parsed(text), Err(Refused::Closed(id("s"), why.into())), "{text}");
        }
    }
}
