//! The dictionary against a `BTreeMap`, with terms chosen to hurt: shared prefixes, extreme bytes, every
//! length.

use super::scan::Walk;
use super::*;
use crate::base::PageSize;
use crate::pool::{PagedFile, Pool};
use crate::segment::pages::PageWriter;
use crate::segment::postings::ListWriter;
use crate::segment::tests::{PAGES, Random, file};
use std::collections::{BTreeMap, BTreeSet};

fn write(
    terms: &BTreeSet<Vec<u8>>,
    page: PageSize,
) -> (Pages, Dictionary, BTreeMap<Vec<u8>, Postings>) {
    let file = file();
    let mut out = PageWriter::new(file.clone(), [2; 16], page.bytes());
    let (mut writer, mut lists) = (DictionaryWriter::default(), ListWriter::new());
    let mut twin = BTreeMap::new();
    for (i, term) in (0u32..).zip(terms) {
        for ordinal in 0..=i % 30 {
            lists.push(&mut out, ordinal * (1 + i % 700)).unwrap();
        }
        let postings = lists.finish(&mut out).unwrap();
        writer.add(&mut out, term, &postings).unwrap();
        twin.insert(term.clone(), postings);
    }
    let root = writer.finish(&mut out).unwrap();
    assert_eq!(writer.take_hashes().len(), terms.len());
    let count = out.next();
    out.finish(&[]).unwrap();
    let pool = Pool::new(64 * page.bytes(), page);
    let pooled = PagedFile::new(&pool, file.clone(), [2; 16], count, None);
    let pages = Pages::new(pooled, file, [2; 16]);
    let region = Region { first: 1, pages: count - 1 };
    (pages, Dictionary::new(region, root.page, root.levels, u32::MAX), twin)
}

fn check(terms: &BTreeSet<Vec<u8>>, page: PageSize) -> u8 {
    let (pages, dictionary, twin) = write(terms, page);
    let mut walk = Walk::new(dictionary);
    for (term, postings) in &twin {
        assert_eq!(dictionary.find(&pages, term).unwrap(), Some(*postings), "{term:?}");
        assert_eq!(walk.next(&pages).unwrap(), Some((&term[..], *postings)));
        // Neighbours that may or may not be terms.
        let mut near = [term.clone(), term.clone(), term.clone(), term.clone()];
        near[0].pop();
        near[1].push(0);
        near[2].push(0xff);
        if let Some(last) = near[3].last_mut() {
            *last = last.wrapping_add(1);
        }
        for other in near {
            assert_eq!(dictionary.find(&pages, &other).unwrap(), twin.get(&other).copied());
            let mut walk = Walk::new(dictionary);
            walk.seek(&pages, &other).unwrap();
            for (term, postings) in twin.range(other..).take(2) {
                assert_eq!(walk.next(&pages).unwrap(), Some((&term[..], *postings)));
            }
        }
    }
    assert!(walk.next(&pages).unwrap().is_none());
    assert!(walk.next(&pages).unwrap().is_none());
    assert_eq!(dictionary.find(&pages, b"").unwrap(), None);
    assert_eq!(dictionary.find(&pages, &[0xff; 200]).unwrap(), None);
    walk.seek(&pages, &[0xff; 200]).unwrap();
    assert!(walk.next(&pages).unwrap().is_none());
    walk.seek(&pages, b"").unwrap();
    assert_eq!(walk.next(&pages).unwrap().map(|(term, _)| term), terms.first().map(|t| &t[..]));
    dictionary.levels
}

#[test]
fn an_empty_and_a_one_term_dictionary() {
    assert_eq!(check(&BTreeSet::new(), PageSize::K4), 0);
    assert_eq!(check(&BTreeSet::from([b"x".to_vec()]), PageSize::K4), 1);
    assert_eq!(check(&BTreeSet::from([vec![0; 80]]), PageSize::K4), 1);
}

#[test]
fn every_string_of_three_extreme_bytes_up_to_length_seven() {
    let mut terms = BTreeSet::new();
    for len in 1..=7u32 {
        for n in 0..3usize.pow(len) {
            let digit = |i: u32| [0, 0x7f, 0xff][n / 3usize.pow(i) % 3];
            terms.insert((0..len).map(digit).collect());
        }
    }
    for page in PAGES {
        check(&terms, page);
    }
}

#[test]
fn terms_of_every_length_with_long_shared_prefixes() {
    let mut terms = BTreeSet::new();
    for len in 1..=80usize {
        for byte in [0, 1, 0x61, 0xfe, 0xff] {
            terms.insert(vec![byte; len]);
            for last in 0..=40 {
                let mut term = vec![byte; len];
                term[len - 1] = last * 6;
                terms.insert(term);
            }
        }
    }
    for page in PAGES {
        assert!(check(&terms, page) >= 2);
    }
}

#[test]
fn long_terms_that_part_at_their_last_byte_make_a_deep_tree() {
    let mut random = Random(3);
    let mut terms = BTreeSet::new();
    for _ in 0..200 {
        let mut term = vec![b'p'; 80];
        term[75] = random.next() as u8;
        term[76] = random.next() as u8;
        for last in 0..40 {
            term[79] = last * 5;
            terms.insert(term.clone());
        }
    }
    for _ in 0..20_000 {
        // Each a leaf apart from the next only in its last bytes, so that separators are long.
        let mut term = vec![b'q'; 77];
        term.extend_from_slice(&(random.next() as u32).to_be_bytes()[..3]);
        terms.insert(term);
    }
    assert!(check(&terms, PageSize::K4) >= 3);
}

#[test]
fn random_terms_at_every_page_size() {
    let mut random = Random(8);
    for page in PAGES {
        let terms = (0..6000)
            .map(|_| {
                let len = 1 + random.below(80) as usize;
                let alphabet = [2, 4, 256][random.below(3) as usize];
                (0..len).map(|_| random.below(alphabet) as u8).collect()
            })
            .collect();
        assert!(check(&terms, page) >= 2);
    }
}

#[test]
fn the_writer_refuses_terms_out_of_order() {
    let file = file();
    let mut out = PageWriter::new(file, [2; 16], 4096);
    let (mut writer, mut lists) = (DictionaryWriter::default(), ListWriter::new());
    lists.push(&mut out, 1).unwrap();
    let postings = lists.finish(&mut out).unwrap();
    writer.add(&mut out, b"b", &postings).unwrap();
    assert!(writer.add(&mut out, b"b", &postings).is_err());
    assert!(writer.add(&mut out, b"a", &postings).is_err());
    assert!(writer.add(&mut out, b"", &postings).is_err());
    assert!(writer.add(&mut out, &[b'c'; 81], &postings).is_err());
    writer.add(&mut out, b"ba", &postings).unwrap();
}
