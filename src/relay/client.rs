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
        self.spend(front, &[Spent::Bytes(bytes), spent])
    }

    /// As [`Client::may`], of a message that belongs to a request which was counted.
    pub(super) fn may_send(&self, front: &Front, bytes: usize) -> Result<(), Refusal> {
        self.spend(front, &[Spent::Bytes(bytes)])
    }

    fn spend(&self, front: &Front, spent: &[Spent]) -> Result<(), Refusal> {
        // An address may be blocked while its clients are connected.
        front.policy.admit_address(self.address)?;
        let now = front.store.engine().env().clock.monotonic_nanos();
        match spent.iter().all(|spent| front.policy.take(&self.meter, *spent, now)) {
            true => Ok(()),
            false => {
                front.send_away(&front.counters.rate_limited, self.address, TOO_FAST.0);
                Err(TOO_FAST)
            }
        }
    }
}
