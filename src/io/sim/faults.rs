//! What may go wrong on the simulated disk, and what a power cut leaves behind. The policy, in full:
//!
//! | fault | model |
//! |---|---|
//! | order | a queue starts, finishes and hands back its operations in any order; the sync of a durable write follows its write |
//! | power cut, bytes | one regime a cut: all unsynced writes lost, all kept, or each for itself: lost, whole, a prefix of sectors, or a coin for each sector; in any order across files. A sector (512 bytes) is never torn. A file that the lost part would have lengthened may be long already, with zeros or garbage where nothing was written |
//! | power cut, names | creations, links, renames and removals since `sync_dir` survive as a prefix (journalled file systems), or with `names_any_subset` each for itself (POSIX); a rename is atomic |
//! | process kill | all that was written stays, synced or not; handles and locks are gone |
//! | failed read | one in `eio_read`: an error, nothing else |
//! | failed write | one in `eio_write`: an error, and a prefix of the sectors may have been written |
//! | failed sync | one in `eio_sync`: an error; each unsynced write is persisted or not by a coin and then forgotten, so that the next sync succeeds and proves nothing ("fsyncgate"). Reads still show what was written, until power is lost. Of a directory, a prefix of the pending names is persisted, and the rest is left to the next sync: a file system that loses names from its journal takes no more writes |
//! | full disk | bytes over `quota` are refused, and what is there stays; until the quota is raised or files are removed |
//! | one chosen operation | `SimDisk::fail_nth`: `EIO`, `ENOSPC` once or for good, fewer bytes, `EAGAIN`; names, directories, locks and look-ups included |
//! | lost or misdirected write | `SimDisk::fail_nth`: no error, a file as long as it would be, and nothing, or another place, written (`lies.rs`) |
//! | no links | refused with `no_links`: a copy is the answer |
//! | directories | made and removed at once, for good: a removed one takes the unsynced removals in it along |
//! | bit rot | by hand: `SimDisk::flip_bit` |
//!
//! Synced bytes and names never go away, and nothing is read that was never written, except as above.
//! Not modelled: torn sectors, stalls.

use super::image::Image;
use crate::io::Rng;
use std::sync::Arc;

/// Bytes that the medium writes as a whole or not at all.
pub(super) const SECTOR_BYTES: usize = 512;

/// Knobs of the simulated disk. `1-in-N` knobs are off at 0; all are, by default.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Faults {
    /// Alignment that files ask for, in bytes; a power of two.
    pub align: usize,
    /// One read in so many fails.
    pub eio_read: u32,
    /// One write in so many fails, and may have been written in part.
    pub eio_write: u32,
    /// One sync in so many fails, and forgets what it did not persist.
    pub eio_sync: u32,
    /// Bytes that all files together may have; none are refused if `None`.
    pub quota: Option<u64>,
    /// Whether unsynced names survive a power cut as any subset rather than as a prefix.
    pub names_any_subset: bool,
    /// Whether a file can have one name only, as on some file systems and between any two.
    pub no_links: bool,
}

impl Default for Faults {
    fn default() -> Faults {
        Faults {
            align: SECTOR_BYTES,
            eio_read: 0,
            eio_write: 0,
            eio_sync: 0,
            quota: None,
            names_any_subset: false,
            no_links: false,
        }
    }
}

/// A write that no sync has covered.
#[derive(Clone, Debug)]
pub(super) struct PendingWrite {
    pub offset: u64,
    pub content: Content,
}

/// What a write puts; copies share it.
#[derive(Clone, Debug)]
pub(super) enum Content {
    Bytes(Arc<[u8]>),
    Zeros(usize),
}

impl PendingWrite {
    pub fn len(&self) -> usize {
        match &self.content {
            Content::Bytes(bytes) => bytes.len(),
            Content::Zeros(count) => *count,
        }
    }

    /// Puts `part` of it to where it goes.
    pub fn put(&self, image: &mut Image, part: std::ops::Range<usize>) {
        let offset = self.offset + part.start as u64;
        match &self.content {
            Content::Bytes(bytes) => image.put(offset, &bytes[part]),
            Content::Zeros(_) => image.put_zeros(offset, part.len()),
        }
    }
}

/// How much of what is not durable survives a power cut.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Survivors {
    /// Nothing.
    None,
    /// Everything.
    All,
    /// Part of it: each for itself, as the policy says.
    Some,
}

