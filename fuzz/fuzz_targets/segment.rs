//! `ratite::fuzzing::run("segment", ..)`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ratite::fuzzing::run("segment", bytes));
