//! `--resume-file`: how many lines of each file are stored, so that the next run goes on behind them.
//!
//! ```text
//!   {"/var/log/app.log":{"inode":131,"bytes":8192,"lines":70}}
//! ```
//!
//! 1. A file is the same if it has the inode that it had and is no shorter: one that was rotated or cut off begins anew.
//! 2. It is written after records are answered: after a crash the last lines may be stored twice, and none is missing.

use crate::failure::{Failure, Outcome};
use crate::import::inputs::is_stdin;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// How long nothing is written, so that many small batches cost one write.
const INTERVAL_NANOS: u64 = 1_000_000_000;

/// What is done of the files; of nothing, if no file keeps it.
#[derive(Default)]
pub struct Done {
    path: Option<PathBuf>,
    /// The inputs, absolute, by their numbers.
    inputs: Vec<PathBuf>,
    files: BTreeMap<PathBuf, Of>,
    saved_nanos: u64,
}

/// What is done of a file.
#[derive(Clone, Copy)]
struct Of {
    inode: u64,
    bytes: u64,
    lines: u64,
}

impl Done {
    /// What `path` says of the inputs.
    pub fn read(path: Option<&Path>, inputs: &[PathBuf]) -> Outcome<Done> {
        let Some(path) = path else { return Ok(Done::default()) };
        if inputs.iter().any(|input| is_stdin(input)) {
            let why = "--resume-file is for files: nobody knows where standard input begins";
            return Err(Failure::Usage(why.into()));
        }
        let failed =
            |why: String| Failure::Sentence(format!("cannot read {}: {why}", path.display()));
        let text = match fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => b"{}".to_vec(),
            Err(error) => return Err(failed(error.to_string())),
        };
        let kept: Map<String, Value> =
            serde_json::from_slice(&text).map_err(|error| failed(error.to_string()))?;
        let mut files = BTreeMap::new();
        for (name, value) in kept {
            let number = |key: &str| value.get(key).and_then(Value::as_u64);
            let of = || {
                let (inode, bytes) = (number("inode")?, number("bytes")?);
                Some(Of { inode, bytes, lines: number("lines")? })
            };
            let of = of().ok_or_else(|| failed(format!("it says nothing of {name}")))?;
            files.insert(PathBuf::from(name), of);
        }
        let absolute = |input: &PathBuf| fs::canonicalize(input).unwrap_or_else(|_| input.clone());
        let inputs: Vec<PathBuf> = inputs.iter().map(absolute).collect();
        for input in &inputs {
            // 1.
            let Ok(found) = fs::metadata(input) else { continue };
            let is_same = |of: &Of| of.inode == found.ino() && of.bytes <= found.len();
            if !files.get(input).is_some_and(is_same) {
                let of = Of { inode: found.ino(), bytes: found.len(), lines: 0 };
                files.insert(input.clone(), of);
            }
        }
        Ok(Done { path: Some(path.into()), inputs, files, saved_nanos: 0 })
    }

    /// How many lines of `input` are stored.
    pub fn lines(&self, input: &Path) -> u64 {
        let absolute = fs::canonicalize(input);
        absolute.ok().and_then(|input| self.files.get(&input)).map_or(0, |of| of.lines)
    }

    /// Notes that so many lines of inputs are stored, and writes it if that is some time ago.
    pub fn note(&mut self, until: &[(usize, u64)], now_nanos: u64) -> Outcome<()> {
        if self.path.is_none() {
            return Ok(());
        }
        for (input, lines) in until {
            let Some(input) = self.inputs.get(*input) else { continue };
            let Some(of) = self.files.get_mut(input) else { continue };
            of.lines = of.lines.max(*lines);
            of.bytes = fs::metadata(input).map_or(of.bytes, |found| found.len());
        }
        if now_nanos.saturating_sub(self.saved_nanos) < INTERVAL_NANOS {
            return Ok(());
        }
        self.saved_nanos = now_nanos;
        self.save()
    }

    /// Writes what is done: whole or not at all.
    pub fn save(&self) -> Outcome<()> {
        let Some(path) = &self.path else { return Ok(()) };
        let of = |(path, of): (&PathBuf, &Of)| {
            let Of { inode, bytes, lines } = of;
            let value = json!({ "inode": inode, "bytes": bytes, "lines": lines });
            (path.to_string_lossy().into_owned(), value)
        };
        let text: Map<String, Value> = self.files.iter().map(of).collect();
        let write = || -> io::Result<()> {
            let mut part = path.clone().into_os_string();
            part.push(".part");
            let part = PathBuf::from(part);
            let mut file = File::create(&part)?;
            writeln!(file, "{}", Value::Object(text))?;
            file.sync_all()?;
            fs::rename(&part, path)
        };
        let failed = |error| Failure::Sentence(format!("cannot write {}: {error}", path.display()));
        write().map_err(failed)
    }
}
