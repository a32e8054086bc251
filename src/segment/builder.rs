//! The path of a flush or a compaction to disk: records in key order in, one synced file out.
//!
//! ```text
//!   1. add ...          bodies are written as they come (`body_writer`); columns and terms wait in memory
//!   2. finish           compression dictionary, times, ids, locations, id index
//!   3.                  term by term: posting pages and dictionary pages as they fill
//!   4.                  filters, marks
//!   5.                  a copy of the header, page 0, then sync
//! ```
//!
//! A compaction, whose inputs are inverted already, calls `add_record` and then `add_list` in term
//! order, so that step 3 needs no memory for terms.
//!
//! Memory: 52 bytes a record (of own ids 28), 4 more with marks, 8 bytes a term, with `add` the terms, 60 bytes and some
//! two a posting, and while a filter is built 25 bytes a key of one part; with compression 6.4 MB of bodies at the
//! beginning, or a block.
//! Errors: after one the builder is of no more use, and the file is garbage that its owner removes.

use super::body_writer::{BodyWriter, Written};
use super::columns::write_column;
use super::dictionary::DictionaryWriter;
use super::filter::{Salt, write_filter};
use super::format::{Header, MODEL_NAME_BYTES, RECORDS_MAX, Region, Regions, kind};
use super::id_column::NewIds;
use super::ids::write_id_index;
use super::invert::Inverter;
use super::numbers::{width_for, write_numbers};
use super::pages::{PageWriter, StreamWriter};
use super::postings::ListWriter;
use super::{NewSegment, SegmentInfo, file_name};
use crate::base::limits::RECORD_BYTES_MAX;
use crate::base::{Error, Key, Ordinal, Result, Terms, hash64};
use crate::io::Disk;
use std::path::Path;
use zerocopy::IntoBytes;

/// Writes one segment.
pub struct Builder {
    out: PageWriter,
    header: Header,
    new: NewSegment,
    last: Option<Key>,
    bodies: Option<BodyWriter>,
    times: Vec<u64>,
    ids: NewIds,
    marks: Vec<u32>,
    inverter: Inverter,
    /// Set once the records are complete.
    lists: Option<Lists>,
}

/// The second half of the work: what is left of the records, and the dictionary in the making.
struct Lists {
    records: u32,
    /// All but `terms`, `filter` and `marks` are final.
    regions: Regions,
    id_hashes: Vec<u64>,
    dictionary: DictionaryWriter,
    list: ListWriter,
}

impl Builder {
    /// Creates the file of a new segment in `dir`.
    ///
    /// # Errors
    /// `Io`, also if the name exists; `Invalid` if the model's name is not 1 to 32 bytes.
    pub fn create(disk: &dyn Disk, dir: &Path, new: NewSegment) -> Result<Builder> {
        if !(1..=MODEL_NAME_BYTES).contains(&new.model.0.len()) {
            let why = format!("'{}' is not 1 to {MODEL_NAME_BYTES} bytes", new.model.0);
            return Err(Error::invalid("model name", why));
        }
        let file = disk.create(&dir.join(file_name(new.id)), 0)?;
        Ok(Builder {
            out: PageWriter::new(file, new.id.0, new.page.bytes()),
            header: Header::new(&new),
            new,
            last: None,
            bodies: Some(BodyWriter::new(new.compression)),
            times: Vec::new(),
            ids: NewIds::new(new.ids),
            marks: Vec::new(),
            inverter: Inverter::new(hash64(&new.id.0)),
            lists: None,
        })
    }

    /// Adds a record above all before it, under `terms`, in whatever order. Returns its ordinal.
    ///
    /// # Errors
    /// `Invalid` if the key does not ascend, the body is too long or lists were added already; `Full` at
    /// 2^32 - 2 records; `Io`.
    pub fn add(&mut self, key: Key, body: &[u8], terms: &Terms) -> Result<Ordinal> {
        let ordinal = self.add_record(key, body)?;
        self.inverter.add(ordinal, terms);
        Ok(ordinal)
    }

    /// As `add`, for a record whose terms come with [`Builder::add_list`].
    ///
    /// # Errors
    /// As `add`.
    pub fn add_record(&mut self, key: Key, body: &[u8]) -> Result<Ordinal> {
        let Some(bodies) = &mut self.bodies else {
            return Err(Error::invalid("record", "posting lists were added already"));
        };
        if self.last.is_some_and(|last| last >= key) {
            return Err(Error::invalid("record", format!("{key:?} does not ascend")));
        }
        if body.len() > RECORD_BYTES_MAX {
            return Err(Error::invalid("record", format!("its body has {} bytes", body.len())));
        }
        if self.times.len() >= RECORDS_MAX as usize {
            return Err(Error::Full { what: "segment records", limit: u64::from(RECORDS_MAX) });
        }
        let ordinal = self.times.len() as Ordinal;
        self.ids.push(&key)?;
        self.last = Some(key);
        self.times.push(key.time);
        self.marks.extend(self.new.mark.map(|mark| mark(body)));
        bodies.add(&mut self.out, body)?;
        Ok(ordinal)
    }

