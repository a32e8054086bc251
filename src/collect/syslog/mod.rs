//! Syslog: what a message says of itself, where one ends, and what its source is called. Pure.
//!
//! ```text
//!   stream -> frames -> message -> template -> the name of a source
//!   datagram ------------^  ^-- stamp: its time
//! ```

pub(crate) mod frames;
pub(crate) mod message;
mod stamp;
pub mod template;
