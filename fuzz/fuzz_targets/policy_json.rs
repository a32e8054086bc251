//! `ratite::fuzzing::policy_json`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ratite::fuzzing::policy_json(bytes));
