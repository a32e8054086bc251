//! An open segment: what a query, a rule or a compaction asks of one file.
//!
//! ```text
//!   time range -> bounds -> ordinals                     id -> may_have_id -> find -> ordinal
//!   term -> may_have_term -> term -> Postings -> Cursor -> ordinals
//!   ordinal -> time, id, key, body
//! ```
//!
//! Everything but the header and the filters is read through the pool when it is asked for. Any thread
//! may ask; a page that is not resident is read where the caller stands.
//!
//! Invariants: O1. a segment that opened has the counts and regions that its header says (F1, F2), so that
//! every page number computed from them is in the file; O2. while the filters are not in memory, and for
//! ever if they are damaged, `may_have_*` is true, and `find` and `term`, which never ask them, decide.

use super::bodies::{BlockInfo, Blocks, Bodies, Body, Each, PageReads};
use super::columns::Column;
use super::compression::LazyDecoder;
use super::dictionary::{Dictionary, TermScan};
use super::entries::{Entry, read_entries, read_keys};
use super::filter::{Filters, Salt};
use super::format::{Header, MARK_BYTES, Region, Regions, kind};
use super::header::{check_belonging, read_header};
use super::id_column::IdColumn;
use super::ids::IdIndex;
use super::mask::{Mask, Masks};
use super::numbers::Numbers;
use super::pages::Pages;
use super::postings::Postings;
use super::{SegmentInfo, file_name};
use crate::base::{Error, Key, Ordinal, Result, SegmentId, ShardId, StoreId, hash64};
use crate::io::{Disk, File};
use crate::pool::{Fetch, PagedFile, Pool};
use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, OnceLock};

/// What a segment must belong to: store, shard, and the model's name and version.
pub type Expect<'a> = (StoreId, ShardId, &'a str, u32);

/// Records that are farther apart than this, on average, stand on other lines of each column, so that it is worth telling
/// the processor of all of them before the first is read.
const HINTED_APART: usize = 16;

/// An open segment.
pub struct Segment {
    info: SegmentInfo,
    pages: Pages,
    header_damaged: bool,
    times: Numbers,
    ids: IdColumn,
    /// None if ids are own ones.
    id_index: Option<IdIndex>,
    bodies: Bodies,
    /// None if records have no marks.
    marks: Option<Column<MARK_BYTES>>,
    dictionary: Dictionary,
    /// Pages of the columns and the id index.
    columns: Range<u32>,
    filter_region: Region,
    filter_bytes: u64,
    /// Empty until they are loaded; none if they are damaged.
    filters: OnceLock<Option<Filters>>,
    middle: OnceLock<(u64, u64)>,
    masks: Masks,
}

impl Segment {
    /// Opens segment `id` in `dir`. Reads page 0, or the last page if that is damaged, and no other: its
    /// filters come with [`Segment::load_filters`].
    ///
    /// # Errors
    /// `Io`; `Corrupt` if the header and its copy are damaged or the file's length is not what the
    /// header says; `WrongVersion` for another format; `Mismatch` if the page size is not the pool's, or
    /// the segment does not belong to what is expected.
    pub fn open(
        pool: &Arc<Pool>,
        disk: &dyn Disk,
        dir: &Path,
        id: SegmentId,
        expect: Expect<'_>,
        fetch: Option<Arc<dyn Fetch>>,
    ) -> Result<Arc<Segment>> {
        Segment::open_file(pool, disk.open(&dir.join(file_name(id)))?, id, expect, fetch)
    }

