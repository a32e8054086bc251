//! What is asked: the queries of a Nostr client, with parameters drawn from what is stored.

use crate::base::{Error, Key, Result};
use crate::io::Rng;
use crate::nostr::{Class, EventRef, Filter, Search, TagValue, class};
use std::collections::HashMap;

/// Events of which something is remembered, unless more is asked for.
const SAMPLES: usize = 20_000;

/// What a store holds, as far as parameters need it. Gathered in one pass.
pub struct Facts {
    seen: u64,
    samples: usize,
    rng: Rng,
    /// Ids, authors and kinds of events, each as likely as any other.
    sample: Vec<Sample>,
    /// How many notes and reposts each author wrote.
    authors: HashMap<[u8; 32], u32>,
    /// Ids and authors that tags of the sampled events name, and hashtags.
    noted: Vec<[u8; 32]>,
    mentioned: Vec<[u8; 32]>,
    hashtags: Vec<String>,
    /// Words of sampled notes, in their order.
    texts: Vec<Vec<String>>,
}

/// Notes whose words are remembered.
const TEXTS: usize = 20_000;

#[derive(Clone, Copy)]
struct Sample {
    id: [u8; 32],
    author: [u8; 32],
    kind: u16,
    created_at: u64,
}

impl Facts {
    /// Nothing yet; `seed` decides what will be remembered.
    pub fn new(seed: u64) -> Facts {
        Facts::sampling(seed, SAMPLES)
    }

    /// Remembers something of `samples` events.
    pub fn sampling(seed: u64, samples: usize) -> Facts {
        Facts {
            seen: 0,
            samples,
            rng: Rng::new(seed),
            sample: Vec::new(),
            authors: HashMap::new(),
            noted: Vec::new(),
            mentioned: Vec::new(),
            hashtags: Vec::new(),
            texts: Vec::new(),
        }
    }

    /// Takes note of a stored event.
    pub fn see(&mut self, event: &EventRef<'_>) {
        self.seen += 1;
        if matches!(event.kind(), 1 | 6) {
            *self.authors.entry(*event.pubkey()).or_default() += 1;
        }
        let at = match self.sample.len() {
            len if len < self.samples => len,
            _ => self.rng.below(self.seen) as usize,
        };
        if at >= self.samples {
            return;
        }
        if event.kind() == 1 && self.texts.len() < TEXTS {
            let plain = |word: &&str| word.bytes().all(|byte| byte.is_ascii_lowercase());
            let words = event.content().split(' ').filter(plain).map(String::from);
            self.texts.push(words.collect());
        }
        let (id, author) = (*event.id(), *event.pubkey());
        let sample = Sample { id, author, kind: event.kind(), created_at: event.created_at() };
        match self.sample.get_mut(at) {
            Some(old) => *old = sample,
            None => self.sample.push(sample),
        }
        for tag in event.tags() {
            let Some(value) = tag.value() else { continue };
            match (tag.letter(), value.id()) {
                (Some(b'e'), Some(id)) => self.noted.push(*id),
                (Some(b'p'), Some(key)) if event.kind() != 3 => self.mentioned.push(*key),
                (Some(b't'), None) => self.hashtags.push(value.to_string()),
                _ => {}
            }
        }
    }

    /// How many events were seen.
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// The remembered events of which no other event takes the place.
    pub fn regular(&self) -> impl Iterator<Item = Key> + '_ {
        let regular = self.sample.iter().filter(|s| class(s.kind) == Class::Regular);
        regular.map(|s| Key { time: s.created_at, id: s.id })
    }
}

/// One row: a name, how often it is asked, and how its filters are drawn.
pub struct Row {
    /// What a person calls it.
    pub name: &'static str,
    /// How often it is asked, unless who measures says otherwise.
    pub calls: usize,
    /// What the answer is made into.
    pub answer: Answer,
    /// CPU microseconds at p50 that the project means to reach, if it says.
    pub goal_us: Option<f64>,
    draw: fn(&mut Draw<'_>) -> Filter,
}

/// What an answer is made into.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Borrowed events, each looked at.
    Views,
    /// JSON, appended to one buffer.
    Json,
    /// A number.
    Count,
    /// The owned event of the filter's one id, without a query.
    Get,
}

