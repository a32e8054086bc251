//! Stores that know Nostr: nostr-lmdb of the nostr SDK, and nostrdb behind a feature of its own.
//!
//! Both work on threads of their own, so that their CPU time is that of the whole process meanwhile.

use super::keyed::Entry;
use super::loading::Loads;
use crate::Result;
use nostr::event::EventId;
use nostr_database::NostrDatabase;
use nostr_lmdb::NostrLmdb;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

/// A store of events.
pub trait Nostr {
    /// Makes of a group what `save` takes.
    fn parse(&mut self, _group: &[Entry]) -> Result<()> {
        Ok(())
    }
    /// Stores the group that was parsed last.
    fn save(&mut self, group: &[Entry]) -> Result<()>;
    /// Waits until all that was saved can be asked for; `true` if saving itself does not wait.
    fn settle(&mut self) -> Result<bool> {
        Ok(false)
    }
    /// Whether there is an event with this id.
    fn get(&mut self, id: &[u8; 32]) -> Result<u64>;
    /// What is asked next, as JSON.
    fn prepare(&mut self, filter: &str) -> Result<()>;
    /// Asks, and renders the events if wanted; how many there are.
    fn query(&mut self, as_json: bool) -> Result<u64>;
    /// The ids of the last answer, in its order.
    fn ids(&self) -> Vec<[u8; 32]>;
    /// How many events match, if it can count.
    fn count(&mut self) -> Result<Option<u64>>;
}

impl Loads for Box<dyn Nostr> {
    fn prepare(&mut self, group: &[Entry]) -> Result<()> {
        self.parse(group)
    }

    fn save(&mut self, group: &[Entry]) -> Result<()> {
        (**self).save(group)
    }

    fn settle(&mut self) -> Result<bool> {
        (**self).settle()
    }
}

/// What opens one in its directory, which is there.
type Open = fn(&Path) -> Result<Box<dyn Nostr>>;

/// All that were built in: what each is called, also on disk.
pub const ALL: &[(&str, Open)] = &[
    ("nostr-lmdb", sdk),
    #[cfg(feature = "nostrdb")]
    ("nostrdb", super::nostrdb::open),
];

struct Sdk {
    runtime: Runtime,
    store: Arc<NostrLmdb>,
    filter: ::nostr::filter::Filter,
    parsed: Vec<::nostr::event::Event>,
    /// In the order in which it is given: newest first.
    answer: BTreeSet<::nostr::event::Event>,
    json: Vec<u8>,
}

fn sdk(dir: &Path) -> Result<Box<dyn Nostr>> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let store = Arc::new(runtime.block_on(NostrLmdb::open(dir))?);
    let (filter, parsed, answer, json) = Default::default();
    Ok(Box::new(Sdk { runtime, store, filter, parsed, answer, json }))
}

impl Nostr for Sdk {
    fn parse(&mut self, group: &[Entry]) -> Result<()> {
        let parse = |entry: &Entry| serde_json::from_slice(&entry.json);
        self.parsed = group.iter().map(parse).collect::<std::result::Result<_, _>>()?;
        Ok(())
    }

    fn save(&mut self, _: &[Entry]) -> Result<()> {
        let events = std::mem::take(&mut self.parsed);
        self.runtime.block_on(async {
            let mut saving = JoinSet::new();
            for event in events {
                let store = self.store.clone();
                saving.spawn(async move { store.save_event(&event).await.map(drop) });
            }
            while let Some(saved) = saving.join_next().await {
                saved.map_err(|e| e.to_string())?.map_err(|e| e.to_string())?;
            }
            Ok(())
        })
    }

    fn get(&mut self, id: &[u8; 32]) -> Result<u64> {
        let id = EventId::from_byte_array(*id);
        let event = self.runtime.block_on(self.store.event_by_id(&id));
        Ok(u64::from(event.map_err(|e| e.to_string())?.is_some()))
    }

    fn prepare(&mut self, filter: &str) -> Result<()> {
        self.filter = serde_json::from_str(filter)?;
        Ok(())
    }

    fn query(&mut self, as_json: bool) -> Result<u64> {
        let answer = self.runtime.block_on(self.store.query(self.filter.clone()));
        self.answer = answer.map_err(|e| e.to_string())?;
        self.json.clear();
        for event in self.answer.iter().filter(|_| as_json) {
            serde_json::to_writer(&mut self.json, event)?;
        }
        Ok(self.answer.len() as u64)
    }

    fn ids(&self) -> Vec<[u8; 32]> {
        self.answer.iter().map(|event| event.id.to_bytes()).collect()
    }

    fn count(&mut self) -> Result<Option<u64>> {
        let count = self.runtime.block_on(self.store.count(self.filter.clone()));
        Ok(Some(count.map_err(|e| e.to_string())? as u64))
    }
}
