//! What has to hold of the bytes of log files, damaged or forged, for fuzzing.
//!
//! ```text
//!   bytes --> pieces: block of entries | block of any payload | next file | any bytes --> files --> replay, follow
//! ```
//!
//! A function panics if what it says does not hold; any bytes are input.

use super::format::{self, BLOCK_HEADER_BYTES, FileInfo};
use super::scan::{Piece, follow};
use super::{Files, Identity, Replayed, replay};
use crate::base::{Error, Lsn, Result, StoreId};
use crate::io::{Buf, Disk, Faults, SimDisk};
use std::path::Path;

const DIR: &str = "/log";
const GRAIN: usize = 512;
const OF: Identity = Identity { store: StoreId([7; 16]), shard: 3 };

/// Files that are made of one input.
const FILES_MAX: usize = 3;
/// Pieces that are made of one input.
const PIECES_MAX: usize = 12;

/// Headers are refused, or are what was written; entries are within their payload.
pub(crate) fn wal_headers(bytes: &[u8]) {
    let path = Path::new("/log/wal-00000007");
    match format::read_file_header(bytes, OF, 7, path) {
        Ok(Some(info)) => {
            let mut again = vec![0; info.grain];
            format::put_file_header(&mut again, OF, info);
            assert!(bytes.starts_with(&again));
        }
        Ok(None) | Err(Error::WrongVersion { .. } | Error::Mismatch { .. }) => {}
        Err(other) => panic!("{other}"),
    }
    let _any = (format::look_at_header(bytes), format::looks_begun(bytes, OF, Lsn::new(7, 512)));
    if let Some(info) = format::read_block_header(bytes, OF, Lsn::new(7, 512)) {
        let payload = info.payload(bytes);
        assert!(payload.is_none_or(|payload| payload.len() == info.payload_bytes));
    }
    let (mut rest, mut total) = (bytes, 0);
    while let Some(entry) = format::take_entry(&mut rest) {
        total += format::entry_bytes(entry.len());
        assert!(total + rest.len() == bytes.len());
    }
}

/// A log of sound files, and what it holds; what else was done to it.
#[derive(Default)]
struct Forged {
    files: Vec<Vec<u8>>,
    entries: Vec<Vec<u8>>,
    is_sound: bool,
}

impl Forged {
    fn of(bytes: &[u8]) -> Forged {
        let mut log = Forged { is_sound: true, ..Forged::default() };
        log.begin();
        let mut rest = bytes;
        for _ in 0..PIECES_MAX {
            let [what, len, behind @ ..] = rest else { break };
            let (piece, behind) = behind.split_at(behind.len().min(usize::from(*len) * 2));
            rest = behind;
            match what % 8 {
                0..4 => log.block_of(piece, *what),
                4 => log.block(piece, u32::from(*what >> 3), *what),
                5 if log.files.len() < FILES_MAX => log.begin(),
                5 => {}
                6 => log.overwrite(piece, *what),
                _ => log.last().extend_from_slice(piece),
            }
            let whole = log.last().len().next_multiple_of(GRAIN);
            log.is_sound &= what % 8 < 4 || what % 8 == 5;
            log.last().resize(whole, 0);
        }
        log
    }

    fn last(&mut self) -> &mut Vec<u8> {
        self.files.last_mut().expect("the first file")
    }

    fn end(&self) -> Lsn {
        self.files
            .last()
            .map_or(Lsn(0), |last| Lsn::new(self.files.len() as u32, last.len() as u32))
    }

    /// The next file.
    fn begin(&mut self) {
        let info =
            FileInfo { number: self.files.len() as u32 + 1, grain: GRAIN, prev_end: self.end() };
        let mut area = vec![0; GRAIN];
        format::put_file_header(&mut area, OF, info);
        self.files.push(area);
    }

    /// A block of entries, each a length and its bytes.
    fn block_of(&mut self, mut piece: &[u8], what: u8) {
        let (mut payload, mut count) = (Vec::new(), 0);
        while let [len, rest @ ..] = piece {
            let (entry, rest) = rest.split_at(rest.len().min(usize::from(*len)));
            let at = payload.len();
            payload.resize(at + format::entry_bytes(entry.len()), 0);
            format::put_entry(&mut payload[at..], entry.len() as u32, &[entry]);
            self.entries.push(entry.to_vec());
            (piece, count) = (rest, count + 1);
        }
        self.block(&payload, count, what);
    }

