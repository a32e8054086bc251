//! One rule as a file or a flag gives it, checked field by field.
//!
//! ```text
//!   kinds=1,7 age=30d             a flag: words, split at spaces
//!   kinds=0,3,10002 protect       what no rule removes
//!   each=author bytes=50MiB       a quota
//! ```
//!
//! Every refusal begins with the name of its field.

use super::units;
use crate::base::Error;
use std::fmt;

/// Kinds that a rule may name one by one: beyond, it is a mistake.
const KINDS_MAX: usize = 65_536;

/// A rule before it is checked. `age`, `count` and `bytes` are rules of their own about the same events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "relay", derive(serde::Deserialize), serde(default, deny_unknown_fields))]
pub struct RuleConfig {
    /// Kinds, as numbers or as ranges `"30000-39999"`. None: all.
    pub kinds: Option<Vec<Amount>>,
    /// Public keys in hex. None: all.
    pub authors: Option<Vec<String>>,
    /// Events older than this go: seconds, or text like `30d`.
    pub age: Option<Amount>,
    /// The newest so many stay.
    pub count: Option<u64>,
    /// The newest of so many bytes stay: bytes, or text like `10GiB`. Without kinds, authors and `each` these are
    /// bytes of the segments' files.
    pub bytes: Option<Amount>,
    /// `author`: `count` or `bytes` is meant for each author.
    pub each: Option<String>,
    /// These events are removed by no rule.
    pub protect: bool,
}

/// A number, or a text that says one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "relay", derive(serde::Deserialize), serde(untagged))]
pub enum Amount {
    /// As it is.
    Number(u64),
    /// With a unit, or a range.
    Text(String),
}

/// A rule that was checked.
pub(super) struct Parts {
    pub(super) kinds: Option<Vec<u16>>,
    pub(super) authors: Option<Vec<[u8; 32]>>,
    pub(super) age: Option<u64>,
    pub(super) count: Option<u64>,
    pub(super) bytes: Option<u64>,
    pub(super) each_author: bool,
}

/// The error that names a rule of a list.
pub(super) fn refused(index: usize, why: &str) -> Error {
    Error::invalid("retention rule", format!("rule {}: {why}", index + 1))
}

impl RuleConfig {
    /// The rule that words like `kinds=1,7 age=30d` say.
    ///
    /// # Errors
    /// `Invalid`, naming the word.
    pub fn parse(text: &str) -> Result<RuleConfig, Error> {
        let mut config = RuleConfig::default();
        for word in text.split_whitespace() {
            config.set(word).map_err(|why| Error::invalid("retention rule", why))?;
        }
        config.check().map_err(|why| Error::invalid("retention rule", why))?;
        Ok(config)
    }

    /// Whether the rule names this kind by itself.
    pub(super) fn names(&self, kind: u16) -> bool {
        let names = |item: &Amount| match item {
            Amount::Number(number) => *number == u64::from(kind),
            Amount::Text(text) => text.parse() == Ok(kind),
        };
        self.kinds.as_ref().is_some_and(|kinds| kinds.iter().any(names))
    }

    fn set(&mut self, word: &str) -> Result<(), String> {
        let (field, value) = word.split_once('=').unwrap_or((word, ""));
        let text = || Amount::Text(value.to_string());
        let list = || value.split(',').map(str::to_string);
        let twice = match field {
            "kinds" => self.kinds.replace(list().map(Amount::Text).collect()).is_some(),
            "authors" => self.authors.replace(list().collect()).is_some(),
            "age" => self.age.replace(text()).is_some(),
            "count" => {
                let count = value.parse().map_err(|_| format!("count: {value} is no number"))?;
                self.count.replace(count).is_some()
            }
            "bytes" => self.bytes.replace(text()).is_some(),
            "each" => self.each.replace(value.to_string()).is_some(),
            "protect" if word == "protect" => std::mem::replace(&mut self.protect, true),
            _ => {
                return Err(format!(
                    "{word}: the words are kinds=, authors=, age=, count=, bytes=, each=author, \
                     protect"
                ));
            }
        };
        if twice { Err(format!("{field}: it is there twice")) } else { Ok(()) }
    }

