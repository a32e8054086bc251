//! Random questions, in pages, while the store is written, sealed, merged and opened again, against a twin that looks at
//! every line it was given.

use super::*;

const WORDS: [&str; 8] = [
    "error",
    "ERROR",
    "r1",
    "request-id",
    "a",
    "a-long-token-of-parts",
    "averylongtoken",
    "AVERYLONGTOKENS",
];

struct Twin {
    lines: Vec<(Position, Source, String)>,
}

impl Twin {
    /// The positions of what `query` asks for, among what arrived up to `frozen`.
    fn find(&self, query: &Query, frozen: u64) -> Vec<Position> {
        let words = |text: &str| -> Vec<String> {
            let text = text.to_ascii_lowercase();
            let all = text.split(|c: char| c.is_ascii() && !c.is_ascii_alphanumeric());
            all.filter(|word| word.len() > 1).map(String::from).collect()
        };
        let terms = query.tokens.iter().map(|term| words(std::str::from_utf8(term).unwrap()));
        let wanted: Vec<String> = terms.flatten().collect();
        let is_match = |(position, source, raw): &&(Position, Source, String)| {
            let has = words(raw);
            position.arrival <= frozen
                && query.from.is_none_or(|from| position.ts >= from)
                && query.to.is_none_or(|to| position.ts < to)
                && (query.sources.is_empty() || query.sources.contains(&source.uuid()))
                && wanted.iter().all(|word| has.contains(word))
        };
        let mut found: Vec<Position> = self.lines.iter().filter(is_match).map(|l| l.0).collect();
        found.sort_unstable();
        if query.reverse {
            found.reverse();
        }
        found
    }
}

struct Run {
    rng: Rng,
    machine: Machine,
    log: Option<LogStore>,
    sources: Vec<Source>,
    twin: Twin,
}

impl Run {
    fn new(seed: u64) -> Run {
        let machine = Machine::new(seed);
        let sources = vec![named("web"), Source::of([3; 16]), named("db"), named("x")];
        let log = Some(machine.open());
        Run { rng: Rng::new(seed), machine, log, sources, twin: Twin { lines: Vec::new() } }
    }

    fn log(&self) -> &LogStore {
        self.log.as_ref().unwrap()
    }

    fn append(&mut self, count: u64) {
        let lines: Vec<(u64, usize, String)> = (0..count)
            .map(|_| {
                let words: Vec<&str> =
                    (0..self.rng.below(4)).map(|_| WORDS[self.rng.below(8) as usize]).collect();
                (self.time(), self.rng.below(4) as usize, words.join(" "))
            })
            .collect();
        let batch = lines.iter().map(|(ts, source, raw)| LogRecord {
            ts: *ts,
            source: &self.sources[*source],
            raw: raw.as_bytes(),
        });
        let positions = self.log().append_batch(&batch.collect::<Vec<_>>()).unwrap();
        for (position, (_, source, raw)) in positions.into_iter().zip(lines) {
            self.twin.lines.push((position, self.sources[source].clone(), raw));
        }
    }

    /// A time of few, so that many are equal.
    fn time(&mut self) -> u64 {
        match self.rng.below(40) {
            0 => 0,
            1 => u64::MAX,
            _ => 1 + self.rng.below(12),
        }
    }

    fn query(&mut self) -> Query {
        let bound = |rng: &mut Rng| rng.chance(2).then(|| rng.below(15));
        let some = |rng: &mut Rng, n: u64| rng.below(n) as usize;
        let sources =
            (0..some(&mut self.rng, 3)).map(|_| self.sources[some(&mut self.rng, 4)].uuid());
        let sources = sources.collect();
        let tokens =
            (0..some(&mut self.rng, 3)).map(|_| WORDS[some(&mut self.rng, 8)].into()).collect();
        let (from, to) = (bound(&mut self.rng), bound(&mut self.rng));
        Query { from, to, reverse: self.rng.chance(2), sources, tokens, limit: 0, resume: None }
    }

    /// Something happens to the store.
    fn disturb(&mut self) {
        match self.rng.below(8) {
            0 => self.log().engine().flush().unwrap(),
            1 => self.log().engine().compact().unwrap(),
            2 => {
                self.log = None;
                self.machine.disk.kill();
                self.log = Some(self.machine.open());
            }
            3 | 4 => {
                let count = self.rng.below(12);
                self.append(count);
            }
            _ => {}
        }
    }

    /// The answer in pages, each of another size, or given up by hand.
    fn paged(&mut self, query: &Query) -> Vec<Position> {
        let (mut found, mut resume) = (Vec::new(), None);
        loop {
            let limit = self.rng.below(6) as usize;
            let by_hand = if self.rng.chance(3) { self.rng.below(5) } else { u64::MAX };
            let asked = Query { limit, resume, ..query.clone() };
            let mut search = self.log().search(&asked).unwrap();
            let mut given = 0;
            while given < by_hand
                && let Some(record) = search.next().unwrap()
            {
                found.push(record.position());
                given += 1;
            }
            let Some(next) = search.resume().unwrap() else { return found };
            resume = Some(next.to_string().parse().unwrap());
            // It holds the store, which else would go on beside its successor.
            drop(search);
            self.disturb();
        }
    }
}

#[test]
fn pages_are_one_answer_whatever_happens_between_them() {
    for seed in 0..60 {
        let mut run = Run::new(seed);
        for round in 0..12 {
            run.append(12);
            run.disturb();
            let query = run.query();
            let wanted = run.twin.find(&query, run.log().newest_arrival());
            assert_eq!(
                run.log().count(&query).unwrap(),
                wanted.len() as u64,
                "seed {seed}: {query:?}"
            );
            let found = run.paged(&query);
            assert_eq!(found, wanted, "seed {seed}, round {round}: {query:?}");
        }
    }
}
