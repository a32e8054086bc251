//! `ratite log append`: inputs, limits, stopping, going on; and that an export becomes the same store.

use super::*;
use std::fs;
use std::io::{BufRead, BufReader};

#[test]
fn line_ends_are_no_part_of_lines_and_blank_lines_are_none() {
    let logs = Logs::new();
    let input = "\u{feff}1700000001 one\r\n\r\n   \n1700000002 two \n\n1700000003 three";
    let ran = logs.append(&["--source", "x", "--json"], input.as_bytes());
    assert!(ran.err.starts_with("appended 3 records, refused 0, in "), "{}", ran.err);
    let told = objects(&ran.well());
    assert_eq!((told.len(), &told[0]["appended"], &told[0]["refused"]), (1, &3.into(), &0.into()));
    assert_eq!(told[0]["first"], "2023-11-14T22:13:21.000000Z");
    assert_eq!(
        (&told[0]["raw_bytes"], &told[0]["stopped"]),
        (&(14 + 15 + 16).into(), &Value::Null)
    );
    assert_eq!(logs.raws(&[]), ["1700000001 one", "1700000002 two ", "1700000003 three"]);
    assert_eq!(logs.append(&["--source", "x"], b"").well(), "", "nothing is an input too");
}

#[test]
fn what_is_too_long_is_refused_by_number_and_the_rest_is_stored() {
    let (largest, over) = ("x".repeat(1 << 20), "y".repeat((1 << 20) + 1));
    let far_over = "z".repeat(9 << 20);
    let input = format!("one\n{over}\n{largest}\n{far_over}\nlast");
    let logs = Logs::new();
    let ran = logs.append(&["--source", "x"], input.as_bytes());
    assert_eq!((ran.status, ran.out.as_str()), (Some(1), ""));
    for named in
        ["line 2 is refused: it has 1048577 bytes", "line 4 is refused: it has 9437184 bytes"]
    {
        assert!(ran.err.contains(named), "{named} in {}", ran.err);
    }
    assert!(ran.summary().starts_with("appended 3 records, refused 2, in "), "{}", ran.err);
    assert_eq!(logs.raws(&[]), ["one", &largest, "last"]);
}

#[test]
fn files_directories_and_packed_ones_are_read_in_their_order() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_string();
    // Packed by the program itself, whose export packs by name.
    for (name, text) in [("b.log.gz", "packed with gzip"), ("c.log.zst", "packed with zstd")] {
        let one = Logs::of("x", text);
        one.run("export", &["--format", "text", "--out", &path(name)]).well();
    }
    fs::create_dir(path("sub")).unwrap();
    fs::write(path("a.log"), "first").unwrap();
    fs::write(path("sub/d.log"), "below").unwrap();
    fs::write(path("later.log"), "named").unwrap();
    let logs = Logs::new();
    let (dir, later) = (dir.path().to_str().unwrap(), path("later.log"));
    fs::remove_file(&later).unwrap();
    fs::write(path("sub/e.log"), "").unwrap();
    let args = ["--source", "x", "--ts-from", "now", dir, "-"];
    let ran = logs.append(&args, b"from standard input\n");
    ran.well();
    let all = ["first", "packed with gzip", "packed with zstd", "below", "from standard input"];
    assert_eq!(logs.raws(&[]), all);
    let ran = logs.run("append", &["--source", "x", &later]).badly();
    assert!(ran.contains("later.log"), "{ran}");
}

