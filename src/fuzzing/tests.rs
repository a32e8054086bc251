//! Every target over its kept corpus, and over some thousands of mutations of it.
//!
//! A failure prints the input, and the command that replays it. `RATITE_FUZZ=NAME:SEED` runs one seed of one target.

use super::TARGETS;
use super::mutate::mutate;
use crate::io::Rng;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};

/// Mutants of each target. Those that write or open whole files take a tenth of that.
const MUTANTS: u64 = 10_000;
const SLOW: [&str; 2] = ["segment", "wal"];

fn home() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

/// The files of a directory, in the order of their names.
fn contents(dir: &Path) -> Vec<Vec<u8>> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

/// The words of a dictionary of libFuzzer: a text in quotes a line, with `\xAB`, `\"` and `\\`.
fn words(text: &str) -> Vec<Vec<u8>> {
    let word = |line: &str| {
        let text = line.trim().strip_prefix('"')?.strip_suffix('"')?.as_bytes().to_vec();
        let (mut word, mut rest) = (Vec::new(), &text[..]);
        while let [first, behind @ ..] = rest {
            rest = behind;
            match (first, behind) {
                (b'\\', [b'x', digits @ ..]) => {
                    let digits = std::str::from_utf8(&digits[..2]).unwrap();
                    word.push(u8::from_str_radix(digits, 16).unwrap());
                    rest = &rest[3..];
                }
                (b'\\', [quoted, behind @ ..]) => {
                    word.push(*quoted);
                    rest = behind;
                }
                _ => word.push(*first),
            }
        }
        Some(word)
    };
    text.lines().filter_map(word).collect()
}

/// Runs the target of this name.
fn run(name: &str, bytes: &[u8]) {
    let found = TARGETS.iter().find(|(known, _)| *known == name);
    let (_, target) = found.unwrap_or_else(|| panic!("there is no target {name}"));
    target(bytes);
}

/// Runs `name` on `bytes`; a panic goes on once it is said how to see it again.
fn checked(name: &str, bytes: &[u8], seed: &str) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| run(name, bytes))) {
        let test = "every_target_holds_on_its_corpus_and_on_mutations_of_it";
        eprintln!("{name} fails on {}", bytes.escape_ascii());
        eprintln!("again: RATITE_FUZZ={name}:{seed} cargo test --lib {test}");
        resume_unwind(panic);
    }
}

fn mutants(name: &str, seeds: std::ops::Range<u64>) {
    let corpus = contents(&home().join("corpus").join(name));
    let text = std::fs::read_to_string(home().join("dictionaries").join(format!("{name}.dict")));
    let words = words(&text.unwrap_or_default());
    assert!(!corpus.is_empty(), "{name} has no corpus");
    for seed in seeds {
        let mut rng = Rng::new(seed);
        let mut below = |end: usize| rng.below(end as u64) as usize;
        let mut bytes = corpus[below(corpus.len())].clone();
        let other = &corpus[below(corpus.len())];
        if seed > 0 {
            mutate(&mut below, &mut bytes, other, &words);
        } else {
            corpus.iter().for_each(|kept| checked(name, kept, "0"));
        }
        checked(name, &bytes, &seed.to_string());
    }
}

#[test]
fn every_target_holds_on_its_corpus_and_on_mutations_of_it() {
    if !home().exists() {
        return; // a package, which has no corpus
    }
    if let Ok(asked) = std::env::var("RATITE_FUZZ") {
        let (name, seed) = asked.split_once(':').expect("NAME:SEED");
        let seed = seed.parse().expect("a number");
        return mutants(name, seed..seed + 1);
    }
    for (name, _) in TARGETS {
        let slow = SLOW.contains(name);
        mutants(name, 0..if slow { MUTANTS / 10 } else { MUTANTS });
    }
}

#[test]
fn every_target_has_a_program_and_every_program_a_target() {
    if !home().exists() {
        return;
    }
    let manifest = std::fs::read_to_string(home().join("Cargo.toml")).unwrap();
    let programs: Vec<&str> =
        manifest.lines().filter_map(|line| line.strip_prefix("name = \"")).collect();
    for (name, _) in TARGETS {
        assert!(
            programs.contains(&format!("{name}\"").as_str()),
            "{name} is not in fuzz/Cargo.toml"
        );
    }
    // The package itself, and those that need more than the library.
    let others = ["ratite-fuzz", "config", "event_operations", "log_append", "log_operations"];
    for program in programs.iter().map(|program| program.trim_end_matches('"')) {
        let known = others.contains(&program) || TARGETS.iter().any(|(name, _)| *name == program);
        assert!(known, "{program} has no target");
    }
}
