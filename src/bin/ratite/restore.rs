//! `ratite restore`: a backup becomes a store, verified on the way.

use crate::backup::summary;
use crate::failure::Outcome;
use crate::output::say;
use crate::progress::Progress;
use crate::store::StoreArgs;
use ratite::maintain::{How, restore};
use std::path::PathBuf;

/// Options of `ratite restore`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Directory of the backup
    #[arg(value_name = "BACKUP")]
    backup: PathBuf,

    /// Link segments instead of copying them; the store then shares their bytes with the backup
    #[arg(long)]
    link: bool,

    #[command(flatten)]
    store: StoreArgs,
}

pub fn run(args: &Args) -> Outcome<()> {
    let disk = args.store.env()?.disk;
    let how = if args.link { How::Link } else { How::Copy };
    let progress = Progress::of_size();
    let done =
        restore::run(&disk, &args.backup, &args.store.data, how, &mut |step| progress.show(step))?;
    progress.clear();
    say(summary(&done, ", every checksum verified"));
    Ok(())
}
