//! The memory budget of a store: one figure, divided among its parts by what they take at the time.
//!
//! ```text
//!   |<----------------------------- memory_bytes ------------------------------>|
//!   | in flight, slack, pool state | memtables | filters ... | working |   pool   |
//!   |           fixed              |  1 or 3 a shard, as data grows, a job's | the rest
//! ```
//!
//! B1. What is fixed comes first, then what the data and the writers take; the pool has all that is left. So
//!     an idle writer's memory caches pages, and a busy one takes it back.
//! B2. A shard's share of memtables is set aside in two steps, one memtable, or all it may have once one is
//!     sealed: the pool has given way before they fill.
//! B3. The pool keeps a 16th of the memory whatever the others take. If they take more than their part,
//!     a warning says so, once.
//! B4. The pool's share is a number of whole huge pages, where it has several.
//!
//! Errors: `Invalid` if the budget cannot hold what the shards need at least.

use super::Options;
use super::options::MEMTABLE_BYTES_MIN;
use crate::base::limits::{GROUP_BYTES_MAX, MEMTABLES_SEALED_MAX};
use crate::base::{Error, PageSize, Result, ShardId};
use crate::pool::Pool;
use crate::shard::{Adjust, ShardMemory};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Memtables take one in this many bytes at first, all shards' together.
const MEMTABLE_SHARE: usize = 16;
const MEMTABLE_BYTES_DERIVED_MAX: usize = 64 << 20;
/// A compaction takes one in this many bytes: half of it for the records that it makes one segment of, half to
/// read its inputs. There is one at a time.
const COMPACTION_SHARE: usize = 8;
/// Bytes that a compaction takes for a record of what it makes.
const MERGED_RECORD_BYTES: usize = 60;

/// Bytes of an input of a compaction: its read buffers and frames.
const MERGED_INPUT_BYTES: usize = 2400 << 10;
/// The pool keeps one in this many bytes (B3).
const POOL_SHARE_MIN: usize = 16;
/// Memtables of a shard that writes as fast as it can: one active, the others sealed, and the working
/// memory of a flush, which is as much as another.
const MEMTABLES_BUSY: usize = 1 + MEMTABLES_SEALED_MAX + 1;
/// The allocator keeps one in this many bytes of memory that was freed, of merges and flushes above all; and the
/// program itself, its stacks and its callers' queries are in it. With a 16th, loading ten million events took 1,028 of 1,024 MiB.
const SLACK_SHARE: usize = 10;
/// Bytes of a ticket, its place in a queue, and the answer.
const TICKET_BYTES: usize = 128;
/// Bytes by which the pool grows and shrinks (B4).
const HUGE_BYTES: usize = 2 << 20;

/// The budget, and what of its division is known before there are data.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Plan {
    pub memory_bytes: usize,
    pub page: PageSize,
    pub shards: usize,
    pub ring_bytes: usize,
    pub memtable_bytes: usize,
    pub compaction_bytes: usize,
    /// Records of the largest segment that a compaction makes.
    pub merge_records_max: u32,
    /// Segments that a compaction reads.
    pub merge_inputs_max: usize,
    /// Rings, groups and tickets of all shards.
    pub in_flight_bytes: usize,
}

/// How the memory is divided at one moment, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Division {
    /// Set aside for memtables.
    pub memtables: usize,
    /// Taken by filters, page tables and tombstones.
    pub segments: usize,
    /// Set aside for flushes and compactions.
    pub working: usize,
    pub pool: usize,
    /// By how much all of it is more than the budget (B3).
    pub over: usize,
}

/// A store's memory: its budget, how that is divided, and what is used. All in bytes.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct StoreMemory {
    /// The budget for everything below.
    pub budget_bytes: u64,
    /// What the pool may use now: what the others leave.
    pub pool_bytes: u64,
    /// Of that, what holds pages.
    pub pool_resident_bytes: u64,
    /// State of the pool's frames.
    pub pool_state_bytes: u64,
    /// Set aside for memtables.
    pub memtable_reserved_bytes: u64,
    /// Memtables now, also those that only readers hold.
    pub memtable_bytes: u64,
    /// Filters, page tables and tombstones of segments.
    pub segment_bytes: u64,
    /// Rings, groups and tickets.
    pub in_flight_bytes: u64,
    /// Left to the allocator, for memory that was freed and is not yet given back.
    pub slack_bytes: u64,
    /// Set aside for flushes and compactions that are under way.
    pub working_bytes: u64,
}

