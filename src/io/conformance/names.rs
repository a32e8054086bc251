//! Checks of directories, names, locks and the creation of files.

use super::*;

pub(super) const CHECKS: [Check; 10] = [
    ("create", a_created_file_is_zeros_of_the_length_asked_for),
    ("exists", what_exists_is_not_created_and_what_does_not_is_not_opened),
    ("rename", rename_replaces_and_open_handles_go_on),
    ("link", a_link_is_another_name_of_the_same_file),
    ("rmdir", only_an_empty_directory_is_removed),
    ("remove", remove_takes_the_name_and_keeps_open_handles),
    ("parts", removal_by_parts_leaves_other_names_alone),
    ("list", list_names_files_in_order_and_no_directories),
    ("dirs", directories_are_made_with_their_parents),
    ("lock", a_lock_is_held_once_and_names_its_holder),
];

fn a_created_file_is_zeros_of_the_length_asked_for(env: &Env, dir: &Path) {
    for bytes in [0, 512, 1_000, BLOCK as u64, 3 * BLOCK as u64, (1 << 20) + 4096] {
        let path = dir.join(format!("file-{bytes}"));
        let file = env.disk.create(&path, bytes).unwrap();
        assert_eq!((file.len(), file.is_empty(), file.path()), (bytes, bytes == 0, &*path));
        assert!(file.align().is_power_of_two() && BLOCK.is_multiple_of(file.align()));
        if bytes.is_multiple_of(512) {
            assert!(contents(&file).iter().all(|&byte| byte == 0));
        } else {
            // Off the grid: what is asked for beyond the end is not there.
            let error = file.read_at(0, &mut blocks(1, 0)).unwrap_err();
            assert!(is_corrupt_at(&error, bytes), "{error}");
        }
        env.disk.sync_dir(dir).unwrap();
        assert_eq!(env.disk.open(&path).unwrap().len(), bytes);
    }
}

fn what_exists_is_not_created_and_what_does_not_is_not_opened(env: &Env, dir: &Path) {
    create(env, &dir.join("a"), 1).write_at(0, &blocks(1, 7)).unwrap();
    let error = env.disk.create(&dir.join("a"), 0).unwrap_err();
    assert!(error.code() == "ERR_IO" && error.to_string().contains("cannot create"), "{error}");
    assert_eq!(contents(&env.disk.open(&dir.join("a")).unwrap())[0], 7);
    for error in [
        env.disk.open(&dir.join("b")).unwrap_err(),
        env.disk.remove(&dir.join("b")).unwrap_err(),
        env.disk.rename(&dir.join("b"), &dir.join("c")).unwrap_err(),
        env.disk.list(&dir.join("b")).unwrap_err(),
        env.disk.sync_dir(&dir.join("b")).unwrap_err(),
        env.disk.create(&dir.join("b").join("c"), 0).unwrap_err(),
    ] {
        assert!(error.code() == "ERR_IO" && error.to_string().contains("/b"), "{error}");
    }
}

fn rename_replaces_and_open_handles_go_on(env: &Env, dir: &Path) {
    let (from, to) = (dir.join("from"), dir.join("to"));
    let (moved, replaced) = (create(env, &from, 1), create(env, &to, 1));
    moved.write_at(0, &blocks(1, 1)).unwrap();
    replaced.write_at(0, &blocks(1, 2)).unwrap();
    env.disk.rename(&from, &to).unwrap();
    env.disk.sync_dir(dir).unwrap();
    assert_eq!(env.disk.list(dir).unwrap(), ["to"]);
    assert_eq!(contents(&env.disk.open(&to).unwrap())[0], 1);
    assert_eq!((contents(&moved)[0], contents(&replaced)[0]), (1, 2));
    moved.write_at(0, &blocks(1, 3)).unwrap();
    moved.sync().unwrap();
    assert_eq!(contents(&env.disk.open(&to).unwrap())[0], 3);
    assert_eq!(moved.path(), from, "a handle keeps the path it was opened under");
    let elsewhere = env.disk.rename(&to, &dir.join("sub").join("to")).unwrap_err();
    assert_eq!(elsewhere.code(), "ERR_INVALID");
}

