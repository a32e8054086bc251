//! What has to hold of the bytes of a segment, damaged or forged behind right checksums: one function for each of its
//! parts and one for all of it, for fuzzing.
//!
//! ```text
//!   small segments of every form, written once --patches out of the input, checksums made right--> open, read it all
//! ```
//!
//! A function panics if what it says does not hold; any bytes are input.

pub(crate) use super::{bodies::fuzz::segment_bodies, dictionary::fuzz::dictionary};

use super::format::{HEADER_BYTES, Header, LEVELS_MAX};
use super::postings::block::BLOCK;
use super::postings::run::{HEAD_BYTES, Head, Run};
use super::{Body, Builder, Compression, NewSegment, Postings, Segment, file_name};
use crate::base::limits::RECORD_BYTES_MAX;
use crate::base::{Error, Ids, Key, PageSize, Result, SegmentId, StoreId, Terms};
use crate::io::{Disk, Faults, File, Rng, SimDisk};
use crate::pool::Pool;
use crate::pool::format::{PAGE_TRAILER_BYTES, seal_page};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use zerocopy::IntoBytes;

const PAGE_BYTES: usize = 4096;
const PAYLOAD_BYTES: usize = PAGE_BYTES - PAGE_TRAILER_BYTES;
const MODEL: (&str, u32) = ("toy", 3);
const STORE: StoreId = StoreId([7; 16]);
/// Records of the segments that are patched.
const RECORDS: u64 = 200;

/// A header is refused, or its regions lie one behind the other and fill the file.
pub(crate) fn segment_header(bytes: &[u8]) {
    let mut payload = vec![0; HEADER_BYTES];
    payload.iter_mut().zip(bytes).for_each(|(byte, given)| *byte = *given);
    let Ok(header) = Header::parse(&payload) else { panic!("it has all its bytes") };
    let _any = (header.model_name(), header.info(), Header::parse(bytes));
    let Ok(regions) = header.regions(PAYLOAD_BYTES) else { return };
    let mut next = 1;
    let mut again = header;
    regions.write(&mut again);
    assert_eq!(again.as_bytes(), header.as_bytes());
    for region in header.regions.iter().chain([&header.marks]).filter(|r| r.pages.get() > 0) {
        assert_eq!(region.first.get(), next);
        next += region.pages.get();
    }
    assert_eq!(next + 1, header.pages.get());
    assert!(header.levels <= LEVELS_MAX && header.locations() <= header.records.get());
}

/// Whatever the bytes of a list are, its ordinals ascend, behind what stands before them, and are what it counts.
pub(crate) fn postings(bytes: &[u8]) {
    let Some((&[a, b], bytes)) = bytes.split_first_chunk() else { return };
    let (count, records) = (u32::from(a) * 4 + 1, u32::from(b) * 50 + 1);
    if let Ok(list) = Postings::parse(bytes, records) {
        let mut again = Vec::new();
        list.write(&mut again);
        assert_eq!(again, bytes);
        assert!(list.count() <= records);
        let _any = list.page_near(records / 2, records);
        let mut values = [0; BLOCK];
        let decoded = list.decode_inline(&mut values).expect("it was checked");
        assert!(values[..decoded].is_sorted_by(|a, b| a < b));
        assert!(values[..decoded].iter().all(|value| *value < records));
    }
    if let Ok(len) = Postings::tail_bytes(bytes) {
        assert!((1..=bytes.len()).contains(&len));
    }
    if let Ok(run) = Run::parse(bytes, count) {
        check_run(&run, count);
    }
    if let Ok(head) = Head::parse(bytes, count) {
        assert!(head.count > 0 && head.rank + head.count <= count);
        if let Ok(run) = Run::parse(bytes.get(HEAD_BYTES..).unwrap_or_default(), head.count) {
            check_run(&run, head.count);
        }
    }
}

fn check_run(run: &Run<'_>, count: u32) {
    assert_eq!(run.blocks(), (count as usize).div_ceil(BLOCK));
    let (mut values, mut total) = ([0; BLOCK], 0);
    for block in 0..run.blocks() {
        let Ok(len) = run.decode(block, &mut values) else { return };
        assert!(values[..len].is_sorted_by(|a, b| a < b));
        let before = run.before(block);
        assert!(before.is_none_or(|before| values[..len].first().is_none_or(|v| *v > before)));
        total += len;
    }
    assert_eq!(total, count as usize);
    for target in [0, 1, 500, u32::MAX] {
        assert!(run.find(target) < run.blocks());
    }
}

