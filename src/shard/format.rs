//! Bytes that a shard writes: the entries of its log, the messages of its ring, and its manifest.
//!
//! ```text
//! ring message   key time u64 | key id 32 | body
//!                (of many: `batch.rs`)
//! log entry      kind u8 | 0 u8 | kills u16 | body bytes u32 | key time u64 | key id 32 |
//!                killed id 32 * kills | body
//!                kind 1 stores a record; kind 2 only kills, and its key is that of the first killed
//! manifest       magic 8 | version u32 | shard u16 | 0 u16 | store id 16 | generation u64 |
//!                log start u64 | log end u64 | mark u64 | body bytes u64 | crc64 u64 (of all before it and of
//!                the body) | body
//! manifest body  segments varint, then each: segment id 16 | records varint | dead varint |
//!                dead ordinals varint (the first, then each minus the one before)
//! ```
//! All integers are little endian. The crc of a log entry is its block's (`wal::format`).

use crate::base::limits::{KILLS_PER_RECORD_MAX, RECORD_BYTES_MAX};
use crate::base::{
    Crc64, Error, Key, Lsn, Ordinal, Result, SegmentId, ShardId, StoreId, get_varint, put_varint,
};
use crate::model::Record;
use std::path::Path;
use zerocopy::byteorder::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Version of the manifest and of the log entries.
pub const VERSION: u32 = 4;
/// First bytes of a manifest.
pub const MANIFEST_MAGIC: [u8; 8] = *b"RATMANI1";
/// Bytes of a ring message or log entry before the body, kills aside.
pub const ENTRY_HEADER_BYTES: usize = size_of::<EntryHeader>();
/// Bytes of a manifest before its body.
pub const MANIFEST_HEADER_BYTES: usize = size_of::<ManifestHeader>();

const KIND_PUT: u8 = 1;
const KIND_REMOVE: u8 = 2;

/// What a log entry does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EntryKind {
    /// Stores its record, and kills.
    Put,
    /// Kills only; key and body are no record's.
    Remove,
}

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct EntryHeader {
    kind: u8,
    zero: u8,
    kills: U16,
    body_bytes: U32,
    time: U64,
    id: [u8; 32],
}

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct ManifestHeader {
    magic: [u8; 8],
    version: U32,
    shard: U16,
    zero: U16,
    store: [u8; 16],
    generation: U64,
    log_start: U64,
    log_end: U64,
    mark: U64,
    body_bytes: U64,
    crc: U64,
}

const _: () = assert!(ENTRY_HEADER_BYTES == 48);
const _: () = assert!(MANIFEST_HEADER_BYTES == 80);
const _: () = assert!(std::mem::offset_of!(ManifestHeader, crc) == 72);
const _: () = assert!(KILLS_PER_RECORD_MAX <= u16::MAX as usize);

/// The fixed part of a ring message.
pub fn message_head(key: &Key) -> [u8; 40] {
    let mut head = [0; 40];
    head[..8].copy_from_slice(&key.time.to_le_bytes());
    head[8..].copy_from_slice(&key.id);
    head
}

/// Reads what `message_head` and the body behind it say.
///
/// # Panics
/// If the message is shorter than its head: it never left this process.
pub fn read_message(message: &[u8]) -> Record<'_> {
    let (head, body) = message.split_first_chunk::<40>().expect("a message has a head");
    let (time, id) = head.split_first_chunk::<8>().expect("a head has a time");
    let id = id.try_into().expect("40 - 8 = 32");
    Record { key: Key { time: u64::from_le_bytes(*time), id }, body }
}

/// The fixed part of a log entry with `record`, which kills `kills` others.
pub fn entry_head(kind: EntryKind, record: Record<'_>, kills: usize) -> [u8; ENTRY_HEADER_BYTES] {
    let header = EntryHeader {
        kind: match kind {
            EntryKind::Put => KIND_PUT,
            EntryKind::Remove => KIND_REMOVE,
        },
        zero: 0,
        kills: U16::new(kills as u16),
        body_bytes: U32::new(record.body.len() as u32),
        time: U64::new(record.key.time),
        id: record.key.id,
    };
    zerocopy::transmute!(header)
}

