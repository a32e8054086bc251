//! `ratite::fuzzing::negentropy_referee`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ratite::fuzzing::negentropy_referee(bytes));
