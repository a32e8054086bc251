//! What events of each kind look like.

use std::collections::BTreeSet;

use super::words::{base64, bech32};
use super::{Generator, Note};
use crate::nostr::json::write::{Controls, put_string};

/// An event before its author's key and id are known.
pub(super) struct Draft {
    /// Number of the author; beyond the authors: a key that is used once.
    pub(super) author: u64,
    pub(super) kind: u16,
    pub(super) tags: Vec<Vec<String>>,
    pub(super) content: String,
}

/// Kinds and how many of 1,000 events are of them.
const SHARES: [(u16, u64); 13] = [
    (1, 450),
    (7, 250),
    (6, 60),
    (9735, 50),
    (0, 40),
    (3, 30),
    (10002, 25),
    (1111, 25),
    (30078, 20),
    (4, 15),
    (1059, 15),
    (30023, 10),
    (20001, 10),
];

const _: () = {
    let (mut i, mut sum) = (0, 0);
    while i < SHARES.len() {
        sum += SHARES[i].1;
        i += 1;
    }
    assert!(sum == 1_000);
};

const RELAYS: [&str; 8] = [
    "wss://relay.one.example",
    "wss://nos.example/",
    "wss://relay.two.example",
    "wss://purple.example",
    "wss://eden.example/",
    "wss://inbox.three.example",
    "wss://nostr.four.example/",
    "",
];

const CLIENTS: [&str; 4] = ["heron", "plover", "curlew", "godwit"];

/// A tag of these items.
macro_rules! tag {
    ($($item:expr),+ $(,)?) => { vec![$(String::from($item)),+] };
}

impl Generator {
    /// The next event but its key.
    pub(super) fn draft(&mut self, created_at: u64) -> Draft {
        let mut at = self.chance.below(1_000);
        let kind = SHARES.iter().find_map(|(kind, share)| {
            let hit = at < *share;
            at = at.saturating_sub(*share);
            hit.then_some(*kind)
        });
        let author = self.authors.rank(&mut self.chance) as u64;
        let mut draft =
            Draft { author, kind: kind.unwrap_or(1), tags: Vec::new(), content: String::new() };
        match draft.kind {
            0 => self.profile(&mut draft),
            3 => self.follows(&mut draft),
            4 => self.message(&mut draft),
            6 => self.repost(&mut draft),
            7 => self.reaction(&mut draft),
            1059 => self.gift_wrap(&mut draft),
            1111 => self.comment(&mut draft),
            9735 => self.zap(&mut draft, created_at),
            10002 => self.relays(&mut draft),
            20001 => draft.tags.push(tag!["g", "u33db"]),
            30023 => self.article(&mut draft, created_at),
            30078 => self.settings(&mut draft),
            _ => self.note(&mut draft),
        }
        draft
    }

    fn note(&mut self, draft: &mut Draft) {
        if let (true, Some(to)) = (self.chance.percent(60), self.recent_note()) {
            let relay = self.chance.pick(&RELAYS);
            if let (true, Some(root)) = (self.chance.percent(50), self.recent_note()) {
                draft.tags.push(tag!["e", hex(&root.id), relay, "root"]);
                draft.tags.push(tag!["p", hex(&root.pubkey)]);
            }
            draft.tags.push(tag!["e", hex(&to.id), relay, "reply", hex(&to.pubkey)]);
            draft.tags.push(tag!["p", hex(&to.pubkey)]);
        }
        let count = self.chance.skewed(2, 130);
        self.words.sentences(&mut self.chance, count, &mut draft.content);
        self.words.decorate(&mut self.chance, &mut draft.content);
        self.hashtags(draft, 25);
        if self.chance.percent(25) {
            draft.tags.push(tag!["client", self.chance.pick(&CLIENTS)]);
        }
    }

    fn reaction(&mut self, draft: &mut Draft) {
        draft.content =
            self.chance.pick(&["+", "+", "+", "🤙", "❤️", "🔥", "-", ":nostrich:"]).into();
        if let Some(to) = self.recent_note() {
            let relay = self.chance.pick(&RELAYS);
            draft.tags.push(tag!["e", hex(&to.id), relay, hex(&to.pubkey)]);
            draft.tags.push(tag!["p", hex(&to.pubkey), relay]);
            draft.tags.push(tag!["k", "1"]);
        }
    }

