//! `ratite compact`: what is dead goes, and its space with it.

use crate::failure::Outcome;
use crate::output::{is_for_person, print};
use crate::reclaim::Reclaimed;
use crate::store::{Opened, StoreArgs};
use ratite::nostr::retention;

/// Options of `ratite compact`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// JSON on a terminal too
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    store: StoreArgs,
}

pub fn run(args: &Args) -> Outcome<()> {
    // Without rules what has expired goes, which nobody can want back.
    let rules = retention::rules(&[])?;
    args.store.with_any(|store| {
        let reclaimed = match store {
            Opened::Events(store) => Reclaimed::of(store, Some(&rules))?,
            Opened::Logs(store) => Reclaimed::of(store, None)?,
        };
        match is_for_person(args.json) {
            true => print(&reclaimed.text()),
            false => print(&format!("{}\n", reclaimed.json())),
        }
    })
}
