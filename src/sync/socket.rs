//! A websocket client of a relay: messages out, messages in, every wait with its end.

use super::{Failed, Patience};
use crate::relay::split::{Elements, Malformed};
use futures_util::{SinkExt, StreamExt};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_tungstenite::tungstenite::protocol::{Message, WebSocketConfig};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

/// Bytes of the largest message of a relay: an event of 1 MiB with every byte escaped fits, and a negentropy
/// message of 2 MiB.
const MESSAGE_BYTES_MAX: usize = 8 << 20;

/// Time for a goodbye.
const CLOSING: Duration = Duration::from_secs(1);

/// A connection to a relay.
pub(super) struct Socket {
    url: String,
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    patience: Duration,
    heard: Instant,
}

/// What a relay says. Subscription ids are given as they are, without quotes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// A subscription's event, as JSON.
    Event(String, Vec<u8>),
    /// The end of what is stored.
    Eose(String),
    /// The end of a subscription, and why.
    Closed(String, String),
    /// What became of an event.
    Ok { accepted: bool, text: String },
    /// A negentropy message.
    Negentropy(String, Vec<u8>),
    /// The end of a negentropy session, and why.
    NegentropyError(String, String),
    /// For a person.
    Notice(String),
    /// A sign of life, or a message that is not for us.
    Other,
}

impl Socket {
    /// Connects to `url`, `ws://` or (with the feature `tool`) `wss://`.
    pub(super) async fn connect(url: &str, patience: Patience) -> Result<Socket, Failed> {
        let config = WebSocketConfig::default()
            .max_message_size(Some(MESSAGE_BYTES_MAX))
            .max_frame_size(Some(MESSAGE_BYTES_MAX));
        let failed = |why: String| Failed::Connect { url: url.into(), why };
        let connecting = connect_async_with_config(url, Some(config), true);
        let connected = timeout(patience.connect, connecting).await;
        let connected = connected.map_err(|_| failed("it takes too long".into()))?;
        let (stream, _response) = connected.map_err(|error| failed(error.to_string()))?;
        let (url, patience) = (url.into(), patience.answer);
        Ok(Socket { url, stream, patience, heard: Instant::now() })
    }

    /// When it last said anything.
    pub(super) fn heard(&self) -> Instant {
        self.heard
    }

    /// Sends a message of JSON.
    pub(super) async fn send(&mut self, json: String) -> Result<(), Failed> {
        self.write(Message::Text(json.into())).await
    }

    /// Asks for a sign of life.
    pub(super) async fn ping(&mut self) -> Result<(), Failed> {
        self.write(Message::Ping(Default::default())).await
    }

    async fn write(&mut self, message: Message) -> Result<(), Failed> {
        match timeout(self.patience, self.stream.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(self.gone(error)),
            Err(_late) => Err(self.silent()),
        }
    }

    /// The next message that is more than a sign of life. Dropping it half-way loses nothing.
    pub(super) async fn answer(&mut self) -> Result<Heard, Failed> {
        let deadline = Instant::now() + self.patience;
        loop {
            match timeout_at(deadline, self.next()).await {
                Ok(Ok(Heard::Other)) => {}
                Ok(heard) => return heard,
                Err(_late) => return Err(self.silent()),
            }
        }
    }

    /// The next message, however long that takes. Dropping it half-way loses nothing.
    pub(super) async fn next(&mut self) -> Result<Heard, Failed> {
        let message = match self.stream.next().await {
            Some(Ok(message)) => message,
            Some(Err(error)) => return Err(self.gone(error)),
            None => return Err(self.gone("the connection is closed")),
        };
        self.heard = Instant::now();
        match message {
            Message::Text(text) => parse(text.as_bytes()).map_err(|why| self.broken(why)),
            Message::Close(frame) => {
                let why = frame.map_or_else(String::new, |frame| frame.reason.to_string());
                Err(self.gone(if why.is_empty() { "it said goodbye".into() } else { why }))
            }
            _ => Ok(Heard::Other),
        }
    }

    /// Says goodbye.
    pub(super) async fn close(&mut self) {
        // Whether it is heard makes no difference any more.
        let _ = timeout(CLOSING, self.stream.close(None)).await;
    }

    pub(super) fn refused(&self, why: impl ToString) -> Failed {
        Failed::Refused { url: self.url.clone(), why: why.to_string() }
    }

    pub(super) fn broken(&self, why: impl ToString) -> Failed {
        Failed::Protocol { url: self.url.clone(), why: why.to_string() }
    }

    pub(super) fn silent(&self) -> Failed {
        Failed::Silent { url: self.url.clone() }
    }

    fn gone(&self, why: impl ToString) -> Failed {
        Failed::Gone { url: self.url.clone(), why: why.to_string() }
    }
}

/// What a message says.
///
/// # Errors
/// What is wrong with it.
pub(super) fn parse(json: &[u8]) -> Result<Heard, Malformed> {
    let mut elements = Elements::new(json)?;
    let mut next = || elements.next()?.ok_or(Malformed("a message is cut short"));
    Ok(match next()? {
        b"\"EVENT\"" => Heard::Event(text(next()?)?, next()?.to_vec()),
        b"\"EOSE\"" => Heard::Eose(text(next()?)?),
        b"\"CLOSED\"" => Heard::Closed(text(next()?)?, text(next()?)?),
        b"\"OK\"" => {
            let _id = text(next()?)?;
            Heard::Ok { accepted: next()? == b"true", text: text(next()?)? }
        }
        b"\"NEG-MSG\"" => {
            let (id, hex) = (text(next()?)?, text(next()?)?);
            // The decoder takes a 0x in front, which is no hex here.
            let hex = Some(hex).filter(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()));
            let bytes = hex.and_then(|hex| const_hex::decode(hex).ok());
            Heard::Negentropy(id, bytes.ok_or(Malformed("a NEG-MSG is not hex"))?)
        }
        b"\"NEG-ERR\"" => Heard::NegentropyError(text(next()?)?, text(next()?)?),
        b"\"NOTICE\"" => Heard::Notice(text(next()?)?),
        _ => Heard::Other,
    })
}

fn text(element: &[u8]) -> Result<String, Malformed> {
    serde_json::from_slice(element).map_err(|_| Malformed("a message has no text where one is due"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_relays_say_is_understood() {
        let heard = |json: &str| parse(json.as_bytes());
        let event = Heard::Event("s".into(), b"{\"id\":1}".to_vec());
        assert_eq!(heard(r#"["EVENT","s",{"id":1}]"#), Ok(event));
        let accepted = Heard::Ok { accepted: true, text: "duplicate: x".into() };
        assert_eq!(heard(r#"["OK","00",true,"duplicate: x"]"#), Ok(accepted));
        assert_eq!(
            heard(r#"["NEG-MSG","n","6101"]"#),
            Ok(Heard::Negentropy("n".into(), vec![0x61, 1]))
        );
        let refused = Heard::NegentropyError("n".into(), "blocked: y".into());
        assert_eq!(heard(r#"["NEG-ERR","n","blocked: y"]"#), Ok(refused));
        assert_eq!(heard(r#"["AUTH","challenge"]"#), Ok(Heard::Other));
        for bad in [
            "",
            "{}",
            "[]",
            r#"["EOSE"]"#,
            r#"["NEG-MSG","n","6"]"#,
            r#"["NEG-MSG","n","0x61"]"#,
            r#"["NOTICE",1]"#,
        ] {
            assert!(heard(bad).is_err(), "{bad}");
        }
    }
}
