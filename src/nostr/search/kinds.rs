//! Which kinds of event are searched: the choice at a store's birth, and its bytes in STORE.
//!
//! ```text
//!   off:  nothing          else:  words version:1, then each kind:2 (big-endian, ascending)
//! ```
//!
//! I1. Ascending, without repetitions, at most [`KINDS_MAX`], none of [`NEVER`]: two equal choices are equal bytes.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Version of how texts become words. Another one makes other terms, so a store is bound to its own.
pub const WORDS_VERSION: u8 = 1;

/// Kinds of a choice: what fits the settings of a model.
pub const KINDS_MAX: usize = 31;

/// Kinds whose content is a secret, or a wrap around one: encrypted direct messages, seals, private chat, files in
/// it, gift wraps.
pub const NEVER: [u16; 5] = [4, 13, 14, 15, 1059];

/// What is searched unless one chooses: profiles; notes, threads, pictures, videos, chat, comments, live chat,
/// issues, highlights; articles, live events, classifieds, wiki pages, dates and times of calendars.
const DEFAULT: [u16; 17] =
    [0, 1, 11, 20, 21, 22, 42, 1111, 1311, 1621, 9802, 30023, 30311, 30402, 30818, 31922, 31923];

/// The kinds of event whose words are indexed. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct SearchKinds(Arc<[u16]>);

impl Default for SearchKinds {
    fn default() -> SearchKinds {
        SearchKinds(DEFAULT.into())
    }
}

impl SearchKinds {
    /// None: the store has no words, and no search.
    pub fn off() -> SearchKinds {
        SearchKinds([].into())
    }

    /// These.
    ///
    /// # Errors
    /// Which one cannot be searched, or that they are too many, as a sentence.
    pub fn new(kinds: &[u16]) -> Result<SearchKinds, String> {
        let mut kinds = kinds.to_vec();
        kinds.sort_unstable();
        kinds.dedup();
        if let Some(secret) = kinds.iter().find(|kind| NEVER.contains(kind)) {
            return Err(format!("kind {secret} is private and never searched"));
        }
        if kinds.len() > KINDS_MAX {
            return Err(format!("{} kinds are more than {KINDS_MAX}", kinds.len()));
        }
        Ok(SearchKinds(kinds.into()))
    }

    /// Whether there is no search.
    pub fn is_off(&self) -> bool {
        self.0.is_empty()
    }

    /// The kinds, ascending.
    pub fn kinds(&self) -> &[u16] {
        &self.0
    }

    /// Whether the words of events of `kind` are indexed.
    pub fn has(&self, kind: u16) -> bool {
        self.0.binary_search(&kind).is_ok()
    }

    /// The choice as a store keeps it.
    pub(in crate::nostr) fn to_settings(&self) -> Vec<u8> {
        let kinds = self.0.iter().flat_map(|kind| kind.to_be_bytes());
        if self.is_off() { Vec::new() } else { [WORDS_VERSION].into_iter().chain(kinds).collect() }
    }

    /// The choice that a store keeps.
    ///
    /// # Errors
    /// Why it is none that this program could have made.
    pub(in crate::nostr) fn of_settings(settings: &[u8]) -> Result<SearchKinds, String> {
        let Some((&version, kinds)) = settings.split_first() else { return Ok(SearchKinds::off()) };
        if version != WORDS_VERSION {
            return Err(format!("its words are of version {version}, not {WORDS_VERSION}"));
        }
        let list: Vec<u16> =
            kinds.chunks(2).map(|k| k.iter().fold(0, |n, &b| n << 8 | u16::from(b))).collect();
        let choice = SearchKinds::new(&list)?;
        match choice.to_settings() == settings && !choice.is_off() {
            true => Ok(choice),
            false => Err("its list of searched kinds is not in order".into()),
        }
    }
}

/// `default`, `off`, or kinds with commas.
impl FromStr for SearchKinds {
    type Err = String;

    fn from_str(text: &str) -> Result<SearchKinds, String> {
        match text {
            "default" => Ok(SearchKinds::default()),
            "off" => Ok(SearchKinds::off()),
            _ => {
                let kind = |text: &str| {
                    let text = text.trim();
                    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
                    let kind = text.parse().ok().filter(|_| digits);
                    kind.ok_or_else(|| format!("{text:?} is no kind"))
                };
                SearchKinds::new(&text.split(',').map(kind).collect::<Result<Vec<u16>, _>>()?)
            }
        }
    }
}

impl fmt::Display for SearchKinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_off() {
            return f.write_str("off");
        }
        if *self == SearchKinds::default() {
            return f.write_str("default");
        }
        let kinds: Vec<String> = self.0.iter().map(u16::to_string).collect();
        f.write_str(&kinds.join(","))
    }
}

impl fmt::Debug for SearchKinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SearchKinds({self})")
    }
}
