//! `ratite log seal`: segments of what is in memory.

use super::segments;
use crate::failure::Outcome;
use crate::output::{is_for_person, print, say};
use crate::store::StoreArgs;
use ratite::logs::time::Zone;

/// Options of `ratite log seal`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// JSON on a terminal too: an object for each new segment
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    store: StoreArgs,
}

pub fn run(args: &Args) -> Outcome<()> {
    let sealed = args.store.with_logs(|log| Ok(log.seal()?))?;
    if sealed.is_empty() {
        say("there is nothing to seal");
    }
    match is_for_person(args.json) {
        true if sealed.is_empty() => Ok(()),
        true => print(&segments::table(&sealed, &Zone::local())),
        false => print(&segments::lines(&sealed)),
    }
}
