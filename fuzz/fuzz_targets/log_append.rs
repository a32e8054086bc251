//! Lines to `ratite log append`: the tool's own modules, which no library has.
#![no_main]
#![allow(dead_code, unused_imports, reason = "of what is shared with the tool, a part is called")]

#[path = "../../src/bin/ratite/log/base64.rs"]
mod base64;
#[path = "../../src/bin/ratite/import/lines.rs"]
mod lines;
#[path = "../../src/bin/ratite/log/look.rs"]
mod look;
#[path = "../../src/bin/ratite/log/append/parse/mod.rs"]
mod parse;
#[path = "../../src/bin/ratite/log/rows.rs"]
mod rows;

/// Where the tool has them.
mod import {
    pub(crate) use crate::lines;
}
mod log {
    pub(crate) use crate::{base64, look, rows};
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| parse::fuzz::log_append(bytes));
