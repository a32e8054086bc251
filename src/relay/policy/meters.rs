//! Rate limits: of a connection, of an address, of all clients together.
//!
//! ```text
//!   message -> bytes:    connection, address, total
//!   EVENT   -> events:   connection, address, total
//!   REQ ... -> requests: connection, address, total
//! ```
//!
//! I1. Only what all three let through is taken from the connection's bucket. What the total refuses may
//!     have been taken from the address's.

use super::addresses::{Addresses, BUCKETS};
use super::bucket::Rate;
use super::network::Network;
use std::cell::Cell;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The limits on rates; `Default` has none. `None` is no limit.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Rates {
    /// Of one connection.
    pub connection: Speeds,
    /// Of all connections of one IPv4 address or IPv6 /64 network.
    pub address: Speeds,
    /// Of all clients together.
    pub total: Speeds,
    /// Addresses whose rates are remembered. Default 65,536, in 4 MiB: more than are active at once on a
    /// large relay; beyond, who has been quiet longest is forgotten.
    pub addresses: usize,
    /// Whether clients from this machine are limited as well. Default: no, since a proxy on this machine
    /// brings everyone.
    pub loopback: bool,
}

impl Default for Rates {
    fn default() -> Rates {
        let none = Speeds::default();
        Rates { connection: none, address: none, total: none, addresses: 65_536, loopback: false }
    }
}

/// What is limited, of whomever.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Speeds {
    /// EVENT messages.
    pub events: Option<Rate>,
    /// Bytes of messages.
    pub bytes: Option<Rate>,
    /// REQ, COUNT and what else makes the relay search.
    pub requests: Option<Rate>,
}

/// What is taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::relay) enum Spent {
    Event,
    Bytes(usize),
    Request,
}

impl Spent {
    fn bucket(self) -> usize {
        match self {
            Spent::Event => 0,
            Spent::Bytes(_) => 1,
            Spent::Request => 2,
        }
    }

    fn cost(self) -> u64 {
        match self {
            Spent::Bytes(bytes) => bytes as u64,
            Spent::Event | Spent::Request => 1,
        }
    }
}

impl Speeds {
    fn of(&self, spent: Spent) -> Option<&Rate> {
        match spent {
            Spent::Event => self.events.as_ref(),
            Spent::Bytes(_) => self.bytes.as_ref(),
            Spent::Request => self.requests.as_ref(),
        }
    }

    fn is_limited(&self) -> bool {
        self.events.is_some() || self.bytes.is_some() || self.requests.is_some()
    }
}

/// The buckets of one connection, and whose it is.
pub(in crate::relay) struct Meter {
    network: Network,
    is_exempt: bool,
    full_at: Cell<[u64; BUCKETS]>,
}

/// The buckets that connections share.
pub(super) struct Meters {
    rates: Rates,
    addresses: Option<Addresses>,
    total: [AtomicU64; BUCKETS],
}

impl Meters {
    pub(super) fn new(rates: &Rates, seed: u64) -> Meters {
        let addresses = rates.address.is_limited().then(|| Addresses::new(rates.addresses, seed));
        Meters { rates: rates.clone(), addresses, total: Default::default() }
    }

    /// The meter of a new connection.
    pub(super) fn meter(&self, from: IpAddr) -> Meter {
        let rates = [&self.rates.connection, &self.rates.address, &self.rates.total];
        let is_local = from.to_canonical().is_loopback() && !self.rates.loopback;
        Meter {
            network: Network::of_client(from),
            is_exempt: is_local || !rates.into_iter().any(Speeds::is_limited),
            full_at: Cell::default(),
        }
    }

    /// Whether a connection may; takes it from every bucket if so (I1).
    pub(super) fn take(&self, meter: &Meter, spent: Spent, now: u64) -> bool {
        if meter.is_exempt {
            return true;
        }
        let (bucket, cost) = (spent.bucket(), spent.cost());
        let mut own = meter.full_at.get();
        if let Some(rate) = self.rates.connection.of(spent) {
            let Some(after) = rate.take(own[bucket], now, cost) else { return false };
            own[bucket] = after;
        }
        if let (Some(rate), Some(addresses)) = (self.rates.address.of(spent), &self.addresses)
            && !addresses.take(meter.network, bucket, rate, now, cost)
        {
            return false;
        }
        if let Some(rate) = self.rates.total.of(spent) {
            let take = |full_at| rate.take(full_at, now, cost);
            if self.total[bucket].fetch_update(Relaxed, Relaxed, take).is_err() {
                return false;
            }
        }
        meter.full_at.set(own);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn rate(count: u64, burst: u64) -> Option<Rate> {
        Some(Rate::new(count, Duration::from_secs(1), burst))
    }

    fn meter(meters: &Meters, from: &str) -> Meter {
        meters.meter(from.parse().unwrap())
    }

    #[test]
    fn each_limit_holds_for_whom_it_is() {
        let mut rates = Rates::default();
        rates.connection.events = rate(1, 2);
        rates.address.events = rate(1, 3);
        rates.total.events = rate(1, 5);
        let meters = Meters::new(&rates, 1);
        let take = |meter: &Meter| meters.take(meter, Spent::Event, 1_000);
        let (a, b) = (meter(&meters, "2001:db8::1"), meter(&meters, "2001:db8::2"));
        assert_eq!([take(&a), take(&a), take(&a)], [true, true, false], "the connection");
        assert_eq!([take(&b), take(&b)], [true, false], "the /64");
        let c = meter(&meters, "192.0.2.1");
        let d = meter(&meters, "192.0.2.2");
        assert_eq!([take(&c), take(&c), take(&d)], [true, true, false], "the total");
        // What the total refused is not the connection's loss.
        assert_eq!(d.full_at.get(), [0; BUCKETS]);
        assert!(meters.take(&a, Spent::Request, 1_000) && meters.take(&a, Spent::Bytes(9), 1_000));
    }

    #[test]
    fn this_machine_is_exempt_unless_told_otherwise() {
        let mut rates = Rates::default();
        rates.connection.bytes = rate(1, 10);
        let meters = Meters::new(&rates, 1);
        let local = meter(&meters, "::ffff:127.0.0.1");
        assert!((0..9).all(|_| meters.take(&local, Spent::Bytes(10), 0)));
        rates.loopback = true;
        let meters = Meters::new(&rates, 1);
        let local = meter(&meters, "127.0.0.1");
        assert!(
            meters.take(&local, Spent::Bytes(10), 0) && !meters.take(&local, Spent::Bytes(1), 0)
        );
    }
}
