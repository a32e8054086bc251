//! Selections of many terms by marks: without a look at the dictionary while that pays, and never another answer.

use super::*;
use crate::pool::{Part, PartStats};
use crate::segment::format::kind::MARKS;

/// A store of 6,000 records of slots 0 to 29, oldest first of slots 40 and 41.
fn filled(machine: &Machine, options: &Options) -> (Store, Oracle) {
    let store = machine.open(options);
    let (mut rng, mut oracle) = (Rng::new(5), Oracle::default());
    for now in 0..6_000 {
        let slot = if now < 2 { 40 + now } else { rng.below(30) };
        let mut id = [0; 32];
        id[..8].copy_from_slice(&rng.next_u64().to_be_bytes());
        let body = [&slot.to_le_bytes()[..], &now.to_le_bytes(), &[0]].concat();
        let item = Item { key: Key { time: 1_000 + now, id }, body };
        assert_eq!(insert(&store, &item), oracle.insert(&item));
    }
    store.flush().unwrap();
    (store, oracle)
}

fn ask(slots: std::ops::Range<u64>, limit: Option<usize>, order: Order) -> Ask {
    let terms = slots.map(|slot| slot_term(slot).to_vec()).collect();
    // A budget of four terms, as `Ask::sieve` has it: 1,024 marks a segment.
    let (since, until) = (0, u64::MAX / 5 * 5 - 1);
    Ask { all_of: vec![terms], none_of: Vec::new(), ids: None, since, until, limit, order }
}

fn options() -> Options {
    // One segment a shard, so that there are pages of marks to be sifted in vain.
    Options {
        memtable_bytes: Some(4 << 20),
        memory_bytes: 64 << 20,
        shards: Some(1),
        page: Some(crate::base::PageSize::K4),
        ..Options::tiny()
    }
}

/// Pages of the dictionary that `ask` asks for; its answer is the oracle's.
fn looked_up(store: &Store, oracle: &Oracle, ask: &Ask) -> u64 {
    let requests = || {
        let at = Part::ALL.iter().position(|part| *part == Part::Dictionary).unwrap();
        let PartStats { hits, misses } = store.pool_stats().parts[at];
        hits + misses
    };
    let before = requests();
    let found = run(store, std::slice::from_ref(ask));
    let after = requests();
    let limit = ask.limit.unwrap_or(usize::MAX);
    assert_eq!(found, oracle.matches(ask).into_iter().take(limit).collect::<Vec<_>>());
    after - before
}

#[test]
fn terms_are_looked_up_only_if_their_marks_are_rare() {
    let machine = Machine::new(1);
    let (store, oracle) = filled(&machine, &options());
    for order in [Order::Newest, Order::Oldest] {
        let dense = ask(0..20, Some(300), order);
        assert_eq!(looked_up(&store, &oracle, &dense), 0, "{order:?}");
        assert_eq!(looked_up(&store, &oracle, &ask(0..20, None, order)), 0, "{order:?}");
        let text = store.explain(&[dense.select()], order).unwrap();
        assert!(text.contains("sift by marks, at first 1024; if that finds too little"), "{text}");
    }
    let rare = ask(40..42, Some(2), Order::Newest);
    assert!(looked_up(&store, &oracle, &rare) > 0);
    assert_eq!(looked_up(&store, &oracle, &ask(40..42, Some(2), Order::Oldest)), 0);
    // Slots 31 and 32 do not exist. Slot 31's mark would be slot 30's, which does not exist either: nothing is read.
    assert_eq!(run(&store, &[ask(31..33, Some(9), Order::Newest)]), []);
    // Half the candidates are of the other slot that has their mark.
    let odd = Ask { all_of: vec![vec![slot_term(7).to_vec()]], ..ask(0..1, None, Order::Newest) };
    looked_up(&store, &oracle, &odd);
}

#[test]
fn damaged_marks_cost_no_answer() {
    let machine = Machine::new(1);
    let (store, oracle) = filled(&machine, &options());
    store.close().unwrap();
    drop(store);
    let dir = Path::new("/store/shard-00");
    let mut damaged = 0;
    for name in machine.env.disk.list(dir).unwrap().iter().filter(|name| name.ends_with(".seg")) {
        let bytes = machine.disk.contents(dir.join(name)).unwrap();
        for (number, page) in bytes.chunks(4096).enumerate() {
            let kind = u32::from_le_bytes(page[4084..4088].try_into().unwrap());
            if kind == MARKS && number % 2 == 0 {
                machine.disk.flip_bit(dir.join(name), number as u64 * 4096 + 9, 3).unwrap();
                damaged += 1;
            }
        }
    }
    assert!(damaged > 1);
    let store = machine.open(&options());
    for order in [Order::Newest, Order::Oldest] {
        let whole = ask(0..20, None, order);
        assert!(looked_up(&store, &oracle, &whole) > 0, "{order:?}");
        for (since, until) in [(1_500, 4_999), (0, 3_004), (3_333, 3_334)] {
            looked_up(&store, &oracle, &Ask { since, until, ..whole.clone() });
        }
    }
}
