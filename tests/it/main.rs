//! All integration tests in one binary.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where by panicking")]

/// The program's own, so that a process of this binary takes the memory that the program takes.
#[cfg(feature = "tool")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[cfg(feature = "tool")]
mod abuse;
#[cfg(feature = "tool")]
mod clients;
mod compare;
#[cfg(feature = "tool")]
mod config;
mod embedding;
mod expiry;
mod live;
#[cfg(feature = "logs")]
mod logs;
mod memory;
mod million;
mod naive;
mod oracle;
mod power;
mod real;
mod regions;
mod replay;
mod requests;
mod running;
mod tidy;
#[cfg(feature = "tool")]
mod tool;
