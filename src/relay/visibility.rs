//! Who may see what: events of private kinds go to their parties only.
//!
//! ```text
//!   filter F of a client with keys K, private kinds P
//!     stored:  (F and kind not in P)  or  (F and kind in P and author in K)  or  (F and kind in P and #p in K)
//!     live:    F, and then `may_see`
//! ```
//!
//! The parties are the author and whoever a `p` tag names. What is hidden is hidden by the selection
//! itself: so a page is full, a count is exact, and neither says anything of what is not shown.
//!
//! I1. An event matches one of the narrowed filters exactly if it matches the filter and `may_see` says yes.
//! I2. A filter that was split gives no more than its limit: the newest of all its parts.

use crate::nostr::{EventRef, Filter, Item};

/// Whether a client that has proved to own `keys` may see the event.
pub(super) fn may_see(event: &EventRef<'_>, private_kinds: &[u16], keys: &[[u8; 32]]) -> bool {
    !private_kinds.contains(&event.kind()) || is_party(event, keys)
}

fn is_party(event: &EventRef<'_>, keys: &[[u8; 32]]) -> bool {
    if keys.is_empty() {
        return false;
    }
    let named = |value: Item<'_>| value.id().is_some_and(|key| keys.contains(key));
    let mut recipients = event.tags().filter(|tag| tag.letter() == Some(b'p'));
    keys.contains(event.pubkey()) || recipients.any(|tag| tag.value().is_some_and(named))
}

/// Whether all that the filter asks for is private.
pub(super) fn asks_private_only(filter: &Filter, private_kinds: &[u16]) -> bool {
    let private = |kinds: &Vec<u16>| kinds.iter().all(|kind| private_kinds.contains(kind));
    filter.kinds.as_ref().is_some_and(|kinds| !kinds.is_empty() && private(kinds))
}

/// The filters that together match what `filter` does, of what these keys may see (I1). Each keeps the limit.
pub(super) fn narrowed(filter: &Filter, private_kinds: &[u16], keys: &[[u8; 32]]) -> Vec<Filter> {
    let mut parts = Vec::with_capacity(3);
    let is_private = |kind: &u16| private_kinds.contains(kind);
    let (open, private) = match &filter.kinds {
        None => (None, private_kinds.to_vec()),
        Some(kinds) => {
            let (private, open) = kinds.iter().partition(|kind| is_private(kind));
            (Some(open), private)
        }
    };
    let not_kinds = if open.is_none() { private_kinds.to_vec() } else { Vec::new() };
    parts.push(Filter { kinds: open, not_kinds, ..filter.clone() });
    if !private.is_empty() && !keys.is_empty() {
        let private = Filter { kinds: Some(private), ..filter.clone() };
        let own = |authors: &Vec<[u8; 32]>| {
            authors.iter().filter(|author| keys.contains(author)).copied().collect()
        };
        let authors = private.authors.as_ref().map_or_else(|| keys.to_vec(), own);
        parts.push(Filter { authors: Some(authors), ..private.clone() });
        let mut named = private;
        // Beside what the filter says of `p` itself: an event may name several.
        named.tags.push((b'p', keys.iter().map(|key| (*key).into()).collect()));
        parts.push(named);
    }
    parts.retain(|part| !part.is_empty());
    parts.iter_mut().for_each(Filter::normalize);
    parts
}

/// What a request asks the store for, and which of the answer it is given.
pub(super) struct Narrowed {
    /// To ask for.
    pub(super) filters: Vec<Filter>,
    /// What each filter of the client may still get; none if no filter was split.
    left: Vec<(Filter, u64)>,
}

impl Narrowed {
    /// What `filters` come to for these keys.
    pub(super) fn new(filters: &[Filter], private_kinds: &[u16], keys: &[[u8; 32]]) -> Narrowed {
        let parts: Vec<Vec<Filter>> =
            filters.iter().map(|filter| narrowed(filter, private_kinds, keys)).collect();
        let is_split = parts.iter().any(|parts| parts.len() > 1);
        let left = |filter: &Filter| (filter.clone(), filter.limit.unwrap_or(u64::MAX));
        let left = if is_split { filters.iter().map(left).collect() } else { Vec::new() };
        Narrowed { filters: parts.into_iter().flatten().collect(), left }
    }

    /// Whether the next event of the store's answer is given (I2): it is among the newest of a filter.
    pub(super) fn takes(&mut self, event: &EventRef<'_>) -> bool {
        let mut takes = self.left.is_empty();
        for (filter, left) in &mut self.left {
            if *left > 0 && filter.matches(event) {
                *left -= 1;
                takes = true;
            }
        }
        takes
    }

    /// Whether no event that may still come would be given.
    pub(super) fn is_spent(&self) -> bool {
        !self.left.is_empty() && self.left.iter().all(|(_, left)| *left == 0)
    }
}

#[cfg(test)]
#[path = "tests/visibility.rs"]
mod tests;
