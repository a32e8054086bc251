//! `ratite log append` on a file system that is full: it ends and says why, what it counted is stored, and run again
//! with space it goes on behind that.

use super::*;
use crate::real::mount::{Fs, Mounted};
use ratite::io::Rng;
use ratite::logs::{LogOptions, LogStore, Query};
use ratite::store::Options;
use std::fs;

const LINES: usize = 36_000;

/// MiB that are left to fill: log files and a third of the lines.
const LEFT_MIB: usize = 34;

/// Text that does not pack to less than half.
fn line(number: usize) -> String {
    let mut bytes = [0; 400];
    Rng::new(number as u64).fill(&mut bytes);
    let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{} {text} number{number}\n", 1_700_000_000 + number)
}

fn append(store: &Path, more: &[&str]) -> Ran {
    let mut command = ratite(&["log", "append", "--data", store.to_str().unwrap()]);
    command.args(["--source", "x", "--shards", "1", "--log-file", "8 MiB", "--memtable", "1 MiB"]);
    command.args(["--memory", "96 MiB", "--disk-reserve", "1 MiB"]).args(more);
    command.output().unwrap().into()
}

/// How often each line is stored.
fn times(store: &Path) -> Vec<u32> {
    let mut options = Options::default();
    options.log_file_bytes = 8 << 20;
    let store = LogStore::open(store, &LogOptions::from(&options)).unwrap();
    let (mut times, mut search) = (vec![0; LINES], store.search(&Query::default()).unwrap());
    while let Some(record) = search.next().unwrap() {
        let text = std::str::from_utf8(record.raw()).unwrap();
        let number: usize = text.rsplit_once("number").unwrap().1.parse().unwrap();
        assert_eq!(text, line(number).trim_end());
        times[number] += 1;
    }
    drop(search);
    store.close().unwrap();
    times
}

fn fills_up(fs: Fs, test: &str) {
    // What is freed holds everything twice over: merges need room beside what they merge.
    let Some(mounted) = Mounted::make(fs, 160, "", test) else { return };
    mounted.take("other", mounted.free_mib() - LEFT_MIB);
    let room = tempfile::tempdir().unwrap();
    let path = |name: &str| room.path().join(name).to_str().unwrap().to_string();
    let (input, done) = (path("input.log"), path("done.json"));
    fs::write(&input, (0..LINES).map(line).collect::<String>()).unwrap();
    let store = mounted.path().join("store");
    let resume = ["--json", "--resume-file", &*done, &*input];
    let full = append(&store, &resume);
    assert_eq!(full.status, Some(1), "{fs:?}: {}", full.err);
    let told: Value = serde_json::from_str(&full.out).unwrap();
    let appended = told["appended"].as_u64().unwrap() as usize;
    assert!((1..LINES).contains(&appended), "{fs:?}: {told}");
    let why = full.err.lines().find(|line| line.starts_with("ratite: ")).unwrap_or_default();
    assert!(why.contains("the disk is full"), "{fs:?}: {}", full.err);
    assert!(!full.err.contains("panicked"), "{}", full.err);
    // Again, as full as it is: nothing is lost, and nothing is counted that is not stored.
    let again = append(&store, &resume);
    assert_eq!(again.status, Some(1), "{}", again.err);
    let is_once = |stored: &[u32]| stored[..appended].iter().all(|times| *times == 1);
    assert!(is_once(&times(&store)), "{fs:?}: a counted line is not once");
    mounted.free("other");
    let rest = append(&store, &resume);
    assert_eq!(rest.status, Some(0), "{fs:?}: {}", rest.err);
    let stored = times(&store);
    assert!(is_once(&stored), "{fs:?}: a counted line is not once");
    assert!(stored.iter().all(|times| *times > 0), "{fs:?}: a line is missing");
}

#[test]
fn append_on_a_full_disk_says_so_and_goes_on_where_it_was_when_there_is_space() {
    let test = "append_on_a_full_disk_says_so_and_goes_on_where_it_was_when_there_is_space";
    [Fs::Ext4, Fs::Tmpfs].into_iter().for_each(|fs| fills_up(fs, test));
}
