//! tantivy: words without positions, time and source as fast fields, the line stored and compressed by zstd.

use super::lines::Lines;
use super::peer::Peer;
use super::questions::{Answer, Digest, Question, tokens};
use crate::Result;
use crate::clock::process_cpu;
use crate::figure::{Figures, round};
use crate::load::bytes_in;
use serde_json::json;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::time::Instant;
use tantivy::collector::{Count, DocSetCollector, TopDocs};
use tantivy::query::{AllQuery, BooleanQuery, Query, RangeQuery, TermQuery};
use tantivy::schema::{
    FAST, Field, INDEXED, IndexRecordOption, STORED, Schema, TextFieldIndexing, TextOptions, Value,
};
use tantivy::store::Compressor;
use tantivy::tokenizer::{Token, TokenStream, Tokenizer};
use tantivy::{DocAddress, Index, IndexReader, IndexSettings, Order, TantivyDocument, Term, doc};

/// Lines that are made at a time.
const GROUP: u64 = 10_000;

/// Memory of the writer, before it makes a segment.
const WRITER_BYTES: usize = 256 << 20;

/// Bytes from which on it indexes no word.
const WORD_BYTES_MAX: usize = 65_530;

struct Tantivy {
    dir: PathBuf,
    reader: IndexReader,
    fields: Fields,
}

#[derive(Clone, Copy)]
struct Fields {
    ts: Field,
    source: Field,
    raw: Field,
}

/// Opens it, loading it first if it is not there.
pub fn load(dir: &Path, lines: &Lines, figures: &mut Figures) -> Result<Box<dyn Peer>> {
    let dir = dir.join("tantivy");
    if !dir.exists() {
        let part = dir.with_extension("part");
        if part.exists() {
            std::fs::remove_dir_all(&part)?;
        }
        std::fs::create_dir_all(&part)?;
        fill(&part, lines, figures)?;
        std::fs::rename(part, &dir)?;
    }
    let (reader, fields) = open(&dir)?;
    Ok(Box::new(Tantivy { dir, reader, fields }))
}

fn schema() -> (Schema, Fields) {
    let mut schema = Schema::builder();
    let words = TextFieldIndexing::default()
        .set_tokenizer("words")
        .set_fieldnorms(false)
        .set_index_option(IndexRecordOption::Basic);
    let fields = Fields {
        ts: schema.add_u64_field("ts", FAST | STORED),
        source: schema.add_u64_field("source", FAST | INDEXED),
        raw: schema
            .add_text_field("raw", TextOptions::default().set_indexing_options(words).set_stored()),
    };
    (schema.build(), fields)
}

fn open(dir: &Path) -> Result<(IndexReader, Fields)> {
    let index = Index::open_in_dir(dir)?;
    index.tokenizers().register("words", Words::default());
    Ok((index.reader()?, schema().1))
}

fn fill(dir: &Path, lines: &Lines, figures: &mut Figures) -> Result<()> {
    let (schema, fields) = schema();
    let settings = IndexSettings {
        docstore_compression: Compressor::Zstd(Default::default()),
        ..IndexSettings::default()
    };
    let index = Index::builder().schema(schema).settings(settings).create_in_dir(dir)?;
    index.tokenizers().register("words", Words::default());
    let mut writer = index.writer_with_num_threads::<TantivyDocument>(1, WRITER_BYTES)?;
    let (started, cpu) = (Instant::now(), process_cpu());
    let making = lines.batches(GROUP, |_, batch| {
        for (ts, source, raw) in batch.iter() {
            let raw = std::str::from_utf8(raw)?;
            writer.add_document(doc!(
                fields.ts => ts, fields.source => source as u64, fields.raw => raw,
            ))?;
        }
        Ok(())
    })?;
    writer.commit()?;
    let seconds = started.elapsed().as_secs_f64();
    writer.wait_merging_threads()?;
    let cpu = (process_cpu() - cpu - making) as f64 / 1e9;
    let values = json!({
        "lines": lines.count, "seconds": round(seconds), "cpu_seconds": round(cpu),
        "seconds_with_merges": round(started.elapsed().as_secs_f64()), "bytes": bytes_in(dir)?,
        "segments": index.searchable_segment_ids()?.len(),
        "records_per_cpu_second": (lines.count as f64 / cpu).round(),
    });
    eprintln!("tantivy: {values}");
    figures.add("logs", "tantivy", "load, one commit, with merges", values)
}

