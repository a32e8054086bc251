//! What a search asks for: its words, and its phrases.
//!
//! ```text
//!   bitcoin "layer two" language:de 東京タワー
//!   words:    bitcoin, layer, two, 東京, 京タ, タワ, ワー        all of them stand in the event
//!   phrases:  layer two | 東 京 タ ワ ー                      their units stand in a row
//! ```
//!
//! `key:value` is an extension of NIP-50, and ignored; what begins with `//` behind the colon is an address. A quote
//! that nobody closes is between words. A run of three characters or more of a script without spaces is a phrase.
//!
//! I1. A search without words asks for nothing: its filter matches as if it had none.

use super::fields::EventWords;
use super::kinds::SearchKinds;
use super::words::{Form, Units};
use crate::nostr::event::EventRef;
use std::cell::OnceCell;
use std::fmt;

/// Bytes of a search: a long sentence in any script.
pub const QUERY_BYTES_MAX: usize = 1024;

/// Different words of a search: each is a posting list that is walked, with a block of it in memory.
pub const QUERY_WORDS_MAX: usize = 64;

/// A parsed search.
#[derive(Clone, PartialEq, Eq)]
pub struct Search {
    text: Box<str>,
    /// Sorted, each once.
    words: Vec<Box<str>>,
    phrases: Vec<Vec<Box<str>>>,
    kinds: SearchKinds,
}

impl Search {
    /// Parses a search, of the kinds that are searched by default.
    ///
    /// # Errors
    /// That it is too long or has too many words, as a sentence.
    pub fn new(text: &str) -> Result<Search, String> {
        if text.len() > QUERY_BYTES_MAX {
            return Err(format!("a search has at most {QUERY_BYTES_MAX} bytes"));
        }
        let mut search = Search {
            text: text.into(),
            words: Vec::new(),
            phrases: Vec::new(),
            kinds: SearchKinds::default(),
        };
        let mut rest = text;
        while let Some(open) = rest.find('"') {
            let Some(len) = rest[open + 1..].find('"') else { break };
            search.add_words(&rest[..open]);
            search.add(&rest[open + 1..open + 1 + len], true);
            rest = &rest[open + len + 2..];
        }
        search.add_words(rest);
        search.words.sort_unstable();
        search.words.dedup();
        search.phrases.sort_unstable();
        search.phrases.dedup();
        if search.words.len() > QUERY_WORDS_MAX {
            return Err(format!("a search has at most {QUERY_WORDS_MAX} different words"));
        }
        Ok(search)
    }

    fn add_words(&mut self, text: &str) {
        for part in text.split_whitespace().filter(|part| !is_extension(part)) {
            self.add(part, false);
        }
    }

    /// Adds the words of `text`, which is a phrase if it is quoted.
    fn add(&mut self, text: &str, quoted: bool) {
        let mut units = Units::new(usize::MAX);
        units.add(text);
        let spelled = |range: std::ops::Range<usize>| -> Vec<Box<str>> {
            units.units()[range].iter().map(|unit| units.spelling(*unit).into()).collect()
        };
        let all = units.units();
        let mut start = 0;
        for end in 1..=all.len() {
            if all.get(end).is_some_and(|unit| unit.form == Form::Next) {
                continue;
            }
            // One word, or one run of characters.
            let run = spelled(start..end);
            match run.len() {
                1 => self.words.extend(run.iter().cloned()),
                n => {
                    self.words.extend(run.windows(2).map(|pair| pair.concat().into()));
                    if n > 2 && !quoted {
                        self.phrases.push(run);
                    }
                }
            }
            start = end;
        }
        if quoted && all.len() > 1 {
            self.phrases.push(spelled(0..all.len()));
        }
    }

    /// The text as it came.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it asks for nothing (I1).
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// The terms of the index that all stand under a match.
    pub fn words(&self) -> &[Box<str>] {
        &self.words
    }

    /// Whether the words alone do not decide: there are phrases.
    pub fn has_phrases(&self) -> bool {
        !self.phrases.is_empty()
    }

    /// The kinds of event among which it searches.
    pub fn kinds(&self) -> &SearchKinds {
        &self.kinds
    }

    /// The same search among events of these kinds. A store does so with its own before it answers.
    #[must_use]
    pub fn among(mut self, kinds: &SearchKinds) -> Search {
        self.kinds = kinds.clone();
        self
    }

    /// Whether `event` has all words and phrases, and is of a kind that is searched. `words` keeps the event's words for
    /// the next search.
    pub fn matches(&self, event: &EventRef<'_>, words: &OnceCell<EventWords>) -> bool {
        if self.is_empty() {
            return true;
        }
        if !self.kinds.has(event.kind()) {
            return false;
        }
        let words = words.get_or_init(|| EventWords::of(event));
        // Phrases first: who fails them, as most candidates of an index do, needs no sorted terms.
        self.phrases.iter().all(|phrase| words.has_phrase(phrase))
            && self.words.iter().all(|word| words.has(word))
    }

    #[cfg(test)]
    pub(super) fn phrases(&self) -> &[Vec<Box<str>>] {
        &self.phrases
    }
}

impl fmt::Debug for Search {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

/// Whether a part of a search is `key:value` of NIP-50.
fn is_extension(part: &str) -> bool {
    let Some((key, value)) = part.split_once(':') else { return false };
    let is_key = key.starts_with(|c: char| c.is_ascii_lowercase())
        && key.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-.".contains(&b));
    is_key && !value.is_empty() && !value.starts_with("//")
}
