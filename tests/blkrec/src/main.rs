//! Crash states of a real ext4 under a real store: every write of the block device is recorded with its flushes and with
//! the answers that the store gave; then disks are made as a power cut may have left them, mounted and compared.
//!
//! ```text
//!   writer (a process of the test binary) -> ext4 -> loop device -> FUSE file: device::Device, the log
//!      \--answers on a pipe----------------------------------------------------------^
//!   a point of the log -> what was flushed, and some of the rest -> image -> mount (journal replay) -> checker process
//! ```
//!
//! 1. An answer enters the log after everything that was on the device when it was given, so a state never asks for
//!    more than was promised.
//! 2. What was flushed before the point is in every state. What was not, is there whole, not at all, write by write or
//!    sector by sector, as the seed says.
//! 3. Needs root, /dev/fuse and a loop device. A machine without them says so, and that is no failure.

mod device;
mod machine;
mod replay;

use device::Rng;
use machine::{Fallible, Machine};
use std::path::PathBuf;
use std::process::ExitCode;

const USAGE: &str = "\
blkrec TESTS KIND crash STATES [SYNC [SEED]]   so many states of one run; SYNC is always, batch or never
blkrec TESTS KIND eio RUNS [SEED]              so many runs whose device fails for good after some writes

TESTS is the binary of `cargo test --test it --no-run`, KIND is events or records.";

/// Bytes of the device.
const DEVICE_BYTES: usize = 48 << 20;

/// Answers after which the writer of a run is killed.
const ANSWERS: usize = 4_000;

/// What a run is to do.
pub struct Task {
    /// The test binary that has the writer and the checker.
    pub tests: PathBuf,
    pub kind: String,
    pub sync: String,
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let [tests, kind, what, count, more @ ..] = &args[..] else {
        println!("{USAGE}");
        return ExitCode::from(2);
    };
    let count: u64 = count.parse().unwrap_or(200);
    let (sync, seed) = match (*what, more) {
        ("crash", [sync, seed, ..]) => (*sync, *seed),
        ("crash", [sync]) => (*sync, "1"),
        (_, [seed]) => ("always", *seed),
        _ => ("always", "1"),
    };
    let seed = seed.parse().unwrap_or(1);
    let task = Task { tests: tests.into(), kind: (*kind).into(), sync: sync.into() };
    let ran = match *what {
        "crash" => crash_states(&task, count, seed),
        "eio" => failing_devices(&task, count, seed),
        _ => Err(USAGE.into()),
    };
    match ran {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(why) if why.starts_with("SKIPPED") => {
            println!("{why}");
            ExitCode::SUCCESS
        }
        Err(why) => {
            println!("blkrec: {why}");
            ExitCode::FAILURE
        }
    }
}

/// Records one run and checks so many of its states; how many of them had lost something.
fn crash_states(task: &Task, states: u64, seed: u64) -> Fallible<u64> {
    let mut machine = Machine::start(DEVICE_BYTES)?;
    let run = machine.record(task, ANSWERS, None)?;
    let log = machine.stop()?;
    let (writes, flushes) = log.counts();
    println!("recorded: {} answers, {writes} writes, {flushes} flushes; {}", run.answers, run.said);
    let mut rng = Rng(seed);
    let points = log.points(run.begin, states, &mut rng);
    let (mut lost, mut checked) = (0, [0; 4]);
    let mut disks = replay::Disks::new(&log, DEVICE_BYTES);
    for (state, point) in points.into_iter().enumerate() {
        let cut = replay::Cut::ALL[state % 4];
        let (image, acks) = disks.at(point, cut, &mut rng);
        match machine::check(task, image, &acks, &log.last_answer()) {
            Ok(_) => checked[state % 4] += 1,
            Err(why) => {
                lost += 1;
                println!("state {state}, point {point}, {cut:?}, {} answers: {why}", acks.len());
            }
        }
    }
    println!(
        "{} {}, sync {}, seed {seed}: {states} crash states of ext4, {lost} with losses; as expected: \
         {} with all writes, {} without what was not flushed, {} write by write, {} sector by sector",
        task.kind, run.answers, task.sync, checked[0], checked[1], checked[2], checked[3]
    );
    Ok(lost)
}

/// Lets the device fail after some writes of a run, for good; how often something that was answered was not there.
fn failing_devices(task: &Task, runs: u64, seed: u64) -> Fallible<u64> {
    let (mut rng, mut lost, mut answers) = (Rng(seed), 0, 0);
    for number in 0..runs {
        let mut machine = Machine::start(DEVICE_BYTES)?;
        let after = 20 + rng.below(1_500);
        let run = machine.record(task, usize::MAX, Some(after as usize))?;
        let log = machine.stop()?;
        let mut disks = replay::Disks::new(&log, DEVICE_BYTES);
        let (image, acks) = disks.at(log.len(), replay::Cut::Nothing, &mut rng);
        answers += run.answers;
        if let Err(why) = machine::check(task, image, &acks, &log.last_answer()) {
            lost += 1;
            println!("run {number}, EIO after {after} writes, {} answers: {why}", acks.len());
        } else {
            println!(
                "run {number}: EIO after {after} writes, {} answers; {}",
                acks.len(),
                run.said
            );
        }
    }
    println!("{}: {runs} devices that failed, {answers} answers, {lost} with losses", task.kind);
    Ok(lost)
}