    /// As [`Segment::open`], from `file`, which is the segment's.
    ///
    /// # Errors
    /// As [`Segment::open`].
    pub fn open_file(
        pool: &Arc<Pool>,
        file: Arc<dyn File>,
        id: SegmentId,
        expect: Expect<'_>,
        fetch: Option<Arc<dyn Fetch>>,
    ) -> Result<Arc<Segment>> {
        let (header, header_damaged) = read_header(&*file, id, pool.page_size())?;
        check_belonging(&header, file.path(), pool.page_size(), expect)?;
        let bad = |what: &str| Error::corrupt(file.path(), 0, what);
        let regions = header.regions(pool.payload_bytes()).map_err(bad)?;
        let info = header.info();
        if file.len() != info.bytes {
            let what = format!("the file has {} bytes, not {}", file.len(), info.bytes);
            return Err(bad(&what));
        }
        let payload = pool.payload_bytes();
        let pooled = PagedFile::new(pool, file.clone(), id.0, info.pages, fetch);
        let numbers =
            |region, kind, width| Numbers::new(region, kind, width, info.records, payload);
        let times = (header.time_width, info.time_min);
        let id_index =
            (!header.has_own_ids()).then(|| IdIndex::new(regions.id_index, info.records, payload));
        let marks = (regions.marks.pages > 0)
            .then(|| Column::new(regions.marks, kind::MARKS, info.records, payload));
        let (root, levels) = (header.root.get(), header.levels);
        Ok(Arc::new(Segment {
            header_damaged,
            times: numbers(regions.times, kind::TIMES, times),
            ids: IdColumn::new(regions.ids, &header, payload),
            id_index,
            bodies: bodies(&header, &info, &regions, payload),
            marks,
            dictionary: Dictionary::new(regions.terms, root, levels, info.records),
            columns: regions.times.first..regions.terms.first,
            filter_region: regions.filter,
            filter_bytes: header.filter_bytes.get(),
            filters: OnceLock::new(),
            middle: OnceLock::new(),
            masks: Masks::default(),
            info,
            pages: Pages::new(pooled, file, id.0),
        }))
    }

    /// Reads the filters into memory, past the pool, and returns whether they are there. Any thread may
    /// ask, at any time; who asks while another reads waits for it. Damage is logged once and costs
    /// page reads for ever, but no answer.
    pub fn load_filters(&self) -> bool {
        let load = || {
            let salt = Salt::new(self.info.id);
            Filters::load(&self.pages, self.filter_region, self.filter_bytes, salt)
                .inspect_err(|error| {
                    tracing::warn!(%error, "a segment's filters cannot be read; it is searched without");
                })
                .ok()
        };
        self.filters.get_or_init(load).is_some()
    }

    /// The pages of its columns and of its id index.
    pub fn column_pages(&self) -> Range<u32> {
        self.columns.clone()
    }

    /// The pages of its marks.
    pub fn mark_pages(&self) -> Range<u32> {
        self.marks.as_ref().map_or(0..0, Column::pages)
    }

    fn filters(&self) -> Option<&Filters> {
        self.filters.get()?.as_ref()
    }

    /// Whether page 0 is damaged, and the segment was opened by the copy of the header. A rewrite mends it.
    pub fn header_damaged(&self) -> bool {
        self.header_damaged
    }

    /// Counts, sizes and the time range.
    pub fn info(&self) -> &SegmentInfo {
        &self.info
    }

    /// Records in it, removed ones included. Ordinals are below this.
    pub fn records(&self) -> u32 {
        self.info.records
    }

    /// The file's path.
    pub fn path(&self) -> &Path {
        self.pages.path()
    }

    /// The times between which the middle 96 % of the records lie: where it is in time, whatever came late or
    /// from a wrong clock. Two pages once; the whole range if they cannot be read.
    pub fn middle(&self) -> (u64, u64) {
        let SegmentInfo { records, time_min, time_max, .. } = self.info;
        let one_in_fifty = records / 50;
        *self.middle.get_or_init(|| {
            let low = self.time(one_in_fifty);
            let high = self.time(records.saturating_sub(one_in_fifty + 1));
            low.and_then(|low| high.map(|high| (low, high))).unwrap_or((time_min, time_max))
        })
    }

