//! Configuration files: the program's own reader of them.
#![no_main]
#![allow(dead_code, unused_imports, reason = "of what is shared with the program, a part is called")]

#[path = "../../src/bin/ratite/config/mod.rs"]
mod config;
#[path = "../../src/bin/ratite/failure.rs"]
mod failure;
#[path = "../../src/bin/ratite/output.rs"]
mod output;
#[path = "../../src/bin/ratite/packed.rs"]
mod packed;

/// In place of the program's, which starts a log.
mod logging {
    /// As the program's.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    pub enum Format {
        /// For people.
        #[default]
        Text,
        /// An object a line.
        Json,
    }
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| config::fuzz::config(bytes));
