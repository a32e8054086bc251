//! A device that cannot be read for a moment, while a repair reads what it makes anew.

use super::*;
use crate::io::sim::{Failure, Survivors};
use crate::io::{ManualClock, SeededEntropy};
use crate::maintain::repair;

/// A store of two shards, of whose segments each has a flipped bit that costs no record.
fn damaged() -> Machine {
    let machine = Machine::new(1);
    let options = Options { shards: Some(2), ..tiny() };
    let store = Store::open(Path::new("/a"), model(), &options, machine.env.clone()).unwrap();
    (0..40).for_each(|n| insert(&store, n).unwrap());
    store.flush().unwrap();
    (40..60).for_each(|n| insert(&store, n).unwrap());
    store.close().unwrap();
    for (path, bytes) in machine.files("/a") {
        if path.extension().is_some_and(|extension| extension == "seg") {
            machine.disk.flip_bit(&path, bytes.len() as u64 - 2 * 4096 + 99, 2).unwrap();
        }
    }
    machine
}

#[test]
fn a_repair_that_cannot_read_for_a_moment_gives_nothing_up() {
    let machine = damaged();
    let moment = machine.disk.moment();
    for failure in [Failure::Eio, Failure::Short, Failure::Again] {
        let mut n = 0;
        loop {
            n += 1;
            let disk = moment.crash(n, Survivors::All, Survivors::All);
            let clock = Arc::new(ManualClock::new(1 << 50));
            let entropy = Arc::new(SeededEntropy::new(n));
            let machine = Machine { env: Env { disk: disk.clone(), clock, entropy }, disk };
            machine.disk.fail_nth(n, failure);
            let (mut lost, mut anew, mut ended) = (0, 0, false);
            for _ in 0..2 {
                match repair::run(&machine.env, "/a".as_ref(), &model(), false, &mut ()) {
                    Ok(done) => {
                        lost += done.lost.len();
                        anew += done.actions.iter().filter(|act| act.what.contains("anew")).count();
                    }
                    // What it did before that is told to nobody.
                    Err(_) => ended = true,
                }
            }
            let failed = machine.disk.failed();
            assert!(anew > 1 || ended, "{failure:?} {n}: both segments are damaged");
            machine.disk.mend();
            assert_eq!(lost, 0, "{failure:?} {n}: {failed:?}");
            assert!(machine.contents("/a") == expected(60), "{failure:?} {n}: {failed:?}");
            if failed.is_none() {
                break;
            }
        }
        println!("{failure:?}: {n} operations");
        assert!(n > 40, "{failure:?}: {n} operations");
    }
}
