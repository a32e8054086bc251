//! Standard output and standard error, without panics when the other side is gone.

use crate::failure::{Failure, Outcome};
use ratite::nostr::{EventRef, write_event};
use std::fmt::Display;
use std::io::{self, IsTerminal, StdoutLock, Write};

/// Bytes that are gathered before they are written: one system call for some 60 events.
const GATHERED_BYTES: usize = 64 * 1024;

/// Writes a line to standard error. If nobody listens there, there is nobody to tell.
pub fn say(line: impl Display) {
    let _unheard = writeln!(io::stderr().lock(), "{line}");
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

/// Lines of JSON on standard output. What is not finished may not be written.
pub struct Lines {
    out: StdoutLock<'static>,
    gathered: Vec<u8>,
}

impl Lines {
    /// Takes standard output.
    pub fn open() -> Lines {
        Lines { out: io::stdout().lock(), gathered: Vec::with_capacity(GATHERED_BYTES) }
    }

    /// Appends an event and a line feed.
    pub fn event(&mut self, event: &EventRef<'_>) -> Outcome<()> {
        write_event(event, &mut self.gathered);
        self.gathered.push(b'\n');
        if self.gathered.len() < GATHERED_BYTES {
            return Ok(());
        }
        self.write()
    }

    /// Writes whole lines that were made elsewhere.
    pub fn whole(&mut self, lines: &[u8]) -> Outcome<()> {
        self.out.write_all(lines).map_err(|e| Failure::output(&e))
    }

    /// Writes what is left.
    pub fn finish(mut self) -> Outcome<()> {
        self.write()?;
        self.out.flush().map_err(|e| Failure::output(&e))
    }

    fn write(&mut self) -> Outcome<()> {
        self.out.write_all(&self.gathered).map_err(|e| Failure::output(&e))?;
        self.gathered.clear();
        Ok(())
    }
}
