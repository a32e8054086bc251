//! When something breaks: a panic or a failed write ends its shard alone, nobody waits for ever, and a disk that is full is
//! freed by what goes.

use super::*;
use crate::shard::block_on;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

/// The toy, which panics when it is told to.
#[derive(Default)]
struct Fragile {
    in_decide: AtomicBool,
    in_flush: AtomicBool,
}

impl Model for Fragile {
    fn name(&self) -> &'static str {
        Toy.name()
    }
    fn version(&self) -> u32 {
        Toy.version()
    }
    fn route(&self, record: Record<'_>) -> u64 {
        slot_of(record.body)
    }
    fn terms(&self, record: Record<'_>, out: &mut Terms) {
        Toy.terms(record, out);
    }
    fn mark(&self) -> Option<fn(&[u8]) -> u32> {
        assert!(!self.in_flush.load(Relaxed), "boom in the flush");
        None
    }
    fn probes(&self, record: Record<'_>, out: &mut Probes) {
        Toy.probes(record, out);
    }
    fn decide(&self, record: Record<'_>, hits: &[Record<'_>], now: u64) -> Decision {
        assert!(!self.in_decide.load(Relaxed), "boom in decide");
        Toy.decide(record, hits, now)
    }
}

/// A record of shard `shard` of two.
fn item(shard: u64, number: u64) -> Item {
    let mut id = [0; 32];
    id[..8].copy_from_slice(&number.to_be_bytes());
    let mut body = (2 * number + shard).to_le_bytes().to_vec();
    body.resize(17 + 1000, 0);
    Item { key: Key { time: number, id }, body }
}

fn put(store: &Store, item: &Item) -> Result<Outcome> {
    store.insert(item.record())?.wait()
}

struct Broken {
    env: Env,
    disk: Arc<SimDisk>,
    clock: Arc<ManualClock>,
    model: Arc<Fragile>,
    threads: bool,
}

impl Broken {
    fn new(threads: bool) -> Broken {
        let (env, disk, clock) = io::simulated(1, Faults::default());
        Broken { env, disk, clock, model: Arc::default(), threads }
    }

    fn open(&self) -> Store {
        let options = Options { threads: self.threads, ..Options::tiny() };
        self.open_with(&options)
    }

    fn open_with(&self, options: &Options) -> Store {
        Store::open(Path::new("/store"), self.model.clone(), options, self.env.clone()).unwrap()
    }
}

/// The first shard takes nothing any more and says why; the second is as it was; closing and opening again mend it.
fn check_broken(broken: &Broken, store: Store, why: &str, stored: u64, unanswered: u64) {
    let says = |error: Error| {
        assert!(
            matches!(error, Error::Poisoned { .. }) && error.to_string().contains(why),
            "{error}"
        );
        assert!(error.to_string().contains("reopen"), "{error}");
    };
    says(put(&store, &item(0, 900)).unwrap_err());
    says(block_on(store.insert_async(item(0, 901).record())).unwrap_err());
    says(store.remove(0, &[[7; 32]]).unwrap_err());
    says(block_on(store.remove_async(0, &[[7; 32]])).unwrap_err());
    says(store.barrier().unwrap_err());
    says(store.flush().unwrap_err());
    says(store.poisoned().unwrap());
    let poisoned: Vec<bool> = store.stats().iter().map(|s| s.poisoned).collect();
    assert_eq!(poisoned, [true, false]);
    put(&store, &item(1, 902)).unwrap();
    assert_eq!(store.flush_shard(1).map_err(|e| e.to_string()), Ok(()));
    assert_eq!(store.count(&[Select::all()]).unwrap(), stored + 1);
    says(store.close().unwrap_err());
    drop(store);
    let store = broken.open();
    let found = store.count(&[Select::all()]).unwrap() - stored - 1;
    assert!(found <= unanswered, "{found} records that nobody wrote");
    put(&store, &item(0, 903)).unwrap();
    store.flush().unwrap();
    store.close().unwrap();
}

#[test]
fn a_panic_of_the_rules_ends_one_shard_alone() {
    for threads in [false, true] {
        let broken = Broken::new(threads);
        let store = broken.open();
        (0..20).for_each(|n| assert!(put(&store, &item(n % 2, n)).is_ok()));
        broken.model.in_decide.store(true, Relaxed);
        let error = put(&store, &item(0, 30)).unwrap_err();
        broken.model.in_decide.store(false, Relaxed);
        assert!(error.to_string().contains("boom in decide"), "{error}");
        check_broken(&broken, store, "boom in decide", 20, 0);
    }
}

#[test]
fn a_panic_of_the_worker_poisons_one_shard_alone() {
    // Without threads the worker is whoever waits, and the shard ends with it.
    for threads in [false, true] {
        let broken = Broken::new(threads);
        let store = broken.open();
        (0..20).for_each(|n| assert!(put(&store, &item(n % 2, n)).is_ok()));
        broken.model.in_flush.store(true, Relaxed);
        let error = store.flush_shard(0).unwrap_err();
        broken.model.in_flush.store(false, Relaxed);
        assert!(error.to_string().contains("boom in the flush"), "{error}");
        check_broken(&broken, store, "boom in the flush", 20, 0);
    }
}

