//! Non-interference: what a client hears does not depend on private events that it is no party to.
//!
//! ```text
//!   seed --> two stores, the same but for private events of others      script --> one client on each
//!   each step: said to both, until nothing is under way --> the same bytes, or seed, script and difference
//! ```
//!
//! `world` is a relay without sockets: the session of a connection, the front it belongs to, a store in memory whose
//! shards run on the test's thread. So nothing is left to chance but what the seed says. A challenge is the same for
//! all connections here; nothing else is taken out of what is compared.
//!
//! What the others do between the steps differs too: private events come into one store, or other ones into the other.

mod script;
mod world;

use crate::base::plant::{self, Bug};
use crate::io::Rng;
use script::{Cast, Script, Step};
use world::World;

/// Scripts of one pair of stores, which keeps what they leave behind.
const SCRIPTS: u64 = 50;

/// Pairs of stores of each run of the tests.
const PAIRS: u64 = 200;

/// Runs the scripts of one pair of stores.
fn run(seed: u64) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        let mut rng = Rng::new(seed);
        let mut cast = Cast::new(&mut rng);
        let config = cast.config(&mut rng);
        let mut worlds = [World::new(config), World::new(config)];
        for step in cast.history(&mut rng) {
            for (world, side) in worlds.iter_mut().zip(0..) {
                world.act(&step, side).await;
            }
        }
        worlds.iter().for_each(World::flush);
        for number in 0..SCRIPTS {
            let script = cast.script(&mut rng);
            play(&mut worlds, &script, &format!("seed {seed}, script {number}")).await;
        }
    });
}

/// Plays one script to both worlds; panics with the first difference.
async fn play(worlds: &mut [World; 2], script: &Script, name: &str) {
    worlds.iter_mut().for_each(World::connect);
    for (number, step) in script.steps.iter().enumerate() {
        let mut said = Vec::new();
        for (world, side) in worlds.iter_mut().zip(0..) {
            said.push(world.act(step, side).await);
        }
        let (one, other) = (&said[0], &said[1]);
        if one == other {
            continue;
        }
        let at = one.iter().zip(other).take_while(|(one, other)| one == other).count();
        let line = |said: &[String]| said.get(at).cloned().unwrap_or("nothing".into());
        let before: Vec<String> = script.steps[..=number].iter().map(Step::to_string).collect();
        panic!(
            "{name}, step {number}, message {at}:\n  {}\n  {}\nafter\n{}",
            line(one),
            line(other),
            before.join("\n")
        );
    }
}

/// How much the scripts of a seed say, so that silence is no agreement.
#[test]
fn scripts_reach_every_verb_and_every_answer() {
    let mut heard = std::collections::BTreeMap::<String, u64>::new();
    for seed in 0..16 {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let local = tokio::task::LocalSet::new();
        local.block_on(&runtime, async {
            let mut rng = Rng::new(seed);
            let mut cast = Cast::new(&mut rng);
            let mut world = World::new(cast.config(&mut rng));
            for step in cast.history(&mut rng) {
                world.act(&step, 0).await;
            }
            for _ in 0..SCRIPTS {
                world.connect();
                for step in cast.script(&mut rng).steps {
                    for line in world.act(&step, 0).await {
                        *heard.entry(shape(&line)).or_default() += 1;
                    }
                }
            }
        });
    }
    for shape in [
        "EVENT",
        "EOSE",
        "COUNT",
        "COUNT hll",
        "NEG-MSG",
        "NEG-ERR blocked",
        "NEG-ERR auth-required",
        "CLOSED auth-required",
        "OK true",
        "OK true duplicate",
        "OK false invalid",
        "OK false blocked",
        "OK false auth-required",
        "OK false restricted",
    ] {
        assert!(heard.get(shape).is_some_and(|count| *count >= 2), "{shape}: {heard:?}");
    }
}

/// A message, as far as it says what kind of answer it is.
fn shape(line: &str) -> String {
    let message: serde_json::Value = serde_json::from_str(line).unwrap();
    let verb = message[0].as_str().unwrap();
    let word = message.as_array().unwrap().last().unwrap().as_str().unwrap_or_default();
    let word = word.split_once(": ").map_or("", |(word, _)| word);
    let more = match verb {
        "OK" => format!(" {} {word}", message[2]),
        "CLOSED" | "NEG-ERR" | "NOTICE" => format!(" {word}"),
        "COUNT" if message[2].get("hll").is_some() => " hll".into(),
        _ => String::new(),
    };
    format!("{verb}{more}").trim_end().into()
}

#[test]
fn private_events_of_others_change_nothing_that_a_client_hears() {
    (0..PAIRS).for_each(run);
}

/// The scripts judged: each leak that is planted is heard, where it is, within the pairs of a run.
#[test]
fn every_leak_that_is_planted_is_heard() {
    let bugs: [(Bug, &[&str]); 3] = [
        (Bug::CountOfTheHidden, &["[\"COUNT\","]),
        (Bug::DuplicateToldToStrangers, &["duplicate: "]),
        // At once, or in an answer later: one side holds the deletion.
        (Bug::DeletionRefusedByTheHidden, &["invalid: only the author", "\"kind\":5"]),
    ];
    for (bug, heard_in) in bugs {
        let leak = |seed| {
            let panic = std::panic::catch_unwind(|| plant::with(bug, || run(seed))).err()?;
            Some((seed, *panic.downcast::<String>().expect("a difference")))
        };
        let heard = (0..PAIRS).find_map(leak);
        let (seed, why) = heard.unwrap_or_else(|| panic!("{bug:?} is not heard"));
        let difference: Vec<&str> = why.lines().take(3).collect();
        println!("{bug:?}: {}", difference.join("\n"));
        let is_difference = difference[0].starts_with(&format!("seed {seed}, script "));
        let is_there =
            difference[1..].iter().any(|line| heard_in.iter().any(|word| line.contains(word)));
        assert!(is_difference && is_there, "{bug:?}: {why}");
        run(seed);
    }
}

/// `RATITE_SEED` is the first pair of stores, `RATITE_PAIRS` how many; each has 50 scripts.
#[test]
#[ignore = "ten thousand scripts take about a minute: cargo test --lib ten_thousand_scripts -- --ignored"]
fn ten_thousand_scripts_agree() {
    let number = |name: &str, default| {
        std::env::var(name).map_or(default, |text| text.parse::<u64>().unwrap())
    };
    let first = number("RATITE_SEED", 1_000);
    (first..first + number("RATITE_PAIRS", 200)).for_each(run);
}