    /// Bytes of memory that stay with an open segment: the page table, and, once they are in memory, the
    /// filters, the compression dictionary and the mask.
    pub fn memory_bytes(&self) -> u64 {
        let filters = self.filters().map_or(0, Filters::bytes);
        (filters + self.bodies.memory_bytes() + self.masks.bytes()) as u64
            + 4 * u64::from(self.info.pages)
    }

    pub(super) fn pages(&self) -> &Pages {
        &self.pages
    }

    pub(super) fn filter_region(&self) -> Region {
        self.filter_region
    }

    pub(super) fn dictionary(&self) -> &Dictionary {
        &self.dictionary
    }

    /// The ordinals of records with `since <= time <= until`. Reads no page if all or none are; else one
    /// for each halving of the time pages, at either end that lies inside.
    ///
    /// # Errors
    /// `Io` and `Corrupt` as a page read says.
    pub fn bounds(&self, since: u64, until: u64) -> Result<Range<Ordinal>> {
        let SegmentInfo { records, time_min, time_max, .. } = self.info;
        if records == 0 || since > until || since > time_max || until < time_min {
            return Ok(0..0);
        }
        let search = |low: u32, below: &dyn Fn(u64) -> bool| {
            self.times.partition_point(&self.pages, (low, records), below)
        };
        let start = if since <= time_min { 0 } else { search(0, &|time| time < since)? };
        let end = if until >= time_max { records } else { search(start, &|time| time <= until)? };
        Ok(start..end)
    }

    /// The time of a record. One page.
    ///
    /// # Errors
    /// `Invalid` if there is no such record; `Io` and `Corrupt` as a page read says.
    pub fn time(&self, ordinal: Ordinal) -> Result<u64> {
        self.times.get(&self.pages, ordinal)
    }

    /// The id of a record. One page.
    ///
    /// # Errors
    /// As [`Segment::time`].
    pub fn id(&self, ordinal: Ordinal) -> Result<[u8; 32]> {
        self.ids.get(&self.pages, ordinal)
    }

    /// Whether a record has this id. One page.
    ///
    /// # Errors
    /// As [`Segment::time`].
    pub fn id_eq(&self, ordinal: Ordinal, id: &[u8; 32]) -> Result<bool> {
        self.id(ordinal).map(|found| found == *id)
    }

    /// The key of a record. Two pages.
    ///
    /// # Errors
    /// As [`Segment::time`].
    pub fn key(&self, ordinal: Ordinal) -> Result<Key> {
        Ok(Key { time: self.time(ordinal)?, id: self.id(ordinal)? })
    }

    /// Whether records have marks ([`NewSegment::mark`](super::NewSegment::mark)).
    pub fn has_marks(&self) -> bool {
        self.marks.is_some()
    }

    /// The mark of a record, if records have marks. One page.
    ///
    /// # Errors
    /// As [`Segment::time`].
    pub fn mark(&self, ordinal: Ordinal) -> Result<Option<u32>> {
        let mark = self.marks.as_ref().map(|marks| marks.get(&self.pages, ordinal)).transpose();
        mark.map(|mark| mark.map(u32::from_le_bytes))
    }

    /// Hands `f` the marks that stand on one page with that of `ordinal`, little-endian, and the ordinal of the first
    /// of them; none if records have no marks. One page.
    ///
    /// # Errors
    /// As [`Segment::time`].
    pub fn with_marks<R>(
        &self,
        ordinal: Ordinal,
        f: impl FnOnce(Ordinal, &[[u8; MARK_BYTES]]) -> R,
    ) -> Result<R> {
        match &self.marks {
            Some(marks) => marks.with_page(&self.pages, ordinal, f),
            None => Ok(f(ordinal, &[])),
        }
    }

    /// Whether records are found by id: not in a store that makes the ids itself ([`Ids::Own`](crate::base::Ids)).
    pub fn finds_ids(&self) -> bool {
        self.id_index.is_some()
    }

