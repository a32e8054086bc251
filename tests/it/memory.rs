//! A real process held to its memory budget: it writes as fast as it can while others read, then only reads,
//! then writes again, and its anonymous memory stays below the budget and an allowance for the program.
//!
//! ```text
//!   parent: start child -> its report, a line a phase -> compare with the budget
//!   child:  open, [ write | write and read | read | write and read ], RssAnon after every 500 steps
//! ```
//!
//! The allowance is for what no option bounds: the program itself as it starts, stacks, a query's own memory
//! in each reader, and what the allocator keeps of memory that was freed.

use ratite::io::Rng;
use ratite::nostr::{Event, EventStore, Filter, TagFilter};
use ratite::shard::SyncMode;
use ratite::store::Options;
use std::collections::VecDeque;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// Beyond the budget: MiB for the program.
const ALLOWANCE_MIB: u64 = 24;

const READERS: u64 = 2;

/// Writes that are under way.
const WINDOW: usize = 256;

fn author(number: u64) -> [u8; 32] {
    let mut key = [7; 32];
    key[..8].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
    key
}

/// The event of that number: notes and reactions that refer to others, profiles that replace each other.
fn event(number: u64) -> Event {
    let mut rng = Rng::new(number);
    let kind = [1, 1, 1, 7, 7, 6, 0, 30_023][rng.below(8) as usize];
    let hex = |key: [u8; 32]| key.iter().map(|b| format!("{b:02x}")).collect::<String>();
    let (other, topic) = (hex(author(rng.below(5_000))), format!("topic {}", rng.below(2_000)));
    let slug = format!("slug {}", rng.below(50));
    let tags = [vec!["p", &other], vec!["t", &topic], vec!["d", &slug]];
    let content = "lorem ipsum ".repeat(rng.below(50) as usize);
    let writer = author(rng.below(5_000).min(rng.below(5_000)));
    Event::from_parts(writer, 1_700_000_000 + number, kind, &tags, &content)
}

fn query(rng: &mut Rng, written: u64) -> Filter {
    let mut filter = Filter { limit: Some(1 + rng.below(100) as usize), ..Filter::default() };
    let someone = || Some([author(rng.below(5_000))].into());
    match written % 4 {
        0 => filter.authors = someone(),
        1 => filter.ids = Some([*event(rng.below(written.max(1))).id()].into()),
        _ => filter.until = Some(1_700_000_000 + rng.below(written.max(1))),
    }
    filter
}

/// KiB of anonymous memory of this process.
fn rss_anon_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
