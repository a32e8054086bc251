//! Tests of the whole from outside.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where by panicking")]

mod tidy;
