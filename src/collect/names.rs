//! Names of sources, out of what strangers call themselves.
//!
//! I1. A name is 1 to `NAME_BYTES_MAX` bytes of UTF-8 without control characters, whatever was sent.
//! I2. A name is made a source once, as long as it is among the last [`KEPT_MAX`].

use crate::logs::{NAME_BYTES_MAX, Source};
use std::collections::HashMap;
use std::sync::Arc;

/// Names whose sources are kept: as many as a site has programs, and 1.2 MB of the longest.
const KEPT_MAX: usize = 4096;

/// What a source is called that has no name.
const NAMELESS: &str = "-";

/// Appends what of `bytes` can be printed: what is no UTF-8, and what would act on a terminal, becomes U+FFFD.
pub(super) fn push_printable(bytes: &[u8], name: &mut String) {
    for chunk in bytes.utf8_chunks() {
        let printable =
            |char: char| if char.is_control() { char::REPLACEMENT_CHARACTER } else { char };
        name.extend(chunk.valid().chars().map(printable));
        if !chunk.invalid().is_empty() {
            name.push(char::REPLACEMENT_CHARACTER);
        }
    }
}

/// Makes `name` as long as it may be.
pub(super) fn fit(name: &mut String) {
    let end = (0..=NAME_BYTES_MAX.min(name.len())).rev().find(|at| name.is_char_boundary(*at));
    name.truncate(end.unwrap_or(0));
    if name.is_empty() {
        name.push_str(NAMELESS);
    }
}

/// The sources of names.
#[derive(Default)]
pub(super) struct Sources(HashMap<Box<str>, Arc<Source>>);

impl Sources {
    /// The source of this name, which [`fit`] made fit.
    pub(super) fn named(&mut self, name: &str) -> Arc<Source> {
        if let Some(source) = self.0.get(name) {
            return source.clone();
        }
        // A name that is a UUID's text is that UUID; all else that fits is a name.
        let source = Arc::new(name.parse().unwrap_or(Source::of([0; 16])));
        if self.0.len() >= KEPT_MAX {
            self.0.clear();
        }
        self.0.insert(name.into(), source.clone());
        source
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_sent_becomes_a_name() {
        let name = |bytes: &[u8]| {
            let mut name = String::new();
            push_printable(bytes, &mut name);
            fit(&mut name);
            name
        };
        assert_eq!(name(b""), "-");
        assert_eq!(name(b"a\x1b[1m\xff\n"), "a\u{fffd}[1m\u{fffd}\u{fffd}");
        assert_eq!(name("é".repeat(200).as_bytes()), "é".repeat(127));
        assert_eq!(name(&[b'x'; 255]).len(), 255);
    }

    #[test]
    fn few_names_are_kept_and_each_gives_the_same_source() {
        let mut sources = Sources::default();
        let first = sources.named("a");
        assert!(Arc::ptr_eq(&first, &sources.named("a")));
        (0..2 * KEPT_MAX).for_each(|i| drop(sources.named(&i.to_string())));
        assert!(sources.0.len() <= KEPT_MAX);
        assert_eq!(*sources.named("a"), *first);
        let uuid = "0191c2f0-7a3b-7cc1-9d3e-0123456789ab";
        assert_eq!(
            (sources.named(uuid).to_string().as_str(), sources.named(uuid).name()),
            (uuid, None)
        );
    }
}
