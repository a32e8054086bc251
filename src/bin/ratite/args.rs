//! The command line: verbs and what `--help` says of them.

use crate::config::{self, Settings};
use crate::output::say;
use crate::{
    backup, bench, compact, count, delete, explain, export, generate, import, inspect, log, monitor,
};
use crate::{relay, repair, reshard, restore, retain, scan, stats, stream, sync, verify};
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use std::process::ExitCode;

const FIRST_STEPS: &str = "\
The first three things to do:
  ratite gen --count 100000 | ratite import         fill ./data with made-up events
  ratite scan '{\"kinds\":[1],\"limit\":5}'             ask for the five newest notes
  ratite relay                                      serve them on ws://127.0.0.1:7777

`ratite help VERB` says more about a verb, `ratite help config` all about options. Each is a flag,
a variable and a line of a file: --sync batch, RATITE_SYNC=batch, sync = \"batch\". `ratite config`
shows what counts. --log info (or debug, or ratite::shard=trace) shows what goes on inside.";

/// A store of Nostr events on io_uring, and a relay
#[derive(Parser, Debug)]
#[command(name = "ratite", version, after_help = FIRST_STEPS, arg_required_else_help = true)]
#[command(max_term_width = 100, subcommand_value_name = "VERB", subcommand_help_heading = "Verbs")]
#[command(disable_help_subcommand = false)]
pub struct Cli {
    /// The effective configuration.
    #[command(flatten)]
    pub settings: Settings,

    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// What to do.
#[derive(Subcommand, Debug)]
pub enum Verb {
    /// Serve the store to Nostr clients over websockets
    ///
    /// Creates the store if there is none. When clients can connect, standard output gets the one
    /// line `listening on ws://ADDR:PORT`; everything else is said on standard error. An event is
    /// answered with OK when it is as durable as `--sync` promises. SIGTERM and SIGINT end the
    /// connections, close the store and exit with 0; a second signal exits at once, which the store
    /// survives too.
    #[command(after_long_help = RELAY_EXAMPLES)]
    Relay(Box<relay::Args>),

    /// Store events from files or standard input, one JSON object a line
    ///
    /// Takes what other relays export, packed with gzip or zstd or not, and lines of the form
    /// `["EVENT",{...}]`. Ids and signatures are checked on all cores, unless `--no-verify` says that
    /// they are known to be right. Creates the store if there is none. The last line on standard error
    /// counts what became of the events. Duplicates, older versions of replaceable events and ephemeral
    /// events are as they should be; the exit status is 1 if a line was refused. Importing the same
    /// lines again does no harm, so an interrupted import is simply run again, with `--resume` without
    /// checking again the signatures of what is stored already.
    #[command(after_long_help = IMPORT_EXAMPLES)]
    Import(import::Args),

    /// Write all events, or those that match a filter, one JSON object a line, oldest first
    ///
    /// The events are those of one moment: the export sees no half of anything. What it writes,
    /// `ratite import` and other relays' importers read.
    #[command(after_long_help = EXPORT_EXAMPLES)]
    Export(export::Args),

    /// Write the events that match a filter, newest first
    ///
    /// Events with the same second come with the lowest id first. Without a `limit` in the filter
    /// all matches are written. Several filters in an array give their union, each event once.
    #[command(after_long_help = SCAN_EXAMPLES)]
    Scan(scan::Args),

    /// Write the new events of a running relay as they come, one JSON object a line
    ///
    /// Connects to the relay as a client does, and goes on until it is interrupted or the connection
    /// ends. With `--stored` what the relay has comes first. Needs no store.
    #[command(after_long_help = MONITOR_EXAMPLES)]
    Monitor(monitor::Args),

    /// Count the events that match a filter
    ///
    /// Prints the number of events that a scan would give if the filter had no limit. Where the
    /// index decides, no event is read; this is what a relay answers to COUNT.
    #[command(after_long_help = COUNT_EXAMPLES)]
    Count(count::Args),

    /// Remove the events that match a filter, by their ids or by their age
    ///
    /// What goes has to match all that is given. Look with `--dry-run` first: nothing brings back what
    /// was removed, and nobody is kept from publishing it again. Prints how many events there were. No
    /// relay may have the store open; a rule of retention removes while it serves. The space comes back
    /// with compaction.
    #[command(after_long_help = DELETE_EXAMPLES)]
    Delete(delete::Args),

    /// Show how a filter would be answered
    ///
    /// Prints, for each memtable and segment, which index lists would be walked or intersected, how
    /// long they are, and what would be left to check on each event. Reads index pages only.
    #[command(after_long_help = EXPLAIN_EXAMPLES)]
    Explain(explain::Args),

