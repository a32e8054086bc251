//! Whose connection it is, if a proxy brings it.
//!
//! ```text
//!   X-Forwarded-For: a, b, c      from a trusted proxy: c if c is no trusted proxy, else b ...
//! ```
//!
//! I1. A header counts only from a proxy that is trusted, and only as far as trusted proxies wrote it: what
//!     stands left of the first other address was written by whoever liked to.

use super::network::Network;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use std::net::{IpAddr, SocketAddr};

/// Which header says where a client comes from, and from whom it is believed.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Proxies {
    /// The header's name, in lower case: `x-forwarded-for`, `x-real-ip`. Default `None`: a connection
    /// comes from where it comes from.
    pub header: Option<String>,
    /// Proxies that are believed. Default: this machine.
    pub trusted: Vec<Network>,
}

impl Default for Proxies {
    fn default() -> Proxies {
        let trusted = ["127.0.0.0/8", "::1"];
        Proxies { header: None, trusted: trusted.iter().filter_map(|n| n.parse().ok()).collect() }
    }
}

impl Proxies {
    fn trust(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(address))
    }

    /// Whether the header of this peer says who the client is.
    pub(in crate::relay) fn believe(&self, peer: IpAddr) -> bool {
        self.header.is_some() && self.trust(peer)
    }

    /// The client's address, as far as it is known (I1).
    pub(in crate::relay) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let name = self.header.as_deref().and_then(|name| HeaderName::try_from(name).ok());
        let Some(name) = name.filter(|_| self.trust(peer)) else { return peer };
        let lines = headers.get_all(name).into_iter().rev().map(HeaderValue::as_bytes);
        let mut client = peer;
        for item in lines.flat_map(|line| line.rsplit(|byte| *byte == b',')) {
            let Some(address) = parse(item) else { return client };
            client = address;
            if !self.trust(address) {
                return client;
            }
        }
        client
    }
}

/// An address, with or without a port: some proxies write one.
pub(super) fn parse(item: &[u8]) -> Option<IpAddr> {
    let item = std::str::from_utf8(item.trim_ascii()).ok()?;
    let bare = item.strip_prefix('[').and_then(|item| item.strip_suffix(']')).unwrap_or(item);
    let with_port = || item.parse().map(|address: SocketAddr| address.ip());
    bare.parse().or_else(|_| with_port()).ok().map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_counts_as_far_as_trusted_proxies_wrote_it() {
        let mut proxies = Proxies { header: Some("x-forwarded-for".into()), ..Proxies::default() };
        proxies.trusted.push("10.0.0.0/8".parse().unwrap());
        let client = |peer: &str, lines: &[&str]| {
            let line = |line: &&str| {
                (HeaderName::from_static("x-forwarded-for"), HeaderValue::from_str(line).unwrap())
            };
            let headers: HeaderMap = lines.iter().map(line).collect();
            proxies.client(peer.parse().unwrap(), &headers).to_string()
        };
        assert_eq!(client("127.0.0.1", &["192.0.2.1"]), "192.0.2.1");
        assert_eq!(client("127.0.0.1", &["1.1.1.1, 192.0.2.1 ,10.0.0.7"]), "192.0.2.1");
        assert_eq!(client("::1", &["1.1.1.1", "192.0.2.1", "10.0.0.7"]), "192.0.2.1");
        assert_eq!(client("127.0.0.1", &["10.0.0.9, 10.0.0.7"]), "10.0.0.9");
        assert_eq!(client("127.0.0.1", &["[2001:db8::1]:443"]), "2001:db8::1");
        assert_eq!(client("127.0.0.1", &["::ffff:192.0.2.1"]), "192.0.2.1");
        // What is no address ends the walk; what an untrusted peer says is nothing.
        assert_eq!(client("127.0.0.1", &["192.0.2.1, unknown"]), "127.0.0.1");
        assert_eq!(client("127.0.0.1", &["192.0.2.1, unknown, 10.0.0.7"]), "10.0.0.7");
        assert_eq!(client("127.0.0.1", &[]), "127.0.0.1");
        assert_eq!(client("198.51.100.1", &["192.0.2.1"]), "198.51.100.1");
        // Nor is a line passed over for what a client wrote in front of what its proxy added.
        assert_eq!(client("127.0.0.1", &["1.1.1.1, \u{e9}, 192.0.2.1"]), "192.0.2.1");
        assert_eq!(client("127.0.0.1", &["1.1.1.1", "\u{e9}", "10.0.0.7"]), "10.0.0.7");
    }
}
