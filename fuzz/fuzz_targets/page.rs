//! `ratite::fuzzing::page`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ratite::fuzzing::page(bytes));
