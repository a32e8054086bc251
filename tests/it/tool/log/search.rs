//! `ratite log search`: what is selected, in which order, page by page.

use super::*;

const LINES: [(&str, &str); 7] = [
    ("web", "2026-11-22T10:00:00Z INFO started user=ann"),
    ("db", "2026-11-22T10:00:01Z WARN slow query took 15ms"),
    ("web", "2026-11-22T10:00:02Z ERROR disk full user=bob"),
    ("0191c2f0-7a3b-7cc1-9d3e-0123456789ab", "2026-11-22T10:00:02Z Größe überschritten"),
    ("web", "2026-11-22T10:00:03Z info retry user=ann"),
    ("db", "2026-11-22T10:00:04Z ERROR disk gone"),
    ("web", "2026-11-21T10:00:00Z late line of the day before"),
];

fn store() -> Logs {
    let logs = Logs::new();
    for (source, line) in LINES {
        logs.append(&["--source", source], line.as_bytes()).well();
    }
    logs
}

/// The lines by their numbers.
fn lines(numbers: &[usize]) -> Vec<&'static str> {
    numbers.iter().map(|number| LINES[*number].1).collect()
}

#[test]
fn an_object_has_what_scripts_rely_on() {
    let logs = store();
    let rows = logs.search(&["--json", "--token", "disk", "--source", "web"]);
    let id = "d2249094-1fc4-5bd8-8cd8-4a9c044f0a49";
    let row = serde_json::json!({
        "ts": "2026-11-22T10:00:02.000000Z", "source": "web", "source_id": id, "raw": LINES[2].1,
    });
    assert_eq!(rows, std::slice::from_ref(&row));
    assert_eq!(logs.search(&["disk", "--source", id]), [row], "in a pipe without being asked");
    let unnamed = logs.search(&["überschritten"]);
    let id = Value::from(LINES[3].0);
    assert_eq!((&unnamed[0]["source"], &unnamed[0]["source_id"]), (&id, &id));
}

#[test]
fn each_flag_selects_what_it_says() {
    let logs = store();
    let at = "2026-11-22T10:00:02Z";
    let next = "2026-11-22T10:00:04Z";
    let cases: &[(&[&str], &[usize])] = &[
        (&[], &[6, 0, 1, 2, 3, 4, 5]),
        (&["--reverse"], &[5, 4, 3, 2, 1, 0, 6]),
        (&["--from", at], &[2, 3, 4, 5]),
        (&["--to", at], &[6, 0, 1]),
        (&["--from", at, "--to", next], &[2, 3, 4]),
        (&["--from", next, "--to", at], &[4, 3, 2]),
        (&["--from", "2026-11-22", "--to", "2026-11-22 10:00:01"], &[0]),
        (&["--from", "@1795341602", "--to", "1795341603000"], &[2, 3]),
        (&["--source", "db"], &[1, 5]),
        (&["--source", "db", "--source", LINES[3].0], &[1, 3, 5]),
        (&["--source", "nobody"], &[]),
        (&["--token", "error"], &[2, 5]),
        (&["--token", "ERROR", "--token", "user"], &[2]),
        (&["--token", "disk-gone"], &[5]),
        (&["error", "FULL"], &[2]),
        (&["größe"], &[3]),
        (&["err"], &[]),
        (&["--limit", "0", "user"], &[0, 2, 4]),
    ];
    for (args, numbers) in cases {
        assert_eq!(logs.raws(args), lines(numbers), "{args:?}");
        let count = [*args, &["--count"]].concat();
        assert_eq!(logs.run("search", &count).well(), format!("{}\n", numbers.len()), "{args:?}");
    }
    for verb in ["search", "tail", "export"] {
        for (flag, text) in [("--from", "tomorow"), ("--to", "5 parsecs ago")] {
            let ran = logs.run(verb, &[flag, text]);
            let word = text.split(' ').find(|word| word.len() > 3).unwrap();
            assert!(ran.status == Some(2) && ran.err.contains(flag), "{}", ran.err);
            assert!(ran.err.contains(word) && ran.err.contains("2h ago"), "{}", ran.err);
        }
    }
    assert_eq!(logs.run("search", &["--count", "--limit", "2"]).well(), "2\n");
    assert_eq!(logs.run("search", &["--count", "--json"]).well(), "{\"count\":7}\n");
}

#[test]
fn times_without_an_offset_are_local_or_with_utc_are_not() {
    let logs = store();
    let search = |more: &[&str]| {
        let args = [&["--text", "started"], more].concat();
        let mut command = logs.command("search", &args);
        Ran::from(command.env("TZ", "CET-1").output().unwrap()).well()
    };
    let line = LINES[0].1;
    assert_eq!(search(&[]), format!("2026-11-22T11:00:00.000000+01:00 web {line}\n"));
    assert_eq!(search(&["--utc"]), format!("2026-11-22T10:00:00.000000Z web {line}\n"));
    assert_eq!(search(&["--from", "2026-11-22 10:59"]), search(&[]));
    assert_eq!(search(&["--from", "2026-11-22 10:59", "--utc"]), "");
}

