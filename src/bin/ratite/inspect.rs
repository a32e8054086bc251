//! `ratite inspect`: one file of a store, as it lies there.

use crate::failure::{Failure, Outcome};
use crate::output::Text;
use crate::store::Holds;
use ratite::base::Error;
use ratite::io::{self, Backend};
use ratite::logs::LogRef;
use ratite::logs::time::Zone;
use ratite::maintain::inspect::{self, Ask, Line, Value};
use ratite::model::Record;
use ratite::nostr::{EventRef, write_event};
use serde_json::{Map, Value as Json, json};
use std::cell::RefCell;
use std::path::{Path, PathBuf};

/// Options of `ratite inspect`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// STORE, manifests, log files, segments; other files are shown as bytes. A first word `wal`,
    /// `segment`, `manifest` or `page` says what they have to be
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,

    /// The bytes from here on, as bytes
    #[arg(long, value_name = "OFFSET", conflicts_with_all = ["page", "lsn"])]
    at: Option<u64>,

    /// This page of a segment, as bytes
    #[arg(long, value_name = "N", conflicts_with = "lsn")]
    page: Option<u32>,

    /// The blocks of a log file from here on: a byte offset, or FILE:OFFSET as it is printed
    #[arg(long, value_name = "LSN", value_parser = lsn)]
    lsn: Option<u32>,

    /// The records of a segment
    #[arg(long)]
    records: bool,

    /// The terms of a segment, with their posting lists
    #[arg(long)]
    terms: bool,

    /// Events too, as JSON, with records and log entries
    #[arg(long)]
    bodies: bool,

    /// At most this many lines
    #[arg(long, value_name = "N")]
    limit: Option<u64>,

    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

fn lsn(text: &str) -> Result<u32, String> {
    let offset = text.split_once(':').map_or(text, |(_file, offset)| offset);
    offset.parse().map_err(|_| "it is neither OFFSET nor FILE:OFFSET".into())
}

/// Words for what a file is, and what its name then begins or ends with.
const KINDS: [(&str, &str); 4] =
    [("wal", "wal-"), ("segment", ".seg"), ("manifest", "manifest-"), ("page", ".seg")];

/// The files to be shown, if they are what the first word says they are.
fn files(args: &Args) -> Outcome<&[PathBuf]> {
    let Some((first, rest)) = args.files.split_first() else { return Ok(&[]) };
    let kind = KINDS.iter().find(|(word, _)| !rest.is_empty() && first.as_os_str() == *word);
    let Some((word, mark)) = kind else { return Ok(&args.files) };
    if *word == "page" && args.page.is_none() {
        return Err(Failure::Usage("which page? --page N".into()));
    }
    let is_one = |path: &&PathBuf| {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        name.is_some_and(|name| name.starts_with(mark) || name.ends_with(mark))
    };
    match rest.iter().find(|path| !is_one(path)) {
        Some(other) => {
            let path = other.display();
            Err(Failure::Usage(format!("{path} is not named like a {word}: *{mark}*")))
        }
        None => Ok(rest),
    }
}

pub fn run(args: &Args) -> Outcome<()> {
    let mut left = args.limit.unwrap_or(u64::MAX);
    files(args)?.iter().try_for_each(|file| show(args, file, &mut left))
}

/// Shows one file, in `left` lines at most.
fn show(args: &Args, file: &Path, left: &mut u64) -> Outcome<()> {
    if !file.is_file() {
        let path = file.display();
        return Err(Failure::Sentence(format!(
            "{path} is no file; `ratite verify` looks at a store"
        )));
    }
    let env = io::system(Backend::Posix)?;
    // A file of a shard lies below the STORE file of its store.
    let dir = file.canonicalize().ok().and_then(|file| Some(file.parent()?.parent()?.to_owned()));
    let show = match dir.and_then(|dir| Holds::of(&dir, &env)) {
        Some(Holds::Logs) => log_of,
        _ => event_of,
    };
    let show = |record: Record<'_>| show(record);
    let ask = Ask {
        at: args.at,
        page: args.page,
        block: args.lsn,
        records: args.records,
        terms: args.terms,
        show: args.bodies.then_some(&show),
    };
    let mut out = Text::open();
    let failed = RefCell::new(None);
    inspect::file(&env, file, &ask, &mut |line| -> Result<bool, Error> {
        if *left == 0 {
            return Ok(false);
        }
        *left -= 1;
        let text = if args.json { json_of(&line).to_string() } else { text_of(&line) };
        let written = out.line(&text);
        let well = written.is_ok();
        *failed.borrow_mut() = written.err();
        Ok(well)
    })?;
    failed.into_inner().map_or(Ok(()), Err)?;
    out.flush()
}

/// An event as JSON, or why the body is none.
fn event_of(record: Record<'_>) -> String {
    match EventRef::new(record.key, record.body) {
        Ok(event) => {
            let mut json = Vec::new();
            write_event(&event, &mut json);
            String::from_utf8_lossy(&json).into_owned()
        }
        Err(error) => format!("no event: {error}"),
    }
}

/// A log record as JSON, or why the body is none.
fn log_of(record: Record<'_>) -> String {
    match LogRef::stored(record) {
        Some(record) => json!({
            "ts": Zone::utc().text(record.ts()),
            "source": record.source().to_string(),
            "raw": String::from_utf8_lossy(record.raw()),
        })
        .to_string(),
        None => "no log record".into(),
    }
}

fn json_of(line: &Line) -> Json {
    let mut map = Map::new();
    map.insert("what".into(), json!(line.what));
    if let Some(at) = line.at {
        map.insert("at".into(), json!(at));
    }
    for (name, value) in &line.fields {
        let value = match value {
            Value::Number(number) => json!(number),
            // A body that is an event goes in as one.
            Value::Text(text) if *name == "body" => {
                serde_json::from_str(text).unwrap_or_else(|_| json!(text))
            }
            Value::Text(text) => json!(text),
            Value::List(list) => json!(list),
        };
        map.insert((*name).into(), value);
    }
    if let Some(damage) = &line.damage {
        map.insert("damage".into(), json!(damage));
    }
    Json::Object(map)
}

fn text_of(line: &Line) -> String {
    let at = line.at.map_or(String::new(), |at| at.to_string());
    let mut text = format!("{at:>12}  {:<8}", line.what);
    for (name, value) in &line.fields {
        let value = match value {
            Value::Number(number) => number.to_string(),
            Value::Text(text) => text.clone(),
            Value::List(list) => {
                let numbers: Vec<String> = list.iter().map(u64::to_string).collect();
                format!("[{}]", numbers.join(","))
            }
        };
        text.push_str(&format!("  {name} {value}"));
    }
    if let Some(damage) = &line.damage {
        text.push_str(&format!("  DAMAGED: {damage}"));
    }
    text
}
