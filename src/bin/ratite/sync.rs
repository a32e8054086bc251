//! `ratite sync`: what differs from another relay is brought where it is missing, once.
//!
//! The local side is the store in `--data`, which nobody else may have open, or a running relay at `--local`.

use crate::failure::{Failure, Outcome};
use crate::output::{is_for_person, print, say};
use crate::progress::Progress;
use crate::signals::Signals;
use crate::store::StoreArgs;
use ratite::io::threads;
use ratite::nostr::{EventStore, Filter, parse_filter};
use ratite::sync::{Direction, Failed, Party, Patience, Report, Tally, sync};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Builder;
use tokio::sync::oneshot;

/// Options of `ratite sync`.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    pub between: Between,

    /// Print the summary as JSON also on a terminal
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    store: StoreArgs,
}

/// Which events go between whom; for all verbs that are clients of relays.
#[derive(clap::Args, Debug)]
pub struct Between {
    /// The other relay: ws://... or wss://...
    #[arg(value_name = "RELAY_URL")]
    pub remote: String,

    /// A running relay as the local side, instead of the store in --data
    #[arg(long, value_name = "URL")]
    pub local: Option<String>,

    /// Which events, as one NIP-01 filter [default: all]
    #[arg(long, value_name = "FILTER", default_value = "{}", hide_default_value = true)]
    filter: String,

    /// Which way: down (from the other relay), up (to it), both
    #[arg(long, value_name = "WAY", default_value = "both", value_parser = direction)]
    pub dir: Direction,

    /// Seconds that a relay may take for an answer
    #[arg(long, value_name = "SECONDS", default_value_t = 60,
        value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,
}

/// Reads a direction.
pub fn direction(text: &str) -> Result<Direction, String> {
    match text {
        "down" => Ok(Direction::Down),
        "up" => Ok(Direction::Up),
        "both" => Ok(Direction::Both),
        _ => Err("it is down, up or both".into()),
    }
}

/// Reads a filter.
pub fn filter(text: &str) -> Outcome<Filter> {
    let refused = |why| Failure::Usage(format!("the filter is refused: {why}"));
    parse_filter(text.trim().as_bytes()).map_err(refused)
}

impl Between {
    /// The filter.
    pub fn filter(&self) -> Outcome<Filter> {
        filter(&self.filter)
    }

    /// How long relays may take.
    pub fn patience(&self) -> Patience {
        Patience { answer: Duration::from_secs(self.timeout), ..Patience::default() }
    }
}

impl From<Failed> for Failure {
    fn from(failed: Failed) -> Failure {
        Failure::Sentence(failed.to_string())
    }
}

pub fn run(args: &Args) -> Outcome<()> {
    let filter = args.between.filter()?;
    let signals = Signals::listen()?;
    let progress = Progress::of_bytes(None);
    let mut report = Report::default();
    let ended = with_store(&args.between.local, &args.store, |store| {
        let clock = args.store.env()?.clock;
        let now = clock.unix_micros() / 1_000_000;
        let mut tell = |report: &Report| {
            let (down, up) = (report.down.stored, report.up.stored);
            progress.say(format!("{down} down, {up} up, {} messages", report.messages));
        };
        let task = async {
            let mut local = match (store, &args.between.local) {
                (Some(store), _) => Party::store(store),
                (None, Some(url)) => Party::connect(url, args.between.patience()).await?,
                (None, None) => return Ok(()),
            };
            let mut remote = Party::connect(&args.between.remote, args.between.patience()).await?;
            let (parties, dir) = ((&mut local, &mut remote), args.between.dir);
            let ended = sync(parties, &filter, dir, now, &mut report, &mut tell).await;
            remote.close().await;
            local.close().await;
            ended
        };
        until_stopped(signals, task)
    });
    progress.clear();
    let whole = match ended {
        Ok(None) => true,
        Ok(Some(signal)) => {
            say(format_args!("ratite: stopped by {signal}; run it again to go on"));
            false
        }
        Err(Failure::Sentence(sentence)) => {
            say(format_args!("ratite: {sentence}"));
            false
        }
        Err(failure) => return Err(failure),
    };
    summary(&report, args.json)?;
    if whole { Ok(()) } else { Err(Failure::Said) }
}

/// Opens the store unless a relay is the local side, runs `ask`, and closes it, whatever came between.
pub fn with_store<T>(
    local: &Option<String>,
    args: &StoreArgs,
    ask: impl FnOnce(Option<Arc<EventStore>>) -> Outcome<T>,
) -> Outcome<T> {
    if local.is_some() {
        return ask(None);
    }
    let store = args.open(&args.options()?)?;
    let answer = ask(Some(store.clone()));
    let closed = store.close();
    let answer = answer?;
    closed?;
    Ok(answer)
}

/// Runs `task` to its end, or to a signal, whose name it gives.
pub fn until_stopped(
    signals: Signals,
    task: impl Future<Output = Result<(), Failed>>,
) -> Outcome<Option<&'static str>> {
    let failed = |error| Failure::Sentence(format!("cannot start: {error}"));
    let runtime = Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let (stop_in, stop) = oneshot::channel();
    let receiver = signals.stop().clone();
    let waiting = threads::spawn("stop", move || {
        if let Ok(signal) = receiver.recv() {
            // Nobody waits if the task has just ended.
            let _sent = stop_in.send(signal);
        }
    });
    let ended = runtime.block_on(async {
        tokio::select! {
            ended = task => ended.map(|()| None),
            Ok(signal) = stop => Ok(Some(signal)),
        }
    });
    // Ends the thread that waits for signals, and with it the other.
    drop(signals);
    waiting.join()?;
    Ok(ended?)
}

fn summary(report: &Report, json: bool) -> Outcome<()> {
    if !is_for_person(json) {
        let ways = [("down", &report.down), ("up", &report.up)];
        let ways = ways.map(|(name, tally)| format!("\"{name}\":{}", as_json(tally)));
        return print(&format!("{{\"messages\":{},{}}}\n", report.messages, ways.join(",")));
    }
    let line = |name: &str, t: &Tally| {
        format!(
            "{name:4}  {} found, {} stored, {} duplicate, {} refused, {} missing\n",
            t.found, t.stored, t.duplicate, t.refused, t.missing
        )
    };
    print(&format!("{}{}", line("down", &report.down), line("up", &report.up)))
}

/// A tally as a JSON object.
pub fn as_json(tally: &Tally) -> String {
    let Tally { found, stored, duplicate, refused, missing } = tally;
    format!(
        "{{\"found\":{found},\"stored\":{stored},\"duplicate\":{duplicate},\
         \"refused\":{refused},\"missing\":{missing}}}"
    )
}
