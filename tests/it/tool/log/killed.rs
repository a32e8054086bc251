//! kill -9 of `ratite log append`: from standard input a beginning is stored; with a resume file nothing is missing that
//! it says is stored, and run again everything is there.

use super::*;
use ratite::logs::{LogOptions, LogStore, Query};
use ratite::store::Options;
use std::fs;

/// How often each of the lines of `input` is stored.
fn times(logs: &Logs, count: usize) -> Vec<u32> {
    let mut options = Options::default();
    options.log_file_bytes = 8 << 20;
    let store = LogStore::open(logs.dir(), &LogOptions::from(&options)).unwrap();
    let (mut times, mut search) = (vec![0; count], store.search(&Query::default()).unwrap());
    while let Some(record) = search.next().unwrap() {
        let line = std::str::from_utf8(record.raw()).unwrap();
        let number: usize = line.rsplit_once("number").unwrap().1.parse().unwrap();
        assert_eq!(line, self::line(number).trim_end());
        times[number] += 1;
    }
    drop(search);
    store.close().unwrap();
    times
}

fn line(number: usize) -> String {
    let words = "some words of a line ".repeat(20);
    format!("{} {words}number{number}\n", 1_700_000_000 + number)
}

fn append(logs: &Logs, sync: &str, more: &[&str]) -> Command {
    let mut command = ratite(&["log", "append", "--data", logs.dir(), "--source", "x"]);
    command.args(["--sync", sync, "--shards", "2", "--log-file", "8 MiB", "--memtable", "4 MiB"]);
    command.args(["--memory", "256 MiB"]).args(more);
    command
}

#[test]
fn what_is_stored_of_standard_input_when_append_is_killed_is_its_beginning() {
    for (sync, lines) in [("always", 3_000), ("batch", 40_000), ("never", 90_000)] {
        let logs = Logs::new();
        let mut command = append(&logs, sync, &[]);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        // A pipe holds little: what was written was read, nearly all of it.
        let text: String = (0..lines).map(line).collect();
        input.write_all(text.as_bytes()).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        if !logs.0.path().join("STORE").exists() {
            continue; // killed before there was a store
        }
        let times = times(&logs, lines);
        let stored = times.iter().take_while(|times| **times == 1).count();
        assert!(times[stored..].iter().all(|times| *times == 0), "{sync}: a hole behind {stored}");
        // The rest, appended again, makes it whole.
        let rest: String = (stored..lines).map(line).collect();
        logs.append(&["--source", "x"], rest.as_bytes()).well();
        assert!(self::times(&logs, lines).iter().all(|times| *times == 1));
    }
}

/// The names of the segment files.
fn segments(logs: &Logs) -> Vec<String> {
    let entries = |dir: &Path| fs::read_dir(dir).into_iter().flatten().flatten();
    let shards = entries(logs.0.path()).map(|entry| entry.path()).filter(|path| path.is_dir());
    let files = shards.flat_map(|dir| entries(&dir).collect::<Vec<_>>());
    let names = files.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.ends_with(".seg")).collect()
}

#[test]
fn append_with_a_resume_file_that_is_killed_again_and_again_misses_no_line() {
    const LINES: usize = 60_000;
    const DONE: usize = 10_000;
    let room = tempfile::tempdir().unwrap();
    let path = |name: &str| room.path().join(name).to_str().unwrap().to_string();
    let (input, done) = (path("input.log"), path("done.json"));
    let resume = ["--resume-file", &*done, &*input];
    let logs = Logs::new();
    fs::write(&input, (0..DONE).map(line).collect::<String>()).unwrap();
    assert!(append(&logs, "never", &resume).stderr(Stdio::null()).status().unwrap().success());
    fs::write(&input, (0..LINES).map(line).collect::<String>()).unwrap();
    let mut kills = 0;
    for sync in ["always", "batch", "never", "always", "batch", "never"] {
        let before = segments(&logs);
        let mut command = append(&logs, sync, &resume);
        let mut child = command.stderr(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        // Its first flush: by then some of the lines are stored, and the file says nothing of them yet.
        let is_new = |name: &String| !before.contains(name);
        while !segments(&logs).iter().any(is_new) && child.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        child.kill().unwrap();
        kills += usize::from(child.wait().unwrap().code().is_none());
        let times = times(&logs, LINES);
        assert!(times[..DONE].iter().all(|times| *times == 1), "what was said to be stored");
        let stored = times.iter().take_while(|times| **times > 0).count();
        assert!(times[stored..].iter().all(|times| *times == 0), "a hole behind {stored}");
    }
    assert!(append(&logs, "never", &resume).stderr(Stdio::null()).status().unwrap().success());
    let times = times(&logs, LINES);
    assert!(times.iter().all(|times| *times > 0), "a line is missing");
    assert!(kills > 3, "{kills} kills");
    logs.run("append", &resume).well();
    let again: u32 = self::times(&logs, LINES).iter().sum();
    assert_eq!(again, times.iter().sum::<u32>(), "what is done is not done again");
}
