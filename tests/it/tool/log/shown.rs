//! How rows look: text, colours, neighbours, terminals, and readers that have had enough.

use super::*;
use std::io::{BufRead, BufReader, Read};

const LINES: &str = "\
2026-11-22T10:00:00Z one
2026-11-22T10:00:01Z two
2026-11-22T10:00:02Z three ERROR
2026-11-22T10:00:03Z four
2026-11-22T10:00:04Z five
2026-11-22T10:00:05Z six
2026-11-22T10:00:06Z seven error
2026-11-22T10:00:07Z eight
";

/// The last words of rows of text.
fn last_words(text: &str) -> Vec<&str> {
    text.lines()
        .map(|line| {
            line.split(' ').find(|w| w.len() > 2 && !w.contains(':') && *w != "app").unwrap_or(line)
        })
        .collect()
}

#[test]
fn neighbours_of_the_same_source_are_shown_once_and_in_order() {
    let logs = Logs::of("app", LINES);
    // Another source in between is no neighbour.
    logs.append(&["--source", "other"], b"2026-11-22T10:00:01.5Z noise").well();
    let cases: &[(&[&str], &[&str])] = &[
        (&["-A", "1"], &["three", "four", "--", "seven", "eight"]),
        (&["-B", "1"], &["two", "three", "--", "six", "seven"]),
        (&["-C", "1"], &["two", "three", "four", "--", "six", "seven", "eight"]),
        (&["-C", "2"], &["one", "two", "three", "four", "five", "six", "seven", "eight"]),
        (&["-C", "9"], &["one", "two", "three", "four", "five", "six", "seven", "eight"]),
        (&["-C", "1", "-A", "0"], &["two", "three", "--", "six", "seven"]),
        (&["-B", "1", "--reverse"], &["seven", "six", "--", "three", "two"]),
        (
            &["-C", "2", "--reverse"],
            &["eight", "seven", "six", "five", "four", "three", "two", "one"],
        ),
        (&["-A", "1", "--limit", "1"], &["three", "four"]),
    ];
    for (args, words) in cases {
        let text = logs.run("search", &[&["error", "--text"], *args].concat()).well();
        assert_eq!(last_words(&text), *words, "{args:?}\n{text}");
    }
    let rows = logs.search(&["error", "-C", "1"]);
    let is_context: Vec<bool> = rows.iter().map(|row| row["context"] == true).collect();
    assert_eq!(is_context, [true, false, true, true, false, true]);
}

#[test]
fn colours_mark_levels_and_words_and_only_if_they_are_wanted() {
    let logs = Logs::of("app", "2026-11-22T10:00:02Z ERROR in Disk0 diskette disk\n");
    let always = logs.run("search", &["disk", "--text", "--color", "always"]).well();
    let raw = "\u{1b}[31m2026-11-22T10:00:02Z ERROR in Disk0 diskette \u{1b}[1;4mdisk\u{1b}[0m\u{1b}[31m\u{1b}[0m\n";
    assert!(always.ends_with(raw), "{always:?}");
    for plain in [&["--color", "never"][..], &[], &["--color", "auto"]] {
        let text = logs.run("search", &[&["disk", "--text"], plain].concat()).well();
        assert!(!text.contains('\u{1b}') && text.ends_with("diskette disk\n"), "{text:?}");
    }
}

#[test]
fn a_log_cannot_write_to_the_screen_of_who_reads_it() {
    let evil = "2026-11-22T10:00:02Z \u{1b}]0;owned\u{7} \u{9b}2J tab\there";
    let logs = Logs::of("app", evil);
    let shown = logs.run("search", &["tab", "--text", "--color", "always"]).well();
    assert!(!shown.contains("\u{1b}]") && !shown.contains(['\u{7}', '\u{9b}']), "{shown:?}");
    assert!(
        shown.contains("\\u{1b}") && shown.contains("]0;") && shown.contains('\t'),
        "{shown:?}"
    );
    let piped = logs.run("search", &["--text"]).well();
    assert!(piped.contains(evil), "in a pipe the bytes are as they were: {piped:?}");
}

#[test]
fn on_a_terminal_rows_are_text_with_colours_unless_the_environment_objects() {
    let logs = Logs::of("app", "2026-11-22T10:00:02Z ERROR disk\n");
    let on_terminal = |more: &str, no_color: &str| {
        terminal::on_terminal_with(&logs, "search", &format!("{more} disk"), no_color)
    };
    let Some(text) = on_terminal("", "") else { return };
    assert!(text.contains("\u{1b}[31m") && text.contains(".000000+00:00"), "{text:?}");
    let plain = on_terminal("", "1").unwrap();
    assert_eq!(
        plain.trim_end(),
        "2026-11-22T10:00:02.000000+00:00 app 2026-11-22T10:00:02Z ERROR disk"
    );
    assert!(on_terminal("--json", "").unwrap().starts_with("{\"ts\":"));
}

#[test]
fn a_reader_that_has_had_enough_is_no_failure() {
    let lines: String = (0..20_000).map(|n| format!("17000{n:05} line of some length\n")).collect();
    let logs = Logs::of("app", &lines);
    for verb in ["search", "export"] {
        let mut command = logs.command(verb, &[]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        assert!(line.starts_with("{\"ts\":"), "{line}");
        drop(out);
        let mut err = String::new();
        child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        assert_eq!((child.wait().unwrap().code(), err.as_str()), (Some(0), ""), "{verb}");
    }
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let ran: Ran = logs.command("search", &[]).stdout(full).output().unwrap().into();
    assert!(ran.badly().contains("cannot write to standard output"));
}
