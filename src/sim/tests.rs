//! The simulations themselves: a fixed budget of states always, hours on demand, and each seed twice.
//!
//! `RATITE_SEED=17 cargo test --lib sim::tests::toy` runs only seed 17; `RATITE_STATES` says how many states;
//! `RATITE_SECONDS` bounds `for_hours`, which is ignored by default.

use super::subject::{Answer, Step, Subject, Told};
use super::toy::{Deed, Toy};
use super::*;
use crate::base::Result;
use crate::io::sim::SLEEPS;
use crate::io::{Clock, Env, Rng, SystemClock};
use crate::shard::SyncMode;
use crate::store::{Options, Store};

/// Seeds of one thread lie together.
const SEEDS_A_THREAD: u64 = 1 << 32;
const THREADS: u64 = 2;

/// CPU time of the calling thread, in milliseconds.
fn cpu_ms() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|first| first.parse::<u64>().ok()).unwrap_or(0) / 1_000_000
}

/// A number of the environment.
fn number(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{name}={value} is not a number")))
}

/// Checks `states` states of a model on some threads, each with simulations of its own, and says what was done.
fn simulate<S: Subject>(states: u64) -> Stats {
    if let Some(seed) = number("RATITE_SEED") {
        let stats = hunt_in::<S>(seed..seed + 1, u64::MAX).unwrap_or_else(|f| panic!("{f}"));
        println!("{}: {stats:?}", S::NAME);
        return stats;
    }
    let states = number("RATITE_STATES").unwrap_or(states);
    let one = |thread: u64| {
        let before = cpu_ms();
        let first = thread * SEEDS_A_THREAD;
        let found = hunt_in::<S>(first..first + SEEDS_A_THREAD, states.div_ceil(THREADS));
        (found.unwrap_or_else(|failure| panic!("{failure}")), cpu_ms() - before)
    };
    let found = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|thread| scope.spawn(move || one(thread))).collect();
        threads.into_iter().map(|thread| thread.join().expect("see above")).collect::<Vec<_>>()
    });
    let stats = found.iter().fold(Stats::default(), |all, (stats, _)| all.and(*stats));
    let cpu: u64 = found.iter().map(|(_, cpu)| cpu).sum();
    println!(
        "{}: {} states, {} of them inside recovery and {} right after it, {} seeds, {} s CPU ({} states a minute)",
        S::NAME,
        stats.states,
        stats.in_recovery,
        stats.after_recovery,
        stats.seeds,
        cpu / 1000,
        stats.states * 60_000 / cpu.max(1),
    );
    println!("{stats:?}");
    stats
}

/// Whether everything happened that is to be cut off, and one state in `one_in` was cut off in recovery.
fn assert_rich(stats: &Stats, one_in: u64) {
    if stats.seeds < 5 {
        return; // One seed need not have everything.
    }
    assert!(stats.in_recovery * one_in > stats.states, "{stats:?}");
    let happened = [stats.flushes, stats.merges, stats.drops, stats.mishaps, stats.refused];
    assert!(happened.iter().all(|&count| count * 20 > stats.seeds), "{stats:?}");
}

/// With the other two, a million states, and 200,000 of them inside recovery.
#[test]
fn toy() {
    assert_rich(&simulate::<Toy>(700_000), 5);
}

#[cfg(feature = "nostr")]
#[test]
fn nostr() {
    assert_rich(&simulate::<super::nostr::Nostr>(200_000), 3);
}

#[cfg(feature = "logs")]
#[test]
fn logs() {
    assert_rich(&simulate::<super::logs::Logs>(100_000), 10);
}

