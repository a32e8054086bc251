//! All mutants of cargo-mutants in one build: each behind a switch that an environment variable turns on.
//!
//! ```text
//!   cargo mutants --list --json --> LIST --> mutants plant LIST TREE     a copy of the repository, changed
//!   cargo test --no-run in TREE --> BIN  --> mutants cover BIN OUT       which test comes by which switch
//!                                            mutants judge BIN LIST OUT  those tests, once for each mutant
//! ```
//!
//! A build of the library takes a minute, a test some milliseconds: so a mutant costs what its tests take.

mod judge;
mod places;
mod plant;
mod process;

use plant::{Guilty, Mutant};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

const USAGE: &str = "plant LIST TREE [CARGO FLAG..] | cover BIN OUT [TEST PREFIX..] | \
    judge BIN LIST OUT [FILE.. | NUMBER..] | table LIST OUT";

/// What is added to the library.
const SWITCH: &str = include_str!("switch.txt");

fn main() -> Outcome<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        ["plant", list, tree, check @ ..] => plant_all(Path::new(list), Path::new(tree), check),
        ["cover", bin, out, prefixes @ ..] => {
            judge::cover(Path::new(bin), Path::new(out), prefixes)
        }
        ["judge", bin, list, out, only @ ..] => {
            judge::judge(Path::new(bin), Path::new(list), Path::new(out), only)
        }
        ["table", list, out] => judge::table(Path::new(list), Path::new(out)),
        _ => Err(USAGE.into()),
    }
}

/// The mutants of each file, as `cargo mutants --list --json` gives them; a mutant's number is its place in the list.
fn read_list(list: &Path) -> Outcome<Vec<(String, Mutant, String)>> {
    let all: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(list)?)?;
    let mut found = Vec::new();
    for (id, one) in all.iter().enumerate() {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let number = |value: &Value| value.as_u64().unwrap_or_default() as usize;
        let start = &one["span"]["start"];
        let name = (text(&one["genre"]), number(&start["line"]), number(&start["column"]));
        let mutant = Mutant { id, name, replacement: text(&one["replacement"]) };
        found.push((text(&one["file"]), mutant, text(&one["name"])));
    }
    Ok(found)
}

/// Plants all of `list` in `tree`, and leaves out what the compiler refuses until it takes the rest.
fn plant_all(list: &Path, tree: &Path, flags: &[&str]) -> Outcome<()> {
    let all = read_list(list)?;
    let mut files: BTreeMap<&str, Vec<&Mutant>> = BTreeMap::new();
    for (file, mutant, _) in &all {
        files.entry(file).or_default().push(mutant);
    }
    let mut texts = BTreeMap::new();
    for file in files.keys() {
        texts.insert(*file, std::fs::read_to_string(tree.join(file))?);
    }
    let root = tree.join("src/lib.rs");
    std::fs::write(&root, std::fs::read_to_string(&root)? + SWITCH)?;

    let (mut unplaced, mut refused) = (BTreeSet::new(), BTreeSet::new());
    let known = list.with_extension("refused");
    let text = std::fs::read_to_string(&known).unwrap_or_default();
    refused.extend(text.lines().filter_map(|id| id.parse::<usize>().ok()));
    loop {
        let mut planted = BTreeMap::new();
        for (&file, mutants) in &files {
            let text = &texts[file];
            let left: Vec<&Mutant> = mutants
                .iter()
                .copied()
                .filter(|m| !refused.contains(&m.id) && !unplaced.contains(&m.id))
                .collect();
            let (text, left) = plant::plant(text, &places::find(text)?, &left);
            unplaced.extend(left);
            std::fs::write(tree.join(file), &text)?;
            planted.insert(file, text);
        }
        let errors = check(tree, flags)?;
        if errors.is_empty() {
            break;
        }
        let before = refused.len() + unplaced.len();
        for (file, from, to, message) in &errors {
            let Some(text) = planted.get(file.as_str()) else { continue };
            match plant::guilty(text, *from..*to) {
                Some(Guilty::Mutant(id)) => drop(refused.insert(id)),
                Some(Guilty::Place(first)) => {
                    eprintln!("the place of {first}, {file}: {message}");
                    let (kind, line, column) = &all[first].1.name;
                    let here = files[file.as_str()].iter();
                    let here = here
                        .filter(|m| &m.name.0 == kind && &m.name.1 == line && &m.name.2 == column);
                    unplaced.extend(here.map(|m| m.id));
                }
                None => eprintln!("{file} {from}..{to}: {message}"),
            }
        }
        let text: String = refused.iter().map(|id| format!("{id}\n")).collect();
        std::fs::write(&known, text)?;
        eprintln!(
            "{} errors; {} refused, {} without a place",
            errors.len(),
            refused.len(),
            unplaced.len()
        );
        if refused.len() + unplaced.len() == before {
            return Err("the compiler refuses what is no mutant".into());
        }
    }
    for (what, ids) in [("refused", refused), ("unplaced", unplaced)] {
        for id in ids {
            println!("{what}\t{id}\t{}", all[id].2);
        }
    }
    Ok(())
}

/// The errors of the compiler: file, first and last byte, message.
fn check(tree: &Path, flags: &[&str]) -> Outcome<Vec<(String, usize, usize, String)>> {
    let mut cargo = Command::new("cargo");
    cargo.args(["check", "--lib", "--profile", "test", "--message-format", "json"]).args(flags);
    let out = cargo.current_dir(tree).stderr(std::process::Stdio::null()).output()?;
    let mut errors = Vec::new();
    for line in String::from_utf8_lossy(&out.stdout).lines() {
        let Ok(line) = serde_json::from_str::<Value>(line) else { continue };
        let message = &line["message"];
        if message["level"] != "error" {
            continue;
        }
        for span in message["spans"].as_array().into_iter().flatten() {
            if span["is_primary"] == true {
                let number = |name: &str| span[name].as_u64().unwrap_or_default() as usize;
                let file = span["file_name"].as_str().unwrap_or_default().to_owned();
                let text = message["message"].as_str().unwrap_or_default().to_owned();
                errors.push((file, number("byte_start"), number("byte_end"), text));
            }
        }
    }
    if errors.is_empty() && !out.status.success() {
        return Err(format!("cargo check failed in {}", tree.display()).into());
    }
    Ok(errors)
}