impl Tantivy {
    fn query(&self, question: &Question) -> Box<dyn Query> {
        let mut parts: Vec<Box<dyn Query>> = Vec::new();
        for token in &question.tokens {
            let term = Term::from_field_text(self.fields.raw, token);
            parts.push(Box::new(TermQuery::new(term, IndexRecordOption::Basic)));
        }
        if let Some(source) = question.source {
            let term = Term::from_field_u64(self.fields.source, source as u64);
            parts.push(Box::new(TermQuery::new(term, IndexRecordOption::Basic)));
        }
        if question.from.is_some() || question.to.is_some() {
            let bound = |ts: Option<u64>, of: fn(Term) -> Bound<Term>| {
                ts.map_or(Bound::Unbounded, |ts| of(Term::from_field_u64(self.fields.ts, ts)))
            };
            parts.push(Box::new(RangeQuery::new(
                bound(question.from, Bound::Included),
                bound(question.to, Bound::Excluded),
            )));
        }
        match parts.len() {
            0 => Box::new(AllQuery),
            1 => parts.remove(0),
            _ => Box::new(BooleanQuery::intersection(parts)),
        }
    }
}

impl Peer for Tantivy {
    fn name(&self) -> &str {
        "tantivy"
    }

    fn answers(&self, question: &Question) -> bool {
        !matches!(question.answer, Answer::Histogram(_))
    }

    fn ask(&mut self, _: &Lines, question: &Question) -> Result<Digest> {
        let searcher = self.reader.searcher();
        let query = self.query(question);
        if question.answer == Answer::Count {
            return Ok(Digest::count(searcher.search(&query, &Count)? as u64));
        }
        let raw_of = |at: DocAddress| -> Result<(u64, TantivyDocument)> {
            let doc: TantivyDocument = searcher.doc(at)?;
            let ts = doc.get_first(self.fields.ts).and_then(|ts| ts.as_u64()).unwrap_or(0);
            Ok((ts, doc))
        };
        let mut found: Vec<(u64, TantivyDocument)> = Vec::new();
        if question.limit > 0 {
            let order = if question.newest { Order::Desc } else { Order::Asc };
            let top = TopDocs::with_limit(question.limit).order_by_fast_field::<u64>("ts", order);
            for (_, at) in searcher.search(&query, &top)? {
                found.push(raw_of(at)?);
            }
        } else {
            let mut all: Vec<_> = searcher.search(&query, &DocSetCollector)?.into_iter().collect();
            // Stored lines are unpacked by block: neighbours one after the other.
            all.sort_unstable();
            for at in all {
                found.push(raw_of(at)?);
            }
            found.sort_by_key(|(ts, _)| *ts);
        }
        let mut digest = Digest::default();
        for (ts, doc) in &found {
            let raw = doc.get_first(self.fields.raw).and_then(|raw| raw.as_str()).unwrap_or("");
            digest.row(*ts, raw.as_bytes());
        }
        Ok(digest)
    }

    fn files(&self) -> PathBuf {
        self.dir.clone()
    }

    fn reopen(&mut self) -> Result<()> {
        self.reader = open(&self.dir)?.0;
        Ok(())
    }

    fn calls_max(&self) -> usize {
        100
    }
}

/// The rule that all stores here are told, for tantivy.
#[derive(Clone, Default)]
struct Words {
    token: Token,
}

/// What is left of a text.
struct Stream<'a> {
    text: &'a str,
    words: Vec<(usize, usize)>,
    next: usize,
    token: &'a mut Token,
}

impl Tokenizer for Words {
    type TokenStream<'a> = Stream<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> Stream<'a> {
        self.token.reset();
        let start = text.as_ptr() as usize;
        let of = |word: &[u8]| {
            let from = word.as_ptr() as usize - start;
            (from, from + word.len())
        };
        let words = tokens(text.as_bytes()).filter(|word| word.len() < WORD_BYTES_MAX).map(of);
        Stream { text, words: words.collect(), next: 0, token: &mut self.token }
    }
}

impl TokenStream for Stream<'_> {
    fn advance(&mut self) -> bool {
        let Some(&(from, to)) = self.words.get(self.next) else { return false };
        self.next += 1;
        self.token.position = self.token.position.wrapping_add(1);
        (self.token.offset_from, self.token.offset_to) = (from, to);
        self.token.text.clear();
        self.token.text.push_str(&self.text[from..to]);
        self.token.text.make_ascii_lowercase();
        true
    }

    fn token(&self) -> &Token {
        self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        self.token
    }
}