    fn repost(&mut self, draft: &mut Draft) {
        let Some(of) = self.recent_note() else { return };
        draft.tags.push(tag!["e", hex(&of.id), self.chance.pick(&RELAYS)]);
        draft.tags.push(tag!["p", hex(&of.pubkey)]);
        if self.chance.percent(70) {
            // The reposted note's signature is not known yet; nobody checks it in there.
            let mut sig = hex(&self.chance.bytes32());
            sig.push_str(&hex(&self.chance.bytes32()));
            draft.content = format!(
                r#"{{"content":{},"created_at":{},"id":"{}","kind":1,"pubkey":"{}","sig":"{sig}","tags":[]}}"#,
                quote(&of.content),
                of.created_at,
                hex(&of.id),
                hex(&of.pubkey),
            );
        }
    }

    fn zap(&mut self, draft: &mut Draft, created_at: u64) {
        draft.author = self.chance.below(5); // few services write all receipts
        let Some(to) = self.recent_note() else { return };
        let sats = self.chance.pick(&["21", "100", "420", "1000", "21000"]);
        let from = self.some_key();
        let mut comment = String::new();
        let count = self.chance.below(6);
        self.words.sentences(&mut self.chance, count, &mut comment);
        let request = format!(
            r#"{{"kind":9734,"pubkey":"{from}","created_at":{created_at},"tags":[["e","{}"],["p","{}"],["relays","{}","{}"],["amount","{sats}000"]],"content":{},"id":"{}","sig":"{}{}"}}"#,
            hex(&to.id),
            hex(&to.pubkey),
            RELAYS[0],
            RELAYS[1],
            quote(&comment),
            hex(&self.chance.bytes32()),
            hex(&self.chance.bytes32()),
            hex(&self.chance.bytes32()),
        );
        let mut invoice = format!("lnbc{sats}0n1p");
        bech32(&mut self.chance, 300, &mut invoice);
        draft.tags.push(tag!["p", hex(&to.pubkey)]);
        draft.tags.push(tag!["P", from]);
        draft.tags.push(tag!["e", hex(&to.id)]);
        draft.tags.push(tag!["bolt11", invoice]);
        draft.tags.push(tag!["description", request]);
        draft.tags.push(tag!["preimage", hex(&self.chance.bytes32())]);
    }

    fn profile(&mut self, draft: &mut Draft) {
        let name = String::from(self.words.word(&mut self.chance));
        let mut about = String::new();
        let count = self.chance.skewed(3, 60);
        self.words.sentences(&mut self.chance, count, &mut about);
        self.words.decorate(&mut self.chance, &mut about);
        draft.content = format!(
            r#"{{"name":"{name}","display_name":"{name} ⚡","about":{},"picture":"https://image.example/{}.jpg","nip05":"{name}@nip05.example","lud16":"{name}@pay.example"}}"#,
            quote(&about),
            hex(&self.chance.bytes32()),
        );
    }

    fn follows(&mut self, draft: &mut Draft) {
        let mut seen = BTreeSet::new();
        for _ in 0..self.chance.skewed(1, 560) {
            let key = self.some_key();
            if seen.insert(key.clone()) {
                draft.tags.push(tag!["p", key]);
            }
        }
    }

    fn relays(&mut self, draft: &mut Draft) {
        for _ in 0..self.chance.skewed(2, 9) {
            let mut tag = tag!["r", self.chance.pick(&RELAYS[..7])];
            if self.chance.percent(40) {
                tag.push(self.chance.pick(&["read", "write"]).into());
            }
            draft.tags.push(tag);
        }
    }

    fn message(&mut self, draft: &mut Draft) {
        draft.tags.push(tag!["p", self.some_key()]);
        let count = 24 + 64 * self.chance.skewed(0, 12);
        base64(&mut self.chance, count, &mut draft.content);
        draft.content.push_str("?iv=");
        base64(&mut self.chance, 22, &mut draft.content);
        draft.content.push_str("==");
    }

