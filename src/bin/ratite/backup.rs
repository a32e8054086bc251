//! `ratite backup`: a copy of the store, whether or not something has it open.

use crate::failure::Outcome;
use crate::output::say;
use crate::progress::Progress;
use crate::store::StoreArgs;
use ratite::maintain::{How, Transferred, backup};
use std::path::PathBuf;

/// Options of `ratite backup`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Directory of the backup: a new one, or one that holds an earlier backup of the same store
    #[arg(value_name = "BACKUP")]
    target: PathBuf,

    /// Copy segments instead of linking them, so that the backup shares no bytes with the store
    #[arg(long)]
    copy: bool,

    #[command(flatten)]
    store: StoreArgs,
}

pub fn run(args: &Args) -> Outcome<()> {
    let disk = args.store.env()?.disk;
    let how = if args.copy { How::Copy } else { How::Link };
    let progress = Progress::of_size();
    let done =
        backup::run(&disk, &args.store.data, &args.target, how, &mut |step| progress.show(step))?;
    progress.clear();
    say(summary(&done, &format!(", {} unneeded files removed", done.removed)));
    Ok(())
}

/// What was done, in a line.
pub fn summary(done: &Transferred, more: &str) -> String {
    let segments = done.kept + done.linked + done.copied;
    format!(
        "{} shards, {segments} segments of {} bytes ({} kept, {} linked, {} copied), {} log blocks of {} bytes{more}",
        done.shards,
        done.segment_bytes,
        done.kept,
        done.linked,
        done.copied,
        done.log_blocks,
        done.log_bytes
    )
}
