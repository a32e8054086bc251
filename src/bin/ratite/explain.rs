//! `ratite explain`: the plan of a query.

use crate::failure::Outcome;
use crate::output::print;
use crate::scan::FilterArg;
use crate::store::StoreArgs;

/// Options of `ratite explain`.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    asked: FilterArg,

    #[command(flatten)]
    store: StoreArgs,
}

pub fn run(args: &Args) -> Outcome<()> {
    let filters = args.asked.parse()?;
    args.store.with(|store| {
        let plan = store.explain(&filters)?;
        print(&format!("{}\n", plan.trim_end()))
    })
}
