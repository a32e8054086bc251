//! Bytes an event of every kind of page in a segment: the figures of `docs/decisions/0010-compression.md`.
//!
//! `cargo test --release --test it regions -- --ignored --nocapture`

use ratite::base::{Ids, PageSize, SegmentId, StoreId, Terms};
use ratite::io::{Disk, Faults, Rng, SimDisk};
use ratite::model::Model;
use ratite::nostr::generate::{Config, Generator};
use ratite::nostr::terms;
use ratite::segment::{Builder, Compression, NewSegment, file_name};
use std::collections::BTreeMap;
use std::path::Path;

const EVENTS: u64 = 200_000;

/// The page's kind, in its trailer.
fn kind_of(page: &[u8]) -> u32 {
    let trailer = &page[page.len() - 16..];
    u32::from_le_bytes(trailer[4..8].try_into().unwrap())
}

#[test]
#[ignore = "measures; takes a minute"]
fn bytes_an_event_by_region() {
    let mut generator = Generator::new(1, &Config { events: EVENTS, ..Config::default() });
    let mut rng = Rng::new(7);
    let mut events: Vec<_> = (0..EVENTS)
        .map(|_| {
            let event = generator.next_unsigned().into_event();
            let mut under = Terms::new();
            terms::of_event(&event.as_ref(), &mut under);
            under.seal();
            let (key, mut body) = event.into_parts();
            // A signature is noise, and zeros are not.
            body[32..96].iter_mut().for_each(|b| *b = rng.below(256) as u8);
            (key, body, under)
        })
        .collect();
    events.sort_by_key(|(key, ..)| *key);
    let (disk, dir) = (SimDisk::new(1, Faults::default()), Path::new("/regions"));
    disk.create_dir(dir).unwrap();
    for (n, compression) in [(1, Compression::None), (2, Compression::Zstd)] {
        let (store, page, model) = (StoreId([1; 16]), PageSize::K4, ("nostr", 1));
        let id = SegmentId::v7(1, [n; 10]);
        let ids = Ids::Foreign;
        let mark = ratite::nostr::EventModel::default().mark();
        let new = NewSegment { id, store, shard: 0, page, model, ids, mark, compression };
        let mut builder = Builder::create(&*disk, dir, new).unwrap();
        for (key, body, under) in &events {
            builder.add(*key, body, under).unwrap();
        }
        let info = builder.finish().unwrap();
        let bytes = disk.contents(dir.join(file_name(id))).unwrap();
        let mut kinds: BTreeMap<u32, usize> = BTreeMap::new();
        for page in bytes.chunks(page.bytes()) {
            *kinds.entry(kind_of(page)).or_default() += page.len();
        }
        println!("{compression:?}: {:.1} bytes an event", info.bytes as f64 / EVENTS as f64);
        for (kind, bytes) in kinds {
            println!("  pages of kind {kind:#x}: {:.2}", bytes as f64 / EVENTS as f64);
        }
        assert!(compression == Compression::None || info.bytes < 600 * EVENTS);
    }
}
