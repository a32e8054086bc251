//! SIGHUP: the configuration is read again, and what may change in a running relay changes.
//!
//! 1. A configuration with anything wrong in it changes nothing.
//! 2. What counts at the next start only is named in the log, if it was changed.
//! 3. Flags and environment are those that the process was started with; the file is read anew, and so are the files
//!    of rules, changed or not.

use crate::args::Cli;
use crate::config::Settings;
use crate::logging::{self, Log};
use crate::output::say;
use crate::retain;
use ratite::nostr::EventStore;
use ratite::relay::Relay;
use ratite::retention::Retention;
use std::sync::Arc;

/// What a running relay takes; `Relay::change` says what of it counts for whom.
const CHANGES: [&str; 34] = [
    "retention.rules",
    "retention.interval",
    "retention.rate",
    "relay.name",
    "relay.description",
    "relay.contact",
    "relay.pubkey",
    "relay.max-event",
    "relay.max-event-tags",
    "relay.max-tag-items",
    "relay.max-tag-item",
    "relay.reject-newer",
    "relay.reject-older",
    "relay.max-message",
    "relay.max-queue",
    "relay.max-queue-total",
    "relay.max-limit",
    "relay.default-limit",
    "relay.max-subscriptions",
    "relay.max-filters",
    "relay.max-filter-values",
    "relay.max-connection-values",
    "relay.max-total-values",
    "relay.max-writes",
    "relay.max-connections",
    "relay.max-connections-per-address",
    "relay.ping",
    "relay.pong",
    "relay.head-timeout",
    "relay.http-timeout",
    "relay.close-timeout",
    "policy.rules",
    "policy.files",
    "log.level",
];

/// What is running.
pub struct Running<'a> {
    pub store: &'a Arc<EventStore>,
    pub relay: &'a Relay,
    pub retention: &'a mut Option<Retention>,
    pub log: &'a Log,
    /// The configuration that counts.
    pub settings: Settings,
}

impl Running<'_> {
    /// Reads the configuration again.
    pub fn reload(&mut self) {
        let settings = match Cli::read() {
            Ok(cli) => cli.settings,
            Err(error) => {
                let text = error.render().to_string();
                let why = text.strip_prefix("error: ").unwrap_or(&text).trim_end();
                tracing::error!("SIGHUP: nothing is changed: {why}");
                return say(format_args!("SIGHUP: nothing is changed: {why}"));
            }
        };
        let (now, later) = differences(&self.settings, &settings);
        if let Err(why) = self.take(&settings, &now) {
            tracing::error!("SIGHUP: {why}");
            return say(format_args!("SIGHUP: {why}"));
        }
        for name in &later {
            tracing::warn!(option = %name, "changed, and counts at the next start");
        }
        let names = |names: &[String]| match names {
            [] => "nothing".to_string(),
            names => names.join(", "),
        };
        say(format_args!("SIGHUP: changed {}; at the next start {}", names(&now), names(&later)));
        self.settings = settings;
    }

    fn take(&mut self, settings: &Settings, changed: &[String]) -> Result<(), String> {
        let built = &settings.built;
        let of = |section: &str| changed.iter().any(|name| name.starts_with(section));
        // First, since of all this a file of rules is the likeliest to be wrong.
        self.relay.policy().reload(&built.relay.policy).map_err(|error| error.to_string())?;
        if of("relay.") {
            self.relay.change(&built.relay).map_err(|error| error.to_string())?;
        }
        if of("retention.") {
            // The old one ends before the new one begins.
            *self.retention = None;
            let started = retain::start(self.store, &built.retention);
            *self.retention = Some(started.map_err(|failure| format!("{failure:?}"))?);
        }
        if of("log.") {
            let directives = logging::directives(built.log.as_deref(), "info");
            self.log.change(&directives).map_err(|failure| format!("{failure:?}"))?;
        }
        Ok(())
    }
}

/// The names of the options that have another value: those that count now, and those that do later.
fn differences(old: &Settings, new: &Settings) -> (Vec<String>, Vec<String>) {
    let (mut now, mut later) = (Vec::new(), Vec::new());
    for (old, new) in old.effective.iter().zip(&new.effective) {
        let name = new.setting.name();
        let list = if CHANGES.contains(&name.as_str()) { &mut now } else { &mut later };
        if old.text != new.text {
            list.push(name);
        }
    }
    (now, later)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_is_an_option_and_said_once() {
        let settings = Settings::resolve(&Default::default(), None, Vec::new()).unwrap();
        for name in CHANGES {
            assert!(settings.named(name).is_some(), "{name}");
        }
        let (mut other, before) = (settings.clone(), settings);
        for effective in &mut other.effective {
            effective.text.push('x');
        }
        let (now, later) = differences(&before, &other);
        assert_eq!(now.len(), CHANGES.len());
        assert!(later.contains(&"relay.listen".into()) && later.contains(&"store.memory".into()));
        assert_eq!(differences(&before, &before), (vec![], vec![]));
    }
}
