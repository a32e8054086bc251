//! `ratite::fuzzing::manifest`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ratite::fuzzing::manifest(bytes));
