//! Stores of bytes by key, with nothing that Nostr wants: the same bodies under the same ids. What is slower than these
//! pays for its indexes; what is as quick as memory and as an append pays for nothing.
//!
//! ```text
//!   put   1,000 at once, durable when it returns       get   the bytes under one id, owned, as what `EventStore::get` gives
//! ```

use super::loading::Loads;
use super::{levels, limits, trees};
use crate::Result;
use ratite::nostr::Event;
use std::path::Path;

/// An event, as each kind of peer wants it.
pub struct Entry {
    pub id: [u8; 32],
    pub body: Vec<u8>,
    pub json: Vec<u8>,
    pub event: Event,
}

/// A store of bytes.
pub trait Keyed {
    /// Stores a group; it is on the disk when this returns, where that is promised at all.
    fn put(&mut self, group: &[Entry]) -> Result<()>;
    /// Brings to its files what is in memory, after the last group.
    fn settle(&mut self) -> Result<()> {
        Ok(())
    }
    /// The bytes under an id.
    fn get(&mut self, id: &[u8; 32]) -> Result<Option<Vec<u8>>>;
    /// Whether it has to be filled although its files are there.
    fn forgets(&self) -> bool {
        false
    }
    /// Whether it can be asked.
    fn answers(&self) -> bool {
        true
    }
}

impl Loads for Box<dyn Keyed> {
    fn prepare(&mut self, _: &[Entry]) -> Result<()> {
        Ok(())
    }

    fn save(&mut self, group: &[Entry]) -> Result<()> {
        self.put(group)
    }

    fn settle(&mut self) -> Result<bool> {
        (**self).settle().map(|()| false)
    }
}

/// What opens one in its directory, which is there.
type Open = fn(&Path) -> Result<Box<dyn Keyed>>;

/// All that were built in: what each is called, also on disk.
pub const ALL: &[(&str, Open)] = &[
    ("memory", limits::memory),
    ("append", limits::append),
    ("heed", trees::heed),
    ("redb", trees::redb),
    ("sqlite", trees::sqlite),
    ("fjall", levels::fjall),
    #[cfg(feature = "rocksdb")]
    ("rocksdb", levels::rocksdb),
];
