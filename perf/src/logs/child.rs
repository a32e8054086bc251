//! A peer's engine in a child process: `scripts/logs_peers.py`, which measures itself.
//!
//! ```text
//!   perf  --{"do": [SQL, ..]}, {"ask": SQL}, {"reopen": []}, one a line-->  python  --> DuckDB, or ClickHouse as chdb
//!         <--{"wall": ns, "cpu": ns, "bytes": n}, and n bytes of rows-----
//! ```
//!
//! Rows are those of ClickHouse's `RowBinary`: numbers in eight bytes, little-endian; strings behind their length in
//! LEB128.

use super::peer::Took;
use crate::Result;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

const SCRIPT: &str = include_str!("../../scripts/logs_peers.py");

/// A child that holds an engine; dropping it waits for its end.
pub struct Engine {
    child: Child,
    /// Closed, it ends.
    requests: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    pub version: String,
}

/// What came back, and what the engine took for it.
pub struct Answer {
    pub took: Took,
    pub rows: Vec<u8>,
}

impl Engine {
    /// Starts `engine` on its files in `dir`.
    pub fn start(python: &Path, engine: &str, dir: &Path) -> Result<Engine> {
        let mut command = Command::new(python);
        command.args(["-c", SCRIPT, engine]).arg(dir);
        let missing = |why: &str| {
            format!(
                "{engine} in {}: {why}. It wants: python3 -m venv V && V/bin/pip install duckdb chdb; \
                 then --python V/bin/python",
                python.display()
            )
        };
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| missing(&error.to_string()))?;
        let requests = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().ok_or("it was piped above")?);
        let mut engine = Engine { child, requests, answers, version: String::new() };
        let (head, _) = engine.receive().map_err(|error| missing(&error.to_string()))?;
        engine.version = head["version"].as_str().unwrap_or_default().into();
        Ok(engine)
    }

    /// Executes statements that give no rows.
    pub fn execute(&mut self, statements: &[String]) -> Result<Took> {
        Ok(self.call(&json!({ "do": statements }))?.took)
    }

    /// Asks for rows.
    pub fn query(&mut self, sql: &str) -> Result<Answer> {
        self.call(&json!({ "ask": sql }))
    }

    /// Closes the files and opens them again.
    pub fn reopen(&mut self) -> Result<()> {
        self.call(&json!({ "reopen": [] })).map(|_| ())
    }

    fn call(&mut self, request: &Value) -> Result<Answer> {
        let requests = self.requests.as_mut().ok_or("it is closed only when dropped")?;
        writeln!(requests, "{request}")?;
        let (head, rows) = self.receive().map_err(|error| format!("{request}: {error}"))?;
        let nanos = |name| head[name].as_u64().ok_or("an answer without its time");
        Ok(Answer { took: Took { wall: nanos("wall")?, cpu: nanos("cpu")? }, rows })
    }

    fn receive(&mut self) -> Result<(Value, Vec<u8>)> {
        let mut head = String::new();
        if self.answers.read_line(&mut head)? == 0 {
            return Err(format!("it ended: {}", self.child.wait()?).into());
        }
        let head: Value = serde_json::from_str(&head)?;
        if let Some(error) = head["error"].as_str() {
            return Err(error.into());
        }
        let mut rows = vec![0; head["bytes"].as_u64().unwrap_or(0) as usize];
        self.answers.read_exact(&mut rows)?;
        Ok((head, rows))
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        drop(self.requests.take());
        // It was asked to end, and there is nobody to tell that it failed to.
        let _ended = self.child.wait();
    }
}

/// What is left of rows.
pub struct Fields<'a>(pub &'a [u8]);

impl<'a> Fields<'a> {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn number(&mut self) -> Result<u64> {
        let (number, rest) = self.0.split_first_chunk().ok_or("a number is cut")?;
        self.0 = rest;
        Ok(u64::from_le_bytes(*number))
    }

    pub fn string(&mut self) -> Result<&'a [u8]> {
        let (mut length, mut shift) = (0, 0);
        loop {
            let (byte, rest) = self.0.split_first().ok_or("a length is cut")?;
            self.0 = rest;
            length |= usize::from(byte & 0x7F) << shift;
            shift += 7;
            if *byte < 0x80 {
                break;
            }
            if shift > 28 {
                return Err("a length is too long".into());
            }
        }
        let (string, rest) = self.0.split_at_checked(length).ok_or("a string is cut")?;
        self.0 = rest;
        Ok(string)
    }
}

#[cfg(test)]
mod tests {
    use super::Fields;

    #[test]
    fn fields_come_back_and_a_cut_is_an_error() {
        let long = vec![b'x'; 300];
        let mut rows = 7u64.to_le_bytes().to_vec();
        rows.extend([0xAC, 0x02]);
        rows.extend(&long);
        let mut fields = Fields(&rows);
        assert_eq!(fields.number().unwrap(), 7);
        assert_eq!(fields.string().unwrap(), long);
        assert!(fields.is_empty());
        for cut in 0..rows.len() {
            let mut fields = Fields(&rows[..cut]);
            assert!(fields.number().and_then(|_| fields.string()).is_err(), "cut at {cut}");
        }
        assert!(Fields(&[0xFF; 9]).string().is_err());
    }
}
