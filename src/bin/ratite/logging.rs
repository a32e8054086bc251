//! The log of the library's `tracing` events: to standard error, as text or as JSON, and to a log store if there is one;
//! filtered by `--log`.
//!
//! 1. No event's content and no secret is logged at any level. Addresses of clients are, at `debug`.
//! 2. What the options say of the level counts; where they leave it to the program, `RUST_LOG` does.

use crate::failure::{Failure, Outcome};
use ratite::logs::TracingLayer;
use std::io::{self, IsTerminal};
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};

/// The variable that programs with such a log have in common.
const RUST_LOG: &str = "RUST_LOG";

/// How a line of the log is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// An object a line, for collectors.
    Json,
}

/// The running log.
pub struct Log(reload::Handle<EnvFilter, Registry>);

impl Log {
    /// Lets other events through from now on.
    pub fn change(&self, directives: &str) -> Outcome<()> {
        let filter = filter(directives)?;
        self.0.reload(filter).map_err(|error| Failure::Sentence(format!("the log: {error}")))
    }
}

/// What is let through: what the options say, or `RUST_LOG`, or what the verb has by default.
pub fn directives(option: Option<&str>, default: &str) -> String {
    let variable = || std::env::var(RUST_LOG).ok().filter(|text| !text.is_empty());
    option.map(String::from).or_else(variable).unwrap_or_else(|| default.into())
}

/// Starts the log of what `directives` let through; `store` is given it too.
pub fn start(directives: &str, format: Format, store: Option<TracingLayer>) -> Outcome<Log> {
    let (filter, handle) = reload::Layer::new(filter(directives)?);
    let lines = fmt::layer().with_writer(io::stderr).with_ansi(io::stderr().is_terminal());
    // It would report them with `eprintln!`, which panics when standard error is closed.
    let lines = lines.log_internal_errors(false);
    let lines = match format {
        Format::Text => lines.boxed(),
        Format::Json => {
            crate::output::say_json();
            lines.json().flatten_event(true).boxed()
        }
    };
    let log = tracing_subscriber::registry().with(filter).with(lines).with(store);
    log.try_init().map_err(|error| Failure::Sentence(format!("cannot start the log: {error}")))?;
    Ok(Log(handle))
}

/// What is never let through: at `trace` this library logs the messages of clients (1).
const SILENCED: &str = "tungstenite=off";

fn filter(directives: &str) -> Outcome<EnvFilter> {
    let wrong = |error| Failure::Usage(format!("log.level = {directives:?}: {error}"));
    parse(&format!("{directives},{SILENCED}")).map_err(wrong)
}

/// What is let through, in the library's words. The spaces around a directive do not count: the library's parser looks
/// for its parts as many bytes too early as there are before it, and panics where that is within a character. The values
/// of fields are texts: one of 120 characters, taken for an expression, took 20 seconds and 2 GiB.
pub fn parse(directives: &str) -> Result<EnvFilter, ParseError> {
    let trimmed: Vec<&str> = directives.split(',').map(str::trim).collect();
    EnvFilter::builder().with_regex(false).parse(trimmed.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spaces_around_a_directive_do_not_count() {
        let parsed = |text: &str| parse(text).unwrap().to_string();
        assert_eq!(parsed(" info,\tratite=debug "), parsed("info,ratite=debug"));
        assert_eq!(parsed("info,\t[\u{14f}]"), parsed("info,[\u{14f}]"));
        parse("info,\u{3000}ratite=everything").unwrap_err();
    }

    #[test]
    fn the_value_of_a_field_is_a_text_and_no_expression() {
        assert_eq!(parse("[b{c=(}]").unwrap().to_string(), "[b{c=(}]=trace");
    }
}
