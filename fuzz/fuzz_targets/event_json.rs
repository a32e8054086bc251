//! `ratite::fuzzing::event_json`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ratite::fuzzing::event_json(bytes));
