//! `ratite`: the store and the relay as one program.
//!
//! ```text
//!   main ---- args ---- relay | import | export | scan | monitor | count | delete | explain | stats |
//!                          |       generate | config | backup | restore | reshard | inspect | verify | repair |
//!                          |       retain | compact | log | sync | stream | router | bench
//!                          |       common: config (options), store (opening), output, packed, failure, own_log (relay),
//!                          |               signals, service and reload (relay), progress, reclaim (retain, compact)
//! ```
//!
//! 1. Standard output carries results only; everything said to a person goes to standard error.
//! 2. Exit status: 0 all went well (also if whoever read the output had enough), 1 something did not
//!    and one sentence says what, 2 the command line or the configuration is wrong.
//! 3. A verb that opened a store closes it, whatever came between.

mod args;
mod backup;
mod bench;
mod compact;
mod config;
mod count;
mod delete;
mod explain;
mod export;
mod failure;
mod generate;
mod import;
mod inspect;
mod log;
mod logging;
mod monitor;
#[cfg(test)]
mod mutants;
mod output;
mod own_log;
mod packed;
mod progress;
mod reclaim;
mod relay;
mod reload;
mod repair;
mod reshard;
mod restore;
mod retain;
mod scan;
mod service;
mod signals;
mod stats;
mod store;
mod stream;
mod sync;
mod verify;

use args::{Cli, Verb};
use failure::{Failure, Outcome};
use logging::Log;
use output::say;
use own_log::OwnLog;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = match Cli::read() {
        Ok(cli) => cli,
        Err(error) => return args::explain_refusal(&error),
    };
    match run(cli) {
        Ok(()) | Err(Failure::PipeClosed) => ExitCode::SUCCESS,
        Err(Failure::Said) => ExitCode::FAILURE,
        Err(Failure::Sentence(sentence)) => {
            say(format_args!("ratite: {sentence}"));
            ExitCode::FAILURE
        }
        Err(Failure::Usage(sentence)) => {
            say(format_args!("ratite: {sentence}"));
            ExitCode::from(2)
        }
    }
}

fn run(cli: Cli) -> Outcome<()> {
    let settings = &cli.settings;
    let directives = logging::directives(settings.built.log.as_deref(), cli.verb.log_level());
    let (own_log, layer) = match &cli.verb {
        Verb::Relay(_) => OwnLog::open(&settings.built)?.unzip(),
        _ => (None, None),
    };
    let log = logging::start(&directives, settings.built.log_format, layer)?;
    let ran = verb(&cli, &log);
    own_log.into_iter().for_each(OwnLog::close);
    ran
}

fn verb(cli: &Cli, log: &Log) -> Outcome<()> {
    let settings = &cli.settings;
    if let Some(file) = &settings.file {
        tracing::info!("configuration read from {}", file.display());
    }
    match &cli.verb {
        Verb::Relay(args) => relay::run(args, settings, log),
        Verb::Import(args) => import::run(args),
        Verb::Export(args) => export::run(args),
        Verb::Scan(args) => scan::run(args),
        Verb::Monitor(args) => monitor::run(args),
        Verb::Count(args) => count::run(args),
        Verb::Delete(args) => delete::run(args),
        Verb::Explain(args) => explain::run(args),
        Verb::Stats(args) => stats::run(args),
        Verb::Gen(args) => generate::run(args),
        Verb::Backup(args) => backup::run(args),
        Verb::Restore(args) => restore::run(args),
        Verb::Reshard(args) => reshard::run(args),
        Verb::Config(args) => config::run(args, settings),
        Verb::Inspect(args) => inspect::run(args),
        Verb::Verify(args) => verify::run(args),
        Verb::Repair(args) => repair::run(args),
        Verb::Retain(args) => retain::run(args, settings),
        Verb::Compact(args) => compact::run(args),
        Verb::Log(args) => log::run(args),
        Verb::Sync(args) => sync::run(args),
        Verb::Stream(args) => stream::run(args),
        Verb::Router(args) => stream::run_router(args),
        Verb::Bench(args) => bench::run(args, settings),
    }
}
