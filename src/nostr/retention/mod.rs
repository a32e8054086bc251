//! Retention in the words of Nostr: kinds, authors, ages; and expiration, which needs no rule.
//!
//! ```text
//!   RuleConfig (a file, a flag) --rules--> retention::Rules --> plan, apply, Retention::start
//! ```

mod config;
mod units;

pub use config::{Amount, RuleConfig};
pub use units::seconds;

use super::event::EventRef;
use super::filter::Filter;
use super::{expiration, plan, terms};
use crate::base::{Result, Terms};
use crate::model::Record;
use crate::retention::{AuthorTerms, Expiry, Keep, Rule, Rules, Words};

/// The rules that `configs` ask for, together; without any, expired events are all that goes.
///
/// # Errors
/// `Invalid`, naming rule and field.
pub fn rules(configs: &[RuleConfig]) -> Result<Rules> {
    let mut rules = Rules { words: words(), ..Rules::default() };
    for (i, config) in configs.iter().enumerate() {
        let parts = config.check().map_err(|why| config::refused(i, &why))?;
        let filter = Filter { kinds: parts.kinds, authors: parts.authors, ..Filter::default() };
        let is_all = filter.kinds.is_none() && filter.authors.is_none();
        let what = plan::select(&filter);
        if config.protect {
            rules.protect.push(what);
            continue;
        }
        let each_author = parts.each_author;
        let bytes = match is_all && !each_author {
            true => parts.bytes.map(Keep::DiskBytes),
            false => parts.bytes.map(Keep::Bytes),
        };
        // Each is a rule of its own, and called by its own words.
        let only = RuleConfig { age: None, count: None, bytes: None, ..config.clone() };
        let keeps = [
            (parts.age.map(Keep::Age), RuleConfig { age: config.age.clone(), ..only.clone() }),
            (parts.count.map(Keep::Count), RuleConfig { count: config.count, ..only.clone() }),
            (bytes, RuleConfig { bytes: config.bytes.clone(), ..only }),
        ];
        for (keep, words) in keeps {
            let Some(keep) = keep else { continue };
            let name = words.to_string();
            rules.rules.push(Rule { name, what: what.clone(), keep, each_author });
        }
    }
    Ok(rules)
}

/// What retention has to know of events.
pub fn words() -> Words {
    Words {
        author: Some(AuthorTerms { prefix: terms::AUTHOR, of: author }),
        kind: Some(kind),
        expiry: Some(Expiry { terms: hours, is_over: expiration::is_over }),
    }
}

fn author(record: Record<'_>) -> Option<&[u8]> {
    record.body.get(..32)
}

fn kind(record: Record<'_>) -> u64 {
    EventRef::stored(record).map_or(u64::MAX, |event| u64::from(event.kind()))
}

/// The terms of the hours up to that of `now`.
fn hours(now: u64) -> (Vec<u8>, Vec<u8>) {
    let term = |at| {
        let mut out = Terms::new();
        terms::expiration(at, &mut out);
        out.iter().flatten().copied().collect()
    };
    (term(0), term(now))
}

#[cfg(test)]
mod tests;
