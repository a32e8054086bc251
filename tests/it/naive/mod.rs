//! NIP-01, and the requests of NIP-09, 59 and 62, literally: a list of events, and rules on strings.
//!
//! ```text
//!   random --> Ev, Ask --JSON--> the store under test ---answers--\
//!                    \---------> Naive --------------------------- compare
//! ```
//!
//! I1. Nothing here calls the code under test, but to compute ids and to name outcomes.

pub mod random;
pub mod registers;
mod requests;
pub mod words;

use ratite::nostr::{Event, Inserted, JsonLimits};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;

/// An event as its author wrote it.
#[derive(Debug)]
pub struct Ev {
    pub id: String,
    pub pubkey: String,
    pub created_at: u64,
    pub kind: u64,
    pub tags: Vec<Vec<String>>,
    pub content: String,
    pub sig: String,
}

impl Ev {
    pub fn value(&self) -> Value {
        json!({
            "id": self.id, "pubkey": self.pubkey, "created_at": self.created_at, "kind": self.kind,
            "tags": self.tags, "content": self.content, "sig": self.sig,
        })
    }

    /// As the store takes it, by way of JSON; with `ascii` all other characters are escaped.
    pub fn event(&self, ascii: bool) -> Event {
        let text = self.value().to_string();
        let text = if ascii { escaped(&text) } else { text };
        Event::from_json(text.as_bytes(), &JsonLimits::WIDEST).expect("a well-formed event")
    }

    pub fn id_bytes(&self) -> [u8; 32] {
        hex_bytes(&self.id)
    }

    fn pubkey_bytes(&self) -> [u8; 32] {
        hex_bytes(&self.pubkey)
    }

    /// What only one event may fill: kind, author and, of addressable ones, the first `d` value.
    fn slot(&self) -> Option<(u64, &str, &str)> {
        match self.kind {
            0 | 3 | 10_000..=19_999 => Some((self.kind, &self.pubkey, "")),
            30_000..=39_999 => {
                let d = self.tags.iter().find(|tag| tag.first().is_some_and(|name| name == "d"));
                let d = d.and_then(|tag| tag.get(1)).map_or("", String::as_str);
                Some((self.kind, &self.pubkey, d))
            }
            _ => None,
        }
    }

    fn expires(&self) -> Option<u64> {
        let tag = self.tags.iter().find(|tag| tag.first().is_some_and(|n| n == "expiration"))?;
        let text = tag.get(1).filter(|text| text.bytes().all(|b| b.is_ascii_digit()))?;
        text.parse().ok()
    }

    pub fn is_over(&self, now: u64) -> bool {
        self.expires().is_some_and(|at| at <= now)
    }

    /// The recipients of a gift wrap.
    fn recipients(&self) -> impl Iterator<Item = &String> {
        self.named("p").filter(|p| self.kind == 1059 && is_id(p))
    }

    fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a String> + 'a {
        let named = self.tags.iter().filter(move |tag| tag.first().is_some_and(|n| n == name));
        named.filter_map(|tag| tag.get(1))
    }

    pub fn is_request(&self) -> bool {
        self.kind == 5 || self.kind == 62
    }

    /// Whether it asks this very relay; tests write its URL in one way only.
    fn is_vanish_here(&self) -> bool {
        self.kind == 62 && self.named("relay").any(|url| url == HERE || url == "ALL_RELAYS")
    }

    fn names_slot_of(&self, other: &Ev) -> bool {
        let Some((kind, author, d)) = other.slot() else { return false };
        let is = |a: &String| slot_named(a).is_some_and(|named| named == (kind, author, d));
        self.named("a").any(is)
    }

    fn is_newer_than(&self, other: &Ev) -> bool {
        (self.created_at, &other.id) > (other.created_at, &self.id)
    }
}

