//! `ratite::fuzzing::syslog`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ratite::fuzzing::syslog(bytes));
