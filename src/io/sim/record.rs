//! A run taken down moment by moment: record once, crash everywhere.
//!
//! ```text
//!   disk  --write--sync--rename--sync_dir--write-->     runs on as if nothing were taken down
//!            |     |              |         |
//!          Moment Moment        Moment    Moment        what was durable, what was pending, the mark
//!            |
//!            +--crash(seed, bytes, names)--> a disk of its own, on which a program opens what survived
//! ```
//!
//! A moment is taken after each write, and before each sync, which may follow changes of names: at each place
//! where a cut could find something new. Moments and disks share their bytes (`image.rs`), so that a crash
//! costs microseconds.
//!
//! R1. A moment does not change, whatever happens on the disk it was taken from, or on those made of it.
//! R2. `crash` leaves what `power_loss` at that place could leave, and the same again from the same arguments.

use super::disk::{Inode, State};
use super::names::Dir;
use super::{Faults, SimDisk, Survivors, lock};
use crate::base::hash64;
use crate::io::Rng;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

/// What a disk held at one moment of a run that was recorded.
#[derive(Clone, Debug)]
pub struct Moment {
    dirs: BTreeMap<Arc<Path>, Dir>,
    inodes: BTreeMap<u64, Inode>,
    next_id: u64,
    faults: Faults,
    mark: u64,
}

/// The moments taken so far, and which are wanted.
#[derive(Debug)]
pub(super) struct Recorder {
    moments: Vec<Moment>,
    mark: u64,
    /// Moments that go by untaken, and how many are taken then.
    skip: u64,
    left: u64,
    passed: u64,
    /// Only one of all is wanted, and whichever comes is to be as likely as those before it.
    one: Option<Rng>,
}

impl Recorder {
    /// Whether the next moment is to be taken.
    pub fn is_due(&mut self) -> bool {
        self.passed += 1;
        match &mut self.one {
            Some(rng) => rng.below(self.passed) == 0,
            None => self.passed > self.skip && self.left > 0,
        }
    }

    pub fn take(&mut self, moment: Moment) {
        match self.one {
            Some(_) => self.moments.clear(),
            None => self.left -= 1,
        }
        self.moments.push(moment);
    }
}

impl Moment {
    pub(super) fn of(state: &State) -> Moment {
        Moment {
            dirs: state.dirs.clone(),
            inodes: state.inodes.clone(),
            next_id: state.next_id,
            faults: state.faults,
            mark: state.recorder.as_ref().map_or(0, |recorder| recorder.mark),
        }
    }

    /// What the program had last said of itself ([`SimDisk::mark`]).
    pub fn mark(&self) -> u64 {
        self.mark
    }

    /// Has it carry `mark`.
    pub fn set_mark(&mut self, mark: u64) {
        self.mark = mark;
    }

    /// Whether any bytes were written and not synced.
    pub fn has_unsynced_bytes(&self) -> bool {
        self.inodes.values().any(|inode| !inode.pending.is_empty())
    }

    /// Whether any names were changed and not synced.
    pub fn has_unsynced_names(&self) -> bool {
        self.dirs.values().any(|dir| !dir.pending.is_empty())
    }

    /// The disk after a power cut at this moment, switched on again, with nothing open: so much of `bytes` and of
    /// `names` that were not synced survived, chosen by `seed`. What fails by chance on
    /// the old one does not on the new one, and there is no quota.
    pub fn crash(&self, seed: u64, bytes: Survivors, names: Survivors) -> Arc<SimDisk> {
        let Faults { align, names_any_subset, no_links, .. } = self.faults;
        let kept = Faults { align, names_any_subset, no_links, ..Faults::default() };
        let mut state = State::new(seed, kept);
        state.dirs.clone_from(&self.dirs);
        state.inodes.clone_from(&self.inodes);
        state.next_id = self.next_id;
        state.cut_as(bytes, names);
        state.off = false;
        Arc::new(SimDisk { shared: Arc::new(Mutex::new(state)) })
    }
}

impl SimDisk {
    /// Takes down the moments from now on: the next `skip` go by, of those that follow `count` are taken.
    pub fn record(&self, skip: u64, count: u64) {
        let (moments, mark, passed) = (Vec::new(), 0, 0);
        let recorder = Recorder { moments, mark, skip, left: count, passed, one: None };
        lock(&self.shared).recorder = Some(recorder);
    }

    /// Takes down one of the moments from now on, until [`SimDisk::recorded`]: each is as likely as the others, however
    /// many there will be. `seed` chooses.
    pub fn record_one(&self, seed: u64) {
        self.record(0, 0);
        if let Some(recorder) = &mut lock(&self.shared).recorder {
            recorder.one = Some(Rng::new(seed));
        }
    }

    /// Has the moments from now on carry `mark`: whatever the program wants to know of itself when it looks at them.
    pub fn mark(&self, mark: u64) {
        if let Some(recorder) = &mut lock(&self.shared).recorder {
            recorder.mark = mark;
        }
    }

    /// Ends the record, and gives what was taken, and how many moments there were.
    pub fn recorded(&self) -> (Vec<Moment>, u64) {
        let recorder = lock(&self.shared).recorder.take();
        recorder.map_or((Vec::new(), 0), |recorder| (recorder.moments, recorder.passed))
    }

    /// This moment, recorded or not.
    pub fn moment(&self) -> Moment {
        Moment::of(&lock(&self.shared))
    }

    /// What may fail at present.
    pub fn faults(&self) -> Faults {
        lock(&self.shared).faults
    }

    /// Bytes that all files together have: what a quota is held against.
    pub fn used_bytes(&self) -> u64 {
        lock(&self.shared).used_bytes()
    }

    /// A hash of all names and bytes that can be seen now: equal hashes, equal contents.
    pub fn image_hash(&self) -> u64 {
        let state = lock(&self.shared);
        let mut line = Vec::with_capacity(1024);
        for (path, dir) in &state.dirs {
            line.extend_from_slice(path.as_os_str().as_encoded_bytes());
            for (name, inode) in &*dir.visible {
                line.extend_from_slice(name.as_bytes());
                line.push(0);
                let hash = state.inodes.get(inode).map_or(0, |inode| inode.visible.hash());
                line.extend_from_slice(&hash.to_le_bytes());
            }
        }
        hash64(&line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::{Buf, Disk};
    use std::path::Path;

    #[test]
    fn one_of_all_moments_is_as_likely_as_the_others() {
        let mut taken = [0; 10];
        for seed in 0..2_000 {
            let disk = SimDisk::new(seed, Faults::default());
            let file = disk.create(Path::new("/a"), 0).unwrap();
            disk.record_one(seed);
            for mark in 0..10 {
                disk.mark(mark);
                file.write_at(0, &Buf::zeroed(512, 512)).unwrap();
            }
            let (moments, passed) = disk.recorded();
            assert_eq!((moments.len(), passed), (1, 10));
            taken[moments[0].mark() as usize] += 1;
        }
        assert!(taken.iter().all(|count| (140..260).contains(count)), "{taken:?}");
    }
}