    /// Whether a record with this id may be here; false is certain, true wrong once in 250 times, or always
    /// while the filters are not in memory, or if there is none. No page.
    pub fn may_have_id(&self, id: &[u8; 32]) -> bool {
        self.may_have_id_hash(hash64(id))
    }

    /// As [`Segment::may_have_id`], for who asks many segments: by the id's `hash64`.
    pub fn may_have_id_hash(&self, hash: u64) -> bool {
        self.filters().is_none_or(|filters| filters.may_have_id(hash))
    }

    /// The ordinal of the record with this id. Does not ask the filter, which is the caller's to do first,
    /// by a hash that serves all segments. Two or three pages.
    ///
    /// # Errors
    /// `Io` and `Corrupt` as a page read says; `Invalid` if ids are own ones: see [`Segment::find_key`].
    pub fn find(&self, id: &[u8; 32]) -> Result<Option<Ordinal>> {
        let why = "the store makes its ids itself and has no index of them";
        let index = self.id_index.as_ref().ok_or_else(|| Error::invalid("look-up by id", why))?;
        index.find(&self.pages, &self.ids, id, |o| self.hint(o))
    }

    /// Has the processor fetch what leads to a record: three columns, which do not wait for one another then.
    fn hint(&self, ordinal: Ordinal) {
        let ids = self.ids.place_of(ordinal);
        match self.bodies.place_of(ordinal) {
            Some(location) => self.pages.hint([ids, self.times.place_of(ordinal), location]),
            None => self.pages.hint([ids, self.times.place_of(ordinal)]),
        }
    }

    /// The ordinal of the record with this key: by its time, then by halving among those of that time. No page if
    /// the time is outside the segment's; else one for each halving of the pages of times, and of ids.
    ///
    /// # Errors
    /// `Io` and `Corrupt` as a page read says.
    pub fn find_key(&self, key: &Key) -> Result<Option<Ordinal>> {
        let Range { start, end } = self.bounds(key.time, key.time)?;
        // Among equal times ids fall.
        let at = self.ids.partition_point(&self.pages, (start, end), |id| id > key.id)?;
        Ok((at < end && self.id(at)? == key.id).then_some(at))
    }

    /// The ordinal of the record with this key, by the cheaper way: the filter and the index of ids if there are
    /// any, else as [`Segment::find_key`].
    ///
    /// # Errors
    /// `Io` and `Corrupt` as a page read says.
    pub fn locate(&self, key: &Key) -> Result<Option<Ordinal>> {
        match self.finds_ids() {
            true if self.may_have_id(&key.id) => self.find(&key.id),
            true => Ok(None),
            false => self.find_key(key),
        }
    }

    /// Whether a term may be here; false is certain, true wrong once in 250 times, or always
    /// while the filters are not in memory. No page.
    pub fn may_have_term(&self, term: &[u8]) -> bool {
        self.may_have_term_hash(hash64(term))
    }

    /// As [`Segment::may_have_term`], for who asks many segments: by the term's `hash64`.
    pub fn may_have_term_hash(&self, hash: u64) -> bool {
        self.filters().is_none_or(|filters| filters.may_have_term(hash))
    }

    /// The posting list of a term. Does not ask the filter, which is the caller's to do first, by a hash
    /// that serves all segments. One page for each level of the dictionary, no allocation.
    ///
    /// # Errors
    /// `Io` and `Corrupt` as a page read says.
    pub fn term(&self, term: &[u8]) -> Result<Option<Postings>> {
        self.dictionary.find(&self.pages, term)
    }

    /// Appends the posting lists of those of `terms`, which ascend, that are here. Does not ask the filter.
    /// The pages of each level of the dictionary are read together.
    ///
    /// # Errors
    /// `Io` and `Corrupt` as a page read says.
    pub fn find_terms(&self, terms: &[&[u8]], out: &mut Vec<Postings>) -> Result<()> {
        self.dictionary.find_all(&self.pages, terms, out)
    }

