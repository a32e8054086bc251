//! What is held: connections that do nothing, readers that do not read, descriptors that run out.

use super::*;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::collections::HashSet;

pub(super) fn all(scale: usize) {
    unread(scale);
    answers(scale);
    idle(1_000 * scale);
    silent(scale);
    descriptors();
}

/// Clients with a broad subscription that never read, while events are posted: dropped one after the other, all
/// together holding no more than they may.
fn unread(scale: usize) {
    let mut siege =
        Siege::begin(&["--max-queue-total", "16 MiB", "--sync", "never", "--close-timeout", "1 s"]);
    let count = 20 * scale;
    // What all may hold, a 16th of what each may, what is being written to each, and what the store caches.
    let most = 16 + (count / 4) as u64 + 64;
    siege.beside("readers that never read", most, |siege| {
        let dropped = siege.metric("ratite_relay_slow_clients_total");
        let open: Vec<TcpStream> = (0..count)
            .map(|_| {
                let mut stream = siege.wire();
                stream.write_all(&frame(0x81, b"[\"REQ\",\"all\",{}]")).unwrap();
                stream
            })
            .collect();
        let mut writer = siege.socket();
        let long = "x".repeat(50_000);
        let mut posted = 0;
        while siege.metric("ratite_relay_slow_clients_total") < dropped + count as u64 {
            for _ in 0..20 {
                writer.publish(&note(7, now(), &format!("{posted} {long}"))).unwrap();
                assert_eq!(writer.next().unwrap()[2], true);
                posted += 1;
            }
            assert!(posted < 10_000, "the sockets cannot hold so much");
        }
        drop(open);
    });
    siege.said("this client reads too slowly");
    siege.end();
}

/// Large answers that nobody takes wait in the store, not in memory; and who waits for them is not read.
fn answers(scale: usize) {
    let siege = Siege::begin(&["--sync", "never"]);
    let mut writer = siege.socket();
    let long = "x".repeat(20_000);
    for n in 0..200 {
        writer.publish(&note(7, now(), &format!("{n} {long}"))).unwrap();
        assert_eq!(writer.next().unwrap()[2], true);
    }
    // A quarter of a queue each, at most, and what the pool reads.
    let count = 20 * scale;
    siege.beside("answers that are not taken", (2 * count + 64) as u64, |siege| {
        let asked = "ratite_relay_messages_total{type=\"req\"}";
        let before = siege.metric(asked);
        let mut open: Vec<TcpStream> = (0..count).map(|_| siege.wire()).collect();
        for stream in &mut open {
            stream.set_nonblocking(true).unwrap();
            for n in 0..100 {
                let request = format!("[\"REQ\",\"{n}\",{{\"limit\":1000}}]");
                // As much as there is room for.
                let _written = stream.write(&frame(0x81, request.as_bytes()));
            }
        }
        siege.until(asked, before + count as u64);
        (0..200).for_each(|_| siege.tick());
    });
    siege.end();
}

/// As many connections of `count` as the relay, which keeps a quarter of its descriptors, and this process may have.
fn affordable(count: usize) -> usize {
    let limit = getrlimit(Resource::Nofile);
    // As the relay does.
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).unwrap();
    let most = limit.maximum.map_or(usize::MAX, |most| most as usize);
    let most = (most - most / 4).saturating_sub(300);
    if most < count {
        eprintln!("{most} connections, not {count}: there are no more descriptors");
    }
    count.min(most)
}

/// KiB that an idle connection may take.
const IDLE_KIB_MAX: u64 = 48;

/// Connections that do nothing, while others are served.
fn idle(count: usize) {
    let siege = Siege::begin(&["--max-connections", "20000"]);
    let count = affordable(count);
    // And the program.
    let most = count as u64 * IDLE_KIB_MAX / 1024 + 32;
    let mut each = Vec::new();
    siege.beside(&format!("{count} idle connections"), most, |siege| {
        let before = resident_kib(&siege.relay);
        let mut open: Vec<TcpStream> = (0..count).map(|_| siege.wire()).collect();
        assert!(siege.metric("ratite_relay_connections ") >= count as u64);
        each.push(resident_kib(&siege.relay).saturating_sub(before) as f64 / count as f64);
        siege.hold();
        // Half of them go without a word.
        open.truncate(count / 2);
        let gone = count as u64 / 2 + 8;
        siege.until_most("ratite_relay_connections ", gone);
        assert!(open.iter_mut().all(|stream| !is_gone(stream)));
    });
    eprintln!("each of {count} idle connections takes {:.1} KiB", each[0]);
    assert!(each[0] < IDLE_KIB_MAX as f64, "{each:?}");
    siege.end();
}

