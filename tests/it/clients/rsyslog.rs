//! The configuration of rsyslog that docs/operations.md shows, run by rsyslogd itself: it sends what comes, keeps it while
//! nobody takes it, and sends it then.

use super::collect::{Serve, found, is_there, open};
use super::until;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};

const PAGE: &str = include_str!("../../../docs/operations.md");

/// The snippet of the page, for another port.
fn snippet(address: &str) -> String {
    let begin = PAGE.find("# rsyslog: ").expect("a snippet");
    let snippet = &PAGE[begin..begin + PAGE[begin..].find("```").unwrap()];
    let port = address.rsplit_once(':').unwrap().1;
    let changed = snippet.replace("port=\"5514\"", &format!("port=\"{port}\""));
    assert_ne!(changed, snippet, "the snippet names the port of the defaults");
    changed
}

/// rsyslogd with a socket of its own in `room`.
struct Rsyslog(Child);

impl Rsyslog {
    fn start(room: &Path, address: &str) -> Rsyslog {
        let dir = room.to_str().unwrap();
        let config = format!(
            "global(workDirectory=\"{dir}\")\n\
             module(load=\"imuxsock\" SysSock.Use=\"off\")\n\
             input(type=\"imuxsock\" Socket=\"{dir}/log\" RateLimit.Interval=\"0\")\n{}",
            snippet(address)
        );
        let path = room.join("rsyslog.conf");
        std::fs::write(&path, config).unwrap();
        let check = Command::new("rsyslogd").args(["-N1", "-f"]).arg(&path).output().unwrap();
        let said = String::from_utf8_lossy(&check.stderr).into_owned();
        assert!(check.status.success() && !said.contains("error"), "{said}");
        let child = Command::new("rsyslogd")
            .args(["-n", "-f"])
            .arg(&path)
            .arg("-i")
            .arg(room.join("pid"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        while !room.join("log").exists() {
            std::thread::yield_now();
        }
        Rsyslog(child)
    }
}

impl Drop for Rsyslog {
    fn drop(&mut self) {
        let pid = self.0.id().to_string();
        let _told = Command::new("kill").args(["-TERM", &pid]).status();
        let _ended = self.0.wait();
    }
}

/// Gives rsyslog some lines.
fn log(room: &Path, word: &str, count: u32) {
    let socket = room.join("log");
    let mut logger = Command::new("logger")
        .args(["--socket", socket.to_str().unwrap(), "--tag", "tester"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = logger.stdin.take().unwrap();
    (0..count).for_each(|i| writeln!(lines, "{word} number{i} Größe").unwrap());
    drop(lines);
    assert!(logger.wait().unwrap().success());
}

/// Stops the server when it has taken so many records, by its own figures.
fn stop_after(serve: Serve, records: u64) {
    let url = format!("http://{}/metrics", serve.address("http"));
    let taken = || {
        let (address, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        write!(stream, "GET /{path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
        let mut text = String::new();
        std::io::Read::read_to_string(&mut stream, &mut text).unwrap();
        let lines = text.lines().filter(|l| l.starts_with("ratite_collect_records_total"));
        lines.map(|l| l.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap()).sum::<u64>()
    };
    until("all records", || (taken() >= records).then_some(()));
    serve.stop();
}

#[test]
fn rsyslog_with_the_configuration_of_the_page_sends_and_keeps() {
    let test = "rsyslog_with_the_configuration_of_the_page_sends_and_keeps";
    if !is_there("rsyslogd", test) || !is_there("logger", test) {
        return;
    }
    let (dir, room) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let any = ["--syslog-tcp", "127.0.0.1:0", "--http", "127.0.0.1:0"];
    let serve = Serve::start_with(dir.path(), &any);
    let address = serve.address("syslog_tcp");
    let rsyslog = Rsyslog::start(room.path(), &address);
    log(room.path(), "before", 200);
    stop_after(serve, 200);
    // Nobody takes these; it tries again and again.
    log(room.path(), "meanwhile", 200);
    let serve = Serve::start_with(dir.path(), &["--syslog-tcp", &address, "--http", any[3]]);
    log(room.path(), "after", 200);
    stop_after(serve, 399);
    drop(rsyslog);
    let store = open(dir.path());
    let mut all = 0;
    for word in ["before", "meanwhile", "after"] {
        for (record, times) in found(&store, word) {
            assert!(record.contains("/tester ") && record.ends_with("Größe"), "{record}");
            assert_eq!(times, 1, "{record}");
            all += 1;
        }
    }
    // Of what a stream had taken when its receiver ended, nobody knows: syslog has no answers.
    assert!(all >= 599, "{all} of 600");
    store.close().unwrap();
}
