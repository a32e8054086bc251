//! The path of a flush or a compaction to disk: records in key order in, one synced file out.
//!
//! ```text
//!   1. add ...          bodies are written as they come; columns and terms wait in memory
//!   2. finish           times, ids, locations, id index
//!   3.                  term by term: posting pages and dictionary pages as they fill
//!   4.                  filters
//!   5.                  page 0, then sync
//! ```
//!
//! A compaction, whose inputs are inverted already, calls `add_record` and then `add_list` in term
//! order, so that step 3 needs no memory for terms.
//!
//! Memory: 52 bytes a record, 8 bytes a term, with `add` the terms and some two bytes a posting, and
//! while a filter is built 25 bytes a key of one part.
//! Errors: after one the builder is of no more use, and the file is garbage that its owner removes.

use super::columns::write_column;
use super::dictionary::DictionaryWriter;
use super::filter::{Salt, write_filter};
use super::format::{
    BODY_HEAD_BYTES, Header, MODEL_NAME_BYTES, RECORDS_MAX, Region, Regions, kind,
};
use super::ids::write_id_index;
use super::invert::Inverter;
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
    bodies: StreamWriter,
    times: Vec<u64>,
    ids: Vec<[u8; 32]>,
    locations: Vec<u64>,
    inverter: Inverter,
    /// Set once the records are complete.
    lists: Option<Lists>,
}

/// The second half of the work: what is left of the records, and the dictionary in the making.
struct Lists {
    records: u32,
    /// All but `terms` and `filter` are final.
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
            bodies: StreamWriter::new(kind::BODIES),
            times: Vec::new(),
            ids: Vec::new(),
            locations: Vec::new(),
            inverter: Inverter::default(),
            lists: None,
        })
    }

    /// Adds a record above all before it, under `terms`, which are sealed. Returns its ordinal.
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
        if self.lists.is_some() {
            return Err(Error::invalid("record", "posting lists were added already"));
        }
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
        self.last = Some(key);
        self.locations.push(self.bodies.bytes());
        self.times.push(key.time);
        self.ids.push(key.id);
        let head: [u8; BODY_HEAD_BYTES] = (body.len() as u32).to_le_bytes();
        self.bodies.write(&mut self.out, &head)?;
        self.bodies.write(&mut self.out, body)?;
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
        if self.lists.is_some() {
            return Ok(self);
        }
        let times = std::mem::take(&mut self.times);
        let ids = std::mem::take(&mut self.ids);
        let locations = std::mem::take(&mut self.locations);
        let out = &mut self.out;
        let none = Region { first: 0, pages: 0 };
        let regions = Regions {
            bodies: Region { first: 1, pages: out.next() - 1 },
            times: write_column(out, kind::TIMES, times.iter().map(|t| t.to_le_bytes()))?,
            ids: write_column(out, kind::IDS, ids.iter().copied())?,
            locations: write_column(
                out,
                kind::LOCATIONS,
                locations.iter().map(|l| l.to_le_bytes()),
            )?,
            id_index: write_id_index(out, &ids)?,
            terms: Region { first: out.next(), ..none },
            filter: none,
        };
        let records = times.len() as u32;
        self.header.records = records.into();
        // Keys ascend, so times do.
        self.header.time_min = times.first().copied().unwrap_or(0).into();
        self.header.time_max = times.last().copied().unwrap_or(0).into();
        self.lists = Some(Lists {
            records,
            regions,
            id_hashes: ids.iter().map(|id| hash64(id)).collect(),
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
        for (term, list) in inverter.into_lists() {
            self.add_list(&term, list.iter().map(Ok))?;
        }
        let Builder { mut out, mut header, new, bodies, lists, .. } = self;
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
            header.regions = regions.to_raw();
        }
        header.body_bytes = bodies.bytes().into();
        header.pages = out.next().into();
        out.finish(header.as_bytes())?;
        Ok(header.info())
    }
}
