//! Restores: the same store again, or the file and offset of what is damaged.

use super::*;

#[test]
fn a_restored_store_answers_as_the_source_did() {
    for how in [How::Copy, How::Link] {
        let machine = Machine::new(1);
        machine.fill("/a", 0..2500);
        machine.backup("/a", "/b", How::Link).unwrap();
        let mut steps = Vec::new();
        let disk = &machine.env.disk;
        let done = restoring::run(disk, "/b".as_ref(), "/c".as_ref(), how, &mut |s| steps.push(s))
            .unwrap();
        assert_eq!((done.linked > 0, done.copied > 0), (how == How::Link, how == How::Copy));
        assert!(steps.windows(2).all(|pair| pair[0].done <= pair[1].done));
        assert_eq!(steps.last().map(|step: &Step| step.done), Some(done.segment_bytes));
        assert_eq!(machine.contents("/c"), expected(2500));
        let error = machine.restore("/b", "/c", how).unwrap_err();
        named(&error, &["/c", "holds a store already"]);
    }
}

#[test]
fn a_directory_that_is_not_empty_is_refused() {
    let machine = Machine::new(2);
    machine.fill("/a", 0..100);
    for file in ["/c/note", "/d/shard-01/wal-00000001"] {
        let file = Path::new(file);
        machine.env.disk.create_dir(file.parent().unwrap()).unwrap();
        machine.env.disk.create(file, 512).unwrap();
    }
    named(&machine.restore("/a", "/c", How::Copy).unwrap_err(), &["/c", "note"]);
    named(&machine.restore("/a", "/d", How::Copy).unwrap_err(), &["/d", "shards"]);
    named(&machine.restore("/none", "/e", How::Copy).unwrap_err(), &["/none"]);
}

#[test]
fn a_restore_cut_off_anywhere_is_completed_by_the_next() {
    for how in [How::Copy, How::Link] {
        for n in 1.. {
            let machine = Machine::new(n);
            machine.fill("/a", 0..900);
            machine.leave("/a", 900..910);
            machine.disk.crash_after(n);
            if machine.restore("/a", "/c", how).is_ok() {
                assert!(n > 15, "{n}");
                break;
            }
            machine.disk.power_loss();
            match machine.restore("/a", "/c", how) {
                Ok(_) => {}
                Err(error) => named(&error, &["holds a store already"]),
            }
            assert_eq!(machine.contents("/c"), expected(910), "cut {n}");
        }
    }
}

/// A bit of each page of the segments, of each block of the logs and of the manifests.
#[test]
fn damage_is_named_with_its_file_and_offset_and_nothing_opens_afterwards() {
    for how in [How::Copy, How::Link] {
        let machine = Machine::new(3);
        machine.fill("/a", 0..700);
        machine.leave("/a", 700..712);
        machine.backup("/a", "/b", How::Copy).unwrap();
        let mut refused = 0;
        for (path, bytes) in machine.files("/b") {
            let Some(name) = path.file_name().and_then(|n| n.to_str()) else { continue };
            let is_segment = name.ends_with(".seg");
            let pages = if is_segment { bytes.len() / 4096 } else { 0 };
            for page in 0..pages {
                let at = (page * 4096 + 1000) as u64;
                machine.disk.flip_bit(&path, at, 3).unwrap();
                let target = format!("/c-{refused}");
                let error = machine.restore("/b", &target, how).unwrap_err();
                let Error::Corrupt { path: named, offset, .. } = &error else { panic!("{error}") };
                assert_eq!((named, *offset), (&path, page as u64 * 4096), "{error}");
                assert!(machine.try_open(&target).is_err());
                machine.disk.flip_bit(&path, at, 3).unwrap();
                refused += 1;
            }
        }
        assert!(refused > 20, "{refused}");
        // In the log: the first block, which those behind it prove to have been there.
        let logs = machine.files("/b").into_iter().filter(|(path, bytes)| {
            let is_log = path.to_string_lossy().contains("/wal-");
            is_log && bytes[512..516] == *b"rblk" && bytes[..8] == *b"ratitlog"
        });
        let mut found = 0;
        for (n, (path, _)) in logs.enumerate() {
            machine.disk.flip_bit(&path, 600, 1).unwrap();
            if let Err(error) = machine.restore("/b", &format!("/d-{n}"), how) {
                named(&error, &[&path.to_string_lossy(), "byte 512"]);
                found += 1;
            }
            machine.disk.flip_bit(&path, 600, 1).unwrap();
        }
        assert!(found > 0, "no damaged log was found");
    }
}