/// A whole segment, and what of it is asked for.
struct Sound {
    new: NewSegment,
    bytes: Vec<u8>,
    keys: Vec<Key>,
}

/// A file in memory.
#[derive(Debug)]
struct Forged {
    path: PathBuf,
    bytes: Vec<u8>,
}

impl File for Forged {
    fn path(&self) -> &Path {
        &self.path
    }

    fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn align(&self) -> usize {
        1
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        let offset = offset as usize;
        let Some(bytes) = self.bytes.get(offset..offset + buf.len()) else {
            return Err(Error::corrupt(&self.path, offset as u64, "the file ends here"));
        };
        buf.copy_from_slice(bytes);
        Ok(())
    }

    fn write_at(&self, _: u64, _: &[u8]) -> Result<()> {
        Err(Error::invalid("file", "nobody writes to it"))
    }

    fn sync(&self) -> Result<()> {
        Ok(())
    }
}

fn mark_of(body: &[u8]) -> u32 {
    crate::base::hash64(body) as u32
}

fn forms() -> &'static [Sound] {
    static FORMS: OnceLock<Vec<Sound>> = OnceLock::new();
    FORMS.get_or_init(|| {
        let forms = [
            (Compression::None, Ids::Foreign),
            (Compression::Zstd, Ids::Foreign),
            (Compression::Blocks, Ids::Foreign),
            (Compression::FastBlocks, Ids::Own),
        ];
        let sound = |(n, (compression, ids))| {
            let id = SegmentId::v7(1_700_000_000_000, [n; 10]);
            let page = PageSize::K4;
            let mark = (n % 2 == 0).then_some(mark_of as fn(&[u8]) -> u32);
            let new = NewSegment {
                id,
                store: STORE,
                shard: 5,
                page,
                model: MODEL,
                ids,
                mark,
                compression,
            };
            written(new).expect("a disk without faults")
        };
        (0..).zip(forms).map(sound).collect()
    })
}

fn written(new: NewSegment) -> Result<Sound> {
    let dir = Path::new("/segments");
    let disk = SimDisk::new(1, Faults::default());
    disk.create_dir(dir)?;
    let mut rng = Rng::new(11);
    let mut builder = Builder::create(&*disk, dir, new)?;
    let mut keys = Vec::new();
    for n in 0..RECORDS {
        let mut id = [0; 32];
        rng.fill(&mut id);
        let time = 1_000 + n / 3;
        let key = match new.ids {
            Ids::Foreign => Key { time: 1_000 + n, id },
            Ids::Own => Key::own(time, u64::MAX - n),
        };
        let mut terms = Terms::new();
        for term in [&[1, (n % 2) as u8][..], &[2, (n % 7) as u8, 9], &id[..12], b"all"] {
            terms.push(&[term]);
        }
        terms.seal();
        let mut body = b"what is said of it ".repeat(1 + rng.below(4) as usize);
        // One that crosses pages.
        body.resize(body.len() + if n == 20 { PAGE_BYTES } else { 0 }, b'x');
        builder.add(key, &body, &terms)?;
        keys.push(key);
    }
    builder.finish()?;
    let bytes = disk.contents(dir.join(file_name(new.id))).unwrap_or_default();
    Ok(Sound { new, bytes, keys })
}

/// The bytes of `sound` with patches: page, how many, and each a place and a byte.
fn patched(sound: &Sound, mut patches: &[u8]) -> Vec<u8> {
    let mut bytes = sound.bytes.clone();
    let pages = bytes.len() / PAGE_BYTES;
    while let [page, count, rest @ ..] = patches {
        // From the end, where there is more structure.
        let number = pages - 1 - usize::from(*page) % pages;
        let (spots, rest) = rest.split_at(rest.len().min(3 * usize::from(*count & 15)));
        patches = rest;
        let start = number * PAGE_BYTES;
        if *count & 0x80 != 0 {
            let from = usize::from(*count >> 4 & 7) % pages * PAGE_BYTES;
            bytes.copy_within(from..from + PAYLOAD_BYTES, start);
        }
        let page = &mut bytes[start..start + PAGE_BYTES];
        for spot in spots.chunks_exact(3) {
            let at = usize::from(u16::from_le_bytes([spot[0], spot[1]])) % PAYLOAD_BYTES;
            page[at] = spot[2];
        }
        let kind = page[PAYLOAD_BYTES + 4..].first_chunk().map_or(0, |k| u32::from_le_bytes(*k));
        seal_page(page, &sound.new.id.0, number as u32, kind);
    }
    bytes
}

