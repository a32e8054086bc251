//! A disk that is full: records are refused, nothing is lost, and all goes on without opening the store again.

use super::ledger::Loss;
use super::{Ledger, Machine, options};
use crate::naive::random::{World, pick};
use crate::replay;
use ratite::base::{Error, Result};
use ratite::io::Clock;
use ratite::nostr::EventStore;
use ratite::shard::SyncMode;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

fn submit(ledger: &mut Ledger, store: &EventStore, world: &mut World) -> Result<()> {
    let group: Vec<_> = (0..1 + world.rng.below(6)).map(|_| world.event()).collect();
    ledger.submit(store, &group, group.len())
}

/// Whether the failure is that the disk is full.
fn full(result: &Result<()>) -> bool {
    match result {
        Ok(()) => false,
        Err(error @ Error::DiskFull { .. }) => {
            assert!(error.to_string().contains("writes are taken again by themselves"), "{error}");
            true
        }
        Err(error) => panic!("{error}"),
    }
}

/// Writes go on once there is space and the store has looked.
fn goes_on(machine: &Machine, ledger: &mut Ledger, store: &EventStore, world: &mut World) {
    for _ in 0..20 {
        machine.clock.advance(Duration::from_secs(9));
        // Each shard looks when it is asked for something, since it has no thread.
        let flushed = store.engine().flush();
        if !full(&submit(ledger, store, world)) && store.engine().disk_full().is_none() {
            assert!(!full(&flushed));
            return;
        }
    }
    panic!("there is space, and still: {:?}", store.engine().disk_full());
}

fn full_disk(seed: u64) {
    let mut world = World::new(seed);
    let machine = Machine::new(seed);
    let shards = pick(&mut world.rng, &[1, 2]);
    let mut options = options(shards, pick(&mut world.rng, &super::MODES));
    options.disk_reserve_bytes = pick(&mut world.rng, &[None, Some(0), Some(64 << 10)]);
    let mut ledger = Ledger::new(shards);
    let mut store = machine.open(&options).unwrap();
    for _ in 0..4 {
        for _ in 0..world.rng.below(60) {
            submit(&mut ledger, &store, &mut world).unwrap();
        }
        // Below what is used, too: another program took it.
        let room = world.rng.below(400 << 10);
        let used = machine.bytes_used(shards);
        machine.disk.set_quota(Some((used + room).saturating_sub(100 << 10)));
        for _ in 0..120 {
            let mut failed = full(&submit(&mut ledger, &store, &mut world));
            match world.rng.below(20) {
                0 => failed |= full(&store.engine().flush()),
                1 => failed |= full(&store.engine().compact()),
                2 => machine.clock.advance(Duration::from_secs(1)),
                _ => {}
            }
            assert!(store.engine().poisoned().is_none());
            if failed && world.rng.chance(10) {
                ledger.check(&store, &mut world, 3);
            }
        }
        let ends = world.rng.below(4);
        if ends > 0 {
            match ends {
                1 => store.close().unwrap(),
                2 if options.sync == SyncMode::Always => machine.disk.power_loss(),
                _ => machine.disk.kill(),
            }
            drop(store);
            // It opens as full as it is.
            store = machine.open(&options).unwrap();
            ledger.adopt(&store, Loss::Nothing);
            let _may_be_full = full(&submit(&mut ledger, &store, &mut world));
        }
        ledger.check(&store, &mut world, 4);
        machine.disk.set_quota(None);
        goes_on(&machine, &mut ledger, &store, &mut world);
        ledger.check(&store, &mut world, 4);
    }
    store.close().unwrap();
    drop(store);
    let store = machine.open(&options).unwrap();
    ledger.adopt(&store, Loss::Nothing);
    ledger.check(&store, &mut world, 4);
}

#[test]
fn promise_7_a_full_disk_loses_nothing_and_recovers_when_space_returns() {
    let test = "promise_7_a_full_disk_loses_nothing_and_recovers_when_space_returns";
    replay::each_seed(test, 0..40, full_disk);
}