/// All pages, until none is left.
fn pages(logs: &Logs, asked: &[&str], limit: &str) -> Vec<Vec<String>> {
    let (mut pages, mut token) = (Vec::new(), String::new());
    loop {
        let mut args = [asked, &["--json", "--limit", limit]].concat();
        if !token.is_empty() {
            args.extend(["--resume", &token]);
        }
        let mut rows = logs.search(&args);
        let resume = rows.last().and_then(|row| row["resume"].as_str()).map(String::from);
        if resume.is_some() {
            rows.pop();
        }
        pages.push(texts_of(&rows, "raw"));
        match resume {
            Some(next) => token = next,
            None => return pages,
        }
    }
}

#[test]
fn pages_visit_every_record_once_in_both_directions() {
    let logs = store();
    for asked in [
        &[][..],
        &["--reverse"],
        &["error"],
        &["--reverse", "--source", "web"],
        &["--from", "50y", "user"],
        &["--from", "+50y", "--to", "50y ago", "user"],
    ] {
        let all = logs.raws(asked);
        assert!(!all.is_empty(), "{asked:?}");
        for limit in ["1", "2", "3"] {
            let pages = pages(&logs, asked, limit);
            assert_eq!(pages.concat(), all, "{asked:?} by {limit}");
            assert!(pages.iter().all(|page| !page.is_empty()), "{pages:?}");
        }
    }
}

#[test]
fn a_token_is_good_after_new_records_and_a_seal_and_for_nothing_else() {
    let logs = store();
    let rows = logs.search(&["--limit", "2", "--source", "web"]);
    assert_eq!(rows.len(), 3, "a last line says that there is more");
    let token = rows[2]["resume"].as_str().unwrap();
    logs.append(&["--source", "web"], b"2026-11-22T10:00:02.5Z came later").well();
    logs.run("seal", &[]).well();
    let rest = logs.raws(&["--source", "web", "--resume", token]);
    assert_eq!(rest, lines(&[2, 4]));

    let mut damaged = token.to_string();
    let wrong = if damaged.ends_with('A') { "B" } else { "A" };
    damaged.replace_range(damaged.len() - 1.., wrong);
    for (args, why) in [
        (&["--source", "db", "--resume", token][..], "another query"),
        (&["--source", "web", "--reverse", "--resume", token], "direction"),
        (&["--source", "web", "--from", "@5", "--resume", token], "range of time"),
    ] {
        let said = logs.run("search", args).badly();
        assert!(said.contains("resume token") && said.contains(why), "{said}");
    }
    for bad in [&damaged[..], "abc", ""] {
        let ran = logs.run("search", &["--source", "web", "--resume", bad]);
        assert!(ran.status == Some(2) && ran.err.contains("damaged"), "{}", ran.err);
    }
    let said = store().run("search", &["--source", "web", "--resume", token]).badly();
    assert!(said.contains("another store"), "{said}");
    // In text the token is said where it is in nobody's way.
    let text = logs.run("search", &["--limit", "1", "--text"]);
    assert!(text.err.starts_with("there is more: --resume "), "{}", text.err);
    assert_eq!(text.well().lines().count(), 1);
}

#[test]
fn a_histogram_counts_by_length_of_time() {
    let logs = store();
    let counts = |args: &[&str]| -> Vec<(String, u64)> {
        let rows = logs.search(args);
        let row =
            |row: &Value| (row["ts"].as_str().unwrap().into(), row["count"].as_u64().unwrap());
        rows.iter().map(row).collect()
    };
    let day = |day: &str, count| (format!("2026-11-{day}T00:00:00.000000Z"), count);
    assert_eq!(counts(&["--histogram", "1d"]), [day("21", 1), day("22", 6)]);
    assert_eq!(counts(&["error", "--histogram", "1d"]), [day("22", 2)]);
    let second = |second: u64, count| (format!("2026-11-22T10:00:0{second}.000000Z"), count);
    let by_second = [second(0, 1), second(1, 1), second(2, 2), second(3, 1), second(4, 1)];
    let today = ["--from", "2026-11-22"];
    assert_eq!(counts(&[&today[..], &["--histogram", "1s"]].concat()), by_second);
    let auto: u64 = counts(&["--histogram"]).iter().map(|(_, count)| count).sum();
    assert_eq!(auto, 7);
    let text = logs.run("search", &["--histogram=12h", "--text", "--from", "2026-11-21"]).well();
    let wanted = format!(
        "2026-11-21T00:00:00+00:00  1 {}\n2026-11-21T12:00:00+00:00  0 \n2026-11-22T00:00:00+00:00  6 {}\n",
        "█".repeat(9),
        "█".repeat(50)
    );
    assert_eq!(text, wanted);
    assert_eq!(logs.run("search", &["nothing", "--histogram"]).well(), "");
    let ran = logs.run("search", &["--histogram=often"]);
    assert!(ran.status == Some(2) && ran.err.contains("often"), "{}", ran.err);
}
