//! One function for each decoder of foreign bytes: what fuzzing calls, and a test that takes seconds.
//!
//! ```text
//!   fuzz/fuzz_targets/NAME.rs --(cargo fuzz)------------------\
//!   tests: the kept corpus, and seeded mutations of it --------> a floor's `fuzz`: the decoder, and what has to hold
//! ```
//!
//! The functions stand beside the decoders, on their floors, and see what those see; nothing else does. Compiled for
//! tests and for the feature `fuzzing`, which no other feature has.
//!
//! I1. A target panics exactly if what it holds does not hold: any bytes are input.

#[cfg(test)]
mod mutate;
#[cfg(test)]
mod seeds;
#[cfg(test)]
mod tests;

/// A target: takes any bytes.
pub type Target = fn(&[u8]);

/// Each target as a function, so that a program has the code of its own alone, which fuzzing looks through in each
/// execution; and the table of all.
macro_rules! targets {
    ($($name:ident: $holds:path,)+) => {
        $(
            #[doc = concat!("What has to hold of any bytes for `", stringify!($name), "`.")]
            ///
            /// # Panics
            /// If it does not.
            pub fn $name(bytes: &[u8]) {
                $holds(bytes);
            }
        )+

        /// All targets, by name.
        pub const TARGETS: &[(&str, Target)] = &[$((stringify!($name), $name),)+];
    };
}

targets! {
    client_message: crate::relay::fuzz::client_message,
    deflate: crate::relay::fuzz::deflate,
    dictionary: crate::segment::fuzz::dictionary,
    event_body: crate::nostr::fuzz::event_body,
    event_json: crate::nostr::fuzz::event_json,
    filter_json: crate::nostr::fuzz::filter_json,
    forwarded: crate::relay::fuzz::forwarded,
    log_body: crate::logs::fuzz::log_body,
    log_entry: crate::shard::fuzz::log_entry,
    log_tokens: crate::logs::fuzz::log_tokens,
    manifest: crate::shard::fuzz::manifest,
    negentropy: crate::nostr::fuzz::negentropy,
    negentropy_referee: crate::nostr::fuzz::negentropy_referee,
    nip86: crate::relay::fuzz::nip86,
    nip98: crate::relay::fuzz::nip98,
    otlp_json: crate::collect::fuzz::otlp_json,
    otlp_protobuf: crate::collect::fuzz::otlp_protobuf,
    page: crate::pool::fuzz::page,
    plugin: crate::relay::fuzz::plugin,
    policy_json: crate::relay::fuzz::policy_json,
    postings: crate::segment::fuzz::postings,
    relay_message: crate::sync::fuzz::relay_message,
    resume: crate::logs::fuzz::resume,
    rules: crate::relay::fuzz::rules,
    search: crate::nostr::fuzz::search,
    segment: crate::segment::fuzz::segment,
    segment_bodies: crate::segment::fuzz::segment_bodies,
    segment_header: crate::segment::fuzz::segment_header,
    store_file: crate::store::fuzz::store_file,
    syslog: crate::collect::fuzz::syslog,
    syslog_frames: crate::collect::fuzz::syslog_frames,
    time: crate::logs::fuzz::time,
    wal: crate::wal::fuzz::wal,
    wal_headers: crate::wal::fuzz::wal_headers,
    websocket: crate::relay::fuzz::websocket,
}
