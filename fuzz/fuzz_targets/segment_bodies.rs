//! `ratite::fuzzing::run("segment_bodies", ..)`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ratite::fuzzing::run("segment_bodies", bytes));
