//! Search of NIP-50, the pure part: from texts to words, from a query to its words, from both to a score.
//!
//! ```text
//!   event --fields--> texts --words--> units --> terms of the index (`terms::word`)
//!   "search" --query--> Search: words, phrases --> posting lists; phrases are checked on the text
//!   matches --rank--> score --> order of the answer
//! ```
//!
//! Files, lowest first: `words` (how a text becomes units), `fields` (which texts an event has), `kinds` (of which
//! kinds of event), `query`, `rank`. docs/search.md says the same for people.
//!
//! I1. What is indexed and what [`Search::matches`] looks at are the same units of the same texts: an index answers
//!     exactly what a walk over all events would.

mod fields;
mod kinds;
mod query;
mod rank;
mod words;

pub use fields::EventWords;
pub(super) use fields::add_terms;
pub use kinds::{SearchKinds, WORDS_VERSION};
pub use query::{QUERY_BYTES_MAX, QUERY_WORDS_MAX, Search};
pub(super) use rank::{Found, Weights, best_first};
#[cfg(test)]
pub(super) use words::Units;
pub use words::WORD_BYTES_MAX;

#[cfg(test)]
mod tests;