/// A log entry as read back.
pub struct Entry<'a> {
    /// What it does.
    pub kind: EntryKind,
    /// What it stores, if it does.
    pub record: Record<'a>,
    /// The ids of the records that it killed.
    pub kills: &'a [[u8; 32]],
}

/// Reads a log entry; an error names what does not hold.
pub fn read_entry(bytes: &[u8]) -> std::result::Result<Entry<'_>, &'static str> {
    let (header, rest) =
        EntryHeader::ref_from_prefix(bytes).map_err(|_| "a log entry is shorter than its head")?;
    let (kills, body_bytes) = (header.kills.get() as usize, header.body_bytes.get() as usize);
    let kind = match (header.kind, header.zero) {
        (KIND_PUT, 0) => EntryKind::Put,
        (KIND_REMOVE, 0) => EntryKind::Remove,
        _ => return Err("a log entry is of an unknown kind"),
    };
    if kills > KILLS_PER_RECORD_MAX || body_bytes > RECORD_BYTES_MAX {
        return Err("a log entry exceeds a limit");
    }
    let Some((kills, body)) = rest.split_at_checked(kills * 32) else {
        return Err("a log entry is cut off");
    };
    if body.len() != body_bytes {
        return Err("a log entry's body is not as long as it says");
    }
    let key = Key { time: header.time.get(), id: header.id };
    Ok(Entry { kind, record: Record { key, body }, kills: kills.as_chunks().0 })
}

/// What a manifest says: from here on, this is the shard.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Manifest {
    /// Counts up with every manifest of the shard.
    pub generation: u64,
    /// Where replay of the log begins.
    pub log_start: Lsn,
    /// The log was durable up to here when this was written. Its dead may have died by what lies there: a log that ends
    /// sooner would leave them dead and their causes gone.
    pub log_end: Lsn,
    /// What the store's owner wants kept when records go (`drop`, D5).
    pub mark: u64,
    /// The segments, with their dead.
    pub segments: Vec<ManifestSegment>,
}

/// One segment of a manifest.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ManifestSegment {
    /// Its id, which names its file.
    pub id: SegmentId,
    /// Its number of records.
    pub records: u32,
    /// The ordinals of the dead, ascending.
    pub dead: Vec<Ordinal>,
}

impl Manifest {
    /// That of a shard without anything.
    pub fn first(generation: u64) -> Manifest {
        Manifest { generation, log_start: Lsn(0), log_end: Lsn(0), mark: 0, segments: Vec::new() }
    }

    /// Has replay begin at `start`, of a log of which nothing more is proven.
    pub fn begin_log(&mut self, start: Lsn) {
        (self.log_start, self.log_end) = (start, start);
    }

    /// The bytes of the file.
    pub fn encode(&self, store: StoreId, shard: ShardId) -> Vec<u8> {
        let mut out = vec![0; MANIFEST_HEADER_BYTES];
        put_varint(&mut out, self.segments.len() as u64);
        for segment in &self.segments {
            out.extend_from_slice(&segment.id.0);
            put_varint(&mut out, u64::from(segment.records));
            put_varint(&mut out, segment.dead.len() as u64);
            let mut before = 0;
            for &ordinal in &segment.dead {
                put_varint(&mut out, u64::from(ordinal - before));
                before = ordinal;
            }
        }
        let mut header = ManifestHeader {
            magic: MANIFEST_MAGIC,
            version: U32::new(VERSION),
            shard: U16::new(shard),
            zero: U16::ZERO,
            store: store.0,
            generation: U64::new(self.generation),
            log_start: U64::new(self.log_start.0),
            log_end: U64::new(self.log_end.0),
            mark: U64::new(self.mark),
            body_bytes: U64::new((out.len() - MANIFEST_HEADER_BYTES) as u64),
            crc: U64::ZERO,
        };
        header.crc = U64::new(checksum(&header, &out[MANIFEST_HEADER_BYTES..]));
        out[..MANIFEST_HEADER_BYTES].copy_from_slice(header.as_bytes());
        out
    }