/// The rows of the query table.
pub fn rows() -> Vec<Row> {
    use Answer::{Count, Get, Json, Views};
    let row = |name, calls, answer, goal_us, draw| Row { name, calls, answer, goal_us, draw };
    vec![
        row("get by id", 20_000, Get, Some(2.15), one_id),
        row("query by one id", 20_000, Views, None, one_id),
        row("profile, kind 0", 10_000, Views, Some(2.6), |d| {
            let author = d.of_kind(0).author;
            feed(vec![author], &[0], 1)
        }),
        row("author feed, limit 50", 5_000, Views, Some(5.2), |d| {
            let author = d.of_kind(1).author;
            feed(vec![author], &[1, 6], 50)
        }),
        row("follow feed, 200 authors, limit 100", 1_000, Views, Some(60.0), |d| {
            let authors = d.followed(200);
            feed(authors, &[1, 6], 100)
        }),
        row("follow feed, 500 authors, limit 500", 500, Views, Some(200.0), |d| {
            let authors = d.followed(500);
            feed(authors, &[1, 6], 500)
        }),
        row("1,500 quiet authors, limit 20", 200, Views, None, |d| {
            let authors = d.quiet(1_500);
            feed(authors, &[1], 20)
        }),
        row("thread, #e, limit 100", 5_000, Views, Some(9.1), |d| {
            let id = d.noted();
            Filter { kinds: Some(vec![1]), limit: Some(100), ..tagged(b'e', id.into()) }
        }),
        row("notifications, #p, since, limit 50", 5_000, Views, Some(8.1), |d| {
            let key = d.mentioned();
            let since = d.moment();
            let kinds = Some(vec![1, 6, 7, 9735]);
            Filter { kinds, since, limit: Some(50), ..tagged(b'p', key.into()) }
        }),
        row("global kind 1, limit 500", 2_000, Views, Some(60.0), |_| newest(1, 500)),
        row("global kind 1, limit 500, as JSON", 2_000, Json, Some(250.0), |_| newest(1, 500)),
        row("global kind 1 until then, limit 100", 2_000, Views, None, |d| {
            let until = d.moment();
            Filter { until, ..newest(1, 100) }
        }),
        row("hashtag, limit 50", 5_000, Views, Some(13.0), |d| {
            let hashtag = d.hashtag();
            Filter { limit: Some(50), ..tagged(b't', hashtag.as_str().into()) }
        }),
        row("one hour of kind 30023", 5_000, Views, Some(4.1), |d| {
            let since = d.moment();
            Filter { since, until: since + 3_600, ..newest(30023, 500) }
        }),
        row("count of reactions to a note", 5_000, Count, Some(3.3), |d| {
            let id = d.noted();
            Filter { kinds: Some(vec![7]), ..tagged(b'e', id.into()) }
        }),
        row("count of kind 1", 2_000, Count, Some(100.0), |_| Filter {
            kinds: Some(vec![1]),
            ..Filter::default()
        }),
        row("100 ids", 2_000, Views, Some(295.0), |d| {
            let ids = (0..100).map(|_| d.any().id).collect();
            Filter { ids: Some(ids), limit: Some(100), ..Filter::default() }
        }),
    ]
}

/// Searches (NIP-50), of words as often as they are written.
pub fn search_rows() -> Vec<Row> {
    let row = |name, draw| Row { name, calls: 500, answer: Answer::Views, goal_us: None, draw };
    vec![
        row("search, a word, limit 50", |d| search(&d.words(1).join(" "), None)),
        row("search, two words, limit 50", |d| search(&d.words(2).join(" "), None)),
        row("search, four words, limit 50", |d| search(&d.words(4).join(" "), None)),
        row("search, a phrase of two, limit 50", |d| {
            search(&format!("\"{}\"", d.words(2).join(" ")), None)
        }),
        row("search, two words of an author", |d| {
            let author = d.of_kind(1).author;
            search(&d.words(2).join(" "), Some(author))
        }),
    ]
}

fn search(text: &str, author: Option<[u8; 32]>) -> Filter {
    let authors = author.map(|author| vec![author]);
    // What was drawn is short.
    Filter { authors, search: Search::new(text).ok(), limit: Some(50), ..Filter::default() }
}

/// Rows whose parameters lie all over the store, so that few pages are met twice.
pub fn cold_rows() -> Vec<Row> {
    use Answer::{Get, Views};
    let row = |name, answer, draw| Row { name, calls: 4_000, answer, goal_us: None, draw };
    vec![
        row("200 authors until then, limit 100", Views, |d| {
            let authors = d.followed(200);
            Filter { until: d.moment(), ..feed(authors, &[1, 6], 100) }
        }),
        row("#p until then, limit 50", Views, |d| {
            let (key, until) = (d.mentioned(), d.moment());
            Filter { until, limit: Some(50), ..tagged(b'p', key.into()) }
        }),
        row("#t until then, limit 50", Views, |d| {
            let (hashtag, until) = (d.hashtag(), d.moment());
            Filter { until, limit: Some(50), ..tagged(b't', hashtag.as_str().into()) }
        }),
        row("get by id", Get, one_id),
    ]
}

