//! Words of plain texts where they lie: for events of ASCII alone, which most are, nothing is spelled or copied.
//!
//! ```text
//!   "Hello, World-2"  --runs of letters and digits-->  Hello | World | 2      compared without regard to case
//! ```
//!
//! I1. Whatever is answered here is what splitting the texts (`words`) would answer; what is not plain gets no answer.

use super::fields::is_searched;
use super::words::{CLASS, WIDE, WORD_BYTES_MAX};
use crate::nostr::event::EventRef;

/// Bytes of an event's texts up to which none of its units can be beyond those that are taken.
const TEXT_BYTES_MAX: usize = 8 * 1024;

/// Tags likewise: each text ends in a unit of its own.
const TAGS_MAX: usize = 1024;

/// The words of one text, each where it lies and as long as its spelling.
#[derive(Clone)]
pub(super) struct PlainWords<'a>(&'a [u8]);

impl<'a> Iterator for PlainWords<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let is_within = |b: &u8| CLASS[usize::from(*b)] > WIDE;
        let start = self.0.iter().position(is_within)?;
        let rest = &self.0[start..];
        let len = rest.iter().position(|b| !is_within(b)).unwrap_or(rest.len());
        self.0 = &rest[len..];
        Some(&rest[..len.min(WORD_BYTES_MAX)])
    }
}

/// Whether a word has this spelling.
pub(super) fn is_spelled(word: &[u8], spelling: &str) -> bool {
    word.len() == spelling.len()
        && word.iter().zip(spelling.bytes()).all(|(b, s)| CLASS[usize::from(*b)] == s)
}

/// Hands the words of each searched text of `event` to `f`, if all of them are plain.
fn each_text(event: &EventRef<'_>, mut f: impl FnMut(PlainWords<'_>)) -> Option<()> {
    let content = event.content_bytes();
    if event.kind() == 0 || event.tag_count() > TAGS_MAX || !content.is_ascii() {
        return None;
    }
    let (mut value, mut bytes) = (String::new(), content.len());
    for tag in event.tags() {
        if let (Some(name), Some(item)) = (tag.name(), tag.value())
            && is_searched(&name)
        {
            value.clear();
            item.write(&mut value);
            bytes += value.len();
            if !value.is_ascii() || bytes > TEXT_BYTES_MAX {
                return None;
            }
            f(PlainWords(value.as_bytes()));
        }
    }
    (bytes <= TEXT_BYTES_MAX).then(|| f(PlainWords(content)))
}

/// Counts how often each of `words` stands in `event`; returns how long the event is. If it is not plain, some may have
/// been counted.
pub(super) fn count(event: &EventRef<'_>, words: &[Box<str>], counts: &mut [u32]) -> Option<usize> {
    let mut len = 0;
    each_text(event, |text| {
        for word in text {
            len += 1;
            let found = words.iter().position(|spelling| is_spelled(word, spelling));
            found.into_iter().for_each(|i| counts[i] += 1);
        }
    })?;
    Some(len)
}

/// Whether `event` has all `phrases` and all `words`, if it is plain and there are at most 64 of each.
pub(super) fn has_all(
    event: &EventRef<'_>,
    words: &[Box<str>],
    phrases: &[Vec<Box<str>>],
) -> Option<bool> {
    let all = |count: usize| u64::MAX.checked_shr(64 - count as u32).unwrap_or(0);
    if words.len().max(phrases.len()) > 64 {
        return None;
    }
    let (mut has_words, mut has_phrases) = (0u64, 0u64);
    each_text(event, |mut text| {
        while let Some(word) = text.next() {
            if let Some(i) = words.iter().position(|spelling| is_spelled(word, spelling)) {
                has_words |= 1 << i;
            }
            for (i, phrase) in phrases.iter().enumerate() {
                let rest = &phrase[1..];
                let stands = is_spelled(word, &phrase[0])
                    && text.clone().take(rest.len()).count() == rest.len()
                    && text.clone().zip(rest).all(|(word, spelling)| is_spelled(word, spelling));
                has_phrases |= u64::from(stands) << i;
            }
        }
    })?;
    Some(has_words == all(words.len()) && has_phrases == all(phrases.len()))
}
