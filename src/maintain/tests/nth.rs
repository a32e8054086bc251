//! Every operation on the disk fails in turn, in every way that it can: what was acknowledged is there, nothing else
//! is, nobody panics or goes round in circles, and once the fault is gone the store opens and goes on.
//!
//! ```text
//!   script:  create, insert, flush, merge, remove, kill, replay, rotate, drop, close, backup, restore, reshard, repair
//!   fail the n-th operation --> the step says so, or does without --> read, write on, mend, end, open: which world is it?
//! ```
//!
//! A world is what the store may hold. A step that has failed was done or not: it doubles the worlds, and what is
//! found behind the next opening leaves one of them.

use super::*;
use crate::base::SegmentId;
use crate::io::sim::Failure;
use crate::maintain::{repair, reshard, verify};
use crate::shard::Policy;
use std::collections::BTreeSet;

/// Far more than the whole script takes.
const STEPS_MAX: u64 = 30_000;

#[derive(Clone, Debug)]
enum Act {
    Open,
    Insert(std::ops::Range<u64>),
    /// All handed over before the first answer is waited for.
    Together(std::ops::Range<u64>),
    Remove(u64),
    Read,
    Flush,
    Compact,
    /// The oldest segment.
    Drop,
    Close,
    Kill,
    Backup,
    Restore,
    Reshard(usize),
    /// Of bits that were flipped before.
    Repair,
}

fn script() -> Vec<Act> {
    use Act::{Backup, Close, Compact, Drop, Flush, Insert, Kill, Open, Read, Remove, Repair};
    use Act::{Reshard, Restore, Together};
    let first = [Open, Insert(0..3), Together(3..12), Flush, Insert(12..14), Remove(5), Flush];
    let second = [Insert(160..163), Read, Flush, Compact, Read, Insert(20..22), Kill, Open];
    let third = [Together(1_000..1_006), Insert(22..24), Flush, Drop, Together(24..28), Close];
    let fourth = [Backup, Open, Insert(164..166), Remove(24), Flush, Close, Backup, Restore];
    let last = [Reshard(2), Open, Insert(30..32), Read, Close, Repair, Open, Insert(32..34), Close];
    [&first[..], &second, &third, &fourth, &last].concat()
}

/// Records from 1,000 on fill log files.
fn body_of(n: u64) -> Vec<u8> {
    let mut body = body(n);
    if n >= 1_000 {
        body.resize(14_000, n as u8);
    }
    body
}

type World = BTreeSet<u64>;

fn put(world: &World, n: u64) -> World {
    let mut world = world.clone();
    if !world.contains(&n) {
        world.retain(|&other| slot(n).is_none() || slot(other) != slot(n));
        world.insert(n);
    }
    world
}

/// All that the store holds, each record as it was given.
fn found(store: &Store) -> Result<World> {
    let mut found = World::new();
    let mut cursor = store.query(&[Select::all()], Order::Oldest)?;
    while let Some(record) = cursor.next()? {
        let n = number(record);
        assert!(record.key == key(n) && record.body == body_of(n), "record {n} is another");
        assert!(found.insert(n), "record {n} is there twice");
    }
    Ok(found)
}

struct Run {
    machine: Machine,
    store: Option<Store>,
    worlds: Vec<World>,
    /// What the backup may hold.
    copied: Vec<World>,
    n: u64,
    failure: Failure,
}

impl Run {
    fn new(failure: Failure, n: u64) -> Run {
        let (worlds, copied) = (vec![World::new()], Vec::new());
        Run { machine: Machine::new(n), store: None, worlds, copied, n, failure }
    }

    fn options() -> Options {
        let compaction =
            Policy { fan_in: 2, inputs_max: 4, garbage_percent: 10, ..tiny().compaction };
        Options { shards: None, compaction, sync: SyncMode::Always, ..tiny() }
    }

