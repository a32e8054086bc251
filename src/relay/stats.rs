//! What the relay counts. Each front-end thread has its own counters, so that counting never makes
//! two cores fight over a cache line; reading adds them up.

use super::metrics::Histogram;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// One counter of one thread.
#[derive(Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    pub(super) fn add_many(&self, count: usize) {
        self.0.fetch_add(count as u64, Relaxed);
    }

    /// Counts one and says whether it is the 1st, 2nd, 4th, 8th ...: how often a fault that a
    /// client can provoke is logged.
    pub(super) fn add_and_tell(&self) -> bool {
        (self.0.fetch_add(1, Relaxed) + 1).is_power_of_two()
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

macro_rules! counters {
    ($($(#[doc = $doc:literal])+ $name:ident,)*) => {
        /// The counters of one thread.
        #[derive(Default)]
        pub(super) struct Counters {
            $(pub(super) $name: Counter,)*
            pub(super) latencies: Latencies,
        }

        /// What a relay has done since its start.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct RelayStats {
            /// Connections open now.
            pub connections: u64,
            $($(#[doc = $doc])+ pub $name: u64,)*
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

            /// Every counter with its name and what it counts.
            pub(super) fn described(&self) -> Vec<(&'static str, &'static str, u64)> {
                vec![$((stringify!($name), concat!($($doc),+).trim(), self.$name)),*]
            }

            /// Every counter with its name, in the order of the fields.
            pub fn figures(&self) -> Vec<(&'static str, u64)> {
                vec![("connections", self.connections), $((stringify!($name), self.$name)),*]
            }
        }
    };
}

/// How long one thread's work took.
#[derive(Default)]
pub(super) struct Latencies {
    /// From an event's message to the store's answer.
    pub(super) insert: Histogram,
    /// From a REQ to its EOSE, both as they pass the queues.
    pub(super) req: Histogram,
    /// From a COUNT to its answer.
    pub(super) count: Histogram,
    /// From an event's publication by a shard to the queues of all who get it.
    pub(super) live: Histogram,
}

/// A write that waits for the store; over when it is dropped.
pub(super) struct WriteUnderWay(Arc<Counters>);

impl WriteUnderWay {
    pub(super) fn begin(counters: &Arc<Counters>) -> WriteUnderWay {
        counters.writes_begun.add();
        WriteUnderWay(counters.clone())
    }
}

impl Drop for WriteUnderWay {
    fn drop(&mut self) {
        self.0.writes_ended.add();
    }
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
    /// Events refused: by lists, or for too little work.
    events_unwanted,
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
    /// Messages refused: over a rate.
    rate_limited,
    /// Events that the plugin accepted.
    plugin_accepted,
    /// Events that the plugin rejected.
    plugin_rejected,
    /// Events that the plugin rejected without their sender being told.
    plugin_shadowed,
    /// Events about which the plugin gave no answer.
    plugin_unanswered,
    /// Lines of the plugin that are no answers.
    plugin_stray_lines,
    /// Times that the plugin ended, hung or could not be started.
    plugin_failures,
    /// Calls of NIP-86.
    management_calls,
    /// Calls of NIP-86 that were refused.
    management_refused,
    /// Clients dropped because they did not read.
    slow_clients,
    /// Clients dropped because they did not answer a ping.
    silent_clients,
    /// Clients dropped because they broke the websocket protocol, or sent too large a message.
    frames_refused,
    /// Connections ended before they were websockets: no request came in time, or one that is none.
    heads_refused,
    /// Bytes of the messages of clients.
    received_bytes,
    /// Bytes of the messages sent to clients.
    sent_bytes,
    /// Bytes of messages that were queued for clients.
    queued_bytes,
    /// Bytes of messages that left the queues, sent or dropped.
    unqueued_bytes,
    /// Subscriptions that were begun.
    subscriptions_begun,
    /// Subscriptions that are over.
    subscriptions_ended,
    /// Events handed to the store.
    writes_begun,
    /// Events of which the store has said what became, or whose client has gone.
    writes_ended,
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
