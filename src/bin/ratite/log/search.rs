//! `ratite log search`: the records that match, how many there are, or when.

use super::asked::Asked;
use super::context::{Around, ContextArgs};
use super::histogram;
use super::look::LookArgs;
use super::rows::{Role, Rows};
use crate::failure::Outcome;
use crate::output::{Lines, print, say};
use crate::store::StoreArgs;
use ratite::logs::tokens::Needles;
use ratite::logs::{LogStore, Query, Resume};
use serde_json::json;

/// Options of `ratite log search`.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    asked: Asked,

    /// Newest first instead of oldest first
    #[arg(long, short)]
    reverse: bool,

    /// At most this many records; 0: all
    #[arg(long, short = 'n', value_name = "N", default_value_t = 0, hide_default_value = true)]
    limit: usize,

    /// Go on where an earlier page of the same search ended; times like `2h ago` are as they were then
    #[arg(long, value_name = "TOKEN")]
    resume: Option<Resume>,

    /// Print how many records match instead of the records
    #[arg(long, conflicts_with_all = ["resume", "histogram"])]
    count: bool,

    /// Show how many records match in each length of time, as 5m or 1h, instead of the records
    #[arg(long, value_name = "LENGTH", num_args = 0..=1, require_equals = false,
        default_missing_value = histogram::AUTO, conflicts_with_all = ["resume", "limit", "reverse"])]
    histogram: Option<histogram::Bucket>,

    #[command(flatten)]
    context: ContextArgs,

    #[command(flatten)]
    look: LookArgs,

    #[command(flatten)]
    store: StoreArgs,
}

pub fn run(args: &Args) -> Outcome<()> {
    let mut query = args.asked.query(&args.store.env()?, args.reverse, args.resume)?;
    query.limit = args.limit;
    args.store.with_logs(|log| {
        if let Some(bucket) = args.histogram {
            return histogram::show(log, &query, bucket, &args.look.look(), &args.asked.zone());
        }
        if args.count {
            return count(log, &query, args.look.wants_json());
        }
        write(args, log, &query)
    })
}

/// A number alone, also in a pipe: that is what scripts want of it.
fn count(log: &LogStore, query: &Query, json: bool) -> Outcome<()> {
    let all = log.count(query)?;
    let count = if query.limit == 0 { all } else { all.min(query.limit as u64) };
    match json {
        true => print(&format!("{}\n", json!({ "count": count }))),
        false => print(&format!("{count}\n")),
    }
}

fn write(args: &Args, log: &LogStore, query: &Query) -> Outcome<()> {
    let look = args.look.look();
    let mut rows = Rows::new(look, args.asked.zone(), Needles::new(&query.tokens));
    let mut lines = Lines::open();
    let mut search = log.search(query)?;
    let mut around = Around::new(log, query, &args.context);
    while let Some(record) = search.next()? {
        match &mut around {
            Some(around) => around.show(&record, &mut rows, &mut lines)?,
            None => lines.add(|out| rows.write(&record, Role::Match, out))?,
        }
    }
    let resume = search.resume()?;
    if let Some(token) = &resume
        && look.json
    {
        let line = format!("{}\n", json!({ "resume": token.to_string() }));
        lines.add(|out| out.extend_from_slice(line.as_bytes()))?;
    }
    lines.finish()?;
    if let Some(token) = resume.filter(|_| !look.json) {
        say(format_args!("there is more: --resume {token}"));
    }
    Ok(())
}
