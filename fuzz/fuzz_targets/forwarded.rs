//! `ratite::fuzzing::forwarded`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ratite::fuzzing::forwarded(bytes));
