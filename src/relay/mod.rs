//! The relay: Nostr over websockets, on an [`EventStore`](crate::nostr::EventStore).
//!
//! ```text
//!   server      a front-end thread per core: its own runtime, listener, connections, feed
//!     http        handshake, NIP-11, page
//!     manage      NIP-86: who, what
//!     connection  one task per client: frames in, answers out, deadlines
//!       session     what the client has under way: writes, requests, subscriptions
//!       auth        AUTH: which keys are the client's
//!       publish     EVENT: limits -> policy -> id -> signature -> plugin -> store
//!       request     REQ, COUNT: filters, stored events in slices
//!       negentropy  NEG-OPEN, NEG-MSG: items of a filter at one moment, compared with a client's
//!       visibility  who may see what: of a client's filters, what its keys may see
//!     feed        what the store commits -> subscriptions -> outboxes of this thread's clients
//!   ------------------------------------------------------------------------------------------
//!   front       what the tasks of one thread share      doors   how many clients, from where
//!   policy      what is let in, and how fast             plugin  a program that is asked about events
//!   subscriptions, live, outbox, message, reply, split, limits, config, stats
//!   metrics     what is measured, and whether all is well     scrape   a listener for it alone
//! ```
//!
//! Files, lowest first: `limits`, `config`, `metrics`, `stats`, `split` (JSON arrays as ranges), `message`
//! (what clients say), `reply` (what is said to them), `outbox`, `visibility`, `auth`, `live`, `subscriptions`, `doors`,
//! `budget`, `rounds`, `policy`, `plugin`, `background`, `sent_away` (counted and logged), `held`, `front`, `client`, `feed`, `publish`, `request`, `negentropy`, `session`,
//! `connection`, `info`, `page`, `linger`, `deflate`, `transport`, `manage`, `http`, `runtime`, `scrape`, `server`.
//!
//! I1. `OK true` is sent only after the store has answered; an event's bytes are never sent changed.
//! I2. A subscription gives each event that matches once: what its snapshot holds before `EOSE`, what
//!     was stored after it live.
//! I3. An event of a private kind goes to its author and recipients only, once they have authenticated.
//! I4. A client holds a bounded amount of memory, whatever it sends or leaves unread, and slows
//!     neither another client nor the store.

mod auth;
mod background;
mod budget;
mod client;
mod config;
mod connection;
mod deflate;
mod doors;
mod feed;
mod front;
#[cfg(any(all(test, feature = "tool"), feature = "fuzzing"))]
pub(crate) mod fuzz;
mod held;
mod http;
mod info;
mod limits;
mod linger;
mod live;
mod manage;
mod message;
mod metrics;
mod negentropy;
mod outbox;
mod page;
mod plugin;
mod policy;
mod publish;
mod reply;
mod request;
mod rounds;
mod runtime;
mod scrape;
mod sent_away;
mod server;
mod session;
pub(crate) mod split;
mod stats;
mod subscriptions;
#[cfg(test)]
mod tests;
mod transport;
mod visibility;

pub use config::{About, AuthMode, Config, Metrics};
pub use limits::{AUTH_KEYS_MAX, Limits, SUBID_CHARS_MAX};
pub use metrics::{Readiness, SPACE_BYTES_MIN};
pub use policy::{
    Network, POW_BITS_MAX, PluginConfig, Policy, PolicyConfig, Proxies, Rate, Rates, Rule, Speeds,
    Subject,
};
pub use server::Relay;
pub use stats::RelayStats;
