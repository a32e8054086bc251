//! All integration tests in one binary.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where by panicking")]

#[cfg(feature = "tool")]
mod clients;
mod compare;
#[cfg(feature = "tool")]
mod config;
mod kill;
mod naive;
mod oracle;
mod power;
mod replay;
mod tidy;
#[cfg(feature = "tool")]
mod tool;
