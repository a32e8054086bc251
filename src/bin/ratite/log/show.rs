//! Verbs that show what a store has: a table for a person, JSON for a program.

use crate::failure::Outcome;
use crate::output::{is_for_person, print};
use crate::store::StoreArgs;
use ratite::logs::LogStore;
use ratite::logs::time::Zone;
use std::sync::Arc;

/// Options of the verbs that show what a store has.
#[derive(clap::Args, Debug)]
pub struct ShowArgs {
    /// JSON on a terminal too, an object a line
    #[arg(long)]
    json: bool,

    /// Times are shown in UTC, not in local time
    #[arg(long)]
    utc: bool,

    #[command(flatten)]
    store: StoreArgs,
}

impl ShowArgs {
    /// Looks at the store, and writes what was found as a table for a person or as JSON for a program.
    pub fn show<T>(
        &self,
        look: impl FnOnce(&Arc<LogStore>) -> Outcome<T>,
        table: impl FnOnce(&T, &Zone) -> String,
        json: impl FnOnce(&T) -> String,
    ) -> Outcome<()> {
        let found = self.store.with_logs(look)?;
        let zone = if self.utc { Zone::utc() } else { Zone::local() };
        print(&match is_for_person(self.json) {
            true => table(&found, &zone),
            false => json(&found),
        })
    }
}
