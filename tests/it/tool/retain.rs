//! `retain`: a dry run, a run that does just that, and refusals in a sentence.

use super::*;

/// Lines of JSON.
fn values(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

#[test]
fn a_dry_run_says_what_a_run_then_removes() {
    let input = events(1500, 31);
    let stored = kept(&input);
    let store = Store::of(&input);
    let rules = ["--rule", "kinds=1 count=100", "--rule", "each=author count=40"];
    let protect = ["--rule", "kinds=0,3,10002 protect"];
    let rules = [&rules[..], &protect].concat();
    let plan = values(&store.run("retain", &[&rules[..], &["--dry-run"]].concat()).well());
    let names: Vec<&str> = plan.iter().map(|line| line["rule"].as_str().unwrap()).collect();
    assert_eq!(names, ["expired", "kinds=1 count=100", "count=40 each=author", "all"]);

    // The same by hand.
    let is_note = |line: &&Line| line.number("kind") == 1;
    let notes: Vec<&Line> = stored.iter().filter(is_note).collect();
    let mut gone: Vec<&str> =
        notes[..notes.len() - 100].iter().map(|line| line.text_of("id")).collect();
    assert_eq!(plan[1]["records"].as_u64(), Some(gone.len() as u64));
    assert_eq!(plan[1]["kinds"]["1"].as_u64(), Some(gone.len() as u64));
    assert_eq!(plan[1]["oldest"].as_u64(), Some(notes[0].number("created_at")));
    let mut authors: HashMap<&str, Vec<&Line>> = HashMap::new();
    stored.iter().for_each(|line| authors.entry(line.text_of("pubkey")).or_default().push(line));
    let mut by_author = 0;
    for lines in authors.values() {
        let surplus = lines.len().saturating_sub(40);
        let free = lines.iter().filter(|l| ![0, 3, 10002].contains(&l.number("kind")));
        let going: Vec<&str> = free.take(surplus).map(|line| line.text_of("id")).collect();
        by_author += going.len() as u64;
        gone.extend(going);
    }
    assert!(by_author > 50, "{by_author}");
    assert_eq!(plan[2]["records"].as_u64(), Some(by_author));
    gone.sort_unstable();
    gone.dedup();
    assert_eq!(plan[3]["records"].as_u64(), Some(gone.len() as u64));
    assert_eq!(store.run("export", &[]).well(), texts(&stored), "a dry run removes nothing");

    let ran = store.run("retain", &[&rules[..], &["--compact"]].concat());
    let said: Vec<&str> = ran.err.lines().collect();
    assert_eq!(said[0], format!("removed {} events", gone.len()));
    assert!(said[2].starts_with("dead ") && said[2].ends_with(" removed, 0 left"), "{said:?}");
    let removed: u64 =
        values(&ran.well()).iter().map(|line| line["removed"].as_u64().unwrap()).sum();
    assert_eq!(removed, gone.len() as u64);
    let is_left = |line: &&Line| gone.binary_search(&line.text_of("id")).is_err();
    let left: Vec<Line> = stored.iter().filter(is_left).cloned().collect();
    assert_eq!(store.run("export", &[]).well(), texts(&left));
    let stats = values(&store.run("stats", &[]).well());
    let dead = stats[0]["shards"].as_array().unwrap().iter();
    assert_eq!(dead.map(|shard| shard["segment_dead"].as_u64().unwrap()).sum::<u64>(), 0);
    let ran = store.run("retain", &rules);
    assert_eq!(ran.summary(), "removed 0 events");
}

#[test]
fn rules_that_say_nothing_are_refused() {
    let store = Store::of("");
    for (rule, why) in [("kinds=x age=1d", "kinds: x"), ("kinds=1", "age: "), ("age=0", "age: 0")] {
        let ran = store.run("retain", &["--rule", rule]);
        assert_eq!(ran.status, Some(2), "{}", ran.err);
        assert!(ran.err.contains(why), "{}", ran.err);
    }
}

#[test]
fn rules_come_from_the_configuration_unless_the_command_line_has_some() {
    let input = events(300, 32);
    let stored = kept(&input);
    let store = Store::of(&input);
    let file = store.dir().join("rules.toml");
    std::fs::write(&file, "[retention]\nrules = [\n  \"count=100\",\n  \"kinds=0 protect\",\n]\n")
        .unwrap();
    let config = ["--config", file.to_str().unwrap(), "--dry-run"];
    let plan = |more: &[&str]| -> Vec<(String, u64)> {
        let out = store.run("retain", &[&config[..], more].concat()).well();
        let pair = |line: &Value| {
            (line["rule"].as_str().unwrap().to_string(), line["records"].as_u64().unwrap())
        };
        values(&out).iter().map(pair).collect()
    };
    let is_free = |line: &&Line| line.number("kind") != 0;
    let surplus = stored.len() - 100;
    let going = stored.iter().filter(is_free).count().min(surplus) as u64;
    let names = |rule: &str| ["expired", rule, "all"].map(str::to_string);
    let (rules, counts): (Vec<String>, Vec<u64>) = plan(&[]).into_iter().unzip();
    assert_eq!((&rules[..], &counts[..]), (&names("count=100")[..], &[0, going, going][..]));
    let (rules, counts): (Vec<String>, Vec<u64>) =
        plan(&["--rule", "count=50"]).into_iter().unzip();
    let going = stored.len() as u64 - 50;
    assert_eq!((&rules[..], &counts[..]), (&names("count=50")[..], &[0, going, going][..]));

    std::fs::write(&file, "[retention]\nrules = [\"kinds=x age=1d\"]\n").unwrap();
    let ran = store.run("retain", &config);
    assert_eq!(ran.status, Some(2), "{}", ran.err);
    assert!(ran.err.contains("rules.toml:2: retention.rules = \"kinds=x age=1d\": kinds: x"));
}
