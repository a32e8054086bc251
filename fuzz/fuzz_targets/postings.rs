//! `ratite::fuzzing::run("postings", ..)`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ratite::fuzzing::run("postings", bytes));
