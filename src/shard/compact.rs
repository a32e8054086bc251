//! Compaction: segments with their dead become fewer segments without, in slices.
//!
//! ```text
//!   inputs, each by key        1 merge the records that live ----> builder: bodies, columns
//!     [.x..x]  [..]  [.x.]       note where each ordinal went
//!                              2 merge the terms, lists through the maps ----> builder: postings, dictionary
//!                              3 finish, sync; 1 to 3 again for each window of `records_max`
//!                              4 names durable, open
//!   shard's thread:            5 deaths since then carried over, view and manifest changed (install)
//!   worker:                    6 inputs removed, once no manifest names them (checkpoint)
//! ```
//!
//! I1. Left out is only what was dead, and published as dead, when the merge began. What dies while it runs
//!     is in the output, and the maps let the shard's thread carry the death over.
//! I2. Nothing names an output before it is durable, and no input is removed while a manifest names it. So a
//!     crash at any step leaves the inputs, or the outputs, and perhaps files that nobody names, which the
//!     next opening removes. The merge is then chosen again.
//! I3. A slice is bounded in records and in terms, so that whoever runs it can stop, or wait, between two.
//!
//! Memory: 52 bytes a record of the window in the builder, 4 bytes a record of the inputs for the maps, 2 MiB of
//! read buffers an input, and where bodies go by block two blocks an input and for the output.

use super::ahead::{Ahead, BUFFER_BYTES};
use super::flush::{self, NOWHERE};
use super::memory::Reserved;
use super::view::LiveSegment;
use super::{Dead, Shared};
use crate::base::{Error, Key, Ordinal, Result, SegmentId, Seq, planted};
use crate::pool::Pool;
use crate::segment::format::BLOCK_BYTES;
use crate::segment::{self, Body, Builder, Compression, Entry, Segment, TermScan};
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

/// Records of one slice: some milliseconds.
const RECORDS_PER_SLICE: usize = 2048;

/// Terms of one slice, and postings after which it ends early.
const TERMS_PER_SLICE: usize = 4096;
const POSTINGS_PER_SLICE: usize = 65_536;

/// Entries read of an input at a time.
const ENTRIES_AHEAD: usize = 128;

/// Bytes that the builder takes for a record.
const RECORD_BYTES: usize = 64;

/// Frames of the private pool for each input: a page of each column and of each level of the dictionary, twice.
const FRAMES_PER_INPUT: usize = 64;

/// A merge that is done and not yet installed.
pub(super) struct Compacted {
    pub(super) inputs: Vec<MergedInput>,
    pub(super) outputs: Vec<Arc<Segment>>,
    /// Bytes read and written, roughly: for figures.
    pub(super) bytes: u64,
}

/// Where the records of an input went.
pub(super) struct MergedInput {
    pub(super) id: SegmentId,
    /// The ordinal in its output of each record, or `NOWHERE`.
    map: Vec<Ordinal>,
    /// Where the records of each output end, for all outputs.
    ends: Vec<Ordinal>,
}

impl MergedInput {
    /// The output, and the ordinal there, of a record.
    fn place(&self, ordinal: Ordinal) -> Option<(usize, Ordinal)> {
        let to = *self.map.get(ordinal as usize).filter(|&&to| to != NOWHERE)?;
        Some((self.ends.partition_point(|&end| end <= ordinal), to))
    }
}

/// A merge under way.
pub(super) struct Compaction {
    shared: Arc<Shared>,
    at: Seq,
    compression: Compression,
    inputs: Vec<Input>,
    outputs: Vec<SegmentId>,
    stage: Stage,
    bytes: u64,
    /// Given back last, when the other fields are gone.
    _memory: Reserved,
}

/// One segment being read.
struct Input {
    live: LiveSegment,
    /// The same file through a pool of the merge's own.
    segment: Arc<Segment>,
    /// The next ordinal to look at.
    next: Ordinal,
    ahead: VecDeque<Entry>,
    body: Body,
    merged: MergedInput,
    /// Terms, while they are merged.
    scan: Option<TermScan>,
    /// The term at hand, and its list.
    term: Option<(Vec<u8>, segment::Postings)>,
}

enum Stage {
    Records(Option<Box<Builder>>, u32),
    Terms(Box<Builder>),
    Open,
    Done,
}

impl Compaction {
    /// Begins to merge `inputs`, of which lives what lives at `at`, which is published.
    pub(super) fn begin(
        shared: &Arc<Shared>,
        inputs: Vec<LiveSegment>,
        at: Seq,
        compression: Compression,
    ) -> Result<Compaction> {
        let page = shared.config.page;
        let memory = shared.reserve(memory_bytes(shared, &inputs));
        let pool = Pool::new(inputs.len() * FRAMES_PER_INPUT * page.bytes(), page);
        let inputs = inputs.into_iter().map(|live| Input::open(shared, &pool, live));
        let inputs = inputs.collect::<Result<Vec<_>>>()?;
        let stage = Stage::Records(None, 0);
        let (shared, outputs) = (shared.clone(), Vec::new());
        Ok(Compaction {
            shared,
            at,
            compression,
            inputs,
            outputs,
            stage,
            bytes: 0,
            _memory: memory,
        })
    }

