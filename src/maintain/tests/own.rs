//! Everything here, on stores that make their ids themselves.

use super::*;
use crate::maintain::inspect::{self, Ask};
use crate::maintain::{repair, reshard, verify};
use crate::segment::format::kind;
use crate::store::tests::own;

const DIR: &str = "/a";

/// A store of two shards with segments and a log, at rest; and what it holds.
fn filled(machine: &Machine) -> Vec<own::Item> {
    let options = Options { shards: Some(2), ..tiny() };
    let open = |options: &Options| {
        Store::open(DIR.as_ref(), own::model(true), options, machine.env.clone()).unwrap()
    };
    let store = open(&options);
    let mut rng = io::Rng::new(1);
    let items: Vec<own::Item> = (0..1500).map(|n| own::item(&mut rng, n)).collect();
    for (n, item) in items.iter().enumerate() {
        store.insert(own::record(item)).unwrap().wait().unwrap();
        if n % 450 == 449 {
            store.flush().unwrap();
        }
    }
    machine.disk.kill();
    std::mem::forget(store);
    let mut items = items;
    items.sort();
    items
}

fn held(machine: &Machine, dir: &str) -> Vec<own::Item> {
    let options = Options { shards: None, create: false, ..tiny() };
    let store = Store::open(dir.as_ref(), own::model(true), &options, machine.env.clone()).unwrap();
    own::held(&store)
}

fn verified(machine: &Machine, dir: &str) -> bool {
    verify::run(&machine.env, dir.as_ref(), &own::model(true), &mut ()).unwrap().is_healthy()
}

fn repaired(machine: &Machine) -> repair::Repaired {
    let done = repair::run(&machine.env, DIR.as_ref(), &own::model(true), false, &mut ()).unwrap();
    assert!(verified(machine, DIR), "{:?}", done.actions);
    done
}

fn files(machine: &Machine, end: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    for shard in ["shard-00", "shard-01"] {
        let dir = Path::new(DIR).join(shard);
        let names = machine.env.disk.list(&dir).unwrap();
        paths.extend(names.iter().filter(|name| end(name)).map(|name| dir.join(name)));
    }
    paths.sort();
    paths
}

#[test]
fn a_store_of_own_ids_is_verified_copied_and_given_other_shards() {
    let machine = Machine::new(1);
    let items = filled(&machine);
    assert!(verified(&machine, DIR));
    machine.backup(DIR, "/b", How::Link).unwrap();
    machine.restore("/b", "/c", How::Copy).unwrap();
    assert!(verified(&machine, "/b") && verified(&machine, "/c"));
    assert_eq!(held(&machine, "/c"), items);
    let done = reshard::run(DIR.as_ref(), &own::model(true), 8, &tiny(), &machine.env, &mut |_| {});
    assert_eq!(done.unwrap().records, 1500);
    assert_eq!(held(&machine, DIR), items);
    assert!(verified(&machine, DIR));
}

#[test]
fn every_record_of_own_ids_is_shown() {
    let machine = Machine::new(2);
    let items = filled(&machine);
    let (mut records, mut damaged) = (0, 0);
    let ask = Ask { records: true, terms: true, ..Ask::default() };
    for path in files(&machine, |name| name.ends_with(".seg")) {
        inspect::file(&machine.env, &path, &ask, &mut |line| {
            records += usize::from(line.what == "record");
            damaged += usize::from(line.damage.is_some());
            Ok(true)
        })
        .unwrap();
    }
    assert!(damaged == 0 && records > 1000 && records < items.len(), "{records} {damaged}");
}

#[test]
fn a_damaged_column_of_own_ids_costs_what_stands_on_the_page() {
    let machine = Machine::new(3);
    let items = filled(&machine);
    let path = files(&machine, |name| name.ends_with(".seg")).remove(0);
    let bytes = machine.disk.contents(&path).unwrap();
    let page = bytes.chunks(4096).position(|page| page[4084..4088] == kind::IDS.to_le_bytes());
    machine.disk.flip_bit(&path, page.unwrap() as u64 * 4096 + 100, 1).unwrap();
    assert!(!verified(&machine, DIR));
    let lost: u64 = repaired(&machine).lost.iter().map(|lost| lost.records).sum();
    assert!(lost > 0);
    let left = held(&machine, DIR);
    assert_eq!(left.len() as u64 + lost, items.len() as u64);
    assert!(left.iter().all(|item| items.binary_search(item).is_ok()));
}

#[test]
fn a_store_of_own_ids_without_manifests_is_made_whole_and_has_nothing_twice() {
    let machine = Machine::new(4);
    let items = filled(&machine);
    for path in files(&machine, |name| name.starts_with("manifest-")) {
        machine.disk.flip_bit(&path, 20, 1).unwrap();
    }
    assert!(!verified(&machine, DIR));
    repaired(&machine);
    assert_eq!(held(&machine, DIR), items);
}
