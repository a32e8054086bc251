//! Every limit of the relay: what a client may send, ask for and leave unread, and for how long.
//!
//! Most are published in the `limitation` of NIP-11. The durations are deadlines on sockets; they
//! run on the runtime's timers, since nothing that is stored depends on them.

use super::policy::Rates;
use crate::base::{Error, Result};
use crate::nostr::JsonLimits;
use crate::nostr::negentropy::FRAME_BYTES_MIN;
use std::time::Duration;

/// Characters of a subscription id, at most; at least one. NIP-01 says so, and it is no setting.
pub const SUBID_CHARS_MAX: usize = 64;

/// Keys that one connection may authenticate, at most. Each is a term more in the selections of its
/// requests; a client for a family or a bot with several accounts has a handful.
pub const AUTH_KEYS_MAX: usize = 16;
/// Bytes of the events of one thread's clients that may wait for the store: some hundred of the largest. Beyond, only
/// those are read who have none there.
pub(super) const EVENT_BYTES_MAX: usize = 32 << 20;

/// Bytes of messages that one thread's clients have sent half. Beyond, who has sent more than a few is sent away: a
/// message of each of ten thousand would be a GiB, and those who never end it are not told from those who will.
pub(super) const INCOMING_BYTES_MAX: usize = 64 << 20;

/// A few: most messages are smaller.
pub(super) const INCOMING_BYTES_FEW: usize = 8 << 10;

/// What a filter counts for beside its values.
pub(super) const FILTER_VALUES: usize = 8;

/// Bytes, in halves, of what is around a negentropy message: verb and subscription id.
const NEGENTROPY_ENVELOPE_BYTES: usize = 512;

/// What hyper asks for at least.
const HEAD_BYTES_MIN: usize = 8 * 1024;

/// The limits of a relay. `Default` is for a public one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of one websocket message, and of one frame. Default 131,072: twice an event, so that
    /// a large filter fits; what clients expect of a relay since strfry.
    pub message_bytes: usize,
    /// What the JSON of an event may be. Default 64 KiB with 2,000 tags: follow lists fit.
    pub event: JsonLimits,
    /// Seconds that `created_at` may lie ahead of this machine's clock. Default 900: clocks are
    /// wrong, but an event from next year would stand on top of every feed until then.
    pub future_seconds: u64,
    /// Seconds that `created_at` may lie behind, if that is limited. Default `None`: old events are
    /// republished all the time.
    pub past_seconds: Option<u64>,
    /// Subscriptions of one connection. Default 200, more than any client was seen to hold.
    pub subscriptions: usize,
    /// Filters of one REQ or COUNT. Default 20; each is a walk through the store of its own.
    pub filters: usize,
    /// Values of one filter, all its lists together. Default 2,000: what fits a message.
    pub filter_values: usize,
    /// Values of all filters of one connection's subscriptions. Default 50,000: each value is filed
    /// under a term in the live index, in some 150 bytes.
    pub connection_values: usize,
    /// Values of all filters of the relay, those of requests that wait included. Default 10,000,000: 2 GB, if it comes
    /// to that. Beyond it each connection has a 16th of `connection_values`.
    pub total_values: usize,
    /// Stored events for a filter that has no `limit`. Default 500.
    pub limit_default: u64,
    /// Stored events for any filter. A larger `limit` is lowered to it. Default 1,000.
    pub limit_max: u64,
    /// Events of one connection that may wait for the store. Default 256: enough to fill group
    /// commits from one importing client; beyond, the connection is not read.
    pub writes: usize,
    /// Events of a COUNT whose authors are counted by HyperLogLog too (NIP-45). Default 10,000: they are read for it,
    /// in some 50 ms. Answers about more have no `hll`.
    pub hll_events: usize,
    /// Negentropy sessions of one connection (NIP-77). Default 8; clients have one at a time.
    pub negentropy_sessions: usize,
    /// Events of one negentropy session; filters that match more are refused. Default 1,000,000, as strfry has it.
    pub negentropy_items: usize,
    /// Events of all negentropy sessions of the relay. Default 4,000,000: each takes 42 bytes.
    pub negentropy_items_total: usize,
    /// Silence after which a negentropy session ends. Default 5 min: in between, a client brings what it found.
    pub negentropy_idle: Duration,
    /// Bytes queued for one client, at most. Default 4 MiB. A client whose queue live events would
    /// overflow is dropped; answers to its own requests wait for room at a quarter of it.
    pub outbound_bytes: usize,
    /// Bytes queued for all clients together, more or less. Default 256 MiB. Beyond it each client has a 16th of
    /// its own: who reads is not touched, and those who do not are dropped that much sooner.
    pub outbound_total_bytes: usize,
    /// Connections in total. Default 10,000: an idle one takes some 30 KiB and one descriptor. Never more than three
    /// quarters of the descriptors that the process may have: the others are the store's.
    pub connections: usize,
    /// Connections from one IPv4 address or IPv6 /64 network. Default 256: many people share an
    /// address. Loopback is exempt: a proxy on this machine brings everyone.
    pub connections_per_address: usize,
    /// How fast clients may send and ask. Default: as they like.
    pub rates: Rates,
    /// Silence after which a client is pinged. Default 55 s: proxies cut what is silent for 60 s.
    pub ping: Duration,
    /// Silence after a ping at which the connection is given up. Default 60 s.
    pub pong: Duration,
    /// Bytes of the head of an HTTP request. Default 8 KiB, which is also the least.
    pub head_bytes: usize,
    /// Time in which the head must have come. Default 5 s.
    pub head: Duration,
    /// Time for everything before the websocket, answers of plain HTTP included. Default 10 s.
    pub http: Duration,
    /// Time for a connection that is being closed: its last answers, its close frame, and the
    /// client's. Default 5 s; [`Relay::stop`](super::Relay::stop) takes little longer.
    pub closing: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            message_bytes: 131_072,
            event: JsonLimits::default(),
            future_seconds: 900,
            past_seconds: None,
            subscriptions: 200,
            filters: 20,
            filter_values: 2_000,
            connection_values: 50_000,
            total_values: 10_000_000,
            limit_default: 500,
            limit_max: 1_000,
            writes: 256,
            hll_events: 10_000,
            negentropy_sessions: 8,
            negentropy_items: 1_000_000,
            negentropy_items_total: 4_000_000,
            negentropy_idle: Duration::from_secs(300),
            outbound_bytes: 4 * 1024 * 1024,
            outbound_total_bytes: 256 * 1024 * 1024,
            connections: 10_000,
            connections_per_address: 256,
            rates: Rates::default(),
            ping: Duration::from_secs(55),
            pong: Duration::from_secs(60),
            head_bytes: HEAD_BYTES_MIN,
            head: Duration::from_secs(5),
            http: Duration::from_secs(10),
            closing: Duration::from_secs(5),
        }
    }
}

