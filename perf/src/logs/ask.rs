//! Asking: each row many times, of each store in turn, warm.

use super::lines::Lines;
use super::peer::{self, Peer};
use super::questions::{Answer, Digest, Question, Row, check, rows};
use super::{Args, text};
use crate::clock::{Instructions, Meter, memory, process_cpu};
use crate::figure::{Figures, print_head, round};
use crate::{Result, host};
use ratite::logs::{LogStore, Query};
use serde_json::json;
use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

/// How often everything is read.
const SCANS: usize = 3;

/// Beyond so many bytes, once.
const SCAN_BYTES_MANY: u64 = 1 << 30;

/// What is known of one store while a row is asked.
struct Asked {
    meter: Meter,
    /// Of answers that were compared.
    differing: u64,
    compared: u64,
}

pub fn run(
    args: &Args,
    lines: &Lines,
    dir: &Path,
    peers: &mut [Box<dyn Peer>],
    figures: &mut Figures,
) -> Result<()> {
    let store = open(args, dir, figures)?;
    let mut wrong = 0;
    print_head("logs");
    for mut row in rows() {
        if args.row.as_ref().is_some_and(|part| !row.name.contains(part.as_str())) {
            continue;
        }
        row.calls = (row.calls * args.calls / 100).max(2);
        wrong += one(args, lines, &store, &row, peers, figures)?;
    }
    if args.row.is_none() {
        scan(args, &store, figures)?;
        text::unpack(&args.data, figures)?;
    }
    store.close()?;
    if wrong > 0 {
        return Err(format!("{wrong} answers were wrong").into());
    }
    Ok(())
}

/// Opens the store, as it was closed.
fn open(args: &Args, dir: &Path, figures: &mut Figures) -> Result<LogStore> {
    let (mut meter, mut store) = (Meter::of_process(), None);
    for _ in 0..7 {
        drop(store.take());
        meter.time(|| -> Result<u64> {
            store = Some(args.open(dir, args.memory)?);
            Ok(1)
        })?;
    }
    print_head("open");
    figures.add_meter("logs", "ratite", "open", &meter, json!({ "options": args.describe() }))?;
    store.ok_or_else(|| "it was opened above".into())
}

/// Asks one row; returns how many answers of any store were wrong.
fn one(
    args: &Args,
    lines: &Lines,
    store: &LogStore,
    row: &Row,
    peers: &mut [Box<dyn Peer>],
    figures: &mut Figures,
) -> Result<u64> {
    let questions = row.questions(lines, args.seed);
    let asked = || Asked { meter: Meter::of_process(), differing: 0, compared: 0 };
    let mut ours = asked();
    let mut others: Vec<Asked> = peers.iter().map(|_| asked()).collect();
    let (mut counter, mut instructions) = (Instructions::start(), 0);
    // The first fifth warms up, and is where answers are compared.
    let warm = (questions.len() / 5).max(1);
    for (i, question) in questions.iter().enumerate() {
        if i == warm {
            (ours.meter, instructions) = (Meter::of_process(), 0);
            others.iter_mut().for_each(|other| other.meter = Meter::new());
        }
        let before = counter.count();
        let digest = ours.ask(lines, store, question)?;
        let after = counter.count();
        instructions += after.zip(before).map_or(0, |(after, before)| after - before);
        if i < warm
            && let Some(right) = check(lines, question, &digest, "ratite")?
        {
            ours.compare(right);
        }
        for (peer, other) in peers.iter_mut().zip(&mut others) {
            if !peer.answers(question) || other.meter.wall.len() >= peer.calls_max() as u64 {
                continue;
            }
            let theirs = peer::ask(peer.as_mut(), lines, question, &mut other.meter)?;
            if i < warm && peer.is_exact(question) {
                other.compare(theirs.is(&digest, question));
            }
        }
    }
    let more = json!({
        "instructions": instructions / ours.meter.wall.len().max(1), "goal_us": row.goal_us,
        "answers_that_differ": ours.differing, "answers_compared": ours.compared,
        "options": args.describe(), "rss_mib": memory("VmRSS") >> 20,
        "file_system": host::file_system(&args.data),
    });
    figures.add_meter("logs", "ratite", row.name, &ours.meter, more)?;
    let mut wrong = ours.differing;
    for (peer, other) in peers.iter().zip(&others).filter(|(_, other)| !other.meter.wall.is_empty())
    {
        let more = json!({
            "answers_that_differ": other.differing, "answers_compared": other.compared,
            "lines": lines.count,
        });
        figures.add_meter("logs", peer.name(), row.name, &other.meter, more)?;
        wrong += other.differing;
    }
    Ok(wrong)
}

