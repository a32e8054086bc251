//! Documents that agree with the code: layouts, constants, words, links.
//!
//! ```text
//!   docs/formats.md   "### `Header`, 208 bytes (`src/..`)" + table   = the struct's fields and sizes
//!   any page          "| `NAME` | `src/...rs` | value |"              = that constant
//!   any page          `a_test_with_a_long_name`, `src/a/file.rs`      = are there
//!   glossary          column "not"                                   = words that stand nowhere
//! ```

use super::source::{Source, files, find_word, read, root, sources, word};
use std::collections::BTreeSet;
use std::path::Path;

/// The pages for readers.
fn pages() -> Vec<String> {
    let mut pages = files("docs", ".md");
    pages.extend(["README.md", "CHANGELOG.md"].map(String::from));
    pages
}

/// The cells of a table's row, without their backticks; empty for any other line.
fn cells(line: &str) -> Vec<&str> {
    let Some(inner) = line.strip_prefix('|').and_then(|l| l.trim_end().strip_suffix('|')) else {
        return Vec::new();
    };
    inner.split('|').map(|cell| cell.trim().trim_matches('`')).collect()
}

// --- layouts ---

/// Offset, bytes and name of a field.
type Field = (usize, usize, String);

/// The fields of `struct name`, if `source` has one, laid out without padding.
fn layout(source: &Source, name: &str) -> Option<Vec<Field>> {
    let declared = format!("struct {name} {{");
    let start = source.code.find(&declared)? + declared.len();
    let body = &source.code[start..start + source.code[start..].find('}')?];
    let (mut fields, mut offset) = (Vec::new(), 0);
    for line in body.lines().filter(|line| line.contains(':')) {
        let (name, kind) = line.trim().trim_end_matches(',').split_once(": ").unwrap();
        let bytes = bytes_of(source, kind);
        fields.push((offset, bytes, word(name.trim_start_matches("pub ")).to_string()));
        offset += bytes;
    }
    Some(fields)
}

/// Bytes of a field of this type.
fn bytes_of(source: &Source, kind: &str) -> usize {
    match kind {
        "u8" => 1,
        "U16" => 2,
        "U32" => 4,
        "U64" => 8,
        _ => match kind.strip_prefix('[').and_then(|k| k.strip_suffix(']')) {
            Some(array) => {
                let (kind, count) = array.split_once("; ").unwrap();
                let count = number(count).or_else(|| number(&constant(&source.text, count)?));
                bytes_of(source, kind) * count.unwrap_or_else(|| panic!("{array}")) as usize
            }
            None => {
                let fields = layout(source, kind).unwrap_or_else(|| panic!("the size of {kind}"));
                fields.iter().map(|(_, bytes, _)| bytes).sum()
            }
        },
    }
}

/// "### `Name`, N bytes (`src/file.rs`)"
fn heading(line: &str) -> Option<(&str, usize, &str)> {
    let (name, rest) = line.strip_prefix("### `")?.split_once("`, ")?;
    let (bytes, path) = rest.split_once(" bytes (`")?;
    Some((name, bytes.parse().ok()?, path.strip_suffix("`)")?))
}

#[test]
fn formats_are_as_the_structs_are() {
    let text = read("docs/formats.md");
    let sources = sources("src");
    let mut described = BTreeSet::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let Some((name, total, path)) = heading(line) else { continue };
        let source = sources.iter().find(|source| source.path == path);
        let source = source.unwrap_or_else(|| panic!("there is no {path}"));
        let fields = layout(source, name).unwrap_or_else(|| panic!("no struct {name} in {path}"));
        let mut rows = Vec::new();
        while let Some(line) = lines.next_if(|line| heading(line).is_none()) {
            let cells = cells(line);
            if let [offset, bytes, name, ..] = cells[..]
                && let (Ok(offset), Ok(bytes)) = (offset.parse(), bytes.parse())
            {
                rows.push((offset, bytes, name.to_string()));
            }
            if line.starts_with('#') {
                break;
            }
        }
        assert_eq!(rows, fields, "the table of {name} and {path}");
        assert_eq!(total, fields.iter().map(|f| f.1).sum::<usize>(), "the size of {name}");
        described.insert(format!("{path} {name}"));
    }
    // Everything that is laid out for the disk is described.
    for source in sources.iter().filter(|source| !source.is_test) {
        for (at, _) in source.code.match_indices("#[repr(C)]") {
            let rest = &source.code[at..];
            let name = word(&rest[rest.find("struct ").unwrap() + 7..]);
            let described = described.contains(&format!("{} {name}", source.path));
            assert!(described, "docs/formats.md does not describe {name} of {}", source.path);
        }
    }
}

// --- constants ---

/// What `const name` is set to in `text`, as it is written.
fn constant(text: &str, name: &str) -> Option<String> {
    let declared = format!("const {name}: ");
    let rest = &text[text.find(&declared)? + declared.len()..];
    let (_, value) = rest.split_once(" = ")?;
    Some(value[..value.find(';')?].to_string())
}

/// The value of a number, a product or a shift; a Rust or a readable spelling.
fn number(text: &str) -> Option<u64> {
    let text = text.replace(['_', ','], "");
    if let Some((value, shift)) = text.split_once(" << ") {
        return Some(number(value)? << number(shift)?);
    }
    if let Some(hex) = text.strip_prefix("0x") {
        return u64::from_str_radix(hex, 16).ok();
    }
    text.split(" * ").map(|factor| factor.parse::<u64>().ok()).product()
}

