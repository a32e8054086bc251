//! A lone durable record, whose write the shard's thread waits for itself.

use super::super::*;
use super::own::{Item, item, model, record};
use crate::io::{self, Rng, sim::Faults};
use crate::shard::SyncMode;

fn options(sync: SyncMode) -> Options {
    Options { shards: Some(1), sync, ..Options::tiny() }
}

fn items(count: u64) -> Vec<Item> {
    let mut rng = Rng::new(1);
    (0..count).map(|n| item(&mut rng, n)).collect()
}

#[test]
fn a_lone_durable_record_goes_to_the_device_without_a_queue_and_others_in_groups() {
    let (env, disk, _clock) = io::simulated(1, Faults::default());
    let store =
        Store::open(Path::new("/store"), model(true), &options(SyncMode::Always), env.clone());
    let (store, items) = (store.unwrap(), items(6));
    store.insert(record(&items[0])).unwrap().wait().unwrap();
    let before = (disk.queued(), disk.writes_and_syncs());
    for item in &items[1..3] {
        store.insert(record(item)).unwrap().wait().unwrap();
    }
    assert_eq!(disk.queued(), before.0, "two, one after the other");
    assert_eq!(disk.writes_and_syncs(), before.1 + 4, "each written and synced");

    let pending: Vec<_> =
        items[3..].iter().map(|item| store.insert(record(item)).unwrap()).collect();
    for one in pending {
        one.wait().unwrap();
    }
    assert_eq!(disk.queued(), before.0 + 1, "three at once are a group");

    disk.power_loss();
    drop(store);
    let store =
        Store::open(Path::new("/store"), model(true), &options(SyncMode::Always), env).unwrap();
    assert_eq!(store.count(&[Select::all()]).unwrap(), items.len() as u64);
}

#[test]
fn what_need_not_be_durable_is_left_to_the_queue() {
    for sync in [SyncMode::BATCH, SyncMode::Never] {
        let (env, disk, _clock) = io::simulated(1, Faults::default());
        let store = Store::open(Path::new("/store"), model(true), &options(sync), env).unwrap();
        let before = disk.queued();
        store.insert(record(&items(1)[0])).unwrap().wait().unwrap();
        assert_eq!(disk.queued(), before + 1, "{sync:?}");
    }
}

#[test]
fn a_lone_write_or_sync_that_fails_poisons_the_shard_and_is_not_answered() {
    for faults in
        [Faults { eio_write: 1, ..Faults::default() }, Faults { eio_sync: 1, ..Faults::default() }]
    {
        let (env, disk, _clock) = io::simulated(1, Faults::default());
        let store = Store::open(Path::new("/store"), model(true), &options(SyncMode::Always), env);
        let (store, items, before) = (store.unwrap(), items(3), disk.queued());
        store.insert(record(&items[0])).unwrap().wait().unwrap();
        disk.set_faults(faults);
        let failed = store.insert(record(&items[1])).unwrap().wait();
        assert!(matches!(failed, Err(Error::Poisoned { .. })), "{failed:?}");
        disk.set_faults(Faults::default());
        let next = store.insert(record(&items[2])).and_then(|pending| pending.wait());
        assert!(matches!(next, Err(Error::Poisoned { .. })), "{next:?}");
        assert_eq!(store.count(&[Select::all()]).unwrap(), 1);
        assert_eq!(disk.queued(), before);
    }
}
