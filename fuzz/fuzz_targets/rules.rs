//! `ratite::fuzzing::rules`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ratite::fuzzing::rules(bytes));
