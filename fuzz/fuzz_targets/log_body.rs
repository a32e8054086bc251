//! `ratite::fuzzing::run("log_body", ..)`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ratite::fuzzing::run("log_body", bytes));
