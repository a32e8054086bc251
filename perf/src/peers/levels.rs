//! Logs with levels of sorted files: fjall, and RocksDB behind a feature of its own. Each syncs its log once a group.

use super::keyed::{Entry, Keyed};
use super::trees::CACHE_BYTES;
use crate::Result;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use std::path::Path;

struct Fjall {
    db: Database,
    by_id: Keyspace,
}

pub fn fjall(dir: &Path) -> Result<Box<dyn Keyed>> {
    let db = Database::builder(dir).cache_size(CACHE_BYTES as u64).open()?;
    let by_id = db.keyspace("by_id", KeyspaceCreateOptions::default)?;
    Ok(Box::new(Fjall { db, by_id }))
}

impl Keyed for Fjall {
    fn put(&mut self, group: &[Entry]) -> Result<()> {
        let mut batch = self.db.batch().durability(Some(PersistMode::SyncData));
        for entry in group {
            batch.insert(&self.by_id, entry.id, &entry.body[..]);
        }
        Ok(batch.commit()?)
    }

    fn settle(&mut self) -> Result<()> {
        Ok(self.by_id.rotate_memtable_and_wait()?)
    }

    fn get(&mut self, id: &[u8; 32]) -> Result<Option<Vec<u8>>> {
        Ok(self.by_id.get(id)?.map(|body| body.to_vec()))
    }
}

#[cfg(feature = "rocksdb")]
struct Rocks(rocksdb::DB);

#[cfg(feature = "rocksdb")]
pub fn rocksdb(dir: &Path) -> Result<Box<dyn Keyed>> {
    let mut blocks = rocksdb::BlockBasedOptions::default();
    blocks.set_block_cache(&rocksdb::Cache::new_lru_cache(CACHE_BYTES));
    blocks.set_bloom_filter(10.0, false);
    let mut options = rocksdb::Options::default();
    options.create_if_missing(true);
    options.set_block_based_table_factory(&blocks);
    Ok(Box::new(Rocks(rocksdb::DB::open(&options, dir)?)))
}

#[cfg(feature = "rocksdb")]
impl Keyed for Rocks {
    fn put(&mut self, group: &[Entry]) -> Result<()> {
        let mut batch = rocksdb::WriteBatch::default();
        for entry in group {
            batch.put(entry.id, &entry.body);
        }
        let mut synced = rocksdb::WriteOptions::default();
        synced.set_sync(true);
        Ok(self.0.write_opt(batch, &synced)?)
    }

    fn settle(&mut self) -> Result<()> {
        Ok(self.0.flush()?)
    }

    fn get(&mut self, id: &[u8; 32]) -> Result<Option<Vec<u8>>> {
        Ok(self.0.get(id)?)
    }
}
