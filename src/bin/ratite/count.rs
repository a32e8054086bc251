//! `ratite count`: how many events match a filter.

use crate::failure::{Failure, Outcome};
use crate::output::print;
use crate::scan::FilterArg;
use crate::store::StoreArgs;

/// Options of `ratite count`.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    asked: FilterArg,

    /// Print the registers of NIP-45 and the authors that they estimate as well: reads the events
    #[arg(long)]
    hll: bool,

    #[command(flatten)]
    store: StoreArgs,
}

pub fn run(args: &Args) -> Outcome<()> {
    let filters = args.asked.parse()?;
    args.store.with(|store| {
        let count = store.count(&filters)?;
        if !args.hll {
            return print(&format!("{count}\n"));
        }
        let one = || Failure::Usage("--hll is for one filter with one value of one tag".into());
        let [filter] = &filters[..] else { return Err(one()) };
        let hll = store.hll(filter, &filters, usize::MAX)?.ok_or_else(one)?;
        let authors = hll.estimate();
        print(&format!("{{\"count\":{count},\"authors\":{authors},\"hll\":\"{hll}\"}}\n"))
    })
}
