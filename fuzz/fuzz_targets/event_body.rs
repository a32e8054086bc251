//! `ratite::fuzzing::event_body`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ratite::fuzzing::event_body(bytes));