impl Survivors {
    /// Of the bytes of one power cut: drawn once a cut, because independent draws over many writes would
    /// all but never lose, or keep, all of them.
    pub(super) fn draw(rng: &mut Rng) -> Survivors {
        match rng.below(4) {
            0 => Survivors::None,
            1 => Survivors::All,
            _ => Survivors::Some,
        }
    }
}

/// Lets `pending` survive in `durable` as the policy says.
pub(super) fn survive(
    rng: &mut Rng,
    survivors: Survivors,
    durable: &mut Image,
    pending: Vec<PendingWrite>,
) {
    for write in pending {
        let sectors = sectors(&write);
        let fate = match survivors {
            Survivors::None => 0,
            Survivors::All => 1,
            Survivors::Some => rng.below(4),
        };
        let prefix = rng.below(sectors.len() as u64 + 1) as usize;
        let old_len = durable.len();
        let mut lost = Vec::new();
        for (index, sector) in sectors.into_iter().enumerate() {
            let survives = match fate {
                0 => false,
                1 => true,
                2 => index < prefix,
                _ => rng.chance(2),
            };
            if survives {
                write.put(durable, sector.1);
            } else {
                lost.push(sector);
            }
        }
        let end = write.offset as usize + write.len();
        if durable.len() < end && rng.chance(4) {
            durable.lengthen(end);
        }
        if rng.chance(2) {
            scribble(rng, durable, old_len, &lost);
        }
    }
}

/// Puts garbage into lost sectors that lie in the part by which the file was lengthened.
fn scribble(rng: &mut Rng, durable: &mut Image, old_len: usize, lost: &[Sector]) {
    for (offset, range) in lost {
        let start = (*offset as usize).max(old_len);
        let end = (*offset as usize + range.len()).min(durable.len());
        if start < end {
            let mut garbage = vec![0; end - start];
            rng.fill(&mut garbage);
            durable.put(start as u64, &garbage);
        }
    }
}

/// An offset in the file, and the range of the write's bytes that goes there.
type Sector = (u64, std::ops::Range<usize>);

/// The pieces of a write that the medium treats as one.
pub(super) fn sectors(write: &PendingWrite) -> Vec<Sector> {
    let mut pieces = Vec::new();
    let mut start = 0;
    while start < write.len() {
        let offset = write.offset + start as u64;
        let room = SECTOR_BYTES - (offset % SECTOR_BYTES as u64) as usize;
        let end = write.len().min(start + room);
        pieces.push((offset, start..end));
        start = end;
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_is_cut_at_the_grid_of_sectors() {
        let write = PendingWrite { offset: 500, content: Content::Zeros(1_000) };
        assert_eq!(sectors(&write), [(500, 0..12), (512, 12..524), (1024, 524..1000)]);
        assert!(sectors(&PendingWrite { offset: 3, content: Content::Zeros(0) }).is_empty());
    }

    #[test]
    fn whatever_survives_is_old_new_or_beyond_the_old_end() {
        let (mut torn, mut longer, mut garbage) = (0, 0, 0);
        for seed in 0..2_000 {
            let mut rng = Rng::new(seed);
            let mut durable = Image::default();
            durable.put(0, &[1; 2048]);
            let content = Content::Bytes([2; 3072].into());
            let pending = vec![PendingWrite { offset: 1024, content }];
            survive(&mut rng, Survivors::Some, &mut durable, pending);
            let durable = durable.to_vec();
            assert_eq!(&durable[..1024], [1; 1024]);
            let kinds: Vec<u8> = durable[1024..]
                .chunks(512)
                .map(|sector| match sector[0] {
                    first if sector.iter().all(|&byte| byte == first) => first,
                    _ => 99,
                })
                .collect();
            assert!(kinds[..2].iter().all(|kind| [1, 2].contains(kind)), "{seed}: {kinds:?}");
            assert!(kinds[2..].iter().all(|kind| [0, 2, 99].contains(kind)), "{seed}: {kinds:?}");
            torn += usize::from(kinds.contains(&2) && kinds.contains(&1));
            longer += usize::from(durable.len() == 4096 && !kinds.contains(&2));
            garbage += usize::from(kinds.contains(&99));
        }
        assert!(torn > 100 && longer > 20 && garbage > 100, "{torn} {longer} {garbage}");
    }
}
