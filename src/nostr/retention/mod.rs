//! Retention in the words of Nostr: kinds, authors, ages; and expiration, which needs no rule.
//!
//! ```text
//!   RuleConfig (a file, a flag) --rules--> retention::Rules --> plan, apply, Retention::start
//! ```

mod config;
mod units;

pub use config::{Amount, PublishedRule, RuleConfig};

use super::event::EventRef;
use super::filter::Filter;
use super::{expiration, plan, requests, terms};
use crate::base::{Result, Terms};
use crate::model::Record;
use crate::query::{Expiry, Select};
use crate::retention::{AuthorTerms, Keep, Rule, Rules, Words};
use std::sync::Arc;

/// The rules that `configs` ask for, together; without any, expired events are all that goes. A rule is about requests to
/// delete and to vanish (kinds 5 and 62) only if it names the kind by itself, and not within a range.
///
/// # Errors
/// `Invalid`, naming rule and field.
pub fn rules(configs: &[RuleConfig]) -> Result<Rules> {
    let mut rules = Rules { words: words(), ..Rules::default() };
    let is_named = |kind| configs.iter().any(|config| !config.protect && config.names(kind));
    let named = REQUESTS.map(|kind| (kind, is_named(kind)));
    for (kind, _) in named.iter().filter(|(_, named)| !named) {
        // The usual case. Protected records still count, so that a count stays one of lists.
        let kinds = Some(vec![*kind]);
        rules.protect.push(plan::select(&Filter { kinds, ..Filter::default() }));
    }
    for (i, config) in configs.iter().enumerate() {
        let parts = config.check().map_err(|why| config::refused(i, &why))?;
        let filter = Filter { kinds: parts.kinds, authors: parts.authors, ..Filter::default() };
        let is_all = filter.kinds.is_none() && filter.authors.is_none();
        let mut what = plan::select(&filter);
        if config.protect {
            rules.protect.push(what);
            continue;
        }
        for (request, _) in named.iter().filter(|(kind, named)| *named && !config.names(*kind)) {
            spare(*request, &mut what);
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

/// Requests to delete and to vanish: what they say holds for ever, so only a rule that names them removes them.
const REQUESTS: [u16; 2] = [requests::DELETION, requests::VANISH];

/// Takes events of this kind out of a selection.
fn spare(spared: u16, what: &mut Select) {
    let mut out = Terms::new();
    terms::kind(spared, &mut out);
    what.none_of.extend(out.iter().map(<[u8]>::to_vec));
    let matches = what.matches.clone();
    what.matches = Arc::new(move |record| kind(record) != u64::from(spared) && matches(record));
}

/// Whether a record is an event that has expired and may go for it. Requests stay, though nobody is shown them.
fn is_swept(record: Record<'_>, now: u64) -> bool {
    let is_request = || REQUESTS.into_iter().any(|request| kind(record) == u64::from(request));
    expiration::is_over(record, now) && !is_request()
}

/// What retention has to know of events.
pub fn words() -> Words {
    Words {
        author: Some(AuthorTerms { prefix: terms::AUTHOR, of: author }),
        kind: Some(kind),
        expiry: Some(Expiry { is_over: is_swept, ..expiration::EXPIRY }),
    }
}

fn author(record: Record<'_>) -> Option<&[u8]> {
    record.body.get(..32)
}

fn kind(record: Record<'_>) -> u64 {
    EventRef::stored(record).map_or(u64::MAX, |event| u64::from(event.kind()))
}

#[cfg(test)]
mod tests;
