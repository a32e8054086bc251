//! `ratite::fuzzing::log_tokens`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ratite::fuzzing::log_tokens(bytes));
