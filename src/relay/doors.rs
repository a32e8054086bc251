//! How many clients are in, and from where.
//!
//! I1. Who was let in counts until its [`Entry`] is dropped, also if its task panics.

use super::limits::Limits;
use dashmap::DashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The count of a relay's connections, shared by its threads.
pub(super) struct Doors {
    total: AtomicUsize,
    total_max: AtomicUsize,
    by_address: DashMap<IpAddr, usize>,
    by_address_max: AtomicUsize,
}

/// One connection that is in.
pub(super) struct Entry {
    doors: Arc<Doors>,
    address: Option<IpAddr>,
}

impl Doors {
    pub(super) fn new(limits: &Limits) -> Arc<Doors> {
        Arc::new(Doors {
            total: AtomicUsize::new(0),
            total_max: AtomicUsize::new(limits.connections),
            by_address: DashMap::new(),
            by_address_max: AtomicUsize::new(limits.connections_per_address),
        })
    }

    /// Other limits from now on. Who is in stays in.
    pub(super) fn change(&self, limits: &Limits) {
        self.total_max.store(limits.connections, Relaxed);
        self.by_address_max.store(limits.connections_per_address, Relaxed);
    }

    /// Lets a connection in, if there is room for it.
    pub(super) fn enter(self: &Arc<Doors>, from: IpAddr) -> Option<Entry> {
        if self.total.fetch_add(1, Relaxed) >= self.total_max.load(Relaxed) {
            self.total.fetch_sub(1, Relaxed);
            return None;
        }
        // From here on the entry gives back what it took.
        let mut entry = Entry { doors: self.clone(), address: None };
        if let Some(address) = counted_as(from) {
            let mut count = self.by_address.entry(address).or_insert(0);
            if *count >= self.by_address_max.load(Relaxed) {
                return None;
            }
            *count += 1;
            entry.address = Some(address);
        }
        Some(entry)
    }

    /// Connections that are in.
    pub(super) fn count(&self) -> usize {
        self.total.load(Relaxed)
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.doors.total.fetch_sub(1, Relaxed);
        if let Some(address) = self.address {
            self.doors.by_address.remove_if_mut(&address, |_, count| {
                *count -= 1;
                *count == 0
            });
        }
    }
}

/// What connections of an address are counted under; `None` if they are not.
fn counted_as(from: IpAddr) -> Option<IpAddr> {
    let from = from.to_canonical();
    if from.is_loopback() {
        return None;
    }
    Some(match from {
        IpAddr::V4(_) => from,
        // A subscriber is given a /64 at least, and can use every address in it.
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_counted_in_total_and_by_network() {
        let mut limits = Limits::default();
        (limits.connections, limits.connections_per_address) = (4, 2);
        let doors = Doors::new(&limits);
        let enter = |address: &str| doors.enter(address.parse().unwrap());
        let first = enter("2001:db8::1").unwrap();
        let _second = enter("2001:db8::ffff:2").unwrap();
        assert!(enter("2001:db8::3").is_none(), "the same /64");
        assert_eq!(doors.count(), 2);
        let mapped = enter("::ffff:192.0.2.1").unwrap();
        assert_eq!(mapped.address, Some("192.0.2.1".parse().unwrap()));
        drop(first);
        let _third = enter("2001:db8::3").unwrap();
        let _local = enter("127.0.0.1").unwrap();
        assert!(enter("127.0.0.1").is_none() && enter("192.0.2.2").is_none(), "4 in total");
        drop(mapped);
        assert!(doors.by_address.get(&"192.0.2.1".parse::<IpAddr>().unwrap()).is_none());
        let _again = enter("::1").unwrap();
        assert_eq!(doors.count(), 4);
    }
}
