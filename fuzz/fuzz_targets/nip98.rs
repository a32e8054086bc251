//! `ratite::fuzzing::nip98`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ratite::fuzzing::nip98(bytes));
