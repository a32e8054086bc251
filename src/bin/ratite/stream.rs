//! `ratite stream` and `ratite router`: live events from relay to relay, until a signal.

use crate::failure::{Failure, Outcome};
use crate::output::{print, say};
use crate::signals::Signals;
use crate::store::StoreArgs;
use crate::sync::{Between, as_json, direction, filter, until_stopped, with_store};
use futures_util::future::try_join_all;
use ratite::io::Clock;
use ratite::nostr::{EventStore, Filter};
use ratite::sync::{Direction, Failed, Happened, Local, Patience, Report, Stream, stream};
use std::path::PathBuf;
use std::sync::Arc;
use toml::de::{DeTable, DeValue};

/// Bytes of a file of streams.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Options of `ratite stream`.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    between: Between,

    #[command(flatten)]
    store: StoreArgs,
}

/// Options of `ratite router`.
#[derive(clap::Args, Debug)]
pub struct RouterArgs {
    /// The file of streams
    #[arg(value_name = "CONFIG")]
    config: PathBuf,

    /// A running relay as the local side, instead of the store in --data
    #[arg(long, value_name = "URL")]
    local: Option<String>,

    #[command(flatten)]
    store: StoreArgs,
}

/// One of the streams of a run.
struct Route {
    remote: String,
    filter: Filter,
    direction: Direction,
}

pub fn run(args: &Args) -> Outcome<()> {
    let Between { remote, local, dir, .. } = &args.between;
    let filter = args.between.filter()?;
    let route = Route { remote: remote.clone(), filter, direction: *dir };
    follow(vec![route], local, &args.store, args.between.patience())
}

pub fn run_router(args: &RouterArgs) -> Outcome<()> {
    let routes = read(&args.config)?;
    follow(routes, &args.local, &args.store, Patience::default())
}

/// Follows all routes until a signal.
fn follow(
    routes: Vec<Route>,
    local: &Option<String>,
    store: &StoreArgs,
    patience: Patience,
) -> Outcome<()> {
    if local.is_none() && routes.iter().any(|route| route.direction.is_up()) {
        // Nobody else writes to a store that this process has open.
        let why =
            "a store has no live events to send up: name its relay with --local, or --dir down";
        return Err(Failure::Usage(why.into()));
    }
    let signals = Signals::listen()?;
    let mut reports = vec![Report::default(); routes.len()];
    let ended = with_store(local, store, |open| {
        let clock = store.env()?.clock;
        let streams = routes.iter().zip(&mut reports).map(|(route, report)| {
            let stream = stream_of(route, local, &open, &clock, patience);
            follow_one(stream, report)
        });
        let all = async { try_join_all(streams).await.map(drop) };
        until_stopped(signals, all)
    });
    for (route, report) in routes.iter().zip(&reports) {
        let (down, up) = (as_json(&report.down), as_json(&report.up));
        let remote = serde_json::to_string(&route.remote).unwrap_or_default();
        let json = format!("{{\"relay\":{remote},\"down\":{down},\"up\":{up}}}\n");
        print(&json)?;
    }
    if let Some(signal) = ended? {
        say(format_args!("{signal}: stopped"));
    }
    Ok(())
}

fn stream_of(
    route: &Route,
    local: &Option<String>,
    open: &Option<Arc<EventStore>>,
    clock: &Arc<dyn Clock>,
    patience: Patience,
) -> Stream {
    let local = match (open, local) {
        (Some(store), _) => Local::Store(store.clone()),
        (None, url) => Local::Relay(url.clone().unwrap_or_default()),
    };
    let Route { remote, filter, direction } = route;
    let (remote, filter, direction) = (remote.clone(), filter.clone(), *direction);
    Stream { local, remote, filter, direction, patience, clock: clock.clone() }
}

