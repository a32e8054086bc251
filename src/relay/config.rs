//! How a relay is set up.

use super::limits::Limits;
use std::cell::Cell;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Deref;

/// The settings of a relay. `Default` listens on this machine only.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Address to listen on; port 0 takes a free one. Default 127.0.0.1:7777.
    pub listen: SocketAddr,
    /// The relay's name, for NIP-11 and the page. Default `ratite`.
    pub name: String,
    /// What the relay is for, in a sentence or two.
    pub description: String,
    /// How to reach whoever runs it, as a URI.
    pub contact: Option<String>,
    /// The public key of whoever runs it.
    pub pubkey: Option<[u8; 32]>,
    /// What clients may do.
    pub limits: Limits,
    /// Front-end threads, each with a runtime, a listener and a feed. Default: the cores at hand.
    pub threads: usize,
    /// Where figures for Prometheus are served. Default: nowhere.
    pub metrics: Metrics,
}

/// Where `/metrics` is served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Metrics {
    /// Nowhere.
    #[default]
    Off,
    /// To everyone who reaches the relay.
    Public,
    /// On an address of its own, with `/health` and `/ready`; port 0 takes a free one.
    At(SocketAddr),
}

impl Default for Config {
    fn default() -> Config {
        Config {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 7777)),
            name: "ratite".into(),
            description: "A Nostr relay on the Ratite store.".into(),
            contact: None,
            pubkey: None,
            limits: Limits::default(),
            threads: crate::io::threads::cores(),
            metrics: Metrics::default(),
        }
    }
}

impl Config {
    /// This configuration with what a running relay takes of another: its limits, and what it says of itself.
    pub(super) fn changed_to(&self, other: &Config) -> Config {
        Config {
            name: other.name.clone(),
            description: other.description.clone(),
            contact: other.contact.clone(),
            pubkey: other.pubkey,
            limits: other.limits.clone(),
            ..self.clone()
        }
    }
}

/// The configuration that counts now, as one thread sees it. Whoever looks at it sees a whole one, and an
/// older one as long as it holds on to that.
///
/// A configuration is never freed: it is a KiB, and another one comes only when an operator has changed
/// something. So nobody counts references, or copies limits, for each message of each client.
pub(super) struct Current(Cell<&'static Config>);

impl Current {
    pub(super) fn new(config: &'static Config) -> Current {
        Current(Cell::new(config))
    }

    /// From now on it is this one.
    pub(super) fn change(&self, config: &'static Config) {
        self.0.set(config);
    }
}

impl Deref for Current {
    type Target = Config;

    fn deref(&self) -> &Config {
        self.0.get()
    }
}
