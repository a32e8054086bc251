//! Networks of addresses: one address, or all that begin with the same bits.
//!
//! ```text
//!   192.0.2.0/24   -> ::ffff:192.0.2.0/120      IPv4 is the part of IPv6 that maps it
//!   2001:db8::/32  ->                  /32
//! ```
//!
//! I1. The bits behind the prefix are zero, so that equal networks are equal values.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// Bits in front of an IPv4 address that is mapped into IPv6.
const MAPPED_PREFIX: u8 = 96;

/// An address or a network of them, IPv4 or IPv6.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Network {
    bits: u128,
    prefix: u8,
}

impl Network {
    /// The network of the addresses that share the first `prefix` bits of `bits`.
    fn of(bits: u128, prefix: u8) -> Network {
        Network { bits: bits & mask(prefix), prefix }
    }

    /// What clients of an address are counted under: an IPv4 address, or an IPv6 /64, since a
    /// subscriber is given a /64 at least and can use every address in it.
    pub(in crate::relay) fn of_client(address: IpAddr) -> Network {
        match address.to_canonical() {
            IpAddr::V4(_) => address.into(),
            IpAddr::V6(_) => Network::of(bits(address), 64),
        }
    }

    /// Whether `address` lies in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        bits(address) & mask(self.prefix) == self.bits
    }

    /// Its first address as a number, IPv4 mapped into IPv6.
    pub(in crate::relay) fn bits(&self) -> u128 {
        self.bits
    }
}

impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Network {
        Network::of(bits(address), 128)
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Network, String> {
        let (address, prefix) = text.split_once('/').map_or((text, None), |(a, p)| (a, Some(p)));
        let address: IpAddr =
            address.parse().map_err(|_| format!("{text:?} is neither an address nor a network"))?;
        let (before, most) = if address.is_ipv4() { (MAPPED_PREFIX, 32) } else { (0, 128) };
        let prefix = match prefix {
            None => most,
            Some(digits) => {
                let number = digits.bytes().all(|b| b.is_ascii_digit()).then_some(digits);
                let number = number.and_then(|digits| digits.parse().ok());
                number
                    .filter(|&bits: &u8| bits <= most)
                    .ok_or_else(|| format!("the prefix of {text:?} is not 0 to {most}"))?
            }
        };
        Ok(Network::of(bits(address), before + prefix))
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = IpAddr::V6(Ipv6Addr::from_bits(self.bits)).to_canonical();
        let (prefix, whole) = match address {
            IpAddr::V4(_) if self.prefix >= MAPPED_PREFIX => (self.prefix - MAPPED_PREFIX, 32),
            _ => (self.prefix, 128),
        };
        match (address, self.prefix >= MAPPED_PREFIX) {
            // A network around all mapped addresses is one of IPv6.
            (IpAddr::V4(_), false) => write!(f, "{}", Ipv6Addr::from_bits(self.bits))?,
            (address, _) => write!(f, "{address}")?,
        }
        if prefix < whole { write!(f, "/{prefix}") } else { Ok(()) }
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

fn mask(prefix: u8) -> u128 {
    u128::MAX.checked_shl(u32::from(128 - prefix)).unwrap_or(0)
}

/// Many networks. A look-up costs a hash for each length of prefix among them.
#[derive(Default)]
pub(in crate::relay) struct Networks(BTreeMap<u8, HashSet<u128>>);

impl Networks {
    pub(in crate::relay) fn insert(&mut self, network: Network) {
        self.0.entry(network.prefix).or_default().insert(network.bits);
    }

    pub(in crate::relay) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one of them contains `address`.
    pub(in crate::relay) fn contain(&self, address: IpAddr) -> bool {
        let bits = bits(address);
        self.0.iter().any(|(&prefix, networks)| networks.contains(&(bits & mask(prefix))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::Rng;

    fn network(text: &str) -> Network {
        text.parse().unwrap()
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn networks_are_read_and_printed_in_one_spelling() {
        for (text, printed) in [
            ("192.0.2.7", "192.0.2.7"),
            ("192.0.2.7/32", "192.0.2.7"),
            ("192.0.2.7/24", "192.0.2.0/24"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("::/0", "::/0"),
            ("2001:DB8::1/32", "2001:db8::/32"),
            ("2001:db8::1", "2001:db8::1"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
        ] {
            assert_eq!(network(text).to_string(), printed);
            assert_eq!(network(printed), network(text), "{text}");
        }
        for bad in
            ["", "1.2.3", "1.2.3.4/33", "1.2.3.4/", "1.2.3.4/+8", "::/129", "a/8", "1.2.3.4/8/9"]
        {
            bad.parse::<Network>().unwrap_err();
        }
    }

    #[test]
    fn mapped_addresses_are_the_ipv4_that_they_map() {
        let v4 = network("192.0.2.0/24");
        assert!(v4.contains(address("192.0.2.255")) && v4.contains(address("::ffff:192.0.2.1")));
        assert!(!v4.contains(address("192.0.3.0")) && !v4.contains(address("::192.0.2.1")));
        assert!(network("::/0").contains(address("10.0.0.1")));
        assert!(!network("0.0.0.0/0").contains(address("2001:db8::1")));
        let of = |text| Network::of_client(address(text));
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:2"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
        assert_eq!(of("192.0.2.1"), of("::ffff:192.0.2.1"));
    }

    #[test]
    fn many_networks_contain_what_one_of_them_contains() {
        let mut rng = Rng::new(86);
        for _ in 0..200 {
            let mut draw = || (rng.below(8) as u128) << 125 | rng.below(8) as u128;
            let all: Vec<Network> =
                (0..4).map(|_| Network::of(draw(), draw() as u8 % 129)).collect();
            let mut set = Networks::default();
            all.iter().for_each(|network| set.insert(*network));
            for _ in 0..20 {
                let some = IpAddr::V6(Ipv6Addr::from_bits(draw()));
                let twin = all.iter().any(|network| network.contains(some));
                assert_eq!(set.contain(some), twin, "{all:?} {some}");
            }
        }
    }
}