    /// The parts, or what is wrong, beginning with the field's name.
    pub(super) fn check(&self) -> Result<Parts, String> {
        let parts = Parts {
            kinds: self.kinds.as_ref().map(|list| kinds(list)).transpose()?,
            authors: self.authors.as_ref().map(|list| authors(list)).transpose()?,
            age: positive("age", &self.age, units::seconds)?,
            count: self.count,
            bytes: positive("bytes", &self.bytes, units::bytes)?,
            each_author: match self.each.as_deref() {
                None => false,
                Some("author") => true,
                Some(other) => return Err(format!("each: it is author or nothing, not {other}")),
            },
        };
        let is_all = parts.kinds.is_none() && parts.authors.is_none();
        let keeps = parts.age.is_some() || parts.count.is_some() || parts.bytes.is_some();
        let is_quota = parts.count.is_some() || parts.bytes.is_some();
        if self.protect && (keeps || parts.each_author) {
            return Err("protect: a rule that protects has kinds or authors and no more".into());
        }
        if self.protect && is_all {
            return Err("protect: it would protect everything; kinds or authors say what".into());
        }
        if !self.protect && !keeps {
            return Err("age: one of age, count, bytes or protect has to be there".into());
        }
        if parts.each_author && !is_quota {
            return Err("each: it says something of count and of bytes only".into());
        }
        if parts.each_author && parts.age.is_some() {
            return Err(
                "each: an age is the same for each author; make it a rule of its own".into()
            );
        }
        if parts.count == Some(0) && is_all {
            return Err("count: 0 would remove everything".into());
        }
        Ok(parts)
    }

    /// The rule as NIP-11 can say it: about kinds, ages and counts. `None` for quotas, authors and bytes, which
    /// it has no words for, and for what is no rule.
    pub fn published(&self) -> Option<PublishedRule> {
        let parts = self.check().ok()?;
        let says_more = parts.authors.is_some() || parts.bytes.is_some() || parts.each_author;
        let Parts { kinds, age, count, .. } = parts;
        (!says_more).then_some(PublishedRule { kinds, seconds: age, count })
    }
}

/// What clients are told of a rule. One without `seconds` and `count` protects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedRule {
    /// The kinds that it is about; none: all.
    pub kinds: Option<Vec<u16>>,
    /// How long an event stays.
    pub seconds: Option<u64>,
    /// How many of the newest stay.
    pub count: Option<u64>,
}

fn positive(
    field: &str,
    amount: &Option<Amount>,
    parse: fn(&str) -> Result<u64, String>,
) -> Result<Option<u64>, String> {
    let value = match amount {
        None => return Ok(None),
        Some(Amount::Number(number)) => *number,
        Some(Amount::Text(text)) => parse(text).map_err(|why| format!("{field}: {why}"))?,
    };
    if value == 0 { Err(format!("{field}: 0 would remove everything")) } else { Ok(Some(value)) }
}

fn kinds(list: &[Amount]) -> Result<Vec<u16>, String> {
    let mut kinds = Vec::new();
    for item in list {
        let refuse = |text: &dyn fmt::Display| {
            format!("kinds: {text} is no kind from 0 to 65535, nor a range like 30000-39999")
        };
        match item {
            Amount::Number(number) => {
                kinds.push(u16::try_from(*number).map_err(|_| refuse(number))?);
            }
            Amount::Text(text) => {
                let (low, high) = text.split_once('-').unwrap_or((text, text));
                let parse = |part: &str| part.parse::<u16>().map_err(|_| refuse(text));
                let range = parse(low)?..=parse(high)?;
                if range.is_empty() || kinds.len() + range.len() > KINDS_MAX {
                    return Err(refuse(text));
                }
                kinds.extend(range);
            }
        }
    }
    if kinds.is_empty() { Err("kinds: the list is empty".into()) } else { Ok(kinds) }
}

fn authors(list: &[String]) -> Result<Vec<[u8; 32]>, String> {
    let mut authors = Vec::with_capacity(list.len());
    for text in list {
        let mut key = [0; 32];
        if text.len() != 64 || const_hex::decode_to_slice(text, &mut key).is_err() {
            return Err(format!("authors: {text} is not 64 hex characters"));
        }
        authors.push(key);
    }
    if authors.is_empty() { Err("authors: the list is empty".into()) } else { Ok(authors) }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Amount::Number(number) => number.fmt(f),
            Amount::Text(text) => text.fmt(f),
        }
    }
}

impl fmt::Display for RuleConfig {
    /// The words that say the rule.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |items: Vec<String>| items.join(",");
        let kinds = self.kinds.as_ref().map(|k| list(k.iter().map(Amount::to_string).collect()));
        let words = [
            ("kinds", kinds),
            ("authors", self.authors.clone().map(list)),
            ("age", self.age.as_ref().map(Amount::to_string)),
            ("count", self.count.map(|count| count.to_string())),
            ("bytes", self.bytes.as_ref().map(Amount::to_string)),
            ("each", self.each.clone()),
        ];
        let words =
            words.into_iter().filter_map(|(name, value)| Some(format!("{name}={}", value?)));
        let words: Vec<String> = words.chain(self.protect.then(|| "protect".to_string())).collect();
        f.write_str(&words.join(" "))
    }
}
