//! Texts of whoever serves a store: in every copy of it, through all that is done to it, never lost without a word.

use super::*;
use crate::maintain::inspect::{self, Ask};
use crate::maintain::{Report, repair, reshard, verify};
use crate::store::texts;

const NAME: &str = "some.json";

fn write(machine: &Machine, dir: &str, json: &str) {
    texts::write(&*machine.env.disk, dir.as_ref(), NAME, json.as_bytes()).unwrap();
}

/// What the text says, behind its checksum.
fn read(machine: &Machine, dir: &str) -> Result<Option<String>> {
    let text = texts::read(&*machine.env.disk, dir.as_ref(), NAME)?;
    Ok(text.map(|text| String::from_utf8(text[texts::HEAD_BYTES..].to_vec()).unwrap()))
}

fn says(machine: &Machine, dir: &str) -> Option<String> {
    read(machine, dir).unwrap()
}

fn path(dir: &str) -> PathBuf {
    texts::dir(dir.as_ref()).join(NAME)
}

fn verified(machine: &Machine, dir: &str) -> Report {
    verify::run(&machine.env, dir.as_ref(), &model(), &mut ()).unwrap()
}

#[test]
fn a_text_is_in_every_backup_and_comes_back() {
    for how in [How::Link, How::Copy] {
        let machine = Machine::new(1);
        machine.fill("/a", 0..50);
        machine.backup("/a", "/b", how).unwrap();
        assert_eq!(says(&machine, "/b"), None);
        for json in ["{\"n\":1}", "{\"n\":22}"] {
            write(&machine, "/a", json);
            machine.backup("/a", "/b", how).unwrap();
            assert_eq!(says(&machine, "/b").as_deref(), Some(&json[1..]));
            assert_eq!(machine.env.disk.list(&texts::dir("/b".as_ref())).unwrap(), [NAME]);
        }
        machine.restore("/b", "/c", how).unwrap();
        assert_eq!(says(&machine, "/c").as_deref(), Some("\"n\":22}"));
        assert_eq!(verified(&machine, "/c").findings, []);
        // One that is there no more is not in the next.
        machine.env.disk.remove(&path("/a")).unwrap();
        assert!(machine.backup("/a", "/b", how).unwrap().removed > 0);
        assert_eq!(says(&machine, "/b"), None);
        machine.restore("/b", "/d", how).unwrap();
        assert_eq!((says(&machine, "/d"), says(&machine, "/c").is_some()), (None, true));
    }
}

/// Cut off at every write and sync, a backup has the records and the text of one moment.
#[test]
fn a_backup_that_is_cut_off_has_text_and_records_of_one_moment() {
    let (mut old, mut new) = (0, 0);
    for n in 1.. {
        let machine = Machine::new(n);
        machine.fill("/a", 0..40);
        write(&machine, "/a", "{\"n\":1}");
        machine.backup("/a", "/b", How::Link).unwrap();
        machine.fill("/a", 40..80);
        write(&machine, "/a", "{\"n\":2}");
        machine.disk.crash_after(n);
        let done = machine.backup("/a", "/b", How::Link);
        if done.is_ok() {
            break;
        }
        machine.disk.power_loss();
        machine.restore("/b", "/c", How::Link).unwrap();
        let found = (machine.contents("/c"), says(&machine, "/c").unwrap());
        let is_old = found == (expected(40), "\"n\":1}".to_string());
        assert!(is_old || found == (expected(80), "\"n\":2}".to_string()), "cut {n}: {}", found.1);
        (old, new) = (old + u32::from(is_old), new + u32::from(!is_old));
        machine.backup("/a", "/b", How::Link).unwrap();
        assert_eq!(says(&machine, "/b").as_deref(), Some("\"n\":2}"), "cut {n}");
        assert_eq!(machine.contents("/b"), expected(80));
        assert_eq!(machine.env.disk.list(&texts::dir("/b".as_ref())).unwrap(), [NAME]);
    }
    assert!(old > 10 && new > 1, "{old} old, {new} new");
}

