//! Kinds of which strangers are told nothing, not even that an event is there.
//!
//! Who may see what is the relay's to decide; but two answers of the store speak of events that nobody asked for: the
//! refusal of a request to delete that names events of others, and the order of a search, by what is frequent. Neither
//! may depend on events of these kinds, or a stranger could tell from them that one is there.
//!
//! I1. A kind that is private stays so as long as the store is open.

use std::sync::{PoisonError, RwLock};

/// The private kinds of one store, ascending.
#[derive(Default)]
pub(crate) struct PrivateKinds(RwLock<Vec<u16>>);

impl PrivateKinds {
    /// These too (I1).
    pub(crate) fn add(&self, kinds: &[u16]) {
        let mut own = self.0.write().unwrap_or_else(PoisonError::into_inner);
        own.extend_from_slice(kinds);
        own.sort_unstable();
        own.dedup();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    pub(crate) fn has(&self, kind: u16) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).binary_search(&kind).is_ok()
    }
}