#[test]
fn constants_are_as_the_pages_say() {
    let mut compared = 0;
    for page in pages() {
        for line in read(&page).lines() {
            let [name, path, value, ..] = cells(line)[..] else { continue };
            let is_constant = name.bytes().all(|b| !b.is_ascii_lowercase() && b != b' ');
            if !(is_constant && path.starts_with("src/")) {
                continue;
            }
            let set = constant(&read(path), name);
            let set = set.unwrap_or_else(|| panic!("{page}: no constant {name} in {path}"));
            let bytes = set.strip_prefix("*b\"").and_then(|s| s.strip_suffix('"'));
            match (number(&set), bytes) {
                (Some(_), _) => assert_eq!(number(&set), number(value), "{page}: {name}"),
                (None, Some(bytes)) => assert_eq!(bytes, value, "{page}: {name}"),
                (None, None) => panic!("{page}: {name} is set to {set}, which is no value"),
            }
            compared += 1;
        }
    }
    assert!(compared >= 40, "{compared} constants in all pages");
}

// --- names ---

/// Whether `name` looks like a test's: a sentence in snake case.
fn is_sentence(name: &str) -> bool {
    name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        && name.matches('_').count() >= 3
}

/// Whether the code has a metric of this name, which the library completes.
fn is_metric(name: &str, code: &str) -> bool {
    let name = name.trim_start_matches("ratite_").trim_end_matches("_total");
    code.contains(&format!("\"{name}\""))
}

#[test]
fn tests_and_files_that_pages_name_are_there() {
    let text = |path: String| read(&path);
    let code: String =
        ["src", "tests"].into_iter().flat_map(|d| files(d, ".rs")).map(text).collect();
    let (mut broken, mut found) = (Vec::new(), 0);
    for page in pages() {
        for name in read(&page).split('`').skip(1).step_by(2) {
            let is_path =
                ["src/", "tests/", "docs/", "examples/"].iter().any(|d| name.starts_with(d));
            let is_path = is_path && !name.contains(|c: char| c.is_whitespace() || c == '*');
            let is_there = match (is_path, is_sentence(name)) {
                (true, _) => root().join(name).exists(),
                (_, true) if name.starts_with("ratite_") => is_metric(name, &code),
                (_, true) => code.contains(&format!("fn {name}(")),
                (false, false) => continue,
            };
            found += 1;
            if !is_there {
                broken.push(format!("{page}: there is no {name}"));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    assert!(found >= 60, "{found} names of tests and files in all pages");
}

// --- words ---

#[test]
fn no_word_stands_for_another() {
    let glossary = read("docs/glossary.md");
    let mut banned = Vec::new();
    for line in glossary.lines() {
        if let [term, _, not] = cells(line)[..] {
            let not = not.split(", ").filter(|word| !word.is_empty() && *word != "not");
            banned.extend(not.map(|word| (word.to_lowercase(), term)));
        }
    }
    banned.retain(|(word, _)| !word.starts_with("--"));
    assert!(banned.len() >= 15, "{} words to avoid", banned.len());
    let code = ["src", "examples"].into_iter().flat_map(|dir| files(dir, ".rs"));
    let pages = pages().into_iter().filter(|page| page != "docs/glossary.md");
    let mut broken = Vec::new();
    for path in code.chain(pages) {
        for (line, text) in read(&path).to_lowercase().lines().enumerate() {
            for (word, term) in &banned {
                if find_word(text, word).next().is_some() {
                    broken.push(format!("{path}:{}: {word} is called {term}", line + 1));
                }
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

// --- links ---

/// The targets of the links in a page, anchors and the web aside.
fn links(text: &str) -> Vec<&str> {
    let ends = text.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    let targets = ends.map(|(target, _)| target.split('#').next().unwrap());
    targets.filter(|target| !target.is_empty() && !target.contains("://")).collect()
}

#[test]
fn links_lead_somewhere_and_every_page_is_linked() {
    let mut broken = Vec::new();
    for page in pages() {
        let dir = root().join(Path::new(&page).parent().unwrap());
        for target in links(&read(&page)).into_iter().filter(|target| !dir.join(target).exists()) {
            broken.push(format!("{page}: {target} is not there"));
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    let index = read("docs/README.md");
    let linked = links(&index);
    for page in files("docs", ".md") {
        let name = page.trim_start_matches("docs/");
        let is_linked = name == "README.md" || linked.contains(&name);
        assert!(is_linked, "docs/README.md does not lead to {name}");
    }
    assert!(links(&read("README.md")).contains(&"docs/README.md"));
}

// --- the example ---

/// The first block of Rust in a page.
fn example(text: &str) -> String {
    let (_, rest) = text.split_once("```rust\n").expect("an example");
    rest.split_once("```").expect("its end").0.to_string()
}

#[test]
fn the_crate_and_the_readme_show_the_same_example() {
    let library = read("src/lib.rs");
    let (header, _) = library.split_once("\npub mod ").unwrap();
    let strip = |line: &str| {
        line.strip_prefix("//!").map(|l| format!("{}\n", l.strip_prefix(' ').unwrap_or(l)))
    };
    let shown: String = header.lines().filter_map(strip).collect();
    let example = example(&read("README.md"));
    assert!(shown.contains(&example), "src/lib.rs does not show\n{example}");
}
