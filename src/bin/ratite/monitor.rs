//! `ratite monitor`: the new events of a running relay, as they come.
//!
//! ```text
//!   REQ "monitor" {..., "limit":0} --> EVENT, EVENT ... --> a line each, as `export` writes it
//! ```
//!
//! 1. A line is written whole and at once: whoever reads the pipe sees an event when it comes.
//! 2. Words of the relay are quoted, so that they do nothing to a terminal.

use crate::failure::{Failure, Outcome};
use crate::output::{print, say};
use crate::scan::parse;
use ratite::nostr::{Event, JsonLimits};
use serde_json::{Map, Value, json};
use tokio_tungstenite::tungstenite::{self, Message};

/// The subscription's id.
const SUBSCRIPTION: &str = "monitor";

/// Options of `ratite monitor`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Where the relay is: ws://ADDR:PORT
    #[arg(value_name = "URL")]
    url: String,

    /// A NIP-01 filter as JSON, or an array of them; all events without
    #[arg(value_name = "FILTER", default_value = "{}", hide_default_value = true)]
    filter: String,

    /// What the relay has stored comes first, newest first, as far as its limit goes
    #[arg(long)]
    stored: bool,
}

pub fn run(args: &Args) -> Outcome<()> {
    let request = request(&args.filter, args.stored)?;
    let failed =
        |error: tungstenite::Error| Failure::Sentence(format!("{}: {}", args.url, said(&error)));
    let (mut socket, _response) = tungstenite::connect(&args.url).map_err(failed)?;
    socket.send(Message::text(request)).map_err(failed)?;
    loop {
        match socket.read().map_err(failed)? {
            Message::Text(text) => take(&args.url, &text)?,
            Message::Close(frame) => {
                let why =
                    frame.map_or(String::new(), |frame| format!(": {:?}", frame.reason.as_str()));
                return Err(ended(&args.url, &why));
            }
            _ => {}
        }
    }
}

fn ended(url: &str, why: &str) -> Failure {
    Failure::Sentence(format!("{url} has ended the connection{why}"))
}

/// An error in words that say what to do, where the library's do not.
fn said(error: &tungstenite::Error) -> String {
    match error {
        tungstenite::Error::Url(tungstenite::error::UrlError::TlsFeatureNotEnabled) => {
            "wss:// is not spoken here; name the relay's own ws:// address".into()
        }
        error => error.to_string(),
    }
}

/// The REQ.
fn request(filter: &str, stored: bool) -> Outcome<String> {
    parse(filter.as_bytes())?; // refused here, in better words than a relay's
    let wrong = |error| Failure::Sentence(format!("the filter is refused: {error}"));
    let filters: Value = serde_json::from_str(filter).map_err(wrong)?;
    let mut filters = match filters {
        Value::Array(filters) => filters,
        filter => vec![filter],
    };
    let objects = filters.iter_mut().filter_map(Value::as_object_mut);
    objects.filter(|_| !stored).for_each(|filter: &mut Map<String, Value>| {
        filter.insert("limit".into(), 0.into());
    });
    let mut message = vec![json!("REQ"), json!(SUBSCRIPTION)];
    message.append(&mut filters);
    Ok(Value::from(message).to_string())
}

/// Writes the event in a message; says what else a relay has to say.
fn take(url: &str, text: &str) -> Outcome<()> {
    let message: Value = serde_json::from_str(text).unwrap_or_default();
    let word = |at: usize| message[at].as_str().unwrap_or_default();
    match (word(0), word(1)) {
        ("EVENT", SUBSCRIPTION) => {
            match Event::from_json(message[2].to_string().as_bytes(), &JsonLimits::WIDEST) {
                Ok(event) => {
                    let mut line = event.to_json();
                    line.push(b'\n');
                    print(&String::from_utf8_lossy(&line))
                }
                Err(error) => {
                    say(format_args!("{url} sent what is no event: {error}"));
                    Ok(())
                }
            }
        }
        ("CLOSED", SUBSCRIPTION) => {
            Err(Failure::Sentence(format!("{url} has ended the subscription: {:?}", word(2))))
        }
        ("NOTICE", notice) => {
            say(format_args!("{url}: {notice:?}"));
            Ok(())
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_what_comes_from_now_on() {
        let ask = |filter: &str, stored| request(filter, stored).unwrap();
        assert_eq!(ask("{}", false), r#"["REQ","monitor",{"limit":0}]"#);
        assert_eq!(ask(r#"{"kinds":[1]}"#, true), r#"["REQ","monitor",{"kinds":[1]}]"#);
        assert_eq!(
            ask(r#"[{"limit":5},{"kinds":[1]}]"#, false),
            r#"["REQ","monitor",{"limit":0},{"kinds":[1],"limit":0}]"#
        );
        assert!(request("7", false).is_err());
    }
}