#[test]
fn a_failed_write_poisons_one_shard_alone() {
    for threads in [false, true] {
        let broken = Broken::new(threads);
        let store = broken.open();
        (0..20).for_each(|n| assert!(put(&store, &item(n % 2, n)).is_ok()));
        broken.disk.set_faults(Faults { eio_write: 1, ..Faults::default() });
        let error = put(&store, &item(0, 30)).unwrap_err();
        broken.disk.set_faults(Faults::default());
        assert!(error.to_string().contains("a write of the log"), "{error}");
        check_broken(&broken, store, "a write of the log", 20, 1);
    }
}

#[test]
fn writers_on_many_threads_all_hear_of_a_panic() {
    let broken = Broken::new(true);
    let store = broken.open();
    let heard: u64 = std::thread::scope(|scope| {
        let write = |writer: u64| {
            let (store, model) = (&store, &broken.model);
            scope.spawn(move || {
                let numbers = (0..).map(|n| 1000 * n + writer + 1);
                let mut taken = 0;
                for n in numbers {
                    // One waits on its thread, the other as a future.
                    let item = item(0, n);
                    let answer = match writer % 2 {
                        0 => put(store, &item),
                        _ => block_on(store.insert_async(item.record())),
                    };
                    taken += 1;
                    match answer {
                        Ok(_) if taken > 20 => model.in_decide.store(true, Relaxed),
                        Ok(_) => {}
                        Err(error) => return u64::from(error.to_string().contains("boom")),
                    }
                }
                0
            })
        };
        let writers: Vec<_> = (0..8).map(write).collect();
        writers.into_iter().map(|writer| writer.join().unwrap()).sum()
    });
    assert_eq!(heard, 8);
    assert!(store.close().is_err());
}

#[test]
fn futures_are_ready_without_threads() {
    let broken = Broken::new(false);
    let store = broken.open();
    for n in 0..300 {
        let answer = block_on(store.insert_async(item(n % 2, n).record())).unwrap();
        assert!(matches!(answer, Outcome::Stored { .. }));
    }
    let pending = store.insert(item(0, 400).record()).unwrap();
    assert!(matches!(block_on(pending).unwrap(), Outcome::Stored { .. }));
    assert_eq!(block_on(store.remove_async(0, &[item(0, 0).key.id])).unwrap(), 1);
    store.close().unwrap();
    let closed = block_on(store.insert_async(item(0, 500).record()));
    assert!(matches!(closed, Err(Error::Closed)), "{closed:?}");
}

/// A store on a disk that it has filled itself.
fn filled(broken: &Broken) -> (Store, u64) {
    let mut options = Options { shards: Some(1), memory_bytes: 64 << 20, ..Options::tiny() };
    (options.memtable_bytes, options.disk_reserve_bytes) = (Some(1 << 20), Some(1 << 20));
    // Segments that are left alone while they live.
    options.compaction = Policy { records_max: 1000, fan_in: 16, ..Policy::default() };
    let store = broken.open_with(&options);
    broken.disk.set_quota(Some(6 << 20));
    let (mut refused, mut in_a_row) = (0, 0);
    // At first flushes still give back log files.
    while in_a_row < 20 {
        match put(&store, &item(0, refused)) {
            Ok(_) => (refused, in_a_row) = (refused + 1, 0),
            Err(_) => {
                broken.clock.advance(Duration::from_secs(1));
                in_a_row += 1;
            }
        }
    }
    let error = put(&store, &item(0, refused)).unwrap_err();
    assert!(matches!(error, Error::DiskFull { .. }), "{error}");
    assert!(store.stats()[0].full && store.poisoned().is_none());
    (store, refused)
}

/// Whether records are taken again, of the first `tries` seconds.
fn ends(broken: &Broken, store: &Store, tries: u64) -> bool {
    (0..tries).any(|n| {
        broken.clock.advance(Duration::from_secs(1));
        // Without threads the shard runs while somebody waits.
        store.barrier().unwrap();
        put(store, &item(0, 1_000_000 + n)).is_ok()
    })
}

#[test]
fn removals_free_a_full_disk() {
    let broken = Broken::new(false);
    let (store, stored) = filled(&broken);
    assert!(!ends(&broken, &store, 30), "nothing was freed");
    let ids: Vec<[u8; 32]> = (0..stored / 2).map(|n| item(0, n).key.id).collect();
    assert_eq!(store.remove(0, &ids).unwrap(), stored / 2);
    assert!(ends(&broken, &store, 200), "{:?}", store.disk_full());
    assert!(store.disk_full().is_none() && !store.stats()[0].full);
    assert_eq!(store.count(&[Select::all()]).unwrap(), stored - stored / 2 + 1);
}

#[test]
fn dropped_segments_free_a_full_disk_of_which_others_took_the_rest() {
    let broken = Broken::new(false);
    let (store, stored) = filled(&broken);
    // Not a byte is left, not even for a manifest.
    broken.disk.set_quota(Some(1 << 20));
    assert!(!ends(&broken, &store, 5));
    let segments: Vec<_> =
        store.snapshot().shards()[0].view.segments.iter().map(|s| s.segment.info().id).collect();
    let dropped = store.drop_segments(0, &segments, 0);
    assert!(matches!(dropped, Err(Error::DiskFull { .. })), "{dropped:?}");
    // Somebody makes room for a manifest, and what was dropped gives back the rest.
    broken.disk.set_quota(Some(6 << 20));
    assert!(ends(&broken, &store, 200), "{:?}", store.disk_full());
    assert!(store.count(&[Select::all()]).unwrap() < stored);
}
