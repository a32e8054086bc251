//! The parts, each alone and small: what one step costs, and what the plain way to do it would cost.
//!
//! `cargo bench --bench parts -- NAME` measures; `cargo test --bench parts` runs each once, so that none rots.
//! What the whole costs is `perf/`'s to say.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use ratite::base::{Ids, Key, PageSize, SegmentId, StoreId, Terms, crc64, hash64};
use ratite::io::{Disk, Faults, Rng, SimDisk};
use ratite::logs::tokens::{self, Needles};
use ratite::memtable;
use ratite::nostr::generate::{Config, Generator};
use ratite::nostr::{
    Event, EventRef, EventStore, Filter, JsonLimits, id, parse_event, parse_filter, terms, verify,
    write_event,
};
use ratite::pool::Pool;
use ratite::segment::{Body, Builder, Compression, NewSegment, Segment};
use ratite::store::Options;
use ratite::wal::Ring;
use std::collections::VecDeque;
use std::hint::black_box;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Arc, Mutex};

/// Records of the segment and of the memtable.
const RECORDS: u32 = 10_000;

fn ring(c: &mut Criterion) {
    let mut group = c.benchmark_group("128 messages of 640 bytes");
    group.throughput(Throughput::Elements(128));
    let message = [7u8; 640];
    let (ring, mut drainer) = Ring::new(1 << 20);
    group.bench_function("ring", |b| {
        b.iter(|| {
            for tag in 0..128 {
                ring.try_push(tag, &[&message[..40], &message[40..]]).expect("there is room");
            }
            let mut sum = 0;
            drainer.drain(128, &mut |tag, bytes| {
                sum += tag + bytes.len() as u64;
                ControlFlow::Continue(())
            });
            sum
        });
    });
    let queue: Mutex<VecDeque<(u64, Vec<u8>)>> = Mutex::default();
    group.bench_function("queue behind a mutex", |b| {
        b.iter(|| {
            for tag in 0..128 {
                queue.lock().expect("no panic").push_back((tag, message.to_vec()));
            }
            let mut sum = 0;
            while let Some((tag, bytes)) = queue.lock().expect("no panic").pop_front() {
                sum += tag + bytes.len() as u64;
            }
            sum
        });
    });
}

fn checksum(c: &mut Criterion) {
    let page = [7u8; 4096];
    let mut group = c.benchmark_group("checksum");
    group.throughput(Throughput::Bytes(page.len() as u64));
    group.bench_function("crc64 of 4 KiB", |b| b.iter(|| crc64(black_box(&page))));
}

/// Signed events, and their terms.
fn events(count: usize) -> Vec<Event> {
    let mut generator = Generator::new(1, &Config { events: count as u64, ..Config::default() });
    (0..count).map(|_| generator.next_unsigned().into_event()).collect()
}

fn terms_of(event: &Event) -> Terms {
    let mut out = Terms::new();
    terms::of_event(&event.as_ref(), &mut out);
    out.seal();
    out
}

fn in_memory(c: &mut Criterion) {
    let events = events(2_000);
    let terms: Vec<Terms> = events.iter().map(terms_of).collect();
    let config = memtable::Config {
        bytes: 32 << 20,
        records: RECORDS,
        ids: Ids::Foreign,
        late_from: u8::MAX,
    };
    let mut group = c.benchmark_group("memtable");
    group.throughput(Throughput::Elements(events.len() as u64));
    group.bench_function("append 2,000 events", |b| {
        b.iter_batched(
            || memtable::new(config, 0).0,
            |mut writer| {
                for (event, terms) in events.iter().zip(&terms) {
                    writer.append(event.key(), event.body(), terms).expect("there is room");
                }
                writer
            },
            BatchSize::LargeInput,
        );
    });
    group.finish();
    let (mut writer, memtable) = memtable::new(config, 0);
    for (event, terms) in events.iter().zip(&terms) {
        writer.append(event.key(), event.body(), terms).expect("there is room");
    }
    let mut notes = Terms::new();
    terms::kind(1, &mut notes);
    let notes = notes.iter().next().expect("a term").to_vec();
    c.bench_function("memtable: walk back 500 of a term", |b| {
        b.iter(|| {
            let list = memtable.postings(&notes).expect("there are notes");
            list.iter_back().take(500).map(|o| memtable.time(o)).sum::<u64>()
        });
    });
}

