//! The buckets of many addresses, in memory that does not grow.
//!
//! ```text
//!   hash of the network -> a set of eight places, behind a lock of its own
//!     its own place  |  else one whose buckets are full  |  else the one that is full the soonest
//! ```
//!
//! I1. A place whose buckets are full can be given away without a loss: a full bucket is as good as none.
//! I2. Who is pushed out by more addresses than there is room for gets full buckets: in a flood from very
//!     many addresses it is the rate in total that holds.

use super::bucket::Rate;
use super::network::Network;
use std::sync::{Mutex, PoisonError};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Buckets of one address: events, bytes, requests.
pub(super) const BUCKETS: usize = 3;

/// Places of one set.
const WAYS: usize = 8;

#[derive(Clone, Copy, Default)]
struct Place {
    /// 0 where nobody is: no client comes from the unspecified address.
    network: u128,
    full_at: [u64; BUCKETS],
}

impl Place {
    /// When all of its buckets are full.
    fn free_at(&self) -> u64 {
        self.full_at.into_iter().max().unwrap_or(0)
    }
}

/// The buckets of up to a number of addresses.
pub(super) struct Addresses {
    sets: Box<[Mutex<[Place; WAYS]>]>,
    /// Drawn for each run, so that nobody can choose addresses that share a set.
    seed: u64,
}

impl Addresses {
    /// Room for `count` addresses or a little more.
    pub(super) fn new(count: usize, seed: u64) -> Addresses {
        let sets = count.div_ceil(WAYS).max(1);
        Addresses { sets: (0..sets).map(|_| Mutex::default()).collect(), seed }
    }

    /// Takes `cost` from one bucket of a network; says whether there was as much.
    pub(super) fn take(
        &self,
        network: Network,
        bucket: usize,
        rate: &Rate,
        now: u64,
        cost: u64,
    ) -> bool {
        let hash = xxh3_64_with_seed(&network.bits().to_le_bytes(), self.seed);
        let set = &self.sets[(hash % self.sets.len() as u64) as usize];
        // Nothing is half done when a thread panics here.
        let mut set = set.lock().unwrap_or_else(PoisonError::into_inner);
        let own = set.iter().position(|place| place.network == network.bits());
        let at = own.unwrap_or_else(|| {
            let soonest = (0..WAYS).min_by_key(|&at| set[at].free_at()).unwrap_or(0);
            set[soonest] = Place { network: network.bits(), ..Place::default() };
            soonest
        });
        match rate.take(set[at].full_at[bucket], now, cost) {
            Some(after) => {
                set[at].full_at[bucket] = after;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::Rng;
    use std::collections::HashMap;
    use std::net::{IpAddr, Ipv4Addr};
    use std::time::Duration;

    fn network(n: u32) -> Network {
        IpAddr::V4(Ipv4Addr::from_bits(n)).into()
    }

    #[test]
    fn addresses_are_told_apart_and_so_are_their_buckets() {
        let addresses = Addresses::new(64, 7);
        let rate = Rate::new(1, Duration::from_secs(1), 2);
        let take = |n, bucket| addresses.take(network(n), bucket, &rate, 5, 1);
        assert_eq!([take(1, 0), take(1, 0), take(1, 0)], [true, true, false]);
        assert!(take(2, 0) && take(1, 1) && !take(1, 0));
    }

    #[test]
    fn with_room_for_all_it_is_a_map() {
        let mut rng = Rng::new(9);
        let addresses = Addresses::new(8 * 64, 1);
        let rate = Rate::new(10, Duration::from_secs(1), 5);
        let mut twin: HashMap<(u32, usize), u64> = HashMap::new();
        let mut now = 0;
        for _ in 0..20_000 {
            now += rng.below(20_000_000);
            let (n, bucket) = (1 + rng.below(40) as u32, rng.below(BUCKETS as u64) as usize);
            let full_at = twin.entry((n, bucket)).or_default();
            let taken = rate.take(*full_at, now, 1);
            *full_at = taken.unwrap_or(*full_at);
            assert_eq!(addresses.take(network(n), bucket, &rate, now, 1), taken.is_some());
        }
    }

    #[test]
    fn a_flood_of_addresses_takes_no_more_room_and_pushes_out_the_fullest() {
        let addresses = Addresses::new(WAYS, 3);
        let rate = Rate::new(1, Duration::from_secs(1), 100);
        let take = |n, cost| addresses.take(network(n), 0, &rate, 5, cost);
        assert!(take(1, 100) && !take(1, 1));
        (2..1_000).for_each(|n| assert!(take(n, 1)));
        assert_eq!(addresses.sets.len(), 1);
        assert!(!take(1, 1), "who owes the most is remembered the longest");
    }
}
