//! `ratite::fuzzing::run("syslog", ..)`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ratite::fuzzing::run("syslog", bytes));
