//! `ratite::fuzzing::filter_json`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ratite::fuzzing::filter_json(bytes));