fn is_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// Kind, author and `d` that the value of an `a` tag names.
fn slot_named(text: &str) -> Option<(u64, &str, &str)> {
    let parts: Vec<&str> = text.splitn(3, ':').collect();
    let [kind, author, d] = parts[..] else { return None };
    let number: u16 = kind.parse().ok().filter(|number: &u16| number.to_string() == kind)?;
    let has_d = match number {
        0 | 3 | 10_000..=19_999 => d.is_empty(),
        30_000..=39_999 => true,
        _ => false,
    };
    (is_id(author) && has_d).then_some((number.into(), author, d))
}

/// Writes what is not ASCII, which in JSON stands only in strings, as `\u` escapes.
fn escaped(json: &str) -> String {
    let mut out = String::new();
    for c in json.chars() {
        match c.is_ascii() {
            true => out.push(c),
            false => c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| {
                out.push_str(&format!("\\u{unit:04x}"));
            }),
        }
    }
    out
}

fn hex_bytes(text: &str) -> [u8; 32] {
    let byte = |i: usize| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).expect("hex");
    std::array::from_fn(byte)
}

/// One filter.
#[derive(Clone, Debug, Default)]
pub struct Ask {
    pub ids: Option<Vec<String>>,
    pub authors: Option<Vec<String>>,
    pub kinds: Option<Vec<u64>>,
    pub tags: Vec<(char, Vec<String>)>,
    pub since: Option<u64>,
    pub until: Option<u64>,
    pub limit: Option<u64>,
    pub search: Option<String>,
}

impl Ask {
    pub fn value(&self) -> Value {
        let mut map = Map::new();
        let mut put = |key: String, value: Option<Value>| value.map(|value| map.insert(key, value));
        put("ids".into(), self.ids.as_ref().map(|list| json!(list)));
        put("authors".into(), self.authors.as_ref().map(|list| json!(list)));
        put("kinds".into(), self.kinds.as_ref().map(|list| json!(list)));
        for (letter, values) in &self.tags {
            put(format!("#{letter}"), Some(json!(values)));
        }
        put("since".into(), self.since.map(|time| json!(time)));
        put("until".into(), self.until.map(|time| json!(time)));
        put("limit".into(), self.limit.map(|limit| json!(limit)));
        put("search".into(), self.search.as_ref().map(|text| json!(text)));
        Value::Object(map)
    }

    pub fn matches(&self, ev: &Ev) -> bool {
        fn among<T: PartialEq>(list: &Option<Vec<T>>, value: &T) -> bool {
            list.as_ref().is_none_or(|list| list.contains(value))
        }
        let has = |(letter, values): &(char, Vec<String>)| {
            let name = letter.to_string();
            ev.tags.iter().any(|tag| tag.len() >= 2 && tag[0] == name && values.contains(&tag[1]))
        };
        self.since.is_none_or(|since| ev.created_at >= since)
            && self.until.is_none_or(|until| ev.created_at <= until)
            && among(&self.kinds, &ev.kind)
            && among(&self.authors, &ev.pubkey)
            && among(&self.ids, &ev.id)
            && self.tags.iter().all(has)
            && self.search.as_ref().is_none_or(|text| words::has(ev, text))
    }
}

/// What a store holds.
#[derive(Clone, Debug, Default)]
pub struct Naive {
    pub live: Vec<Arc<Ev>>,
    /// Seconds, for what has expired.
    pub now: u64,
    /// Whether requests that name events of others only are refused.
    pub strict: bool,
}

/// The relay that the stores under test are.
pub const HERE: &str = "wss://here.example";

impl Naive {
    pub fn insert(&mut self, ev: &Arc<Ev>) -> Inserted {
        if ev.is_over(self.now) {
            return Inserted::Expired;
        }
        for p in ev.recipients() {
            if let Some(refused) = self.stands_against(p, ev) {
                return refused;
            }
        }
        if (20_000..30_000).contains(&ev.kind) {
            return Inserted::Ephemeral;
        }
        if self.live.iter().any(|other| other.id == ev.id) {
            return Inserted::Duplicate;
        }
        if let Some(refused) = self.stands_against(&ev.pubkey, ev) {
            return refused;
        }
        if ev.is_request() {
            return self.ask(ev);
        }
        let rival = ev.slot().and_then(|slot| {
            self.live.iter().position(|other| other.slot().is_some_and(|s| s == slot))
        });
        match rival {
            None => {
                self.live.push(ev.clone());
                Inserted::Stored
            }
            Some(at) if ev.is_newer_than(&self.live[at]) => {
                self.live[at] = ev.clone();
                Inserted::Replaced
            }
            Some(_) => Inserted::Older,
        }
    }

