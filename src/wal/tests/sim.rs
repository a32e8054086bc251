//! The whole floor on the simulated disk, through its queue: seeds decide workload, failed writes and
//! syncs, kills, and power cuts, also in the middle of recovery. A failure prints its seed.

use super::*;
use crate::io::{Done, Faults, Rng, SimDisk, Wait};

/// A log as its users see it.
struct World {
    rng: Rng,
    disk: Arc<SimDisk>,
    files: Files,
    from: Lsn,
    groups: Vec<Twin>,
    /// Of `groups`, how many were written without error; more may be there.
    written: usize,
    /// What was met, so that a run that meets nothing fails.
    met: [usize; 4],
}

/// Kinds in `World::met`.
const LOST: usize = 0;
const SURVIVED: usize = 1;
const FAILED: usize = 2;
const CUT_IN_RECOVERY: usize = 3;

#[test]
fn seeds_of_crashes_and_faults_on_the_simulated_disk() {
    let mut met = [0; 4];
    for seed in 0..400 {
        let result = std::panic::catch_unwind(|| run(seed));
        let one = result.unwrap_or_else(|_| panic!("seed {seed}: see above"));
        met.iter_mut().zip(one).for_each(|(sum, n)| *sum += n);
    }
    assert!(met.iter().all(|&n| n > 100), "met too little: {met:?}");
}

fn run(seed: u64) -> [usize; 4] {
    let mut rng = Rng::new(seed);
    let align = [1, 512, 4096][rng.below(3) as usize];
    let names_any_subset = rng.chance(2);
    let disk = SimDisk::new(seed, Faults { align, names_any_subset, ..Faults::default() });
    let dir = PathBuf::from("/log");
    disk.create_dir(&dir).unwrap();
    let file_bytes = 4096 * (4 + rng.below(4) as u32);
    let files = Files { disk: disk.clone(), dir, file_bytes, store: StoreId([1; 16]), shard: 0 };
    let (groups, met) = (Vec::new(), [0; 4]);
    let mut world = World { rng, disk, files, from: Lsn(0), groups, written: 0, met };
    for _ in 0..12 {
        let faulty = world.rng.chance(2);
        let one_in = |rng: &mut Rng| if faulty { 20 + rng.below(60) as u32 } else { 0 };
        let rng = &mut world.rng;
        let (eio_read, eio_write, eio_sync) = (one_in(rng), one_in(rng), one_in(rng));
        world.disk.set_faults(Faults {
            align,
            names_any_subset,
            eio_read,
            eio_write,
            eio_sync,
            ..Faults::default()
        });
        world.disk.crash_after(world.rng.below(2) * (1 + world.rng.below(60)));
        if let Some((writer, next_number)) = world.recover() {
            world.work(writer, next_number);
        } else if world.disk.is_off() {
            world.met[CUT_IN_RECOVERY] += 1;
        }
        match world.rng.chance(2) && !world.disk.is_off() {
            // What was written without error survives the process, synced or not.
            true => world.disk.kill(),
            false => {
                world.disk.power_loss();
                world.written = world.groups.iter().take_while(|group| group.durable).count();
            }
        }
    }
    world.disk.set_faults(Faults { align, names_any_subset, ..Faults::default() });
    assert!(world.recover().is_some());
    world.met
}

impl World {
    /// Replays and checks; the tail in a new file, unless the disk failed.
    fn recover(&mut self) -> Option<(Writer, u32)> {
        let (entries, found) = match read(&self.files, self.from) {
            Ok(read) => read,
            Err(Error::Io { .. }) => return None,
            Err(error) => panic!("{error}"),
        };
        let kept = self.groups.iter().take_while(|group| group.end <= found.end).count();
        assert!(kept >= self.written, "{kept} of {} groups", self.written);
        self.met[SURVIVED] += usize::from(kept > self.written);
        self.met[LOST] += usize::from(kept < self.groups.len());
        self.groups.truncate(kept);
        let groups = self.groups.iter().filter(|group| group.start >= self.from);
        let expected: Entries =
            groups.flat_map(|g| g.entries.iter().map(|e| (g.start, e.clone()))).collect();
        assert_eq!(entries, expected);
        // What was shown once stays.
        self.groups.iter_mut().for_each(|group| group.durable = true);
        self.written = kept;
        let file = self.files.prepare(found.next_number, None).ok()?;
        let writer = Writer::new(&self.files, file, found.next_number, found.end);
        Some((writer, found.next_number + 1))
    }

    /// Commits groups until chance or the disk says stop.
    fn work(&mut self, mut writer: Writer, mut next_number: u32) {
        let mut queue = self.disk.queue(4).unwrap();
        let mut spare = None;
        for seed in 0..self.rng.below(40) as usize {
            let mut group =
                spare.take().unwrap_or_else(|| Group::new(self.files.group_bytes_max(), 4096));
            let mut entries = Vec::new();
            for i in 0..self.rng.below(6) as usize {
                entries.push(entry(self.rng.below(1500) as usize, seed * 10 + i));
                assert!(group.push(&[&entries[i]]));
            }
            if !writer.fits(&group) {
                let oldest = self.files.list().unwrap_or_default().first().copied();
                let recycle = oldest.filter(|&n| n < self.from.file());
                let Ok(file) = self.files.prepare(next_number, recycle) else { return };
                let sync = writer.rotate(file, next_number);
                next_number += 1;
                if sync.is_some_and(|op| self.complete(&mut *queue, op).is_none()) {
                    return;
                }
            }
            let durable = self.rng.chance(2);
            let Placed { op, start, end } = writer.place(group, durable);
            self.groups.push(Twin { start, end, entries, durable: false });
            let Some(done) = self.complete(&mut *queue, op) else { return };
            self.written = self.groups.len();
            spare = done.buf.map(Group::reuse);
            let sync = !durable && self.rng.chance(5);
            if sync && self.complete(&mut *queue, writer.sync()).is_none() {
                return;
            }
            if durable || sync {
                writer.synced(end);
                self.groups.iter_mut().for_each(|group| group.durable = true);
                if self.rng.chance(6) {
                    self.from = end;
                }
            }
        }
    }

    /// Does one operation; `None` if it failed, after which the log is not written any more.
    fn complete(&mut self, queue: &mut dyn Queue, op: Op) -> Option<Done> {
        let (Op::Read { file, .. } | Op::Write { file, .. } | Op::Sync { file }) = &op;
        // Kept open: the simulated queue, handing back after a power cut, would wait for itself if it
        // dropped a file's last handle.
        let _open = Arc::clone(file);
        queue.push(0, op).unwrap();
        let mut done = Vec::new();
        while done.is_empty() {
            queue.wait(Wait::Forever, &mut done).ok()?;
        }
        let done = done.pop()?;
        self.met[FAILED] += usize::from(done.result.is_err());
        done.result.is_ok().then_some(done)
    }
}
