//! `scan`, `count`, `explain` and `stats`, against a filter that knows nothing of the library's.

use super::*;

/// Whether the event meets the filter's conditions, as NIP-01 words them.
fn matches(filter: &Value, line: &Line) -> bool {
    let event = &line.json;
    let among = |values: &Value, of: &Value| values.as_array().unwrap().contains(of);
    filter.as_object().unwrap().iter().all(|(key, wanted)| match key.as_str() {
        "ids" => among(wanted, &event["id"]),
        "authors" => among(wanted, &event["pubkey"]),
        "kinds" => among(wanted, &event["kind"]),
        "since" => line.number("created_at") >= wanted.as_u64().unwrap(),
        "until" => line.number("created_at") <= wanted.as_u64().unwrap(),
        "limit" => true,
        tag => {
            let mut tags = event["tags"].as_array().unwrap().iter();
            tags.any(|t| t[0] == tag[1..] && t.get(1).is_some_and(|value| among(wanted, value)))
        }
    })
}

/// The answer to filters, newest first.
fn answer(stored: &[Line], filters: &Value) -> Vec<Line> {
    let filters: Vec<Value> = filters.as_array().map_or(vec![filters.clone()], Clone::clone);
    let mut answer: Vec<Line> = Vec::new();
    for filter in &filters {
        let found = stored.iter().rev().filter(|line| matches(filter, line));
        let limit = filter["limit"].as_u64().unwrap_or(u64::MAX) as usize;
        answer.extend(found.take(limit).cloned());
    }
    answer.sort_by(|a, b| b.order(a));
    answer.dedup_by(|a, b| a.text == b.text);
    answer
}

/// Filters of every shape, on values that occur.
fn filters(stored: &[Line]) -> Vec<Value> {
    use serde_json::json;
    let pick = |i: usize| &stored[i % stored.len()];
    let (id, author) = (|i| pick(i).json["id"].clone(), |i| pick(i).json["pubkey"].clone());
    let tag = |name: &str, i: usize| {
        let tags = stored.iter().flat_map(|line| line.json["tags"].as_array().unwrap());
        let mut named = tags.filter(|tag| tag[0] == name);
        named.nth(i).map_or(json!("none"), |tag| tag[1].clone())
    };
    let middle = pick(stored.len() / 2).number("created_at");
    vec![
        json!({}),
        json!({"limit": 7}),
        json!({"limit": 0}),
        json!({"ids": [id(3), id(99), id(700), "0".repeat(64)]}),
        json!({"ids": [id(3)], "kinds": [40000]}),
        json!({"authors": [author(1), author(500), author(900)]}),
        json!({"kinds": [1, 7]}),
        json!({"kinds": [1], "authors": [author(2), author(600)], "limit": 5}),
        json!({"#t": [tag("t", 0), tag("t", 9)]}),
        json!({"#p": [tag("p", 0)], "#e": [tag("e", 0)]}),
        json!({"#e": [tag("e", 4)], "kinds": [7]}),
        json!({"#d": [tag("d", 2)], "kinds": [30078, 30023]}),
        json!({"since": middle}),
        json!({"since": middle, "until": middle + 60, "kinds": [1, 6, 7]}),
        json!({"until": middle, "limit": 20}),
        json!({"since": 10, "until": 9}),
        json!({"kinds": []}),
        json!([{"kinds": [0]}, {"kinds": [3], "limit": 4}, {"authors": [author(2)]}]),
        json!([{"limit": 3}, {"limit": 9}, {"kinds": [1], "limit": 6}]),
        json!([]),
    ]
}

#[test]
fn scan_and_count_agree_with_a_naive_filter() {
    let input = events(2500, 21);
    let stored = kept(&input);
    let store = Store::of(&input);
    let mut found = 0;
    for (i, filter) in filters(&stored).into_iter().enumerate() {
        let text = filter.to_string();
        let expected = answer(&stored, &filter);
        found += expected.len();
        assert_eq!(store.run("scan", &[&text]).well(), texts(&expected), "{text}");
        if i % 3 == 0 {
            let counted = store.run("scan", &[&text, "--count"]).well();
            assert_eq!(counted, format!("{}\n", expected.len()), "{text}");
        }
        let mut unlimited = filter.clone();
        for one in unlimited.as_array_mut().into_iter().flatten().chain([&mut filter.clone()]) {
            one.as_object_mut().and_then(|filter| filter.remove("limit"));
        }
        unlimited.as_object_mut().and_then(|filter| filter.remove("limit"));
        let all = answer(&stored, &unlimited).len();
        assert_eq!(store.run("count", &[&text]).well(), format!("{all}\n"), "{text}");
    }
    assert!(found > stored.len(), "the filters find something");
}

