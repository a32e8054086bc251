//! `ratite log tail`, `segments`, `seal`, `stats`, `retain`, and the verbs of every store on one of logs.

use super::*;
use std::io::{BufRead, BufReader};

/// Lines of ten sources' worth of seconds, from 2023 on.
fn numbered(count: u64) -> String {
    (0..count).map(|n| format!("{} line{n} of many\n", 1_700_000_000 + n)).collect()
}

#[test]
fn the_last_records_and_only_those_that_match() {
    let logs = Logs::of("web", &numbered(30));
    logs.append(&["--source", "db"], b"1800000000 other line30").well();
    let tail = |more: &[&str]| texts_of(&objects(&logs.run("tail", more).well()), "raw");
    let lines: Vec<String> = numbered(30).lines().map(String::from).collect();
    assert_eq!(tail(&["--source", "web"]), lines[20..]);
    assert_eq!(tail(&["-n", "2"]), [&lines[29], "1800000000 other line30"]);
    assert_eq!(tail(&["-n", "0"]), [""; 0]);
    assert_eq!(tail(&["-n", "3", "line7"]), lines[7..8]);
    let text = logs.run("tail", &["-n", "1", "--text", "--utc"]).well();
    assert_eq!(text, "2027-01-15T08:00:00.000000Z db 1800000000 other line30\n");
}

