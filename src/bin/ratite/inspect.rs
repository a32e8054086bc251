//! `ratite inspect`: one file of a store, as it lies there.

use crate::config::parse_size;
use crate::failure::{Failure, Outcome};
use crate::output::Text;
use crate::store::Holds;
use ratite::base::{Error, PageSize};
use ratite::io::{self, Backend, Env};
use ratite::logs::LogRef;
use ratite::logs::time::Zone;
use ratite::maintain::inspect::{self, Ask, Kind, Line, Value};
use ratite::model::Record;
use ratite::nostr::{EventRef, write_event};
use serde_json::{Map, Value as Json, json};
use std::cell::RefCell;
use std::path::{Path, PathBuf};

/// Options of `ratite inspect`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// STORE, manifests, log files, segments, wherever they lie and under whatever names; other files
    /// are shown as bytes. A first word `wal`, `segment`, `manifest` or `page` says what they are,
    /// where their own bytes are too damaged to tell
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,

    /// The bytes from here on, as bytes
    #[arg(long, value_name = "OFFSET", conflicts_with_all = ["page", "lsn"])]
    at: Option<u64>,

    /// This page of a segment: what stands in it, and its bytes
    #[arg(long, value_name = "N", conflicts_with = "lsn")]
    page: Option<u32>,

    /// Size of a segment's pages: 4096, 8192 or 16384. Without, it is what the header, its copy, or
    /// else the pages themselves tell
    #[arg(long, value_name = "BYTES", value_parser = page_size)]
    page_size: Option<PageSize>,

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

fn page_size(text: &str) -> Result<PageSize, String> {
    let bytes = parse_size(text)?;
    let size = usize::try_from(bytes).ok().and_then(PageSize::from_bytes);
    size.ok_or_else(|| "it is none of 4096, 8192 and 16384".into())
}

/// Words for what a file is.
const KINDS: [(&str, Kind); 4] = [
    ("wal", Kind::Log),
    ("segment", Kind::Segment),
    ("manifest", Kind::Manifest),
    ("page", Kind::Segment),
];

/// The word for what the files are, if there is one, and the files.
fn files(args: &Args) -> Outcome<(Option<Kind>, &[PathBuf])> {
    let Some((first, rest)) = args.files.split_first() else { return Ok((None, &[])) };
    let kind = KINDS.iter().find(|(word, _)| !rest.is_empty() && first.as_os_str() == *word);
    let Some((word, kind)) = kind else { return Ok((None, &args.files)) };
    if *word == "page" && args.page.is_none() {
        return Err(Failure::Usage("which page? --page N".into()));
    }
    Ok((Some(*kind), rest))
}

/// Refuses a word that the file's own bytes contradict.
fn check_kind(env: &Env, file: &Path, asked: Kind) -> Outcome<()> {
    let name = |kind: Kind| match kind {
        Kind::Store => "a STORE file",
        Kind::Manifest => "a manifest",
        Kind::Log => "a log file",
        Kind::Segment => "a segment",
        Kind::Text => "a text of a relay",
    };
    match inspect::kind_of(env, file)? {
        Some(found) if found != asked => {
            let (path, found, asked) = (file.display(), name(found), name(asked));
            Err(Failure::Usage(format!("{path} is {found}, as its bytes say, and not {asked}")))
        }
        _ => Ok(()),
    }
}

pub fn run(args: &Args) -> Outcome<()> {
    let mut left = args.limit.unwrap_or(u64::MAX);
    let (kind, files) = files(args)?;
    files.iter().try_for_each(|file| show(args, kind, file, &mut left))
}

/// Shows one file, in `left` lines at most.
fn show(args: &Args, kind: Option<Kind>, file: &Path, left: &mut u64) -> Outcome<()> {
    if !file.is_file() {
        let path = file.display();
        return Err(Failure::Sentence(format!(
            "{path} is no file; `ratite verify` looks at a store"
        )));
    }
    let env = io::system(Backend::Posix)?;
    if let Some(kind) = kind {
        check_kind(&env, file, kind)?;
    }
    // A file of a shard lies below the STORE file of its store.
    let dir = file.canonicalize().ok().and_then(|file| Some(file.parent()?.parent()?.to_owned()));
    let show = match dir.and_then(|dir| Holds::of(&dir, &env)) {
        Some(Holds::Logs) => log_of,
        _ => event_of,
    };
    let show = |record: Record<'_>| show(record);
    let ask = Ask {
        kind,
        at: args.at,
        page: args.page,
        page_size: args.page_size,
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
