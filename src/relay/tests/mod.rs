//! The relay from outside: real clients over real sockets, a store in a directory of its own.
//!
//! Nothing here sleeps: a test reads until what it waits for has come, and a read that gets nothing
//! for [`PATIENCE`] fails.

mod auth;
mod compression;
mod events;
mod live;
mod manage;
mod matrix;
mod metrics;
mod negentropy;
mod plugin;
mod poisoned;
mod policy;
mod private;
mod requests;
mod rows;
mod searches;
mod secrecy;
mod web;

use super::{AuthMode, Config, Relay};
use crate::io::{Backend, Env, ManualClock, system};
use crate::nostr::{Event, EventOptions, EventStore, Filter, SearchKinds, Signer};
use crate::store::Options;
use serde_json::{Value, json};
use std::io::ErrorKind::Interrupted;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::{Message, WebSocket};

const PATIENCE: Duration = Duration::from_secs(20);

/// A time that is never in the future.
const T0: u64 = 1_700_000_000;

/// A relay with its store.
struct Rig {
    relay: Relay,
    store: Arc<EventStore>,
    auth: AuthMode,
    _dir: tempfile::TempDir,
}

fn rig() -> Rig {
    rig_with(|_| {})
}

fn rig_with(change: impl FnOnce(&mut Config)) -> Rig {
    rig_of(change, None)
}

/// A relay whose time is moved by hand; it begins at [`T0`].
fn rig_at_t0(change: impl FnOnce(&mut Config)) -> (Rig, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(T0 * 1_000_000));
    let env = Env { clock: clock.clone(), ..system(Backend::Auto).unwrap() };
    (rig_in(env, change, None), clock)
}

fn rig_of(change: impl FnOnce(&mut Config), search: Option<&SearchKinds>) -> Rig {
    rig_in(system(Backend::Auto).unwrap(), change, search)
}

fn rig_in(env: Env, change: impl FnOnce(&mut Config), search: Option<&SearchKinds>) -> Rig {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        threads: true,
        memtable_bytes: Some(1 << 20),
        memory_bytes: 64 << 20,
        ..Options::tiny()
    };
    let options = Options { log_file_bytes: 8 << 20, ring_bytes: 1 << 20, ..options };
    let options = EventOptions { search: search.cloned(), ..EventOptions::from(&options) };
    let store = EventStore::open_with(dir.path(), &options, env).unwrap();
    let store = Arc::new(store);
    let mut config =
        Config { listen: "127.0.0.1:0".parse().unwrap(), threads: 2, ..Config::default() };
    change(&mut config);
    let auth = config.auth;
    let relay = Relay::start(store.clone(), config).unwrap();
    Rig { relay, store, auth, _dir: dir }
}

