//! What ends a verb early.

use crate::output::say;
use std::io;

/// The result of a verb and of its parts.
pub type Outcome<T> = Result<T, Failure>;

/// Why a verb ended early.
#[derive(Debug)]
pub enum Failure {
    /// For the person at the keyboard.
    Sentence(String),
    /// The same, about arguments that do not go together.
    Usage(String),
    /// Whoever reads standard output has had enough: the quiet end of `ratite scan ... | head`.
    PipeClosed,
    /// Standard error has it already.
    Said,
}

impl Failure {
    /// A failure to write to standard output.
    pub fn output(error: &io::Error) -> Failure {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::PipeClosed,
            _ => Failure::Sentence(format!("cannot write to standard output: {error}")),
        }
    }

    /// A failure to read standard input.
    pub fn input(error: &io::Error) -> Failure {
        Failure::Sentence(format!("cannot read standard input: {error}"))
    }
}

/// Says how taking things in ended: the signal that stopped it, what failed, how closing went. True if all went well to
/// the end.
pub fn tell(
    ended: &Outcome<Option<&'static str>>,
    kept: &Outcome<()>,
    closed: &ratite::base::Result<()>,
) -> bool {
    if let Ok(Some(signal)) = ended {
        say(format_args!("ratite: stopped by {signal}"));
    }
    for failure in [ended.as_ref().err(), kept.as_ref().err()].into_iter().flatten() {
        if let Failure::Sentence(sentence) | Failure::Usage(sentence) = failure {
            say(format_args!("ratite: {sentence}"));
        }
    }
    if let Err(error) = closed {
        say(format_args!("ratite: {error}"));
    }
    matches!(ended, Ok(None)) && kept.is_ok() && closed.is_ok()
}

impl From<ratite::base::Error> for Failure {
    fn from(error: ratite::base::Error) -> Failure {
        Failure::Sentence(error.to_string())
    }
}
