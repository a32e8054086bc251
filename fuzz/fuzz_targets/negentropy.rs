//! `ratite::fuzzing::run("negentropy", ..)`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ratite::fuzzing::run("negentropy", bytes));
