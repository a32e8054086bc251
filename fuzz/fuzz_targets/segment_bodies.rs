//! `ratite::fuzzing::segment_bodies`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ratite::fuzzing::segment_bodies(bytes));
