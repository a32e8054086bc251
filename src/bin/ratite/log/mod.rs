//! `ratite log`: the verbs of the log store.
//!
//! ```text
//!   append    lines, NDJSON --> store          search, tail, export   store --> rows, NDJSON
//!   segments, seal, stats, retain              what the store consists of, and what goes
//!   gen (generate)                             lines from a seed
//!   serve                                      syslog, OTLP --> store
//!   common:   asked (a query as flags), look (how rows are written), rows (text and NDJSON), base64
//! ```
//!
//! 1. An object of NDJSON is `{"ts":"2026-11-22T14:00:00.123456Z","source":"nginx","source_id":"...","raw":"..."}`:
//!    time in UTC with microseconds, the source's name or else its UUID, its UUID. What is no UTF-8 in `raw` stands
//!    there as U+FFFD, and the bytes themselves in `raw_base64`. If more is left, a last line is `{"resume":"TOKEN"}`.
//! 2. `append` takes such objects as they are, so that an export becomes the same store again.

mod append;
mod asked;
mod base64;
mod context;
mod export;
mod generate;
mod histogram;
mod look;
mod retain;
mod rows;
mod seal;
mod search;
mod segments;
mod serve;
mod show;
mod stats;
mod tail;

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
    /// Append lines or NDJSON from files, directories or standard input
    ///
    /// Creates the store if there is none. Each line is a record of one source: that of --source, else that of
    /// its object, else the name of its file. The time is the one that the line carries (RFC 3339, syslog, the common log of
    /// web servers, klog, seconds since the epoch; without an offset it is UTC), else now. Directories are read whole, files
    /// in the order of their names; gzip and zstd are unpacked. A line over 1 MiB is refused by its number, the others
    /// are stored, and the exit status is 1. The last line on standard error says how many are stored, also if
    /// it is interrupted: then that many are as durable as --sync promises.
    ///
    /// An object that `ratite log search` or `export` wrote is stored as it was. Of any other object the time is its
    /// `ts`, `timestamp`, `@timestamp` or `time` (RFC 3339, or a number: below 10^11 seconds, below 10^14
    /// milliseconds, below 10^17 microseconds, else nanoseconds), and the record is the whole line.
    #[command(after_long_help = APPEND_EXAMPLES)]
    Append(append::Args),

    /// Write the records that match, oldest first
    ///
    /// A record matches if it is of one of the sources and has all of the words. Case does not matter; words are
    /// runs of letters and digits, so that `disk-full` means both `disk` and `full`. On a terminal rows of text, in a pipe one
    /// JSON object a line: `ts` (UTC, microseconds), `source`, `source_id`, `raw`, and `raw_base64` if
    /// `raw` is not UTF-8. If a limit leaves something, the last line is {"resume":"TOKEN"}; on a terminal the token is said
    /// on standard error. All pages of one search are one answer: what comes in meanwhile is on none of them.
    ///
    /// A TIME is 2h, `2h ago`, -15m (all in the past), now, today, yesterday, `yesterday 14:00`, 14:00, 2026-11-22,
    /// `2026-11-22 14:00`, RFC 3339, or seconds since the epoch (or ms, us, ns, by size). Without an offset it is
    /// local time, or with --utc UTC. --from is inclusive, --to exclusive; if --to is before --from, the newest come first.
    #[command(after_long_help = SEARCH_EXAMPLES)]
    Search(search::Args),

    /// Write the last records, and with --follow those that come
    ///
    /// One program has a store open at a time. So --follow opens it for a moment whenever its files have changed, and other
    /// verbs wait for that; while a server has it open, nothing can be followed. A record that comes more than an
    /// hour later than its own time says is not shown.
    #[command(after_long_help = TAIL_EXAMPLES)]
    Tail(tail::Args),

    /// Show the segments: times, records and bytes, in order of time
    #[command(after_long_help = SEGMENTS_EXAMPLES)]
    Segments(show::ShowArgs),

    /// Make segments of what is in memory, and say which
    ///
    /// A store seals by itself as memory fills. Sealing when nothing is in memory does nothing.
    #[command(after_long_help = SEAL_EXAMPLES)]
    Seal(seal::Args),

    /// Show figures: sources, records, bytes, times
    #[command(after_long_help = STATS_EXAMPLES)]
    Stats(show::ShowArgs),

    /// Write all records, or those that match, as NDJSON or as raw lines
    ///
    /// NDJSON is taken back by `ratite log append` without loss: times, sources, bytes and order.
    #[command(after_long_help = EXPORT_EXAMPLES)]
    Export(export::Args),

    /// Drop the oldest segments by age, bytes or count, or show what would go
    ///
    /// Whole segments go at once, oldest first, until every given bound holds; so some records stay that are a
    /// little over a bound. What is in memory stays. Nothing brings back what is dropped: look with --dry-run first.
    #[command(after_long_help = RETAIN_EXAMPLES)]
    Retain(retain::Args),

    /// Write made-up lines that look real, for tests and benches
    ///
    /// Access logs, JSON, key=value, statements, logins and kernel messages of 200 sources, 163 bytes each, some 18,000 a
    /// second; one of 500 is late by up to two seconds. The same seed gives the same bytes on every machine.
    #[command(after_long_help = GEN_EXAMPLES)]
    Gen(generate::Args),

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