/// What is forged behind right checksums is refused as `Corrupt`, with the file and a page, or answered within
/// its own limits: no panic, no walk without an end, and nothing outside the file.
pub(crate) fn segment(bytes: &[u8]) {
    thread_local! {
        static POOL: Arc<Pool> = Pool::new(100 * PAGE_BYTES, PageSize::K4);
    }
    let Some((form, patches)) = bytes.split_first() else { return };
    let sound = &forms()[usize::from(*form) % forms().len()];
    let path = Path::new("/segments").join(file_name(sound.new.id));
    let file = Forged { path: path.clone(), bytes: patched(sound, patches) };
    let len = file.len();
    let pool = POOL.with(Arc::clone);
    let expect = (STORE, 5, MODEL.0, MODEL.1);
    let opened = Segment::open_file(&pool, Arc::new(file), sound.new.id, expect, None);
    let is_named = |error: Error| match error {
        Error::Corrupt { path: of, offset, .. } => {
            // A page may name one behind the end of the file: then the damage is said to be there.
            assert!(of == path && offset.is_multiple_of(PAGE_BYTES as u64), "{offset} of {len}");
        }
        other => panic!("{other}"),
    };
    let segment = match opened {
        Err(Error::WrongVersion { .. } | Error::Mismatch { .. }) => return,
        Err(error) => return is_named(error),
        Ok(segment) => segment,
    };
    let _either = segment.load_filters();
    for read in [records(&segment, &sound.keys), terms(&segment)] {
        read.map_or_else(is_named, |()| ());
    }
    if patches.is_empty() {
        assert!(records(&segment, &sound.keys).is_ok() && terms(&segment).is_ok());
        assert_eq!(segment.records(), sound.keys.len() as u32);
    }
}

fn records(segment: &Arc<Segment>, keys: &[Key]) -> Result<()> {
    let mut body = Body::default();
    for (ordinal, key) in (0..segment.records()).zip(keys).step_by(19) {
        let _may = (segment.may_have_id(&key.id), segment.key(ordinal)?);
        let found = segment.find_key(key)?.or(segment.locate(key)?);
        assert!(found.is_none_or(|found| found < segment.records()));
        body = segment.body(ordinal, body)?;
        assert!(body.len() <= RECORD_BYTES_MAX);
        let bounds = segment.bounds(key.time, key.time + 9)?;
        assert!(bounds.end <= segment.records());
    }
    Ok(())
}

fn terms(segment: &Arc<Segment>) -> Result<()> {
    let mut lists = Vec::new();
    let mut scan = segment.terms();
    while let Some((term, list)) = scan.next()? {
        if lists.len() < 12 {
            lists.push((term.to_vec(), list));
        }
    }
    for (term, list) in lists {
        let _may = (segment.may_have_term(&term), segment.term(&term)?);
        let mut cursor = list.cursor(segment);
        let mut next = 0;
        while let Some(found) = cursor.seek_ge(next)? {
            assert!(found >= next && found < segment.records());
            next = found + 1;
        }
        let mut last = Some(u32::MAX);
        while let Some(found) = last.map_or(Ok(None), |last| cursor.seek_le(last))? {
            assert!(found < segment.records());
            last = found.checked_sub(1);
        }
        assert!(list.rank(segment, 20)? <= list.count());
    }
    Ok(())
}

/// The payloads of the pages of this kind, for seeds.
#[cfg(test)]
pub(crate) fn payloads(kind: u32) -> Vec<Vec<u8>> {
    let pages = forms().iter().flat_map(|sound| sound.bytes.chunks(PAGE_BYTES));
    let of_kind = pages.filter(|page| page[PAYLOAD_BYTES + 4..][..4] == kind.to_le_bytes());
    let payload = |page: &[u8]| {
        let end = page[..PAYLOAD_BYTES].iter().rposition(|byte| *byte != 0);
        page[..end.map_or(0, |end| end + 1)].to_vec()
    };
    of_kind.map(payload).collect()
}
