//! Compaction: everything merged that can be, while the largest use of disk and memory is watched.

use crate::clock::{cpu_by_thread, memory, process_cpu};
use crate::figure::{Figures, round};
use crate::load::{StoreArgs, bytes_in};
use crate::{Result, host};
use serde_json::json;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

#[derive(clap::Args)]
pub struct Args {
    /// Directory of a store.
    #[arg(long)]
    data: PathBuf,
    #[command(flatten)]
    store: StoreArgs,
}

pub fn run(args: &Args, figures: &mut Figures) -> Result<()> {
    let before = bytes_in(&args.data)?;
    let store = args.store.open(&args.data)?;
    let (done, most) = (AtomicBool::new(false), AtomicU64::new(before));
    let (started, cpu) = (Instant::now(), process_cpu());
    let compacted = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Relaxed) {
                // A file that a merge removes meanwhile is not counted twice.
                if let Ok(bytes) = bytes_in(&args.data) {
                    most.fetch_max(bytes, Relaxed);
                }
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        let compacted = store.engine().compact();
        done.store(true, Relaxed);
        compacted
    });
    compacted?;
    let (seconds, cpu) = (started.elapsed().as_secs_f64(), process_cpu() - cpu);
    let by_thread = cpu_by_thread();
    let stats = store.engine().stats();
    let sum = |of: fn(&ratite::shard::ShardStats) -> u64| stats.iter().map(of).sum::<u64>();
    let (records, bytes) = (sum(|s| s.segment_records), sum(|s| s.segment_bytes));
    let (merges, moved) = (sum(|s| s.compactions), sum(|s| s.compaction_bytes));
    let segments = sum(|s| s.segments);
    store.close()?;
    drop(store);
    let after = bytes_in(&args.data)?;
    let values = json!({
        "options": args.store.describe(), "file_system": host::file_system(&args.data),
        "seconds": round(seconds), "cpu_seconds": round(cpu as f64 / 1e9),
        "cpu_seconds_by_thread": by_thread,
        "merges": merges, "moved_bytes": moved, "segments": segments, "records": records,
        "segment_bytes_per_record": round(bytes as f64 / records.max(1) as f64),
        "disk_bytes_before": before, "disk_bytes_most": most.load(Relaxed), "disk_bytes_after": after,
        "peak_rss_mib": memory("VmHWM") >> 20, "anonymous_mib": memory("RssAnon") >> 20,
    });
    eprintln!("{values:#}");
    figures.add("compact", "ratite", "everything that can be gained", values)
}
