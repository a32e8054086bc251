//! `ratite::fuzzing::otlp_protobuf`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ratite::fuzzing::otlp_protobuf(bytes));
