//! The small parts of a shard: by hand, and under loom.

mod dead;
mod inbox;
mod model;
mod ticket;
