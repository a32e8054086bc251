//! A file system that ends at once, as by power loss, or turns read-only, under a store that writes to it.
//!
//! `RATITE_SHUTDOWNS` says how often each kind of file system is shut down in a row.

use super::events::Events;
use super::mount::{Fs, Mounted, is_there};
#[cfg(feature = "logs")]
use super::records::Records;
use super::{Kind, Said, Writer, reopened};
use crate::replay;
use ratite::io::Rng;
use ratite::shard::SyncMode;

/// Shutdowns of one store, which are compared each time.
const STORE_SHUTDOWNS: u64 = 25;

/// Reads what a writer says until it has closed its store, and calls `at` at that answer; the answers, and whether
/// everything could be read after a write had failed.
fn until_closed<K: Kind>(
    writer: &mut Writer,
    told: &mut K::Told,
    at: u64,
    mut happens: impl FnMut(),
) -> (u64, bool) {
    let (mut acks, mut failed, mut read) = (0, false, false);
    while let Some(said) = writer.next() {
        match said {
            Said::Ack(ack) => {
                K::tell(told, &ack);
                acks += 1;
                if acks == at {
                    happens();
                }
            }
            Said::Failed(error) => {
                let code = error.split(' ').next().unwrap();
                assert!(["ERR_IO", "ERR_POISONED", "ERR_FULL"].contains(&code), "{error}");
                failed = true;
                writer.end();
            }
            Said::Read(count) => read = count > 0,
            Said::Unread(error) => assert!(error.starts_with("ERR_IO"), "{error}"),
            Said::Closed => return (acks, read),
        }
    }
    panic!("it ended by itself after {acks} answers, failed: {failed}");
}

fn shuts_down<K: Kind>(fs: Fs, test: &str) {
    let Some(mounted) = Mounted::make(fs, 64, "", test) else { return };
    let cycles = replay::number("RATITE_SHUTDOWNS").unwrap_or(5);
    let (mut rng, mut answers, mut flushed) = (Rng::new(cycles), 0, 0);
    let (mut told, mut next, dir) = (K::Told::default(), 0, mounted.path().join("store"));
    for cycle in 0..cycles {
        if cycle.is_multiple_of(STORE_SHUTDOWNS) && cycle > 0 {
            std::fs::remove_dir_all(&dir).unwrap();
            (told, next) = (K::Told::default(), 0);
        }
        let mut writer = Writer::start::<K>(&dir, SyncMode::Always, false, next);
        let at = 1 + rng.below(600);
        answers += until_closed::<K>(&mut writer, &mut told, at, || mounted.shut_down()).0;
        drop(writer);
        mounted.again();
        let (checked, segments) = reopened::<K>(&dir, SyncMode::Always, false, &told);
        next = checked.next;
        flushed += u64::from(segments > 0);
    }
    eprintln!(
        "{cycles} shutdowns of {fs:?} under writers of {}: {answers} answers, none lost; {flushed} with segments",
        K::NAME
    );
}

#[test]
fn a_file_system_that_ends_at_once_keeps_every_answered_event() {
    let test = "a_file_system_that_ends_at_once_keeps_every_answered_event";
    if is_there("xfs_io", test) {
        [Fs::Ext4, Fs::Xfs].into_iter().for_each(|fs| shuts_down::<Events>(fs, test));
    }
}

#[cfg(feature = "logs")]
#[test]
fn a_file_system_that_ends_at_once_keeps_every_answered_log_record() {
    let test = "a_file_system_that_ends_at_once_keeps_every_answered_log_record";
    if is_there("xfs_io", test) {
        [Fs::Ext4, Fs::Xfs].into_iter().for_each(|fs| shuts_down::<Records>(fs, test));
    }
}

/// The file system finds an error and takes no more writes: reads go on, and after it is mounted again all is there.
fn turns_read_only<K: Kind>(test: &str) {
    let options = ",errors=remount-ro";
    let Some(mounted) = Mounted::make(Fs::Ext4, 64, options, test) else { return };
    let (mut told, mut next, dir) = (K::Told::default(), 0, mounted.path().join("store"));
    for at in [1, 100, 1000] {
        let mut writer = Writer::start::<K>(&dir, SyncMode::Always, false, next);
        let (_, read) = until_closed::<K>(&mut writer, &mut told, at, || mounted.break_ext4());
        assert!(read, "reads go on");
        drop(writer);
        mounted.again();
        next = reopened::<K>(&dir, SyncMode::Always, false, &told).0.next;
    }
}

#[test]
fn events_are_read_and_kept_where_a_file_system_turns_read_only() {
    turns_read_only::<Events>("events_are_read_and_kept_where_a_file_system_turns_read_only");
}

#[cfg(feature = "logs")]
#[test]
fn log_records_are_read_and_kept_where_a_file_system_turns_read_only() {
    turns_read_only::<Records>("log_records_are_read_and_kept_where_a_file_system_turns_read_only");
}
