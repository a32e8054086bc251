//! A file system that is full under load, has space again, is full again when the writer is killed, and has space when
//! the store is opened again.

use super::events::Events;
use super::mount::{Fs, Mounted};
#[cfg(feature = "logs")]
use super::records::Records;
use super::{Kind, Said, Writer, reopened};
use ratite::shard::SyncMode;

/// Answers after which a writer with space is believed.
const ENOUGH: u64 = 300;

/// Reads what a writer says until a write fails; the error, and what was read after it.
fn until_full<K: Kind>(writer: &mut Writer, told: &mut K::Told) -> u64 {
    let mut acks = 0;
    loop {
        match writer.next().expect("it ended by itself") {
            Said::Ack(ack) => {
                acks += 1;
                K::tell(told, &ack);
            }
            Said::Failed(error) => {
                let code = error.split(' ').next().unwrap();
                assert!(["ERR_DISK_FULL", "ERR_IO", "ERR_POISONED"].contains(&code), "{error}");
                let says_why = ["No space left", "full", "space"].iter().any(|w| error.contains(w));
                assert!(says_why, "{error}");
                break;
            }
            said => panic!("{said:?}"),
        }
    }
    match writer.next() {
        Some(Said::Read(count)) => assert!(count > 0, "reads go on"),
        said => panic!("{said:?}"),
    }
    acks
}

/// Has a writer with space write enough, and kills it.
fn writes_again<K: Kind>(mut writer: Writer, told: &mut K::Told) {
    let mut acks = 0;
    while let Some(said) = writer.next() {
        let Said::Ack(ack) = said else { panic!("{said:?}") };
        K::tell(told, &ack);
        acks += 1;
        if acks == ENOUGH {
            writer.kill();
        }
    }
    assert!(acks >= ENOUGH);
}

/// Fills 20 MiB, of which others hold so many at first and give them up one after the other.
pub fn fills_up<K: Kind>(fs: Fs, [one, two]: [usize; 2], test: &str) {
    let Some(mounted) = Mounted::make(fs, 20, "", test) else { return };
    let (dir, sync) = (mounted.path().join("store"), SyncMode::Always);
    mounted.take("one", one);
    mounted.take("two", two);
    let mut told = K::Told::default();
    let mut writer = Writer::start::<K>(&dir, sync, false, 0);
    let first = until_full::<K>(&mut writer, &mut told);
    mounted.free("one");
    writer.go_on();
    let second = until_full::<K>(&mut writer, &mut told);
    writer.kill();
    assert!(writer.next().is_none());
    drop(writer);
    mounted.free("two");
    let (checked, segments) = reopened::<K>(&dir, sync, false, &told);
    let writer = Writer::start::<K>(&dir, sync, false, checked.next);
    writes_again::<K>(writer, &mut told);
    let (checked, _) = reopened::<K>(&dir, sync, false, &told);
    eprintln!(
        "{} on a full {fs:?}: {first} answers, {second} after there was space; {} records, {segments} segments",
        K::NAME,
        checked.found
    );
}

#[test]
fn a_file_system_that_is_full_costs_no_event() {
    let test = "a_file_system_that_is_full_costs_no_event";
    [Fs::Ext4, Fs::Tmpfs].into_iter().for_each(|fs| fills_up::<Events>(fs, [3, 3], test));
}

#[cfg(feature = "logs")]
#[test]
fn a_file_system_that_is_full_costs_no_log_record() {
    let test = "a_file_system_that_is_full_costs_no_log_record";
    [Fs::Ext4, Fs::Tmpfs].into_iter().for_each(|fs| fills_up::<Records>(fs, [3, 3], test));
}
