//! Events as the NIPs speak of them, beside the event that the store is given: whose they are, what they name and reach.

use crate::nostr::Event;

/// Who publishes; a gift wrap has a key of its own, from here on.
pub const AUTHORS: u64 = 4;

/// An event, as its author wrote it.
pub struct Ev {
    pub event: Event,
    pub kind: u16,
    pub author: u64,
    pub at: u64,
    pub d: &'static str,
    pub t: String,
    /// Who a gift wrap is for.
    pub to: Option<u64>,
    /// Of a request: ids, and addresses by kind and `d`.
    pub ids: Vec<[u8; 32]>,
    pub addresses: Vec<(u16, u64, &'static str)>,
    pub expires: Option<u64>,
}

impl Ev {
    /// What only one event may fill.
    pub fn slot(&self) -> Option<(u16, u64, &'static str)> {
        match self.kind {
            0 | 10_002 => Some((self.kind, self.author, "")),
            30_000 => Some((self.kind, self.author, self.d)),
            _ => None,
        }
    }

    pub fn is_over(&self, now: u64) -> bool {
        self.expires.is_some_and(|at| at <= now)
    }

    pub fn is_request(&self) -> bool {
        self.kind == 5 || self.kind == 62
    }

    /// Whether this request ends `other`: an event of its author, or a gift wrap for it.
    pub fn ends(&self, other: &Ev) -> bool {
        let is_wrap = other.to == Some(self.author);
        if other.author != self.author && !is_wrap {
            return false;
        }
        match self.kind {
            62 => other.kind != 62 && other.at <= self.at,
            5 => {
                let slot = other.slot().filter(|_| other.at <= self.at && !is_wrap);
                let is_named = self.ids.contains(other.event.id());
                !other.is_request()
                    && (is_named || slot.is_some_and(|s| self.addresses.contains(&s)))
            }
            _ => false,
        }
    }
}

/// The key of an author.
pub fn key_of(author: u64) -> [u8; 32] {
    let mut key = [7; 32];
    key[..8].copy_from_slice(&(author + 1).to_le_bytes());
    key
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
