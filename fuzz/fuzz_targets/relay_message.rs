//! `ratite::fuzzing::relay_message`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ratite::fuzzing::relay_message(bytes));
