//! Stores that are copied, file by file, to disks of other blocks: what was made on one can be read on any.

use super::*;
use crate::io::{Buf, DISK_BLOCK_BYTES};

/// A machine whose disk is addressed in units of `align` bytes.
fn machine(align: usize, seed: u64) -> Machine {
    let (env, disk, _) = io::simulated(seed, Faults { align, ..Faults::default() });
    Machine { env, disk }
}

/// Copies the store in `dir` to the same place on another machine.
fn copy(from: &Machine, to: &Machine, dir: &str) {
    let files = from.files(dir).into_iter().filter(|(path, _)| !path.ends_with("LOCK"));
    for (path, bytes) in files {
        let whole = bytes.len().is_multiple_of(DISK_BLOCK_BYTES);
        assert!(whole, "{} has {} bytes", path.display(), bytes.len());
        to.env.disk.create_dir(path.parent().unwrap()).unwrap();
        let file = to.env.disk.create(&path, bytes.len() as u64).unwrap();
        file.write_at(0, &Buf::padded(&bytes, file.align())).unwrap();
        file.sync().unwrap();
    }
}

#[test]
fn a_store_and_its_backup_are_read_on_any_disk_that_they_are_copied_to() {
    let aligns = [1, 512, 4096];
    for (from, to) in aligns.into_iter().flat_map(|from| aligns.map(|to| (from, to))) {
        let old = machine(from, 1);
        old.fill("/a", 0..600);
        old.leave("/a", 600..700);
        old.backup("/a", "/b", How::Copy).unwrap();
        let new = machine(to, 2);
        for dir in ["/a", "/b"] {
            copy(&old, &new, dir);
            // Some of it is in the log alone, whose last file is not full.
            assert_eq!(new.contents(dir), expected(700), "{dir}, from {from} to {to}");
            new.leave(dir, 700..720);
            assert_eq!(new.contents(dir), expected(720), "{dir}, from {from} to {to}");
        }
        // And back.
        new.backup("/b", "/c", How::Copy).unwrap();
        copy(&new, &old, "/c");
        assert_eq!(old.contents("/c"), expected(720), "from {from} to {to} and back");
    }
}

#[test]
fn log_files_are_whole_blocks_whatever_is_asked_for() {
    let machine = machine(512, 1);
    let options = Options { log_file_bytes: (64 << 10) + 512, ..tiny() };
    let store = Store::open(Path::new("/a"), model(), &options, machine.env.clone()).unwrap();
    (0..50).for_each(|n| insert(&store, n).unwrap());
    store.close().unwrap();
    let logs = machine.files("/a").into_iter().filter(|(path, _)| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("wal-"))
    });
    let sizes: Vec<usize> = logs.map(|(_, bytes)| bytes.len()).collect();
    assert!(!sizes.is_empty());
    assert!(sizes.iter().all(|bytes| bytes.is_multiple_of(DISK_BLOCK_BYTES)), "{sizes:?}");
}
