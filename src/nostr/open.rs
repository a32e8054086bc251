//! Shortcuts to open a store: with the usual options, or in memory for tests.

use super::store::EventStore;
use crate::base::Result;
use crate::io;
use crate::store::Options;
use std::fmt;
use std::path::Path;

/// The directory of a store in memory, on a disk that has nothing else.
const DIR: &str = "/store";

impl EventStore {
    /// Opens the store in `dir`, or creates it there, with `Options::default()`: a shard for each core, 1 GiB of
    /// memory, every insert synced before it is answered.
    ///
    /// # Errors
    /// As [`EventStore::open`]; `Locked` if the store is open already, here or in another process.
    pub fn open_default(dir: impl AsRef<Path>) -> Result<EventStore> {
        EventStore::open(dir, &Options::default())
    }

    /// An empty store whose files are in memory and gone with it: for tests, of a few hundred MB at most. It is the same
    /// engine on a disk that is simulated, with the system's clock; no file is touched and no ring is built. To break that
    /// disk, or to move the clock, use [`io::simulated`](crate::io::simulated) with [`EventStore::open_in`].
    ///
    /// Takes some 50 MiB and 5 ms.
    ///
    /// # Errors
    /// None that a caller can do anything about.
    pub fn in_memory() -> Result<EventStore> {
        EventStore::open_in(Path::new(DIR), &Options::in_memory(), io::in_memory())
    }
}

impl fmt::Debug for EventStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (dir, shards) = (self.engine().dir().display(), self.engine().shard_count());
        write!(f, "EventStore({dir}, {shards} shards)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Error;
    use crate::nostr::{Event, Filter, Inserted};

    #[test]
    fn stores_in_memory_are_apart() {
        let (one, other) = (EventStore::in_memory().unwrap(), EventStore::in_memory().unwrap());
        let event = Event::from_parts([1; 32], 5, 1, &[["t", "x"]], "here");
        assert_eq!(one.insert(&event.as_ref()).unwrap().wait().unwrap(), Inserted::Stored);
        one.engine().flush().unwrap();
        assert_eq!(one.get(event.id()).unwrap(), Some(event));
        assert_eq!(other.count(&[Filter::default()]).unwrap(), 0);
        one.close().unwrap();
    }

    #[test]
    fn a_store_that_is_open_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let options = Options::tiny();
        let open = EventStore::open(dir.path(), &options).unwrap();
        let error = EventStore::open(dir.path(), &options).err().unwrap();
        assert!(matches!(error, Error::Locked { .. }), "{error}");
        assert!(error.to_string().contains("in use by"), "{error}");
        drop(open);
        EventStore::open(dir.path(), &options).unwrap();
    }
}