impl Rig {
    fn dial(&self) -> TcpStream {
        let stream = TcpStream::connect(self.relay.local_addr()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    fn client(&self) -> Client {
        let url = format!("ws://{}/", self.relay.local_addr());
        let (socket, _) = tungstenite::client(url, self.dial()).unwrap();
        self.client_on(socket)
    }

    /// A client on a websocket that was just opened.
    fn client_on(&self, socket: WebSocket<TcpStream>) -> Client {
        let mut client = Client { socket, challenge: String::new(), now: self.now() };
        if self.auth != AuthMode::Off {
            let challenge = client.hear();
            assert_eq!((&challenge[0], challenge.as_array().unwrap().len()), (&json!("AUTH"), 2));
            client.challenge = challenge[1].as_str().unwrap().into();
        }
        client
    }

    /// A client that has authenticated as this author.
    fn known(&self, author: u8) -> Client {
        let mut client = self.client();
        assert_eq!(client.authenticate(author), accepted(""));
        client
    }

    /// Seconds since 1970.
    fn now(&self) -> u64 {
        self.store.engine().env().clock.unix_micros() / 1_000_000
    }

    fn stored(&self) -> u64 {
        self.store.count(&[Filter::default()]).unwrap()
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.relay.stop().unwrap();
        self.store.close().unwrap();
    }
}

/// A client that reads one message at a time.
struct Client {
    socket: WebSocket<TcpStream>,
    challenge: String,
    now: u64,
}

impl Client {
    fn say(&mut self, message: &str) {
        self.socket.send(Message::text(message)).unwrap();
    }

    fn hear(&mut self) -> Value {
        loop {
            match self.socket.read() {
                Ok(Message::Text(text)) => return checked(serde_json::from_str(&text).unwrap()),
                Ok(Message::Ping(_)) => {}
                // With a deadline a read is not taken up again by the kernel when a signal comes.
                Err(tungstenite::Error::Io(why)) if why.kind() == Interrupted => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// Answers the challenge as this author.
    fn authenticate(&mut self, author: u8) -> (bool, String) {
        let event = auth::answer(author, &self.challenge, self.now);
        self.say(&auth::message(&event));
        self.hear_ok(event.id())
    }

    fn publish(&mut self, event: &Event) -> (bool, String) {
        self.say(&event_message(event));
        self.hear_ok(event.id())
    }

    fn hear_ok(&mut self, id: &[u8; 32]) -> (bool, String) {
        let answer = self.hear();
        assert_eq!((&answer[0], &answer[1]), (&json!("OK"), &json!(const_hex::encode(id))));
        assert_eq!(answer.as_array().unwrap().len(), 4);
        (answer[2].as_bool().unwrap(), answer[3].as_str().unwrap().into())
    }

    /// What a REQ answers up to its EOSE: the contents of the events.
    fn ask(&mut self, id: &str, filters: &str) -> Vec<String> {
        self.say(&format!("[\"REQ\",\"{id}\",{filters}]"));
        let mut contents = Vec::new();
        loop {
            let answer = self.hear();
            assert_eq!(answer[1], id, "{answer}");
            match answer[0].as_str().unwrap() {
                "EVENT" => contents.push(answer[2]["content"].as_str().unwrap().to_string()),
                "EOSE" => return contents,
                _ => panic!("{answer}"),
            }
        }
    }

    /// Reads to the close frame; gives all text before it, and its code.
    fn hear_out(&mut self) -> (Vec<Value>, CloseCode) {
        let mut said = Vec::new();
        loop {
            match self.socket.read().unwrap() {
                Message::Text(text) => {
                    said.push(checked(serde_json::from_str(&text).unwrap()));
                }
                Message::Close(frame) => return (said, frame.unwrap().code),
                _ => {}
            }
        }
    }
}

/// What a refusal may begin with: the words of NIP-01, 42, 50 and 77, and that of a plugin of these tests, whose words are
/// passed on.
const PREFIXES: [&str; 12] = [
    "spam",
    "duplicate",
    "pow",
    "blocked",
    "rate-limited",
    "invalid",
    "restricted",
    "mute",
    "error",
    "auth-required",
    "unsupported",
    "closed",
];

/// A message of the relay, which has the form that its verb demands, and a word that programs can read if it refuses.
fn checked(message: Value) -> Value {
    let (elements, refuses) = match message[0].as_str().unwrap() {
        "OK" => (4, message[2] == false || message[3] != ""),
        "CLOSED" | "NEG-ERR" => (3, true),
        "NOTICE" => (2, true),
        "EVENT" | "COUNT" | "NEG-MSG" => (3, false),
        "EOSE" | "AUTH" => (2, false),
        other => panic!("{other}: {message}"),
    };
    let list = message.as_array().unwrap();
    assert_eq!(list.len(), elements, "{message}");
    let text = list[elements - 1].as_str().unwrap_or_default();
    let word = text.split_once(": ").map(|(word, _)| word);
    assert!(!refuses || word.is_some_and(|word| PREFIXES.contains(&word)), "{message}");
    message
}

fn signer(n: u8) -> Signer {
    Signer::new([n; 32]).unwrap()
}

/// An event of kind 1 that says when it was made.
fn note(author: u8, at: u64, content: &str) -> Event {
    event(author, 1, at, &[], content)
}

fn event(author: u8, kind: u16, at: u64, tags: &[[&str; 2]], content: &str) -> Event {
    let signer = signer(author);
    Event::from_parts(*signer.pubkey(), T0 + at, kind, tags, content).sign(&signer)
}

fn event_message(event: &Event) -> String {
    format!("[\"EVENT\",{}]", String::from_utf8(event.to_json()).unwrap())
}

fn accepted(text: &str) -> (bool, String) {
    (true, text.into())
}
