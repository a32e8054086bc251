//! `ratite::fuzzing::log_entry`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ratite::fuzzing::log_entry(bytes));
