//! What no store can be faster than: a hash map over one piece of memory, and one direct synced write a group.

use super::keyed::{Entry, Keyed};
use crate::Result;
use ratite::base::Error;
use ratite::io::{self, Backend, Buf, File};
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

/// Bytes of the file that groups are written to, from the start again at its end.
const FILE_BYTES: u64 = 256 << 20;
const BLOCK: usize = 4096;

struct Memory {
    places: HashMap<[u8; 32], (usize, usize)>,
    bytes: Vec<u8>,
}

pub fn memory(_dir: &Path) -> Result<Box<dyn Keyed>> {
    Ok(Box::new(Memory { places: HashMap::new(), bytes: Vec::new() }))
}

impl Keyed for Memory {
    fn put(&mut self, group: &[Entry]) -> Result<()> {
        for entry in group {
            self.places.insert(entry.id, (self.bytes.len(), entry.body.len()));
            self.bytes.extend_from_slice(&entry.body);
        }
        Ok(())
    }

    fn get(&mut self, id: &[u8; 32]) -> Result<Option<Vec<u8>>> {
        let place = self.places.get(id);
        Ok(place.map(|(at, length)| self.bytes[*at..at + length].to_vec()))
    }

    fn forgets(&self) -> bool {
        true
    }
}

struct Append {
    file: Arc<dyn File>,
    at: u64,
    buf: Buf,
}

pub fn append(dir: &Path) -> Result<Box<dyn Keyed>> {
    let disk = io::system(Backend::Posix)?.disk;
    let path = dir.join("append");
    // Written in full, so that no group allocates.
    let file = if path.exists() { disk.open(&path)? } else { disk.create(&path, FILE_BYTES)? };
    Ok(Box::new(Append { file, at: 0, buf: Buf::zeroed(BLOCK, BLOCK) }))
}

impl Keyed for Append {
    fn put(&mut self, group: &[Entry]) -> Result<()> {
        let bytes: usize = group.iter().map(|entry| 32 + entry.body.len()).sum();
        let whole = bytes.next_multiple_of(BLOCK);
        if self.buf.len() < whole {
            self.buf = Buf::zeroed(whole, BLOCK);
        }
        let mut at = 0;
        for part in group.iter().flat_map(|entry| [&entry.id[..], &entry.body]) {
            self.buf[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        }
        if self.at + whole as u64 > FILE_BYTES {
            self.at = 0;
        }
        self.file.write_at(self.at, &self.buf[..whole])?;
        self.file.sync()?;
        self.at += whole as u64;
        Ok(())
    }

    fn get(&mut self, _id: &[u8; 32]) -> Result<Option<Vec<u8>>> {
        Err(Error::invalid("append", "it has no index").into())
    }

    fn answers(&self) -> bool {
        false
    }
}
