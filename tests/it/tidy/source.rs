//! Source files as text: what of a file is code, what is comment, what is test.
//!
//! No parser: a scanner that knows comments, strings, characters and brackets, which is all that the
//! rules of `tidy` need. What it blanks it replaces by spaces, so that line numbers stay.

use std::fs;
use std::path::{Path, PathBuf};

/// A file of the crate.
pub struct Source {
    /// From the crate's root, as in `src/wal/ring.rs`.
    pub path: String,
    /// All of it.
    pub text: String,
    /// Without comments, strings, characters, and items under `#[cfg(test)]`.
    pub code: String,
    /// Whether it is compiled for tests only.
    pub is_test: bool,
}

/// A function with a body.
pub struct Function {
    pub name: String,
    pub line: usize,
    /// From its `fn` to its last brace.
    pub lines: usize,
}

/// The crate's root.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The files below `dir` (from the root) whose names end with `extension`, sorted by path.
pub fn files(dir: &str, extension: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![root().join(dir)];
    while let Some(dir) = open.pop() {
        let Ok(entries) = fs::read_dir(&dir) else { continue };
        for path in entries.map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                // What cargo built there is not ours.
                if path.file_name().is_none_or(|name| name != "target") {
                    open.push(path);
                }
            } else if path.to_string_lossy().ends_with(extension) {
                found.push(path.strip_prefix(root()).unwrap().to_string_lossy().into_owned());
            }
        }
    }
    found.sort();
    found
}

/// The text of a file.
pub fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The Rust files below `dir`.
pub fn sources(dir: &str) -> Vec<Source> {
    let mut sources = Vec::new();
    let mut test_modules = Vec::new();
    for path in files(dir, ".rs") {
        let text = read(&path);
        let mut code = blank(&text);
        for module in blank_tests(&mut code) {
            test_modules.push(children_of(&path).join(module));
        }
        sources.push(Source { path, text, code, is_test: false });
    }
    for source in &mut sources {
        let module = PathBuf::from(source.path.trim_end_matches(".rs"));
        source.is_test = test_modules.iter().any(|test| module.starts_with(test));
    }
    sources
}

/// Where the modules that `path` declares have their files.
fn children_of(path: &str) -> PathBuf {
    let path = Path::new(path);
    match path.file_stem().and_then(|stem| stem.to_str()) {
        Some("mod" | "lib" | "main") => path.parent().unwrap().into(),
        _ => path.with_extension(""),
    }
}

/// `text` with comments, strings and characters blanked.
fn blank(text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let length = opaque(&text.as_bytes()[at..], at > 0 && is_word(text.as_bytes()[at - 1]));
        for byte in bytes[at..at + length].iter_mut().filter(|b| **b != b'\n') {
            *byte = b' ';
        }
        at += length.max(1);
    }
    String::from_utf8(bytes).expect("only whole comments and strings were blanked")
}

/// Bytes of the comment, string or character at the start of `rest`; 0 if there is none.
fn opaque(rest: &[u8], in_word: bool) -> usize {
    let until = |from: usize, end: &[u8]| {
        let found = rest[from.min(rest.len())..].windows(end.len()).position(|w| w == end);
        found.map_or(rest.len(), |position| from + position + end.len())
    };
    match rest {
        [b'/', b'/', ..] => until(2, b"\n") - 1,
        [b'/', b'*', ..] => until(2, b"*/"),
        [b'"', ..] => quoted(rest),
        [b'r', b'"' | b'#', ..] if !in_word => {
            let hashes = rest[1..].iter().take_while(|b| **b == b'#').count();
            match rest.get(1 + hashes) {
                Some(b'"') => until(2 + hashes, &[b"\"", &b"#".repeat(hashes)[..]].concat()),
                _ => 0, // r#identifier
            }
        }
        [b'\'', b'\\', ..] => until(3, b"'"),
        [b'\'', first, ..] => {
            let width = [1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 2, 2, 3, 4][usize::from(first >> 4)];
            if rest.get(1 + width) == Some(&b'\'') { width + 2 } else { 0 } // or a lifetime
        }
        _ => 0,
    }
}

fn quoted(rest: &[u8]) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// Blanks the items under `#[cfg(test)]`, and names the modules among them that have files.
fn blank_tests(code: &mut String) -> Vec<String> {
    const ATTRIBUTE: &str = "#[cfg(test)]";
    let mut modules = Vec::new();
    while let Some(start) = code.find(ATTRIBUTE) {
        let mut item = start + ATTRIBUTE.len();
        while code[item..].trim_start().starts_with("#[") {
            item += code[item..].find('[').unwrap();
            item += bracketed(&code[item..]);
        }
        let body = body_or_end(&code[item..]);
        let end = match code.as_bytes()[item + body] {
            b'{' => item + body + bracketed(&code[item + body..]),
            _ => {
                let words: Vec<&str> = code[item..item + body].split_whitespace().collect();
                if let [.., "mod", name] = words[..] {
                    modules.push(name.to_string());
                }
                item + body + 1
            }
        };
        let blanked = code[start..end].replace(|c: char| c != '\n', " ");
        code.replace_range(start..end, &blanked);
    }
    modules
}

