//! Log records: what the engine needs to know of them.

pub mod generate;