    fn open(&self) -> Result<Store> {
        let held =
            self.machine.env.disk.list("/a".as_ref()).is_ok_and(|l| l.contains(&"STORE".into()));
        let shards = if held { None } else { Some(1) };
        let options = Options { shards, ..Run::options() };
        Store::open("/a".as_ref(), model(), &options, self.machine.env.clone())
    }

    fn store(&self) -> &Store {
        self.store.as_ref().expect("the script opens it")
    }

    /// Changes the worlds as an answer says: what failed was done or not.
    fn answered<T>(&mut self, done: Result<T>, change: impl Fn(&World) -> World) -> Result<()> {
        let mut changed: Vec<World> = self.worlds.iter().map(change).collect();
        if done.is_err() {
            changed.append(&mut self.worlds);
        }
        changed.sort();
        changed.dedup();
        self.worlds = changed;
        done.map(drop)
    }

    fn insert(&mut self, n: u64) -> Result<()> {
        let (key, body) = (key(n), body_of(n));
        let record = Record { key, body: &body };
        let done = self.store().insert(record).and_then(|pending| pending.wait());
        self.answered(done, |world| put(world, n))
    }

    fn together(&mut self, numbers: std::ops::Range<u64>) -> Result<()> {
        let store = self.store.take().expect("the script opens it");
        let hand_over = |n| store.insert(Record { key: key(n), body: &body_of(n) });
        let pending: Vec<_> = numbers.clone().map(hand_over).collect();
        let answers: Vec<_> = pending.into_iter().map(|p| p.and_then(|p| p.wait())).collect();
        let mut first = Ok(());
        for (n, answer) in numbers.zip(answers) {
            assert!(
                first.is_ok() || answer.is_err() || store.poisoned().is_none(),
                "{n} after a failure"
            );
            let done = self.answered(answer, |world| put(world, n));
            first = first.and(done);
        }
        self.store = Some(store);
        first
    }

    fn remove(&mut self, n: u64) -> Result<()> {
        let route = Toy.route(Record { key: key(n), body: &body_of(n) });
        let done = self.store().remove(route, &[key(n).id]);
        self.answered(done, |world| world.iter().copied().filter(|&other| other != n).collect())
    }

    fn drop_oldest(&mut self) -> Result<()> {
        let snapshot = self.store().snapshot();
        let view = &snapshot.shards()[0].view;
        let Some(live) = view.segments.last() else { return Ok(()) };
        let id: SegmentId = live.segment.info().id;
        let only = snapshot.only_segment(id).expect("it is there");
        let mut cursor = self.store().query_at(&only, &[Select::all()], Order::Oldest)?;
        let mut gone = World::new();
        while let Some(record) = cursor.next()? {
            gone.insert(number(record));
        }
        let done = self.store().drop_segments(0, &[id], 0);
        if matches!(done, Ok(false)) {
            return Ok(()); // what was owed to a full disk was done first, and a merge has taken it in
        }
        self.answered(done, |world| world.difference(&gone).copied().collect())
    }

    fn act(&mut self, act: &Act) -> Result<()> {
        let (env, no) = (self.machine.env.clone(), &mut |_: Step| {});
        match act {
            Act::Open => self.store = Some(self.open()?),
            Act::Insert(numbers) => numbers.clone().try_for_each(|n| self.insert(n))?,
            Act::Together(numbers) => self.together(numbers.clone())?,
            Act::Remove(n) => self.remove(*n)?,
            Act::Read => {
                let found = found(self.store())?;
                assert!(self.worlds.contains(&found), "{found:?} of {:?}", self.worlds);
            }
            Act::Flush => self.store().flush()?,
            Act::Compact => self.store().compact()?,
            Act::Drop => self.drop_oldest()?,
            Act::Close => self.store.take().map_or(Ok(()), |store| store.close())?,
            Act::Kill => {
                self.machine.disk.kill();
                self.store = None;
            }
            Act::Backup => {
                self.copied = self.worlds.clone();
                self.machine.backup("/a", "/b", How::Link)?;
            }
            Act::Restore => {
                match self.machine.restore("/b", "/c", How::Copy) {
                    // It counted before it failed.
                    Err(error) if error.to_string().contains("holds a store already") => {}
                    done => drop(done?),
                }
            }
            Act::Reshard(to) => {
                reshard::run("/a".as_ref(), &model(), *to, &Run::options(), &env, no)?;
            }
            Act::Repair => {
                let repair = || repair::run(&env, "/a".as_ref(), &model(), false, &mut ());
                // What it could not look at it says, and another run finishes.
                while repair()?.after.is_some_and(|after| !after.is_healthy()) {
                    assert!(self.machine.disk.failed().is_some() && !self.machine.disk.is_off());
                }
            }
        }
        Ok(())
    }

