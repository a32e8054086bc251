//! `ratite::fuzzing::run("page", ..)`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ratite::fuzzing::run("page", bytes));
