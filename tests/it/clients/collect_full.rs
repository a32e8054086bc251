//! `ratite log serve` on a file system that is full: exporters are told to come again and /ready says why; what was
//! answered is stored once, and records are taken again without a restart when there is space.

use super::collect::{Serve, open};
use super::collect_kill::{BATCH, connected, numbers, post};
use crate::real::mount::{Fs, Mounted};
use std::collections::BTreeSet;
use std::io::{Read, Write};

/// What /ready answers.
fn ready(serve: &Serve) -> String {
    let mut stream = connected(&serve.address("http"));
    stream.write_all(b"GET /ready HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// What /ready says of a shard of a full disk.
const FULL: &str = "takes no records for now, since the disk is full";

/// Whole requests are posted from record `from` on until one has this status and /ready says of a full disk what goes
/// with it, which is given back; those with 200 are noted. A request that was too slow has 503 too, and a shard that got
/// none of the requests learns of free space in its own time.
fn until(serve: &Serve, status: u16, from: &mut u64, answered: &mut BTreeSet<u64>) -> String {
    let mut stream = connected(&serve.address("http"));
    for _ in 0..200_000 {
        let got = post(&mut stream, 0, *from).expect("the connection stays");
        assert!([200, 429, 503].contains(&got), "{got}");
        if got == 200 {
            answered.extend(*from..*from + BATCH);
        }
        *from += BATCH;
        if got == status {
            let says = ready(serve);
            if says.contains(FULL) == (status == 503) {
                return says;
            }
        }
    }
    panic!("{status} was never answered, and said: {}", ready(serve));
}

fn fills_up(fs: Fs, test: &str) {
    let Some(mounted) = Mounted::make(fs, 64, "", test) else { return };
    mounted.take("other", 14);
    let dir = mounted.path().join("store");
    let more = ["--syslog-tcp", "127.0.0.1:0", "--http", "127.0.0.1:0", "--disk-reserve", "1 MiB"];
    let serve = Serve::start_with(&dir, &more);
    let (mut next, mut answered) = (0, BTreeSet::new());
    // So small a disk is never called ready; what is said of a full one is more.
    assert!(!ready(&serve).contains(FULL), "{}", ready(&serve));
    let why = until(&serve, 503, &mut next, &mut answered);
    assert!(why.starts_with("HTTP/1.1 503") && why.contains(FULL), "{fs:?}: {why}");
    assert!(!answered.is_empty(), "{fs:?}");
    mounted.free("other");
    until(&serve, 200, &mut next, &mut answered);
    serve.stop();
    let store = open(&dir);
    let found = numbers(&store, "otlp", 0);
    for number in answered {
        assert_eq!(found.get(number as usize), Some(&1), "{fs:?}: record {number}");
    }
    drop(store);
}

#[test]
fn log_serve_on_a_full_disk_sends_exporters_away_and_takes_records_again_by_itself() {
    let test = "log_serve_on_a_full_disk_sends_exporters_away_and_takes_records_again_by_itself";
    [Fs::Ext4, Fs::Tmpfs].into_iter().for_each(|fs| fills_up(fs, test));
}