/// A segment with three lists: every record, every third, and one term for each record.
fn segment() -> Arc<Segment> {
    let disk = SimDisk::new(1, Faults::default());
    let dir = Path::new("/bench");
    disk.create_dir(dir).expect("a directory");
    let page = PageSize::K4;
    let id = SegmentId::v7(1, [1; 10]);
    let (store, model) = (StoreId([1; 16]), ("bench", 1));
    let (ids, compression) = (Ids::Foreign, Compression::None);
    let new = NewSegment { id, store, shard: 0, page, model, ids, mark: None, compression };
    let mut builder = Builder::create(&*disk, dir, new).expect("a builder");
    let (mut rng, mut terms) = (Rng::new(1), Terms::new());
    for o in 0..RECORDS {
        let mut id = [0; 32];
        id.chunks_mut(8)
            .for_each(|chunk| chunk.copy_from_slice(&rng.below(u64::MAX).to_le_bytes()));
        terms.clear();
        terms.push(&[b"all"]);
        terms.push(&[b"own", &o.to_be_bytes()]);
        if o % 3 == 0 || rng.below(10) == 0 {
            terms.push(&[b"some"]);
        }
        terms.seal();
        builder.add(Key { time: o.into(), id }, &[7; 300], &terms).expect("an ordinal");
    }
    builder.finish().expect("a segment");
    let expect = (new.store, new.shard, new.model.0, new.model.1);
    let pool = Pool::new(32 << 20, page);
    Segment::open(&pool, &*disk, dir, id, expect, None).expect("a segment")
}

fn on_disk(c: &mut Criterion) {
    let segment = segment();
    let some = segment.term(b"some").expect("readable").expect("there");
    let mut cursor = some.cursor(&segment);
    let mut plain = Vec::new();
    let mut next = cursor.seek_ge(0).expect("readable");
    while let Some(o) = next {
        plain.push(o);
        next = cursor.seek_ge(o + 1).expect("readable");
    }
    let mut group = c.benchmark_group("posting list of 4,000");
    group.bench_function("walk back", |b| {
        b.iter(|| {
            let (mut cursor, mut sum) = (some.cursor(&segment), 0u64);
            let mut at = cursor.seek_le(RECORDS).expect("readable");
            while let Some(o) = at {
                sum += u64::from(o);
                at = o.checked_sub(1).and_then(|o| cursor.seek_le(o).expect("readable"));
            }
            sum
        });
    });
    let mut rng = Rng::new(2);
    let targets: Vec<u32> = (0..1024).map(|_| rng.below(RECORDS.into()) as u32).collect();
    let mut i = 0;
    let mut target = move || {
        i += 1;
        targets[i % targets.len()]
    };
    let mut cursor = some.cursor(&segment);
    group.bench_function("seek", |b| b.iter(|| cursor.seek_ge(target()).expect("readable")));
    group.bench_function("rank", |b| b.iter(|| some.rank(&segment, target()).expect("readable")));
    group.bench_function("seek in a plain Vec", |b| {
        b.iter(|| plain.get(plain.partition_point(|&o| o < target())).copied());
    });
    group.finish();
    c.bench_function("dictionary: find one of 10,000 terms", |b| {
        b.iter(|| {
            let mut term = *b"own\0\0\0\0";
            term[3..].copy_from_slice(&target().to_be_bytes());
            segment.term(&term).expect("readable").expect("there").count()
        });
    });
    c.bench_function("pool: a page that is there", |b| {
        b.iter(|| segment.time(target()).expect("readable"));
    });
    c.bench_function("id index: find", |b| {
        let ids: Vec<_> = (0..64).map(|o| segment.id(o * 100).expect("readable")).collect();
        b.iter(|| segment.find(&ids[target() as usize % 64]).expect("readable"));
    });
}