/// The models in turn until `RATITE_SECONDS` are over, from a seed that nobody chose.
#[test]
#[ignore = "runs for hours"]
fn for_hours() {
    let clock = SystemClock::new();
    let end = clock.monotonic_nanos() + number("RATITE_SECONDS").unwrap_or(60) * 1_000_000_000;
    let first = number("RATITE_SEED").unwrap_or(clock.unix_micros());
    println!("from seed {first} on");
    type Hunt = fn(Range<u64>, u64) -> std::result::Result<Stats, Box<Failure>>;
    let models: &[Hunt] = &[
        hunt,
        #[cfg(feature = "nostr")]
        hunt_in::<super::nostr::Nostr>,
        #[cfg(feature = "logs")]
        hunt_in::<super::logs::Logs>,
    ];
    let one = |thread: u64| {
        let (mut all, mut seed) = (Stats::default(), first + thread * SEEDS_A_THREAD);
        while clock.monotonic_nanos() < end {
            for hunt in models {
                all = all.and(hunt(seed..seed + 1, u64::MAX).unwrap_or_else(|f| panic!("{f}")));
            }
            seed += 1;
        }
        all
    };
    let stats = std::thread::scope(|scope| {
        let one = &one;
        let threads: Vec<_> = (0..THREADS).map(|thread| scope.spawn(move || one(thread))).collect();
        let each = threads.into_iter().map(|thread| thread.join().expect("see above"));
        each.fold(Stats::default(), Stats::and)
    });
    println!("{stats:?}");
}

/// `RATITE_STATES` says how many states of each seed.
#[test]
fn a_seed_does_the_same_to_every_disk_when_it_is_run_again() {
    fn twice<S: Subject>(seeds: Range<u64>) {
        let states = number("RATITE_STATES").unwrap_or(60);
        let mut seen = std::collections::BTreeSet::new();
        for seed in seeds {
            let [one, two] = [(); 2].map(|()| hunt_in::<S>(seed..seed + 1, states).unwrap());
            assert_eq!(one, two, "seed {seed}");
            assert!(seen.insert(one.io_hash), "seed {seed} does what another does");
        }
    }
    twice::<Toy>(0..100);
    #[cfg(feature = "nostr")]
    twice::<super::nostr::Nostr>(0..20);
    #[cfg(feature = "logs")]
    twice::<super::logs::Logs>(0..20);
}

/// There is nobody who could end its sleep: each would be a millisecond for nothing, and was half of the time of all.
#[test]
fn a_simulation_never_sleeps() {
    fn sleeps<S: Subject>() -> u64 {
        let before = SLEEPS.get();
        hunt_in::<S>(0..1000, 2000).unwrap_or_else(|failure| panic!("{failure}"));
        SLEEPS.get() - before
    }
    assert_eq!(sleeps::<Toy>(), 0);
    #[cfg(feature = "nostr")]
    assert_eq!(sleeps::<super::nostr::Nostr>(), 0);
    #[cfg(feature = "logs")]
    assert_eq!(sleeps::<super::logs::Logs>(), 0);
}

/// The toy on a store that answers before it syncs, and says that it does not.
#[derive(Clone)]
struct Hasty(Toy, Options);

impl Subject for Hasty {
    type Open = Store;
    type Deed = Deed;
    const NAME: &'static str = "hasty";

    fn new(rng: &mut Rng) -> Hasty {
        let mut toy = Toy::new(rng);
        let said = Options { sync: SyncMode::Always, ..toy.options().clone() };
        toy.set_sync(SyncMode::Never);
        Hasty(toy, said)
    }
    fn options(&self) -> &Options {
        &self.1
    }
    fn open(&self, env: &Env) -> Result<Store> {
        self.0.open(env)
    }
    fn store(open: &Store) -> &Store {
        open
    }
    fn shard(&self, body: &[u8]) -> usize {
        self.0.shard(body)
    }
    fn draw(&mut self, rng: &mut Rng, now: u64, rows: &[history::Rows]) -> Deed {
        self.0.draw(rng, now, rows)
    }
    fn apply(
        &self,
        deed: &Deed,
        now: u64,
        rows: &mut [history::Rows],
        step: &mut Step<'_>,
    ) -> Answer {
        self.0.apply(deed, now, rows, step)
    }
    fn perform(&self, open: &Store, deeds: &[Deed], told: &mut dyn FnMut(Told)) {
        self.0.perform(open, deeds, told);
    }
    fn probe(
        &self,
        open: &Store,
        rows: &history::Rows,
        rng: &mut Rng,
    ) -> std::result::Result<(), String> {
        self.0.probe(open, rows, rng)
    }
}

#[test]
fn a_store_that_answers_before_it_syncs_is_found_out() {
    let failure = hunt_in::<Hasty>(0..10, 10_000).unwrap_err();
    assert!(failure.stats.states < 1_000 && failure.what.contains("lost"), "{failure}");
}
