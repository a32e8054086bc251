//! `ratite repair`: makes a damaged store whole again, keeps what was damaged, names what is lost.

use crate::failure::{Failure, Outcome};
use crate::output::{Text, say};
use crate::store::StoreArgs;
use crate::verify::{Voice, summary};
use ratite::maintain::repair::{self, Repaired};

/// Options of `ratite repair`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    store: StoreArgs,
}

pub fn run(args: &Args) -> Outcome<()> {
    let env = args.store.env()?;
    let model = args.store.model(&env)?;
    let mut voice = Voice::new(false);
    let done = repair::run(&env, &args.store.data, &model, args.dry_run, &mut voice);
    voice.end()?;
    let done = done?;
    if done.before.is_healthy() {
        say(format_args!("nothing to repair; {}", summary(&done.before)));
        return Ok(());
    }
    tell(&done, args.dry_run)?;
    match &done.after {
        Some(after) if after.is_healthy() => say(format_args!("repaired; now {}", summary(after))),
        Some(after) => say(format_args!("repaired what could be; still {}", summary(after))),
        None => say(format_args!("nothing was changed: this was a dry run")),
    }
    match done.after.is_none_or(|after| after.is_healthy()) {
        true => Ok(()),
        false => Err(Failure::Said),
    }
}

fn tell(done: &Repaired, dry_run: bool) -> Outcome<()> {
    let mut out = Text::open();
    let would = if dry_run { "would do" } else { "done" };
    for action in &done.actions {
        out.line(&format!("{would}: {}: {}", action.path.display(), action.what))?;
    }
    for lost in &done.lost {
        out.line(lost.to_json_line().trim_end())?;
    }
    if let Some(report) = &done.report {
        out.line(&format!("report: {}", report.display()))?;
    }
    out.flush()
}
