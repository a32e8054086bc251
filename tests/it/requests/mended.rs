//! A store whose manifests are gone is put together again, and nobody who was deleted lives beside what deleted it.

use super::{deletion, event, has, hex, insert, tiny, vanish, wrap};
use crate::compare::everything;
use crate::naive::random::World;
use crate::naive::{HERE, Naive};
use crate::oracle::here;
use crate::replay;
use ratite::io::{Env, Faults, simulated};
use ratite::maintain::repair::{self, Repaired};
use ratite::model::Model;
use ratite::nostr::{Event, EventModel, EventOptions, EventStore, Inserted};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

const DIR: &str = "/store";
const NOW: u64 = 1_704_067_200;

fn options(shards: usize) -> EventOptions {
    let mut options = tiny(Some(shards));
    // Segments stay as they were flushed, and the log does not reach back.
    options.compaction.fan_in = 16;
    options.log_file_bytes = 64 << 10;
    EventOptions { refuse_foreign_deletes: false, ..here(&options) }
}

fn open(env: &Env, shards: usize) -> EventStore {
    EventStore::open_with(Path::new(DIR), &options(shards), env.clone()).unwrap()
}

/// Takes the manifests and logs away from these shards, and repairs the store.
fn lose(env: &Env, shards: &[usize]) -> Repaired {
    for shard in shards {
        let dir = Path::new(DIR).join(format!("shard-{shard:02}"));
        let lost = |name: &String| name.starts_with("manifest-") || name.starts_with("wal-");
        for name in env.disk.list(&dir).unwrap().iter().filter(|name| lost(name)) {
            env.disk.remove(&dir.join(name)).unwrap();
        }
        env.disk.sync_dir(&dir).unwrap();
    }
    let model: Arc<dyn Model> = Arc::new(EventModel::default().of_relays(&[HERE.into()]));
    let done = repair::run(env, Path::new(DIR), &model, false, &mut ()).unwrap();
    assert!(done.after.as_ref().unwrap().is_healthy(), "{:?}", done.after);
    assert!(done.lost.iter().all(|lost| lost.records == 0), "{:?}", done.lost);
    done
}

#[test]
fn who_was_deleted_vanished_or_replaced_is_not_back_when_all_manifests_are_lost() {
    for shards in [1, 4] {
        let (env, ..) = simulated(5, Faults::default());
        let store = open(&env, shards);
        let put = |event: &Event| {
            assert!(matches!(
                insert(&store, event).unwrap(),
                Inserted::Stored | Inserted::Replaced
            ));
        };
        // Of the first author those with even numbers; of the second, two are younger than its vanishing.
        let at = |n| if n == 9 || n == 11 { 40 } else { 20 };
        let wraps: Vec<Event> = (0..12).map(|n| wrap(n, at(n), 1 + n % 2)).collect();
        let article = |at| event(1, at, 30023, &[["d", "x"]]);
        let profiles = (0..4).map(|n| event(3, 10 + n, 0, &[]));
        let mut gone = vec![event(1, 10, 1, &[]), article(11), article(12), event(2, 13, 1, &[])];
        gone.extend(wraps.iter().filter(|wrap| wrap.created_at() == 20).cloned());
        gone.extend(profiles);
        let later = [wraps[9].clone(), wraps[11].clone(), event(2, 31, 1, &[]), article(31)];
        // Each of them in a segment of its own, so that nothing but a manifest knows who is dead.
        for event in &gone {
            put(event);
            store.engine().flush().unwrap();
        }
        let address = format!("30023:{}:x", hex(&[1; 32]));
        let mut tags: Vec<String> = wraps.iter().step_by(2).map(|w| hex(w.id())).collect();
        tags.push(hex(gone[0].id()));
        let mut tags: Vec<[&str; 2]> = tags.iter().map(|id| ["e", &id[..]]).collect();
        tags.push(["a", &address]);
        put(&event(1, 30, 5, &tags));
        put(&vanish(2, 25));
        put(&deletion(3, 30, &[&gone[gone.len() - 1]]));
        later.iter().for_each(put);
        store.engine().flush().unwrap();
        let lives = |store: &EventStore| {
            gone.iter().for_each(|event| assert!(!has(store, event), "{event:?} is back"));
            later.iter().for_each(|event| assert!(has(store, event), "{event:?} is lost"));
        };
        lives(&store);
        store.close().unwrap();
        drop(store);
        lose(&env, &(0..shards).collect::<Vec<_>>());
        lives(&open(&env, shards));
    }
}

/// What is stored after a repair is closed under the rules, and misses nothing.
#[test]
fn after_a_repair_nothing_lives_beside_what_kills_it() {
    replay::each_seed("after_a_repair_nothing_lives_beside_what_kills_it", 0..40, |seed| {
        let mut world = World::new(seed);
        world.requests = Some(NOW);
        world.is_calm = true;
        let shards = 1 << world.rng.below(3);
        let (env, ..) = simulated(seed, Faults::default());
        let store = open(&env, shards);
        let mut naive = Naive { now: NOW, ..Naive::default() };
        let mut all = Vec::new();
        for _ in 0..120 {
            let ev = world.event();
            assert_eq!(insert(&store, &ev.event(false)).unwrap(), naive.insert(&ev));
            all.push(ev);
            if world.rng.chance(6) {
                store.engine().flush().unwrap();
            }
        }
        store.engine().flush().unwrap();
        let before: BTreeSet<String> = everything(&store, &naive).unwrap().into_iter().collect();
        store.close().unwrap();
        drop(store);
        let lost: Vec<usize> = (0..shards).filter(|_| world.rng.chance(2)).collect();
        if lost.is_empty() {
            return;
        }
        lose(&env, &lost);
        let store = open(&env, shards);
        let known = Naive { live: all.clone(), now: NOW, ..Naive::default() };
        let after: BTreeSet<String> = everything(&store, &known).unwrap().into_iter().collect();
        assert!(before.is_subset(&after), "{:?}", before.difference(&after));
        let mut closed = Naive { now: NOW, ..Naive::default() };
        for ev in all.iter().filter(|ev| after.contains(&ev.id)) {
            closed.insert(ev);
        }
        let closed: BTreeSet<String> = closed.live.iter().map(|ev| ev.id.clone()).collect();
        assert_eq!(after, closed);
    });
}
