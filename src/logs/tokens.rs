//! What a word of a log line is: one tokenizer for index, query and verification.
//!
//! ```text
//!   user-agent: Mozilla/5.0   --fold-->  user-agent: mozilla/5.0   --split-->  user  agent  mozilla     (5, 0: one byte)
//! ```
//!
//! A text is folded as a whole, which takes a few bytes a cycle, into memory that the thread keeps; so no text costs an
//! allocation. Searching works on the folded text too, with a searcher for each token that is made once for a query.
//!
//! I1. ASCII letters, folded to lower case, digits, and every byte from 0x80 on make tokens, so that UTF-8 is never
//!     cut; everything else separates. Tokens of one byte are dropped.
//! I2. [`Needles`] finds a token in a text exactly if [`each`] gives it.

use memchr::memmem::Finder;
use std::cell::Cell;

/// Bytes of the shortest token.
pub const TOKEN_BYTES_MIN: usize = 2;

/// Bytes of folded text that a thread keeps memory for; a longer text's is given back.
const FOLDED_BYTES_KEPT: usize = 64 << 10;

/// Which bytes are parts of tokens (I1).
const PARTS: [bool; 256] = {
    let mut parts = [false; 256];
    let mut b = 0;
    while b < 256 {
        parts[b] = (b as u8).is_ascii_alphanumeric() || b >= 0x80;
        b += 1;
    }
    parts
};