/// A segment of lines of a log, from 200 sources in order of time, and how many bytes they are.
fn lines(compression: Compression) -> (Arc<Segment>, u64) {
    let disk = SimDisk::new(1, Faults::default());
    let dir = Path::new("/bench");
    disk.create_dir(dir).expect("a directory");
    let (page, id) = (PageSize::K4, SegmentId::v7(1, [2; 10]));
    let (store, model) = (StoreId([1; 16]), ("bench", 1));
    let new = NewSegment {
        id,
        store,
        shard: 0,
        page,
        model,
        ids: ratite::base::Ids::Foreign,
        mark: None,
        compression,
    };
    let mut builder = Builder::create(&*disk, dir, new).expect("a builder");
    let mut rng = Rng::new(1);
    for time in 0..u64::from(RECORDS) {
        let (source, status) = (rng.below(200), [200, 200, 304, 404, 500][rng.below(5) as usize]);
        let (item, took, trace) = (rng.below(40_000), rng.below(900_000), rng.next_u64());
        let line = format!(
            "\x0bservice-{source:03}2026-11-22T06:{:02}:{:02}.{:06}Z INFO gateway[{}] GET /api/v1/items/{item} \
             HTTP/1.1 {status} took_us={took} trace={trace:016x} user_agent=\"Mozilla/5.0\"",
            time / 600 % 60,
            time / 10 % 60,
            time * 100 % 1_000_000,
            1000 + source,
        );
        let mut id = [0; 32];
        id[..8].copy_from_slice(&(!time).to_be_bytes());
        builder.add_record(Key { time, id }, line.as_bytes()).expect("an ordinal");
    }
    let raw = builder.finish().expect("a segment").raw_bytes;
    let expect = (new.store, new.shard, new.model.0, new.model.1);
    let pool = Pool::new(32 << 20, page);
    (Segment::open(&pool, &*disk, dir, id, expect, None).expect("a segment"), raw)
}

/// The bytes of the bodies of `ordinals`, read as a walk reads them.
fn walk(segment: &Segment, ordinals: &[u32]) -> usize {
    let (mut entries, mut body, mut bytes) = (Vec::new(), Body::default(), 0);
    for ahead in ordinals.chunks(64) {
        entries.clear();
        segment.entries(ahead, &mut entries).expect("readable");
        for entry in &entries {
            body = segment.body_of(entry, body).expect("readable");
            bytes += black_box(&*body).len();
        }
    }
    bytes
}

fn bodies(c: &mut Criterion) {
    let forms = [
        ("by block", Compression::Blocks),
        ("one by one, packed", Compression::Zstd),
        ("one by one", Compression::None),
    ];
    let all: Vec<u32> = (0..RECORDS).collect();
    let newest: Vec<u32> = all.iter().rev().copied().take(100).collect();
    for (name, compression) in forms {
        let (segment, raw) = lines(compression);
        let mut group = c.benchmark_group("bodies");
        let mut rng = Rng::new(2);
        group.bench_function(format!("{name}: one"), |b| {
            b.iter(|| {
                let o = rng.below(RECORDS.into()) as u32;
                segment.body(o, Body::default()).expect("readable").len()
            });
        });
        group.bench_function(format!("{name}: the newest 100"), |b| {
            b.iter(|| walk(&segment, &newest));
        });
        group.throughput(Throughput::Bytes(raw));
        group.bench_function(format!("{name}: all"), |b| b.iter(|| walk(&segment, &all)));
        group.finish();
    }
}

fn nostr(c: &mut Criterion) {
    let mut generator = Generator::new(1, &Config::default());
    let note = generator.by_ref().find(|e| e.kind() == 1 && e.as_ref().tag_count() > 2);
    let note = note.expect("there is always another note");
    let json = note.to_json();
    let mut group = c.benchmark_group(format!("note of {} bytes as JSON", json.len()));
    group.throughput(Throughput::Bytes(json.len() as u64));
    let (limits, mut body, mut text) = (JsonLimits::default(), Vec::new(), Vec::new());
    group.bench_function("parse", |b| b.iter(|| parse_event(&json, &limits, &mut body)));
    group.bench_function("parse by serde_json", |b| {
        b.iter(|| serde_json::from_slice::<serde_json::Value>(&json).expect("JSON"));
    });
    group.bench_function("write", |b| {
        b.iter(|| {
            text.clear();
            write_event(&note.as_ref(), &mut text);
            text.len()
        });
    });
    let value: serde_json::Value = serde_json::from_slice(&json).expect("JSON");
    group.bench_function("write by serde_json", |b| {
        b.iter(|| serde_json::to_vec(&value).expect("JSON").len());
    });
    group.finish();
    let view = note.as_ref();
    c.bench_function("event: view, checked", |b| b.iter(|| EventRef::new(view.key(), view.body())));
    c.bench_function("event: view of a store", |b| b.iter(|| EventRef::stored(view.record())));
    c.bench_function("event: id", |b| b.iter(|| id::check(black_box(&view))));
    c.bench_function("event: signature", |b| b.iter(|| verify::signature(black_box(&view))));
    let filter = br#"{"kinds":[1,6,7],"since":1600000000,"limit":100}"#;
    c.bench_function("filter: parse", |b| b.iter(|| parse_filter(filter).expect("a filter")));
    let authors = Some((0..200).map(|i| [i as u8; 32]).chain([*note.pubkey()]).collect());
    let mut filter = Filter { authors, kinds: Some(vec![1, 6]), ..Filter::default() };
    filter.normalize();
    c.bench_function("filter: match against 201 authors", |b| b.iter(|| filter.matches(&view)));
}

