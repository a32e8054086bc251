//! A query of the log as flags.

use crate::failure::{Failure, Outcome};
use ratite::io::Env;
use ratite::logs::time::{Zone, when};
use ratite::logs::{Query, Resume, Source};

/// What is asked for.
#[derive(clap::Args, Debug)]
pub struct Asked {
    /// Words that all have to be in a record, whatever their case
    #[arg(value_name = "WORD")]
    words: Vec<String>,

    /// From this time on: 2h, yesterday, 2026-11-22T14:00:00Z ...
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    from: Option<String>,

    /// Before this time
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    to: Option<String>,

    /// Of this source; may be repeated: of one of them
    #[arg(long = "source", short, value_name = "NAME|UUID")]
    sources: Vec<Source>,

    /// A word, as WORD; may be repeated
    #[arg(long = "token", short, value_name = "WORD", allow_hyphen_values = true)]
    tokens: Vec<String>,

    /// Times that are given or shown are in UTC, not in local time
    #[arg(long)]
    utc: bool,
}

impl Asked {
    /// The zone of a person's times.
    pub fn zone(&self) -> Zone {
        if self.utc { Zone::utc() } else { Zone::local() }
    }

    /// The query, newest first if `reverse` or if the times say so. Times that mean something else by now than when the
    /// first page was asked for are those of `resume`.
    pub fn query(&self, env: &Env, reverse: bool, resume: Option<Resume>) -> Outcome<Query> {
        let (zone, now) = (self.zone(), env.clock.unix_micros());
        let read = |flag: &str, text: &Option<String>| {
            let read = text.as_deref().map(|text| when::parse(text, now, &zone)).transpose();
            read.map_err(|error| Failure::Usage(format!("{flag}: {error}")))
        };
        let (from, to) = (read("--from", &self.from)?, read("--to", &self.to)?);
        let mut query = Query::between(from, to);
        let moves = |text: &Option<String>| text.as_deref().is_some_and(when::is_relative);
        if resume.is_some() && (moves(&self.from) || moves(&self.to)) {
            (query.from, query.to) = (None, None);
        }
        query.reverse |= reverse;
        query.sources = self.sources.iter().map(Source::uuid).collect();
        query.tokens =
            self.words.iter().chain(&self.tokens).map(|word| word.clone().into_bytes()).collect();
        query.resume = resume;
        Ok(query)
    }
}