    /// Reads the file `path` with the contents `bytes` (which may have padding behind the body).
    ///
    /// # Errors
    /// `Corrupt`, `WrongVersion`, or `Mismatch` if it belongs to another store or shard.
    pub fn decode(path: &Path, bytes: &[u8], store: StoreId, shard: ShardId) -> Result<Manifest> {
        let corrupt = |what: &str| Error::corrupt(path, 0, what);
        let (header, rest) = ManifestHeader::ref_from_prefix(bytes)
            .map_err(|_| corrupt("it is shorter than a manifest header"))?;
        if header.magic != MANIFEST_MAGIC {
            return Err(corrupt("it does not begin like a manifest"));
        }
        if header.version.get() != VERSION {
            let found = header.version.get();
            return Err(Error::WrongVersion { path: path.into(), found, supported: VERSION });
        }
        let body = usize::try_from(header.body_bytes.get()).ok().and_then(|n| rest.get(..n));
        let body = body.ok_or_else(|| corrupt("the manifest is cut off"))?;
        if header.crc.get() != checksum(header, body) {
            return Err(corrupt("the manifest's checksum does not match"));
        }
        if header.store != store.0 || header.shard.get() != shard {
            let stored = format_args!("{} shard {}", StoreId(header.store), header.shard);
            let asked = format_args!("{store} shard {shard}");
            return Err(Error::mismatch(path, "store and shard", stored, asked));
        }
        let segments = read_segments(body).ok_or_else(|| corrupt("the segment list is broken"))?;
        let (log_start, log_end) = (Lsn(header.log_start.get()), Lsn(header.log_end.get()));
        let (generation, mark) = (header.generation.get(), header.mark.get());
        Ok(Manifest { generation, log_start, log_end, mark, segments })
    }
}

