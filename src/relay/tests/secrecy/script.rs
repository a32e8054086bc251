//! What is done, drawn from a seed: what others publish, what the client says.

use super::world::{CHALLENGE, NOW};
use crate::io::Rng;
use crate::nostr::{Event, Signer};
use crate::relay::Config;
use serde_json::{Value, json};
use std::fmt;

/// Keys of the client; those of everyone else.
const OWN: [u8; 2] = [1, 2];
const OTHERS: [u8; 4] = [11, 12, 13, 14];

const PUBLIC: [u16; 8] = [1, 1, 1, 7, 0, 30_023, 10_002, 1111];
/// Private in every configuration, and all are kept.
const REGULAR: [u16; 3] = [4, 14, 1059];
const WORDS: [&str; 6] = ["apple", "pear", "plum", "quince", "fig", "apple pear"];

/// One thing that happens.
pub(super) enum Step {
    /// The client says this.
    Say(String),
    /// The client compares these events, by time and id, with what matches the filter.
    Compare(String, Vec<(u64, [u8; 32])>),
    /// Somebody publishes an event, in both worlds.
    Others(Event),
    /// Somebody publishes a private event: another one in each world, or in one of them only.
    Secret([Option<Event>; 2]),
    /// So many seconds pass.
    Pass(u64),
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let json = |event: &Event| String::from_utf8_lossy(&event.to_json()).into_owned();
        match self {
            Step::Say(text) => write!(f, "say {text}"),
            Step::Compare(filter, own) => write!(f, "compare {} events with {filter}", own.len()),
            Step::Others(event) => write!(f, "others {}", json(event)),
            Step::Secret(events) => {
                let of = |event: &Option<Event>| event.as_ref().map_or("nothing".into(), json);
                write!(f, "secret {} | {}", of(&events[0]), of(&events[1]))
            }
            Step::Pass(seconds) => write!(f, "pass {seconds} s"),
        }
    }
}

/// What one client does, and what happens meanwhile.
pub(super) struct Script {
    pub(super) steps: Vec<Step>,
}

/// Everyone, and what they have published so far.
pub(super) struct Cast {
    private: Vec<u16>,
    public: Vec<Event>,
    secret: Vec<Event>,
    now: u64,
}

fn pick<T: Copy>(rng: &mut Rng, from: &[T]) -> T {
    from[rng.below(from.len() as u64) as usize]
}

fn signer(n: u8) -> Signer {
    Signer::new([n; 32]).unwrap()
}

fn hex(n: u8) -> String {
    const_hex::encode(signer(n).pubkey())
}

impl Cast {
    pub(super) fn new(rng: &mut Rng) -> Cast {
        let mut private = vec![4, 14, 1059];
        // Of the others some are replaceable, addressable, ephemeral, or have words that are searched.
        for kind in [13, 10_050, 30_402, 24_133] {
            if rng.chance(2) {
                private.push(kind);
            }
        }
        Cast { private, public: Vec::new(), secret: Vec::new(), now: NOW }
    }

