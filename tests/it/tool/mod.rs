//! The `ratite` program as its users meet it: arguments, standard streams, exit status.

mod asking;
mod bench;
mod compact;
mod copies;
mod import;
mod limits;
mod line;
mod log;
mod mending;
mod moving;
mod operating;
mod own_log;
mod retain;
mod serving;
mod units;

use ratite::nostr::generate::{Config, Generator};
use serde_json::Value;
use std::collections::HashMap;
use std::io::{Seek, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// The program, with an environment and a configuration file that say nothing.
pub fn ratite(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ratite"));
    let variables = std::env::vars_os().map(|(name, _)| name);
    for name in variables.filter(|name| name.to_string_lossy().starts_with("RATITE_")) {
        command.env_remove(name);
    }
    command.args(args).env("RATITE_CONFIG", "/dev/null").stdin(Stdio::null());
    command
}

/// How a run ended.
pub struct Ran {
    pub status: Option<i32>,
    pub out: String,
    pub err: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Ran {
        Ran {
            status: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Ran {
    /// Asserts that all went well, and gives standard output.
    #[track_caller]
    pub fn well(self) -> String {
        assert_eq!(self.status, Some(0), "{}", self.err);
        self.out
    }

    /// Asserts that it failed with one sentence, and gives it.
    #[track_caller]
    fn badly(self) -> String {
        assert_eq!(self.status, Some(1), "{}{}", self.out, self.err);
        assert!(self.err.starts_with("ratite: ") && self.err.lines().count() == 1, "{}", self.err);
        assert_eq!(self.out, "");
        self.err
    }

    /// The last line on standard error.
    fn summary(&self) -> &str {
        self.err.lines().last().unwrap_or("")
    }
}

pub fn run(args: &[&str]) -> Ran {
    ratite(args).output().unwrap().into()
}

fn run_on(args: &[&str], input: &[u8]) -> Ran {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(input).unwrap();
    file.rewind().unwrap();
    ratite(args).stdin(file).output().unwrap().into()
}

/// A directory for a store, and how to name it with small files.
struct Store(TempDir);

impl Store {
    fn new() -> Store {
        Store(tempfile::tempdir().unwrap())
    }

    /// A store of `events`.
    fn of(events: &str) -> Store {
        let store = Store::new();
        store.import(&["--no-verify"], events.as_bytes()).well();
        store
    }

    fn dir(&self) -> &Path {
        self.0.path()
    }

    /// `verb` with the options of the store and `more`.
    fn args<'a>(&'a self, verb: &'a str, more: &[&'a str]) -> Vec<&'a str> {
        let mut args = vec![verb, "--data", self.dir().to_str().unwrap()];
        args.extend(["--sync", "never", "--log-file", "8 MiB", "--memtable", "1 MiB"]);
        args.extend(["--memory", "256 MiB"]);
        args.extend(more);
        args
    }

    fn run(&self, verb: &str, more: &[&str]) -> Ran {
        run(&self.args(verb, more))
    }

    fn import(&self, more: &[&str], input: &[u8]) -> Ran {
        let more = [&["--shards", "2"], more].concat();
        run_on(&self.args("import", &more), input)
    }
}

/// Made-up events, as lines.
fn events(count: u64, seed: u64) -> String {
    let config = Config { events: count, ..Config::default() };
    let mut generator = Generator::new(seed, &config);
    let mut lines = String::new();
    for _ in 0..count {
        // Nobody checks here, and signing takes most of the time.
        let json = generator.next_unsigned().into_event().to_json();
        lines.push_str(std::str::from_utf8(&json).unwrap());
        lines.push('\n');
    }
    lines
}

/// A line as JSON, next to its text.
#[derive(Clone)]
struct Line {
    text: String,
    json: Value,
}

impl Line {
    fn all(text: &str) -> Vec<Line> {
        let line = |text: &str| Line {
            text: text.into(),
            json: serde_json::from_str(text).expect("a line of JSON"),
        };
        text.lines().map(line).collect()
    }

    fn text_of(&self, key: &str) -> &str {
        self.json[key].as_str().unwrap()
    }

    fn number(&self, key: &str) -> u64 {
        self.json[key].as_u64().unwrap()
    }

    /// Ascending: oldest first, of equals the highest id.
    fn order(&self, other: &Line) -> std::cmp::Ordering {
        let times = self.number("created_at").cmp(&other.number("created_at"));
        times.then_with(|| other.text_of("id").cmp(self.text_of("id")))
    }

    /// What no other event with the same may stand beside; `None` for regular events.
    fn place(&self) -> Option<(String, u64, String)> {
        let (author, kind) = (self.text_of("pubkey").to_string(), self.number("kind"));
        let d = || {
            let mut tags = self.json["tags"].as_array().unwrap().iter();
            let d = tags.find(|tag| tag[0] == "d");
            d.map_or("", |tag| tag[1].as_str().unwrap_or("")).to_string()
        };
        match kind {
            0 | 3 | 10_000..20_000 => Some((author, kind, String::new())),
            30_000..40_000 => Some((author, kind, d())),
            _ => None,
        }
    }
}

/// What a store of `lines` ought to hold, oldest first.
fn kept(lines: &str) -> Vec<Line> {
    let mut kept = Vec::new();
    let mut places: HashMap<_, Line> = HashMap::new();
    for line in Line::all(lines) {
        match (line.number("kind"), line.place()) {
            (20_000..30_000, _) => {}
            (_, None) => kept.push(line),
            (_, Some(place)) => {
                let newest = places.entry(place).or_insert_with(|| line.clone());
                if newest.order(&line).is_lt() {
                    *newest = line;
                }
            }
        }
    }
    kept.extend(places.into_values());
    kept.sort_by(Line::order);
    kept
}

fn texts(lines: &[Line]) -> String {
    lines.iter().map(|line| format!("{}\n", line.text)).collect()
}