/// The fields of a manifest's header as text, whole or not; `None` if `bytes` are too short. For tools.
pub fn header_fields(bytes: &[u8]) -> Option<[(&'static str, String); 8]> {
    let (header, _) = ManifestHeader::ref_from_prefix(bytes).ok()?;
    Some([
        ("version", header.version.to_string()),
        ("store", StoreId(header.store).to_string()),
        ("shard", header.shard.to_string()),
        ("generation", header.generation.to_string()),
        ("log_start", Lsn(header.log_start.get()).to_string()),
        ("log_end", Lsn(header.log_end.get()).to_string()),
        ("mark", header.mark.to_string()),
        ("body_bytes", header.body_bytes.to_string()),
    ])
}

/// Whose manifest `bytes` are, if they are whole. For tools.
pub fn belongs_to(bytes: &[u8]) -> Option<(StoreId, ShardId)> {
    let (header, rest) = ManifestHeader::ref_from_prefix(bytes).ok()?;
    let body = rest.get(..usize::try_from(header.body_bytes.get()).ok()?)?;
    let whole = header.magic == MANIFEST_MAGIC && header.crc.get() == checksum(header, body);
    whole.then(|| (StoreId(header.store), header.shard.get()))
}

fn checksum(header: &ManifestHeader, body: &[u8]) -> u64 {
    let head = &header.as_bytes()[..std::mem::offset_of!(ManifestHeader, crc)];
    Crc64::new().update(head).update(body).finish()
}

fn read_segments(mut body: &[u8]) -> Option<Vec<ManifestSegment>> {
    let count = get_varint(&mut body)?;
    let mut segments = Vec::new();
    for _ in 0..count {
        segments.push(read_segment(&mut body)?);
    }
    body.is_empty().then_some(segments)
}

fn read_segment(body: &mut &[u8]) -> Option<ManifestSegment> {
    let (id, rest) = body.split_first_chunk::<16>()?;
    *body = rest;
    let records = u32::try_from(get_varint(body)?).ok()?;
    let dead_count = get_varint(body)?;
    let (mut dead, mut last) = (Vec::new(), 0u64);
    for i in 0..dead_count {
        let delta = get_varint(body)?;
        last = last.checked_add(delta)?;
        if last >= u64::from(records) || (i > 0 && delta == 0) {
            return None;
        }
        dead.push(last as Ordinal);
    }
    Some(ManifestSegment { id: SegmentId(*id), records, dead })
}

/// What can be read of the segment list of a manifest that is damaged: each segment with the byte of the file at which it
/// stands, and where the list cannot be read on. For tools.
pub fn look_at_segments(bytes: &[u8]) -> (Vec<(u64, ManifestSegment)>, Option<u64>) {
    let Ok((header, body)) = ManifestHeader::ref_from_prefix(bytes) else {
        return (Vec::new(), Some(0));
    };
    let at = |rest: &[u8]| (bytes.len() - rest.len()) as u64;
    let end = header.body_bytes.get().saturating_add(MANIFEST_HEADER_BYTES as u64);
    let (mut rest, mut found) = (body, Vec::new());
    let Some(count) = get_varint(&mut rest) else { return (found, Some(at(body))) };
    // The count and the length say the same, and one of them may be what is damaged.
    while (found.len() as u64) < count || at(rest) < end {
        let begins = at(rest);
        // Behind the list there are zeroes, of which no segment is made.
        match read_segment(&mut rest).filter(|segment| segment.id.0 != [0; 16]) {
            Some(segment) => found.push((begins, segment)),
            None => return (found, Some(begins)),
        }
    }
    (found, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        let segment = |b, records, dead| ManifestSegment { id: SegmentId([b; 16]), records, dead };
        Manifest {
            generation: 9,
            log_start: Lsn::new(3, 4096),
            log_end: Lsn::new(3, 8192),
            mark: 1 << 40,
            segments: vec![segment(1, 10, vec![0, 1, 9]), segment(2, 500, vec![])],
        }
    }

    #[test]
    fn an_entry_reads_back() {
        let record = Record { key: Key { time: u64::MAX, id: [7; 32] }, body: b"body" };
        let mut bytes = entry_head(EntryKind::Put, record, 2).to_vec();
        bytes.extend_from_slice(&[[1; 32], [2; 32]].concat());
        bytes.extend_from_slice(record.body);
        let entry = read_entry(&bytes).unwrap();
        assert_eq!((entry.record.key, entry.record.body), (record.key, record.body));
        assert_eq!(entry.kills, [[1; 32], [2; 32]]);
        for cut in 0..bytes.len() {
            assert!(read_entry(&bytes[..cut]).is_err(), "cut at {cut}");
        }
        let mut message = message_head(&record.key).to_vec();
        message.extend_from_slice(record.body);
        assert_eq!(read_message(&message).key, record.key);
    }

    #[test]
    fn a_manifest_reads_back_and_every_flipped_bit_is_noticed() {
        let (store, path) = (StoreId([3; 16]), Path::new("manifest"));
        let bytes = manifest().encode(store, 5);
        let mut padded = bytes.clone();
        padded.resize(4096, 0);
        assert_eq!(Manifest::decode(path, &padded, store, 5).unwrap(), manifest());
        assert!(matches!(Manifest::decode(path, &bytes, store, 6), Err(Error::Mismatch { .. })));
        for bit in 0..bytes.len() * 8 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(Manifest::decode(path, &bytes, store, 5).is_err(), "bit {bit}");
        }
        for cut in 0..bytes.len() {
            assert!(Manifest::decode(path, &bytes[..cut], store, 5).is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn an_entry_may_be_as_large_as_the_limits_and_no_larger() {
        let entry = |kills: usize, body: usize| {
            let body = vec![7; body];
            let record = Record { key: Key { time: 1, id: [7; 32] }, body: &body };
            let mut bytes = entry_head(EntryKind::Remove, record, kills).to_vec();
            bytes.resize(bytes.len() + kills * 32, 9);
            bytes.extend_from_slice(&body);
            read_entry(&bytes).map(|entry| (entry.kills.len(), entry.record.body.len()))
        };
        for (kills, body) in [(KILLS_PER_RECORD_MAX, 5), (5, RECORD_BYTES_MAX)] {
            assert_eq!(entry(kills, body), Ok((kills, body)));
            let over = (kills.next_multiple_of(KILLS_PER_RECORD_MAX) + 1, body);
            assert_eq!(entry(over.0, over.1), Err("a log entry exceeds a limit"));
        }
        assert_eq!(entry(5, RECORD_BYTES_MAX + 1), Err("a log entry exceeds a limit"));
        assert_eq!(entry(0, 0), Ok((0, 0)));
    }

    #[test]
    fn ordinals_that_no_record_has_or_that_come_twice_are_refused_behind_a_right_checksum() {
        let (store, path) = (StoreId([3; 16]), Path::new("manifest"));
        let read = |records, dead: &[Ordinal]| {
            let segment = ManifestSegment { id: SegmentId([1; 16]), records, dead: dead.to_vec() };
            let manifest = Manifest { segments: vec![segment], ..Manifest::first(1) };
            Manifest::decode(path, &manifest.encode(store, 0), store, 0)
                .map(|read| read == manifest)
        };
        for dead in [&[][..], &[0], &[9], &[0, 1], &[8, 9]] {
            assert!(matches!(read(10, dead), Ok(true)), "{dead:?}");
        }
        for dead in [&[10][..], &[3, 3], &[0, 0], &[0, 10], &[u32::MAX]] {
            assert!(matches!(read(10, dead), Err(Error::Corrupt { .. })), "{dead:?}");
        }
    }

    #[test]
    fn of_a_damaged_segment_list_a_tool_reads_what_is_in_front_of_the_damage() {
        let mut bytes = manifest().encode(StoreId([3; 16]), 5);
        let used = bytes.len();
        bytes.resize(4096, 0);
        let whole: Vec<_> = [81, 102].into_iter().zip(manifest().segments).collect();
        assert_eq!(look_at_segments(&bytes), (whole.clone(), None));
        for at in 0..used {
            for bit in 0..8 {
                let mut bytes = bytes.clone();
                bytes[at] ^= 1 << bit;
                let (found, broken) = look_at_segments(&bytes);
                // What stands in front of the flip is there, and the list ends behind it or in it.
                let before = whole.iter().zip(&whole[1..]).filter(|(_, next)| next.0 <= at as u64);
                let before = before.count() + usize::from(at >= used);
                assert!(found.len() >= before && found[..before] == whole[..before], "byte {at}");
                assert!(broken.is_none_or(|place| place + 21 > at as u64 || at < 81), "byte {at}");
            }
        }
        for cut in 0..used {
            let (found, broken) = look_at_segments(&bytes[..cut]);
            assert!(broken.is_some_and(|place| place <= cut as u64), "cut at {cut}");
            assert!(found.len() < 2 && found[..] == whole[..found.len()], "cut at {cut}");
        }
    }

    #[test]
    fn a_tool_reads_of_a_manifest_what_is_there_and_whose_it_is_if_it_is_whole() {
        let store = StoreId([3; 16]);
        let bytes = manifest().encode(store, 5);
        let fields = header_fields(&bytes).unwrap().map(|(name, value)| format!("{name} {value}"));
        let body = bytes.len() - MANIFEST_HEADER_BYTES;
        let expected = format!(
            "version {VERSION},store {store},shard 5,generation 9,log_start {},log_end {},mark {},body_bytes {body}",
            Lsn::new(3, 4096),
            Lsn::new(3, 8192),
            1u64 << 40,
        );
        assert_eq!(fields.join(","), expected);
        assert_eq!(header_fields(&bytes[..MANIFEST_HEADER_BYTES - 1]), None);
        assert_eq!(belongs_to(&bytes), Some((store, 5)));
        for at in 0..bytes.len() {
            let mut bytes = bytes.clone();
            bytes[at] ^= 0x10;
            assert_eq!(belongs_to(&bytes), None, "byte {at}");
            assert_eq!(belongs_to(&bytes[..at]), None, "cut at {at}");
        }
        // Right but for its magic: with a checksum of its own.
        let (mut header, _) = ManifestHeader::read_from_prefix(&bytes).unwrap();
        header.magic[0] ^= 1;
        header.crc = U64::new(checksum(&header, &bytes[MANIFEST_HEADER_BYTES..]));
        let other = [header.as_bytes(), &bytes[MANIFEST_HEADER_BYTES..]].concat();
        assert_eq!(belongs_to(&other), None);
        assert!(Manifest::decode(Path::new("manifest"), &other, store, 5).is_err());
    }
}
