//! What `fuzz` says of any file, over a kept corpus and over mutations of it. A failure prints the input.

#[path = "../../../../fuzzing/mutate.rs"]
mod mutate;

use super::super::fuzz::config;
use super::super::resolve::Settings;
use super::super::table::{Section, Setting, all};
use ratite::io::Rng;
use std::path::{Path, PathBuf};

/// Mutants in each run of the tests.
const MUTANTS: u64 = 4_000;

fn home() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

/// Forms that no printed configuration has.
const OTHERS: [&str; 2] = [
    "store = { memtable = 1_048_576, \"sync\" = '''always''' }\nretention.rules = [\"age=1d\"]",
    "[policy]\nban = [\n  \"\\u00e9\", # why\n]\n\n[[relay]]\nlisten = \"[::]:0x1\"\n",
];

/// The configuration that nobody gave anything, section by section, as it is printed, without the comments.
fn seeds() -> Vec<String> {
    let printed = Settings::counting(&[], Vec::new()).unwrap().toml().unwrap();
    let lines = printed.lines().map(|line| line.split("  # ").next().unwrap_or(line).trim_end());
    let lines: Vec<&str> = lines.filter(|line| !line.starts_with('#')).collect();
    let sections = lines.join("\n");
    let sections = sections.split("\n\n").map(|section| format!("{}\n", section.trim()));
    sections.chain(OTHERS.map(String::from)).collect()
}

/// What a file is made of.
fn words() -> Vec<String> {
    let settings = all().map(|setting: &Setting| setting.key.to_string());
    let sections = Section::ALL.map(|section| format!("[{}]\n", section.name()));
    let marks = [" = \"", "\"\n", " MiB", " ms", "[\"", "\", \"", "{ ", "0x", "+", "_"];
    let more = ["\"\"\"", "'''", "\\u007F", "age=1d", "kinds=1", "wss://"];
    let marks = marks.into_iter().chain(more);
    settings.chain(sections).chain(marks.map(String::from)).collect()
}

#[test]
fn any_file_is_refused_with_its_line_or_means_what_is_printed_of_it() {
    let corpus = home().join("corpus/config");
    if !corpus.exists() {
        return; // a package, which has no corpus
    }
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(corpus).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let kept: Vec<Vec<u8>> = paths.iter().map(|path| std::fs::read(path).unwrap()).collect();
    kept.iter().for_each(|bytes| config(bytes));
    let words: Vec<Vec<u8>> = words().into_iter().map(String::into_bytes).collect();
    for seed in 0..MUTANTS {
        let mut rng = Rng::new(seed);
        let mut below = |end: usize| rng.below(end as u64) as usize;
        let mut bytes = kept[below(kept.len())].clone();
        let other = &kept[below(kept.len())];
        mutate::mutate(&mut below, &mut bytes, other, &words);
        let ran = std::panic::catch_unwind(|| config(&bytes));
        assert!(ran.is_ok(), "seed {seed}: {}", bytes.escape_ascii());
    }
}

#[test]
#[ignore = "writes into fuzz/corpus and fuzz/dictionaries"]
fn seeds_of_the_configuration_are_written() {
    let corpus = home().join("corpus/config");
    std::fs::create_dir_all(&corpus).unwrap();
    for (n, seed) in seeds().iter().enumerate() {
        std::fs::write(corpus.join(format!("seed-{n}")), seed).unwrap();
    }
    let escaped =
        words().into_iter().map(|word| format!("\"{}\"\n", word.as_bytes().escape_ascii()));
    // libFuzzer knows no `\n`.
    let text: String =
        escaped.map(|line| line.replace("\\n", "\\x0a").replace("\\'", "'")).collect();
    std::fs::write(home().join("dictionaries/config.dict"), text).unwrap();
}