/// A line of a web server, of 120 bytes.
const LINE: &[u8] =
    b"10.2.33.127 - - GET /api/v1/users/48213 HTTP/1.1 200 4127 req=9f86d081884c7d65 \
      Mozilla/5.0 (X11; Linux) upstream=15ms";

fn logs(c: &mut Criterion) {
    let mut group = c.benchmark_group(format!("log line of {} bytes", LINE.len()));
    group.throughput(Throughput::Bytes(LINE.len() as u64));
    group.bench_function("tokens, hashed", |b| {
        b.iter(|| {
            let mut sum = 0;
            tokens::each(black_box(LINE), |token| sum ^= hash64(token));
            sum
        });
    });
    let lower = LINE.to_ascii_lowercase();
    let is_part = |b: &u8| b.is_ascii_alphanumeric() || *b >= 0x80;
    group.bench_function("three tokens looked for", |b| {
        let needles = Needles::new(&["linux get 200"]);
        b.iter(|| needles.all_in(black_box(LINE)));
    });
    group.bench_function("three tokens looked for by splitting", |b| {
        let wanted = [&b"linux"[..], b"get", b"200"];
        b.iter(|| {
            let has = |token: &[u8]| black_box(&lower).split(|b| !is_part(b)).any(|t| t == token);
            wanted.iter().all(|token| has(token))
        });
    });
    group.finish();
}

fn store(c: &mut Criterion) {
    let dir = tempfile::tempdir().expect("a directory");
    let store = EventStore::open(dir.path(), &Options::default()).expect("a store");
    let mut events = events(2_000).into_iter();
    for event in events.by_ref().take(1_000) {
        store.insert(&event.as_ref()).and_then(|p| p.wait()).expect("an answer");
    }
    let seen: Vec<[u8; 32]> = {
        let mut ids = Vec::new();
        let mut all = store.query(&[Filter::default()]).expect("an answer");
        while let Some(event) = all.next().expect("readable") {
            ids.push(*event.id());
        }
        ids
    };
    let mut i = 0;
    c.bench_function("store: get by id", |b| {
        b.iter(|| {
            i += 1;
            store.get(&seen[i % seen.len()]).expect("readable").is_some()
        });
    });
    let mut more = Generator::new(2, &Config::default());
    c.bench_function("store: one durable insert", |b| {
        b.iter_batched(
            || more.next_unsigned().into_event(),
            |event| store.insert(&event.as_ref()).and_then(|p| p.wait()).expect("an answer"),
            BatchSize::PerIteration,
        );
    });
    store.close().expect("closed");
}

/// What an event costs its thread when it becomes a record of a log store; a thousand at a time, then the queue is
/// emptied, which is not counted.
#[cfg(feature = "tracing-layer")]
fn own_events(c: &mut Criterion) {
    use ratite::logs::{LogStore, TracingOptions};
    use tracing_subscriber::layer::SubscriberExt;
    let store = Arc::new(LogStore::in_memory().expect("memory"));
    let layer = ratite::tracing_layer(store, &TracingOptions::named("bench")).expect("a layer");
    let handle = layer.handle();
    let dispatch = tracing::Dispatch::new(tracing_subscriber::registry().with(layer));
    let mut group = c.benchmark_group("1,000 events of three fields");
    group.throughput(Throughput::Elements(1_000));
    let empty = || assert!(handle.flush(std::time::Duration::from_secs(60)));
    tracing::dispatcher::with_default(&dispatch, || {
        group.bench_function("to a log store", |b| {
            let emit =
                || (0..1_000).for_each(|n| tracing::info!(n, text = "a text", b = true, "it is"));
            b.iter_batched(empty, |()| emit(), BatchSize::PerIteration);
        });
    });
    assert_eq!(handle.dropped(), 0);
}

#[cfg(not(feature = "tracing-layer"))]
fn own_events(_: &mut Criterion) {}

criterion_group! {
    name = parts;
    config = Criterion::default().sample_size(20).without_plots();
    targets = ring, checksum, in_memory, on_disk, bodies, nostr, logs, store, own_events
}
criterion_main!(parts);
