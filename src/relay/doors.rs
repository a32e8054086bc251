//! How many clients are in, and from where.
//!
//! I1. Who was let in counts until its [`Entry`] is dropped, also if its task panics.

use super::limits::Limits;
use super::policy::Network;
use dashmap::DashMap;
use rustix::process::{Resource, getrlimit};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The count of a relay's connections, shared by its threads.
pub(super) struct Doors {
    total: AtomicUsize,
    total_max: AtomicUsize,
    by_address: DashMap<Network, usize>,
    by_address_max: AtomicUsize,
}

/// One connection that is in.
pub(super) struct Entry {
    doors: Arc<Doors>,
    from: IpAddr,
    address: Option<Network>,
}

impl Doors {
    pub(super) fn new(limits: &Limits) -> Arc<Doors> {
        Arc::new(Doors {
            total: AtomicUsize::new(0),
            total_max: AtomicUsize::new(room(limits)),
            by_address: DashMap::new(),
            by_address_max: AtomicUsize::new(limits.connections_per_address),
        })
    }

    /// Other limits from now on. Who is in stays in.
    pub(super) fn change(&self, limits: &Limits) {
        self.total_max.store(room(limits), Relaxed);
        self.by_address_max.store(limits.connections_per_address, Relaxed);
    }

    /// Lets a connection in, if there is room for it.
    pub(super) fn enter(self: &Arc<Doors>, from: IpAddr) -> Option<Entry> {
        if self.total.fetch_add(1, Relaxed) >= self.total_max.load(Relaxed) {
            self.total.fetch_sub(1, Relaxed);
            return None;
        }
        // From here on the entry gives back what it took.
        let mut entry = Entry { doors: self.clone(), from, address: None };
        entry.count_as(from).then_some(entry)
    }

    /// Connections that may be in.
    pub(super) fn most(&self) -> usize {
        self.total_max.load(Relaxed)
    }

    /// Connections that are in.
    pub(super) fn count(&self) -> usize {
        self.total.load(Relaxed)
    }
}

impl Entry {
    /// Where the connection comes from, as far as it is known.
    pub(super) fn from(&self) -> IpAddr {
        self.from
    }

    /// Counts the connection among those from there instead, if there is room: its proxy says so.
    pub(super) fn move_to(&mut self, from: IpAddr) -> bool {
        if from == self.from {
            return true;
        }
        self.forget_address();
        self.from = from;
        self.count_as(from)
    }

    fn count_as(&mut self, from: IpAddr) -> bool {
        let Some(address) = counted_as(from) else { return true };
        let mut count = self.doors.by_address.entry(address).or_insert(0);
        if *count >= self.doors.by_address_max.load(Relaxed) {
            return false;
        }
        *count += 1;
        self.address = Some(address);
        true
    }

    fn forget_address(&mut self) {
        if let Some(address) = self.address.take() {
            self.doors.by_address.remove_if_mut(&address, |_, count| {
                *count -= 1;
                *count == 0
            });
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.doors.total.fetch_sub(1, Relaxed);
        self.forget_address();
    }
}

/// How many there may be: as many as the limit says, if that leaves a quarter of the process's descriptors. A store that
/// cannot open its next file takes no more writes, and that must not be a stranger's to bring about.
fn room(limits: &Limits) -> usize {
    let descriptors = getrlimit(Resource::Nofile).current;
    let descriptors =
        descriptors.map_or(usize::MAX, |most| usize::try_from(most).unwrap_or(usize::MAX));
    limits.connections.min(descriptors - descriptors / 4)
}

/// What connections of an address are counted under; `None` if they are not.
fn counted_as(from: IpAddr) -> Option<Network> {
    (!from.to_canonical().is_loopback()).then(|| Network::of_client(from))
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
        assert!(doors.by_address.get(&"192.0.2.1".parse().unwrap()).is_none());
        let _again = enter("::1").unwrap();
        assert_eq!(doors.count(), 4);
    }

    #[test]
    fn what_a_proxy_brings_is_counted_where_it_comes_from() {
        let limits = Limits { connections_per_address: 1, ..Limits::default() };
        let doors = Doors::new(&limits);
        let enter = || doors.enter("127.0.0.1".parse().unwrap()).unwrap();
        let (mut a, mut b, client) = (enter(), enter(), "192.0.2.1".parse().unwrap());
        assert!(a.move_to(client) && a.move_to(client) && !b.move_to(client));
        assert_eq!((a.from(), doors.count()), (client, 2));
        drop((a, b));
        assert!(doors.by_address.is_empty() && enter().move_to(client));
    }
}
