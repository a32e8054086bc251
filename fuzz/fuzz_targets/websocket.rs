//! `ratite::fuzzing::run("websocket", ..)`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ratite::fuzzing::run("websocket", bytes));
