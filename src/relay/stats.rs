//! What the relay counts. Each front-end thread has its own counters, so that counting never makes
//! two cores fight over a cache line; reading adds them up.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// One counter of one thread.
#[derive(Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    /// Counts one and says whether it is the 1st, 2nd, 4th, 8th ...: how often a fault that a
    /// client can provoke is logged.
    pub(super) fn add_and_tell(&self) -> bool {
        (self.0.fetch_add(1, Relaxed) + 1).is_power_of_two()
    }

    fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// The counters of one thread.
        #[derive(Default)]
        pub(super) struct Counters {
            $(pub(super) $name: Counter,)*
        }

        /// What a relay has done since its start.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct RelayStats {
            /// Connections open now.
            pub connections: u64,
            $($(#[$doc])* pub $name: u64,)*
        }

        impl RelayStats {
            /// The sum over the threads' counters.
            pub(super) fn sum<'a>(
                connections: usize,
                threads: impl Iterator<Item = &'a Counters>,
            ) -> RelayStats {
                let mut sum = RelayStats { connections: connections as u64, ..Default::default() };
                for counters in threads {
                    $(sum.$name += counters.$name.get();)*
                }
                sum
            }

            /// Every counter with its name, in the order of the fields.
            pub fn figures(&self) -> Vec<(&'static str, u64)> {
                vec![("connections", self.connections), $((stringify!($name), self.$name)),*]
            }
        }
    };
}

counters! {
    /// Connections that were accepted.
    connections_accepted,
    /// Connections that were turned away, by the limits on connections.
    connections_refused,
    /// Times that accepting a connection failed.
    accept_errors,
    /// Answers over plain HTTP.
    http_answers,
    /// Websockets that were opened.
    websockets,
    /// EVENT messages.
    messages_event,
    /// REQ messages.
    messages_req,
    /// COUNT messages.
    messages_count,
    /// CLOSE messages.
    messages_close,
    /// AUTH messages.
    messages_auth,
    /// NEG-OPEN, NEG-MSG and NEG-CLOSE messages.
    messages_negentropy,
    /// Messages that are none of these.
    messages_invalid,
    /// Events stored, replacing ones included.
    events_stored,
    /// Events that were there already.
    events_duplicate,
    /// Events of which a newer version is there.
    events_older,
    /// Events refused: their author or recipient asked for their deletion, or to vanish.
    events_deleted,
    /// Events refused: they had expired.
    events_expired,
    /// Requests refused that ask for the deletion of events of others.
    events_invalid_deletes,
    /// Ephemeral events that were delivered.
    events_ephemeral,
    /// Ephemeral events that some thread's feed had no room for.
    events_ephemeral_dropped,
    /// Events refused: not an event, or over a limit.
    events_malformed,
    /// Events refused: created too far in the future or the past.
    events_untimely,
    /// Events refused: the id is not their hash.
    events_bad_id,
    /// Events refused: the signature is not the author's.
    events_bad_signature,
    /// Events that the store failed to take.
    events_failed,
    /// Events refused: their author has not authenticated, as the relay or the event demands.
    events_unauthenticated,
    /// AUTH messages that proved a key.
    auths_accepted,
    /// AUTH messages refused.
    auths_refused,
    /// REQ and COUNT messages refused.
    requests_refused,
    /// Negentropy sessions refused or ended with NEG-ERR.
    negentropy_refused,
    /// REQ, COUNT and negentropy messages that the store failed to answer.
    requests_failed,
    /// Events sent before `EOSE`.
    sent_stored,
    /// Events sent or held for sending after it.
    sent_live,
    /// Clients dropped because they did not read.
    slow_clients,
    /// Clients dropped because they did not answer a ping.
    silent_clients,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_summed_over_threads() {
        let (a, b) = (Counters::default(), Counters::default());
        assert_eq!([1, 2, 3, 4].map(|_| a.sent_live.add_and_tell()), [true, true, false, true]);
        b.sent_live.add();
        let sum = RelayStats::sum(7, [&a, &b].into_iter());
        assert_eq!((sum.connections, sum.sent_live, sum.sent_stored), (7, 5, 0));
        assert!(sum.figures().contains(&("sent_live", 5)));
    }
}
