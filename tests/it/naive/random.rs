//! Events and filters from a seed, of the shapes that break stores.

use super::{Ask, Ev, Naive};
use ratite::io::Rng;
use ratite::nostr::Event;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Kinds at the borders of the classes of NIP-01, and some within.
const KINDS: [u64; 19] = [
    0, 1, 2, 3, 4, 5, 7, 9_999, 10_000, 10_002, 19_999, 20_000, 29_999, 30_000, 30_023, 39_999,
    40_000, 65_534, 65_535,
];

/// What one seed draws from: few of everything, so that it meets again.
pub struct World {
    pub rng: Rng,
    authors: Vec<String>,
    kinds: Vec<u64>,
    times: Vec<u64>,
    texts: Vec<String>,
    names: Vec<String>,
    ids: BTreeSet<String>,
    /// Every event so far, stored or not.
    pub past: Vec<Arc<Ev>>,
    content_bytes: u64,
    /// Whether there are requests that name past events, gift wraps, and events that expire at about this second.
    pub requests: Option<u64>,
    /// Whether requests name by id only what is not newer than they and cannot be replaced: then no order of arrival
    /// changes what stays.
    pub is_calm: bool,
    /// Whether events have words to be searched, and many of them expire soon.
    is_full: bool,
}

impl World {
    pub fn new(seed: u64) -> World {
        let mut rng = Rng::new(seed);
        let mut authors: Vec<String> = (0..1 + rng.below(6)).map(|_| hex(&mut rng, 64)).collect();
        authors.extend(["00".repeat(32), "ff".repeat(32)].into_iter().take(rng.below(3) as usize));
        let kinds = match rng.below(3) {
            0 => KINDS.to_vec(),
            _ => (0..1 + rng.below(8)).map(|_| pick(&mut rng, &KINDS)).collect(),
        };
        let base = 1_700_000_000;
        let mut times: Vec<u64> = (0..1 + rng.below(40)).map(|_| base + rng.below(60)).collect();
        times.extend([0, 1, u64::MAX, u64::MAX - 1, u64::from(u32::MAX), 1 << 63, 1 << 40]);
        let texts = texts(&mut rng);
        let letters = ('a'..='z').chain('A'..='Z').map(String::from);
        let mut names: Vec<String> = letters.filter(|_| rng.chance(6)).collect();
        // Several times, so that they are frequent.
        for common in ["e", "p", "t", "d", "d", "a", "T", "D", "E"] {
            names.extend([common, common].map(String::from));
        }
        names.extend(["alt", "ee", "-", "", "é", "1", "_", "#t"].map(String::from));
        let content_bytes = pick(&mut rng, &[20, 200, 700]);
        let (ids, past) = (BTreeSet::new(), Vec::new());
        let (requests, is_calm, is_full) = (None, false, false);
        World {
            rng,
            authors,
            kinds,
            times,
            texts,
            names,
            ids,
            past,
            content_bytes,
            requests,
            is_calm,
            is_full,
        }
    }

    /// A world of thousands of events, few of which replace others: posting lists of many blocks.
    pub fn large(seed: u64) -> World {
        let mut world = World::new(seed);
        world.kinds = vec![1, 1, 1, 7, 5, 9_999, 40_000, 30_023];
        world.times.extend((0..400).map(|n| 1_700_000_000 + 7 * n));
        world.texts.retain(|text| text.len() < 1_000);
        world.content_bytes = 40;
        world
    }

    /// A world of everything, in which some time passes before most of its authors have vanished.
    pub fn full(seed: u64, now: u64) -> World {
        let mut world = World::new(seed);
        let more: Vec<String> = (0..8).map(|_| hex(&mut world.rng, 64)).collect();
        world.authors.extend(more);
        world.kinds.extend([0, 1, 1, 1, 30_023, 10_002, 20_000]);
        // In front: the last ones are the extremes.
        world.times.splice(0..0, (0..200).map(|n| 1_700_000_000 + 7 * n));
        world.texts.retain(|text| text.len() < 1_000 || seed.is_multiple_of(4));
        (world.requests, world.is_full) = (Some(now), true);
        world
    }

    /// Lets no event be of this kind.
    pub fn without_kind(&mut self, kind: u64) {
        self.kinds.retain(|other| *other != kind);
        self.kinds.push(1);
    }

    /// The next event: now and then one that was seen before, to the last byte.
    pub fn event(&mut self) -> Arc<Ev> {
        if self.rng.chance(12) && !self.past.is_empty() {
            return pick_of(&mut self.rng, &self.past).clone();
        }
        let ev = Arc::new(self.fresh());
        self.past.push(ev.clone());
        ev
    }

    /// A new event that also has a tag of one name for each of `values`.
    pub fn event_with_tags(&mut self, name: char, values: &[String]) -> Arc<Ev> {
        let mut ev = self.fresh();
        ev.tags.extend(values.iter().map(|value| vec![name.to_string(), value.clone()]));
        let ev = Arc::new(ev);
        self.past.push(ev.clone());
        ev
    }

