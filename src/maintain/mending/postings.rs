//! Faults behind good checksums: what only a look at what files mean can find.

use super::*;
use crate::base::{Ids, SegmentId};
use crate::maintain::site::Site;
use crate::segment::{Builder, Compression, NewSegment};
use crate::shard::format::{Manifest, ManifestSegment};
use crate::shard::manifest;

/// Makes wrong terms of the right ones.
type Change<'a> = &'a dyn Fn(&Terms) -> Terms;

/// A store of one segment in the shard of author 1, whose record `wrong` has the terms that `terms` makes of
/// the right ones. Gives the items.
fn store_with(wrong: usize, count: u64, terms: Change<'_>, body: &[u8]) -> (Env, Vec<Item>) {
    store_marked(wrong, count, terms, body, mark)
}

/// As `store_with`, whose records have the marks that `mark` makes.
fn store_marked(
    wrong: usize,
    count: u64,
    terms: Change<'_>,
    body: &[u8],
    mark: fn(&[u8]) -> u32,
) -> (Env, Vec<Item>) {
    let image = image(30, 0, 0);
    let (env, _disk) = machine(&image.files, 30);
    let site = Site::read(&*env.disk, Path::new(DIR), &Toy).unwrap();
    let shard = (hash64(&[1]) & 1) as u16;
    let config = site.config(shard);
    let new = NewSegment {
        id: SegmentId([5; 16]),
        store: site.store,
        shard,
        page: site.page,
        model: ("toy", 3),
        ids: Ids::Foreign,
        mark: Some(mark),
        compression: Compression::None,
    };
    let mut builder = Builder::create(&*env.disk, &config.dir, new).unwrap();
    let mut items = Vec::new();
    for i in 0..count {
        let key = Key { time: i, id: hash32(i) };
        let body = if i as usize == wrong { body.to_vec() } else { vec![b'T', 1, 0, i as u8] };
        let mut right = Terms::new();
        Toy.terms(Record { key, body: &body }, &mut right);
        right.seal();
        let has = if i as usize == wrong { terms(&right) } else { right };
        builder.add(key, &body, &has).unwrap();
        items.push((key, body));
    }
    let records = builder.finish().unwrap().records;
    env.disk.sync_dir(&config.dir).unwrap();
    let old = manifest::read_one(&*env.disk, &config, 1);
    let log_start = old.unwrap().log_start;
    let segments = vec![ManifestSegment { id: new.id, records, dead: vec![] }];
    let next = Manifest { log_start, segments, ..Manifest::first(2) };
    manifest::write(&*env.disk, &config, &next).unwrap();
    (env, items)
}

fn hash32(i: u64) -> [u8; 32] {
    let mut id = [0; 32];
    id[..8].copy_from_slice(&hash64(&i.to_le_bytes()).to_le_bytes());
    id
}

const RIGHT: [u8; 4] = [b'T', 1, 0, 9];

#[test]
fn a_posting_too_few_and_one_too_many_are_named_and_mended() {
    let without = |right: &Terms| {
        let mut terms = Terms::new();
        right.iter().filter(|term| *term != b"all").for_each(|term| terms.push(&[term]));
        terms
    };
    let with = |right: &Terms| {
        let mut terms = right.clone();
        terms.push(&[b"a", &[99]]);
        terms.seal();
        terms
    };
    let instead = |right: &Terms| {
        let mut terms = Terms::new();
        right.iter().filter(|term| *term != b"all").for_each(|term| terms.push(&[term]));
        terms.push(&[b"zzz"]);
        terms.seal();
        terms
    };
    let cases: [(Change<'_>, &[&str]); 3] = [
        (&without, &["does not stand under all"]),
        (&with, &["under ac stands record 7"]),
        (&instead, &["under zzz stands record 7", "does not stand under all"]),
    ];
    for (terms, said) in cases {
        let (env, items) = store_with(7, 500, terms, &RIGHT);
        let report = verified(&env);
        assert_eq!(report.problems as usize, said.len(), "{:?}", report.findings);
        for text in said {
            let of = |f: &super::super::Finding| f.kind == "posting" && f.what.contains(text);
            assert!(report.findings.iter().any(of), "{text}: {:?}", report.findings);
        }
        let done = repaired(&env);
        assert!(done.lost.is_empty() && done.after.unwrap().is_healthy());
        assert_eq!(read_all(&env), held(items.iter()));
    }
}

#[test]
fn a_mark_that_is_not_the_record_s_is_named_and_mended() {
    let but_one = |body: &[u8]| if body[3] == 9 { 0 } else { mark(body) };
    let (env, items) = store_marked(7, 500, &Terms::clone, &RIGHT, but_one);
    let report = verified(&env);
    let of = |f: &super::super::Finding| f.kind == "mark" && f.what.contains("another's mark");
    assert!(report.problems > 0 && report.findings.iter().all(of), "{:?}", report.findings);
    let done = repaired(&env);
    assert!(done.lost.is_empty() && done.after.unwrap().is_healthy());
    assert_eq!(read_all(&env), held(items.iter()));
}

#[test]
fn a_body_that_no_model_knows_is_named_and_lost() {
    let (env, items) = store_with(7, 50, &Terms::clone, &[b'X', 1, 0, 9]);
    let report = verified(&env);
    assert!(report.findings.iter().any(|f| f.kind == "record" && f.what.contains("no toy")));
    let done = repaired(&env);
    assert_eq!(done.lost.len(), 1);
    assert_eq!((done.lost[0].ordinal, done.lost[0].id), (Some(7), Some(items[7].0.id)));
    assert!(done.after.unwrap().is_healthy());
    let kept: Vec<Item> = items.iter().filter(|item| item.1[0] == b'T').cloned().collect();
    assert_eq!(read_all(&env), held(kept.iter()));
}

#[test]
fn a_record_in_the_wrong_shard_is_named() {
    let other = (2..=255u8).find(|&a| hash64(&[a]) & 1 != hash64(&[1]) & 1).unwrap();
    let (env, _items) = store_with(7, 50, &Terms::clone, &[b'T', other, 0, 9]);
    let report = verified(&env);
    assert!(report.findings.iter().any(|f| f.kind == "record" && f.what.contains("lies in shard")));
}
