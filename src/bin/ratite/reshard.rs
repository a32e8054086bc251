//! `ratite reshard`: another number of shards for an existing store.

use crate::failure::{Failure, Outcome};
use crate::output::say;
use crate::progress::Progress;
use crate::store::StoreArgs;
use ratite::maintain::reshard;

/// Options of `ratite reshard`.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    store: StoreArgs,
}

pub fn run(args: &Args) -> Outcome<()> {
    let (options, env) = (args.store.options()?, args.store.env()?);
    let Some(shards) = options.shards else {
        return Err(Failure::Usage("reshard needs --shards N, a power of two up to 64".into()));
    };
    let model = args.store.model(&env)?;
    let progress = Progress::of_records();
    let mut tell = |step| progress.show(step);
    let done = reshard::run(&args.store.data, &model, shards, &options, &env, &mut tell)?;
    progress.clear();
    say(match done.from == done.to {
        true => format!("the store has {shards} shards already"),
        false => format!("{} records moved from {} shards to {}", done.records, done.from, done.to),
    });
    Ok(())
}
