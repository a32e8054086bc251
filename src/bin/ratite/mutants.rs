//! What fuzzing holds of the tool's own decoders, over a kept corpus and over mutations of it. A failure prints the
//! input.

#[path = "../../fuzzing/mutate.rs"]
mod mutate;

use ratite::io::Rng;
use std::path::{Path, PathBuf};

fn home() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

/// Runs `target` over the corpus of this name, and over so many mutations of that.
pub fn hold(name: &str, target: fn(&[u8]), words: &[Vec<u8>], mutants: u64) {
    let corpus = home().join("corpus").join(name);
    if !home().exists() {
        return; // a package, which has no corpus
    }
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(corpus).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let kept: Vec<Vec<u8>> = paths.iter().map(|path| std::fs::read(path).unwrap()).collect();
    kept.iter().for_each(|bytes| target(bytes));
    for seed in 0..mutants {
        let mut rng = Rng::new(seed);
        let mut below = |end: usize| rng.below(end as u64) as usize;
        let mut bytes = kept[below(kept.len())].clone();
        let other = &kept[below(kept.len())];
        mutate::mutate(&mut below, &mut bytes, other, words);
        let ran = std::panic::catch_unwind(|| target(&bytes));
        assert!(ran.is_ok(), "seed {seed}: {}", bytes.escape_ascii());
    }
}

/// Writes a corpus and a dictionary.
pub fn write(name: &str, seeds: &[Vec<u8>], words: &[Vec<u8>]) {
    let corpus = home().join("corpus").join(name);
    std::fs::create_dir_all(&corpus).unwrap();
    for (n, seed) in seeds.iter().enumerate() {
        std::fs::write(corpus.join(format!("seed-{n}")), seed).unwrap();
    }
    let escaped = words.iter().map(|word| format!("\"{}\"\n", word.escape_ascii()));
    // libFuzzer knows none of these.
    let known = |line: String| {
        let line = line.replace("\\n", "\\x0a").replace("\\r", "\\x0d").replace("\\t", "\\x09");
        line.replace("\\'", "'")
    };
    let text: String = escaped.map(known).collect();
    std::fs::write(home().join(format!("dictionaries/{name}.dict")), text).unwrap();
}
