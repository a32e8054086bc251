//! Plans as text: what each memtable and segment would do for a selection, and what it would cost.

use super::expired::Veil;
use super::memtable::{self, Access};
use super::segment;
use super::{AnyOf, Order, Select};
use crate::base::{Result, Seq};
use crate::segment::PageReads;
use crate::shard::{LiveSegment, Snapshot};
use std::fmt::Write;

/// The plan of `selects` over `snapshots` (shard number and snapshot), for a person.
///
/// # Errors
/// `Corrupt` or `Io` from the look-ups that planning needs.
pub fn explain(selects: &[Select], order: Order, snapshots: &[(u16, Snapshot)]) -> Result<String> {
    let mut out = String::new();
    for (i, select) in selects.iter().enumerate() {
        let limit = select.limit.map_or("no limit".to_string(), |n| format!("limit {n}"));
        let first = if order == Order::Newest { "newest first" } else { "oldest first" };
        line(
            &mut out,
            0,
            format_args!("selection {} of {}: {first}, {limit}", i + 1, selects.len()),
        );
        for (c, any_of) in select.all_of.iter().enumerate() {
            line(&mut out, 1, format_args!("condition {}: any of {} terms", c + 1, any_of.len()));
        }
        if let Some(ids) = &select.ids {
            line(&mut out, 1, format_args!("any of {} ids", ids.len()));
        }
        if select.is_empty() {
            line(&mut out, 1, format_args!("matches nothing, whatever is stored"));
            continue;
        }
        let mut in_all = PageReads::default();
        for (shard, snapshot) in snapshots {
            line(&mut out, 1, format_args!("shard {shard}"));
            for table in snapshot.view.memtables() {
                let records = snapshot.visible(table);
                let mut how = memtable_access(&memtable::access(table, select), records);
                if let Some(sieve) = select.useful_sieve() {
                    let first = sieve.records().min(records.into());
                    how = format!(
                        "sift by marks, at first {first} records; if that finds too little, {how}"
                    );
                }
                let late = |any_of: &&AnyOf| any_of.iter().any(|term| table.is_late(term));
                let late = select.all_of.iter().filter(late).count();
                if late > 0 {
                    how.push_str(&format!(", {late} conditions have no lists here"));
                }
                if select.hides().and_then(|expired| expired.in_memtable(table)).is_some() {
                    how.push_str(", leave out what has expired");
                }
                line(&mut out, 2, format_args!("memtable of {records} records: {how}"));
            }
            for live in &snapshot.view.segments {
                let (how, pages) = segment_plan(live, snapshot.at, select)?;
                in_all.about += pages.about;
                in_all.most += pages.most;
                let (id, records) = (live.segment.info().id, live.segment.records());
                line(&mut out, 2, format_args!("segment {id} of {records} records: {how}"));
            }
        }
        let (reads, cold) = (reads(in_all), "in all, if nothing is in memory");
        line(&mut out, 1, format_args!("{reads} {cold}"));
    }
    Ok(out)
}

fn line(out: &mut String, depth: usize, text: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _written = writeln!(out, "{:indent$}{text}", "", indent = depth * 2);
}

fn memtable_access(access: &Access<'_>, records: u32) -> String {
    match access {
        Access::Nothing => "nothing, a condition has no records here".to_string(),
        Access::Ids(ids) => format!("look up {} ids, check each record", ids.len()),
        Access::All => format!("walk all {records} records, check each"),
        Access::Lists(index, lists) => {
            let postings: u64 = lists.iter().map(|l| u64::from(l.count())).sum();
            let (lists, condition) = (lists.len(), index + 1);
            format!(
                "walk condition {condition} ({lists} lists, {postings} postings), check each record"
            )
        }
    }
}

/// How many pages would be read, in words. The first figure takes bodies for as long as they are on average.
fn reads(pages: PageReads) -> String {
    let PageReads { about, most } = pages;
    format!("about {about} page reads, at most {most},")
}

/// What a segment would do, and how many pages it would read.
fn segment_plan(live: &LiveSegment, at: Seq, select: &Select) -> Result<(String, PageReads)> {
    let plan = segment::plan(&live.segment, select)?;
    let pages = plan.pages(&live.segment, select);
    let sieve = segment::sieve_for(&live.segment, select).filter(|_| !plan.range.is_empty());
    let mut steps = Vec::new();
    if let Some(sieve) = sieve {
        let first = sieve.marks().min(plan.range.len() as u64);
        steps.push(format!("sift by marks, at first {first}; if that finds too little"));
    }
    if plan.empty {
        steps.push("nothing, a condition has no records here".to_string());
        return Ok((steps.join(", "), pages));
    }
    steps.push(format!("ordinals {}..{}", plan.range.start, plan.range.end));
    if let Some(known) = &plan.by_id {
        steps.push(format!("{} known by id", known.len()));
    } else if plan.walked.is_empty() {
        steps.push("walk all".to_string());
    }
    for (i, condition) in plan.walked.iter().enumerate() {
        let does = if i == 0 { "walk" } else { "intersect" };
        let (number, lists, postings) =
            (condition.index + 1, condition.lists.len(), condition.postings);
        steps.push(format!("{does} condition {number} ({lists} lists, {postings} postings)"));
    }
    if !plan.without.is_empty() {
        steps.push(format!("leave out {} lists", plan.without.len()));
    }
    if !plan.residual.is_empty() {
        steps.push("check the rest on each record".to_string());
    }
    if live.dead.count() > 0 {
        steps.push(format!("skip {} dead", live.dead.count()));
    }
    if let Some(expired) = select.hides()
        && let Some(veil) = Veil::over(&live.segment, expired)?
    {
        let mut hidden = 0;
        veil.each_living(live, at, plan.range, |_| {
            hidden += 1;
            Ok(())
        })?;
        steps.push(format!("leave out {hidden} that have expired"));
    }
    steps.push(reads(pages).trim_end_matches(',').to_string());
    Ok((steps.join(", "), pages))
}
