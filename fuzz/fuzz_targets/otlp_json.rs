//! `ratite::fuzzing::run("otlp_json", ..)`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ratite::fuzzing::run("otlp_json", bytes));
