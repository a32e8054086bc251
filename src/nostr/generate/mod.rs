//! Signed, realistic events from a seed, for tests, benches and the tool: the same bytes for ever.
//!
//! ```text
//!   Generator::next_unsigned()  sequential, some microseconds: choices, text, id
//!   Unsigned::sign()            any thread: the signature, which costs ten times the rest
//! ```
//!
//! Built after what relays see: few kinds make most events, few authors write most of them, notes
//! answer recent notes, follow lists carry hundreds of keys, clocks are wrong now and then. No
//! floating point and no hash order takes part, so that every machine makes the same events; a test
//! pins the bytes, and a change of them is a new `SCHEME`.

mod chance;
mod kinds;
mod words;

use sha2::{Digest, Sha256};

use self::chance::{Chance, Zipf};
use self::words::Words;
use super::event::Event;
use super::verify::Signer;

/// Part of every secret key, so that another scheme never shares keys with this one.
const SCHEME: &[u8] = b"ratite events 1";

/// Notes that replies, reactions, reposts and zaps choose from.
const RECENT_MAX: usize = 1024;

/// The furthest that a late event's `created_at` lies behind, in seconds.
const LATE_SECONDS_MAX: u64 = 3 * 86_400;

/// What to generate.
#[derive(Clone, Debug)]
pub struct Config {
    /// How many events are going to be taken: there is one author for each 20, and at least 50.
    pub events: u64,
    /// `created_at` of the first event; the clock then advances by one second an event on average.
    pub start: u64,
}

impl Default for Config {
    fn default() -> Config {
        Config { events: 100_000, start: 1_700_000_000 }
    }
}

/// An endless sequence of events.
pub struct Generator {
    seed: u64,
    chance: Chance,
    words: Words,
    authors: Zipf,
    /// By author; keys are derived when first needed (some 50 us each).
    signers: Vec<Option<Signer>>,
    /// The last notes, as a ring.
    recent: Vec<Note>,
    /// How many notes there have been; the next one's place in the ring.
    noted: u64,
    /// How many events there have been.
    made: u64,
    now: u64,
}

/// What later events need to know of a note.
#[derive(Clone)]
struct Note {
    id: [u8; 32],
    pubkey: [u8; 32],
    created_at: u64,
    content: String,
}

/// An event that lacks nothing but its signature, and the key to make it.
pub struct Unsigned {
    event: Event,
    signer: Signer,
}

impl Unsigned {
    /// Signs: some 50 us, on any thread.
    pub fn sign(self) -> Event {
        self.event.sign(&self.signer)
    }

    /// The event with a signature of zeros, where nobody checks: its id is the final one.
    pub fn into_event(self) -> Event {
        self.event
    }
}

impl Generator {
    /// The sequence of `seed` and `config`. Costs some milliseconds, and 8 bytes for each author.
    pub fn new(seed: u64, config: &Config) -> Generator {
        let authors = (config.events / 20).max(50);
        Generator {
            seed,
            chance: Chance::new(seed),
            words: Words::new(),
            authors: Zipf::new(authors as usize),
            signers: vec![None; authors as usize],
            recent: Vec::with_capacity(RECENT_MAX),
            noted: 0,
            made: 0,
            now: config.start,
        }
    }

    /// The next event, to be signed wherever there is time.
    pub fn next_unsigned(&mut self) -> Unsigned {
        self.now += self.chance.below(3);
        let created_at = match self.chance.percent(5) {
            true => self.now.saturating_sub(self.chance.below(LATE_SECONDS_MAX)),
            false => self.now,
        };
        let draft = self.draft(created_at);
        let signer = self.signer(draft.author);
        let pubkey = *signer.pubkey();
        let event = Event::from_parts(pubkey, created_at, draft.kind, &draft.tags, &draft.content);
        if draft.kind == 1 {
            self.remember(Note { id: *event.id(), pubkey, created_at, content: draft.content });
        }
        self.made += 1;
        Unsigned { event, signer }
    }

    /// The next event, signed here.
    pub fn next_event(&mut self) -> Event {
        self.next_unsigned().sign()
    }

    /// An author's signer. Numbers beyond the authors are keys that are used once.
    fn signer(&mut self, author: u64) -> Signer {
        let Some(known) = self.signers.get_mut(author as usize) else {
            return derive(self.seed, author);
        };
        *known.get_or_insert_with(|| derive(self.seed, author))
    }

    fn remember(&mut self, note: Note) {
        let at = self.noted as usize % RECENT_MAX;
        self.noted += 1;
        match self.recent.get_mut(at) {
            Some(oldest) => *oldest = note,
            None => self.recent.push(note),
        }
    }
}

impl Iterator for Generator {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        Some(self.next_event())
    }
}

/// The signer number `index` of a seed.
fn derive(seed: u64, index: u64) -> Signer {
    (0u8..)
        .find_map(|attempt| {
            let hash = Sha256::new()
                .chain_update(SCHEME)
                .chain_update(seed.to_le_bytes())
                .chain_update(index.to_le_bytes())
                .chain_update([attempt]);
            Signer::new(hash.finalize().into())
        })
        .expect("one hash in 2^128 is no secret key")
}

#[cfg(test)]
mod tests;
