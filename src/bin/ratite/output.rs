//! Standard output and standard error, without panics when the other side is gone.

use crate::failure::{Failure, Outcome};
use crate::packed::Packed;
use ratite::nostr::{EventRef, write_event};
use serde_json::json;
use std::fmt::Display;
use std::io::{self, IsTerminal, StdoutLock, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Bytes that are gathered before they are written: one system call for some 60 events.
const GATHERED_BYTES: usize = 64 * 1024;

/// Whether lines on standard error are objects of JSON.
static SAYS_JSON: AtomicBool = AtomicBool::new(false);

/// From now on everything on standard error is JSON, as the log next to it.
pub fn say_json() {
    SAYS_JSON.store(true, Relaxed);
}

/// Writes a line to standard error. If nobody listens there, there is nobody to tell.
pub fn say(line: impl Display) {
    let _unheard = match SAYS_JSON.load(Relaxed) {
        true => {
            let said = json!({ "target": "ratite", "message": line.to_string() });
            writeln!(io::stderr().lock(), "{said}")
        }
        false => writeln!(io::stderr().lock(), "{line}"),
    };
}

/// Whether a person reads standard output, who did not ask for JSON.
pub fn is_for_person(json: bool) -> bool {
    io::stdout().is_terminal() && !json
}

/// Writes `text` to standard output and flushes it.
pub fn print(text: &str) -> Outcome<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|e| Failure::output(&e))
}

/// Lines of text on standard output. What is not flushed may not be written.
pub struct Text(io::BufWriter<StdoutLock<'static>>);

impl Text {
    /// Takes standard output.
    pub fn open() -> Text {
        Text(io::BufWriter::new(io::stdout().lock()))
    }

    /// Writes a line.
    pub fn line(&mut self, line: &str) -> Outcome<()> {
        writeln!(self.0, "{line}").map_err(|e| Failure::output(&e))
    }

    /// Writes what is left.
    pub fn flush(&mut self) -> Outcome<()> {
        self.0.flush().map_err(|e| Failure::output(&e))
    }
}

/// Lines of JSON on standard output or in a file. What is not finished may not be written.
pub struct Lines {
    out: Out,
    gathered: Vec<u8>,
}

enum Out {
    Standard(StdoutLock<'static>),
    File(Packed),
}

impl Out {
    fn write(&mut self, bytes: &[u8]) -> Outcome<()> {
        match self {
            Out::Standard(out) => out.write_all(bytes).map_err(|e| Failure::output(&e)),
            Out::File(file) => file.write_all(bytes).map_err(|e| cannot_write(file.path(), &e)),
        }
    }
}

fn cannot_write(path: &Path, error: &io::Error) -> Failure {
    Failure::Sentence(format!("cannot write {}: {error}", path.display()))
}

impl Lines {
    /// Takes standard output.
    pub fn open() -> Lines {
        Lines::of(Out::Standard(io::stdout().lock()))
    }

    /// Begins a file, packed as its name ends, which has its name when it is finished.
    pub fn to(path: &Path) -> Outcome<Lines> {
        let file = Packed::create(path).map_err(|error| cannot_write(path, &error))?;
        Ok(Lines::of(Out::File(file)))
    }

    fn of(out: Out) -> Lines {
        Lines { out, gathered: Vec::with_capacity(GATHERED_BYTES) }
    }

    /// Appends an event and a line feed.
    pub fn event(&mut self, event: &EventRef<'_>) -> Outcome<()> {
        self.add(|out| {
            write_event(event, out);
            out.push(b'\n');
        })
    }

    /// Appends whole lines that `write` writes.
    pub fn add(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Outcome<()> {
        write(&mut self.gathered);
        if self.gathered.len() < GATHERED_BYTES {
            return Ok(());
        }
        self.write()
    }

    /// Writes what was gathered, for who is waiting for it.
    pub fn flush(&mut self) -> Outcome<()> {
        self.write()?;
        match &mut self.out {
            Out::Standard(out) => out.flush().map_err(|e| Failure::output(&e)),
            Out::File(_) => Ok(()),
        }
    }

    /// Writes whole lines that were made elsewhere.
    pub fn whole(&mut self, lines: &[u8]) -> Outcome<()> {
        self.out.write(lines)
    }

    /// Writes what is left.
    pub fn finish(mut self) -> Outcome<()> {
        self.write()?;
        match self.out {
            Out::Standard(mut out) => out.flush().map_err(|e| Failure::output(&e)),
            Out::File(file) => {
                let path = file.path().to_owned();
                file.finish().map_err(|error| cannot_write(&path, &error))
            }
        }
    }

    fn write(&mut self) -> Outcome<()> {
        self.out.write(&self.gathered)?;
        self.gathered.clear();
        Ok(())
    }
}