#[test]
fn following_shows_what_others_append_and_nothing_twice() {
    let logs = Logs::of("web", "before\n");
    let mut command = logs.command("tail", &["--follow", "--source", "web", "--text"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut next = || {
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        line
    };
    assert!(next().ends_with(" web before\n"));
    for round in 0..3 {
        logs.append(&["--source", "db"], b"not of it\n").well();
        let input = format!("first of {round}\nsecond of {round}\n");
        logs.append(&["--source", "web"], input.as_bytes()).well();
        assert!(next().ends_with(&format!(" web first of {round}\n")));
        assert!(next().ends_with(&format!(" web second of {round}\n")));
    }
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    assert_eq!(next(), "");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn sealing_says_what_was_sealed_and_segments_say_what_there_is() {
    // Few enough for the memtable to take them all again at opening: a full one is sealed by then.
    let logs = Logs::of("web", &numbered(40));
    let active = objects(&logs.run("segments", &[]).well());
    assert_eq!((active.len(), &active[0]["sealed"]), (1, &false.into()), "{active:?}");
    let sealed = objects(&logs.run("seal", &[]).well());
    let segments = objects(&logs.run("segments", &["--json"]).well());
    assert_eq!(sealed, segments);
    let segment = &segments[0];
    assert_eq!((&segment["sealed"], &segment["records"]), (&true.into(), &40.into()));
    assert_eq!(segment["start"], "2023-11-14T22:13:20.000000Z");
    assert_eq!(segment["end"], "2023-11-14T22:13:59.000000Z");
    assert!(segment["bytes"].as_u64() > Some(0) && segment["id"].as_str().unwrap().len() == 36);
    let again = logs.run("seal", &[]);
    assert_eq!(again.err, "there is nothing to seal\n");
    assert_eq!(again.well(), "");
    assert_eq!(logs.raws(&["line7"]).len(), 1, "and all is found");
}

#[test]
fn stats_name_every_source_with_its_records_and_times() {
    let logs = Logs::of("web", &numbered(40));
    logs.append(&["--source", "db"], b"1600000000 a\n1600000001 b\n").well();
    for _sealed in 0..2 {
        let stats = objects(&logs.run("stats", &[]).well()).remove(0);
        assert_eq!(stats["records"], 42, "{stats}");
        assert_eq!(stats["first"], "2020-09-13T12:26:40.000000Z");
        assert_eq!(stats["last"], "2023-11-14T22:13:59.000000Z");
        assert!(stats["bytes"].as_u64() > stats["raw_bytes"].as_u64(), "{stats}");
        assert!(stats["raw_bytes"].as_u64() > Some(42 * 10), "{stats}");
        let sources = stats["sources"].as_array().unwrap();
        let db = sources.iter().find(|source| source["source"] == "db").unwrap();
        assert_eq!((sources.len(), &db["records"]), (2, &2.into()));
        assert_eq!(db["last"], "2020-09-13T12:26:41.000000Z");
        logs.run("seal", &[]).well();
    }
    assert_eq!(objects(&Logs::of("x", "").run("stats", &["--json"]).well())[0]["records"], 0);
}

#[test]
fn retention_drops_whole_segments_oldest_first_and_a_dry_run_none() {
    let logs = Logs::new();
    for (at, text) in [(1_500_000_000, "oldest"), (1_600_000_000, "older"), (1_700_000_000, "new")]
    {
        logs.append(&["--source", "x"], format!("{at} {text}\n").as_bytes()).well();
        logs.run("seal", &[]).well();
    }
    // Merges may have put some together: what counts is that the oldest go first and whole.
    let kept = |more: &[&str]| logs.run("search", &[more, &["--count"]].concat()).well();
    let all: u64 = kept(&[]).trim().parse().unwrap();
    assert_eq!(all, 3);
    let dry = logs.run("retain", &["--age", "1h", "--dry-run"]);
    assert!(
        dry.err.starts_with("would drop ") && dry.err.contains("with 3 records"),
        "{}",
        dry.err
    );
    assert!(!dry.well().is_empty());
    assert_eq!(kept(&[]), "3\n");
    for nothing in [&["--age", "100000d"][..], &["--bytes", "1 GiB"], &["--records", "3"]] {
        let ran = logs.run("retain", nothing);
        assert!(ran.err.starts_with("dropped 0 segments with 0 records"), "{}", ran.err);
        assert_eq!(ran.well(), "");
    }
    let ran = logs.run("retain", &["--records", "1", "--json"]);
    assert!(ran.err.starts_with("dropped "), "{}", ran.err);
    let gone: u64 = objects(&ran.well()).iter().map(|s| s["records"].as_u64().unwrap()).sum();
    assert_eq!(kept(&[]), format!("{}\n", 3 - gone));
    assert!(gone >= 1 && kept(&["oldest"]) == "0\n", "{gone}");
    logs.run("retain", &["--bytes", "0"]).well();
    assert_eq!(kept(&[]), "0\n");
    let ran = logs.run("retain", &[]);
    assert!(ran.status == Some(2) && ran.err.contains("--age"), "{}", ran.err);
    for (flag, bad) in [("--age", "soon"), ("--bytes", "5 MB"), ("--records", "many")] {
        let ran = logs.run("retain", &[flag, bad]);
        assert!(ran.status == Some(2) && ran.err.contains(flag), "{}", ran.err);
    }
}

#[test]
fn a_resume_token_whose_record_was_dropped_is_gone_and_says_what_to_do() {
    let logs = Logs::of("web", &numbered(40));
    logs.run("seal", &[]).well();
    let rows = logs.search(&["many", "--limit", "2"]);
    let token = rows[2]["resume"].as_str().unwrap();
    let next = ["many", "--limit", "2", "--resume", token];
    assert_eq!(logs.search(&next)[0]["raw"], "1700000002 line2 of many");
    logs.append(&["--source", "web"], b"1800000000 one of many that stays\n").well();
    logs.run("retain", &["--bytes", "0"]).well();
    let said = logs.run("search", &next).badly();
    assert!(said.contains("is gone") && said.contains("begin again"), "{said}");
    assert_eq!(logs.raws(&["many"]), ["1800000000 one of many that stays"]);
}

#[test]
fn the_verbs_of_every_store_work_on_one_of_logs() {
    let logs = Logs::of("web", &numbered(500));
    logs.run("seal", &[]).well();
    logs.append(&["--source", "web"], b"1900000000 in the log only\n").well();
    let all = logs.run("export", &[]).well();
    let small = ["--memory", "256 MiB", "--log-file", "8 MiB"];
    let on = |verb: &str, dir: &str, more: &[&str]| {
        run(&[&[verb, "--data", dir], &small[..], more].concat())
    };
    let dir = logs.dir();
    let verified = on("verify", dir, &[]);
    assert!(verified.err.contains("healthy"), "{}", verified.err);
    verified.well();
    assert!(on("repair", dir, &[]).err.contains("nothing to repair"));
    let stats: Value = serde_json::from_str(&on("stats", dir, &[]).well()).unwrap();
    assert_eq!(stats["records"], 501);
    let compacted: Value = serde_json::from_str(&on("compact", dir, &[]).well()).unwrap();
    assert!(compacted["after"]["segments"].as_u64() >= Some(1), "{compacted}");

    let room = tempfile::tempdir().unwrap();
    let path = |name: &str| room.path().join(name).to_str().unwrap().to_string();
    let (backup, restored) = (path("backup"), path("restored"));
    on("backup", dir, &[&backup]).well();
    on("restore", &restored, &[&backup]).well();
    on("reshard", &restored, &["--shards", "4"]).well();
    let args = [&["log", "export", "--data", &restored], &small[..]].concat();
    assert_eq!(run(&args).well(), all);
    on("verify", &restored, &[]).well();

    let shards = std::fs::read_dir(logs.0.path()).unwrap().map(|entry| entry.unwrap().path());
    let files = shards.filter(|path| path.is_dir()).flat_map(|dir| std::fs::read_dir(dir).unwrap());
    let segment = files
        .map(|entry| entry.unwrap().path().to_str().unwrap().to_string())
        .find(|path| path.ends_with(".seg"))
        .expect("a segment");
    let args = ["inspect", &segment, "--records", "--bodies", "--json", "--limit", "600"];
    let shown = objects(&run(&args).well());
    let body = shown.iter().find_map(|line| line.get("body")).expect("a body");
    assert_eq!((&body["source"], body["ts"].is_string()), (&"web".into(), true), "{body}");
}
