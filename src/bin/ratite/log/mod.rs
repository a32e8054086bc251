//! `ratite log`: the verbs of the log store.

mod serve;

use crate::failure::Outcome;
use clap::Subcommand;

/// The verbs of `ratite log`.
#[derive(clap::Args, Debug)]
#[command(subcommand_value_name = "VERB", subcommand_help_heading = "Verbs")]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

/// What to do.
#[derive(Subcommand, Debug)]
enum Verb {
    /// Take records over the network until a signal: syslog, and OpenTelemetry over HTTP
    ///
    /// Creates the store if there is none. Syslog of RFC 5424 and RFC 3164 comes as datagrams and as streams, with line
    /// ends or with counts; the record is the whole message, its source the host and the program. OTLP requests (POST
    /// /v1/logs) are answered when they are as durable as --sync promises. Everything listens on loopback unless it is told
    /// otherwise: nobody is asked who they are. SIGTERM and SIGINT take what was sent, close the store and exit
    /// with 0.
    #[command(after_long_help = SERVE_EXAMPLES)]
    Serve(serve::Args),
}

const SERVE_EXAMPLES: &str = "\
Examples:
  ratite log serve --data /var/lib/ratite-logs
  ratite log serve --syslog-udp 0.0.0.0:5514 --syslog-tcp none --source '{address}/{app}'
  logger --server 127.0.0.1 --port 5514 --tcp hello";

/// Runs a verb.
pub fn run(args: &Args) -> Outcome<()> {
    match &args.verb {
        Verb::Serve(args) => serve::run(args),
    }
}
