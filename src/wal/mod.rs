//! (being built)
mod ring;
mod sync;
pub use ring::{Drainer, Full, Ring};
