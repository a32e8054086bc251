//! `import` and `export`: round trips, garbage, and stopping.

use super::*;
use ratite::nostr::{Event, Signer};
use std::io::{BufRead, BufReader};

/// The numbers of a summary by their names.
fn counts(ran: &Ran) -> HashMap<String, u64> {
    let summary = ran.summary().split(" in ").next().unwrap_or("").replace(['(', ')'], ",");
    let entries = summary.split(',').map(str::trim).filter(|entry| !entry.is_empty());
    let count = |entry: &str| {
        let (name, number) = entry.rsplit_once(' ').unwrap_or_else(|| panic!("{summary}"));
        (name.to_string(), number.parse().unwrap_or_else(|_| panic!("{summary}")))
    };
    entries.map(count).collect()
}

#[test]
fn what_goes_in_comes_out_byte_for_byte_and_in_order() {
    // Signed ones first, checked on the way; then many, trusted.
    let signed = run(&["gen", "--count", "400", "--seed", "9"]).well();
    let input = format!("{signed}\n{}", events(2000, 10));
    let store = Store::new();
    let checked = store.import(&[], signed.as_bytes());
    assert_eq!(counts(&checked)["bad signature"], 0, "{}", checked.err);
    checked.well();
    let trusted = store.import(&["--no-verify"], input.as_bytes());
    let counted = counts(&trusted);
    let sum: u64 =
        ["inserted", "replaced", "duplicate", "refused"].map(|k| counted[k]).iter().sum();
    assert_eq!(sum, 2400, "every line counts once: {}", trusted.summary());
    assert!(counted["duplicate"] > 300 && counted["ephemeral"] > 5 && counted["older version"] > 0);
    trusted.well();

    let expected = kept(&input.replace("\n\n", "\n"));
    let out = store.run("export", &[]).well();
    assert_eq!(out, texts(&expected));
    let newest_first: Vec<Line> = expected.iter().rev().cloned().collect();
    assert_eq!(store.run("export", &["--reverse"]).well(), texts(&newest_first));

    let (since, until) = (expected[200].number("created_at"), expected[900].number("created_at"));
    let mut within = expected.clone();
    within.retain(|line| (since..=until).contains(&line.number("created_at")));
    let (since, until) = (since.to_string(), until.to_string());
    let some = store.run("export", &["--since", &since, "--until", &until]).well();
    assert_eq!(some, texts(&within));

    let copy = Store::new();
    let copied = copy.import(&["--no-verify"], out.as_bytes());
    assert_eq!(counts(&copied)["inserted"], expected.len() as u64, "{}", copied.err);
    assert_eq!(copy.run("export", &[]).well(), out);
}

fn note(kind: u16, created_at: u64, content: &str) -> Event {
    let signer = Signer::new([7; 32]).unwrap();
    Event::from_parts(*signer.pubkey(), created_at, kind, &[["t", "x"]], content).sign(&signer)
}

fn json(event: &Event) -> String {
    String::from_utf8(event.to_json()).unwrap()
}

#[test]
fn garbage_is_named_counted_and_no_hindrance() {
    let good = json(&note(1, 100, "hello"));
    let forged = good.replace("hello", "hallo");
    let sig = good.find("\"sig\":\"").unwrap() + 7;
    let digit = if &good[sig + 70..sig + 71] == "0" { "1" } else { "0" };
    let unsigned = format!("{}{digit}{}", &good[..sig + 70], &good[sig + 71..]);
    let long = json(&note(1, 101, "long")).replace("long", &"x".repeat(13 << 20));
    let lines = [
        "garbage", // line 1
        &good,
        "{\"id\":1}",
        "", // blank lines have numbers and no fate
        &forged,
        &unsigned,
        &good,
        &json(&note(0, 200, "new")), // 8
        &json(&note(0, 199, "old")),
        &json(&note(0, 201, "newest")),
        &json(&note(20001, 1, "")),
        "\u{feff}{}",
        &long, // 13; what follows it is in a chunk of its own, and may be done first
        &json(&note(1, 102, "the last")),
    ];
    let input = lines.join("\r\n");
    let store = Store::new();
    let ran = store.import(&["--show-rejected"], input.as_bytes());
    assert_eq!((ran.status, ran.out.as_str()), (Some(1), ""));
    assert!(
        ran.summary().starts_with(
            "inserted 3, replaced 1, duplicate 1, refused 8 (invalid json 3, bad id 1, \
             bad signature 1, older version 1, ephemeral 1, deleted 0, expired 0, \
             too large 1) in "
        ),
        "{}",
        ran.err
    );
    for named in [
        "line 1: invalid json: ",
        "line 3: invalid json: ",
        "line 5: bad id: ",
        "line 6: bad signature: ",
        "line 9: older version: ",
        "line 11: ephemeral: ",
        "line 12: invalid json: ",
        "line 13: too large: ",
    ] {
        assert_eq!(ran.err.matches(named).count(), 1, "{named} in {}", ran.err);
    }
    assert_eq!(ran.err.lines().count(), 9);
    assert_eq!(store.run("count", &["{}"]).well(), "3\n");

    let two = store.import(&["--show-rejected=2"], input.as_bytes());
    let shown = two.err.lines().filter(|line| line.starts_with("line ")).count();
    assert_eq!(shown, 2, "{}", two.err);
    assert!(two.err.contains("... and 7 more"), "{}", two.err);
    let quiet = store.import(&["--no-verify"], input.as_bytes());
    assert!(!quiet.err.contains("line 1:") && quiet.err.contains("--show-rejected"));
    // Without checks the wrong id is taken at its word: it is the good event's.
    assert_eq!((counts(&quiet)["bad id"], counts(&quiet)["duplicate"]), (0, 6), "{}", quiet.err);
}

#[test]
fn nothing_is_an_import_too() {
    let store = Store::new();
    let ran = store.import(&[], b"");
    assert!(ran.summary().starts_with("inserted 0, replaced 0, duplicate 0, refused 0 ("));
    assert_eq!(ran.well(), "");
    assert_eq!(store.run("export", &[]).well(), "");
    assert_eq!(store.run("count", &["{}"]).well(), "0\n");
}

#[test]
fn a_signal_stops_an_import_that_waits_for_its_input() {
    let store = Store::new();
    let args = store.args("import", &["--shards", "2", "--show-rejected"]);
    let mut command = ratite(&args);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    // Written without a pause and in one piece of one pipe's buffer, so read and done in order.
    writeln!(input, "{}\ngarbage", json(&note(1, 5, "kept"))).unwrap();
    let mut err = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    err.read_line(&mut line).unwrap();
    assert!(line.starts_with("line 2: invalid json"), "{line}");

    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let rest: Vec<String> = err.lines().map(Result::unwrap).collect();
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert_eq!(rest[0], "ratite: stopped by SIGINT");
    assert!(rest[1].starts_with("inserted 1, replaced 0"), "{rest:?}");
    drop(input);
    assert_eq!(store.run("count", &["{}"]).well(), "1\n");
}