const APPEND_EXAMPLES: &str = "\
Examples:
  ratite log append --source web < access.log
  ratite log append /var/log/nginx --multiline
  jq -c '.[]' dump.json | ratite log append --ts-field at --source-field host --raw-field msg
  ratite log append --resume-file done.json app.log.1.gz app.log";

const SEARCH_EXAMPLES: &str = "\
Examples:
  ratite log search --from '2h ago' --source nginx timeout
  ratite log search --from yesterday --to today error -C 3
  ratite log search --from 7d --histogram 1h error
  ratite log search --reverse --limit 100 --json | jq -r .raw";

const TAIL_EXAMPLES: &str = "\
Examples:
  ratite log tail -n 20 --source nginx
  ratite log tail --follow error";

const SEGMENTS_EXAMPLES: &str = "\
Examples:
  ratite log segments
  ratite log segments --json | jq -s 'map(.bytes) | add'";

const SEAL_EXAMPLES: &str = "\
Example:
  ratite log seal";

const STATS_EXAMPLES: &str = "\
Examples:
  ratite log stats
  ratite log stats --json | jq .records";

const EXPORT_EXAMPLES: &str = "\
Examples:
  ratite log export --out logs.ndjson.zst
  ratite log export --from yesterday --to today --source nginx --format text --out access.log.gz";

const RETAIN_EXAMPLES: &str = "\
Examples:
  ratite log retain --dry-run --age 30d
  ratite log retain --bytes '20 GiB' --age 90d";

const GEN_EXAMPLES: &str = "\
Examples:
  ratite log gen --lines 1000000 | ratite log append
  ratite log gen --lines 1000000 --format text --out lines.txt";

const SERVE_EXAMPLES: &str = "\
Examples:
  ratite log serve --data /var/lib/ratite-logs
  ratite log serve --syslog-udp 0.0.0.0:5514 --syslog-tcp none --source '{address}/{app}'
  logger --server 127.0.0.1 --port 5514 --tcp hello";

pub fn run(args: &Args) -> Outcome<()> {
    match &args.verb {
        Verb::Append(args) => append::run(args),
        Verb::Search(args) => search::run(args),
        Verb::Tail(args) => tail::run(args),
        Verb::Segments(args) => segments::run(args),
        Verb::Seal(args) => seal::run(args),
        Verb::Stats(args) => stats::run(args),
        Verb::Export(args) => export::run(args),
        Verb::Retain(args) => retain::run(args),
        Verb::Gen(args) => generate::run(args),
        Verb::Serve(args) => serve::run(args),
    }
}
