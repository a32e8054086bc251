//! The small parts of a shard: by hand, and under loom.

mod dead;
mod model;
mod ticket;
