//! The configuration: one file, with environment and flags on top.
//!
//! ```text
//!   table (rows_...: every option, once) --- kind (values) --- units (sizes, times)
//!                       |
//!   default < file < environment < flag  --resolve-->  Settings: Options, relay::Config, where from
//!             (file) (layers)      (flags)                 |
//!                                                        print: `ratite config`
//! ```
//!
//! 1. Nothing else reads the environment or a configuration file, but for `RUST_LOG` (`logging`).
//! 2. What is refused is refused before anything is opened, by its name and its place, all at once.
//! 3. What `ratite config` prints is a configuration file that means the same.

mod file;
mod flags;
#[cfg(any(test, feature = "fuzzing"))]
#[allow(
    dead_code,
    reason = "called by fuzz/fuzz_targets/config.rs, which has this module by its path"
)]
pub mod fuzz;
mod kind;
mod layers;
mod nearest;
mod print;
mod resolve;
mod rows_about;
mod rows_logs;
mod rows_policy;
mod rows_relay;
mod rows_retention;
mod rows_store;
mod table;
#[cfg(test)]
mod tests;
mod units;

pub use flags::{AllFlags, RelayFlags, StoreFlags};
pub use kind::{Built, OwnLogging, Retaining};
pub use print::{Args, run};
pub use resolve::Settings;
pub use units::parse_size;
