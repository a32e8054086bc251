//! `ratite::fuzzing::run("store_file", ..)`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ratite::fuzzing::run("store_file", bytes));
