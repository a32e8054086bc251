//! Events from their parts: for tools, tests and the generator.

use super::event::Event;
use super::format::{self, TAGS_AT};
use super::id;
use super::verify::Signer;
use crate::base::{Key, put_varint};

impl Event {
    /// The event of these parts, with its id computed and a signature of zeros: see [`Event::sign`].
    /// One allocation; the cost is that of the SHA-256.
    ///
    /// # Panics
    /// If the parts take over 4 GiB.
    pub fn from_parts<T: AsRef<[S]>, S: AsRef<str>>(
        pubkey: [u8; 32],
        created_at: u64,
        kind: u16,
        tags: &[T],
        content: &str,
    ) -> Event {
        let mut event = Event::without_id(pubkey, created_at, kind, tags, content);
        event.set_id(id::compute(&event.as_ref()));
        event
    }

    /// The event of these parts, with an id and a signature of zeros.
    pub(super) fn without_id<T: AsRef<[S]>, S: AsRef<str>>(
        pubkey: [u8; 32],
        created_at: u64,
        kind: u16,
        tags: &[T],
        content: &str,
    ) -> Event {
        let items = tags.iter().flat_map(|tag| tag.as_ref().iter());
        let size: usize = items.map(|item| item.as_ref().len() + 2).sum();
        let mut body = Vec::with_capacity(TAGS_AT + 20 + size + tags.len() + content.len());
        body.extend_from_slice(&pubkey);
        body.extend_from_slice(&[0; 64]);
        body.extend_from_slice(&kind.to_le_bytes());
        put_varint(&mut body, tags.len() as u64);
        for tag in tags {
            put_varint(&mut body, tag.as_ref().len() as u64);
            tag.as_ref()
                .iter()
                .for_each(|item| format::put_item(&mut body, item.as_ref().as_bytes()));
        }
        format::close_tags(&mut body);
        body.extend_from_slice(content.as_bytes());
        let key = Key { time: created_at, id: [0; 32] };
        Event::new(key, body).expect("a body just encoded, below 4 GiB")
    }

    /// The event with the signature of its id by `signer`, whose key the author's has to be.
    /// Deterministic: the same event and key give the same bytes.
    pub fn sign(mut self, signer: &Signer) -> Event {
        self.set_sig(&signer.sign(&self.key().id));
        self
    }
}
