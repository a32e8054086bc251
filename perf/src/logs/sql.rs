//! Peers that speak SQL in a child process: one table of times, sources and lines, loaded from a file of text.
//!
//! What an answer took is what the engine took until all rows were in its memory, as the child says, and what looking at
//! them takes here. Python and the pipe between are nobody's time.

use super::child::{Engine, Fields};
use super::lines::Lines;
use super::peer::{Peer, Took};
use super::questions::{Answer, Digest, Question};
use crate::Result;
use crate::clock::{thread_cpu, wall};
use crate::figure::{Figures, round};
use crate::load::bytes_in;
use serde_json::json;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// Lines that are made at a time.
const GROUP: u64 = 8_192;

/// What is its own in an engine's SQL. The table is `lines` with `ts`, `source`, `raw`.
pub struct Dialect {
    /// As the script calls it.
    pub engine: &'static str,
    /// What is set whenever it was opened; `{threads}` stands for a number.
    pub settings: &'static [&'static str],
    pub schema: &'static [&'static str],
    /// Fills the table from `{file}`: time, source, line, with tabs between.
    pub fill: &'static str,
    /// What makes it as small and quick as it gets.
    pub settle: &'static [&'static str],
    /// The condition that a line has all of these words, by the rule of [`super::questions::tokens`].
    pub words: fn(&[String]) -> String,
    /// Asks for the bytes of the table, where some of the files are not needed any more.
    pub bytes: Option<&'static str>,
    /// The number of the bucket of so many microseconds that a line is in.
    pub bucket: fn(u64) -> String,
    pub calls_max: usize,
}

struct Sql {
    dialect: &'static Dialect,
    dir: PathBuf,
    engine: Engine,
    took: Option<Took>,
}

/// Opens it, loading it first if it is not there.
pub fn load(
    dialect: &'static Dialect,
    python: &Path,
    dir: &Path,
    lines: &Lines,
    figures: &mut Figures,
) -> Result<Box<dyn Peer>> {
    let dir = dir.join(dialect.engine);
    if !dir.exists() {
        let part = dir.with_extension("part");
        if part.exists() {
            std::fs::remove_dir_all(&part)?;
        }
        std::fs::create_dir_all(&part)?;
        fill(dialect, python, &part, lines, figures)?;
        std::fs::rename(part, &dir)?;
    }
    let mut engine = Engine::start(python, dialect.engine, &dir)?;
    engine.execute(&settings(dialect))?;
    Ok(Box::new(Sql { dialect, dir, engine, took: None }))
}

fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, |threads| threads.get())
}

fn settings(dialect: &Dialect) -> Vec<String> {
    let threads = threads().to_string();
    dialect.settings.iter().map(|sql| sql.replace("{threads}", &threads)).collect()
}

fn fill(
    dialect: &Dialect,
    python: &Path,
    dir: &Path,
    lines: &Lines,
    figures: &mut Figures,
) -> Result<()> {
    let mut engine = Engine::start(python, dialect.engine, dir)?;
    let owned = |list: &[&str]| list.iter().map(|sql| String::from(*sql)).collect::<Vec<_>>();
    engine.execute(&settings(dialect))?;
    engine.execute(&owned(dialect.schema))?;
    let table = std::path::absolute(dir.with_extension("tsv"))?;
    write(lines, &table)?;
    let file = table.to_str().ok_or("a path that is no UTF-8")?.replace('\'', "''");
    let filled = engine.execute(&[dialect.fill.replace("{file}", &file)])?;
    let settled = engine.execute(&owned(dialect.settle))?;
    let asked = dialect.bytes.map(|sql| engine.query(sql)).transpose()?;
    let version = engine.version.clone();
    drop(engine);
    let bytes = match asked {
        Some(answer) => Fields(&answer.rows).number()?,
        None => bytes_in(dir)?,
    };
    std::fs::remove_file(&table)?;
    let seconds = |nanos: u64| round(nanos as f64 / 1e9);
    let cpu = filled.cpu + settled.cpu;
    let values = json!({
        "lines": lines.count, "seconds": seconds(filled.wall), "cpu_seconds": seconds(cpu),
        "seconds_with_merges": seconds(filled.wall + settled.wall), "bytes": bytes,
        "records_per_cpu_second": (lines.count as f64 * 1e9 / cpu as f64).round(),
        "version": version, "threads": threads(),
    });
    eprintln!("{}: {values}", dialect.engine);
    figures.add("logs", dialect.engine, "load, one statement, with merges", values)
}

