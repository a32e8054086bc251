//! `ratite::fuzzing::log_body`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ratite::fuzzing::log_body(bytes));
