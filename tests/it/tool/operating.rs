//! A relay in the hands of a service manager: logs, SIGHUP, a socket that is handed over, restarts.

use super::import::{json, note};
use super::serving::Served;
use super::*;
use std::io::{BufRead, BufReader, Read};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::time::Duration;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::{Message, WebSocket};

const PATIENCE: Duration = Duration::from_secs(30);

/// The body of a GET.
fn get(url: &str, path: &str) -> String {
    let address = url.trim_start_matches("ws://");
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split_once("\r\n\r\n").unwrap().1.into()
}

/// A client that has read the challenge which every client is sent first.
fn greeted(url: &str) -> WebSocket<tungstenite::stream::MaybeTlsStream<TcpStream>> {
    let (mut client, _response) = tungstenite::connect(url).unwrap();
    let challenge = client.read().unwrap().into_text().unwrap();
    assert!(challenge.starts_with("[\"AUTH\""), "{challenge}");
    client
}

#[test]
fn a_log_of_json_is_json_and_tells_nothing_of_what_clients_say() {
    let store = Store::new();
    let options = ["--log", "trace", "--log-format", "json"];
    let (mut relay, _out, url) = Served::start(&store, &options);
    let (mut client, _response) = tungstenite::connect(&url).unwrap();
    let event = note(1, 5, "whispered words");
    client.send(Message::text(format!("[\"EVENT\",{}]", json(&event)))).unwrap();
    client.read().unwrap();
    client.send(Message::text("[\"REQ\",\"whispered words\",{\"x\":1}]")).unwrap();
    client.read().unwrap();
    relay.signal("-TERM");
    let mut err = String::new();
    relay.0.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert_eq!(relay.0.wait().unwrap().code(), Some(0), "{err}");
    assert!(!err.contains("whispered"), "{err}");
    let lines: Vec<Value> = err.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let listens = lines.iter().find(|line| line["message"] == "the relay listens").unwrap();
    assert_eq!((&listens["level"], &listens["threads"]), (&"INFO".into(), &1.into()));
    assert!(listens["timestamp"].as_str().unwrap().ends_with('Z'));
    assert!(lines.iter().all(|line| line["message"].is_string() && line["target"].is_string()));
}

#[test]
fn the_level_is_what_the_options_say_or_else_the_variable_that_all_have() {
    let store = Store::of(&json(&note(1, 5, "")));
    let logged = |more: &[&str], variable: &str| {
        let args = store.args("stats", more);
        let ran: Ran = ratite(&args).env("RUST_LOG", variable).output().unwrap().into();
        assert_eq!(ran.status, Some(0), "{}", ran.err);
        !ran.err.is_empty()
    };
    assert!(!logged(&[], "") && logged(&[], "trace") && !logged(&["--log", "off"], "trace"));
    assert!(logged(&["--log", "trace"], "off"));
}

#[test]
fn a_signal_changes_what_may_change_and_names_what_may_not() {
    let store = Store::new();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ratite.toml");
    let write = |text: &str| std::fs::write(&file, text).unwrap();
    write("[relay]\nname = \"one\"\n");
    let file_name = file.to_str().unwrap();
    let (mut relay, _out, url) = Served::start(&store, &["--config", file_name]);
    let mut err = BufReader::new(relay.0.stderr.take().unwrap()).lines().map(Result::unwrap);
    let mut hang_up = || {
        relay.signal("-HUP");
        err.find(|line| line.starts_with("SIGHUP: ")).expect("an answer to the signal")
    };
    let name = || {
        let document: Value = serde_json::from_str(&get(&url, "/nip11")).unwrap();
        document["name"].as_str().unwrap().to_string()
    };
    assert_eq!(name(), "one");
    let mut client = greeted(&url);
    write(
        "[relay]\nname = \"two\"\nmax-filters = 1\nping = \"9 s\"\n[store]\nring = \"1 MiB\"\n\
           [retention]\nrules = [\"count=5\"]\n[log]\nlevel = \"debug\"\n",
    );
    let said = hang_up();
    assert_eq!(
        said,
        "SIGHUP: changed retention.rules, relay.name, relay.max-filters, relay.ping, log.level; \
         at the next start store.ring"
    );
    // Each thread takes it when it comes to it.
    assert!((0..1000).any(|_| name() == "two"));
    client.send(Message::text("[\"REQ\",\"s\",{},{}]")).unwrap();
    let answer = client.read().unwrap().into_text().unwrap();
    assert!(answer.contains("filter") && !answer.contains("EOSE"), "{answer}");

    assert_eq!(hang_up(), "SIGHUP: changed nothing; at the next start nothing");
    write("[relay]\nname = \"three\"\nmax-filter = 1\n");
    let said = hang_up();
    assert!(said.contains("nothing is changed") && said.contains("max-filter"), "{said}");
    assert_eq!(name(), "two");
    relay.signal("-TERM");
    assert_eq!(relay.0.wait().unwrap().code(), Some(0));
}

