//! The tool's configuration file: its own modules, which no library has.
#![no_main]
#![allow(dead_code, unused_imports, reason = "of what is shared with the tool, a part is called")]

#[path = "../../src/bin/ratite/config/mod.rs"]
mod config;
#[path = "../../src/bin/ratite/failure.rs"]
mod failure;
#[path = "../../src/bin/ratite/logging.rs"]
mod logging;
#[path = "../../src/bin/ratite/output.rs"]
mod output;
#[path = "../../src/bin/ratite/packed.rs"]
mod packed;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| config::fuzz::config(bytes));
