//! `--refused FILE`: the lines that were refused, with the reason, one JSON object a line.
//!
//! ```text
//!   {"file":"a.jsonl","line":7,"reason":"bad id","why":"the id is not ...","text":"{\"id\":..."}
//! ```
//!
//! `file` is null for standard input, and `text` for a line that was too long to be kept. What is no
//! UTF-8 in it stands there as U+FFFD.

use super::Place;
use super::tally::Fate;
use crate::failure::{Failure, Outcome};
use serde_json::json;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// The file, for all workers.
pub struct Refused {
    path: PathBuf,
    out: Mutex<(BufWriter<File>, io::Result<()>)>,
}

impl Refused {
    /// Makes the file, or empties the one that is there.
    pub fn create(path: &Path) -> Outcome<Refused> {
        let file = File::create(path).map_err(|error| cannot_write(path, &error))?;
        Ok(Refused { path: path.into(), out: Mutex::new((BufWriter::new(file), Ok(()))) })
    }

    /// Writes a line; that it fails is said at the end.
    pub fn write(
        &self,
        file: Option<&Path>,
        place: Place,
        fate: Fate,
        why: &str,
        text: Option<&[u8]>,
    ) {
        let line = json!({
            "file": file.map(|path| path.to_string_lossy()),
            "line": place.line,
            "reason": fate.name(),
            "why": why,
            "text": text.map(String::from_utf8_lossy),
        });
        let (out, written) = &mut *self.out.lock().unwrap_or_else(PoisonError::into_inner);
        if written.is_ok() {
            *written = writeln!(out, "{line}");
        }
    }

    /// Writes what is left.
    pub fn finish(&self) -> Outcome<()> {
        let (out, written) = &mut *self.out.lock().unwrap_or_else(PoisonError::into_inner);
        let written = std::mem::replace(written, Ok(()));
        written.and_then(|()| out.flush()).map_err(|error| cannot_write(&self.path, &error))
    }
}

fn cannot_write(path: &Path, error: &io::Error) -> Failure {
    Failure::Sentence(format!("cannot write {}: {error}", path.display()))
}
