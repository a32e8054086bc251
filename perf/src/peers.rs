//! Peers in the same process: LMDB by key (heed), and the LMDB event store of the nostr SDK.
//!
//! They are loaded from the same events file, asked the same filters in turn with Ratite, and their answers
//! are compared with its, id by id, while a row warms up. nostr-lmdb answers on threads of its own, so that
//! its CPU time is that of the whole process meanwhile.

use crate::Result;
use crate::clock::{Meter, process_cpu};
use crate::events::Events;
use crate::figure::{Figures, round};
use crate::load::bytes_in;
use crate::query::Args;
use crate::workload::{Answer, Row};
use heed::types::Bytes;
use heed::{Database, Env, EnvOpenOptions};
use nostr::event::{Event, EventId};
use nostr_database::NostrDatabase;
use nostr_lmdb::NostrLmdb;
use ratite::nostr::{EventStore, Filter, write_event, write_filter};
use serde_json::json;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

/// Events of one durable write of a peer.
const GROUP: usize = 1_000;
const MAP_BYTES: usize = 64 << 30;

/// The peers that were asked for.
pub struct Others(Option<Peers>);

struct Peers {
    env: Env,
    by_id: Database<Bytes, Bytes>,
    get: Meter,
    runtime: Runtime,
    nostr: Arc<NostrLmdb>,
    query: Meter,
    differing: u64,
}

impl Others {
    /// Whether no rival is asked.
    pub fn are_none(&self) -> bool {
        self.0.is_none()
    }

    /// Opens the peers beside the store, loading them first if they are not there.
    pub fn open(args: &Args, figures: &mut Figures) -> Result<Others> {
        let Some((file, dir)) = args.peers() else { return Ok(Others(None)) };
        let fresh = !dir.exists();
        std::fs::create_dir_all(dir.join("heed"))?;
        // SAFETY: nothing else has this directory open, and no file in it is touched but through LMDB.
        let env = unsafe { EnvOpenOptions::new().map_size(MAP_BYTES).open(dir.join("heed"))? };
        let mut write = env.write_txn()?;
        let by_id = env.create_database(&mut write, None)?;
        write.commit()?;
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        let nostr = runtime.block_on(NostrLmdb::open(dir.join("nostr-lmdb")))?;
        let (get, query) = (Meter::new(), Meter::of_process());
        let nostr = Arc::new(nostr);
        let peers = Peers { env, by_id, get, runtime, nostr, query, differing: 0 };
        if fresh {
            peers.load(file, args.peer_events, &dir, figures)?;
        }
        Ok(Others(Some(peers)))
    }

    /// What was measured so far was to warm up.
    pub fn forget(&mut self) {
        if let Some(peers) = &mut self.0 {
            (peers.get, peers.query) = (Meter::new(), Meter::of_process());
        }
    }

    /// Asks every peer that can answer.
    pub fn ask(
        &mut self,
        store: &EventStore,
        row: &Row,
        filter: &Filter,
        check: bool,
    ) -> Result<()> {
        match &mut self.0 {
            Some(peers) => peers.ask(store, row, filter, check),
            None => Ok(()),
        }
    }

    /// Adds the row's figures.
    pub fn report(&mut self, row: &Row, figures: &mut Figures) -> Result<()> {
        let Some(peers) = &mut self.0 else { return Ok(()) };
        if peers.get.wall.len() > 0 {
            figures.add_meter("query", "heed", row.name, &peers.get, json!({}))?;
        }
        if peers.query.wall.len() > 0 {
            let more = json!({ "answers_that_differ": peers.differing });
            figures.add_meter("query", "nostr-lmdb", row.name, &peers.query, more)?;
            if peers.differing > 0 {
                eprintln!("  {} answers differ", peers.differing);
            }
        }
        peers.differing = 0;
        self.forget();
        Ok(())
    }
}