#[test]
fn a_text_stays_through_a_reshard_and_a_repair() {
    let machine = Machine::new(2);
    machine.fill("/a", 0..300);
    write(&machine, "/a", "{\"n\":1}");
    for shards in [8, 1] {
        let done =
            reshard::run("/a".as_ref(), &model(), shards, &tiny(), &machine.env, &mut |_| {});
        assert_eq!(done.unwrap().to, shards);
        assert_eq!(says(&machine, "/a").as_deref(), Some("\"n\":1}"));
    }
    machine.disk.flip_bit("/a/STORE", 20, 2).unwrap();
    let done = repair::run(&machine.env, "/a".as_ref(), &model(), false, &mut ()).unwrap();
    assert!(done.after.unwrap().is_healthy());
    assert_eq!(says(&machine, "/a").as_deref(), Some("\"n\":1}"));
    assert_eq!(machine.contents("/a"), expected(300));
}

/// Verify names it, a copy is refused, a repair leaves it to a person; the store itself is as it was.
#[test]
fn a_damaged_text_is_told_and_nobody_does_without_it() {
    let machine = Machine::new(3);
    machine.fill("/a", 0..30);
    write(&machine, "/a", "{\"deny\":\"everyone\"}");
    machine.backup("/a", "/b", How::Copy).unwrap();
    let bytes = machine.disk.contents(path("/a")).unwrap().len() as u64;
    // Each of all bytes is `every_flipped_bit_and_every_cut_is_noticed`'s.
    for at in (0..64).chain((64..bytes).step_by(61)) {
        let bit = (at % 8) as u32;
        machine.disk.flip_bit(path("/a"), at, bit).unwrap();
        let report = verified(&machine, "/a");
        let [found] = &report.findings[..] else { panic!("byte {at}: {:?}", report.findings) };
        assert_eq!((&found.path, found.kind), (&path("/a"), "text"), "byte {at}");
        assert!(found.offset.is_some() && !report.is_healthy());
        machine.disk.flip_bit(path("/a"), at, bit).unwrap();
    }
    assert_eq!(verified(&machine, "/a").findings, []);
    machine.disk.flip_bit(path("/a"), 33, 0).unwrap();
    named(&machine.backup("/a", "/b", How::Copy).unwrap_err(), &["/a/relay/some.json", "byte 28"]);
    assert_eq!(says(&machine, "/b").as_deref(), Some("\"deny\":\"everyone\"}"), "as it was");
    let done = repair::run(&machine.env, "/a".as_ref(), &model(), false, &mut ()).unwrap();
    assert!(done.actions.iter().any(|a| a.path == path("/a") && a.what.starts_with("left")));
    assert!(read(&machine, "/a").is_err() && !done.after.unwrap().is_healthy());
    assert_eq!(machine.contents("/a"), expected(30));
    let mut lines = Vec::new();
    let mut print = |line: inspect::Line| {
        lines.push(line);
        Ok(true)
    };
    inspect::file(&machine.env, &path("/a"), &Ask::default(), &mut print).unwrap();
    assert!(lines.len() == 2 && lines[0].damage.is_some(), "{lines:?}");
    // The copy of a backup is whole by itself.
    let text = texts::read(&*machine.env.disk, "/b".as_ref(), NAME).unwrap().unwrap();
    texts::put(&*machine.env.disk, "/a".as_ref(), NAME, &text).unwrap();
    assert!(verified(&machine, "/a").is_healthy());
}

#[test]
fn what_is_left_of_a_writing_is_a_note_and_a_directory_of_texts_is_not_empty() {
    let machine = Machine::new(4);
    machine.fill("/a", 0..10);
    write(&machine, "/a", "{\"n\":1}");
    for name in ["some.json.new", "letter"] {
        machine.env.disk.create(&texts::dir("/a".as_ref()).join(name), 512).unwrap();
    }
    let report = verified(&machine, "/a");
    let kinds: Vec<&str> = report.findings.iter().map(|finding| finding.kind).collect();
    assert!(report.is_healthy() && kinds == ["unknown", "orphan"], "{kinds:?}");
    write(&machine, "/c", "{\"n\":2}");
    named(&machine.restore("/a", "/c", How::Copy).unwrap_err(), &["/c", "is not empty", "relay"]);
    assert_eq!(says(&machine, "/c").as_deref(), Some("\"n\":2}"));
}