fn one_id(draw: &mut Draw<'_>) -> Filter {
    let id = draw.any().id;
    Filter { ids: Some(vec![id]), limit: Some(1), ..Filter::default() }
}

fn feed(authors: Vec<[u8; 32]>, kinds: &[u16], limit: u64) -> Filter {
    let (authors, kinds) = (Some(authors), Some(kinds.to_vec()));
    Filter { authors, kinds, limit: Some(limit), ..Filter::default() }
}

fn tagged(letter: u8, value: TagValue) -> Filter {
    Filter { tags: vec![(letter, vec![value])], ..Filter::default() }
}

fn newest(kind: u16, limit: u64) -> Filter {
    Filter { kinds: Some(vec![kind]), limit: Some(limit), ..Filter::default() }
}

impl Row {
    /// The filters of this row, the same for the same facts and seed.
    ///
    /// # Errors
    /// `Invalid` if the events that were seen answer, name or tag nothing.
    pub fn filters(&self, facts: &Facts, seed: u64) -> Result<Vec<Filter>> {
        if facts.noted.is_empty() || facts.mentioned.is_empty() || facts.hashtags.is_empty() {
            return Err(Error::invalid("store", "it holds too little to draw queries from"));
        }
        let mut quiet: Vec<(u32, [u8; 32])> = facts.authors.iter().map(|(a, n)| (*n, *a)).collect();
        quiet.sort_unstable();
        let mut draw = Draw { facts, rng: Rng::new(seed), quiet };
        let filters = (0..self.calls).map(|_| {
            let mut filter = (self.draw)(&mut draw);
            // As every parsed filter is.
            filter.normalize();
            filter
        });
        Ok(filters.collect())
    }
}

/// Chooses parameters.
struct Draw<'a> {
    facts: &'a Facts,
    rng: Rng,
    /// Authors, those who write least first.
    quiet: Vec<(u32, [u8; 32])>,
}

impl Draw<'_> {
    fn below(&mut self, bound: usize) -> usize {
        self.rng.below(bound.max(1) as u64) as usize
    }

    fn any(&mut self) -> Sample {
        self.facts.sample[self.rng.below(self.facts.sample.len() as u64) as usize]
    }

    fn of_kind(&mut self, kind: u16) -> Sample {
        let tries = (0..10_000).map(|_| self.any()).find(|s| s.kind == kind);
        tries.unwrap_or(self.facts.sample[0])
    }

    /// Authors as a client follows them: who writes more is followed more.
    fn followed(&mut self, count: usize) -> Vec<[u8; 32]> {
        let mut authors: Vec<[u8; 32]> = Vec::with_capacity(count);
        for _ in 0..50 * count {
            let author = self.of_kind(1).author;
            if !authors.contains(&author) {
                authors.push(author);
            }
            if authors.len() == count {
                break;
            }
        }
        authors
    }

    /// Authors from the quieter half.
    fn quiet(&mut self, count: usize) -> Vec<[u8; 32]> {
        let half = self.quiet.len() / 2;
        (0..count).map(|_| self.quiet[self.rng.below(half.max(1) as u64) as usize].1).collect()
    }

    fn noted(&mut self) -> [u8; 32] {
        let at = self.below(self.facts.noted.len());
        self.facts.noted[at]
    }

    fn mentioned(&mut self) -> [u8; 32] {
        let at = self.below(self.facts.mentioned.len());
        self.facts.mentioned[at]
    }

    fn hashtag(&mut self) -> String {
        let at = self.below(self.facts.hashtags.len());
        self.facts.hashtags[at].clone()
    }

    /// So many words in a row of a note that has them.
    fn words(&mut self, count: usize) -> Vec<String> {
        for _ in 0..1_000 {
            let text = self.below(self.facts.texts.len());
            let words = &self.facts.texts[text];
            if words.len() >= count {
                let at = self.rng.below((words.len() - count + 1) as u64) as usize;
                return words[at..at + count].to_vec();
            }
        }
        vec!["bird".into()]
    }

    /// A moment within what is stored, as dense as events are.
    fn moment(&mut self) -> u64 {
        self.any().created_at
    }
}