/// Where the first `{` or `;` stands that is in no bracket.
fn body_or_end(code: &str) -> usize {
    let mut depth = 0;
    for (at, byte) in code.bytes().enumerate() {
        match byte {
            b'(' | b'[' => depth += 1,
            b')' | b']' => depth -= 1,
            b'{' | b';' if depth == 0 => return at,
            _ => {}
        }
    }
    panic!("an item without an end: {}", &code[..code.len().min(80)])
}

/// Bytes of the bracket that `code` begins with, up to and with its partner.
fn bracketed(code: &str) -> usize {
    let mut depth = 0;
    for (at, byte) in code.bytes().enumerate() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    panic!("a bracket without its partner: {}", &code[..code.len().min(80)])
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Where `word` stands in `code` as a whole word.
pub fn find_word<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    code.match_indices(word).map(|(at, _)| at).filter(move |&at| {
        let before = at.checked_sub(1).map(|b| code.as_bytes()[b]);
        let after = code.as_bytes().get(at + word.len()).copied();
        !before.is_some_and(is_word) && !after.is_some_and(is_word)
    })
}

/// The word that `code` begins with, spaces aside.
pub fn word(code: &str) -> &str {
    let code = code.trim_start();
    &code[..code.bytes().position(|b| !is_word(b)).unwrap_or(code.len())]
}

impl Source {
    /// Lines that hold code.
    pub fn code_lines(&self) -> usize {
        self.code.lines().filter(|line| !line.trim().is_empty()).count()
    }

    /// The functions with bodies.
    pub fn functions(&self) -> Vec<Function> {
        let mut functions = Vec::new();
        for at in find_word(&self.code, "fn") {
            let name = word(&self.code[at + 2..]);
            if name.is_empty() {
                continue; // a pointer's type, which may end with what holds it
            }
            let body = at + body_or_end(&self.code[at..]);
            if self.code.as_bytes()[body] == b';' {
                continue; // a declaration
            }
            let end = body + bracketed(&self.code[body..]);
            let line = self.code[..at].lines().count();
            let lines = self.code[at..end].lines().count();
            functions.push(Function { name: name.into(), line, lines });
        }
        functions
    }

    /// The top-level modules that paths from `crate::` name.
    pub fn floors_named(&self) -> Vec<&str> {
        let mut named = Vec::new();
        for at in find_word(&self.code, "crate") {
            let Some(rest) = self.code[at + 5..].strip_prefix("::") else { continue };
            match rest.starts_with('{') {
                true => named.extend(group(&rest[1..bracketed(rest) - 1])),
                false => named.push(word(rest)),
            }
        }
        named
    }

    /// How many modules it stands below the crate: 1 for `src/wal/mod.rs`, 2 for `src/wal/ring.rs`.
    pub fn depth(&self) -> usize {
        let parts = self.path.trim_end_matches("/mod.rs").split('/').count();
        parts - 1
    }
}

/// The first words of the comma-separated paths in a use group.
fn group(list: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let (mut depth, mut start) = (0, 0);
    for (at, byte) in list.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            b',' if depth == 0 => {
                words.push(word(&list[start..at]));
                start = at + 1;
            }
            _ => {}
        }
    }
    words.push(word(&list[start..]));
    words.into_iter().filter(|word| !word.is_empty()).collect()
}

#[test]
fn the_scanner_tells_code_from_all_else() {
    let text = r####"
//! crate::up
use crate::{base::{Key, Seq}, io, wal};
fn a<'a>(x: &'a str, y: [u8; 4]) -> char { let _ = "}{ unsafe"; '{' }
/* crate::no */ fn b(); type T = fn(u8);
const R: &str = r#"" crate::no"#; const E: char = '\''; const U: char = 'é';
#[cfg(test)]
#[path = "x.rs"]
mod tests;
#[cfg(test)]
impl X { fn c() { } }
"####;
    let mut code = blank(text);
    assert_eq!(blank_tests(&mut code), ["tests"]);
    let source = Source { path: "src/wal/ring.rs".into(), text: text.into(), code, is_test: false };
    assert_eq!(source.floors_named(), ["base", "io", "wal"]);
    let functions: Vec<_> = source.functions().into_iter().map(|f| (f.name, f.lines)).collect();
    assert_eq!(functions, [("a".to_string(), 1)]);
    assert_eq!((find_word(&source.code, "unsafe").count(), source.depth()), (0, 2));
    assert_eq!(source.code_lines(), 4);
}
