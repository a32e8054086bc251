//! Times as log lines carry them and as people write them.
//!
//! ```text
//!   a line         --stamp::recognise--> microseconds, and where in the line they stand
//!   "2h ago"       --when::parse-------> microseconds
//!   microseconds   --Zone::write-------> 2026-11-22T14:00:00.000000+01:00
//! ```
//!
//! 1. A time is in microseconds since the Unix epoch; what lies before it is no time of a record.
//! 2. Nothing here asks for the time of day: it is passed in.
//! 3. The calendar is the proleptic Gregorian one, without leap seconds: second 60 is the first of the next
//!    minute.

mod calendar;
pub mod stamp;
pub mod when;
mod zone;

pub use zone::{Zone, read};

/// Microseconds in a second.
pub const SECOND_US: u64 = 1_000_000;

/// Microseconds in a day.
pub const DAY_US: u64 = 86_400 * SECOND_US;