    /// One of the events so far.
    pub fn any(&mut self) -> Option<Arc<Ev>> {
        let at = self.rng.below(self.past.len().max(1) as u64) as usize;
        self.past.get(at).cloned()
    }

    /// An id that no event has.
    pub fn no_id(&mut self) -> [u8; 32] {
        let mut id = [0; 32];
        self.rng.fill(&mut id);
        id
    }

    fn fresh(&mut self) -> Ev {
        let rng = &mut self.rng;
        let pubkey = pick_of(rng, &self.authors).clone();
        let mut kind = pick(rng, &self.kinds);
        let created_at = match rng.below(12) {
            0 => self.times[self.times.len() - 1 - rng.below(7) as usize],
            1 => rng.next_u64() >> rng.below(64),
            _ => pick(rng, &self.times),
        };
        let mut tags: Vec<Vec<String>> = (0..tag_count(rng))
            .map(|_| match rng.below(16) {
                0 => Vec::new(),
                1 => vec![pick_of(rng, &self.names).clone()],
                items => {
                    let mut tag = vec![pick_of(rng, &self.names).clone()];
                    let more = if items == 2 { 4 } else { 1 };
                    tag.extend((0..more).map(|_| pick_of(rng, &self.texts).clone()));
                    tag
                }
            })
            .collect();
        if let Some(now) = self.requests {
            if let Some(asked) = super::requests::kind(rng, self.is_full) {
                kind = asked;
            }
            let past = (&self.past[..], &self.authors[..]);
            let (is_calm, is_mortal) = (self.is_calm, self.is_full);
            let about = super::requests::About { kind, created_at, now, is_calm, is_mortal };
            super::requests::add_tags(rng, about, past, &mut tags);
        }
        let mut content = pick_of(rng, &self.texts).clone();
        content.extend((0..rng.below(self.content_bytes)).map(|n| (b'a' + (n % 26) as u8) as char));
        if self.is_full {
            super::words::add(rng, kind, &mut tags, &mut content);
        }
        // Makes every event another one.
        content.push_str(&self.past.len().to_string());
        let sig = hex(rng, 128);
        let built =
            Event::from_parts(super::hex_bytes(&pubkey), created_at, kind as u16, &tags, &content);
        let id = self.new_id(built.as_ref().id());
        Ev { id, pubkey, created_at, kind, tags, content, sig }
    }

    /// The id of an event; sometimes bent, since a store does not check it: ids that share all but
    /// their last bytes, and the lowest and highest of all.
    fn new_id(&mut self, id: &[u8; 32]) -> String {
        let rng = &mut self.rng;
        let mut bytes = *id;
        if rng.chance(4) {
            let shared = rng.below(31) as usize;
            bytes[..shared].fill(pick(rng, &[0x00, 0x7f, 0xff]));
        }
        if rng.chance(100) {
            bytes.fill(pick(rng, &[0x00, 0xff]));
        }
        let text = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
        // An id stands for one content.
        let bent = text(&bytes);
        let chosen = if self.ids.contains(&bent) { text(id) } else { bent };
        assert!(self.ids.insert(chosen.clone()), "two events with the id {chosen}");
        chosen
    }

    /// A query of one to four filters.
    pub fn query(&mut self, naive: &Naive) -> Vec<Ask> {
        let count = if self.rng.chance(2) { 1 } else { 1 + self.rng.below(4) };
        (0..count).map(|_| self.ask(naive)).collect()
    }

    fn ask(&mut self, naive: &Naive) -> Ask {
        let rng = &mut self.rng;
        // Most conditions are true of one event, or several together would never be.
        let from = if rng.chance(6) || naive.live.is_empty() { &self.past } else { &naive.live };
        let Some(anchor) = from.get(rng.below(from.len().max(1) as u64) as usize).cloned() else {
            return Ask::default();
        };
        let mut ask = Ask::default();
        if rng.chance(8) {
            let of = |rng: &mut Rng| pick_of(rng, &self.past).id.clone();
            ask.ids = Some(list(rng, anchor.id.clone(), of, 6));
        }
        if rng.chance(3) {
            let of = |rng: &mut Rng| pick_of(rng, &self.authors).clone();
            ask.authors = Some(list(rng, anchor.pubkey.clone(), of, 20));
        }
        if rng.chance(3) {
            ask.kinds = Some(list(rng, anchor.kind, |rng| pick(rng, &KINDS), 20));
            // Over 2,048 pairs of author and kind there is another plan.
            if rng.chance(30) {
                ask.kinds.iter_mut().for_each(|kinds| kinds.extend(3..1100));
            }
        }
        let conditions = if rng.chance(2) { 0 } else { rng.below(4) };
        for _ in 0..conditions {
            let letter = |name: &String| {
                let mut chars = name.chars();
                chars.next().filter(|c| c.is_ascii_alphabetic() && chars.next().is_none())
            };
            let tagged =
                anchor.tags.iter().filter_map(|tag| Some((letter(tag.first()?)?, tag.get(1)?)));
            let tagged: Vec<(char, &String)> = tagged.collect();
            let (name, value) = match tagged.is_empty() || rng.chance(10) {
                true => {
                    (pick(rng, &['e', 'p', 't', 'd', 'z', 'T']), pick_of(rng, &self.texts).clone())
                }
                false => {
                    let &(name, value) = pick_of(rng, &tagged);
                    (name, value.clone())
                }
            };
            let mut values = list(rng, value, |rng| near(rng, &self.texts), 20);
            if "ep".contains(name) {
                values.retain(|value| is_id(value));
            }
            if ask.tags.iter().all(|(other, _)| *other != name) {
                ask.tags.push((name, values));
            }
        }
        ask.since = rng.chance(4).then(|| near_time(rng, &anchor, &self.times));
        ask.until = rng.chance(4).then(|| near_time(rng, &anchor, &self.times));
        ask.limit = rng.chance(2).then(|| match rng.below(8) {
            0 => 0,
            1 => 1,
            2 => pick(rng, &[u64::MAX, u64::from(u32::MAX) + 1, 1 << 63, 100_000]),
            3 => rng.below(300),
            _ => rng.below(12),
        });
        ask
    }
}

