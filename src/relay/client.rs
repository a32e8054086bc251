//! Who a connection belongs to, and what it may still send.

use super::front::Front;
use super::policy::{Meter, Policy, Refusal, Spent};
use std::net::IpAddr;

/// What a message is answered that comes too fast.
const TOO_FAST: Refusal = Refusal("rate-limited: slow down, and try again later");

/// The client of one connection.
pub(super) struct Client {
    pub(super) address: IpAddr,
    meter: Meter,
}

impl Client {
    pub(super) fn new(policy: &Policy, address: IpAddr) -> Client {
        Client { address, meter: policy.meter(address) }
    }

    /// Whether the client may have a message of so many bytes looked at, by its address and by its rates.
    pub(super) fn may(&self, front: &Front, spent: Spent, bytes: usize) -> Result<(), Refusal> {
        // An address may be blocked while its clients are connected.
        front.policy.admit_address(self.address)?;
        let now = front.store.engine().env().clock.monotonic_nanos();
        let take = |spent| front.policy.take(&self.meter, spent, now);
        match take(Spent::Bytes(bytes)) && take(spent) {
            true => Ok(()),
            false => {
                front.counters.rate_limited.add();
                Err(TOO_FAST)
            }
        }
    }
}
