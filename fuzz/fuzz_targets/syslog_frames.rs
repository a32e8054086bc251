//! `ratite::fuzzing::run("syslog_frames", ..)`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ratite::fuzzing::run("syslog_frames", bytes));