fn a_link_is_another_name_of_the_same_file(env: &Env, dir: &Path) {
    let (first, elsewhere) = (dir.join("first"), dir.join("sub").join("second"));
    env.disk.create_dir(&dir.join("sub")).unwrap();
    let file = create(env, &first, 2);
    env.disk.hard_link(&first, &elsewhere).unwrap();
    env.disk.sync_dir(&dir.join("sub")).unwrap();
    file.write_at(at(1), &blocks(1, 4)).unwrap();
    let linked = env.disk.open(&elsewhere).unwrap();
    assert_eq!((linked.len(), contents(&linked)[BLOCK]), (2 * BLOCK as u64, 4));
    env.disk.remove(&first).unwrap();
    env.disk.sync_dir(dir).unwrap();
    drop((file, linked));
    assert_eq!(contents(&env.disk.open(&elsewhere).unwrap())[BLOCK], 4);
    // A name that is taken is not replaced, and what is not there has no second name.
    create(env, &first, 1);
    for (from, to) in [(&first, &elsewhere), (&dir.join("none"), &dir.join("other"))] {
        let error = env.disk.hard_link(from, to).unwrap_err();
        assert!(error.code() == "ERR_IO" && error.to_string().contains("cannot link"), "{error}");
    }
    assert_eq!(contents(&env.disk.open(&elsewhere).unwrap())[BLOCK], 4);
    assert_eq!(env.disk.list(dir).unwrap(), ["first"]);
}

fn only_an_empty_directory_is_removed(env: &Env, dir: &Path) {
    let (outer, inner) = (dir.join("outer"), dir.join("outer").join("inner"));
    env.disk.create_dir(&inner).unwrap();
    create(env, &inner.join("file"), 1);
    for full in [&outer, &inner] {
        assert_eq!(env.disk.remove_dir(full).unwrap_err().code(), "ERR_IO");
    }
    env.disk.remove(&inner.join("file")).unwrap();
    env.disk.remove_dir(&inner).unwrap();
    env.disk.remove_dir(&outer).unwrap();
    env.disk.sync_dir(dir).unwrap();
    assert_eq!(env.disk.list(&inner).unwrap_err().code(), "ERR_IO");
    assert_eq!(env.disk.remove_dir(&outer).unwrap_err().code(), "ERR_IO");
}

fn removal_by_parts_leaves_other_names_alone(env: &Env, dir: &Path) {
    for (name, linked, patience) in [("a", false, 100), ("b", true, 100), ("c", false, 1)] {
        let (path, other) = (dir.join(name), dir.join(format!("{name}-link")));
        let bytes = (3 << 20) + BLOCK as u64;
        env.disk.create(&path, bytes).unwrap().write_at(0, &blocks(1, 7)).unwrap();
        if linked {
            env.disk.hard_link(&path, &other).unwrap();
        }
        let mut left = patience;
        let mut pause = || {
            left -= 1;
            left > 0
        };
        env.disk.remove_by_parts(&path, &mut pause).unwrap();
        assert!(env.disk.open(&path).is_err(), "{name}");
        assert!(!env.disk.list(dir).unwrap().iter().any(|found| found.starts_with("a.")));
        if linked {
            let file = env.disk.open(&other).unwrap();
            assert_eq!((file.len(), contents(&file)[0]), (bytes, 7));
        }
    }
    assert!(env.disk.remove_by_parts(&dir.join("none"), &mut || true).is_err());
    // Nor is it shortened under somebody who has it open.
    let path = dir.join("open");
    for to_read in [false, true] {
        drop(env.disk.create(&path, 3 << 20).unwrap());
        let opened = if to_read { env.disk.open_read(&path) } else { env.disk.open(&path) };
        let file = opened.unwrap();
        env.disk.remove_by_parts(&path, &mut || true).unwrap();
        assert_eq!((file.len(), contents(&file).len()), (3 << 20, 3 << 20));
    }
}

