//! Repairs that are interrupted, repairs that only say what they would do, and files that are not there.

use super::*;

/// The image with one byte flipped in a segment, a manifest, the log and STORE of shard 0.
fn broken(image: &Image) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = image.files.clone();
    let mut flip = |name: &dyn Fn(&str) -> bool, at: &dyn Fn(usize) -> usize| {
        let of = |path: &PathBuf| {
            let text = path.to_str().unwrap();
            !text.contains("shard-01") && name(path.file_name().unwrap().to_str().unwrap())
        };
        let path = files.keys().find(|path| of(path)).unwrap().clone();
        let bytes = files.get_mut(&path).unwrap();
        let at = at(bytes.len());
        bytes[at] ^= 4;
    };
    flip(&|name| name == "STORE", &|_| 20);
    // The last page but one: filters, which cost no record.
    flip(&|name| name.ends_with(".seg"), &|len| len - 2 * 4096 + 99);
    flip(&|name| name.starts_with("manifest-"), &|_| 9);
    // The header of a log file, which costs no entry.
    let (log, _) = super::damage::blocks(image, &Path::new(DIR).join("shard-01"))[0].clone();
    files.get_mut(&log).unwrap()[16] ^= 4;
    files
}

#[test]
fn an_interrupted_repair_is_finished_by_the_next() {
    let image = image(20, 120, 12);
    let broken = broken(&image);
    let mut n = 1;
    loop {
        let (env, disk) = machine(&broken, n);
        disk.crash_after(n);
        let ended = repair::run(&env, Path::new(DIR), &toy(), false, &mut ());
        let cut = disk.is_off();
        assert!(cut == ended.is_err(), "{n}: {ended:?}");
        disk.power_loss();
        let done = repaired(&env);
        assert!(done.after.as_ref().is_none_or(|after| after.is_healthy()), "{n}");
        assert!(done.lost.is_empty(), "{n}: {:?}", done.lost);
        let (found, whole) = (read_all(&env), held(image.items.iter()));
        let wrong: Vec<_> = ids(&found).symmetric_difference(&ids(&whole)).copied().collect();
        assert!(found == whole, "{n}: {wrong:?} {:?}", done.actions);
        if !cut {
            break;
        }
        n += 1;
    }
    assert!(n > 20, "only {n} writes and syncs");
}

#[test]
fn a_dry_run_says_what_a_repair_does_and_changes_nothing() {
    let image = image(21, 120, 12);
    let broken = broken(&image);
    let (env, disk) = machine(&broken, 1);
    let said = repair::run(&env, Path::new(DIR), &toy(), true, &mut ()).unwrap();
    assert_eq!(files(&disk), broken);
    assert!(said.after.is_none() && said.report.is_none());
    let done = repaired(&env);
    let paths = |done: &repair::Repaired| -> BTreeSet<PathBuf> {
        done.actions.iter().map(|action| action.path.clone()).collect()
    };
    assert_eq!(paths(&said), paths(&done));
    assert_eq!(said.lost, done.lost);
}

#[test]
fn files_that_are_not_there_are_named() {
    let image = image(22, 120, 12);
    for path in image.files.keys() {
        let mut files = image.files.clone();
        files.remove(path);
        let (env, _disk) = machine(&files, 1);
        let name = path.file_name().unwrap().to_str().unwrap();
        let report = verified(&env);
        let needless = report.is_healthy();
        let spare = name.starts_with("wal-") || name.starts_with("manifest-");
        assert!(!needless || spare, "{name}");
        let done = repaired(&env);
        assert!(done.after.is_none_or(|after| after.is_healthy()), "{name}");
        let found = read_all(&env);
        let known = |id: &[u8; 32]| image.items.iter().any(|item| item.0.id == *id);
        assert!(found.keys().all(known), "{name}");
        if name.ends_with(".seg") {
            assert!(done.lost.iter().any(|lost| lost.path == *path && lost.records > 0));
        }
    }
}

#[test]
fn what_does_not_belong_is_a_note() {
    let image = image(23, 60, 6);
    let mut files = image.files.clone();
    let stranger = Path::new(DIR).join("shard-00/notes.txt");
    files.insert(stranger.clone(), vec![7; 512]);
    files.insert(Path::new(DIR).join("STORE.new"), vec![7; 512]);
    let orphan = "shard-01/01920000-1234-7fff-bfff-ffffffffffff.seg";
    files.insert(Path::new(DIR).join(orphan), vec![0; 4096]);
    let (env, disk) = machine(&files, 1);
    let report = verified(&env);
    let mut kinds: Vec<&str> = report.findings.iter().map(|finding| finding.kind).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["orphan", "orphan", "unknown"]);
    assert!(report.is_healthy() && repaired(&env).actions.is_empty());
    assert_eq!(super::files(&disk), files);
}

/// A file's header and its first block are one write. Behind it is one more, so that what proves the first begins where
/// the first thing that is there does.
#[test]
fn a_first_write_of_a_log_file_that_never_was_is_damage_to_openings_and_to_verify() {
    let image = image(23, 120, 40);
    let blocks = super::damage::blocks(&image, &Path::new(DIR).join("shard-00"));
    let (path, _) = blocks[blocks.len() - 1].clone();
    let of_file: Vec<_> = blocks.iter().filter(|block| block.0 == path).collect();
    let kept = of_file[1].1.clone();
    let mut files = image.files.clone();
    let bytes = files.get_mut(&path).unwrap();
    bytes[..kept.start].fill(0);
    bytes[kept.end..].fill(0);
    let (env, _) = machine(&files, 23);
    let report = verified(&env);
    assert!(!report.is_healthy(), "{:?}", report.findings);
    let opened = Store::open(Path::new(DIR), toy(), &options(), env.clone());
    assert_eq!(opened.err().map(|error| error.code()), Some("ERR_CORRUPT"));
    let done = repaired(&env);
    assert!(done.lost.iter().any(|lost| lost.path == path), "{:?}", done.lost);
    assert!(done.after.is_some_and(|after| after.is_healthy()));
    assert!(!read_all(&env).is_empty());
}