    /// A configuration with limits that the stores come near to.
    pub(super) fn config(&self, rng: &mut Rng) -> &'static Config {
        let mut config = Config { private_kinds: self.private.clone(), ..Config::default() };
        let limits = &mut config.limits;
        (limits.limit_default, limits.limit_max) = (5 + rng.below(20), 30 + rng.below(300));
        limits.hll_events = 5 + rng.below(30) as usize;
        limits.negentropy_items = 5 + rng.below(60) as usize;
        Box::leak(Box::new(config))
    }

    /// What is there when the first client comes.
    pub(super) fn history(&mut self, rng: &mut Rng) -> Vec<Step> {
        (0..60 + rng.below(60)).map(|_| self.happening(rng)).collect()
    }

    /// The next client.
    pub(super) fn script(&mut self, rng: &mut Rng) -> Script {
        let count = 4 + rng.below(12);
        Script { steps: (0..count).map(|_| self.step(rng)).collect() }
    }

    fn step(&mut self, rng: &mut Rng) -> Step {
        match rng.below(20) {
            0..=3 => self.happening(rng),
            4..=6 => Step::Say(self.publish(rng)),
            7 => {
                let tags = [vec!["relay", "ws://localhost"], vec!["challenge", CHALLENGE]];
                let signer = signer(pick(rng, &OWN));
                let event = Event::from_parts(*signer.pubkey(), self.now, 22_242, &tags, "");
                Step::Say(format!("[\"AUTH\",{}]", text(&event.sign(&signer))))
            }
            8 => {
                let own = self.known(rng, 30);
                let own = own.iter().map(|event| (event.created_at(), *event.id())).collect();
                Step::Compare(self.filter(rng), own)
            }
            9 => Step::Say(format!("[\"CLOSE\",\"{}\"]", rng.below(4))),
            10..=12 => Step::Say(format!("[\"COUNT\",\"c\",{}]", self.filters(rng))),
            _ => {
                let sub = rng.below(4);
                Step::Say(format!("[\"REQ\",\"{sub}\",{}]", self.filters(rng)))
            }
        }
    }

    /// What others do.
    fn happening(&mut self, rng: &mut Rng) -> Step {
        match rng.below(12) {
            0 => {
                let seconds = rng.below(4);
                self.now += seconds;
                Step::Pass(seconds)
            }
            1 => Step::Others(self.request(rng, &OTHERS)),
            2 => {
                // A private event that the client is a party to.
                let (by, to) = (pick(rng, &OTHERS), pick(rng, &OWN));
                let (by, to) = if rng.chance(2) { (by, to) } else { (to, by) };
                // Of a kind of which all are kept: a newer version that is none of the client's would end it.
                let event = self.private_event(rng, by, Some(to), &REGULAR);
                self.public.push(event.clone());
                Step::Others(event)
            }
            3..=7 => {
                let mut one = |rng: &mut Rng| {
                    let (by, to) = (pick(rng, &OTHERS), pick(rng, &OTHERS));
                    let to = Some(to).filter(|_| !rng.chance(4));
                    let kinds = self.stored();
                    let event = rng.chance(2).then(|| self.private_event(rng, by, to, &kinds));
                    self.secret.extend(event.clone());
                    event
                };
                Step::Secret([one(rng), one(rng)])
            }
            _ => {
                let author = pick(rng, &[OTHERS[0], OTHERS[1], OTHERS[2], OWN[0]]);
                let event = self.public_event(rng, author);
                self.public.push(event.clone());
                Step::Others(event)
            }
        }
    }

    /// An event of one of these kinds.
    fn event(&self, rng: &mut Rng, by: u8, kinds: &[u16], mut tags: Vec<[String; 2]>) -> Event {
        let kind = pick(rng, kinds);
        let words: Vec<&str> = (0..1 + rng.below(5)).map(|_| pick(rng, &WORDS)).collect();
        if rng.chance(4) {
            tags.push(["t".into(), pick(rng, &["x", "y"]).into()]);
        }
        if rng.chance(12) {
            tags.push(["expiration".into(), (self.now + rng.below(9)).to_string()]);
        }
        if kind >= 30_000 {
            tags.push(["d".into(), pick(rng, &["", "a", "b"]).into()]);
        }
        let at = self.now - rng.below(50);
        Event::from_parts(*signer(by).pubkey(), at, kind, &tags, &words.join(" "))
    }

    fn public_event(&self, rng: &mut Rng, by: u8) -> Event {
        let mut tags = Vec::new();
        if rng.chance(3) {
            tags.push(["p".into(), hex(pick(rng, &[1, 11, 12]))]);
        }
        if let Some(about) = self.known(rng, 1).first() {
            tags.push(["e".into(), const_hex::encode(about.id())]);
        }
        self.event(rng, by, &PUBLIC, tags)
    }

    fn private_event(&self, rng: &mut Rng, by: u8, to: Option<u8>, kinds: &[u16]) -> Event {
        let mut tags: Vec<[String; 2]> = to.iter().map(|to| ["p".into(), hex(*to)]).collect();
        if let Some(about) = self.known(rng, 1).first() {
            tags.push(["e".into(), const_hex::encode(about.id())]);
        }
        self.event(rng, by, kinds, tags)
    }

    /// The private kinds that are stored.
    fn stored(&self) -> Vec<u16> {
        self.private.iter().filter(|kind| !(20_000..30_000).contains(*kind)).copied().collect()
    }

    /// Some events, of which the client has heard elsewhere.
    fn known(&self, rng: &mut Rng, max: u64) -> Vec<Event> {
        let mut some = Vec::new();
        for _ in 0..1 + rng.below(max) {
            let from = if rng.chance(2) { &self.public } else { &self.secret };
            if !from.is_empty() {
                some.push(from[rng.below(from.len() as u64) as usize].clone());
            }
        }
        some.sort_unstable_by_key(|event| *event.id());
        some.dedup_by_key(|event| *event.id());
        some
    }

    /// A request to delete, or rarely to vanish.
    fn request(&self, rng: &mut Rng, by: &[u8]) -> Event {
        let by = pick(rng, by);
        let mut tags: Vec<[String; 2]> = Vec::new();
        if by != OTHERS[3] && rng.chance(60) {
            let tags = [["relay", "ALL_RELAYS"]];
            return Event::from_parts(*signer(by).pubkey(), self.now - 40, 62, &tags, "");
        }
        for event in self.known(rng, 3) {
            tags.push(["e".into(), const_hex::encode(event.id())]);
        }
        if rng.chance(6) {
            let kind = pick(rng, &[30_402, 10_050, 30_023]);
            tags.push(["a".into(), format!("{kind}:{}:a", hex(by))]);
        }
        let at = self.now - rng.below(50);
        Event::from_parts(*signer(by).pubkey(), at, 5, &tags, "")
    }

    /// An EVENT of the client: its own, one of others again, a request.
    fn publish(&mut self, rng: &mut Rng) -> String {
        let own = pick(rng, &OWN);
        let event = match rng.below(12) {
            0..=2 => self.request(rng, &OWN),
            3..=6 => self.known(rng, 1).pop().unwrap_or_else(|| self.public_event(rng, own)),
            7 => {
                let to = pick(rng, &OTHERS);
                self.private_event(rng, own, Some(to), &self.stored())
            }
            8 => self.event(rng, own, &[1, 20_001, 24_133], vec![["-".into(), "".into()]]),
            9 => self.event(rng, own, &[20_001, 24_133], vec![]),
            _ => self.public_event(rng, own),
        };
        let by = OWN.into_iter().chain(OTHERS).find(|n| signer(*n).pubkey() == event.pubkey());
        let signed = event.sign(&signer(by.unwrap_or(own)));
        if ![5, 62, 20_001, 24_133].contains(&signed.kind()) && by.is_some_and(|by| by < 10) {
            self.public.push(signed.clone());
        }
        format!("[\"EVENT\",{}]", text(&signed))
    }

    fn filters(&self, rng: &mut Rng) -> String {
        let filters: Vec<String> = (0..1 + rng.below(3) / 2).map(|_| self.filter(rng)).collect();
        filters.join(",")
    }

    fn filter(&self, rng: &mut Rng) -> String {
        let mut filter = json!({});
        let mut put = |name: &str, values: Value| filter[name] = values;
        let all = [1, 2, 11, 12, 13, 14];
        if rng.chance(4) {
            let ids = self.known(rng, 6);
            put("ids", ids.iter().map(|event| const_hex::encode(event.id())).collect());
        }
        if rng.chance(3) {
            put("authors", (0..1 + rng.below(3)).map(|_| hex(pick(rng, &all))).collect());
        }
        if rng.chance(2) {
            let kinds = [&self.private[..], &[1, 7, 5, 30_023]].concat();
            put("kinds", (0..1 + rng.below(4)).map(|_| pick(rng, &kinds)).collect());
        }
        match rng.below(10) {
            0 | 1 => put("#p", json!([hex(pick(rng, &all))])),
            2 => put("#t", json!(["x"])),
            3 => {
                let about = self.known(rng, 1);
                put("#e", about.iter().map(|event| const_hex::encode(event.id())).collect());
            }
            4 | 5 => {
                let words = [pick(rng, &WORDS), pick(rng, &WORDS)].join(" ");
                put("search", json!(words));
            }
            _ => {}
        }
        if rng.chance(5) {
            put("since", json!(self.now - rng.below(50)));
        }
        if rng.chance(5) {
            put("until", json!(self.now - rng.below(50)));
        }
        if rng.chance(2) {
            put("limit", json!(rng.below(20)));
        }
        filter.to_string()
    }
}

fn text(event: &Event) -> String {
    String::from_utf8(event.to_json()).unwrap()
}
