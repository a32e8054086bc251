//! `ratite::fuzzing::wal_headers`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ratite::fuzzing::wal_headers(bytes));
