//! Which tests come by which mutants, and what they say of each.
//!
//! J1. A mutant is *caught* if a test fails or stands still with it, *missed* if all that come by it pass, and
//!     *unreached* if none comes by it, which is missed too.
//! J2. Whatever is known already is not found out again: files of results are only added to.

use crate::process::{self, End};
use crate::{Outcome, read_list};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Processor time of the first batch of tests that a mutant is tried with, in milliseconds; each one after it may take
/// three times as long, since most mutants are caught by the first.
const BATCH_MS: u64 = 60;
const BATCH_TESTS: usize = 24;

/// What one test did: its time in milliseconds, and the mutants that it came by.
struct Covered {
    name: String,
    ms: u64,
    mutants: BTreeSet<usize>,
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

/// Does `work` to each of `0..count` on some threads.
fn each(count: usize, work: impl Fn(usize, usize) -> Outcome<()> + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for thread in 0..number("RATITE_JOBS", 2) as usize {
            let (next, work) = (&next, &work);
            scope.spawn(move || {
                loop {
                    let i = next.fetch_add(1, Relaxed);
                    if i >= count {
                        return;
                    }
                    if let Err(error) = work(thread, i) {
                        eprintln!("{i}: {error}");
                    }
                }
            });
        }
    });
}

fn append(path: &Path, lock: &Mutex<()>, line: &str) -> Outcome<()> {
    let _one = lock.lock();
    let mut file = fs::OpenOptions::new().create(true).append(true).open(path)?;
    Ok(writeln!(file, "{line}")?)
}

/// Runs each test of `bin` whose name begins with one of `prefixes` (all, if there are none) alone, and adds what it
/// came by to `out/cover`.
pub fn cover(bin: &Path, out: &Path, prefixes: &[&str]) -> Outcome<()> {
    fs::create_dir_all(out)?;
    let known: BTreeSet<String> = covered(out)?.into_iter().map(|test| test.name).collect();
    let list = Command::new(bin).args(["--list", "--format", "terse"]).output()?;
    let list = String::from_utf8(list.stdout)?;
    let tests = list.lines().filter_map(|line| line.strip_suffix(": test"));
    let asked =
        |test: &&str| prefixes.is_empty() || prefixes.iter().any(|prefix| test.starts_with(prefix));
    let tests: Vec<&str> = tests.filter(asked).filter(|test| !known.contains(*test)).collect();
    // A test that takes longer is left out.
    let seconds = number("RATITE_TEST_SECONDS", 120);
    let lock = Mutex::new(());
    each(tests.len(), |thread, i| {
        let work = out.join(format!("work{thread}"));
        fs::create_dir_all(&work)?;
        let seen = fs::canonicalize(&work)?.join("seen");
        let _none = fs::remove_file(&seen);
        let mutant = format!("cover:{}", seen.display());
        let (end, ms) = process::run(bin, &tests[i..=i], &mutant, seconds, &work)?;
        let seen = fs::read_to_string(&seen).unwrap_or_default();
        let seen: Vec<&str> = seen.lines().collect();
        let line = format!("{}\t{ms}\t{end:?}\t{}", tests[i], seen.join(","));
        append(&out.join("cover"), &lock, &line)
    });
    Ok(())
}

fn covered(out: &Path) -> Outcome<Vec<Covered>> {
    let text = fs::read_to_string(out.join("cover")).unwrap_or_default();
    let mut found = Vec::new();
    for line in text.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let [name, ms, end, mutants] = fields[..] else { continue };
        let mutants = mutants.split(',').filter_map(|id| id.parse().ok()).collect();
        let mutants = if end == "Passed" { mutants } else { BTreeSet::new() };
        found.push(Covered { name: name.to_owned(), ms: ms.parse()?, mutants });
    }
    Ok(found)
}

