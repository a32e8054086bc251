//! `ratite::fuzzing::run("negentropy_referee", ..)`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ratite::fuzzing::run("negentropy_referee", bytes));
