//! What `fuzz` says of any file, over a kept corpus and over mutations of it. A failure prints the input.

use super::super::fuzz::config;
use super::super::resolve::Settings;
use super::super::table::{Section, Setting, all};
use crate::mutants;

/// Mutants in each run of the tests.
const MUTANTS: u64 = 4_000;

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
fn words() -> Vec<Vec<u8>> {
    let settings = all().map(|setting: &Setting| setting.key.to_string());
    let sections = Section::ALL.map(|section| format!("[{}]\n", section.name()));
    let marks = [" = \"", "\"\n", " MiB", " ms", "[\"", "\", \"", "{ ", "0x", "+", "_"];
    let more = ["\"\"\"", "'''", "\\u007F", "age=1d", "kinds=1", "wss://"];
    let marks = marks.into_iter().chain(more);
    let words = settings.chain(sections).chain(marks.map(String::from));
    words.map(String::into_bytes).collect()
}

#[test]
fn any_file_is_refused_with_its_line_or_means_what_is_printed_of_it() {
    mutants::hold("config", config, &words(), MUTANTS);
}

#[test]
#[ignore = "writes into fuzz/corpus and fuzz/dictionaries"]
fn seeds_of_the_configuration_are_written() {
    let seeds: Vec<Vec<u8>> = seeds().into_iter().map(String::into_bytes).collect();
    mutants::write("config", &seeds, &words());
}
