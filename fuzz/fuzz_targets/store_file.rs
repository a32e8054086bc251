//! `ratite::fuzzing::store_file`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ratite::fuzzing::store_file(bytes));
