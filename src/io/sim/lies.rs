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
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Draws of a place that is not all zeros, where a misdirected write harms somebody.
const DRAWS: usize = 8;

/// A place that was written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Written {
    /// The file, as it was named then.
    pub path: PathBuf,
    /// Its bytes.
    pub bytes: Range<u64>,
}

/// What became of a write that was lost or misdirected.
#[derive(Clone, Debug)]
pub struct Misplaced {
    /// Where it should have gone.
    pub meant: Written,
    /// Where it went.
    pub landed: Option<Written>,
    /// Writes of bytes in front of it, since it was planned.
    pub nth: usize,
}

impl Written {
    pub(super) fn of(path: &Path, offset: u64, len: usize) -> Written {
        Written { path: path.into(), bytes: offset..offset + len as u64 }
    }

    /// Whether both are, in part, the same place.
    pub fn meets(&self, other: &Written) -> bool {
        let (a, b) = (&self.bytes, &other.bytes);
        self.path == other.path && a.start < b.end && b.start < a.end
    }
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
        let meant = Written::of(&held.path, write.offset, write.len());
        let nth = self.plan.written.len();
        self.plan.misplaced = Some(Misplaced { meant, landed, nth });
    }

    /// Puts the write over another place, if there is one.
    fn land(&mut self, held: &Held, write: &PendingWrite) -> Option<Written> {
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
        Some(Written::of(&path, offset, write.len()))
    }
}

impl SimDisk {
    /// What became of the write that was lost or misdirected as `fail_nth` has planned, if it was met.
    pub fn misplaced(&self) -> Option<Misplaced> {
        lock(&self.shared).plan.misplaced.clone()
    }

    /// The writes of bytes since a lie was planned, without that.
    pub fn written(&self) -> Vec<Written> {
        lock(&self.shared).plan.written.clone()
    }

    /// How many they are.
    pub fn written_count(&self) -> usize {
        lock(&self.shared).plan.written.len()
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
        let of = |bytes| Written { path: "/a".into(), bytes };
        assert_eq!((met.meant, met.landed, met.nth), (of(512..1536), None, 0));
        assert_eq!(disk.written(), [of(0..512)]);
        let meets = |a, b| of(a).meets(&of(b));
        assert!(meets(0..2, 1..3) && meets(1..3, 0..2) && !meets(0..2, 2..3) && !meets(2..3, 0..2));
        assert!(!of(0..2).meets(&Written { path: "/b".into(), bytes: 0..2 }));
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
            let Written { path, bytes } = disk.misplaced().unwrap().landed.unwrap();
            let offset = bytes.start;
            assert_eq!(bytes.end - offset, 512);
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
