//! What people see on a terminal where programs get objects in a pipe: progress, tables, colours.

use super::*;

/// What a verb writes on a terminal of its own, to both outputs; nothing where there is no way to one.
pub fn on_terminal(logs: &Logs, verb: &str, more: &str) -> Option<String> {
    on_terminal_with(logs, verb, more, "")
}

/// The same, with `NO_COLOR` set to this.
pub fn on_terminal_with(logs: &Logs, verb: &str, more: &str, no_color: &str) -> Option<String> {
    Command::new("script").arg("--version").output().ok()?;
    let (program, dir) = (env!("CARGO_BIN_EXE_ratite"), logs.dir());
    let line = format!("{program} log {verb} --data {dir} --memory '256 MiB' {more}");
    let mut command = Command::new("script");
    command.args(["-qec", &line, "/dev/null"]).env("RATITE_CONFIG", "/dev/null");
    command.env("TZ", "UTC").env("NO_COLOR", no_color).env("TERM", "xterm").stdin(Stdio::null());
    Some(String::from_utf8(command.output().unwrap().stdout).unwrap())
}

const LINES: &str = "\
2026-11-22T10:00:00Z one
2026-11-22T10:00:01Z two ERROR disk
2026-11-22T10:00:02Z three
2026-11-22T10:00:03Z four
2026-11-22T10:00:04Z five ERROR disk
";

#[test]
fn append_shows_how_far_it_is_on_a_terminal_and_one_line_in_a_pipe() {
    let room = tempfile::tempdir().unwrap();
    let path = room.path().join("app.log");
    let lines: String = (0..60_000).map(|n| format!("{} line{n}\n", 1_700_000_000 + n)).collect();
    std::fs::write(&path, lines).unwrap();
    let (logs, path) = (Logs::new(), path.to_str().unwrap());
    let Some(shown) = on_terminal(&logs, "append", &format!("--sync never {path}")) else { return };
    for part in ["%", " records, ", " a second", " left"] {
        assert!(shown.contains(part), "{part} in {shown:?}");
    }
    let last = shown.trim_end().lines().last().unwrap();
    assert!(last.contains("appended 60000 records, refused 0, in "), "{shown:?}");
    let piped = logs.run("append", &[path]);
    assert_eq!(piped.err.lines().count(), 1, "{}", piped.err);
    assert!(!piped.err.contains('\u{1b}') && !piped.err.contains('%'), "{}", piped.err);
    assert_eq!(piped.well(), "");
}

#[test]
fn what_is_a_table_on_a_terminal_is_objects_in_a_pipe() {
    let logs = Logs::of("app", LINES);
    let cases: [(&str, &[&str], &[&str]); 5] = [
        ("segments", &[], &["segment", "on disk", "active", "1 segments"]),
        ("stats", &[], &["records", "first", "app"]),
        ("seal", &[], &["segment", "sealed", "1 segments"]),
        ("retain", &["--bytes", "0", "--dry-run"], &["would drop 1 segments", "sealed"]),
        ("search", &["disk", "--histogram", "1s"], &["T10:00:01+00:00  1 █", "T10:00:02+00:00  0"]),
    ];
    for (verb, more, parts) in cases {
        if verb == "seal" {
            // The one before has nothing left to seal.
            assert!(objects(&logs.run("segments", &[]).well())[0]["sealed"] == false);
        }
        let Some(shown) = on_terminal(&logs, verb, &more.join(" ")) else { return };
        for part in parts {
            assert!(shown.contains(part), "{verb}: {part} in {shown}");
        }
        assert!(!shown.contains("{\""), "{verb}: {shown}");
        let asked = on_terminal(&logs, verb, &[more, &["--json"]].concat().join(" ")).unwrap();
        let objects_there = asked.lines().filter(|line| line.starts_with("{\"")).count();
        assert!(verb == "seal" || objects_there > 0, "{verb}: {asked}");
        let piped = objects(&logs.run(verb, more).well());
        assert_eq!(piped.is_empty(), verb == "seal", "{verb}: {piped:?}");
    }
}

#[test]
fn context_has_its_marks_and_matches_their_colours_on_a_terminal() {
    let logs = Logs::of("app", LINES);
    let Some(shown) = on_terminal(&logs, "search", "disk -A 1 --utc") else { return };
    let rows: Vec<&str> = shown.lines().collect();
    assert_eq!(rows.len(), 4, "{shown:?}");
    assert!(rows[0].contains("\u{1b}[31m") && rows[0].contains("\u{1b}[1;4mdisk"), "{shown:?}");
    assert!(rows[1].contains("three") && !rows[1].contains("\u{1b}[1;4m"), "{shown:?}");
    assert!(rows[2].contains("--") && rows[3].contains("five"), "{shown:?}");
    let plain = on_terminal(&logs, "search", "disk -A 1 --utc --color never").unwrap();
    assert!(!plain.contains('\u{1b}'), "{plain:?}");
    assert!(plain.contains("2026-11-22T10:00:01.000000Z app 2026-11-22T10:00:01Z two ERROR disk"));
}