    /// Show figures of the store
    ///
    /// On a terminal a few readable lines; into a pipe or with `--json` one JSON object: live
    /// records, segments, bytes on disk, each shard, the buffer pool. Counters count from the
    /// opening of the store, which this verb has just done.
    #[command(after_long_help = STATS_EXAMPLES)]
    Stats(stats::Args),

    /// Make signed events from a seed, one JSON object a line
    ///
    /// The mix is what relays see: notes, reactions, profiles, follow lists, some late, some
    /// replacing others, few authors writing most of them. The same count, seed and start give the
    /// same bytes on every machine. Needs no store.
    #[command(after_long_help = GEN_EXAMPLES)]
    Gen(generate::Args),

    /// Show the effective configuration
    ///
    /// Prints every option with its value, where the value comes from, which values are taken and
    /// what it does, as a configuration file that means the same. An option is taken from its flag,
    /// else from its variable (the flag in capitals: --log-file is RATITE_LOG_FILE), else from the
    /// file, else it has its default. The file is the one that --config or RATITE_CONFIG names, else
    /// ./ratite.toml, else /etc/ratite/ratite.toml; one file is read, or none. What is unknown, out of
    /// range or contradictory is refused by name, and the exit status is 2.
    ///
    /// A SIZE is a number with B, KiB, MiB, GiB or TiB; a number alone is bytes. A TIME is a number
    /// with us, ms, s, min, h or d.
    #[command(after_long_help = CONFIG_EXAMPLES)]
    Config(config::Args),

    /// Back up the store, also while it is being written to
    ///
    /// Needs no lock: run it beside the relay, from cron. With `--sync always`, everything that was
    /// answered before it began is in the backup. Segments are linked where the file system allows it,
    /// else copied; into an earlier backup only what is new is brought. An interrupted backup is
    /// completed by running it again. The backup is a store: `ratite scan --data BACKUP` reads it, but
    /// one that was opened is not added to again.
    #[command(after_long_help = BACKUP_EXAMPLES)]
    Backup(backup::Args),

    /// Make a backup the store, verifying everything on the way
    ///
    /// The data directory must be empty or new. Each page of each segment and each block of the logs is
    /// read and its checksum compared; damage is named with its file and byte. An interrupted restore is
    /// completed by running it again.
    #[command(after_long_help = RESTORE_EXAMPLES)]
    Restore(restore::Args),

    /// Give the store another number of shards
    ///
    /// Nothing else may have the store open. All events are written anew, compared with the old ones,
    /// and take their place in one step; whenever this is interrupted, the directory holds one whole
    /// store. Needs the space of the live events until the old files are gone. Backups made before are
    /// of another store: take a new directory for the next.
    #[command(after_long_help = RESHARD_EXAMPLES)]
    Reshard(reshard::Args),

    /// Show what is in a file of a store
    ///
    /// Works on any file of a store, damaged or in use, in its place or elsewhere, and opens no store.
    /// Tells by the bytes what the file is, and prints its header, its blocks and entries, its regions
    /// and pages, or what stands in one page. Damaged places are said where they are, and the walk
    /// goes on behind them; the exit status is 0 all the same: whether a store is whole, `verify` says.
    #[command(after_long_help = INSPECT_EXAMPLES)]
    Inspect(inspect::Args),

    /// Prove a store whole, or name what is damaged
    ///
    /// Reads every page, record, posting list, manifest and log block, compares what they say of one
    /// another, and changes nothing. May run while a relay has the store open. Prints a line for each
    /// problem, with file and offset; the exit status is 1 if there is one. Notes are left-overs of a
    /// crash, and no problem.
    #[command(after_long_help = VERIFY_EXAMPLES)]
    Verify(verify::Args),

    /// Make a damaged store whole again
    ///
    /// Verifies first, and does nothing to a healthy store. Indexes are made anew from the records;
    /// records that can still be read are saved; the rest is named here and in the report. Damaged
    /// files are kept in DIR/quarantine. The store must not be in use.
    #[command(after_long_help = REPAIR_EXAMPLES)]
    Repair(repair::Args),

    /// Remove what rules on age, count and bytes say, or show what would go
    ///
    /// What has expired (NIP-40) goes always. Of what a rule is about the oldest go first; rules are decided each on
    /// its own, and the union goes, but for what a `protect` rule names. With `--dry-run` a table on a terminal, JSON
    /// lines into a pipe. Without `--rule` the rules are those of the configuration, `[retention] rules`, which a
    /// relay applies by itself; with `--rule` these count instead.
    #[command(after_long_help = RETAIN_EXAMPLES)]
    Retain(retain::Args),

