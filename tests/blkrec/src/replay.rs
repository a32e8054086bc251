//! Disks as a power cut may have left them.

use crate::device::{Entry, Log, Rng};

/// What cannot be torn.
const SECTOR: usize = 512;

/// The block that ext4 begins with, on whose two sectors of settings it relies as one: torn, nobody can mount it, and a
/// device of this size has no copy of it.
const FIRST_BLOCK: usize = 4096;

/// What becomes of the writes that were not flushed.
#[derive(Clone, Copy, Debug)]
pub enum Cut {
    /// All are there.
    Nothing,
    /// None is.
    Unflushed,
    /// Some are.
    Writes,
    /// Some sectors of them are.
    Sectors,
}

impl Cut {
    pub const ALL: [Cut; 4] = [Cut::Nothing, Cut::Unflushed, Cut::Writes, Cut::Sectors];
}

/// The disks of one log, for points that only grow.
pub struct Disks<'a> {
    log: &'a Log,
    /// What is surely on the medium: all writes before this entry.
    durable: Vec<u8>,
    until: usize,
}

impl Disks<'_> {
    pub fn new(log: &Log, bytes: usize) -> Disks<'_> {
        Disks { log, durable: vec![0; bytes], until: 0 }
    }

    /// A disk that lost its power when the log was `point` entries long, and the answers up to there.
    pub fn at(&mut self, point: usize, cut: Cut, rng: &mut Rng) -> (Vec<u8>, Vec<&str>) {
        let entries = &self.log.0[..point];
        let flushed =
            entries.iter().rposition(|e| matches!(e, Entry::Flush)).map_or(0, |at| at + 1);
        for entry in &entries[self.until.min(flushed)..flushed] {
            if let Entry::Write { offset, bytes } = entry {
                self.durable[*offset..offset + bytes.len()].copy_from_slice(bytes);
            }
        }
        self.until = flushed.max(self.until);
        let mut disk = self.durable.clone();
        for entry in &entries[flushed..] {
            let Entry::Write { offset, bytes } = entry else { continue };
            let whole = match cut {
                Cut::Nothing => true,
                Cut::Unflushed => false,
                Cut::Writes | Cut::Sectors => rng.coin(),
            };
            for (sector, bytes) in bytes.chunks(SECTOR).enumerate() {
                let can_tear = matches!(cut, Cut::Sectors) && *offset >= FIRST_BLOCK;
                let there = if can_tear { rng.coin() } else { whole };
                if there {
                    let at = offset + sector * SECTOR;
                    disk[at..at + bytes.len()].copy_from_slice(bytes);
                }
            }
        }
        (disk, entries.iter().filter_map(Entry::answer).collect())
    }
}
