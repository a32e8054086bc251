//! Trees of pages: LMDB (heed), redb, SQLite. Each syncs once a group.

use super::keyed::{Entry, Keyed};
use crate::Result;
use heed::types::Bytes;
use heed::{Env, EnvOpenOptions};
use redb::{ReadableDatabase, TableDefinition};
use rusqlite::{Connection, OptionalExtension, params};
use std::path::Path;

/// Address space of LMDB.
const MAP_BYTES: usize = 64 << 30;

/// Memory for pages, of those that have their own.
pub const CACHE_BYTES: usize = 1 << 30;

struct Heed {
    env: Env,
    by_id: heed::Database<Bytes, Bytes>,
}

pub fn heed(dir: &Path) -> Result<Box<dyn Keyed>> {
    // SAFETY: nothing else has this directory open, and no file in it is touched but through LMDB.
    let env = unsafe { EnvOpenOptions::new().map_size(MAP_BYTES).open(dir)? };
    let mut write = env.write_txn()?;
    let by_id = env.create_database(&mut write, None)?;
    write.commit()?;
    Ok(Box::new(Heed { env, by_id }))
}

impl Keyed for Heed {
    fn put(&mut self, group: &[Entry]) -> Result<()> {
        let mut write = self.env.write_txn()?;
        for entry in group {
            self.by_id.put(&mut write, &entry.id, &entry.body)?;
        }
        Ok(write.commit()?)
    }

    fn get(&mut self, id: &[u8; 32]) -> Result<Option<Vec<u8>>> {
        let read = self.env.read_txn()?;
        Ok(self.by_id.get(&read, id)?.map(<[u8]>::to_vec))
    }
}

/// The table of redb.
const BY_ID: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("by_id");

struct Redb(redb::Database);

pub fn redb(dir: &Path) -> Result<Box<dyn Keyed>> {
    let db = redb::Database::builder().set_cache_size(CACHE_BYTES).create(dir.join("redb"))?;
    Ok(Box::new(Redb(db)))
}

impl Keyed for Redb {
    fn put(&mut self, group: &[Entry]) -> Result<()> {
        // Durable when it is committed, by default.
        let write = self.0.begin_write()?;
        {
            let mut table = write.open_table(BY_ID)?;
            for entry in group {
                table.insert(&entry.id[..], &entry.body[..])?;
            }
        }
        Ok(write.commit()?)
    }

    fn get(&mut self, id: &[u8; 32]) -> Result<Option<Vec<u8>>> {
        let table = self.0.begin_read()?.open_table(BY_ID)?;
        Ok(table.get(&id[..])?.map(|body| body.value().to_vec()))
    }
}

const SCHEMA: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA cache_size = -1048576;
    PRAGMA mmap_size = 4000000000;
    CREATE TABLE IF NOT EXISTS events (id BLOB PRIMARY KEY NOT NULL, body BLOB NOT NULL);";

struct Sqlite(Connection);

pub fn sqlite(dir: &Path) -> Result<Box<dyn Keyed>> {
    let db = Connection::open(dir.join("events.db"))?;
    db.execute_batch(SCHEMA)?;
    Ok(Box::new(Sqlite(db)))
}

impl Keyed for Sqlite {
    fn put(&mut self, group: &[Entry]) -> Result<()> {
        let write = self.0.transaction()?;
        {
            let mut insert =
                write.prepare_cached("INSERT OR REPLACE INTO events (id, body) VALUES (?1, ?2)")?;
            for entry in group {
                insert.execute(params![&entry.id[..], &entry.body[..]])?;
            }
        }
        Ok(write.commit()?)
    }

    fn settle(&mut self) -> Result<()> {
        Ok(self.0.execute_batch("PRAGMA wal_checkpoint(TRUNCATE);")?)
    }

    fn get(&mut self, id: &[u8; 32]) -> Result<Option<Vec<u8>>> {
        let mut select = self.0.prepare_cached("SELECT body FROM events WHERE id = ?1")?;
        Ok(select.query_row([&id[..]], |row| row.get(0)).optional()?)
    }
}
