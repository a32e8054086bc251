//! `ratite log stats`: sources, records, bytes and times, without reading the records.

use super::show::ShowArgs;
use crate::failure::{Failure, Outcome};
use crate::stats::{bytes_below, mib};
use ratite::logs::time::Zone;
use ratite::logs::{LogStore, Query, Source, SourceRef};
use serde_json::{Value, json};
use std::fmt::Write;

pub fn run(args: &ShowArgs) -> Outcome<()> {
    args.show(|log| Figures::of(log), Figures::text, |figures| format!("{}\n", figures.json()))
}

/// Of a source.
struct Of {
    source: Source,
    records: u64,
    /// Of the first record and of the last.
    times: Option<(u64, u64)>,
}

struct Figures {
    data: String,
    id: String,
    bytes: u64,
    segments: usize,
    records: u64,
    raw_bytes: u64,
    times: Option<(u64, u64)>,
    sources: Vec<Of>,
}

impl Figures {
    fn of(log: &LogStore) -> Outcome<Figures> {
        let mut sources = Vec::new();
        for (source, records) in log.sources()? {
            let times = times(log, vec![source.uuid()])?;
            sources.push(Of { source, records, times });
        }
        let segments = log.segments()?;
        let dir = std::fs::canonicalize(log.engine().dir());
        let dir = dir.unwrap_or_else(|_| log.engine().dir().into());
        Ok(Figures {
            bytes: bytes_below(&dir).map_err(|error| {
                Failure::Sentence(format!("cannot add up the files in {}: {error}", dir.display()))
            })?,
            data: dir.display().to_string(),
            id: log.engine().id().to_string(),
            segments: segments.iter().filter(|segment| segment.sealed).count(),
            records: sources.iter().map(|of| of.records).sum(),
            raw_bytes: segments.iter().map(|segment| segment.raw_bytes).sum(),
            times: times(log, Vec::new())?,
            sources,
        })
    }

    fn json(&self) -> Value {
        let source = |of: &Of| {
            let (source, id) = (of.source.to_string(), SourceRef::Uuid(of.source.uuid()));
            let [first, last] = moments(of.times);
            json!({
                "source": source,
                "source_id": id.to_string(),
                "records": of.records,
                "first": first,
                "last": last,
            })
        };
        let [first, last] = moments(self.times);
        json!({
            "data": self.data,
            "store": self.id,
            "records": self.records,
            "raw_bytes": self.raw_bytes,
            "bytes": self.bytes,
            "segments": self.segments,
            "first": first,
            "last": last,
            "sources": self.sources.iter().map(source).collect::<Vec<_>>(),
        })
    }

    fn text(&self, zone: &Zone) -> String {
        let mut out = String::new();
        let mut line = |name: &str, value: String| {
            // Writing to a String cannot fail.
            let _written = writeln!(out, "{name:<10} {value}");
        };
        line("store", format!("{} in {}", self.id, self.data));
        let (disk, raw) = (mib(self.bytes), mib(self.raw_bytes));
        line("bytes", format!("{disk} on disk with the log, {raw} raw"));
        line("segments", self.segments.to_string());
        line("records", self.records.to_string());
        if let Some((first, last)) = self.times {
            line("first", zone.text(first));
            line("last", zone.text(last));
        }
        line("sources", self.sources.len().to_string());
        let mut sources: Vec<&Of> = self.sources.iter().collect();
        sources.sort_by_key(|of| std::cmp::Reverse(of.records));
        for Of { source, records, times } in sources {
            let last = times.map_or(String::new(), |(_, last)| zone.text(last));
            line("", format!("{records:>12}  last {last}  {source}"));
        }
        out
    }
}

/// The times of the first record of these sources and of the last; without sources, of all records.
fn times(log: &LogStore, sources: Vec<[u8; 16]>) -> Outcome<Option<(u64, u64)>> {
    let end = |reverse| -> Outcome<Option<u64>> {
        let query = Query { reverse, limit: 1, sources: sources.clone(), ..Query::default() };
        Ok(log.search(&query)?.next()?.map(|record| record.ts()))
    };
    Ok(end(false)?.zip(end(true)?))
}

fn moments(times: Option<(u64, u64)>) -> [Option<String>; 2] {
    let utc = Zone::utc();
    [times.map(|(first, _)| utc.text(first)), times.map(|(_, last)| utc.text(last))]
}
