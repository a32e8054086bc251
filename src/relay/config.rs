//! How a relay is set up.

use super::auth::host;
use super::limits::Limits;
use crate::base::{Error, Result};
use crate::nostr::retention::RuleConfig;
use std::net::{Ipv4Addr, SocketAddr};

/// Whether clients authenticate (NIP-42).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum AuthMode {
    /// Nobody can. Then no kinds may be private, and protected events (NIP-70) are refused.
    Off,
    /// Every client is sent a challenge and may answer it. What needs it is refused until then.
    #[default]
    OnDemand,
    /// Nothing is taken from and nothing shown to a client that has not answered.
    Required,
}

/// What a relay says of itself in NIP-11, beside its name. All of it is optional.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct About {
    /// URL of a small square picture.
    pub icon: Option<String>,
    /// URL of a wide picture.
    pub banner: Option<String>,
    /// URL of what may be posted.
    pub posting_policy: Option<String>,
    /// URL of what is done with data about people.
    pub privacy_policy: Option<String>,
    /// URL of the terms of service.
    pub terms_of_service: Option<String>,
    /// Countries whose laws count, as ISO 3166 codes.
    pub countries: Vec<String>,
    /// Languages, as IETF tags.
    pub languages: Vec<String>,
    /// What the relay is about or leaves out, like `sfw-only`.
    pub tags: Vec<String>,
}

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
    /// More about the relay, for NIP-11.
    pub about: About,
    /// The URLs under which clients know this relay, `wss://...`. An AUTH has to name the host of one of them.
    /// Default: none, which leaves the address that it listens on; enough on one machine only.
    pub relay_urls: Vec<String>,
    /// Whether clients authenticate. Default: on demand.
    pub auth: AuthMode,
    /// Kinds of which each event goes to its author and those named by its `p` tags only. Default 4, 13, 14
    /// and 1059: direct messages, and what they are wrapped in.
    pub private_kinds: Vec<u16>,
    /// The rules by which events go, as NIP-11 publishes them. Whoever runs the relay applies them.
    pub retention: Vec<RuleConfig>,
    /// Whether messages are compressed for clients that offer it (permessage-deflate). Default: yes.
    pub compression: bool,
    /// What clients may do.
    pub limits: Limits,
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
            about: About::default(),
            relay_urls: Vec::new(),
            auth: AuthMode::default(),
            private_kinds: vec![4, 13, 14, 1059],
            retention: Vec::new(),
            compression: true,
            pubkey: None,
            limits: Limits::default(),
            threads: crate::io::threads::cores(),
        }
    }
}

impl Config {
    /// Checks that the settings make sense together.
    ///
    /// # Errors
    /// `Invalid`, naming the setting.
    pub fn check(&self) -> Result<()> {
        self.limits.check()?;
        if self.threads == 0 {
            return Err(Error::invalid("threads", "a relay needs at least one"));
        }
        if let Some(url) = self.relay_urls.iter().find(|url| host(url).is_none()) {
            return Err(Error::invalid("relay_urls", format!("{url} is no websocket URL")));
        }
        if self.auth == AuthMode::Off && !self.private_kinds.is_empty() {
            let why = "without authentication nobody could read these kinds; name none to show them to everyone";
            return Err(Error::invalid("private_kinds", why));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_contradicts_itself_is_named() {
        Config::default().check().unwrap();
        let refused = |change: fn(&mut Config)| {
            let mut config = Config::default();
            change(&mut config);
            config.check().map_err(|error| error.to_string())
        };
        assert!(refused(|c| c.threads = 0).unwrap_err().contains("threads"));
        assert!(refused(|c| c.relay_urls = vec!["x".into()]).unwrap_err().contains("relay_urls"));
        assert!(refused(|c| c.auth = AuthMode::Off).unwrap_err().contains("private_kinds"));
        let open = |c: &mut Config| (c.auth, c.private_kinds) = (AuthMode::Off, Vec::new());
        assert!(refused(open).is_ok());
    }
}
