//! `ratite::fuzzing::run("segment_header", ..)`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ratite::fuzzing::run("segment_header", bytes));