#[test]
fn a_signal_loads_the_rules_of_who_may_publish() {
    let (store, dir) = (Store::new(), tempfile::tempdir().unwrap());
    let (file, rules) = (dir.path().join("ratite.toml"), dir.path().join("rules"));
    let configure = |inline: &str| {
        let text = format!("[policy]\nrules = [{inline}]\nfiles = [{rules:?}]\npow = 0\n");
        std::fs::write(&file, text).unwrap();
    };
    std::fs::write(&rules, "deny kind 7\n").unwrap();
    configure("\"deny kind 1\"");
    let (mut relay, _out, url) = Served::start(&store, &["--config", file.to_str().unwrap()]);
    let mut err = BufReader::new(relay.0.stderr.take().unwrap()).lines().map(Result::unwrap);
    let mut hang_up = || {
        relay.signal("-HUP");
        err.find(|line| line.starts_with("SIGHUP: ")).expect("an answer to the signal")
    };
    let mut client = greeted(&url);
    let mut is_taken = || {
        client.send(Message::text(format!("[\"EVENT\",{}]", json(&note(1, 5, ""))))).unwrap();
        let answer = client.read().unwrap().into_text().unwrap();
        assert!(answer.contains("true") || answer.contains("blocked: "), "{answer}");
        answer.contains("true")
    };
    assert!(!is_taken());
    configure("");
    assert_eq!(hang_up(), "SIGHUP: changed policy.rules; at the next start nothing");
    assert!(is_taken());
    // A wrong file changes nothing, also of what the configuration says itself.
    std::fs::write(&rules, "deny kind 1\nsomething else\n").unwrap();
    configure("\"deny kind 1\"");
    let said = hang_up();
    assert!(said.contains("line 2"), "{said}");
    assert!(is_taken());
    std::fs::write(&rules, "deny kind 1\n").unwrap();
    configure("");
    assert_eq!(hang_up(), "SIGHUP: changed nothing; at the next start nothing");
    assert!(!is_taken());
    relay.signal("-TERM");
    assert_eq!(relay.0.wait().unwrap().code(), Some(0));
}

/// A relay on a socket that this process holds, as a service manager hands it over: as descriptor 3.
fn start_on(
    listener: &TcpListener,
    store: &Store,
) -> (Served, BufReader<std::process::ChildStdout>) {
    let script = "exec env LISTEN_PID=$$ LISTEN_FDS=1 \"$0\" \"$@\" 3<&0 0</dev/null";
    let mut command = Command::new("sh");
    let args = store.args("relay", &["--shards", "2", "--threads", "2"]);
    command.args(["-c", script, env!("CARGO_BIN_EXE_ratite")]).args(args);
    command.env("RATITE_CONFIG", "/dev/null").stdin(OwnedFd::from(listener.try_clone().unwrap()));
    let mut relay = Served(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
    let out = BufReader::new(relay.0.stdout.take().unwrap());
    (relay, out)
}

#[test]
fn nobody_is_refused_while_one_relay_follows_another() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let store = Store::new();
    let connect = || {
        let stream = TcpStream::connect(address).expect("nobody is refused");
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    };
    let greet = |stream: TcpStream| {
        let (mut client, _) = tungstenite::client(format!("ws://{address}/"), stream).unwrap();
        let challenge = client.read().unwrap().into_text().unwrap();
        assert!(challenge.starts_with("[\"AUTH\","), "{challenge}");
        client
    };
    let ask = |client: &mut WebSocket<TcpStream>| {
        client.send(Message::text("[\"REQ\",\"s\",{}]")).unwrap();
        let mut events = 0;
        while client.read().unwrap().into_text().unwrap().starts_with("[\"EVENT\"") {
            events += 1;
        }
        events
    };
    let (mut first, mut out) = start_on(&listener, &store);
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    assert_eq!(line, format!("listening on ws://{address}\n"));
    let mut client = greet(connect());
    let event = note(1, 5, "kept");
    client.send(Message::text(format!("[\"EVENT\",{}]", json(&event)))).unwrap();
    assert!(client.read().unwrap().into_text().unwrap().contains("true"));

    first.signal("-TERM");
    let closed = loop {
        match client.read().unwrap() {
            Message::Close(frame) => break frame.unwrap().code,
            _ => drop(connect()),
        }
    };
    assert_eq!(closed, CloseCode::Away);
    drop(client);
    assert_eq!(first.0.wait().unwrap().code(), Some(0));
    // Nobody serves now; who comes waits, also with what it has to say.
    let waiting: Vec<TcpStream> = (0..20).map(|_| connect()).collect();
    let (mut second, _out) = start_on(&listener, &store);
    for stream in waiting {
        assert_eq!(ask(&mut greet(stream)), 1, "what the first relay stored");
    }
    second.signal("-TERM");
    assert_eq!(second.0.wait().unwrap().code(), Some(0));
}

#[test]
fn a_service_manager_is_told_what_the_relay_does() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notify");
    let socket = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let hear = || {
        let mut bytes = [0; 512];
        let count = socket.recv(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..count]).into_owned()
    };
    let store = Store::new();
    let args = store.args("relay", &["--shards", "1", "--listen", "127.0.0.1:0", "--threads", "1"]);
    let mut command = ratite(&args);
    command.env("NOTIFY_SOCKET", &path).stdout(Stdio::null()).stderr(Stdio::null());
    let mut relay = Served(command.spawn().unwrap());
    assert_eq!(hear().trim_end(), "READY=1");
    relay.signal("-HUP");
    let reloading = hear();
    assert!(reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="), "{reloading}");
    assert_eq!(hear().trim_end(), "READY=1");
    relay.signal("-TERM");
    assert_eq!(hear().trim_end(), "STOPPING=1");
    assert_eq!(relay.0.wait().unwrap().code(), Some(0));
}
