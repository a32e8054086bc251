//! How a relay is set up.

use super::limits::Limits;
use super::policy::PolicyConfig;
use std::net::{Ipv4Addr, SocketAddr};

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
    /// What is let in.
    pub policy: PolicyConfig,
    /// Front-end threads, each with a runtime, a listener and a feed. Default: the cores at hand.
    pub threads: usize,
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
            policy: PolicyConfig::default(),
            threads: crate::io::threads::cores(),
        }
    }
}
