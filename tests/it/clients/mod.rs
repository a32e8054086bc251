//! The relay as a process, met by clients that others wrote, by a kill, and by garbage.
//!
//! ```text
//!   script       how scripts are run; nostr-tools, NDK, nostr-sdk for Python
//!   nostr_tools  tests/clients/nostr-tools.mjs on node        sdk      nostr-sdk
//!   sync         the tool as a client, between two relays     peer     and with a relay of others
//!   kill         kill -9 while events are published           garbage  bytes that are no protocol
//!   plugin       a write-policy plugin in Python               collect  senders of log records
//!   relay_cut    kill -9 in a flush, a merge, a removal       collect_kill  while log records are sent
//!   rsyslog      the page's configuration of it               follow   who reads what a server took
//! ```

mod collect;
mod collect_full;
mod collect_kill;
mod follow;
pub(crate) mod garbage;
mod kill;
mod nostr_tools;
mod peer;
mod plugin;
mod relay_cut;
mod rsyslog;
mod script;
mod sdk;
mod sync;

use crate::tool::ratite;
use ratite::io::{Clock, SystemClock};
use ratite::nostr::Event;
use serde_json::Value;
use std::fs::File;
use std::io::ErrorKind::Interrupted;
use std::io::{BufRead, BufReader, Read, Seek};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::Duration;
use tungstenite::stream::MaybeTlsStream;
use tungstenite::{Message, WebSocket};

/// After this a message that did not come is a failure; far more than any needs.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// Waits until `there` gives something, and not for ever.
#[track_caller]
pub(crate) fn until<T>(what: &str, mut there: impl FnMut() -> Option<T>) -> T {
    let clock = SystemClock::new();
    loop {
        if let Some(found) = there() {
            return found;
        }
        assert!(clock.monotonic_nanos() < 2 * DEADLINE.as_nanos() as u64, "it never came: {what}");
        std::thread::yield_now();
    }
}

/// `ratite relay` as a process, on small files; it ends with the test.
pub(crate) struct Relay {
    pub(crate) child: Child,
    out: BufReader<ChildStdout>,
    err: File,
    pub(crate) url: String,
}

impl Relay {
    /// Starts it on the store in `dir` and waits until clients can connect.
    pub(crate) fn start(dir: &Path, more: &[&str]) -> Relay {
        Relay::start_by(&mut ratite(&[]), dir, more)
    }

    /// The same, by a command of which the program is the end.
    pub(crate) fn start_by(command: &mut Command, dir: &Path, more: &[&str]) -> Relay {
        let err = tempfile::tempfile().unwrap();
        let threads = if more.contains(&"--threads") { &[][..] } else { &["--threads", "2"] };
        let mut child = command
            .args(["relay", "--data", dir.to_str().unwrap()])
            .args(["--listen", "127.0.0.1:0"])
            .args(["--shards", "2"])
            .args(threads)
            .args(["--log-file", "8 MiB", "--memtable", "1 MiB", "--memory", "96 MiB"])
            .args(more)
            .stdout(Stdio::piped())
            .stderr(err.try_clone().unwrap())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let mut relay = Relay { child, out, err, url: String::new() };
        let mut line = String::new();
        relay.out.read_line(&mut line).unwrap();
        let url = line.trim_end().strip_prefix("listening on ");
        relay.url = url.unwrap_or_else(|| panic!("{line:?}, {}", relay.said())).into();
        relay
    }

    /// What it said on standard error so far.
    pub(crate) fn said(&mut self) -> String {
        let mut text = String::new();
        self.err.rewind().unwrap();
        self.err.read_to_string(&mut text).unwrap();
        text
    }

    /// The address without the `ws://`.
    pub(crate) fn address(&self) -> &str {
        self.url.strip_prefix("ws://").unwrap()
    }

    /// Stops it as a service manager does; it has to end well. Gives all that it said.
    pub(crate) fn stop(mut self) -> String {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        let status = self.child.wait().unwrap();
        let said = self.said();
        assert_eq!(status.code(), Some(0), "{said}");
        assert!(!said.contains("panicked"), "{said}");
        said
    }

    /// kill -9.
    pub(crate) fn kill(&mut self) -> ExitStatus {
        self.child.kill().unwrap();
        self.child.wait().unwrap()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        // It has ended already if the test went well.
        let _ended = self.child.kill();
        let _waited = self.child.wait();
    }
}

/// A websocket that speaks JSON and waits for its answers.
pub(crate) struct Socket(pub(crate) WebSocket<MaybeTlsStream<TcpStream>>);

impl Socket {
    pub(crate) fn connect(url: &str) -> Socket {
        let (socket, _response) = tungstenite::connect(url).unwrap();
        let MaybeTlsStream::Plain(stream) = socket.get_ref() else { panic!("{url}") };
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        Socket(socket)
    }

    /// Sends a message as it is.
    pub(crate) fn send(&mut self, text: String) -> tungstenite::Result<()> {
        self.0.send(Message::text(text))
    }

    pub(crate) fn publish(&mut self, event: &Event) -> tungstenite::Result<()> {
        self.send(format!("[\"EVENT\",{}]", json(event)))
    }

    /// The next message, the relay's challenge aside.
    pub(crate) fn next(&mut self) -> tungstenite::Result<Value> {
        loop {
            let message = match self.0.read() {
                // With a deadline a read is not taken up again by the kernel when a signal comes.
                Err(tungstenite::Error::Io(why)) if why.kind() == Interrupted => continue,
                other => other?,
            };
            if let Message::Text(text) = message {
                let message: Value = serde_json::from_str(&text).unwrap();
                if message[0] != "AUTH" {
                    return Ok(message);
                }
            }
        }
    }

    /// The stored events of one filter, newest first.
    pub(crate) fn query(&mut self, filter: &Value) -> Vec<Value> {
        self.send(format!("[\"REQ\",\"q\",{filter}]")).unwrap();
        let mut events = Vec::new();
        loop {
            let mut message = self.next().unwrap();
            match message[0].as_str() {
                Some("EVENT") => events.push(message[2].take()),
                Some("EOSE") => break,
                _ => panic!("{message}"),
            }
        }
        self.send("[\"CLOSE\",\"q\"]".into()).unwrap();
        events
    }

    /// How many events match a filter.
    pub(crate) fn count(&mut self, filter: &Value) -> u64 {
        self.send(format!("[\"COUNT\",\"c\",{filter}]")).unwrap();
        let message = self.next().unwrap();
        message[2]["count"].as_u64().unwrap_or_else(|| panic!("{message}"))
    }
}

pub(crate) fn json(event: &Event) -> String {
    String::from_utf8(event.to_json()).unwrap()
}
