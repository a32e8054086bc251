//! `ratite::fuzzing::syslog_frames`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ratite::fuzzing::syslog_frames(bytes));