#[test]
fn filters_come_from_standard_input_and_metrics_go_to_standard_error() {
    let input = events(300, 22);
    let stored = kept(&input);
    let store = Store::of(&input);
    let filter = "{\"kinds\":[1],\"limit\":3}";
    let expected = texts(&answer(&stored, &serde_json::from_str(filter).unwrap()));
    let asked = run_on(&store.args("scan", &["-"]), format!("{filter}\n").as_bytes());
    assert_eq!(asked.well(), expected);
    let measured = store.run("scan", &["--metrics", filter]);
    assert!(measured.err.starts_with("rows 3, first after "), "{}", measured.err);
    assert_eq!(measured.well(), expected);

    for refused in ["{\"kinds\":[\"one\"]}", "{\"search\":7}", "kinds", "{\"ids\":[\"ab\"]}"] {
        for verb in ["scan", "count", "explain"] {
            let why = store.run(verb, &[refused]).badly();
            assert!(why.contains("the filter is refused: "), "{why}");
        }
    }
}

#[test]
fn explain_shows_a_plan_and_stats_are_json() {
    let input = events(300, 23);
    let stored = kept(&input);
    let store = Store::of(&input);
    let plan = store.run("explain", &["{\"kinds\":[1],\"#t\":[\"nostr\"],\"limit\":5}"]).well();
    assert!(plan.contains("selection 1 of 1") && plan.contains("limit 5"), "{plan}");
    assert!(plan.contains("shard 0") && plan.contains("shard 1"), "{plan}");

    let out = store.run("stats", &[]).well();
    assert_eq!(out.lines().count(), 1, "one line into a pipe");
    let stats: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(stats["records"].as_u64(), Some(stored.len() as u64));
    let shards = stats["shards"].as_array().unwrap();
    assert_eq!(shards.len(), 2);
    let sum = |key: &str| shards.iter().map(|shard| shard[key].as_u64().unwrap()).sum::<u64>();
    assert!(sum("segment_records") + sum("memtable_records") >= stored.len() as u64, "{stats}");
    assert_eq!(stats["segments"].as_u64(), Some(sum("segments")));
    assert!(stats["bytes"].as_u64() > stats["segment_bytes"].as_u64(), "{stats}");
    let (pool, memory) = (&stats["pool"], &stats["memory"]);
    assert_eq!(memory["budget_bytes"].as_u64(), Some(256 << 20), "{stats}");
    let parts = memory.as_object().unwrap().iter().filter(|(name, _)| {
        !matches!(name.as_str(), "budget_bytes" | "pool_resident_bytes" | "memtable_bytes")
    });
    let sum: u64 = parts.map(|(_, bytes)| bytes.as_u64().unwrap()).sum();
    assert!((250 << 20..=256 << 20).contains(&sum), "the parts are the budget: {stats}");
    assert_eq!(memory["pool_bytes"].as_u64(), pool["frames"].as_u64().map(|n| n * 4096));
    let parts = pool["parts"].as_object().unwrap().values();
    let hits: u64 = parts.map(|part| part["hits"].as_u64().unwrap()).sum();
    assert_eq!(pool["hits"].as_u64(), Some(hits), "{stats}");
    assert_eq!(store.run("stats", &["--json"]).well().lines().count(), 1);
}

#[test]
fn a_store_that_is_not_there_or_not_so_is_refused_in_a_sentence() {
    let nowhere = tempfile::tempdir().unwrap();
    let missing = nowhere.path().join("missing");
    let missing = missing.to_str().unwrap();
    for verb in [&["export"][..], &["stats"], &["scan", "{}"], &["count", "{}"], &["explain", "{}"]]
    {
        for dir in [missing, nowhere.path().to_str().unwrap()] {
            let why = run(&[verb, &["--data", dir]].concat()).badly();
            assert!(why.contains("there is no store in") && why.contains(dir), "{why}");
        }
    }
    assert_eq!(std::fs::read_dir(nowhere.path()).unwrap().count(), 0, "asking leaves no trace");

    let store = Store::of("");
    let why = store.run("stats", &["--shards", "4"]).badly();
    assert!(why.contains("shards") && why.contains('2') && why.contains('4'), "{why}");
    let why = store.run("stats", &["--page-size", "8192"]).badly();
    assert!(why.contains("page size") && why.contains("8192"), "{why}");

    std::fs::write(nowhere.path().join("letter.txt"), "dear").unwrap();
    let dir = nowhere.path().to_str().unwrap();
    let why = ratite(&["import", "--data", dir]).output().unwrap();
    let err = String::from_utf8(why.stderr).unwrap();
    assert!(why.status.code() == Some(1) && err.contains("letter.txt"), "{err}");
}

#[test]
fn the_directory_comes_from_the_environment_too() {
    let store = Store::of(&events(20, 24));
    let mut command = ratite(&["count", "{}", "--log-file", "8 MiB"]);
    let ran: Ran = command.env("RATITE_DATA", store.dir()).output().unwrap().into();
    assert_eq!(ran.well(), store.run("count", &["{}"]).well());
}