impl Peers {
    fn load(
        &self,
        file: &Path,
        limit: Option<u64>,
        dir: &Path,
        figures: &mut Figures,
    ) -> Result<()> {
        let (mut heed, mut sdk) = ((0.0, 0), (0.0, 0));
        let mut count = 0u64;
        let mut group: Vec<(Vec<u8>, Vec<u8>, Event)> = Vec::new();
        let mut flush = |group: &mut Vec<(Vec<u8>, Vec<u8>, Event)>| -> Result<()> {
            let (started, cpu) = (Instant::now(), process_cpu());
            let mut write = self.env.write_txn()?;
            for (id, body, _) in group.iter() {
                self.by_id.put(&mut write, id, body)?;
            }
            write.commit()?;
            heed = (heed.0 + started.elapsed().as_secs_f64(), heed.1 + process_cpu() - cpu);
            let (started, cpu) = (Instant::now(), process_cpu());
            self.runtime.block_on(async {
                let mut saving = JoinSet::new();
                for (_, _, event) in group.drain(..) {
                    let nostr = self.nostr.clone();
                    saving.spawn(async move { nostr.save_event(&event).await.map(drop) });
                }
                while let Some(saved) = saving.join_next().await {
                    saved.map_err(|e| e.to_string())?.map_err(|e| e.to_string())?;
                }
                Ok::<(), String>(())
            })?;
            sdk = (sdk.0 + started.elapsed().as_secs_f64(), sdk.1 + process_cpu() - cpu);
            Ok(())
        };
        Events::open(file, limit)?.for_each(|event| {
            let mut json = Vec::new();
            write_event(&event, &mut json);
            group.push((
                event.id().to_vec(),
                event.body().to_vec(),
                serde_json::from_slice(&json)?,
            ));
            count += 1;
            if group.len() == GROUP { flush(&mut group) } else { Ok(()) }
        })?;
        flush(&mut group)?;
        for (name, folder, (seconds, cpu)) in
            [("heed", "heed", heed), ("nostr-lmdb", "nostr-lmdb", sdk)]
        {
            let values = json!({
                "events": count, "events_per_group": GROUP,
                "events_per_second": (count as f64 / seconds).round(),
                "cpu_us_per_event": round(cpu as f64 / 1e3 / count as f64),
                "disk_bytes_per_event": round(bytes_in(&dir.join(folder))? as f64 / count as f64),
            });
            eprintln!("{name}: {values}");
            figures.add("load", name, "load, synced by 1,000", values)?;
        }
        Ok(())
    }

    fn ask(&mut self, store: &EventStore, row: &Row, filter: &Filter, check: bool) -> Result<()> {
        let ids = filter.ids.as_deref();
        if let (Answer::Get, Some(&[id])) = (row.answer, ids) {
            let (env, by_id) = (&self.env, &self.by_id);
            self.get.time(|| -> Result<u64> {
                let read = env.read_txn()?;
                // Owned, as what `EventStore::get` gives.
                let body = by_id.get(&read, &id)?.map(<[u8]>::to_vec);
                Ok(u64::from(std::hint::black_box(body).is_some()))
            })?;
            let id = EventId::from_byte_array(id);
            let (runtime, nostr) = (&self.runtime, &self.nostr);
            self.query.time(|| -> Result<u64> {
                let event = runtime.block_on(nostr.event_by_id(&id)).map_err(|e| e.to_string())?;
                Ok(u64::from(event.is_some()))
            })?;
            return Ok(());
        }
        let mut json = Vec::new();
        write_filter(filter, &mut json);
        let asked: nostr::filter::Filter = serde_json::from_slice(&json)?;
        let (runtime, nostr) = (&self.runtime, &self.nostr);
        if row.answer == Answer::Count {
            self.query.time(|| -> Result<u64> {
                Ok(runtime.block_on(nostr.count(asked)).map_err(|e| e.to_string())? as u64)
            })?;
            return Ok(());
        }
        let mut events = Default::default();
        self.query.time(|| -> Result<u64> {
            events = runtime.block_on(nostr.query(asked)).map_err(|e| e.to_string())?;
            Ok(events.len() as u64)
        })?;
        if check {
            let mut theirs = events.iter().map(|event| event.id.to_bytes());
            let mut ours = store.query(std::slice::from_ref(filter))?;
            let mut same = true;
            while let Some(event) = ours.next()? {
                same &= theirs.next().as_ref() == Some(event.id());
            }
            if !same || theirs.next().is_some() {
                self.differing += 1;
            }
        }
        Ok(())
    }
}
