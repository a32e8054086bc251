//! What is done to a store beside serving it: looking into its files, proving them whole, mending them.
//!
//! ```text
//!   inspect   one file, as it lies there         verify   the whole store, read only
//!   repair    verify; what is damaged is made anew from what is whole, the damaged goes to quarantine
//! ```
//!
//! Reading order: `report` (what is found), `readonly` (the disk that cannot be written), `site` (whose
//! store it is), `log`, `verify`, `repair`, `inspect`.

pub mod inspect;
mod log;
mod readonly;
pub mod repair;
mod report;
mod site;
pub mod verify;

pub use report::{Counts, Finding, Report, Severity, Witness};

#[cfg(test)]
mod tests;