    /// Drop what is dead from the files, so that the disk has its space back
    ///
    /// What has expired (NIP-40) is removed first; then memory becomes segments, and segments are merged until
    /// there is nothing to gain. A store compacts by itself while it is open, from a share of dead on; this does
    /// not wait for it. Prints segments and their bytes before and after: lines on a terminal, one JSON object into a
    /// pipe or with `--json`. May be interrupted at any time. Needs the space of the merge that runs.
    #[command(after_long_help = COMPACT_EXAMPLES)]
    Compact(compact::Args),

    /// Keep and search log records: lines with a time and a source
    ///
    /// A log store is a directory of its own, with the same engine and the same promises as a store of events; backup,
    /// restore, verify, repair, inspect, compact, reshard and stats work on both. `ratite log help VERB` says more about each verb.
    #[command(after_long_help = LOG_EXAMPLES)]
    Log(log::Args),

    /// Bring what differs from another relay where it is missing, once
    ///
    /// What differs is found by negentropy (NIP-77), so that it costs little where most is the same. The local side
    /// is the store in --data, which must not be in use, or with --local a relay that is running. Events are
    /// verified before they are stored. May be interrupted at any time, and run again to go on. Prints a summary:
    /// lines on a terminal, one JSON object into a pipe or with `--json`.
    #[command(after_long_help = SYNC_EXAMPLES)]
    Sync(sync::Args),

    /// Pass live events on, from or to another relay, until a signal
    ///
    /// From a relay down into the store in --data, which must not be in use, or with --local from and to a relay
    /// that is running. A connection that fails is made again after 1 s, 2 s and so on up to 1 min; what came in
    /// meanwhile is asked for by time. What went by before is for `ratite sync` to find.
    #[command(after_long_help = STREAM_EXAMPLES)]
    Stream(stream::Args),

    /// Do as `ratite stream` for many relays, as a file says
    ///
    /// The file is TOML: tables `[[stream]]` with `url`, `dir` (down, up or both) and `filter`, a NIP-01 filter as
    /// text; without them it is both ways and everything.
    #[command(after_long_help = ROUTER_EXAMPLES)]
    Router(stream::RouterArgs),

    /// Measure this machine and what the store makes of it
    ///
    /// In about a minute: synced writes and random reads of the device; ingest, with and without signatures, beside a
    /// bare append and the signatures alone; one durable publish beside the bare write in turn; bytes an event; the
    /// queries of clients; opening, also after a kill. Works in a directory of its own, which is gone afterwards, with
    /// the options of the store that are given. A table on a terminal, one JSON object a row into a pipe or with
    /// `--json`. Stop other work first: the load of the machine is in every figure.
    #[command(after_long_help = BENCH_EXAMPLES)]
    Bench(bench::Args),
}

const BENCH_EXAMPLES: &str = "\
Examples:
  ratite bench
  ratite bench --data /var/lib/ratite-bench --memory '4 GiB' --events 1000000
  ratite bench --json | jq -r '[.section, .row, .cpu_us.p50, .wall_us.p99] | @tsv'";

const RELAY_EXAMPLES: &str = "\
Examples:
  ratite relay --data /var/lib/ratite --listen 0.0.0.0:7777 --name 'relay.example'
  ratite relay --sync batch --sync-interval '50 ms' --memory '4 GiB'";

const IMPORT_EXAMPLES: &str = "\
Examples:
  ratite import --data ./data < events.jsonl
  ratite import --refused refused.jsonl strfry-1.jsonl.zst strfry-2.jsonl.gz
  ratite import --resume dump.jsonl.zst
  sqlite3 nostr.db 'select content from event' | ratite import --no-verify --sync batch";

const EXPORT_EXAMPLES: &str = "\
Examples:
  ratite export --output events.jsonl.zst
  ratite export --filter '{\"kinds\":[0,3,10002]}' --output profiles.jsonl.gz
  ratite export --since 1700000000 --until 1700086399 --reverse | head";

const SCAN_EXAMPLES: &str = "\
Examples:
  ratite scan '{\"kinds\":[1],\"#t\":[\"nostr\"],\"limit\":10}'
  ratite scan --metrics '[{\"kinds\":[0]},{\"kinds\":[3]}]' > profiles.jsonl
  jq -c '{ids: .}' ids.json | ratite scan -";

const MONITOR_EXAMPLES: &str = "\
Examples:
  ratite monitor ws://127.0.0.1:7777 | jq .kind
  ratite monitor ws://127.0.0.1:7777 '{\"kinds\":[1],\"#t\":[\"nostr\"]}'";

const DELETE_EXAMPLES: &str = "\
Examples:
  ratite delete --dry-run --filter '{\"kinds\":[7]}' --age 90d
  ratite delete --id 0123...cdef --id 4567...89ab";

const COUNT_EXAMPLES: &str = "\
Examples:
  ratite count '{}'
  ratite count '{\"kinds\":[7],\"since\":1700000000}'
  ratite count --hll '{\"#p\":[\"<pubkey>\"],\"kinds\":[3]}'";

const EXPLAIN_EXAMPLES: &str = "\
Example:
  ratite explain '{\"kinds\":[1],\"#t\":[\"nostr\",\"bitcoin\"],\"limit\":100}'";

const STATS_EXAMPLES: &str = "\
Examples:
  ratite stats
  ratite stats --json | jq .records";

const GEN_EXAMPLES: &str = "\
Examples:
  ratite gen --count 100000 --seed 7 > events.jsonl
  ratite gen -n 1000 --stop 1760000000 | ratite import";

const RETAIN_EXAMPLES: &str = "\
Examples:
  ratite retain --dry-run --rule 'kinds=7 age=90d' --rule 'kinds=0,3,10002 protect'
  ratite retain --rule 'each=author bytes=50MiB' --compact
  ratite retain --rule bytes=20GiB";

const COMPACT_EXAMPLES: &str = "\
Examples:
  ratite compact --data /var/lib/ratite
  ratite compact --json | jq '.before.bytes - .after.bytes'";

const LOG_EXAMPLES: &str = "\
Examples, all with the store in ./logs:
  export RATITE_DATA=./logs
  ratite log append /var/log/nginx
  ratite log search --from '2h ago' timeout
  ratite log tail --follow";

const SYNC_EXAMPLES: &str = "\
Examples:
  ratite sync wss://relay.example --dir down --filter '{\"kinds\":[0,3,10002]}'
  ratite sync wss://relay.example --local ws://127.0.0.1:7777 | jq .down.stored";

const STREAM_EXAMPLES: &str = "\
Examples:
  ratite stream wss://relay.example --local ws://127.0.0.1:7777 --dir both
  ratite stream wss://relay.example --dir down --data ./archive";

const ROUTER_EXAMPLES: &str = "\
Example, with a file of two streams:
  [[stream]]
  url = \"wss://relay.example\"
  dir = \"down\"
  filter = '{\"kinds\":[0,1]}'