    /// The refusal of `ev` by what `author` has asked for, who wrote it or is addressed by it.
    fn stands_against(&self, author: &str, ev: &Ev) -> Option<Inserted> {
        let of = |kind| self.live.iter().filter(move |e| e.kind == kind && e.pubkey == author);
        if of(62).any(|v| v.is_vanish_here() && v.created_at >= ev.created_at) && ev.kind != 62 {
            return Some(Inserted::Vanished);
        }
        let names = |d: &Arc<Ev>| {
            let id = d.named("e").any(|id| *id == ev.id);
            id || author == ev.pubkey && d.created_at >= ev.created_at && d.names_slot_of(ev)
        };
        (!ev.is_request() && of(5).any(names)).then_some(Inserted::Deleted)
    }

    /// Stores a request and does what it says.
    fn ask(&mut self, ev: &Arc<Ev>) -> Inserted {
        let mine = |e: &Ev| e.pubkey == ev.pubkey || e.recipients().any(|p| *p == ev.pubkey);
        let named: Vec<&String> = ev.named("e").collect();
        if ev.kind == 5 && self.strict {
            let known = self.live.iter().filter(|e| named.contains(&&e.id));
            let mut of_whom: Vec<bool> = known.map(|e| mine(e)).collect();
            of_whom.extend(ev.named("a").filter_map(|a| Some(slot_named(a)?.1 == ev.pubkey)));
            if !of_whom.is_empty() && !of_whom.contains(&true) {
                return Inserted::InvalidDelete;
            }
        }
        self.live.retain(|e| {
            let vanishes = ev.is_vanish_here() && e.kind != 62 && e.created_at <= ev.created_at;
            let by_slot =
                e.pubkey == ev.pubkey && e.created_at <= ev.created_at && ev.names_slot_of(e);
            let deleted = ev.kind == 5 && !e.is_request() && (named.contains(&&e.id) || by_slot);
            !(mine(e) && (vanishes || deleted))
        });
        self.live.push(ev.clone());
        Inserted::Stored
    }

    /// What is there at `now`: less what has expired, removed or not.
    pub fn at(&self, now: u64) -> Naive {
        let live = self.live.iter().filter(|ev| !ev.is_over(now)).cloned().collect();
        Naive { live, now, strict: self.strict }
    }

    pub fn find(&self, id: &str) -> Option<&Arc<Ev>> {
        self.live.iter().find(|ev| ev.id == id)
    }

    /// Ids in order: `created_at` descending, lowest id first; with `oldest` the reverse. Of each
    /// filter the first `limit`.
    pub fn answer(&self, asks: &[Ask], oldest: bool) -> Vec<Arc<Ev>> {
        let mut chosen = Vec::new();
        for ask in asks {
            let mut matching: Vec<_> = self.live.iter().filter(|ev| ask.matches(ev)).collect();
            sort(&mut matching, oldest);
            let limit = usize::try_from(ask.limit.unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
            chosen.extend(matching.into_iter().take(limit));
        }
        sort(&mut chosen, oldest);
        let mut seen = BTreeSet::new();
        chosen.retain(|ev| seen.insert(&ev.id));
        chosen.into_iter().cloned().collect()
    }

    /// How many events match at least one filter.
    pub fn count(&self, asks: &[Ask]) -> u64 {
        self.live.iter().filter(|ev| asks.iter().any(|ask| ask.matches(ev))).count() as u64
    }
}

fn sort(events: &mut [&Arc<Ev>], oldest: bool) {
    events.sort_by(|a, b| b.created_at.cmp(&a.created_at).then_with(|| a.id.cmp(&b.id)));
    if oldest {
        events.reverse();
    }
}
