//! The space: a limit of the disk under load, expired records' bytes that come back, and the service.

use super::*;
use crate::io::Backend;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// Records of five authors in turn, in order of time, of 600 bytes that do not compress.
fn item(now: u64) -> Item {
    let mut id = [0; 32];
    id[..8].copy_from_slice(&crate::base::hash64(&now.to_le_bytes()).to_be_bytes());
    let mut item = Item::new(id, now, (now % 5) as u8, (now % 3) as u8, 600, 0);
    let mut rng = Rng::new(now);
    item.body[10..].iter_mut().for_each(|byte| *byte = rng.next_u64() as u8);
    item
}

fn disk_rule(bytes: u64) -> Rules {
    let (what, keep) = (Select::all(), Keep::DiskBytes(bytes));
    let rule = Rule { name: "disk".into(), what, keep, each_author: false };
    Rules { rules: vec![rule], words: words(), ..Rules::default() }
}

fn segment_files(disk: &dyn io::Disk, dir: &Path) -> u64 {
    let names = disk.list(dir).unwrap();
    let segments = names.iter().filter(|name| name.ends_with(".seg"));
    // A file may be gone since it was listed.
    segments.map(|name| disk.open(&dir.join(name)).map_or(0, |file| file.len())).sum()
}

#[test]
fn a_limit_of_the_disk_holds_under_inserts_without_end() {
    const LIMIT: u64 = 2 << 20;
    // Of a merge, whose output stands beside its inputs: 1,000 records, their indexes with them.
    const MERGE: u64 = 1000 * 1100;
    let machine = Machine::new(1);
    let store = machine.open(1);
    let (mut records, mut most, mut removed) = (Records::new(), 0, 0);
    for now in 1000..16_000 {
        insert(&store, &mut records, item(now));
        if now % 200 == 0 {
            removed += run(&store, &disk_rule(LIMIT), now).removed();
            let left = stored(&store);
            // What stays is the newest, without a gap.
            assert!(left.keys().eq(records.keys().skip(records.len() - left.len())), "{now}");
            records = left;
            most = most.max(segment_files(&*machine.env.disk, Path::new("/store/shard-00")));
        }
    }
    assert!(removed > 9_000, "{removed}");
    assert!(most <= LIMIT + MERGE, "{most} bytes of segments");
    // It is used, too: the rest is not far from the limit.
    assert!(most > LIMIT * 3 / 4, "{most} bytes of segments");
    let space = store.space();
    assert!(space.live_bytes <= LIMIT && space.live_bytes > LIMIT / 2, "{space:?}");
}

#[test]
fn the_bytes_of_what_expired_come_back_by_themselves() {
    let store = Machine::new(2).open(1);
    let mut records = Records::new();
    for now in 1000..4000 {
        let mut item = item(now);
        if now % 2 == 0 {
            item.body[2..10].copy_from_slice(&5000u64.to_le_bytes());
        }
        insert(&store, &mut records, item);
    }
    store.flush().unwrap();
    let bytes = |store: &Store| store.space().segment_bytes;
    let before = bytes(&store);
    assert_eq!(run(&store, &Rules { words: words(), ..Rules::default() }, 4999).removed(), 0);
    let report = run(&store, &Rules { words: words(), ..Rules::default() }, 5000);
    assert_eq!((report.expired, report.removed()), (1500, 1500));
    records.retain(|key, _| key.time % 2 == 1);
    assert_eq!(stored(&store), records);
    // Nobody asks for a compaction: the shard is only given turns, by a few records.
    for now in 5000..6000 {
        if bytes(&store) * 10 < before * 6 {
            break;
        }
        insert(&store, &mut records, item(now));
    }
    let after = bytes(&store);
    assert!(after * 10 < before * 6, "{before} bytes became {after}");
    assert_eq!(stored(&store), records);
}