/// Connections of which only one end is there: those that never said a word, that were websockets and fell silent, and
/// that hung up their half in the middle of a message. All are ended, and the log says why.
fn silent(scale: usize) {
    let timeouts = ["--head-timeout", "1 s", "--http-timeout", "2 s", "--ping", "1 s"];
    let mut siege = Siege::begin(&[&timeouts[..], &["--pong", "2 s"]].concat());
    let count = 100 * scale;
    siege.beside("half-open connections", 32 + 2 * scale as u64, |siege| {
        let figures = ["ratite_relay_heads_refused_total", "ratite_relay_silent_clients_total"];
        let before = figures.map(|name| siege.metric(name));
        let mute: Vec<TcpStream> = (0..count).map(|_| connect(&siege.relay)).collect();
        let silent: Vec<TcpStream> = (0..count).map(|_| siege.wire()).collect();
        for _ in 0..count {
            let mut half = siege.wire();
            half.write_all(&head(0x81, 1_000)).unwrap();
            half.shutdown(std::net::Shutdown::Write).unwrap();
            // It was not waited for.
            assert_eq!(close_code(&rest(half)), None);
        }
        for (name, before) in figures.into_iter().zip(before) {
            siege.until(name, before + count as u64);
        }
        for mut stream in mute.into_iter().chain(silent) {
            while !is_gone(&mut stream) {
                siege.tick();
            }
        }
    });
    siege.said("no request came in time");
    siege.said("this client does not answer a ping");
    siege.end();
}

/// Lets the relay have so many descriptors from now on.
fn limit_descriptors(siege: &Siege, most: usize) {
    let pid = siege.relay.child.id().to_string();
    let limit = format!("--nofile={most}:20000");
    assert!(Command::new("prlimit").args(["--pid", &pid, &limit]).status().unwrap().success());
}

/// What the relay has open.
fn links_of(siege: &Siege) -> impl Iterator<Item = String> {
    let all = std::fs::read_dir(format!("/proc/{}/fd", siege.relay.child.id())).unwrap();
    all.flatten().filter_map(|fd| Some(fd.path().read_link().ok()?.to_string_lossy().into_owned()))
}

/// When there is no descriptor for another connection, who is in is served, and it goes on when there is one again.
fn descriptors() {
    if Command::new("prlimit").arg("--version").output().is_err() {
        eprintln!("skipped: there is no prlimit here");
        return;
    }
    let mut siege = Siege::begin(&[]);
    let mut inside = siege.socket();
    // The limit that the relay knew, and kept the store's share of, was another: its log files are there first. Each
    // of the two shards has one that it writes and the next.
    let logs = || links_of(&siege).filter(|to| to.contains("/wal-")).collect::<HashSet<_>>();
    until("its log files", || (logs().len() == 4).then_some(()));
    // Its directory is synced last, which nothing outside tells: many answers later it is.
    (0..500).for_each(|_| siege.tick());
    let used = links_of(&siege).count();
    limit_descriptors(&siege, used + 10);
    let mut open: Vec<TcpStream> = (0..50).map(|_| connect(&siege.relay)).collect();
    let mut at = 0;
    // The log says it within a moment.
    while !siege.relay.said().contains("cannot accept connections") {
        let event = note(8, now(), &at.to_string());
        inside.publish(&event).unwrap();
        let heard = inside.next().unwrap();
        assert_eq!(heard[2], true, "who is in is served: {heard}");
        at += 1;
        assert!(at < 100_000, "nothing is said");
    }
    open.clear();
    limit_descriptors(&siege, 20_000);
    siege.tick();
    assert!(siege.metric("ratite_relay_accept_errors_total") > 0);
    siege.beside("after the descriptors had run out", 32, Siege::hold);
    siege.end();
}

/// The descriptors that the process may have are not all for clients: what is left is for the store.
#[test]
fn clients_leave_descriptors_to_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let limited = ["--nofile=400:400", env!("CARGO_BIN_EXE_ratite")];
    if Command::new("prlimit").arg("--version").output().is_err() {
        eprintln!("skipped: there is no prlimit here");
        return;
    }
    let mut relay =
        Relay::start_by(Command::new("prlimit").args(limited), dir.path(), &["--sync", "never"]);
    assert!(relay.said().contains("no more connections are let in"), "{}", relay.said());
    let mut inside = Socket::connect(&relay.url);
    let open: Vec<TcpStream> = (0..600).map(|_| connect(&relay)).collect();
    // Log files and segments are opened meanwhile: 20 MiB of events in memtables of 1 MiB and log files of 8.
    let long = "x".repeat(40_000);
    for n in 0..500 {
        inside.publish(&note(9, now(), &format!("{n} {long}"))).unwrap();
        let heard = inside.next().unwrap();
        assert_eq!(heard[2], true, "{heard}");
    }
    let used = std::fs::read_dir(format!("/proc/{}/fd", relay.child.id())).unwrap().count();
    assert!(used < 400, "{used}");
    drop(open);
    drop(inside);
    relay.stop();
}

#[test]
fn readers_that_never_read_are_dropped_within_their_memory() {
    unread(1);
}

#[test]
fn answers_that_are_not_taken_wait_in_the_store() {
    answers(1);
}

#[test]
fn idle_connections_take_little() {
    idle(1_000);
}

#[test]
fn half_open_connections_are_ended() {
    silent(1);
}

#[test]
fn without_descriptors_who_is_in_is_served() {
    descriptors();
}
