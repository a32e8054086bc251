//! `ratite count`: how many events match a filter.

use crate::failure::Outcome;
use crate::output::print;
use crate::scan::FilterArg;
use crate::store::StoreArgs;

/// Options of `ratite count`.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    asked: FilterArg,

    #[command(flatten)]
    store: StoreArgs,
}

pub fn run(args: &Args) -> Outcome<()> {
    let filters = args.asked.parse()?;
    args.store.with(|store| print(&format!("{}\n", store.count(&filters)?)))
}