impl Limits {
    /// Checks that the limits make sense together.
    ///
    /// # Errors
    /// `Invalid`, naming the limit.
    pub fn check(&self) -> Result<()> {
        let refuse = |holds: bool, what: &'static str, why: &str| {
            if holds { Ok(()) } else { Err(Error::invalid(what, why)) }
        };
        let counts = [
            (self.subscriptions, "subscriptions"),
            (self.filters, "filters"),
            (self.filter_values, "filter_values"),
            (self.connection_values, "connection_values"),
            (self.total_values, "total_values"),
            (self.writes, "writes"),
            (self.negentropy_sessions, "negentropy_sessions"),
            (self.negentropy_items, "negentropy_items"),
            (self.connections, "connections"),
            (self.connections_per_address, "connections_per_address"),
        ];
        counts.into_iter().try_for_each(|(count, what)| refuse(count > 0, what, "it is 0"))?;
        let event = self.event.json_bytes;
        refuse(event <= self.message_bytes, "message_bytes", "an event would not fit a message")?;
        refuse(self.limit_max > 0, "limit_max", "it is 0")?;
        let default_fits = self.limit_default <= self.limit_max;
        refuse(default_fits, "limit_default", "it is over limit_max")?;
        let session_fits = self.negentropy_items <= self.negentropy_items_total;
        refuse(session_fits, "negentropy_items", "it is over negentropy_items_total")?;
        let queue_fits = self.outbound_bytes >= self.message_bytes;
        refuse(queue_fits, "outbound_bytes", "it is less than message_bytes")?;
        let total_fits = self.outbound_total_bytes >= self.outbound_bytes;
        refuse(total_fits, "outbound_total_bytes", "it is less than outbound_bytes")?;
        refuse(self.head_bytes >= HEAD_BYTES_MIN, "head_bytes", "it is under 8,192")
    }

    /// Bytes of a negentropy message, which is sent in hex: one fits a message of `message_bytes`, so that who takes
    /// such messages from clients can be a client too.
    pub(super) fn negentropy_frame_bytes(&self) -> usize {
        (self.message_bytes / 2).saturating_sub(NEGENTROPY_ENVELOPE_BYTES).max(FRAME_BYTES_MIN)
    }

    /// Bytes queued for a client from which on its own requests wait.
    pub(super) fn outbound_full_bytes(&self) -> usize {
        self.outbound_bytes / 4
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_make_sense_and_nonsense_is_named() {
        Limits::default().check().unwrap();
        let refused = |change: fn(&mut Limits)| {
            let mut limits = Limits::default();
            change(&mut limits);
            limits.check().unwrap_err().to_string()
        };
        assert!(refused(|l| l.subscriptions = 0).contains("subscriptions"));
        assert!(refused(|l| l.event.json_bytes = 1 << 20).contains("message_bytes"));
        assert!(refused(|l| l.limit_default = 2_000).contains("limit_default"));
        assert!(refused(|l| l.outbound_bytes = 1).contains("outbound_bytes"));
        assert!(refused(|l| l.outbound_total_bytes = 1).contains("outbound_total_bytes"));
        assert!(refused(|l| l.negentropy_items_total = 9).contains("negentropy_items"));
        assert!(refused(|l| l.head_bytes = 100).contains("head_bytes"));
    }
}
