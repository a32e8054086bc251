//! SQLite: a table with indexes on time and on source and time, and FTS5 over it without positions.
//!
//! Its tokenizer `ascii` has this rule but for words of one byte, which it keeps. The newest rows of a word come by
//! rowid, as FTS5 gives them quickly: in order of arrival, not of time.

use super::lines::Lines;
use super::peer::Peer;
use super::questions::{Answer, Digest, Question};
use crate::Result;
use crate::clock::process_cpu;
use crate::figure::{Figures, round};
use crate::load::bytes_in;
use rusqlite::{Connection, ToSql};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Lines of a transaction.
const GROUP: u64 = 10_000;

const SCHEMA: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = NORMAL;
    CREATE TABLE lines (seq INTEGER PRIMARY KEY, ts INTEGER, source INTEGER, raw TEXT);
    CREATE INDEX lines_ts ON lines (ts);
    CREATE INDEX lines_source ON lines (source, ts);
    CREATE VIRTUAL TABLE words USING
        fts5 (raw, content = 'lines', content_rowid = 'seq', detail = none, tokenize = 'ascii');";

struct Fts {
    dir: PathBuf,
    db: Connection,
}

/// Opens it, loading it first if it is not there.
pub fn load(dir: &Path, lines: &Lines, figures: &mut Figures) -> Result<Box<dyn Peer>> {
    let dir = dir.join("sqlite");
    if !dir.exists() {
        let part = dir.with_extension("part");
        if part.exists() {
            std::fs::remove_dir_all(&part)?;
        }
        std::fs::create_dir_all(&part)?;
        fill(&part, lines, figures)?;
        std::fs::rename(part, &dir)?;
    }
    let db = open(&dir)?;
    Ok(Box::new(Fts { dir, db }))
}

fn open(dir: &Path) -> Result<Connection> {
    let db = Connection::open(dir.join("lines.db"))?;
    db.execute_batch("PRAGMA mmap_size = 4000000000; PRAGMA cache_size = -262144;")?;
    db.set_prepared_statement_cache_capacity(64);
    Ok(db)
}

fn fill(dir: &Path, lines: &Lines, figures: &mut Figures) -> Result<()> {
    let mut db = open(dir)?;
    db.execute_batch(SCHEMA)?;
    let (started, cpu) = (Instant::now(), process_cpu());
    let making = lines.batches(GROUP, |start, batch| {
        let write = db.transaction()?;
        {
            let mut line = write.prepare_cached("INSERT INTO lines VALUES (?, ?, ?, ?)")?;
            let mut words = write.prepare_cached("INSERT INTO words (rowid, raw) VALUES (?, ?)")?;
            for (seq, (ts, source, raw)) in (start as i64..).zip(batch.iter()) {
                let raw = std::str::from_utf8(raw)?;
                line.execute((seq, ts as i64, source as i64, raw))?;
                words.execute((seq, raw))?;
            }
        }
        Ok(write.commit()?)
    })?;
    let seconds = started.elapsed().as_secs_f64();
    db.execute_batch(
        "INSERT INTO words (words) VALUES ('optimize'); PRAGMA wal_checkpoint (TRUNCATE);
         ANALYZE;",
    )?;
    let cpu = (process_cpu() - cpu - making) as f64 / 1e9;
    drop(db);
    let values = json!({
        "lines": lines.count, "seconds": round(seconds), "cpu_seconds": round(cpu),
        "seconds_with_optimize": round(started.elapsed().as_secs_f64()), "bytes": bytes_in(dir)?,
        "records_per_cpu_second": (lines.count as f64 / cpu).round(),
    });
    eprintln!("sqlite fts5: {values}");
    figures.add("logs", "sqlite fts5", "load, not synced, with optimize", values)
}

impl Fts {
    fn rows(&self, sql: &str, values: &[&dyn ToSql]) -> Result<Digest> {
        let mut statement = self.db.prepare_cached(sql)?;
        let mut rows = statement.query(values)?;
        let mut digest = Digest::default();
        while let Some(row) = rows.next()? {
            let raw = row.get_ref(1)?.as_str()?;
            digest.row(row.get::<_, i64>(0)? as u64, raw.as_bytes());
        }
        Ok(digest)
    }

    fn number(&self, sql: &str, values: &[&dyn ToSql]) -> Result<Digest> {
        let number = self.db.prepare_cached(sql)?.query_row(values, |row| row.get::<_, i64>(0))?;
        Ok(Digest::count(number as u64))
    }
}

impl Peer for Fts {
    fn name(&self) -> &str {
        "sqlite fts5"
    }

    fn answers(&self, question: &Question) -> bool {
        !matches!(question.answer, Answer::Histogram(_))
    }

    fn is_exact(&self, question: &Question) -> bool {
        !question.newest || question.answer != Answer::Rows
    }

    fn ask(&mut self, _: &Lines, question: &Question) -> Result<Digest> {
        let quoted: Vec<String> = question.tokens.iter().map(|t| format!("\"{t}\"")).collect();
        let words = quoted.join(" ");
        let limit = if question.limit == 0 { -1 } else { question.limit as i64 };
        let bound = |us: Option<u64>, none: i64| us.map_or(none, |us| us as i64);
        let (from, to) = (bound(question.from, 0), bound(question.to, i64::MAX));
        if question.answer == Answer::Count {
            return self.number("SELECT count(*) FROM words WHERE words MATCH ?", &[&words]);
        }
        if words.is_empty() {
            let source = question.source.map(|source| source as i64);
            return match source {
                Some(source) => self.rows(
                    "SELECT ts, raw FROM lines WHERE source = ? AND ts >= ? AND ts < ? ORDER BY ts LIMIT ?",
                    &[&source, &from, &to, &limit],
                ),
                None => self.rows(
                    "SELECT ts, raw FROM lines WHERE ts >= ? AND ts < ? ORDER BY ts LIMIT ?",
                    &[&from, &to, &limit],
                ),
            };
        }
        if question.to.is_some() {
            return self.rows(
                "SELECT l.ts, l.raw FROM words JOIN lines l ON l.seq = words.rowid
                 WHERE words MATCH ?1 AND words.rowid <=
                     (SELECT seq FROM lines WHERE ts < ?2 ORDER BY ts DESC LIMIT 1)
                 ORDER BY words.rowid DESC LIMIT ?3",
                &[&words, &to, &limit],
            );
        }
        self.rows(
            "SELECT l.ts, l.raw FROM words JOIN lines l ON l.seq = words.rowid
             WHERE words MATCH ? ORDER BY words.rowid DESC LIMIT ?",
            &[&words, &limit],
        )
    }

    fn files(&self) -> PathBuf {
        self.dir.clone()
    }

    fn reopen(&mut self) -> Result<()> {
        self.db = open(&self.dir)?;
        Ok(())
    }

    fn calls_max(&self) -> usize {
        100
    }
}
