//! The log of the library's `tracing` events: to standard error, filtered by `--log`.

use crate::failure::{Failure, Outcome};
use std::io::{self, IsTerminal};
use tracing_subscriber::EnvFilter;

/// Starts the log of what `directives` let through.
pub fn start(directives: &str) -> Outcome<()> {
    let filter = EnvFilter::try_new(directives)
        .map_err(|error| Failure::Usage(format!("log.level = {directives:?}: {error}")))?;
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        // It would report them with `eprintln!`, which panics when standard error is closed.
        .log_internal_errors(false);
    log.try_init().map_err(|error| Failure::Sentence(format!("cannot start the log: {error}")))
}