impl Asked {
    /// Asks Ratite.
    fn ask(&mut self, lines: &Lines, store: &LogStore, question: &Question) -> Result<Digest> {
        let mut digest = Digest::default();
        self.meter.time(|| -> Result<u64> {
            digest = answer(lines, store, question)?;
            Ok(digest.rows)
        })?;
        Ok(digest)
    }

    fn compare(&mut self, is_right: bool) {
        self.compared += 1;
        self.differing += u64::from(!is_right);
    }
}

/// Asks the store, and looks at every row.
pub fn answer(lines: &Lines, store: &LogStore, question: &Question) -> Result<Digest> {
    let query = query(lines, question);
    match question.answer {
        Answer::Count => Ok(Digest::count(store.count(&query)?)),
        Answer::Histogram(bucket_us) => {
            let buckets = store.histogram(&query, bucket_us)?;
            Ok(Digest::count(buckets.iter().map(|(_, count)| count).sum()))
        }
        Answer::Rows => {
            let mut digest = Digest::default();
            let mut search = store.search(&query)?;
            while let Some(record) = search.next()? {
                digest.row(record.ts(), record.raw());
            }
            Ok(digest)
        }
    }
}

fn query(lines: &Lines, question: &Question) -> Query {
    Query {
        from: question.from,
        to: question.to,
        reverse: question.newest,
        sources: question.source.iter().map(|rank| lines.sources[*rank].uuid()).collect(),
        tokens: question.tokens.iter().map(|token| token.clone().into_bytes()).collect(),
        limit: question.limit,
        ..Query::default()
    }
}

/// Reads everything, oldest first.
fn scan(args: &Args, store: &LogStore, figures: &mut Figures) -> Result<()> {
    let mut best: Option<(f64, f64, u64, u64)> = None;
    for _ in 0..SCANS {
        let (started, cpu) = (Instant::now(), process_cpu());
        let (mut rows, mut bytes) = (0, 0);
        let mut search = store.search(&Query::default())?;
        while let Some(record) = search.next()? {
            rows += 1;
            bytes += black_box(record.raw()).len() as u64;
        }
        let wall = started.elapsed().as_secs_f64();
        let cpu = (process_cpu() - cpu) as f64 / 1e9;
        if best.is_none_or(|(_, least, _, _)| cpu < least) {
            best = Some((wall, cpu, rows, bytes));
        }
        if bytes > SCAN_BYTES_MANY {
            break;
        }
    }
    let (wall, cpu, rows, bytes) = best.ok_or("nothing was read")?;
    let values = json!({
        "options": args.describe(), "records": rows, "raw_bytes": bytes,
        "seconds": round(wall), "cpu_seconds": round(cpu),
        "mb_per_second": round(bytes as f64 / 1e6 / wall),
        "mb_per_cpu_second": round(bytes as f64 / 1e6 / cpu),
        "ns_per_record": round(cpu * 1e9 / rows.max(1) as f64),
    });
    eprintln!("scan of all, oldest first: {values:#}");
    if rows != args.lines {
        return Err(format!("{rows} records were read of {}", args.lines).into());
    }
    figures.add("logs", "ratite", "scan of all, oldest first", values)
}