/// A file system of its own; unmounted when it goes.
struct Mounted(tempfile::TempDir);

impl Mounted {
    /// `None`, and a printed reason, where mounting is not allowed.
    #[expect(clippy::print_stderr, reason = "a test that is skipped says why")]
    fn new(kind: &str, bytes: u64) -> Option<Mounted> {
        let dir = tempfile::tempdir().unwrap();
        let (image, at) = (dir.path().join("image"), dir.path().join("at"));
        std::fs::create_dir(&at).unwrap();
        let run = |command: &str, arguments: &[&str]| {
            let ran = Command::new(command).args(arguments).output();
            let ok = ran.as_ref().is_ok_and(|ran| ran.status.success());
            if !ok {
                eprintln!("skipped on {kind}: {command} says {ran:?}");
            }
            ok.then_some(())
        };
        let (image, at) = (image.to_str().unwrap(), at.to_str().unwrap());
        match kind {
            "tmpfs" => run("mount", &["-t", "tmpfs", "-o", &format!("size={bytes}"), kind, at])?,
            _ => {
                std::fs::File::create(image).unwrap().set_len(bytes).unwrap();
                run(&format!("mkfs.{kind}"), &["-q", "-m", "0", image])?;
                run("mount", &["-o", "loop", image, at])?;
            }
        }
        Some(Mounted(dir))
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("at")
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _unmounted = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

/// Takes all the space there is.
fn fill(path: &Path) {
    let mut file = std::fs::File::create(path).unwrap();
    for bytes in [1 << 20, 4096, 512] {
        while file.write_all(&vec![7; bytes]).and_then(|()| file.sync_data()).is_ok() {}
    }
}

fn a_real_file_system(kind: &str) {
    let Some(mounted) = Mounted::new(kind, 64 << 20) else { return };
    let mut options = options(2, SyncMode::Always);
    (options.threads, options.log_file_bytes) = (true, 1 << 20);
    let open = || EventStore::open(mounted.path().join("store"), &options).unwrap();
    let mut store = open();
    let mut world = World::new(7);
    let mut ledger = Ledger::new(2);
    let clock = ratite::io::SystemClock::new();
    for round in 0..3 {
        let filler = mounted.path().join("filler");
        fill(&filler);
        let mut refused = 0;
        for _ in 0..5_000 {
            refused += u32::from(full(&submit(&mut ledger, &store, &mut world)));
            if refused > 20 {
                break;
            }
        }
        assert!(refused > 20, "{kind}, round {round}: it was never full");
        assert!(store.engine().disk_full().is_some() && store.engine().poisoned().is_none());
        ledger.check(&store, &mut world, 4);
        if round == 1 {
            // It opens without a byte of space.
            store.close().unwrap();
            drop(store);
            fill(&mounted.path().join("more"));
            store = open();
            ledger.adopt(&store, Loss::Nothing);
            ledger.check(&store, &mut world, 4);
            std::fs::remove_file(mounted.path().join("more")).unwrap();
        }
        std::fs::remove_file(&filler).unwrap();
        let patience = clock.monotonic_nanos() + 60_000_000_000;
        while full(&submit(&mut ledger, &store, &mut world)) || store.engine().disk_full().is_some()
        {
            assert!(clock.monotonic_nanos() < patience, "{:?}", store.engine().disk_full());
            std::thread::yield_now();
        }
        ledger.check(&store, &mut world, 4);
    }
    store.close().unwrap();
    drop(store);
    let store = open();
    ledger.adopt(&store, Loss::Nothing);
    ledger.check(&store, &mut world, 4);
}

#[test]
fn promise_7_on_a_tmpfs_that_is_full() {
    a_real_file_system("tmpfs");
}

#[test]
fn promise_7_on_an_ext4_that_is_full() {
    a_real_file_system("ext4");
}