    /// Asks for the pages on which walks over `lists` from `ordinal` on begin, in one batch, best effort.
    pub fn prefetch_lists<'a>(
        &self,
        lists: impl IntoIterator<Item = &'a Postings>,
        ordinal: Ordinal,
    ) -> usize {
        let near = |list: &Postings| list.page_near(ordinal, self.info.records);
        let mut numbers: Vec<u32> = lists.into_iter().filter_map(near).collect();
        numbers.sort_unstable();
        numbers.dedup();
        if numbers.len() > 1 { self.pages.prefetch(&numbers) } else { 0 }
    }

    /// Pages that one term's look-up reads if none is in memory.
    pub fn term_pages(&self) -> u64 {
        u64::from(self.dictionary.levels())
    }

    /// Pages that reading `records` of the records takes if none is in memory: a page of each column and those of the
    /// bodies. Where the bodies are not known to be of average length, only the most is certain.
    pub fn record_pages(&self, records: u64) -> PageReads {
        let records = records.min(self.info.records.into());
        let payload = self.pages.payload_bytes();
        let bodies = self.bodies.pages_of(records, self.info.records, payload);
        let of_file = |pages: u64| pages.min(u64::from(self.info.pages));
        let columns = 3 * records;
        let PageReads { about, most } = bodies;
        PageReads { about: of_file(columns + about), most: of_file(columns + most) }
    }

    /// All terms and their posting lists, in order.
    pub fn terms(self: &Arc<Self>) -> TermScan {
        TermScan::new(self.clone())
    }

    /// The terms from `term` on and their posting lists, in order. One page for each level of the dictionary.
    ///
    /// # Errors
    /// `Io` and `Corrupt` as a page read says.
    pub fn terms_from(self: &Arc<Self>, term: &[u8]) -> Result<TermScan> {
        TermScan::from(self.clone(), term)
    }

    /// The records under a term made of `prefix` and a time up to `upto` (eight bytes, big-endian); `None` if there
    /// are none. All of them also stand under `any`, and `prefix` is the same in every call. The mask may have
    /// later times, for a clock that went back: [`Mask::is_exact`]. No page while no further time comes; a bit of
    /// memory for each record as soon as one has.
    ///
    /// # Errors
    /// `Io` and `Corrupt` as a page read says.
    ///
    /// # Panics
    /// With another prefix than before.
    pub fn mask(
        self: &Arc<Self>,
        any: &[u8],
        prefix: &[u8],
        upto: u64,
    ) -> Result<Option<Arc<Mask>>> {
        self.masks.get(self, any, prefix, upto)
    }

    /// The body of a record: borrowed from its page, which stays pinned while the `Body` lives, or, if it
    /// crosses pages or is packed, copied. `previous`, a body of any segment or the default, gives its page or its
    /// unpacked block, if the new body stands there too, and its memory.
    ///
    /// # Errors
    /// As [`Segment::time`].
    pub fn body(&self, ordinal: Ordinal, previous: Body) -> Result<Body> {
        self.bodies.get(&self.pages, ordinal, previous)
    }

    /// Byte of the stream of bodies at which the body of a record begins, or the number of its block. For tools.
    ///
    /// # Errors
    /// As [`Segment::time`].
    pub fn place(&self, ordinal: Ordinal) -> Result<u64> {
        let mut place = 0;
        self.bodies.locations(&self.pages, &[ordinal], |_, at| place = at)?;
        Ok(place)
    }

    /// Blocks of bodies in it; 0 if each body is for itself.
    pub fn blocks(&self) -> u32 {
        if let Bodies::Blocks(blocks) = &self.bodies { blocks.count() } else { 0 }
    }

    /// What is known of a block without unpacking it, checked against its neighbours. One page, or two.
    ///
    /// # Errors
    /// `Invalid` if there is no such block; `Io` and `Corrupt` as a page read says.
    pub fn block(&self, number: u32) -> Result<BlockInfo> {
        match &self.bodies {
            Bodies::Blocks(blocks) => blocks.info(&self.pages, number),
            Bodies::Each(_) => Err(Error::invalid("block", "bodies do not go by block")),
        }
    }

    /// Appends the entries of `ordinals` to `out`. A page of a column is read once for all ordinals in a
    /// row that stand on it.
    ///
    /// # Errors
    /// As [`Segment::time`]; `out` is then unspecified from its old end on.
    pub fn entries(&self, ordinals: &[Ordinal], out: &mut Vec<Entry>) -> Result<()> {
        if let [first, .., last] = *ordinals
            && first.abs_diff(last) as usize > HINTED_APART * ordinals.len()
        {
            ordinals.iter().filter(|&&o| o < self.info.records).for_each(|&o| self.hint(o));
        }
        read_entries(&self.pages, (&self.times, &self.ids), &self.bodies, ordinals, out)
    }

    /// Appends the keys of `ordinals` to `out`: as [`Segment::entries`], without looking where bodies are.
    ///
    /// # Errors
    /// As [`Segment::entries`].
    pub fn keys(&self, ordinals: &[Ordinal], out: &mut Vec<Key>) -> Result<()> {
        read_keys(&self.pages, (&self.times, &self.ids), ordinals, out)
    }

    /// As [`Segment::body`], by an entry of this segment.
    ///
    /// # Errors
    /// As [`Segment::time`].
    pub fn body_of(&self, entry: &Entry, previous: Body) -> Result<Body> {
        self.bodies.read(&self.pages, entry, previous)
    }

    /// Asks for the pages of the columns on which `ordinals` stand, in one batch, best effort. Returns
    /// how many were asked for.
    pub fn prefetch_entries(&self, ordinals: &[Ordinal]) -> usize {
        let known = ordinals.iter().copied().filter(|&o| o < self.info.records);
        let mut numbers: Vec<u32> = known
            .flat_map(|o| {
                let columns = [self.times.page_of(o), self.ids.page_of(o)];
                columns.into_iter().chain(self.bodies.place_of(o).map(|(page, _)| page))
            })
            .collect();
        numbers.sort_unstable();
        numbers.dedup();
        self.pages.prefetch(&numbers)
    }

    /// Asks for the pages of the marks of `ordinals` in one batch, best effort.
    pub fn prefetch_marks(&self, ordinals: [Ordinal; 2]) {
        if let Some(marks) = &self.marks {
            let [first, second] = ordinals.map(|o| marks.page_of(o.min(marks.items() - 1)));
            let both = [first, second];
            self.pages.prefetch(if first == second { &both[..1] } else { &both });
        }
    }

    /// Asks for the pages of these bodies in one batch, best effort. Reads the pages that say where the
    /// bodies are.
    pub fn prefetch_bodies(&self, ordinals: &[Ordinal]) -> usize {
        self.bodies.prefetch(&self.pages, ordinals)
    }
}

/// The bodies that a header says are there.
fn bodies(header: &Header, info: &SegmentInfo, regions: &Regions, payload: usize) -> Bodies {
    let (kind, region, items) = (kind::LOCATIONS, regions.locations, header.locations());
    if info.compression.is_by_block() {
        let index = Column::new(region, kind, items, payload);
        let stream = (regions.bodies, info.body_bytes);
        return Bodies::Blocks(Blocks::new(stream, index, info.records));
    }
    let locations = Numbers::new(region, kind, (header.location_width, 0), items, payload);
    let decoder = LazyDecoder::new(regions.zdict, header.zdict_bytes.get());
    Bodies::Each(Each::new(regions.bodies, info.body_bytes, locations, decoder))
}

impl fmt::Debug for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Segment({}, {} records)", self.info.id, self.info.records)
    }
}