#[test]
fn lines_that_begin_with_white_space_belong_to_the_record_before() {
    let input = "\
2026-11-22T10:00:00Z panic
  at main
\tat start

2026-11-22T10:00:01Z next
 {\"its\": \"rest\"}
";
    let logs = Logs::new();
    logs.append(&["--source", "x", "--multiline"], input.as_bytes()).well();
    let whole = [
        "2026-11-22T10:00:00Z panic\n  at main\n\tat start",
        "2026-11-22T10:00:01Z next\n {\"its\": \"rest\"}",
    ];
    assert_eq!(logs.raws(&[]), whole);
    let apart = Logs::new();
    apart.append(&["--source", "x"], input.as_bytes()).well();
    assert_eq!(apart.raws(&[]).len(), 5);
}

#[test]
fn an_export_becomes_the_same_store_again() {
    let logs = Logs::new();
    logs.append(
        &["--source", "näme \"x\""],
        b"1700000000 caf\xe9 \x00\x1b[0m\n1700000000 same time, later\n",
    )
    .well();
    logs.append(&["--source", "0191c2f0-7a3b-7cc1-9d3e-0123456789ab"], b"1600000000 by uuid\n")
        .well();
    logs.append(&["--source", "web", "--multiline"], b"1650000000 two\n lines\n").well();
    let strange = r#"{"ts":"@18446744073709551615us","source":"web","raw":""}"#;
    // The last line of a page is no record.
    let page = logs.search(&["--limit", "1"]);
    assert!(page[1]["resume"].is_string(), "{page:?}");
    logs.append(&[], format!("{strange}\n{}\n", page[1]).as_bytes()).well();
    let all = logs.run("export", &[]).well();
    assert_eq!(all.lines().count(), 5, "{all}");
    let not_text = all.lines().find(|line| line.contains("raw_base64")).expect("bytes");
    let row: Value = serde_json::from_str(not_text).unwrap();
    assert_eq!(row["raw"], "1700000000 caf\u{fffd} \0\u{1b}[0m");
    assert_eq!(row["raw_base64"], "MTcwMDAwMDAwMCBjYWbpIAAbWzBt");

    let dir = tempfile::tempdir().unwrap();
    for name in ["all.ndjson", "all.ndjson.gz", "all.ndjson.zst"] {
        let path = dir.path().join(name);
        let path = path.to_str().unwrap();
        let said = logs.run("export", &["--out", path]);
        assert!(said.err.starts_with("5 records in "), "{}", said.err);
        assert_eq!(said.well(), "");
        let copy = Logs::new();
        copy.run("append", &[path]).well();
        assert_eq!(copy.run("export", &[]).well(), all, "{name}");
    }
    let reversed: Vec<&str> = all.lines().rev().collect();
    assert_eq!(logs.run("export", &["--reverse"]).well().lines().collect::<Vec<_>>(), reversed);
    let some = logs.run("export", &["--source", "web", "--to", "@1650000001", "two"]).well();
    assert_eq!(some.lines().count(), 1, "{some}");
    let text = logs.run("export", &["--source", "web", "--format", "text"]).well();
    assert_eq!(text, "1650000000 two\n lines\n\n");
}

#[test]
fn a_signal_stops_it_and_what_was_answered_is_counted() {
    let logs = Logs::new();
    let mut command = logs.command("append", &["--source", "x", "--json", "--format", "ndjson"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    // Written without a pause and in one piece of one pipe's buffer, so read and done in order.
    writeln!(input, "{{\"ts\":5}}\ngarbage").unwrap();
    let mut err = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    err.read_line(&mut line).unwrap();
    assert_eq!(line, "line 2 is refused: it is no JSON object\n");
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    let rest: Vec<String> = err.lines().map(Result::unwrap).collect();
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(1));
    assert_eq!(rest[0], "ratite: stopped by SIGTERM");
    assert!(rest[1].starts_with("appended 1 record, refused 1, in "), "{rest:?}");
    let told = objects(std::str::from_utf8(&ended.stdout).unwrap());
    assert_eq!((&told[0]["appended"], &told[0]["stopped"]), (&1.into(), &"SIGTERM".into()));
    drop(input);
    assert_eq!(logs.raws(&[]), ["{\"ts\":5}"]);
}

#[test]
fn a_resume_file_goes_on_behind_what_is_stored() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_string();
    let (log, other, done) = (path("app.log"), path("b.log"), path("done.json"));
    let logs = Logs::new();
    let append = || logs.run("append", &["--resume-file", &done, "--ts-from", "now", &log, &other]);
    let appended = |ran: Ran, count: &str| {
        assert!(ran.err.starts_with(&format!("appended {count}, ")), "{}", ran.err);
        ran.well();
    };
    fs::write(&other, "of another\n").unwrap();
    fs::write(&log, "one\ntwo\n").unwrap();
    appended(append(), "3 records");
    appended(append(), "0 records");
    fs::write(&log, "one\ntwo\nthree\n").unwrap();
    appended(append(), "1 record");
    // Rotated: another file of the same name.
    fs::rename(&log, path("app.log.1")).unwrap();
    fs::write(&log, "four\n").unwrap();
    appended(append(), "1 record");
    // Cut off and written anew.
    fs::write(&log, "5\n").unwrap();
    appended(append(), "1 record");
    assert_eq!(logs.raws(&["--source", "app.log"]), ["one", "two", "three", "four", "5"]);
    // A record of several lines is done with all of them.
    let whole = path("whole.log");
    fs::write(&whole, "one\n two\n").unwrap();
    let append_whole = || logs.run("append", &["--resume-file", &done, "--multiline", &whole]);
    appended(append_whole(), "1 record");
    appended(append_whole(), "0 records");
    let ran = logs.append(&["--resume-file", &done, "--source", "x"], b"x");
    assert!(ran.status == Some(2) && ran.err.contains("standard input"), "{}", ran.err);
    fs::write(&done, "{\"/a\":7}").unwrap();
    assert!(append().badly().contains("done.json"));
}
