//! What is let in, as it is configured.

use super::proxy::Proxies;
use super::rule::Rule;
use std::path::PathBuf;
use std::time::Duration;

/// The policy of a relay. `Default` lets in everyone and everything.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct PolicyConfig {
    /// Allow and deny lists.
    pub rules: Vec<Rule>,
    /// Files with more of them, one a line; read again when they change.
    pub files: Vec<PathBuf>,
    /// Zero bits that the id of an event must begin with, by NIP-13. Default 0.
    pub pow_bits: u8,
    /// A program that is asked about every event.
    pub plugin: PluginConfig,
    /// Public keys of those who may manage the relay over NIP-86. Default: nobody may. Without
    /// [`Config::relay_urls`](crate::relay::Config::relay_urls) whatever host a request names is taken for this
    /// relay's, which lets whoever is given a request that an admin made for another relay use it here too, for
    /// a minute.
    pub admins: Vec<[u8; 32]>,
    /// Who is believed about where clients come from.
    pub proxies: Proxies,
}

/// A write-policy plugin.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct PluginConfig {
    /// The command, for a shell; empty, the default: there is none. Without a blank in it, it is a path, and the
    /// plugin is started again when that file changes.
    pub command: String,
    /// Time in which an event must have its answer. Default 5 s.
    pub timeout: Duration,
    /// Whether an event is stored about which the plugin gives no answer. Default: no.
    pub accepts_on_failure: bool,
}

impl PluginConfig {
    /// This command, and the defaults.
    pub fn new(command: impl Into<String>) -> PluginConfig {
        PluginConfig { command: command.into(), ..PluginConfig::default() }
    }

    /// Whether there is a plugin.
    pub(in crate::relay) fn is_there(&self) -> bool {
        !self.command.is_empty()
    }
}

impl Default for PluginConfig {
    fn default() -> PluginConfig {
        let timeout = Duration::from_secs(5);
        PluginConfig { command: String::new(), timeout, accepts_on_failure: false }
    }
}