    /// Does one slice (I3). Returns the result with the last one.
    ///
    /// # Errors
    /// `Io`, or `Corrupt` with the file and offset that cannot be read. The merge is then over.
    pub(super) fn step(&mut self) -> Result<Option<Compacted>> {
        match std::mem::replace(&mut self.stage, Stage::Done) {
            Stage::Records(builder, count) => self.stage = self.records(builder, count)?,
            Stage::Terms(builder) => self.stage = self.terms(builder)?,
            Stage::Open => return self.finish().map(Some),
            Stage::Done => return Err(Error::Closed),
        }
        Ok(None)
    }

    /// Bytes moved so far.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    // --- 1 records ---

    fn records(&mut self, builder: Option<Box<Builder>>, mut count: u32) -> Result<Stage> {
        let mut builder = builder;
        for _ in 0..RECORDS_PER_SLICE {
            let full = count >= self.shared.config.compaction.records_max;
            let from = if full { None } else { self.lowest()? };
            let Some(from) = from else {
                return match builder {
                    Some(builder) => self.records_end(builder),
                    None => Ok(Stage::Open),
                };
            };
            let builder = match &mut builder {
                Some(builder) => builder,
                none => none.insert(Box::new(self.create()?)),
            };
            let input = &mut self.inputs[from];
            let Some(entry) = input.ahead.pop_front() else { continue };
            input.body = input.segment.body_of(&entry, std::mem::take(&mut input.body))?;
            let to = builder.add_record(entry.key, &input.body)?;
            input.merged.map[entry.ordinal as usize] = to;
            self.bytes += 2 * input.body.len() as u64;
            count += 1;
        }
        Ok(Stage::Records(builder, count))
    }

    /// The input whose next record is the lowest of all.
    fn lowest(&mut self) -> Result<Option<usize>> {
        let mut lowest: Option<(Key, usize)> = None;
        for (i, input) in self.inputs.iter_mut().enumerate() {
            if let Some(key) = input.peek(self.at)?
                && lowest.is_none_or(|(other, _)| key < other)
            {
                lowest = Some((key, i));
            }
        }
        Ok(lowest.map(|(_, i)| i))
    }

    fn create(&mut self) -> Result<Builder> {
        let (id, builder) = flush::create(&self.shared, self.compression)?;
        self.outputs.push(id);
        Ok(builder)
    }

    /// Ends a window: what was not reached belongs to the next one.
    fn records_end(&mut self, builder: Box<Builder>) -> Result<Stage> {
        for input in &mut self.inputs {
            let end = input.ahead.front().map_or(input.next, |entry| entry.ordinal);
            input.merged.ends.push(end);
            let mut scan = input.segment.terms();
            input.term = next_term(&mut scan)?;
            input.scan = Some(scan);
        }
        Ok(Stage::Terms(builder))
    }

    // --- 2 terms ---

    fn terms(&mut self, mut builder: Box<Builder>) -> Result<Stage> {
        let (mut list, mut postings) = (Vec::new(), 0);
        for _ in 0..TERMS_PER_SLICE {
            let heads = self.inputs.iter().filter_map(|i| i.term.as_ref());
            let Some(term) = heads.map(|(term, _)| term).min().cloned() else {
                (*builder).finish()?;
                return Ok(Stage::Records(None, 0));
            };
            list.clear();
            for input in &mut self.inputs {
                if let Some((_, found)) = input.term.take_if(|(other, _)| *other == term) {
                    input.merge_list(&found, &mut list)?;
                    input.term = input.scan.as_mut().map_or(Ok(None), next_term)?;
                }
            }
            // Runs that ascend, one an input: what the standard sort merges best.
            list.sort();
            builder.add_list(&term, list.iter().copied().map(Ok))?;
            self.bytes += 2 * (term.len() + list.len()) as u64;
            postings += list.len();
            if postings > POSTINGS_PER_SLICE {
                break;
            }
        }
        Ok(Stage::Terms(builder))
    }

    // --- 4 open ---

    fn finish(&mut self) -> Result<Compacted> {
        if !planted!(SegmentNameNotSynced) {
            self.shared.env.disk.sync_dir(&self.shared.config.dir)?;
        }
        let open = |&id: &SegmentId| flush::open(&self.shared, id);
        let outputs = self.outputs.iter().map(open).collect::<Result<Vec<_>>>()?;
        self.outputs.clear();
        let inputs = self.inputs.drain(..).map(|input| input.merged).collect();
        Ok(Compacted { inputs, outputs, bytes: self.bytes })
    }
}