/// Runs the tests that come by each mutant with it, until one fails, and adds what they say to `out/judged`.
pub fn judge(bin: &Path, list: &Path, out: &Path, only: &[&str]) -> Outcome<()> {
    let tests = covered(out)?;
    let judged: BTreeSet<usize> = results(out).into_keys().collect();
    let mut todo = Vec::new();
    for (file, mutant, _) in read_list(list)? {
        let id = mutant.id.to_string();
        let asked = only.is_empty() || only.iter().any(|o| *o == id || file.starts_with(o));
        if asked && (only.contains(&id.as_str()) || !judged.contains(&mutant.id)) {
            todo.push((file, mutant.id));
        }
    }
    // In an order drawn from a seed, so that a run that is ended is a sample.
    let seed = number("RATITE_SEED", 1);
    todo.sort_by_key(|(_, id)| mixed(seed << 32 | *id as u64));
    let lock = Mutex::new(());
    each(todo.len(), |thread, i| {
        let (file, id) = &todo[i];
        let work = out.join(format!("work{thread}"));
        fs::create_dir_all(&work)?;
        let mut tests: Vec<&Covered> =
            tests.iter().filter(|test| test.mutants.contains(id)).collect();
        let module = file.trim_start_matches("src/").trim_end_matches(".rs").replace('/', "::");
        let floor = module.split("::").next().unwrap_or_default().to_owned() + "::";
        tests.sort_by_key(|test| {
            let near = test.name.starts_with(&module);
            let nearer = if near { 16 } else { 1 + 3 * u64::from(test.name.starts_with(&floor)) };
            (test.ms + 10) * 16 / nearer
        });
        let (end, by, ms) = judge_one(bin, *id, &tests, &work)?;
        append(&out.join("judged"), &lock, &format!("{id}\t{end}\t{ms}\t{by}"))
    });
    Ok(())
}

/// SplitMix64.
fn mixed(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ x >> 31
}

/// What `tests` say of a mutant: the word, the test, and the processor time in milliseconds.
fn judge_one(
    bin: &Path,
    id: usize,
    tests: &[&Covered],
    work: &Path,
) -> Outcome<(&'static str, String, u64)> {
    let (mut rest, mut sum, mut batch_ms) = (tests, 0, BATCH_MS);
    while !rest.is_empty() {
        let mut ms = 0;
        let batch = rest.iter().take(BATCH_TESTS).take_while(|test| {
            ms += test.ms;
            ms <= batch_ms
        });
        let count = batch.count().max(1);
        let (batch, behind) = rest.split_at(count);
        let names: Vec<&str> = batch.iter().map(|test| test.name.as_str()).collect();
        let usual: u64 = batch.iter().map(|test| test.ms).sum();
        let seconds = usual * 10 / 1000 + 3;
        let (end, ms) = process::run(bin, &names, &id.to_string(), seconds, work)?;
        sum += ms;
        let word = match end {
            End::Passed => {
                (rest, batch_ms) = (behind, batch_ms * 3);
                if sum > number("RATITE_BUDGET", 300) * 1000 {
                    return Ok(("unsure", String::new(), sum));
                }
                continue;
            }
            End::Failed => "caught",
            End::Late => "timeout",
        };
        let log = String::from_utf8_lossy(&fs::read(work.join("log"))?).into_owned();
        let failed = log.lines().find(|line| line.starts_with("test ") && !line.ends_with("ok"));
        return Ok((word, failed.unwrap_or(names[0]).chars().take(120).collect(), sum));
    }
    Ok((if tests.is_empty() { "unreached" } else { "missed" }, String::new(), sum))
}

/// The last word on each mutant.
fn results(out: &Path) -> BTreeMap<usize, String> {
    let text = fs::read_to_string(out.join("judged")).unwrap_or_default();
    let lines = text.lines().filter_map(|line| {
        let (id, rest) = line.split_once('\t')?;
        Some((id.parse().ok()?, rest.split('\t').next()?.to_owned()))
    });
    lines.collect()
}

/// Prints how many mutants of each file are what, and which are missed.
pub fn table(list: &Path, out: &Path) -> Outcome<()> {
    let results = results(out);
    let mut files: BTreeMap<String, BTreeMap<String, usize>> = BTreeMap::new();
    for (file, mutant, name) in read_list(list)? {
        let word = results.get(&mutant.id).map_or("not judged", String::as_str);
        *files.entry(file).or_default().entry(word.to_owned()).or_default() += 1;
        if !["caught", "timeout", "not judged"].contains(&word) {
            println!("{word}\t{}\t{name}", mutant.id);
        }
    }
    for (file, words) in files {
        println!("{file}\t{words:?}");
    }
    Ok(())
}
