//! Operations on an event store that bytes spell, compared with a list that follows the NIPs: the tests' own.
#![no_main]
#![allow(dead_code, unused_imports, reason = "of what is shared with the tests, a part is called")]

#[path = "../../tests/it/compare.rs"]
mod compare;
#[path = "../../tests/it/million/mod.rs"]
mod million;
#[path = "../../tests/it/naive/mod.rs"]
mod naive;
#[path = "../../tests/it/replay.rs"]
mod replay;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| million::spelled(bytes));