fn remove_takes_the_name_and_keeps_open_handles(env: &Env, dir: &Path) {
    let path = dir.join("a");
    let old = create(env, &path, 2);
    env.disk.remove(&path).unwrap();
    assert!(env.disk.list(dir).unwrap().is_empty());
    old.write_at(at(1), &blocks(1, 5)).unwrap();
    old.sync().unwrap();
    let new = create(env, &path, 1);
    assert_eq!((contents(&old)[BLOCK], contents(&new)[0]), (5, 0));
    let mut queue = env.disk.queue(4).unwrap();
    queue.push(1, write(&old, 0, blocks(1, 6), true)).unwrap();
    assert!(finish(&mut *queue)[0].result.is_ok());
    assert_eq!((contents(&old)[0], contents(&new)[0]), (6, 0));
}

fn list_names_files_in_order_and_no_directories(env: &Env, dir: &Path) {
    assert!(env.disk.list(dir).unwrap().is_empty());
    for name in ["b", "a10", "c", "a2"] {
        create(env, &dir.join(name), 0);
    }
    env.disk.create_dir(&dir.join("directory")).unwrap();
    assert_eq!(env.disk.list(dir).unwrap(), ["a10", "a2", "b", "c"]);
}

fn directories_are_made_with_their_parents(env: &Env, dir: &Path) {
    let deep = dir.join("x").join("y").join("z");
    env.disk.create_dir(&deep).unwrap();
    create(env, &deep.join("file"), 1);
    env.disk.create_dir(&deep).unwrap();
    assert_eq!(env.disk.list(&deep).unwrap(), ["file"]);
    let in_the_way = env.disk.create_dir(&deep.join("file").join("w")).unwrap_err();
    assert_eq!(in_the_way.code(), "ERR_IO");
}

fn a_lock_is_held_once_and_names_its_holder(env: &Env, dir: &Path) {
    let path = dir.join("LOCK");
    for _ in 0..2 {
        let guard = env.disk.lock(&path).unwrap();
        let second = env.disk.lock(&path).unwrap_err();
        let Error::Locked { path: locked, holder } = &second else { panic!("{second}") };
        assert_eq!(*locked, path);
        if env.disk.backend() != "simulated" {
            assert!(holder.starts_with(&format!("pid {} on ", std::process::id())), "{holder}");
        }
        let elsewhere = std::thread::scope(|scope| {
            scope.spawn(|| env.disk.lock(&path).map(drop)).join().unwrap()
        });
        assert_eq!(elsewhere.unwrap_err().code(), "ERR_LOCKED");
        assert_eq!(env.disk.list(dir).unwrap(), ["LOCK"]);
        drop(guard);
    }
}

#[test]
fn a_directory_has_a_file_system_and_no_directory_has_none() {
    let disk = system(Backend::Posix).unwrap().disk;
    let of_root = disk.space(Path::new("/")).unwrap();
    assert!(of_root.size_bytes >= of_root.free_bytes && of_root.size_bytes > 0);
    assert!(disk.space(Path::new("/no such directory")).is_none());
}

/// The lock of another process: it is this process's child that must be refused.
#[test]
fn a_lock_holds_against_another_process() {
    let env = system(Backend::Posix).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("LOCK");
    let guard = env.disk.lock(&path).unwrap();
    let try_lock = || Command::new("flock").arg("-n").arg(&path).arg("true").status();
    let Ok(refused) = try_lock() else {
        println!("skipped: no flock command here");
        return;
    };
    assert!(!refused.success());
    drop(guard);
    assert!(try_lock().unwrap().success());
}