    /// The step failed: the store reads on, keeps to its word, and opens again once the fault is gone.
    fn recover(&mut self, act: &Act, error: &Error) {
        let text = format!(
            "{:?} {}: {:?} then {act:?}: {error}",
            self.failure,
            self.n,
            self.machine.disk.failed()
        );
        assert!(self.machine.disk.failed().is_some(), "an error without a failure: {text}");
        assert!(!self.machine.disk.is_off(), "in circles: {text}");
        let opened = self.store.is_some();
        if opened {
            let found =
                found(self.store()).unwrap_or_else(|error| panic!("no reading: {error}; {text}"));
            assert!(self.worlds.contains(&found), "{found:?} of {:?}: {text}", self.worlds);
            self.write_on(500, &text);
        }
        let early = self.n.is_multiple_of(2);
        if early {
            self.machine.disk.mend();
            if opened {
                self.write_on(502, &text);
            }
        }
        match self.n % 5 {
            0 | 1 => self.machine.disk.power_loss(),
            2 | 3 => self.machine.disk.kill(),
            _ => {}
        }
        self.store = None;
        if !early {
            // While the fault lasts it opens, or says why not.
            drop(self.open());
            self.machine.disk.mend();
        }
        let again = |run: &mut Run| {
            run.act(act).unwrap_or_else(|error| panic!("not even now: {error}; {text}"));
        };
        if matches!(act, Act::Repair) {
            again(self); // Before it, the damage is in the way.
        }
        self.look(&text);
        if matches!(act, Act::Open | Act::Backup | Act::Restore | Act::Reshard(_)) {
            again(self);
        } else if !matches!(act, Act::Close | Act::Repair) {
            self.store = Some(self.open().expect("it has just been opened"));
        }
    }

    /// Who is poisoned acknowledges nothing more; who is not keeps what it acknowledges.
    fn write_on(&mut self, from: u64, text: &str) {
        for n in from..from + 2 {
            let shard = self.store().shard_number(Record { key: key(n), body: &body_of(n) });
            let poisoned = |run: &Run| run.store().stats()[shard].poisoned;
            let before = poisoned(self);
            let done = self.insert(n);
            let after = poisoned(self);
            assert!(
                done.is_err() || !(before && after),
                "acknowledged by a poisoned shard: {text}"
            );
            let is_refused = done.as_ref().is_err_and(Error::is_disk_full);
            assert!(done.is_ok() || before || after || is_refused, "{done:?}: {text}");
        }
    }

    /// Opens the store twice and finds one of the worlds, which is the one from now on.
    fn look(&mut self, text: &str) {
        for _ in 0..2 {
            let is_born = self
                .machine
                .env
                .disk
                .list("/a".as_ref())
                .is_ok_and(|l| l.contains(&"STORE".into()));
            let store =
                self.open().unwrap_or_else(|error| panic!("does not open: {error}; {text}"));
            let found = found(&store).unwrap_or_else(|error| panic!("no reading: {error}; {text}"));
            assert!(
                self.worlds.contains(&found),
                "{found:?} of {:?} ({is_born}): {text}",
                self.worlds
            );
            self.worlds = vec![found];
            // What was shown once is never lost.
            self.machine.disk.power_loss();
        }
    }