impl Plan {
    /// The plan of a store with `shards` shards.
    pub fn new(options: &Options, page: PageSize, shards: usize) -> Result<Plan> {
        let plan = Plan::with(options, page, shards, options.memory_bytes);
        if plan.busy_bytes() <= plan.memory_bytes {
            return Ok(plan);
        }
        let least = Plan::least_bytes(options, page, shards);
        let (memory, ring) = (plan.memory_bytes, plan.ring_bytes);
        let why = format!(
            "{memory} is less than {least}, the least for {shards} shards with rings of {ring} bytes"
        );
        Err(Error::invalid("memory_bytes", why))
    }

    /// The least memory that `new` accepts.
    pub fn least_bytes(options: &Options, page: PageSize, shards: usize) -> usize {
        let mut bytes = 0;
        loop {
            // Shares of the memory grow with it, by less than half: this ends.
            let busy = Plan::with(options, page, shards, bytes).busy_bytes();
            if busy <= bytes {
                return bytes;
            }
            bytes = busy;
        }
    }

    /// For who reads a shard's files and opens no store.
    pub fn of_files(page: PageSize) -> Plan {
        let options = Options::default();
        Plan::with(&options, page, 1, options.memory_bytes)
    }

    fn with(options: &Options, page: PageSize, shards: usize, memory_bytes: usize) -> Plan {
        let share = |of: usize, most: usize| (memory_bytes / of / shards).min(most);
        let derived = share(MEMTABLE_SHARE, MEMTABLE_BYTES_DERIVED_MAX).max(MEMTABLE_BYTES_MIN);
        let compaction_bytes = memory_bytes / COMPACTION_SHARE;
        let merged = (compaction_bytes / 2 / MERGED_RECORD_BYTES).clamp(1000, u32::MAX as usize);
        let inputs = compaction_bytes / 2 / MERGED_INPUT_BYTES;
        let ring_bytes = options.ring_bytes.next_power_of_two();
        let group_bytes = options.log_file_bytes.min(GROUP_BYTES_MAX);
        let in_flight = ring_bytes + 2 * group_bytes + options.in_flight * TICKET_BYTES;
        Plan {
            memory_bytes,
            page,
            shards,
            ring_bytes,
            memtable_bytes: options.memtable_bytes.unwrap_or(derived),
            compaction_bytes,
            merge_records_max: options.compaction.records_max.min(merged as u32),
            merge_inputs_max: options
                .compaction
                .inputs_max
                .min(inputs)
                .max(options.compaction.fan_in),
            in_flight_bytes: shards * in_flight,
        }
    }

    /// What the shards need at their busiest, without data: then the pool has its minimum.
    fn busy_bytes(&self) -> usize {
        let memtables = self.shards * MEMTABLES_BUSY * self.memtable_bytes;
        let fixed = self.in_flight_bytes + self.slack_bytes() + self.pool_state_bytes();
        fixed + memtables + self.compaction_bytes + self.pool_bytes_min()
    }

    /// Bytes of the pool if nothing but its shards' memtables is there.
    pub fn pool_bytes_max(&self) -> usize {
        let memtables = self.shards * self.memtable_bytes;
        let others = self.in_flight_bytes + self.slack_bytes() + memtables;
        let left = self.memory_bytes.saturating_sub(others);
        let frame = self.page.bytes() + Pool::FRAME_STATE_BYTES;
        (left / frame * self.page.bytes()).max(self.pool_bytes_min())
    }

    fn slack_bytes(&self) -> usize {
        self.memory_bytes / SLACK_SHARE
    }

    fn pool_bytes_min(&self) -> usize {
        (self.memory_bytes / POOL_SHARE_MIN).max(Pool::bytes_min(self.page))
    }

    fn pool_state_bytes(&self) -> usize {
        self.pool_bytes_max() / self.page.bytes() * Pool::FRAME_STATE_BYTES
    }
}

