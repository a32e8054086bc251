//! `ratite::fuzzing::run("time", ..)`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ratite::fuzzing::run("time", bytes));
