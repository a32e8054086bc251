//! The log of the library's `tracing` events: to standard error, filtered by `RATITE_LOG`.

use crate::failure::{Failure, Outcome};
use std::env::{self, VarError};
use std::io::{self, IsTerminal};
use tracing_subscriber::EnvFilter;

const VARIABLE: &str = "RATITE_LOG";

/// Starts the log; `default` counts where the variable says nothing.
pub fn start(default: &str) -> Outcome<()> {
    let directives = match env::var(VARIABLE) {
        Ok(directives) if !directives.trim().is_empty() => directives,
        Ok(_) | Err(VarError::NotPresent) => default.to_string(),
        Err(VarError::NotUnicode(_)) => {
            return Err(Failure::Sentence(format!("{VARIABLE} is not UTF-8")));
        }
    };
    let filter = EnvFilter::try_new(&directives).map_err(|error| {
        let example = "try `warn`, `info` or `ratite=debug`";
        Failure::Sentence(format!("{VARIABLE} is set to {directives:?}: {error}; {example}"))
    })?;
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        // It would report them with `eprintln!`, which panics when standard error is closed.
        .log_internal_errors(false);
    log.try_init().map_err(|error| Failure::Sentence(format!("cannot start the log: {error}")))
}