/// Writes what `fill` reads.
fn write(lines: &Lines, file: &Path) -> Result<()> {
    let mut file = BufWriter::with_capacity(1 << 20, File::create(file)?);
    lines.batches(GROUP, |_, batch| {
        for (ts, source, raw) in batch.iter() {
            if raw.iter().any(|b| matches!(b, b'\t' | b'\n')) {
                return Err("a line with a tab, which the table of text cannot have".into());
            }
            write!(file, "{ts}\t{}\t", lines.generator.source(source))?;
            file.write_all(raw)?;
            file.write_all(b"\n")?;
        }
        Ok(())
    })?;
    Ok(file.flush()?)
}

impl Sql {
    fn sql(&self, lines: &Lines, question: &Question) -> String {
        let mut conditions = Vec::new();
        conditions.extend(question.from.map(|from| format!("ts >= {from}")));
        conditions.extend(question.to.map(|to| format!("ts < {to}")));
        let source = question.source.map(|rank| lines.generator.source(rank));
        conditions.extend(source.map(|source| format!("source = '{source}'")));
        if !question.tokens.is_empty() {
            conditions.push((self.dialect.words)(&question.tokens));
        }
        if conditions.is_empty() {
            conditions.push("true".into());
        }
        let conditions = conditions.join(" AND ");
        match question.answer {
            Answer::Count => format!("SELECT count(*) FROM lines WHERE {conditions}"),
            Answer::Histogram(us) => format!(
                "SELECT {} AS bucket, count(*) FROM lines WHERE {conditions} GROUP BY bucket",
                (self.dialect.bucket)(us)
            ),
            Answer::Rows => {
                let order = if question.newest { "DESC" } else { "ASC" };
                let limit = match question.limit {
                    0 => String::new(),
                    limit => format!(" LIMIT {limit}"),
                };
                format!("SELECT ts, raw FROM lines WHERE {conditions} ORDER BY ts {order}{limit}")
            }
        }
    }
}

/// Looks at every row.
fn digest(rows: &[u8], answer: Answer) -> Result<Digest> {
    let (mut fields, mut digest, mut count) = (Fields(rows), Digest::default(), 0);
    while !fields.is_empty() {
        match answer {
            Answer::Rows => digest.row(fields.number()?, fields.string()?),
            Answer::Count => count += fields.number()?,
            Answer::Histogram(_) => {
                let _bucket = fields.number()?;
                count += fields.number()?;
            }
        }
    }
    Ok(if answer == Answer::Rows { digest } else { Digest::count(count) })
}

impl Peer for Sql {
    fn name(&self) -> &str {
        self.dialect.engine
    }

    fn answers(&self, _: &Question) -> bool {
        true
    }

    fn ask(&mut self, lines: &Lines, question: &Question) -> Result<Digest> {
        let answer = self.engine.query(&self.sql(lines, question))?;
        let (began, cpu) = (wall(), thread_cpu());
        let digest = digest(&answer.rows, question.answer)?;
        self.took = Some(Took {
            wall: answer.took.wall + wall() - began,
            cpu: answer.took.cpu + thread_cpu() - cpu,
        });
        Ok(digest)
    }

    fn took(&self) -> Option<Took> {
        self.took
    }

    fn calls_max(&self) -> usize {
        self.dialect.calls_max
    }

    fn files(&self) -> PathBuf {
        self.dir.clone()
    }

    fn reopen(&mut self) -> Result<()> {
        self.engine.reopen()?;
        self.engine.execute(&settings(self.dialect))?;
        Ok(())
    }
}