fn tag_count(rng: &mut Rng) -> u64 {
    match rng.below(40) {
        0 => 30 + rng.below(60),
        n => n % 5,
    }
}

/// A list with `value` in it most of the time, and others; now and then with nothing at all.
fn list<T: Clone>(rng: &mut Rng, value: T, other: impl Fn(&mut Rng) -> T, most: u64) -> Vec<T> {
    if rng.chance(25) {
        return Vec::new();
    }
    let count = if rng.chance(2) { 0 } else { 1 + rng.below(most) };
    let mut out: Vec<T> = (0..count).map(|_| other(rng)).collect();
    if out.is_empty() || !rng.chance(5) {
        out.push(value);
    }
    rng.shuffle(&mut out);
    out
}

fn near_time(rng: &mut Rng, anchor: &Ev, times: &[u64]) -> u64 {
    let time = if rng.chance(2) { anchor.created_at } else { pick(rng, times) };
    match rng.below(6) {
        0 => time.saturating_add(1),
        1 => time.saturating_sub(1),
        2 => pick(rng, &[0, u64::MAX]),
        _ => time,
    }
}

/// A value of the pool, or one that resembles it.
fn near(rng: &mut Rng, texts: &[String]) -> String {
    let mut text = pick_of(rng, texts).clone();
    match rng.below(10) {
        0 => text = text.to_uppercase(),
        1 => drop(text.pop()),
        2 => text.push('0'),
        3 => text = text.chars().rev().collect(),
        _ => {}
    }
    text
}

fn is_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// Values of tags: what is stored in other forms, at the borders between them, and what collides
/// with it if a form is taken for a text, or a part for the whole.
fn texts(rng: &mut Rng) -> Vec<String> {
    let mut out: Vec<String> =
        ["", " ", "a", "A", "nostr", "Nostr", "\0", "\u{1}\u{1f}\u{7f}", "\"\\/\n\r\t\u{8}\u{c}"]
            .map(String::from)
            .into();
    out.extend(
        ["é", "e\u{301}", "💜🦤", "\u{2028}\u{ffff}\u{10ffff}", "日本語", "[]{}:,", "null", "-1"]
            .map(String::from),
    );
    let shared = hex(rng, 400).replace('0', "x");
    for length in [43, 44, 45, 63, 64, 65, 77, 78, 79, 80, 81, 128, 255, 256, 257, 300, 333] {
        // Same but for the last character.
        out.extend(["y", "z"].map(|last| format!("{}{last}", &shared[..length - 1])));
    }
    for length in [14, 15, 16, 17, 18, 62, 63, 64, 64, 64, 64, 65, 66, 128, 320] {
        out.push(hex(rng, length));
    }
    let id = hex(rng, 64);
    out.extend([
        id.to_uppercase(),
        format!("{}A", &id[..63]),
        format!("{} ", &id[..63]),
        format!("g{}", &id[1..]),
    ]);
    // A text, and the hex of its bytes.
    out.extend(["a".repeat(32), "61".repeat(32), "a".repeat(8), "61".repeat(8)]);
    out.extend(["00".repeat(32), "ff".repeat(32), "é".repeat(40), "💜".repeat(80)]);
    out.push(id);
    out.retain(|_| !rng.chance(3));
    out.push("x".repeat(5_000));
    out.push("t".into());
    out
}

fn hex(rng: &mut Rng, chars: usize) -> String {
    (0..chars).map(|_| char::from(b"0123456789abcdef"[rng.below(16) as usize])).collect()
}

pub fn pick<T: Copy>(rng: &mut Rng, from: &[T]) -> T {
    from[rng.below(from.len() as u64) as usize]
}

pub fn pick_of<'a, T>(rng: &mut Rng, from: &'a [T]) -> &'a T {
    &from[rng.below(from.len() as u64) as usize]
}