/// Divides the memory of `plan` among shards that take `usage`.
pub(super) fn divide(plan: &Plan, usage: &[ShardMemory]) -> Division {
    let memtables = |shard: &ShardMemory| {
        let count = if shard.sealed == 0 { 1 } else { 1 + MEMTABLES_SEALED_MAX };
        // What was replayed may be more than one memtable's worth.
        (count * plan.memtable_bytes).max(shard.memtable_bytes) + shard.held_bytes
    };
    let memtables = usage.iter().map(memtables).sum();
    let segments = usage.iter().map(|shard| shard.segment_bytes).sum();
    let working = usage.iter().map(|shard| shard.working_bytes).sum();
    let fixed = plan.in_flight_bytes + plan.slack_bytes() + plan.pool_state_bytes();
    let others = fixed + memtables + segments + working;
    let left = plan.memory_bytes.saturating_sub(others);
    let left = if left >= 4 * HUGE_BYTES { left / HUGE_BYTES * HUGE_BYTES } else { left };
    let pool = left.max(plan.pool_bytes_min()).min(plan.pool_bytes_max());
    let over = (others + pool).saturating_sub(plan.memory_bytes);
    Division { memtables, segments, working, pool, over }
}

/// Keeps the account of all shards and sets the pool to what they leave.
#[derive(Debug)]
pub(super) struct Budget {
    plan: Plan,
    pool: Arc<Pool>,
    /// What each shard took when it last said so. Held while the pool changes its size, so that the last
    /// account counts.
    usage: Mutex<Vec<ShardMemory>>,
    warned: AtomicBool,
}

impl Budget {
    /// The budget of `plan`, whose rest is `pool`'s. Shards take nothing yet.
    pub fn new(plan: Plan, pool: &Arc<Pool>) -> Arc<Budget> {
        let usage = vec![ShardMemory::default(); plan.shards];
        pool.resize(divide(&plan, &usage).pool);
        let (usage, warned) = (Mutex::new(usage), AtomicBool::new(false));
        Arc::new(Budget { plan, pool: Arc::clone(pool), usage, warned })
    }

    /// The division for what `shards` take now, and what is used of it.
    pub fn memory(&self, shards: impl Iterator<Item = ShardMemory>) -> StoreMemory {
        let shards: Vec<ShardMemory> = shards.collect();
        let (division, pool) = (divide(&self.plan, &shards), self.pool.stats());
        let page_bytes = self.plan.page.bytes();
        let used = |shard: &ShardMemory| shard.memtable_bytes + shard.held_bytes;
        StoreMemory {
            budget_bytes: self.plan.memory_bytes as u64,
            pool_bytes: (pool.frames * page_bytes) as u64,
            pool_resident_bytes: (pool.resident * page_bytes) as u64,
            pool_state_bytes: self.plan.pool_state_bytes() as u64,
            memtable_reserved_bytes: division.memtables as u64,
            memtable_bytes: shards.iter().map(used).sum::<usize>() as u64,
            segment_bytes: division.segments as u64,
            in_flight_bytes: self.plan.in_flight_bytes as u64,
            slack_bytes: self.plan.slack_bytes() as u64,
            working_bytes: division.working as u64,
        }
    }

    fn usage(&self) -> MutexGuard<'_, Vec<ShardMemory>> {
        // An account is set in one step.
        self.usage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn warn(&self, division: &Division) {
        if division.over == 0 || self.warned.swap(true, Relaxed) {
            return;
        }
        let (budget, Division { memtables, segments, working, pool, .. }) =
            (self.plan.memory_bytes, *division);
        let needed = budget + division.over;
        tracing::warn!(
            budget,
            needed,
            in_flight = self.plan.in_flight_bytes,
            memtables,
            segments,
            working,
            pool,
            "the store needs more memory than its budget, with the least pool; raise memory_bytes"
        );
    }
}

impl Adjust for Budget {
    fn adjust(&self, shard: ShardId, memory: ShardMemory) {
        let mut usage = self.usage();
        let Some(place) = usage.get_mut(usize::from(shard)) else { return };
        *place = memory;
        let division = divide(&self.plan, &usage);
        self.pool.resize(division.pool);
        drop(usage);
        self.warn(&division);
    }
}

#[cfg(test)]
mod tests;
