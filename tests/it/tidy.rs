//! What `docs/` and the house rules say of the source, held against the source itself.
//!
//! ```text
//!   floors   a module names only lower floors          files    small, each with a header
//!   unsafe   in few files that say why                 docs     agree with the code, lead everywhere
//! ```
//!
//! A rule that a change breaks for a good reason is changed here, with the reason.

mod docs;
mod source;

use source::{Source, find_word, sources};

/// The floors, lowest first. Modules of one floor do not know each other, so no cycle is possible.
const FLOORS: [&[&str]; 13] = [
    &["base"],
    &["io"],
    &["wal", "pool"],
    &["memtable", "segment"],
    &["model"],
    &["shard"],
    &["query"],
    &["store"],
    &["maintain", "retention"],
    &["nostr", "logs"],
    &["relay", "collect", "bench"],
    &["sync"],
    &["fuzzing"],
];

/// Code lines of one file, and of half of them.
const FILE_LINES_MAX: usize = 500;
const FILE_LINES_MEDIAN_MAX: usize = 250;

/// Lines of one function: a screen.
const FUNCTION_LINES_MAX: usize = 70;

/// Longer functions, each with its reason.
const LONG_FUNCTIONS: [(&str, &str, &str); 0] = [];

/// The files with unsafe code. Each says on its first line of code what for.
const UNSAFE_FILES: [&str; 6] = [
    "src/io/buf.rs",
    "src/io/fs.rs",
    "src/io/threads.rs",
    "src/io/uring.rs",
    "src/memtable/arena.rs",
    "src/pool/frames.rs",
];

fn floor_of(module: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&module))
}

/// The library's files, without tests and without the binary.
fn library() -> Vec<Source> {
    let mut sources = sources("src");
    sources.retain(|s| !s.is_test && !s.path.starts_with("src/bin/"));
    assert!(sources.len() > 80, "{} files are not the library", sources.len());
    sources
}

fn module_of(source: &Source) -> &str {
    let below = source.path.trim_start_matches("src/");
    below.split('/').next().unwrap().trim_end_matches(".rs")
}

#[test]
fn a_module_names_only_lower_floors() {
    let mut broken = Vec::new();
    for source in library().iter().filter(|s| s.path != "src/lib.rs") {
        let module = module_of(source);
        let Some(floor) = floor_of(module) else {
            broken.push(format!("{}: {module} stands on no floor", source.path));
            continue;
        };
        for named in source.floors_named().into_iter().filter(|named| *named != module) {
            match floor_of(named) {
                Some(other) if other < floor => {}
                Some(_) => broken.push(format!("{} names crate::{named}", source.path)),
                None => broken.push(format!("{}: crate::{named} is no floor", source.path)),
            }
        }
        // `super` that reaches the crate's root would name a floor in a way that is not seen here.
        if source.code.contains(&"super::".repeat(source.depth())) {
            broken.push(format!("{}: a path out of {module} begins with crate::", source.path));
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn files_are_small() {
    let mut sizes: Vec<(usize, String)> = sources("src")
        .into_iter()
        .filter(|source| !source.is_test)
        .map(|source| (source.code_lines(), source.path))
        .collect();
    sizes.sort();
    sizes.reverse();
    let largest: Vec<String> =
        sizes.iter().take(10).map(|(lines, path)| format!("{lines:5} {path}")).collect();
    let largest = largest.join("\n");
    println!("largest files, in lines of code:\n{largest}");
    assert!(sizes[0].0 <= FILE_LINES_MAX, "over {FILE_LINES_MAX} lines of code:\n{largest}");
    let median = sizes[sizes.len() / 2].0;
    println!("median of {} files: {median}", sizes.len());
    assert!(median <= FILE_LINES_MEDIAN_MAX, "the median is {median}");
}

#[test]
fn functions_fit_a_screen() {
    let mut broken = Vec::new();
    let mut excused = Vec::new();
    for source in sources("src").iter().filter(|source| !source.is_test) {
        for function in source.functions() {
            if function.lines <= FUNCTION_LINES_MAX {
                continue;
            }
            match LONG_FUNCTIONS.iter().find(|(p, n, _)| *p == source.path && *n == function.name) {
                Some(excuse) => excused.push(excuse),
                None => broken.push(format!(
                    "{}:{}: {} has {} lines",
                    source.path, function.line, function.name, function.lines
                )),
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    assert_eq!(excused.len(), LONG_FUNCTIONS.len(), "an excuse that nobody needs");
}

#[test]
fn every_file_opens_by_saying_what_it_is() {
    let all = ["src", "tests", "examples", "benches"].into_iter().flat_map(sources);
    let silent: Vec<String> =
        all.filter(|source| !source.text.starts_with("//! ")).map(|source| source.path).collect();
    assert!(silent.is_empty(), "without a header: {}", silent.join(", "));
}

#[test]
fn unsafe_code_is_where_it_is_said_to_be() {
    let sources = sources("src");
    let with_unsafe: Vec<&str> = sources
        .iter()
        .filter(|source| find_word(&source.code, "unsafe").next().is_some())
        .map(|source| source.path.as_str())
        .collect();
    assert_eq!(with_unsafe, UNSAFE_FILES);
    for source in &sources {
        let first = source.text.lines().find(|line| !line.is_empty() && !line.starts_with("//!"));
        let says = first.is_some_and(|l| l.starts_with("#![expect(unsafe_code, reason = \""));
        let path = source.path.as_str();
        assert_eq!(says, UNSAFE_FILES.contains(&path), "the first line of code of {path}");
        let mentions = find_word(&source.code, "unsafe_code").count();
        assert_eq!(mentions, usize::from(says), "lint attributes about unsafe code in {path}");
    }
}
