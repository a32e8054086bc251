//! `ratite::fuzzing::run("manifest", ..)`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ratite::fuzzing::run("manifest", bytes));