async fn follow_one(what: Stream, report: &mut Report) -> Result<(), Failed> {
    let remote = what.remote.clone();
    let mut tell = |happened: Happened<'_>| match happened {
        Happened::Connected => say(format_args!("{remote}: connected")),
        Happened::Passed(_) => {}
        Happened::Interrupted(failed, wait) => {
            say(format_args!("{failed}; next try in {} s", wait.as_secs()));
        }
    };
    stream(&what, report, &mut tell).await
}

/// Reads the streams of a file: tables `[[stream]]` with `url`, `dir` and `filter`.
fn read(path: &std::path::Path) -> Outcome<Vec<Route>> {
    let named = |why: String| Failure::Usage(format!("{}: {why}", path.display()));
    let bytes = std::fs::metadata(path).map_err(|e| named(e.to_string()))?.len();
    if bytes > FILE_BYTES_MAX {
        return Err(named(format!("it has {bytes} bytes; {FILE_BYTES_MAX} are read")));
    }
    let text = std::fs::read_to_string(path).map_err(|e| named(e.to_string()))?;
    routes(&text).map_err(named)
}

fn routes(text: &str) -> Result<Vec<Route>, String> {
    let file = DeTable::parse(text).map_err(|error| error.message().trim_end().to_string())?;
    let file = file.get_ref();
    if let Some((key, _)) = file.iter().find(|(key, _)| key.get_ref() != "stream") {
        return Err(format!("`{}` is unknown; streams are tables [[stream]]", key.get_ref()));
    }
    let streams = match file.iter().next().map(|(_, value)| value.get_ref()) {
        Some(DeValue::Array(streams)) if !streams.is_empty() => streams,
        _ => return Err("it names no [[stream]]".into()),
    };
    let numbered = streams.iter().enumerate();
    numbered
        .map(|(i, value)| route(value.get_ref()).map_err(|why| format!("stream {}: {why}", i + 1)))
        .collect()
}

fn route(value: &DeValue<'_>) -> Result<Route, String> {
    let DeValue::Table(table) = value else { return Err("it is no table".into()) };
    let (mut remote, mut dir, mut json) = (None, "both", "{}");
    for (key, value) in table {
        let key = key.get_ref().as_ref();
        let text = value.get_ref().as_str();
        let text = text.ok_or_else(|| format!("{key} is no text"));
        match key {
            "url" => remote = Some(text?.to_string()),
            "dir" => dir = text?,
            "filter" => json = text?,
            _ => return Err(format!("`{key}` is unknown; there are url, dir and filter")),
        }
    }
    let filter = filter(json).map_err(|failure| match failure {
        Failure::Usage(why) | Failure::Sentence(why) => why,
        _ => "the filter is refused".into(),
    })?;
    let remote = remote.ok_or("it has no url")?;
    Ok(Route { remote, filter, direction: direction(dir)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_read_and_what_is_wrong_is_named() {
        let two = "[[stream]]\nurl = \"wss://a\"\ndir = \"down\"\nfilter = '{\"kinds\":[1]}'\n\
                   [[stream]]\nurl = \"ws://b\"\n";
        let read = routes(two).unwrap();
        assert_eq!(read.len(), 2);
        assert_eq!((read[0].direction, &read[0].filter.kinds), (Direction::Down, &Some(vec![1])));
        assert_eq!((read[1].remote.as_str(), read[1].direction), ("ws://b", Direction::Both));
        for (text, why) in [
            ("", "names no"),
            ("x = 1", "`x` is unknown"),
            ("[[stream]]\ndir = \"up\"", "stream 1: it has no url"),
            ("[[stream]]\nurl = 1", "stream 1: url is no text"),
            ("[[stream]]\nurl = \"a\"\ndir = \"left\"", "stream 1: it is down, up or both"),
            ("[[stream]]\nurl = \"a\"\nfilter = \"{\"", "stream 1: the filter is refused"),
            ("[[stream]]\nurl = \"a\"\nnot = \"\"", "stream 1: `not` is unknown"),
            ("[[", ""),
        ] {
            let refused = routes(text).err().unwrap();
            assert!(refused.contains(why), "{text}: {refused}");
        }
    }
}