    /// Adds the next term, above all before it, and its records' ordinals, ascending. Ends the adding of
    /// records. A term without ordinals is left out.
    ///
    /// # Errors
    /// What `ordinals` yields; `Invalid` if terms or ordinals do not ascend, an ordinal names no record,
    /// or records were added with terms; `Io`.
    pub fn add_list(
        &mut self,
        term: &[u8],
        ordinals: impl IntoIterator<Item = Result<Ordinal>>,
    ) -> Result<()> {
        if !self.inverter.is_empty() {
            return Err(Error::invalid("posting list", "records were added with their terms"));
        }
        let Builder { out, lists, .. } = self.columns()?;
        let Some(lists) = lists else { return Ok(()) };
        lists.dictionary.check(term)?;
        let mut empty = true;
        for ordinal in ordinals {
            let ordinal = ordinal?;
            if ordinal >= lists.records {
                return Err(Error::invalid("posting list", format!("{ordinal} names no record")));
            }
            lists.list.push(out, ordinal)?;
            empty = false;
        }
        if empty {
            return Ok(());
        }
        let postings = lists.list.finish(out)?;
        lists.dictionary.add(out, term, &postings)
    }

    /// Writes the columns and the id index, and gives their memory back. Once.
    fn columns(&mut self) -> Result<&mut Builder> {
        let Some(bodies) = self.bodies.take() else { return Ok(self) };
        let times = std::mem::take(&mut self.times);
        let ids = std::mem::replace(&mut self.ids, NewIds::new(self.new.ids));
        let (out, header) = (&mut self.out, &mut self.header);
        let written: Written = bodies.finish(out)?;
        let records = times.len() as u32;
        // Keys ascend, so times do.
        let time_min = times.first().copied().unwrap_or(0);
        let time_max = times.last().copied().unwrap_or(0);
        header.records = records.into();
        (header.time_min, header.time_max) = (time_min.into(), time_max.into());
        header.time_width = width_for(time_max - time_min);
        header.location_width = written.location_width();
        header.body_bytes = written.bytes.into();
        header.raw_bytes = written.raw_bytes.into();
        header.zdict_bytes = written.zdict_bytes.into();
        header.blocks = (written.blocks.len() as u32).into();
        let none = Region { first: 0, pages: 0 };
        let regions = Regions {
            bodies: written.bodies,
            zdict: written.zdict,
            times: write_numbers(out, kind::TIMES, header.time_width, time_min, &times)?,
            ids: ids.write(out, header)?,
            locations: written.write_locations(out)?,
            id_index: write_id_index(out, ids.indexed())?,
            terms: Region { first: out.next(), ..none },
            filter: none,
            marks: none,
        };
        self.lists = Some(Lists {
            records,
            regions,
            id_hashes: ids.hashes(),
            dictionary: DictionaryWriter::default(),
            list: ListWriter::new(),
        });
        Ok(self)
    }

    /// Writes everything and syncs the file. Its name is durable once the caller syncs the directory.
    ///
    /// # Errors
    /// `Io`; `Full` at 2^32 pages.
    pub fn finish(mut self) -> Result<SegmentInfo> {
        let inverter = std::mem::take(&mut self.inverter);
        self.columns()?;
        let mut ordinals = Vec::new();
        for number in inverter.in_order() {
            inverter.read(number, &mut ordinals);
            self.add_list(inverter.term(number), ordinals.iter().copied().map(Ok))?;
        }
        let Builder { mut out, mut header, new, marks, lists, .. } = self;
        if let Some(mut lists) = lists {
            let root = lists.dictionary.finish(&mut out)?;
            let hashes = lists.dictionary.take_hashes();
            (header.root, header.levels) = (root.page.into(), root.levels);
            header.terms = (hashes.len() as u64).into();
            header.postings = lists.dictionary.postings().into();
            let regions = &mut lists.regions;
            regions.terms.pages = out.next() - regions.terms.first;
            regions.filter.first = out.next();
            let (mut stream, salt) = (StreamWriter::new(kind::FILTER), Salt::new(new.id));
            write_filter(&mut out, &mut stream, salt, lists.id_hashes)?;
            write_filter(&mut out, &mut stream, salt, hashes)?;
            regions.filter.pages = out.next() - regions.filter.first;
            header.filter_bytes = stream.bytes().into();
            if !marks.is_empty() {
                let items = marks.iter().map(|mark| mark.to_le_bytes());
                regions.marks = write_column(&mut out, kind::MARKS, items)?;
            }
            regions.write(&mut header);
        }
        header.pages = (out.next() + 1).into();
        out.append(kind::HEADER_COPY, header.as_bytes())?;
        out.finish(header.as_bytes())?;
        Ok(header.info())
    }
}
