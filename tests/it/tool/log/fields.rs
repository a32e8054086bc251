//! `ratite log append`: times, sources and bytes of lines and objects.

use super::*;
use std::fs::{self, File};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

fn now_us() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "the program under test has the system's clock")]
    let now = SystemTime::now();
    now.duration_since(UNIX_EPOCH).unwrap().as_micros() as u64
}

/// A time as the program writes it, in microseconds.
fn us(row: &Value) -> u64 {
    ratite::logs::time::read(row["ts"].as_str().unwrap(), 0).unwrap()
}

#[test]
fn lines_have_the_time_that_they_carry() {
    let logs = Logs::new();
    let lines = [
        ("2026-11-22T14:00:05.123456+01:00 iso", "2026-11-22T13:00:05.123456Z"),
        ("<34>1 2003-10-11T22:14:15.003Z host su - - - rfc 5424", "2003-10-11T22:14:15.003000Z"),
        ("1.2.3.4 - - [10/Oct/2000:13:55:36 -0700] \"GET /\" 200", "2000-10-10T20:55:36.000000Z"),
        ("1700000000.5 epoch", "2023-11-14T22:13:20.500000Z"),
        ("2026/11/22 14:00:05 [error] nginx", "2026-11-22T14:00:05.000000Z"),
    ];
    let input: String = lines.iter().map(|(line, _)| format!("{line}\n")).collect();
    logs.append(&["--source", "x"], input.as_bytes()).well();
    let rows = logs.search(&[]);
    for (line, ts) in lines {
        let row = rows.iter().find(|row| row["raw"] == line).expect(line);
        assert_eq!(row["ts"], ts, "{line}");
    }
    // Of a year that is not told: within half a year of now, whatever that is.
    logs.append(&["--source", "old"], b"<34>Oct 11 22:14:15 host su: rfc 3164").well();
    let ts = us(&logs.search(&["--source", "old"])[0]);
    assert!(ts.abs_diff(now_us()) < 184 * 86_400_000_000, "{ts}");
}

#[test]
fn without_a_time_it_is_now_or_what_the_flag_says() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("app.log");
    fs::write(&path, "no time\n2026-11-22T10:00:00Z a time\n").unwrap();
    let modified = UNIX_EPOCH + Duration::from_secs(1_600_000_000);
    File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
    let own = 1_795_341_600_000_000;
    let times = |more: &[&str]| -> [u64; 2] {
        let logs = Logs::new();
        let args = [more, &[path.to_str().unwrap()]].concat();
        logs.run("append", &args).well();
        let rows = logs.search(&["--source", "app.log"]);
        ["no time", "a time"].map(|end| {
            let row = rows.iter().find(|row| row["raw"].as_str().unwrap().ends_with(end));
            us(row.unwrap())
        })
    };
    let start = now_us();
    let is_now = |ts: u64| (start..=now_us()).contains(&ts);
    for default in [&[][..], &["--ts-from", "line"]] {
        let [none, some] = times(default);
        assert!(is_now(none) && some == own, "{none} {some}");
    }
    assert_eq!(times(&["--ts-from", "mtime"]), [1_600_000_000_000_000, own]);
    let [none, some] = times(&["--ts-from", "now"]);
    assert!(is_now(none) && is_now(some), "{none} {some}");
}

#[test]
fn objects_have_fields_for_everything() {
    let json = r#"{"when":{"at":1700000000},"msg":"it works","pod":"web-1","time":"2001-01-01T00:00:00Z"}"#;
    let stored = |more: &[&str]| {
        let logs = Logs::new();
        logs.append(more, json.as_bytes()).well();
        let row = logs.search(&[]).remove(0);
        ["ts", "source", "raw"].map(|key| row[key].as_str().unwrap().to_string())
    };
    let source = ["--source", "x"];
    let whole = ["2001-01-01T00:00:00.000000Z".to_string(), "x".into(), json.into()];
    assert_eq!(stored(&source), whole, "the whole line, at its time");
    assert_eq!(stored(&[&source[..], &["--format", "ndjson"]].concat()), whole);
    let fields = ["--ts-field", "when.at", "--source-field", "pod", "--raw-field", "msg"];
    let named = ["2023-11-14T22:13:20.000000Z".to_string(), "web-1".into(), "it works".into()];
    assert_eq!(stored(&fields), named);
    assert_eq!(stored(&[&fields[..], &source].concat()), named, "the field is of the record");
    // As text it is a line without a time.
    let [ts, _, raw] = stored(&[&source[..], &["--format", "text"]].concat());
    assert!(raw == json && !ts.starts_with("2001"), "{ts} {raw}");
}

#[test]
fn a_field_that_is_not_there_and_what_is_no_object_are_refused_by_line() {
    let logs = Logs::new();
    let input = "{\"at\":5,\"m\":\"one\"}\nplain\n{\"m\":\"two\"}\n{\"at\":\"soon\"}\n[1]\n{\"at\":6,\"m\":\"six\"}\n";
    let args = ["--source", "x", "--format", "ndjson", "--ts-field", "at", "--raw-field", "m"];
    let ran = logs.append(&args, input.as_bytes());
    assert_eq!((ran.status, ran.out.as_str()), (Some(1), ""));
    for named in [
        "line 2 is refused: it is no JSON object",
        "line 3 is refused: there is no field at",
        "line 4 is refused: at is no time: \"soon\"",
        "line 5 is refused: it is no JSON object",
    ] {
        assert_eq!(ran.err.matches(named).count(), 1, "{named} in {}", ran.err);
    }
    assert!(ran.summary().starts_with("appended 2 records, refused 4, in "), "{}", ran.err);
    assert_eq!(logs.raws(&[]), ["one", "six"]);
}

#[test]
fn the_source_is_said_or_the_files_name_and_never_guessed() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["access.log", "access.log.1", "error.log"] {
        fs::write(dir.path().join(name), format!("line of {name}\n")).unwrap();
    }
    let logs = Logs::new();
    logs.run("append", &[dir.path().to_str().unwrap()]).well();
    assert_eq!(logs.run("search", &["--source", "access.log", "--count"]).well(), "2\n");
    assert_eq!(logs.run("search", &["--source", "error.log", "--count"]).well(), "1\n");
    let said = logs.append(&[], b"of whom?\n");
    assert_eq!(said.status, Some(1), "{}", said.err);
    assert!(said.err.contains("line 1 is of which source? --source NAME or UUID"), "{}", said.err);
    let id = "0191c2f0-7a3b-7cc1-9d3e-0123456789ab";
    logs.append(&["--source", id], b"by uuid\n").well();
    assert_eq!(logs.search(&["--source", id])[0]["source"], id);
    let ran = logs.append(&["--source", ""], b"x");
    assert!(ran.status == Some(2) && ran.err.contains("--source"), "{}", ran.err);
}
