//! The command line: help, refusals, `gen`, and readers that have had enough.

use super::*;
use std::io::{BufRead, BufReader, Read};

const VERBS: [&str; 10] =
    ["relay", "import", "export", "scan", "count", "explain", "stats", "gen", "config", "bench"];

#[test]
fn help_names_every_verb_and_every_verb_has_an_example() {
    let help = run(&["--help"]).well();
    for verb in VERBS {
        assert!(help.lines().any(|l| l.trim_start().starts_with(verb)), "{verb} in:\n{help}");
        let of_verb = run(&[verb, "--help"]).well();
        assert!(of_verb.contains("Example") && of_verb.contains(&format!("ratite {verb}")));
        assert!(of_verb.lines().all(|line| line.chars().count() <= 100), "{of_verb}");
        assert_eq!(of_verb.contains("--data <DIR>"), verb != "gen", "{verb}");
    }
    assert!(help.contains("The first three things to do"));
    assert_eq!(run(&["--version"]).well(), format!("ratite {}\n", env!("CARGO_PKG_VERSION")));
    let nothing = run(&[]);
    assert_eq!(nothing.status, Some(2));
    assert!(nothing.err.contains("The first three things to do"));
}

#[test]
fn wrong_arguments_are_refused_by_name() {
    let cases: &[(&[&str], &[&str])] = &[
        (&["fly"], &["fly"]),
        (&["stats", "--wings"], &["--wings"]),
        (&["stats", "--shards", "3"], &["--shards", "3", "power of two"]),
        (&["stats", "--shards", "128"], &["--shards", "128"]),
        (&["stats", "--page-size", "5000"], &["--page-size", "5000", "power of two"]),
        (&["stats", "--sync", "sometimes"], &["--sync", "sometimes", "always"]),
        (&["stats", "--io", "tape"], &["--io", "tape", "uring"]),
        (&["stats", "--memory", "0"], &["--memory", "0", "1 MiB to 16 TiB"]),
        (&["stats", "--memtable", "many"], &["--memtable", "many", "64 MiB"]),
        (&["stats", "--log-file", "64 MB"], &["--log-file", "64 MB", "MiB"]),
        (&["stats", "--sync-interval", "5 ms"], &["--sync-interval", "store.sync = \"batch\""]),
        (&["stats", "--sync-interval", "5"], &["--sync-interval", "no unit"]),
        (&["stats", "--sync-intervall", "5"], &["--sync-intervall", "--sync-interval"]),
        (&["relay", "--listen", "here"], &["--listen", "here"]),
        (&["relay", "--pubkey", "npub1"], &["--pubkey", "npub1", "64 hex"]),
        (&["relay", "--max-limit", "10", "--default-limit", "11"], &["--default-limit", "11"]),
        (&["gen", "--start", "1", "--stop", "2"], &["--start", "--stop"]),
        (&["scan"], &["FILTER"]),
    ];
    for (args, names) in cases {
        let ran = run(args);
        assert_eq!(ran.status, Some(2), "{args:?}: {}", ran.err);
        assert!(ran.err.starts_with("ratite: ") && ran.out.is_empty(), "{args:?}: {}", ran.err);
        assert!(names.iter().all(|name| ran.err.contains(name)), "{args:?}: {}", ran.err);
    }
    let log: Ran = ratite(&["gen", "-n", "1"]).env("RATITE_LOG", "a=b=c").output().unwrap().into();
    assert!(log.status == Some(2) && log.err.contains("RATITE_LOG"), "{}", log.err);
}

#[test]
fn gen_gives_the_generators_sequence_whoever_signs() {
    let ran = run(&["gen", "--count", "600", "--seed", "5"]);
    assert_eq!(ran.err, "", "progress is for terminals");
    let out = ran.well();
    let config = Config { events: 600, ..Config::default() };
    let expected = Generator::new(5, &config).take(600);
    let expected: Vec<String> =
        expected.map(|event| String::from_utf8(event.to_json()).unwrap()).collect();
    assert_eq!(out.lines().collect::<Vec<_>>(), expected);
    assert!(out.ends_with("\"}\n"));
    assert_eq!(run(&["gen", "--count", "0"]).well(), "");

    let first = |args: &[&str]| Line::all(&run(args).well())[0].number("created_at");
    assert!(first(&["gen", "-n", "1", "--start", "5000000"]).abs_diff(5_000_000) <= 3 * 86_400);
    let times = run(&["gen", "-n", "300", "--stop", "5000000"]).well();
    let newest = Line::all(&times).iter().map(|line| line.number("created_at")).max().unwrap();
    assert!(newest.abs_diff(5_000_000) < 300, "{newest}");
}

/// Runs `args`, reads one line and goes away.
fn read_one_line(args: &[&str]) -> (String, Option<i32>, String) {
    let mut child = ratite(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    drop(out);
    let mut err = String::new();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    (line, child.wait().unwrap().code(), err)
}

#[test]
fn a_reader_that_has_had_enough_is_no_failure() {
    let (line, status, err) = read_one_line(&["gen", "--count", "1000000"]);
    assert!(line.starts_with("{\"id\":"));
    assert_eq!((status, err.as_str()), (Some(0), ""));

    let store = Store::of(&events(1500, 1));
    for verb in [&["export"][..], &["scan", "{}"]] {
        let (line, status, err) = read_one_line(&store.args(verb[0], &verb[1..]));
        assert!(line.starts_with("{\"id\":"));
        assert_eq!((status, err.as_str()), (Some(0), ""), "{verb:?}");
    }
    // The store was closed all the same.
    assert_ne!(store.run("count", &["{}"]).well(), "0\n");
}

#[test]
fn output_that_cannot_be_written_is_a_failure() {
    let store = Store::of(&events(20, 2));
    let asked =
        [&["scan", "{}"][..], &["count", "{}"], &["stats"], &["export"], &["explain", "{}"]];
    let mut commands: Vec<Command> =
        asked.iter().map(|verb| ratite(&store.args(verb[0], &verb[1..]))).collect();
    commands.push(ratite(&["gen"]));
    for mut command in commands {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let ran: Ran = command.stdout(full).output().unwrap().into();
        assert!(ran.badly().contains("cannot write to standard output"), "{command:?}");
    }
}