  [[stream]]
  url = \"wss://other.example\"
  dir = \"up\"

  ratite router streams.toml --local ws://127.0.0.1:7777";

const BACKUP_EXAMPLES: &str = "\
Examples:
  ratite backup --data /var/lib/ratite /var/backups/ratite
  ratite backup --copy /mnt/other-disk/ratite";

const RESTORE_EXAMPLES: &str = "\
Examples:
  ratite restore /var/backups/ratite --data /var/lib/ratite
  ratite restore --link /var/backups/ratite --data ./look";

const RESHARD_EXAMPLES: &str = "\
Example:
  ratite reshard --shards 8 --data /var/lib/ratite";

const CONFIG_EXAMPLES: &str = "\
Examples:
  ratite config > ratite.toml
  ratite --config /etc/ratite/ratite.toml config --check && systemctl restart ratite
  RATITE_SYNC=batch ratite config | grep sync
  ratite config --json | jq -r '.options[] | select(.source != \"default\") | .name'";

impl Cli {
    /// What the command line, the environment and the configuration file say.
    pub fn read() -> Result<Cli, clap::Error> {
        // In two steps, since `parse` would show the usage under what is wrong with a file.
        Cli::from_arg_matches(&Cli::command().try_get_matches()?)
    }
}

const INSPECT_EXAMPLES: &str = "\
Examples:
  ratite inspect wal data/shard-00/wal-00000003 --bodies --limit 20
  ratite inspect manifest data/shard-*/manifest-*
  ratite inspect data/shard-00/019a...-....seg --records --json | jq .id
  ratite inspect page data/shard-00/019a...-....seg --page 17
  ratite inspect wal data/quarantine/shard-00-wal-00000003 --json
  ratite inspect data/shard-00/wal-00000003 --at 8192 --limit 32";

const VERIFY_EXAMPLES: &str = "\
Examples:
  ratite verify --data /var/lib/ratite
  ratite verify --json | jq -r .file | sort -u";

const REPAIR_EXAMPLES: &str = "\
Examples:
  ratite repair --dry-run
  ratite repair --data /var/lib/ratite";

impl Verb {
    /// What is logged if the configuration does not say it.
    pub fn log_level(&self) -> &'static str {
        match self {
            Verb::Relay(_) => "info",
            _ => "warn",
        }
    }
}

/// Prints what clap has to say, help and version among it.
pub fn explain_refusal(error: &clap::Error) -> ExitCode {
    if error.use_stderr()
        && error.kind() != clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    {
        let text = error.render().to_string();
        say(format_args!("ratite: {}", text.strip_prefix("error: ").unwrap_or(&text).trim_end()));
    } else {
        // A reader of help who has had enough is no failure.
        let _had_enough = error.print();
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clap_finds_no_fault_in_the_definitions() {
        Cli::command().debug_assert();
    }
}
