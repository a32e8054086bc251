//! What a word of a log line is: one tokenizer for index, query and verification.
//!
//! ```text
//!   user-agent: Mozilla/5.0   -->  user  agent  mozilla        (5 and 0 are of one byte)
//! ```
//!
//! I1. ASCII letters, folded to lower case, digits, and every byte from 0x80 on make tokens, so that UTF-8 is never
//!     cut; everything else separates. Tokens of one byte are dropped.
//! I2. [`Needles`] finds a token in a text exactly if [`each`] gives it.

use std::cell::Cell;

/// Bytes of the shortest token.
pub const TOKEN_BYTES_MIN: usize = 2;

thread_local! {
    /// Folded text, so that no record costs an allocation.
    static FOLDED: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Whether a byte is part of a token.
pub(super) const fn is_part(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b >= 0x80
}

/// Hands every token of `raw`, folded, to `take`, in order; one that recurs comes again.
pub fn each(raw: &[u8], mut take: impl FnMut(&[u8])) {
    let mut folded = FOLDED.take();
    folded.clear();
    folded.extend_from_slice(raw);
    folded.make_ascii_lowercase();
    for token in folded.split(|b| !is_part(*b)) {
        if token.len() >= TOKEN_BYTES_MIN {
            take(token);
        }
    }
    FOLDED.set(folded);
}

/// Tokens that are looked for in texts.
#[derive(Clone, Debug, Default)]
pub struct Needles {
    tokens: Vec<Vec<u8>>,
}

impl Needles {
    /// The tokens of all of `terms`.
    pub fn new<T: AsRef<[u8]>>(terms: &[T]) -> Needles {
        let mut tokens = Vec::new();
        terms.iter().for_each(|term| each(term.as_ref(), |token| tokens.push(token.to_vec())));
        tokens.sort_unstable();
        tokens.dedup();
        Needles { tokens }
    }

    /// The tokens, ascending.
    pub fn tokens(&self) -> &[Vec<u8>] {
        &self.tokens
    }

    /// Whether all of them are tokens of `raw`.
    pub fn all_in(&self, raw: &[u8]) -> bool {
        self.tokens.iter().all(|token| is_in(token, raw))
    }
}

fn is_in(token: &[u8], raw: &[u8]) -> bool {
    let (lower, upper) = (token[0], token[0].to_ascii_uppercase());
    memchr::memchr2_iter(lower, upper, raw).any(|at| {
        let end = at + token.len();
        raw.get(at..end).is_some_and(|found| found.eq_ignore_ascii_case(token))
            && !raw[..at].last().is_some_and(|&b| is_part(b))
            && !raw.get(end).is_some_and(|&b| is_part(b))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str) -> String {
        let mut out = Vec::new();
        each(text.as_bytes(), |token| out.push(String::from_utf8_lossy(token).into_owned()));
        out.join(" ")
    }

    #[test]
    fn tokens_are_as_the_cases_say() {
        for (text, wanted) in [
            ("user-agent: mozilla/5.0", "user agent mozilla"),
            ("{\"level\":\"ERROR\",\"msg\":\"failed\"}", "level error msg failed"),
            ("status=200 duration=15ms", "status 200 duration 15ms"),
            ("a b c de fg", "de fg"),
            ("Größe überschritten", "größe überschritten"),
            ("", ""),
            ("---", ""),
        ] {
            assert_eq!(tokens(text), wanted, "{text}");
        }
    }
}
