//! `ratite log tail --follow` beside `ratite log serve`: nothing while the server has the store, and everything that it
//! took once it has ended.

use super::collect::Serve;
use crate::tool::ratite;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

#[test]
fn what_a_server_took_is_followed_when_it_has_ended() {
    let dir = tempfile::tempdir().unwrap();
    let any = ["--syslog-tcp", "127.0.0.1:0", "--http", "127.0.0.1:0"];
    let send = |serve: &Serve, text: &str| {
        let mut stream = TcpStream::connect(serve.address("syslog_tcp")).unwrap();
        // Without a time, so that it is of now: older records are not shown.
        writeln!(stream, "<13>1 - box app - - - {text}").unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        // The server closes when it has read everything.
        assert_eq!(stream.read(&mut [0]).unwrap(), 0);
    };
    let serve = Serve::start_with(dir.path(), &any);
    send(&serve, "hello before");
    serve.stop();
    let data = dir.path().to_str().unwrap();
    let mut tail = ratite(&["log", "tail", "--follow", "--text", "--data", data])
        .args(["--memory", "96 MiB", "--log-file", "8 MiB", "hello"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(tail.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.next().unwrap().ends_with("hello before"));
    for round in 0..2 {
        let serve = Serve::start_with(dir.path(), &any);
        send(&serve, &format!("hello one of {round}"));
        send(&serve, "not of it");
        send(&serve, &format!("hello two of {round}"));
        serve.stop();
        assert!(lines.next().unwrap().ends_with(&format!("hello one of {round}")));
        assert!(lines.next().unwrap().ends_with(&format!("hello two of {round}")));
    }
    let pid = tail.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    assert_eq!(lines.next(), None);
    let mut err = String::new();
    tail.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert_eq!((tail.wait().unwrap().code(), err.as_str()), (Some(0), ""));
}
