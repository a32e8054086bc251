//! `ratite log`, as scripts and people use it.

mod append;
mod fields;
mod full;
mod generate;
mod killed;
mod search;
mod shown;
mod terminal;
mod upkeep;

use super::*;

/// A directory for a log store.
struct Logs(TempDir);

impl Logs {
    fn new() -> Logs {
        Logs(tempfile::tempdir().unwrap())
    }

    /// A store of these lines, all of one source.
    fn of(source: &str, lines: &str) -> Logs {
        let logs = Logs::new();
        logs.append(&["--source", source], lines.as_bytes()).well();
        logs
    }

    fn dir(&self) -> &str {
        self.0.path().to_str().unwrap()
    }

    fn args<'a>(&'a self, verb: &'a str, more: &[&'a str]) -> Vec<&'a str> {
        let mut args = vec!["log", verb, "--data", self.dir(), "--sync", "never", "--shards", "2"];
        args.extend(["--log-file", "8 MiB", "--memtable", "4 MiB", "--memory", "256 MiB"]);
        args.extend(more);
        args
    }

    fn command(&self, verb: &str, more: &[&str]) -> Command {
        let mut command = ratite(&self.args(verb, more));
        command.env("TZ", "UTC").env_remove("NO_COLOR");
        command
    }

    fn run(&self, verb: &str, more: &[&str]) -> Ran {
        self.command(verb, more).output().unwrap().into()
    }

    fn append(&self, more: &[&str], input: &[u8]) -> Ran {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(input).unwrap();
        file.rewind().unwrap();
        self.command("append", more).stdin(file).output().unwrap().into()
    }

    /// The records that a search gives.
    #[track_caller]
    fn search(&self, more: &[&str]) -> Vec<Value> {
        objects(&self.run("search", more).well())
    }

    /// Their bytes.
    #[track_caller]
    fn raws(&self, more: &[&str]) -> Vec<String> {
        texts_of(&self.search(more), "raw")
    }
}

fn objects(out: &str) -> Vec<Value> {
    out.lines().map(|line| serde_json::from_str(line).expect("an object a line")).collect()
}

fn texts_of(rows: &[Value], key: &str) -> Vec<String> {
    rows.iter().map(|row| row[key].as_str().unwrap_or_else(|| panic!("{row}")).into()).collect()
}

#[test]
fn help_names_every_verb_and_every_verb_has_an_example() {
    let help = run(&["log", "--help"]).well();
    for verb in ["append", "search", "tail", "segments", "seal", "stats", "export", "retain"] {
        assert!(help.lines().any(|l| l.trim_start().starts_with(verb)), "{verb} in:\n{help}");
        let of_verb = run(&["log", verb, "--help"]).well();
        let example = format!("ratite log {verb}");
        assert!(of_verb.contains("Example") && of_verb.contains(&example), "{of_verb}");
        assert!(of_verb.lines().all(|line| line.chars().count() <= 100), "{of_verb}");
        assert!(of_verb.contains("--data <DIR>"), "{verb}");
    }
}

#[test]
fn a_store_of_another_kind_or_none_is_refused_by_what_it_is() {
    let events = Store::of(&events(5, 3));
    let dir = events.dir().to_str().unwrap();
    for verb in ["search", "tail", "segments", "seal", "stats", "export", "append"] {
        let more = if verb == "append" { &["--source", "x"][..] } else { &[] };
        let why = run(&[&["log", verb, "--data", dir], more].concat()).badly();
        assert!(why.contains(dir) && why.contains("holds events, not log records"), "{why}");
    }
    let logs = Logs::of("web", "hello\n");
    for verb in [&["scan", "{}"][..], &["count", "{}"], &["import"], &["export"]] {
        let why = run(&[verb, &["--data", logs.dir()]].concat()).badly();
        assert!(why.contains("holds log records, not events"), "{why}");
        assert!(why.contains("ratite log"), "{why}");
    }
    let nowhere = tempfile::tempdir().unwrap();
    let dir = nowhere.path().to_str().unwrap();
    let why = run(&["log", "search", "--data", dir]).badly();
    assert!(why.contains("there is no store in") && why.contains("ratite log append"), "{why}");
    assert_eq!(std::fs::read_dir(dir).unwrap().count(), 0, "asking leaves no trace");
}

#[test]
fn a_store_that_is_in_use_is_waited_for_and_then_said_to_be() {
    let logs = Logs::of("web", "hello\n");
    let mut command = logs.command("append", &["--source", "web"]);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut holder = command.spawn().unwrap();
    let mut input = holder.stdin.take().unwrap();
    input.write_all(b"one more\n").unwrap();
    // The lock is there before the line is stored, and this waits a second for it.
    let busy = loop {
        let ran = logs.run("search", &[]);
        if ran.status != Some(0) {
            break ran.badly();
        }
    };
    assert!(busy.contains("is in use by"), "{busy}");
    drop(input);
    assert_eq!(holder.wait().unwrap().code(), Some(0));
    assert_eq!(logs.raws(&[]), ["hello", "one more"]);
}