    /// A block with this payload, whole by its checksums.
    fn block(&mut self, payload: &[u8], entries: u32, what: u8) {
        let lsn = self.end();
        let durable_to = if what & 0x80 == 0 { Lsn(0) } else { lsn };
        let mut block = vec![0; format::block_bytes(payload.len(), GRAIN)];
        block[BLOCK_HEADER_BYTES..][..payload.len()].copy_from_slice(payload);
        format::put_block_header(&mut block, OF, lsn, durable_to, payload.len(), entries);
        self.last().extend_from_slice(&block);
    }

    /// Any bytes over what is there.
    fn overwrite(&mut self, piece: &[u8], what: u8) {
        let file = self.last();
        let at = usize::from(what >> 3) * 67 % file.len();
        file.iter_mut().skip(at).zip(piece).for_each(|(byte, new)| *byte = *new);
    }

    /// The files on a disk.
    fn on_disk(&self) -> Files {
        let disk = SimDisk::new(1, Faults::default());
        let dir = Path::new(DIR);
        let files =
            Files { disk, dir: dir.into(), file_bytes: 8192, store: OF.store, shard: OF.shard };
        let put = |disk: &dyn Disk| -> Result<()> {
            disk.create_dir(dir)?;
            for (number, bytes) in (1..).zip(&self.files) {
                let mut buf = Buf::zeroed(bytes.len(), GRAIN);
                buf.copy_from_slice(bytes);
                disk.create(&files.path(number), 0)?.write_at(0, &buf)?;
            }
            Ok(())
        };
        put(&*files.disk).expect("a disk without faults");
        files
    }
}

/// A log is read back as it was written; whatever else is in its files, what is read is a part of them, the same when
/// it is read again, and damage is named with its file and a place in it.
pub(crate) fn wal(bytes: &[u8]) {
    let log = Forged::of(bytes);
    let files = log.on_disk();
    let first = read(&files);
    match &first {
        Ok((entries, found)) => {
            assert!(!log.is_sound || *entries == log.entries, "{entries:?} of {:?}", log.entries);
            let total: usize = log.files.iter().map(Vec::len).sum();
            assert!(found.bytes <= total as u64 && found.end <= log.end());
            // What is found is durable, and found again.
            let (again, _) = read(&files).expect("what was read before");
            assert_eq!(again, *entries);
        }
        Err(Error::Corrupt { path, offset, .. }) => {
            assert!(!log.is_sound, "a sound log is corrupt at {offset}");
            let number = (1..=FILES_MAX as u32 + 1).find(|number| files.path(*number) == *path);
            let bytes = number.and_then(|number| log.files.get(number as usize - 1));
            assert!(bytes.is_none_or(|bytes| *offset <= bytes.len() as u64), "{offset}");
            assert!(path.starts_with(DIR), "{path:?}");
        }
        Err(Error::WrongVersion { .. } | Error::Mismatch { .. }) => assert!(!log.is_sound),
        Err(other) => panic!("{other}"),
    }
    followed(&files, first.is_ok().then_some(&first).and_then(|first| first.as_ref().ok()));
}

/// The entries of a log.
type Entries = Vec<Vec<u8>>;

fn read(files: &Files) -> Result<(Entries, Replayed)> {
    let mut entries = Vec::new();
    let found = replay(files, Lsn(0), &mut |_, entry| {
        entries.push(entry.to_vec());
        Ok(())
    })?;
    Ok((entries, found))
}

/// Who only reads comes by the blocks that a replay comes by.
fn followed(files: &Files, replayed: Option<&(Entries, Replayed)>) {
    let mut entries = Vec::new();
    let found = follow(files, Lsn(0), &mut |piece| {
        if let Piece::Block(block) = piece {
            entries.extend(block.entries().flatten().map(<[u8]>::to_vec));
        }
        Ok(())
    });
    if let (Some((whole, replayed)), Ok(found)) = (replayed, found) {
        assert!(found.end == replayed.end && entries == *whole, "{entries:?} of {whole:?}");
    }
}
