//! OTLP/HTTP logs: requests in protocol buffers or JSON, and their answers. Pure.
//!
//! ```text
//!   body -> protobuf (wire) --+--> Draft (line) --> Intake --> Batch
//!   body -> json -------------+                       |
//!                                                     +-----> answer
//! ```
//!
//! Built after the OTLP specification 1.9; `docs/decisions/0019-otlp.md` says why this protocol, and why its
//! messages are read in place.

pub(crate) mod answer;
pub(crate) mod intake;
pub(crate) mod json;
mod line;
pub(crate) mod protobuf;
mod wire;

#[cfg(test)]
mod tests;
