//! `ratite::fuzzing::run("log_entry", ..)`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ratite::fuzzing::run("log_entry", bytes));
