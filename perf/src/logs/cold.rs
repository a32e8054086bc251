//! Cold: every question is the first after opening, and no page of the files is in memory.
//!
//! Ratite reads around the kernel's page cache and gets a small pool of its own; for the others the kernel is told to
//! forget their pages. What opening takes is a row of its own.

use super::Args;
use super::ask::answer;
use super::lines::Lines;
use super::peer::{self, Peer, drop_pages};
use super::questions::{Question, Row, check, rows};
use crate::Result;
use crate::clock::Meter;
use crate::figure::{Figures, print_head, round};
use serde_json::json;
use std::path::Path;

/// Calls of a row.
const CALLS: usize = 40;

/// Which rows: nothing of them repeats.
const ROWS: [&str; 3] =
    ["needle: one line of all", "frequent word, newest 100", "some 1,000 lines by time"];

pub fn run(
    args: &Args,
    lines: &Lines,
    dir: &Path,
    peers: &mut [Box<dyn Peer>],
    figures: &mut Figures,
) -> Result<()> {
    print_head("cold");
    let mut wrong = 0;
    for mut row in rows().into_iter().filter(|row| ROWS.contains(&row.name)) {
        if args.row.as_ref().is_some_and(|part| !row.name.contains(part.as_str())) {
            continue;
        }
        row.calls = (CALLS * args.calls / 100).max(2);
        wrong += one(args, lines, dir, &row, peers, figures)?;
    }
    match wrong {
        0 => Ok(()),
        wrong => Err(format!("{wrong} cold answers were wrong").into()),
    }
}

fn one(
    args: &Args,
    lines: &Lines,
    dir: &Path,
    row: &Row,
    peers: &mut [Box<dyn Peer>],
    figures: &mut Figures,
) -> Result<u64> {
    let (mut opening, mut asking) = (Meter::of_process(), Meter::of_process());
    let mut others: Vec<Meter> = peers.iter().map(|_| Meter::new()).collect();
    let (mut wrong, mut reads) = (0, 0);
    for question in row.questions(lines, args.seed + 1) {
        let mut store = None;
        opening.time(|| -> Result<u64> {
            store = Some(args.open(dir, args.cold_memory)?);
            Ok(1)
        })?;
        let store = store.ok_or("it was opened above")?;
        let before = store.engine().pool_stats().misses;
        let mut digest = Default::default();
        asking.time(|| -> Result<u64> {
            digest = answer(lines, &store, &question)?;
            Ok(digest.rows)
        })?;
        reads += store.engine().pool_stats().misses - before;
        wrong += u64::from(check(lines, &question, &digest, "ratite, cold")? == Some(false));
        store.close()?;
        for (peer, meter) in peers.iter_mut().zip(&mut others) {
            if peer.answers(&question) && meter.wall.len() < peer.calls_max() as u64 {
                ask(peer.as_mut(), lines, &question, meter)?;
            }
        }
    }
    let more = json!({
        "options": args.describe(), "cold_memory_mib": args.cold_memory,
        "page_reads": round(reads as f64 / asking.wall.len().max(1) as f64),
    });
    let name = format!("cold: {}", row.name);
    figures.add_meter("logs", "ratite", &format!("{name}, opening"), &opening, more.clone())?;
    figures.add_meter("logs", "ratite", &name, &asking, more)?;
    for (peer, meter) in peers.iter().zip(&others).filter(|(_, meter)| !meter.wall.is_empty()) {
        figures.add_meter("logs", peer.name(), &name, meter, json!({ "lines": lines.count }))?;
    }
    Ok(wrong)
}

fn ask(peer: &mut dyn Peer, lines: &Lines, question: &Question, meter: &mut Meter) -> Result<()> {
    drop_pages(&peer.files())?;
    peer.reopen()?;
    peer::ask(peer, lines, question, meter).map(|_| ())
}