    /// Flips a bit in STORE and one in a filter of each segment, neither of which costs a record.
    fn damage(&self) {
        for (path, bytes) in self.machine.files("/a") {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if name == "STORE" {
                self.machine.disk.flip_bit(&path, 20, 2).unwrap();
            } else if name.ends_with(".seg") {
                self.machine.disk.flip_bit(&path, bytes.len() as u64 - 2 * 4096 + 99, 2).unwrap();
            }
        }
    }

    fn run(mut self) -> Option<String> {
        self.machine.disk.fail_nth(self.n, self.failure);
        self.machine.disk.power_lasts(Some(STEPS_MAX));
        for act in script() {
            if matches!(act, Act::Repair) {
                self.damage();
            }
            if let Err(error) = self.act(&act) {
                self.recover(&act, &error);
            }
        }
        let failed = self.machine.disk.failed();
        let text = format!("{:?} {}: {failed:?}", self.failure, self.n);
        assert!(!self.machine.disk.is_off(), "in circles: {text}");
        self.machine.disk.mend();
        self.machine.disk.power_lasts(None);
        self.look(&text);
        let open = self.open().unwrap();
        open.compact().unwrap_or_else(|error| panic!("{error}: {text}"));
        open.close().unwrap();
        drop(open);
        self.look(&text);
        let report = verify::run(&self.machine.env, "/a".as_ref(), &model(), &mut ()).unwrap();
        assert!(report.findings.is_empty(), "{:?}: {text}", report.findings);
        let copy = self.machine.open("/c");
        let found = found(&copy).unwrap();
        assert!(self.copied.contains(&found), "the copy holds {found:?}: {text}");
        failed
    }
}

fn step() -> u64 {
    std::env::var("RATITE_STEP").ok().and_then(|step| step.parse().ok()).unwrap_or(1)
}

/// Fails every `step`-th operation from the `first` on in this way; what failed, and how often.
fn each(failure: Failure, step: u64, first: u64) -> BTreeMap<String, u64> {
    let mut met = BTreeMap::new();
    let mut n = first;
    while let Some(failed) = Run::new(failure, n).run() {
        let op = failed.split(' ').nth(2).unwrap_or_default();
        *met.entry(op.to_owned()).or_default() += 1;
        n += step;
    }
    println!("{failure:?}: {} operations, {met:?}", n - step);
    met
}

const WAYS: [Failure; 8] = [
    Failure::Eio,
    Failure::NoSpace,
    Failure::Full,
    Failure::Quota,
    Failure::ReadOnly,
    Failure::Files,
    Failure::Short,
    Failure::Again,
];

#[test]
fn whichever_operation_fails_nothing_acknowledged_is_lost_and_nothing_else_is_there() {
    for (failure, step) in WAYS.into_iter().zip([41, 7, 7, 19, 19, 19, 19, 19]) {
        let met = each(failure, step, 5);
        assert!(met.values().sum::<u64>() > 10, "{failure:?}: {met:?}");
    }
}

/// `cargo test --lib every_operation_of_the_script -- --ignored --nocapture`; of one only, as a failure names it, with
/// `RATITE_NTH="Eio 213"`.
#[test]
#[ignore = "some minutes; some of it runs always"]
fn every_operation_of_the_script_fails_once_in_each_way() {
    let one = std::env::var("RATITE_NTH").unwrap_or_default();
    match one.split_once(' ') {
        Some((way, n)) => {
            let failure = WAYS.into_iter().find(|failure| format!("{failure:?}") == way);
            Run::new(failure.expect("a way"), n.parse().expect("a number")).run();
        }
        None => WAYS.iter().for_each(|&failure| drop(each(failure, step(), 1))),
    }
}
