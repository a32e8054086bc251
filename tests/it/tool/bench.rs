//! `bench`: every row once, small; and that its directory is its own and gone, however a run ends.

use super::*;
use crate::real::mount::{Fs, Mounted};
use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::Child;

/// A small run in `dir`, which the current directory is.
fn bench(dir: &Path, more: &[&str]) -> Command {
    let usual = ["bench", "--events", "2000", "--shards", "2", "--log-file", "8 MiB"];
    let memory = ["--memtable", "1 MiB", "--memory", "256 MiB"];
    let mut command = ratite(&[&usual[..], &memory, more].concat());
    command.current_dir(dir).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn ran(dir: &Path, more: &[&str]) -> Ran {
    bench(dir, more).output().unwrap().into()
}

fn entries(dir: &Path) -> Vec<PathBuf> {
    fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[track_caller]
fn assert_empty(dir: &Path) {
    let left = entries(dir);
    assert!(left.is_empty(), "{left:?}");
}

/// What was said, but for the warning that other tests run beside this one.
fn said(err: &str) -> Vec<&str> {
    err.lines().filter(|line| !line.contains("the load of this machine is")).collect()
}

/// How many there are of each section at least.
const SECTIONS: [(&str, usize); 7] = [
    ("device", 3),
    ("many events", 3),
    ("one publish", 2),
    ("disk", 3),
    ("memory", 4),
    ("queries, warm", 20),
    ("opening", 2),
];

#[test]
fn a_small_run_measures_everything_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let ran = ran(dir.path(), &[]);
    assert_eq!(said(&ran.err), [""; 0]);
    let rows = Line::all(&ran.well());
    for (section, count) in SECTIONS {
        let of: Vec<_> = rows.iter().filter(|row| row.json["section"] == section).collect();
        assert!(of.len() >= count, "{} rows of {section}", of.len());
        let names: BTreeSet<_> = of.iter().map(|row| row.text_of("row")).collect();
        assert_eq!(names.len(), of.len(), "{section}: {names:?}");
    }
    for Line { text, json } in &rows {
        assert_eq!(json["version"], env!("CARGO_PKG_VERSION"), "{text}");
        assert!(json["host"]["cores"].as_u64() > Some(0), "{text}");
        assert_eq!(json["options"]["shards"], 2, "{text}");
        assert_eq!(json["options"]["memory_mib"], 256, "{text}");
        for times in ["wall_us", "cpu_us"].iter().map(|name| &json[name]).filter(|v| v.is_object())
        {
            let at = |quantile: &str| times[quantile].as_f64().unwrap();
            assert!(at("p50") <= at("p99") && at("p99") <= at("max"), "{text}");
            assert!(at("max") > 0.0 && json["calls"].as_u64() > Some(0), "{text}");
        }
    }
    let row = |name: &str| &rows.iter().find(|row| row.text_of("row") == name).expect(name).json;
    let positive = |name: &str, key: &str| {
        let value = row(name)[key].as_f64();
        assert!(value > Some(0.0), "{key} of {name} is {value:?}");
    };
    positive("random reads, 4 KiB, 32 under way", "per_second");
    positive("ingest", "share_of_bare_append");
    positive("one insert until its answer", "times_bare_p50");
    positive("signatures alone", "events_per_second");
    positive("segments, compacted", "bytes_per_event");
    positive("after kill -9", "replayed");
    assert_eq!(row("get by id")["rows"], 1.0);
    assert_empty(dir.path());
}

#[test]
fn the_directory_of_the_configuration_is_left_alone() {
    let (dir, store) = (tempfile::tempdir().unwrap(), Store::of(&events(50, 3)));
    let before = store.run("export", &[]).well();
    let mut command = bench(dir.path(), &["--sync", "never"]);
    let ran: Ran = command.env("RATITE_DATA", store.dir()).output().unwrap().into();
    let rows = Line::all(&ran.well());
    // Nothing is durable, so nothing is compared with what is.
    let ingest = rows.iter().find(|row| row.text_of("row") == "ingest").unwrap();
    assert_eq!(ingest.json["options"]["sync"], "never");
    assert!(ingest.json["share_of_bare_append"].is_null());
    assert_eq!(store.run("export", &[]).well(), before);
    assert_empty(dir.path());
}

#[test]
fn a_directory_that_is_given_is_empty_before_and_after() {
    let dir = tempfile::tempdir().unwrap();
    let (given, new) = (dir.path().join("given"), dir.path().join("new"));
    fs::create_dir(&given).unwrap();
    for data in [&given, &new] {
        ran(dir.path(), &["--data", data.to_str().unwrap()]).well();
    }
    let left = entries(dir.path());
    assert!(left.len() == 1 && left[0] == given, "made is gone, there before is not: {left:?}");
    assert_empty(&given);

    let kept = given.join("kept");
    fs::write(&kept, "something").unwrap();
    let why = ran(dir.path(), &["--data", given.to_str().unwrap()]).badly();
    assert!(why.contains("given is not empty"), "{why}");
    assert_eq!(fs::read_to_string(&kept).unwrap(), "something");
    for place in [kept.to_str().unwrap(), "/proc/ratite", "nowhere/at/all"] {
        let why = ran(dir.path(), &["--data", place]).badly();
        assert!(why.contains("cannot make the directory") && why.contains(place), "{why}");
    }
    let nowhere: Ran = bench(Path::new("/proc"), &[]).output().unwrap().into();
    let why = nowhere.badly();
    assert!(why.contains("--data names another place"), "{why}");
}

#[test]
fn a_disk_without_room_is_refused_before_anything_is_written() {
    let test = "a_disk_without_room_is_refused_before_anything_is_written";
    let Some(mounted) = Mounted::make(Fs::Tmpfs, 20, "", test) else { return };
    let why = ran(&mounted.path(), &[]).badly();
    assert!(why.contains(" free, and 2000 events take up to "), "{why}");
    assert_empty(&mounted.path());
}

/// Starts a run and reads its first figure.
fn begun(dir: &Path) -> (Child, BufReader<std::process::ChildStdout>) {
    let mut child = bench(dir, &[]).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    assert_eq!(Line::all(&line)[0].text_of("section"), "device");
    assert_eq!(entries(dir).len(), 1, "it works here");
    (child, out)
}

fn end_of(mut child: Child) -> (Option<i32>, String) {
    let mut err = String::new();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    (child.wait().unwrap().code(), err)
}

#[test]
fn a_signal_ends_a_run_and_what_it_made_is_gone() {
    for (signal, name) in [("-INT", "SIGINT"), ("-TERM", "SIGTERM")] {
        let dir = tempfile::tempdir().unwrap();
        let (child, _out) = begun(dir.path());
        let pid = child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
        let (status, err) = end_of(child);
        assert_eq!((status, said(&err)), (Some(1), vec![&*format!("ratite: stopped by {name}")]));
        assert_empty(dir.path());
    }
}

#[test]
fn a_reader_that_has_had_enough_ends_a_run_quietly() {
    let dir = tempfile::tempdir().unwrap();
    let (child, out) = begun(dir.path());
    drop(out);
    let (status, err) = end_of(child);
    assert_eq!((status, said(&err)), (Some(0), vec![]));
    assert_empty(dir.path());

    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let ran: Ran = bench(dir.path(), &[]).stdout(full).output().unwrap().into();
    assert_eq!(ran.status, Some(1));
    assert!(ran.summary().contains("cannot write to standard output"), "{}", ran.err);
    assert_empty(dir.path());
}