impl Drop for Compaction {
    /// Removes the outputs of a merge that did not end. What stays is removed by the next opening.
    fn drop(&mut self) {
        self.stage = Stage::Done;
        for id in self.outputs.drain(..) {
            let path = self.shared.config.dir.join(segment::file_name(id));
            if let Err(error) = self.shared.env.disk.remove(&path) {
                tracing::debug!("a merge that was given up leaves a file: {error}");
            }
        }
    }
}

impl Input {
    fn open(shared: &Shared, pool: &Arc<Pool>, live: LiveSegment) -> Result<Input> {
        let info = *live.segment.info();
        let file = shared.env.disk.open(live.segment.path())?;
        let expect = flush::expected(shared);
        let segment = Segment::open_file(pool, Ahead::over(file), info.id, expect, None)?;
        let map = vec![NOWHERE; info.records as usize];
        let merged = MergedInput { id: info.id, map, ends: Vec::new() };
        Ok(Input {
            live,
            segment,
            next: 0,
            ahead: VecDeque::new(),
            body: Body::default(),
            merged,
            scan: None,
            term: None,
        })
    }

    /// The key of the next record that lives at `at`.
    fn peek(&mut self, at: Seq) -> Result<Option<Key>> {
        while self.ahead.is_empty() && self.next < self.segment.records() {
            let end = self.segment.records().min(self.next + ENTRIES_AHEAD as Ordinal);
            let dead = &self.live.dead;
            let lives = |&o: &Ordinal| !dead.is_dead(o, at) || planted!(CompactionDropsTombstones);
            let ordinals: Vec<Ordinal> = (self.next..end).filter(lives).collect();
            let mut entries = Vec::with_capacity(ordinals.len());
            self.segment.entries(&ordinals, &mut entries)?;
            self.ahead.extend(entries);
            self.next = end;
        }
        Ok(self.ahead.front().map(|entry| entry.key))
    }

    /// The ordinals of the window at hand.
    fn window(&self) -> Range<Ordinal> {
        match *self.merged.ends {
            [.., before, end] => before..end,
            [end] => 0..end,
            [] => 0..0,
        }
    }

    /// Adds where the records of a list went, if that is the window at hand.
    fn merge_list(&self, postings: &segment::Postings, list: &mut Vec<Ordinal>) -> Result<()> {
        let window = self.window();
        let mut cursor = postings.cursor(&self.segment);
        let mut from = cursor.seek_ge(window.start)?;
        while let Some(ordinal) = from.filter(|o| window.contains(o)) {
            let to = self.merged.map[ordinal as usize];
            if to != NOWHERE {
                list.push(to);
            }
            from = cursor.seek_ge(ordinal + 1)?;
        }
        Ok(())
    }
}

/// Bytes of memory that a merge of `inputs` takes.
fn memory_bytes(shared: &Shared, inputs: &[LiveSegment]) -> usize {
    let records: usize = inputs.iter().map(|live| live.segment.records() as usize).sum();
    let window = records.min(shared.config.compaction.records_max as usize);
    let frames = FRAMES_PER_INPUT * (shared.config.page.bytes() + Pool::FRAME_STATE_BYTES);
    let filters: usize = inputs.iter().map(LiveSegment::memory_bytes).sum();
    let maps = records * size_of::<Ordinal>();
    let by_block = inputs.iter().filter(|live| live.segment.blocks() > 0).count();
    let blocks = (by_block + 1) * 2 * BLOCK_BYTES;
    window * RECORD_BYTES + maps + filters + blocks + inputs.len() * (BUFFER_BYTES + frames)
}

fn next_term(scan: &mut TermScan) -> Result<Option<(Vec<u8>, segment::Postings)>> {
    Ok(scan.next()?.map(|(term, postings)| (term.to_vec(), postings)))
}

/// The outputs with the tombstones of what died in the inputs while they were merged (I1). `inputs` are as the
/// shard's thread has them now.
pub(super) fn with_late_deaths(compacted: &Compacted, inputs: &[LiveSegment]) -> Vec<LiveSegment> {
    let dead: Vec<Dead> = compacted.outputs.iter().map(|s| Dead::new(s.records())).collect();
    for merged in &compacted.inputs {
        let live = inputs.iter().find(|live| live.segment.info().id == merged.id);
        let forgotten = [planted!(CompactionLosesLateDeaths), planted!(CompactionDropsTombstones)];
        let Some(live) = live.filter(|_| !forgotten.contains(&true)) else { continue };
        live.dead.each_killed(|ordinal, seq| {
            if let Some((output, to)) = merged.place(ordinal) {
                dead[output].carry(to, seq);
            }
        });
    }
    let outputs = compacted.outputs.iter().cloned().zip(dead);
    outputs.map(|(segment, dead)| LiveSegment { segment, dead: Arc::new(dead) }).collect()
}

#[cfg(test)]
pub(super) mod tests;
