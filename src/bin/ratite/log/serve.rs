//! `ratite log serve`: the store of log records, fed over the network until a signal.

use crate::failure::Outcome;
use crate::output::say;
use crate::service;
use crate::signals::Signals;
use crate::store::StoreArgs;
use ratite::collect::{Addresses, Collector, Config, Template};
use ratite::logs::LogStore;
use serde_json::{Map, Value, json};
use std::net::SocketAddr;
use std::sync::Arc;

/// An address, or the word for none.
#[derive(Clone, Copy, Debug)]
struct Listen(Option<SocketAddr>);

impl std::str::FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Listen, String> {
        match text {
            "none" => Ok(Listen(None)),
            _ => text
                .parse()
                .map(|at| Listen(Some(at)))
                .map_err(|_| "give ADDR:PORT, or none".into()),
        }
    }
}

/// Options of `ratite log serve`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Where syslog datagrams come; none: nowhere
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:5514")]
    syslog_udp: Listen,

    /// Where syslog streams come; none: nowhere
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:5514")]
    syslog_tcp: Listen,

    /// Where OTLP requests come, and those for /healthz, /ready and /metrics; none: nowhere
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:4318")]
    http: Listen,

    /// What the source of a syslog message is called, of {host}, {app}, {address}, {facility}, {severity} and text
    #[arg(long, value_name = "TEMPLATE", default_value = "{host}/{app}")]
    source: Template,

    /// Write a line of JSON with the addresses when senders can send
    #[arg(long)]
    ready: bool,

    #[command(flatten)]
    store: StoreArgs,
}

pub fn run(args: &Args) -> Outcome<()> {
    let mut config = Config::default();
    config.syslog_udp = args.syslog_udp.0;
    config.syslog_tcp = args.syslog_tcp.0;
    config.http = args.http.0;
    config.source = args.source.clone();
    let signals = Signals::listen()?;
    let store = args.store.open_logs(true)?;
    let served = serve(&store, &config, args.ready, &signals);
    let stored: u64 = store.stats().iter().map(|shard| shard.stored).sum();
    let closed = store.close();
    served?;
    closed?;
    say(format_args!("stopped: {stored} records stored since the start; the store is closed"));
    Ok(())
}

fn serve(
    store: &Arc<LogStore>,
    config: &Config,
    with_ready: bool,
    signals: &Signals,
) -> Outcome<()> {
    let collector = Collector::start(store.clone(), config)?;
    let addresses = collector.addresses();
    for (way, address) in ways(addresses) {
        say(format_args!("{way:10}  {address}"));
    }
    let line = with_ready.then(|| {
        let object: Map<String, Value> = ways(addresses)
            .map(|(way, address)| (way.into(), json!(address.to_string())))
            .collect();
        format!("{}\n", Value::Object(object))
    });
    service::until_signal(line.as_deref(), signals, "taking what was sent", || {});
    Ok(collector.stop()?)
}

/// The ways that are open, with their addresses.
fn ways(of: Addresses) -> impl Iterator<Item = (&'static str, SocketAddr)> {
    let ways = [("syslog_udp", of.syslog_udp), ("syslog_tcp", of.syslog_tcp), ("http", of.http)];
    ways.into_iter().filter_map(|(way, address)| Some((way, address?)))
}
