//! For minutes: disks that are full again and again, and writers that the system kills because their memory is too
//! small. `RATITE_SECONDS` says for how long; a few rounds of the second run always.

use super::events::Events;
use super::full::fills_up;
use super::mount::{Fs, skipped};
#[cfg(feature = "logs")]
use super::records::Records;
use super::{Kind, Said, Writer, reopened};
use crate::replay;
use ratite::io::Rng;
use ratite::shard::SyncMode;
use std::fs;
use std::path::{Path, PathBuf};

/// Rounds on one store: each compares all that is there.
const STORE_ROUNDS: u64 = 12;

/// Most answers of a round: the writer is killed by hand then.
const ACKS_MAX: u64 = 2_000;

/// A group of processes with little memory, and no more.
struct Cage(PathBuf);

impl Cage {
    /// Nothing, and says why, if groups cannot be made here.
    fn make(test: &str) -> Option<Cage> {
        let root = Path::new("/sys/fs/cgroup");
        let root = if root.join("memory").is_dir() { root.join("memory") } else { root.into() };
        let cage = Cage(root.join(format!("ratite-{test}-{}", std::process::id())));
        match fs::create_dir(&cage.0) {
            Ok(()) => Some(cage),
            Err(error) => {
                skipped(test, &format!("{}: {error}", cage.0.display()));
                None
            }
        }
    }

    fn limit(&self, bytes: u64) {
        let files = ["memory.limit_in_bytes", "memory.max"].map(|name| self.0.join(name));
        let file = files.iter().find(|file| file.exists()).expect("it limits memory");
        fs::write(file, bytes.to_string()).unwrap();
    }
}

impl Drop for Cage {
    fn drop(&mut self) {
        let _gone = fs::remove_dir(&self.0);
    }
}

/// Writers whose memory ends at some time; how many ended by that, and the answers of all.
fn in_a_cage<K: Kind>(seed: u64, cage: &Cage) -> (u64, u64) {
    let (dir, mut rng) = (tempfile::tempdir().unwrap(), Rng::new(seed));
    let (mut told, mut next, mut ended, mut acks) = (K::Told::default(), 0, 0, 0);
    for _ in 0..STORE_ROUNDS {
        cage.limit((1 << 20) + rng.below(12 << 20));
        let group = cage.0.to_string_lossy();
        let runner = ["sh", "-c", "echo $$ > \"$0/cgroup.procs\" && exec \"$@\"", &*group];
        let writer =
            Writer::try_start_under::<K>(&runner, dir.path(), SyncMode::Always, false, next);
        let mut seen = 0;
        if let Some(mut writer) = writer {
            while let Some(said) = writer.next() {
                match said {
                    Said::Ack(ack) => K::tell(&mut told, &ack),
                    // What the system refuses is said, and nothing is answered.
                    Said::Failed(_) | Said::Read(_) | Said::Unread(_) | Said::Closed => {
                        writer.end();
                        continue;
                    }
                }
                seen += 1;
                if seen == ACKS_MAX {
                    writer.kill();
                }
            }
        }
        ended += u64::from(seen < ACKS_MAX);
        acks += seen;
        next = reopened::<K>(dir.path(), SyncMode::Always, false, &told).0.next;
    }
    (ended, acks)
}

fn too_little_memory<K: Kind>(seeds: std::ops::Range<u64>, test: &str) {
    let Some(cage) = Cage::make(test) else { return };
    let each = seeds.map(|seed| in_a_cage::<K>(seed, &cage));
    let (ended, acks) = each.fold((0, 0), |(ended, acks), one| (ended + one.0, acks + one.1));
    eprintln!("{}: {ended} writers were out of memory, {acks} answers, none lost", K::NAME);
    assert!(ended > 0 && acks > 0, "{ended} ended, {acks} answers");
}

#[test]
fn writers_that_are_out_of_memory_lose_no_event() {
    too_little_memory::<Events>(0..1, "writers_that_are_out_of_memory_lose_no_event");
}

#[cfg(feature = "logs")]
#[test]
fn writers_that_are_out_of_memory_lose_no_log_record() {
    too_little_memory::<Records>(0..1, "writers_that_are_out_of_memory_lose_no_log_record");
}

#[test]
#[ignore = "runs for RATITE_SECONDS"]
fn a_soak_on_full_disks() {
    replay::for_seconds("a_soak_on_full_disks -- --ignored", |seed| {
        let mut rng = Rng::new(seed);
        let mut some = || [1 + rng.below(5) as usize, 1 + rng.below(5) as usize];
        for fs in [Fs::Ext4, Fs::Tmpfs] {
            fills_up::<Events>(fs, some(), "a_soak_on_full_disks");
            #[cfg(feature = "logs")]
            fills_up::<Records>(fs, some(), "a_soak_on_full_disks");
        }
    });
}

#[test]
#[ignore = "runs for RATITE_SECONDS"]
fn a_soak_in_too_little_memory() {
    replay::for_seconds("a_soak_in_too_little_memory -- --ignored", |seed| {
        too_little_memory::<Events>(seed..seed + 1, "a_soak_in_too_little_memory");
        #[cfg(feature = "logs")]
        too_little_memory::<Records>(seed..seed + 1, "a_soak_in_too_little_memory");
    });
}
