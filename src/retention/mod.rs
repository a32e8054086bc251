//! Retention: what goes, and when, by rules on age, count and bytes, while the store serves.
//!
//! ```text
//!   rules, now --+                         +--> plan: figures, nothing is removed
//!                +--> decide: a cut each --+
//!   snapshot ----+    "up to this key"     +--> apply: walk to the cut, remove group by group, paced
//!                                                  ^
//!                      service: once a minute, ----+   and when the disk's limit is passed
//! ```
//!
//! Reading order: `rule`, `keep`, `decide`, `authors`, `plan`, `apply`, `service`.
//!
//! I1. Of a selection the oldest go first, in the store's one total order: time ascending, and of equals the
//!     highest id first. What goes by one rule is therefore everything up to one key, its cut.
//! I2. Rules are decided each on its own, all on one snapshot; what goes is the union. What has expired goes
//!     before all and counts for no rule. What is protected counts, and never goes by a rule.
//! I3. A dry run and a run decide with the same function: on the same records and at the same time they name the
//!     same records.
//! I4. Each group of removals stands alone. A run that was stopped anywhere, by a crash too, is completed by the
//!     next one, which removes nothing that the first would not have removed.
//! I5. A run holds a snapshot only while it reads one pass, so that space comes back while it goes on.
//!
//! It knows no model: what authors, kinds and expiry are is in [`Words`]. Errors are those of the store.

mod apply;
mod authors;
mod decide;
mod keep;
mod plan;
mod rule;
mod service;

pub use apply::{Limits, Report, apply};
pub use plan::{Going, Plan, plan};
pub use rule::{AuthorTerms, Keep, RECORD_OVERHEAD_BYTES, Rule, Rules, Words};
pub use service::Retention;

#[cfg(test)]
mod tests;