    fn gift_wrap(&mut self, draft: &mut Draft) {
        draft.author = u64::MAX - self.made;
        draft.tags.push(tag!["p", self.some_key(), self.chance.pick(&RELAYS)]);
        let count = 1_200 + 172 * self.chance.skewed(0, 8);
        base64(&mut self.chance, count, &mut draft.content);
    }

    fn comment(&mut self, draft: &mut Draft) {
        if let Some(on) = self.recent_note() {
            for (event, kind, author) in [("E", "K", "P"), ("e", "k", "p")] {
                draft.tags.push(tag![event, hex(&on.id), "", hex(&on.pubkey)]);
                draft.tags.push(tag![kind, "1"]);
                draft.tags.push(tag![author, hex(&on.pubkey)]);
            }
        }
        let count = self.chance.skewed(3, 80);
        self.words.sentences(&mut self.chance, count, &mut draft.content);
    }

    fn article(&mut self, draft: &mut Draft, created_at: u64) {
        let mut title = String::new();
        let count = 3 + self.chance.below(6);
        self.words.sentences(&mut self.chance, count, &mut title);
        let slug = title.to_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), "-");
        let mut summary = String::new();
        self.words.sentences(&mut self.chance, 25, &mut summary);
        draft.tags.push(tag!["d", slug]);
        draft.tags.push(tag!["title", title.as_str()]);
        draft.tags.push(tag!["summary", summary]);
        draft.tags.push(tag!["published_at", created_at.to_string()]);
        self.hashtags(draft, 100);
        for section in 0..self.chance.skewed(2, 14) {
            draft.content.push_str(&format!(
                "{}## {title} {section}\n\n",
                if section > 0 { "\n\n" } else { "" }
            ));
            let count = 60 + self.chance.below(160);
            self.words.sentences(&mut self.chance, count, &mut draft.content);
            self.words.decorate(&mut self.chance, &mut draft.content);
        }
    }

    fn settings(&mut self, draft: &mut Draft) {
        let client = self.chance.pick(&CLIENTS);
        let part = self.chance.pick(&["settings", "read-state", "drafts"]);
        draft.tags.push(tag!["d", format!("{client}/{part}")]);
        let count = 100 + 16 * self.chance.skewed(0, 30);
        base64(&mut self.chance, count, &mut draft.content);
    }

    /// Adds up to four hashtags, as tags and in the text, in so many of 100 cases.
    fn hashtags(&mut self, draft: &mut Draft, percent: u64) {
        if !self.chance.percent(percent) {
            return;
        }
        for _ in 0..=self.chance.below(4) {
            let hashtag = self.words.hashtag(&mut self.chance);
            draft.content.push_str(" #");
            draft.content.push_str(hashtag);
            draft.tags.push(tag!["t", hashtag]);
        }
    }

    /// A note that is not old, newer ones more often; `None` if there is none yet.
    fn recent_note(&mut self) -> Option<Note> {
        let age = self.chance.skewed(1, self.recent.len().max(1) as u64);
        let count = self.recent.len() as u64;
        let next = self.noted % count.max(1); // the oldest note of a full ring stands there
        self.recent.get(((next + count).checked_sub(age)? % count.max(1)) as usize).cloned()
    }

    /// A key in hex: an author's as often as authors write, or one that never wrote here.
    fn some_key(&mut self) -> String {
        if self.chance.percent(40) {
            return hex(&self.chance.bytes32());
        }
        let author = self.authors.rank(&mut self.chance) as u64;
        hex(self.signer(author).pubkey())
    }
}

fn hex(bytes: &[u8; 32]) -> String {
    const_hex::encode(bytes)
}

/// The text as a JSON string.
fn quote(text: &str) -> String {
    let mut out = Vec::new();
    put_string(&mut out, text.as_bytes(), Controls::Escaped);
    String::from_utf8_lossy(&out).into_owned()
}
