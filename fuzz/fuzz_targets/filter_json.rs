//! `ratite::fuzzing::run("filter_json", ..)`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ratite::fuzzing::run("filter_json", bytes));
