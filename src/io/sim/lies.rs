//! Writes that say that they were done, and were not, or not there: lost and misdirected ones.
//!
//! ```text
//!   write --Lost--------> nothing: where it should have gone is what was there before
//!         --Misdirected-> another place of the file or of another one, at once, for good
//! ```
//!
//! A file is as long as it would be: its length is the file system's, who was not lied to. A sync behind such a write
//! succeeds.

use super::disk::State;
use super::faults::{Content, PendingWrite, SECTOR_BYTES};
use super::plan::Failure;
use super::{Held, SimDisk, lock};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Draws of a place that is not all zeros, where a misdirected write harms somebody.
const DRAWS: usize = 8;

/// What became of a write that was lost or misdirected.
#[derive(Clone, Debug)]
pub struct Misplaced {
    /// Where it should have gone: the file,
    pub path: PathBuf,
    /// and the byte.
    pub offset: u64,
    /// Where it went.
    pub landed: Option<(PathBuf, u64)>,
    /// Writes of bytes since, by file.
    pub later: BTreeMap<PathBuf, u64>,
}

impl State {
    /// Does a write as `failure` says, which is a lie.
    pub(super) fn misplace(&mut self, held: &Held, write: &PendingWrite, failure: Failure) {
        let len = self.inodes.get(&held.inode).map_or(0, |inode| inode.visible.len());
        let more = (write.offset as usize + write.len()).saturating_sub(len);
        if more > 0 {
            let zeros = PendingWrite { offset: len as u64, content: Content::Zeros(more) };
            self.apply(held.inode, zeros);
        }
        let landed = (failure == Failure::Misdirected).then(|| self.land(held, write)).flatten();
        let (path, offset) = (held.path.clone(), write.offset);
        self.plan.misplaced = Some(Misplaced { path, offset, landed, later: BTreeMap::new() });
    }

    /// Puts the write over another place, if there is one.
    fn land(&mut self, held: &Held, write: &PendingWrite) -> Option<(PathBuf, u64)> {
        let named = self.dirs.iter().flat_map(|(dir, of)| {
            of.visible.iter().map(move |(name, inode)| (dir.join(name), *inode))
        });
        let is_long = |of: &(PathBuf, u64)| {
            self.inodes.get(&of.1).is_some_and(|inode| inode.visible.len() >= SECTOR_BYTES)
        };
        let files: Vec<(PathBuf, u64)> = named.filter(is_long).collect();
        let mut place = None;
        for _ in 0..DRAWS {
            if files.is_empty() {
                return None;
            }
            let any = &files[self.rng.below(files.len() as u64) as usize];
            let (path, id) = match self.rng.chance(2) {
                true => files.iter().find(|(_, id)| *id == held.inode).unwrap_or(any),
                false => any,
            };
            let sectors = self.inodes.get(id)?.visible.len() / SECTOR_BYTES;
            let offset = self.rng.below(sectors as u64) * SECTOR_BYTES as u64;
            let mut there = [0; SECTOR_BYTES];
            let is_read = self.inodes.get(id)?.visible.get(offset, &mut there);
            if (*id, offset) != (held.inode, write.offset) && is_read {
                place = Some((path.clone(), *id, offset));
                if there != [0; SECTOR_BYTES] {
                    break;
                }
            }
        }
        let (path, id, offset) = place?;
        let inode = self.inodes.get_mut(&id)?;
        let moved = PendingWrite { offset, content: write.content.clone() };
        for image in [&mut inode.visible, &mut inode.durable] {
            let room = image.len().saturating_sub(offset as usize);
            moved.put(image, 0..write.len().min(room));
        }
        Some((path, offset))
    }
}

impl SimDisk {
    /// What became of the write that was lost or misdirected as `fail_nth` has planned, if it was met.
    pub fn misplaced(&self) -> Option<Misplaced> {
        lock(&self.shared).plan.misplaced.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::sim::Survivors;
    use crate::io::{Buf, Disk, Faults};
    use std::path::Path;

    fn filled(count: usize, byte: u8) -> Buf {
        let mut buf = Buf::zeroed(count, SECTOR_BYTES);
        buf.fill(byte);
        buf
    }

    #[test]
    fn a_lost_write_is_acknowledged_and_leaves_what_was_there() {
        let disk = SimDisk::new(1, Faults::default());
        let file = disk.create(Path::new("/a"), 1024).unwrap();
        disk.sync_dir(Path::new("/")).unwrap();
        file.write_at(0, &filled(1024, 1)).unwrap();
        disk.fail_nth(1, Failure::Lost);
        file.write_at(512, &filled(1024, 2)).unwrap();
        file.write_at(0, &filled(512, 3)).unwrap();
        file.sync().unwrap();
        disk.power_loss();
        let bytes = disk.contents("/a").unwrap();
        assert_eq!(bytes.len(), 1536, "the length is the file system's");
        let at = |at: usize| bytes[at..at + 512].iter().all(|&byte| byte == bytes[at]);
        assert!(at(0) && at(512) && at(1024));
        assert_eq!([bytes[0], bytes[512], bytes[1024]], [3, 1, 0]);
        let met = disk.misplaced().unwrap();
        assert_eq!((met.path, met.offset, met.landed), ("/a".into(), 512, None));
        assert_eq!(met.later, BTreeMap::from([("/a".into(), 1)]));
    }

    #[test]
    fn a_misdirected_write_lands_in_another_place_and_nowhere_else() {
        let mut others = 0;
        for seed in 0..40 {
            let disk = SimDisk::new(seed, Faults::default());
            for (name, byte) in [("/a", 1), ("/b", 2)] {
                let file = disk.create(Path::new(name), 2048).unwrap();
                file.write_at(0, &filled(2048, byte)).unwrap();
                file.sync().unwrap();
            }
            disk.sync_dir(Path::new("/")).unwrap();
            disk.fail_nth(1, Failure::Misdirected);
            let file = disk.open(Path::new("/a")).unwrap();
            file.write_at(512, &filled(512, 9)).unwrap();
            // It is on the medium, synced or not.
            let gone = disk.moment().crash(1, Survivors::None, Survivors::None);
            let (path, offset) = disk.misplaced().unwrap().landed.unwrap();
            others += usize::from(path == Path::new("/b"));
            for (name, byte) in [("/a", 1), ("/b", 2)] {
                let mut expected = vec![byte; 2048];
                if path == Path::new(name) {
                    expected[offset as usize..][..512].fill(9);
                }
                assert_eq!(gone.contents(name), Some(expected.clone()), "seed {seed}");
                assert_eq!(disk.contents(name), Some(expected), "seed {seed}");
            }
            assert!(path != Path::new("/a") || offset != 512);
        }
        assert!((5..35).contains(&others), "{others} of 40 in the other file");
    }
}
