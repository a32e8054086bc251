//! Ways into a log store over the network: syslog by UDP and TCP, OpenTelemetry over HTTP.
//!
//! ```text
//!   datagrams --udp--+                          thread "ratite-syslog"
//!   streams ----tcp--+--> syslog --> Sink: a batch fills while the one before is appended --> LogStore
//!
//!   POST /v1/logs --http--> otlp --> Batch ------------------------------------------------> LogStore
//!   GET /healthz, /ready, /metrics              thread "ratite-otlp"
//! ```
//!
//! Reading order: `config`, `syslog` and `otlp` (pure), `names` and `batch`, `sink`, `udp` and `tcp`, `http` and
//! `body`, `stats`, `server`.
//!
//! C1. Memory is bounded by [`Limits`], whatever is sent: each queue, buffer and list has its limit there.
//! C2. What was acknowledged (an OTLP request answered with 200) is as durable as the sync mode says. Syslog
//!     has no acknowledgement: what was read from a socket is stored unless the process or the store dies.
//! C3. A store that is slower than its senders slows those that can be slowed: streams are read later, requests
//!     wait and are then told to come again. Datagrams are dropped by the kernel, which counts them.
//! C4. Nothing here authenticates anyone: the addresses are loopback unless somebody says otherwise.

mod batch;
mod body;
mod config;
#[cfg(any(all(test, feature = "tool"), feature = "fuzzing"))]
pub(crate) mod fuzz;
mod http;
mod names;
mod otlp;
mod server;
mod sink;
mod stats;
mod syslog;
mod tcp;
mod udp;

pub use config::{Config, Limits};
pub use server::{Addresses, Collector};
pub use syslog::template::Template;

#[cfg(test)]
mod tests;
