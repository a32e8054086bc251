//! The live half of one subscription: which events are new to it, and where they go meanwhile.
//!
//! ```text
//!   REQ: snapshot --> stored events ... EOSE | what was held | live
//!   feed:   offer, offer ... --> held -------^           --> outbox
//! ```
//!
//! I1. A record of shard `s` with number `n` is live exactly if `n > after[s]`, the number up to which
//!     the snapshot of the stored half reaches. So no event is missed, and none comes twice,
//!     whatever order snapshot, commits and feed come in.
//! I2. Live events go to the outbox only behind `EOSE`; before, they are held, and count as queued.

use super::auth::Identity;
use super::message::SubId;
use super::outbox::Outbox;
use super::reply;
use crate::base::{Seq, ShardId};
use crate::nostr::EventStore;
use crate::store::StoreSnapshot;
use std::cell::RefCell;
use std::rc::Rc;
use tokio_tungstenite::tungstenite::protocol::Message;

/// Where in the store's stream an event stands; ephemeral events stand nowhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Position {
    pub(super) shard: ShardId,
    pub(super) seq: Seq,
}

/// A subscription, as the feed sees it.
pub(super) struct Live {
    id: SubId,
    outbox: Rc<Outbox>,
    viewer: Rc<Identity>,
    /// For each shard, what the snapshot holds (I1).
    after: Box<[Seq]>,
    /// `None` once the stored half is over.
    held: RefCell<Option<Vec<Held>>>,
}

/// A live event that waits for `EOSE`, and the second in which it expires.
type Held = (Message, Option<u64>);

impl Live {
    /// A subscription whose stored half is what `snapshot` holds.
    pub(super) fn new(
        id: SubId,
        outbox: Rc<Outbox>,
        viewer: Rc<Identity>,
        store: &EventStore,
        snapshot: &StoreSnapshot,
    ) -> Live {
        let shards = 0..store.engine().shard_count();
        let after = shards.map(|shard| snapshot.seq(shard as ShardId)).collect();
        Live { id, outbox, viewer, after, held: RefCell::new(Some(Vec::new())) }
    }

    pub(super) fn id(&self) -> &SubId {
        &self.id
    }

    /// Who is shown the events.
    pub(super) fn viewer(&self) -> &Identity {
        &self.viewer
    }

    /// Whether the event at `position` is new to this subscription (I1).
    pub(super) fn wants(&self, position: Option<Position>) -> bool {
        let new = position.is_none_or(|at| at.seq > self.after[usize::from(at.shard)]);
        new && !self.outbox.is_overflown()
    }

    /// Sends an event, given as JSON, or holds it (I2), no longer than until it `expires`.
    pub(super) fn send(&self, event: &[u8], expires: Option<u64>) {
        let message = reply::event_json(&self.id, event);
        match &mut *self.held.borrow_mut() {
            None => self.outbox.push_live(message),
            Some(held) => {
                if self.outbox.hold(&message) {
                    held.push((message, expires));
                }
            }
        }
    }

    /// The stored half is over: `EOSE`, then what was held and has not expired at `now`, then live.
    pub(super) fn stored_is_over(&self, now: u64) {
        self.outbox.push(reply::eose(&self.id));
        let held = self.held.borrow_mut().take();
        for (message, expires) in held.into_iter().flatten() {
            self.outbox.release(&message);
            if expires.is_none_or(|at| at > now) {
                self.outbox.push(message);
            }
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        let held = self.held.get_mut().iter().flatten();
        held.for_each(|(message, _)| self.outbox.release(message));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::SeededEntropy;
    use crate::relay::limits::Limits;
    use crate::relay::message::{ClientMessage, parse};
    use std::sync::Arc;

    fn nobody() -> Rc<Identity> {
        Rc::new(Identity::new(&SeededEntropy::new(1)))
    }

    fn queued(outbox: &Outbox) -> Vec<String> {
        outbox.finish();
        let mut messages = Vec::new();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        while let Some(message) = runtime.block_on(outbox.take()) {
            messages.push(message.into_text().unwrap().to_string());
        }
        messages
    }

    #[test]
    fn what_the_snapshot_holds_is_not_live_and_live_comes_behind_eose_unless_it_expired() {
        let Ok(ClientMessage::Close(id)) = parse(b"[\"CLOSE\",\"s\"]", 1) else { panic!() };
        let outbox = Rc::new(Outbox::new(&Limits::default(), 1, Arc::default()));
        let held = RefCell::new(Some(Vec::new()));
        let live =
            Live { id, outbox: outbox.clone(), viewer: nobody(), after: [5, 0].into(), held };
        let wants = |shard, seq| live.wants(Some(Position { shard, seq }));
        assert!(!wants(0, 4) && !wants(0, 5) && wants(0, 6) && wants(1, 1) && live.wants(None));
        live.send(b"{1}", Some(101));
        outbox.push(Message::text("stored"));
        live.send(b"{0}", Some(100));
        live.send(b"{2}", None);
        live.stored_is_over(100);
        live.send(b"{3}", Some(1));
        let event = |n| format!("[\"EVENT\",\"s\",{{{n}}}]");
        let expected = ["stored", "[\"EOSE\",\"s\"]", &event(1), &event(2), &event(3)];
        assert_eq!(queued(&outbox), expected);
    }

    #[test]
    fn what_is_held_and_never_sent_is_forgotten() {
        let Ok(ClientMessage::Close(id)) = parse(b"[\"CLOSE\",\"s\"]", 1) else { panic!() };
        let outbox = Rc::new(Outbox::new(
            &Limits { outbound_bytes: 60, ..Limits::default() },
            1,
            Arc::default(),
        ));
        for _ in 0..3 {
            let held = RefCell::new(Some(Vec::new()));
            let (id, outbox) = (id.clone(), outbox.clone());
            let live = Live { id, outbox, viewer: nobody(), after: [].into(), held };
            live.send(&[b'1'; 30], None);
        }
        assert!(!outbox.is_overflown() && queued(&outbox).is_empty());
    }
}
