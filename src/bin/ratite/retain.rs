//! `ratite retain`: what goes by rules, shown or removed; and the same rules for the relay.

use crate::config::{Retaining, Settings};
use crate::failure::{Failure, Outcome};
use crate::output::{is_for_person, print, say};
use crate::reclaim::{self, Reclaimed};
use crate::store::StoreArgs;
use ratite::nostr::EventStore;
use ratite::nostr::retention::{self, RuleConfig};
use ratite::retention::{Going, Plan, Retention, Rules, plan};
use serde_json::{Value, json};
use std::fmt::Write;
use std::sync::Arc;

/// Options of `ratite retain`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// What goes, as words: kinds=, authors=, age=, count=, bytes=, each=author, protect; may be repeated;
    /// without one, the rules of the configuration
    #[arg(long = "rule", value_name = "WORDS", value_parser = RuleConfig::parse)]
    rules: Vec<RuleConfig>,

    /// Show what would go, and remove nothing
    #[arg(long)]
    dry_run: bool,

    /// Compact afterwards, so that the space is back when this ends
    #[arg(long, conflicts_with = "dry_run")]
    compact: bool,

    /// JSON on a terminal too
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    store: StoreArgs,
}

pub fn run(args: &Args, settings: &Settings) -> Outcome<()> {
    // Those of the command line instead of the others: what is said once is all that goes.
    let rules = if args.rules.is_empty() { &settings.built.retention.rules } else { &args.rules };
    let rules = retention::rules(rules)?;
    let for_person = is_for_person(args.json);
    args.store.with(|store| {
        if args.dry_run {
            let plan = plan(store.engine(), &rules, reclaim::now(store.engine()))?;
            return print(&if for_person { table(&plan) } else { lines(&plan) });
        }
        let (report, reclaimed) = match args.compact {
            true => {
                let reclaimed = Reclaimed::of(store, Some(&rules))?;
                (reclaimed.swept.clone(), Some(reclaimed))
            }
            false => (reclaim::sweep(store.engine(), &rules)?, None),
        };
        say(format_args!("removed {} events", report.removed()));
        if let Some(reclaimed) = reclaimed {
            say(reclaimed.text().trim_end());
        }
        if for_person {
            return Ok(());
        }
        let mut out = format!("{}\n", json!({"rule": "expired", "removed": report.expired}));
        for (rule, removed) in rules.rules.iter().zip(&report.rules) {
            // Writing to a String cannot fail.
            let _written = writeln!(out, "{}", json!({"rule": rule.name, "removed": removed}));
        }
        print(&out)
    })
}

/// Keeps a store that is served to its rules. What has expired goes also without any.
pub fn start(store: &Arc<EventStore>, retaining: &Retaining) -> Outcome<Retention> {
    let Retaining { rules, interval, limits } = retaining;
    let rules: Rules = retention::rules(rules).map_err(|e| Failure::Usage(e.to_string()))?;
    Ok(Retention::start(store, rules, *interval, *limits))
}

fn goings(plan: &Plan) -> impl Iterator<Item = &Going> {
    std::iter::once(&plan.expired).chain(&plan.rules).chain([&plan.all])
}

fn lines(plan: &Plan) -> String {
    goings(plan).map(|going| format!("{}\n", line(going))).collect()
}

fn line(going: &Going) -> Value {
    json!({
        "rule": going.name,
        "records": going.records,
        "bytes": going.bytes,
        "oldest": going.times.map(|(oldest, _)| oldest),
        "newest": going.times.map(|(_, newest)| newest),
        "kinds": going.kinds.iter().map(|(kind, n)| (kind.to_string(), *n)).collect::<Map>(),
    })
}

type Map = std::collections::BTreeMap<String, u64>;

fn table(plan: &Plan) -> String {
    let width = goings(plan).map(|going| going.name.len()).max().unwrap_or(0).max(4);
    let mut out = format!(
        "{:<width$} {:>12} {:>12} {:>12} {:>12}\n",
        "rule", "events", "MiB", "oldest", "newest"
    );
    for going in goings(plan) {
        let time = |of: Option<u64>| of.map_or("-".to_string(), |time| time.to_string());
        let (oldest, newest) = (going.times.map(|t| t.0), going.times.map(|t| t.1));
        let mib = going.bytes as f64 / f64::from(1 << 20);
        let _written = writeln!(
            out,
            "{:<width$} {:>12} {:>12.1} {:>12} {:>12}",
            going.name,
            going.records,
            mib,
            time(oldest),
            time(newest)
        );
    }
    let kinds: Vec<String> =
        plan.all.kinds.iter().map(|(kind, count)| format!("{count} of kind {kind}")).collect();
    if !kinds.is_empty() {
        let _written = writeln!(out, "in all: {}", kinds.join(", "));
    }
    out
}