/// A store with threads, on the disk.
fn real(dir: &Path) -> Arc<Store> {
    let mut options = Options::tiny();
    (options.threads, options.shards) = (true, Some(2));
    options.compaction.records_max = 1000;
    Arc::new(Store::open(dir, Arc::new(Toy), &options, io::system(Backend::Auto).unwrap()).unwrap())
}

#[test]
fn queries_beside_a_limit_of_the_disk_see_no_gap_and_nothing_twice() {
    const LIMIT: u64 = 1 << 20;
    let dir = tempfile::tempdir().unwrap();
    let store = real(dir.path());
    let over = Arc::new(AtomicBool::new(false));
    let reader = io::threads::spawn("reader", {
        let (store, over) = (store.clone(), over.clone());
        move || {
            let mut asked = 0;
            while !over.load(Relaxed) || asked == 0 {
                // Snapshots of shards are not of one moment: an author is in one shard.
                let spec = Spec::parse(&format!("authors={}", asked % 5));
                let mut cursor = store.query(&[spec.select()], Order::Newest).unwrap();
                let mut last: Option<u64> = None;
                while let Some(record) = cursor.next().unwrap() {
                    let time = record.key.time;
                    assert!(last.is_none_or(|last| last == time + 5), "{time} after {last:?}");
                    last = Some(time);
                }
                asked += 1;
            }
        }
    });
    let limits = Limits { records_per_second: Some(1_000_000), group_records: 32 };
    for now in 1000..8000 {
        let item = item(now);
        store.insert(item.record()).unwrap().wait().unwrap();
        if now % 500 == 0 {
            apply(&store, &disk_rule(LIMIT), now, limits, &AtomicBool::new(false)).unwrap();
        }
    }
    over.store(true, Relaxed);
    reader.join().unwrap();
    apply(&store, &disk_rule(LIMIT), 8000, limits, &AtomicBool::new(false)).unwrap();
    store.compact().unwrap();
    let shards = [dir.path().join("shard-00"), dir.path().join("shard-01")];
    let disk = store.env().disk.clone();
    let files: u64 = shards.iter().map(|dir| segment_files(&*disk, dir)).sum();
    assert!(files <= LIMIT && files > LIMIT / 3, "{files} bytes of segments");
    let left = stored(&store);
    assert_eq!(left.keys().next_back().map(|key| key.time), Some(7999));
}

#[test]
fn the_service_removes_by_itself_and_ends_with_its_handle_or_its_store() {
    let dir = tempfile::tempdir().unwrap();
    let store = real(dir.path());
    for now in 1000..2000 {
        store.insert(item(now).record()).unwrap().wait().unwrap();
    }
    let rules = Specs { rules: vec![Spec::parse("count=300")], ..Specs::default() }.rules();
    let start = |rules: &Rules| {
        Retention::start(&store, rules.clone(), Duration::from_millis(1), Limits::default())
    };
    let service = start(&rules);
    let until = |records: u64| {
        while store.count(&[Select::all()]).unwrap() != records {
            std::thread::yield_now();
        }
    };
    until(300);
    for now in 2000..2100 {
        store.insert(item(now).record()).unwrap().wait().unwrap();
    }
    until(300);
    drop(service);
    // Too slow to end, but for the flag.
    let slow = Limits { records_per_second: Some(1), group_records: 100 };
    let none = Specs { rules: vec![Spec::parse("age=1")], ..Specs::default() }.rules();
    let service = Retention::start(&store, none, Duration::from_secs(60), slow);
    // The shards' parts go one after the other, the first group of them at once.
    while store.count(&[Select::all()]).unwrap() == 300 {
        std::thread::yield_now();
    }
    let clock = store.env().clock.clone();
    let began = clock.monotonic_nanos();
    drop(service);
    assert!(clock.monotonic_nanos() - began < 20_000_000_000, "it waited for its pace");
    assert!(store.count(&[Select::all()]).unwrap() >= 200);

    let service = start(&Rules::default());
    let kept = Arc::downgrade(&store);
    drop(store);
    while kept.upgrade().is_some() {
        std::thread::yield_now();
    }
    drop(service);
}