thread_local! {
    static FOLDED: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

fn is_part(b: u8) -> bool {
    PARTS[usize::from(b)]
}

/// Gives `raw` with its ASCII letters in lower case to `read`.
fn folded<T>(raw: &[u8], read: impl FnOnce(&[u8]) -> T) -> T {
    // Taken, and not borrowed: whoever reads may fold something else.
    let mut folded = FOLDED.take();
    folded.clear();
    folded.extend_from_slice(raw);
    folded.make_ascii_lowercase();
    let read = read(&folded);
    if folded.capacity() <= FOLDED_BYTES_KEPT {
        FOLDED.set(folded);
    }
    read
}

/// Hands every token of `raw`, folded, to `take`, in order; one that recurs comes again.
pub fn each(raw: &[u8], take: impl FnMut(&[u8])) {
    folded(raw, |text| split(text, take));
}

fn split(text: &[u8], mut take: impl FnMut(&[u8])) {
    let mut at = 0;
    while let Some(skipped) = text[at..].iter().position(|&b| is_part(b)) {
        let start = at + skipped;
        let len = text[start..].iter().position(|&b| !is_part(b)).unwrap_or(text.len() - start);
        at = start + len;
        if len >= TOKEN_BYTES_MIN {
            take(&text[start..at]);
        }
    }
}

/// Tokens that are looked for in texts.
#[derive(Clone, Debug, Default)]
pub struct Needles {
    /// Ascending.
    finders: Vec<Finder<'static>>,
}

impl Needles {
    /// The tokens of all of `terms`.
    pub fn new<T: AsRef<[u8]>>(terms: &[T]) -> Needles {
        let mut tokens: Vec<Vec<u8>> = Vec::new();
        terms.iter().for_each(|term| each(term.as_ref(), |token| tokens.push(token.to_vec())));
        tokens.sort_unstable();
        tokens.dedup();
        Needles { finders: tokens.iter().map(|token| Finder::new(token).into_owned()).collect() }
    }

    /// The tokens, folded, ascending.
    pub fn tokens(&self) -> impl Iterator<Item = &[u8]> {
        self.finders.iter().map(Finder::needle)
    }

    /// Whether there is none, and every text has them all.
    pub fn is_empty(&self) -> bool {
        self.finders.is_empty()
    }

    /// Whether all of them are tokens of `raw`.
    pub fn all_in(&self, raw: &[u8]) -> bool {
        self.is_empty() || folded(raw, |text| self.finders.iter().all(|finder| is_in(finder, text)))
    }
}

/// Whether the token occurs between separators. Occurrences that overlap need no look: one that is a token begins
/// behind a separator, which no other occurrence contains.
fn is_in(finder: &Finder<'_>, text: &[u8]) -> bool {
    finder.find_iter(text).any(|at| {
        let end = at + finder.needle().len();
        let joined = |b: Option<&u8>| b.is_some_and(|&b| is_part(b));
        !joined(text[..at].last()) && !joined(text.get(end))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn tokens(raw: &[u8]) -> Vec<Vec<u8>> {
        let mut out = Vec::new();
        each(raw, |token| out.push(token.to_vec()));
        out
    }

    /// The bytes of a text in which `\\xNN` is a byte.
    fn bytes(text: &str) -> Vec<u8> {
        let (first, rest) = text.split_once("\\x").unwrap_or((text, ""));
        let mut out = first.as_bytes().to_vec();
        if let Some((digits, rest)) = rest.split_at_checked(2) {
            out.push(u8::from_str_radix(digits, 16).unwrap());
            out.extend(bytes(rest));
        }
        out
    }

    #[test]
    fn tokens_are_as_the_cases_say() {
        let cases = include_str!("../../tests/cases/logs/tokens.txt");
        let mut compared = 0;
        for line in cases.lines().filter(|line| !line.starts_with('#')) {
            let (text, wanted) = line.split_once(" =>").unwrap();
            let print = |token: Vec<u8>| {
                String::from_utf8(token).unwrap_or_else(|e| e.as_bytes().escape_ascii().to_string())
            };
            let found: Vec<String> = tokens(&bytes(text)).into_iter().map(print).collect();
            assert_eq!(found.join(" "), wanted.trim(), "{text}");
            compared += 1;
        }
        assert!(compared >= 15, "{compared} cases");
    }

    #[test]
    fn a_token_of_any_length_is_whole() {
        let long = vec![b'X'; 70_000];
        assert_eq!(tokens(&long), [vec![b'x'; 70_000]]);
        let mut line = b"id=".to_vec();
        line.extend(&long);
        assert!(Needles::new(&[&long]).all_in(&line));
        line.push(b'x');
        assert!(!Needles::new(&[&long]).all_in(&line), "another token");
    }

    #[test]
    fn what_reads_tokens_may_read_others_meanwhile() {
        let mut pairs = Vec::new();
        each(b"ab cd", |outer| each(b"EF", |inner| pairs.push([outer, inner].concat())));
        assert_eq!(pairs, [b"abef", b"cdef"]);
    }

    #[test]
    fn a_term_without_a_token_asks_for_nothing() {
        assert!(Needles::new(&["-", "a", ""]).is_empty());
        assert!(Needles::new(&["-", "a", ""]).all_in(b""));
        let both = Needles::new(&["R1 error", "ERROR"]);
        assert_eq!(both.tokens().collect::<Vec<_>>(), [&b"error"[..], b"r1"]);
    }

    /// Few bytes, so that tokens recur, touch and overlap.
    fn text() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop::sample::select(&b"aAbB1 .-_\x80\xa0\xff"[..]);
        prop::collection::vec(byte, 0..24)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn needles_are_found_exactly_if_they_are_tokens(raw in text(), term in text()) {
            let has: BTreeSet<Vec<u8>> = tokens(&raw).into_iter().collect();
            let wanted = tokens(&term);
            let needles = Needles::new(&[&term]);
            prop_assert_eq!(needles.all_in(&raw), wanted.iter().all(|token| has.contains(token)));
        }

        #[test]
        fn tokens_are_the_runs_of_their_bytes(raw in text()) {
            let mut runs: Vec<Vec<u8>> = vec![Vec::new()];
            for b in &raw {
                if b.is_ascii_alphanumeric() || !b.is_ascii() {
                    runs.last_mut().unwrap().push(b.to_ascii_lowercase());
                } else {
                    runs.push(Vec::new());
                }
            }
            runs.retain(|run| run.len() > 1);
            prop_assert_eq!(tokens(&raw), runs);
        }
    }
}
