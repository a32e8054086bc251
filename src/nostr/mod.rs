//! The pure part of the Nostr floor: events, filters and the rules of NIP-01, without I/O and clock.
//!
//! ```text
//!   JSON --json::parse_event--> body + Key --id::check, verify::signature--> engine (rules, terms)
//!   JSON <--json::write_event-- EventRef  <---------------------------------- engine
//!   JSON --filter_json::parse_filter--> Filter --terms--> engine, Filter::matches for the residual
//! ```
//!
//! Files, lowest first: `format` (bytes of a body), `event` (views), `json` (scanner, parser,
//! writer), `id`, `verify`, `build` (events from parts), `filter`, `filter_json`, `terms`, `rules`,
//! `expiration`, `requests`, `search` (words of events, and their rank), `retention` (which events go, and when), `hll` and
//! `negentropy` (comparing with other relays), `generate` (events for tests and benches), `private` (kinds of which strangers
//! are told nothing), `deletions`, `ranked`, `store`, `sets`
//! (what is stored, for comparing); for embedders `batch`, `streams`, `hub` and `subscribe`, `changes`, `open`, and by
//! feature `types` (from and to the `nostr` crate) and `database` (its `NostrDatabase`). A later rule adds a probe
//! and a step in `rules`; nothing else here knows them.

mod batch;
mod build;
#[cfg(test)]
mod cases;
mod changes;
mod count;
#[cfg(feature = "nostr-database")]
mod database;
mod deletions;
mod event;
pub mod expiration;
mod filter;
mod filter_json;
pub mod format;
#[cfg(any(all(test, feature = "tool"), feature = "fuzzing"))]
pub(crate) mod fuzz;
pub mod generate;
pub mod hll;
mod hub;
pub mod id;
pub mod json;
mod marks;
mod matcher;
pub mod negentropy;
mod open;
mod plan;
mod private;
mod ranked;
pub mod requests;
pub mod retention;
pub mod rules;
pub mod search;
mod sets;
mod store;
mod streams;
mod subscribe;
pub mod terms;
#[cfg(feature = "nostr-types")]
mod types;
pub mod verify;

pub use changes::{Change, Changes, Position};
pub use event::{Event, EventRef, Item, TagRef};
pub use filter::{Filter, TagValue};
pub use filter_json::{FilterError, parse_filter, parse_filters, write_filter};
pub use format::FormatError;
pub use json::{JsonLimits, ParseError, parse_event, write_event};
pub use plan::{select, selects_at};
pub use rules::{Class, EventModel, class};
pub use search::{Search, SearchKinds};
pub use sets::{Gathered, ROOM_ITEMS};
pub use store::{EventOptions, EventStore, Events, Inserted, Pending};
pub use streams::{Blocking, EventStream};
pub use subscribe::{Queue, Subscription, Update};
pub use verify::Signer;
