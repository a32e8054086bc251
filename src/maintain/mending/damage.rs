//! One flipped byte in every kind of file and every region of it.

use super::*;
use crate::base::Lsn;
use crate::pool::format::PAGE_TRAILER_BYTES;
use crate::segment::format::kind;
use crate::shard::format::Manifest;

/// A page of the store under test.
const PAGE: usize = 4096;

/// What a flip in a place may cost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Cost {
    /// Nothing.
    Nothing,
    /// Records, each named by its ordinal.
    Named,
    /// One entry of the log, its block named.
    Entry,
    /// As `Entry`, or taken for a torn write.
    LastEntry,
    /// Removed records come back.
    Returned,
}

/// A byte to flip, the unit that the damage has to be found in, and what it may cost.
#[derive(Clone, Debug)]
pub(super) struct Spot {
    pub(super) path: PathBuf,
    pub(super) byte: usize,
    pub(super) unit: std::ops::Range<u64>,
    pub(super) cost: Cost,
}

fn spread(rng: &mut Rng, range: std::ops::Range<usize>, count: usize) -> Vec<usize> {
    let len = (range.end - range.start) as u64;
    (0..count).map(|_| range.start + rng.below(len) as usize).collect()
}

pub(super) fn store_spots(image: &Image, rng: &mut Rng) -> Vec<Spot> {
    let path = Path::new(DIR).join("STORE");
    let len = image.files[&path].len();
    let mut bytes: Vec<usize> = (0..64).collect();
    bytes.extend(spread(rng, 64..len, 4));
    let unit = 0..len as u64;
    bytes
        .into_iter()
        .map(|byte| Spot { path: path.clone(), byte, unit: unit.clone(), cost: Cost::Nothing })
        .collect()
}

fn manifest_of(image: &Image, path: &Path) -> Option<Manifest> {
    let shard = u16::from(path.parent()?.ends_with("shard-01"));
    let bytes = &image.files[path];
    let (store, _) = crate::shard::format::belongs_to(bytes)?;
    Manifest::decode(path, bytes, store, shard).ok()
}

fn is(path: &Path, prefix: &str, suffix: &str) -> bool {
    let name = path.file_name().unwrap().to_str().unwrap();
    name.starts_with(prefix) && name.ends_with(suffix)
}

pub(super) fn manifest_spots(image: &Image, rng: &mut Rng) -> Vec<Spot> {
    let paths = image.files.keys().filter(|path| is(path, "manifest-", ""));
    let newest = |path: &Path| {
        let dir = path.parent();
        image.files.keys().filter(|p| p.parent() == dir && is(p, "manifest-", "")).max()
            == Some(&path.to_path_buf())
    };
    let mut spots = Vec::new();
    for path in paths {
        let len = image.files[path].len();
        let used = image.files[path].iter().rposition(|&b| b != 0).unwrap() + 1;
        let mut bytes: Vec<usize> = (0..64).collect();
        bytes.extend(spread(rng, 64..used, 12));
        bytes.extend(spread(rng, used..len, 3));
        for byte in bytes {
            let cost = match newest(path) && byte < used {
                true => Cost::Returned,
                false => Cost::Nothing,
            };
            spots.push(Spot { path: path.clone(), byte, unit: 0..len as u64, cost });
        }
    }
    spots
}

pub(super) fn segment_spots(image: &Image, rng: &mut Rng) -> (Vec<Spot>, BTreeSet<u32>) {
    let (mut spots, mut kinds) = (Vec::new(), BTreeSet::new());
    for path in image.files.keys().filter(|path| is(path, "", ".seg")) {
        for (number, page) in image.files[path].chunks(PAGE).enumerate() {
            let of = u32::from_le_bytes(page[PAGE - 12..PAGE - 8].try_into().unwrap());
            let cost = match of {
                kind::BODIES | kind::TIMES | kind::IDS | kind::LOCATIONS => Cost::Named,
                _ => Cost::Nothing,
            };
            let new = kinds.insert(of);
            let mut bytes = Vec::new();
            if new || rng.chance(6) {
                bytes.extend(spread(rng, 0..PAGE - PAGE_TRAILER_BYTES, 1));
            }
            if new {
                bytes.extend(spread(rng, 0..PAGE - PAGE_TRAILER_BYTES, 3));
                bytes.extend(PAGE - PAGE_TRAILER_BYTES..PAGE);
            }
            if new && of == kind::HEADER {
                bytes.extend((0..crate::segment::format::HEADER_BYTES).step_by(7));
            }
            let start = number * PAGE;
            let unit = start as u64..(start + PAGE) as u64;
            spots.extend(bytes.into_iter().map(|byte| Spot {
                path: path.clone(),
                byte: start + byte,
                unit: unit.clone(),
                cost,
            }));
        }
    }
    (spots, kinds)
}

/// Where blocks begin and end in the log files, by their own words, from the newest manifest's start.
pub(super) fn blocks(image: &Image, dir: &Path) -> Vec<(PathBuf, std::ops::Range<usize>)> {
    let manifests = image.files.keys().filter(|p| p.starts_with(dir) && is(p, "manifest-", ""));
    let start = manifest_of(image, manifests.max().unwrap()).unwrap().log_start;
    let mut blocks = Vec::new();
    for path in image.files.keys().filter(|p| p.starts_with(dir) && is(p, "wal-", "")) {
        let number = crate::wal::survey::number_of(path).unwrap();
        let bytes = &image.files[path];
        let mut at = 0;
        while let Some(head) = bytes.get(at..at + 48) {
            let lsn = u64::from_le_bytes(head[16..24].try_into().unwrap());
            let payload = u32::from_le_bytes(head[4..8].try_into().unwrap()) as usize;
            if &head[..4] == b"rblk" && lsn == Lsn::new(number, at as u32).0 {
                let end = (at + 48 + payload).next_multiple_of(512);
                if lsn >= start.0 {
                    blocks.push((path.clone(), at..end));
                }
                at = end;
            } else {
                at += 512;
            }
        }
    }
    blocks
}

pub(super) fn log_spots(image: &Image, rng: &mut Rng) -> Vec<Spot> {
    let mut spots = Vec::new();
    for dir in ["shard-00", "shard-01"].map(|dir| Path::new(DIR).join(dir)) {
        let blocks = blocks(image, &dir);
        let mut seen = BTreeSet::new();
        for (i, (path, range)) in blocks.iter().enumerate() {
            let last = i + 1 == blocks.len();
            let cost = if last { Cost::LastEntry } else { Cost::Entry };
            let mut bytes = spread(rng, range.clone(), 1);
            if i == 1 || last {
                let step = if dir.ends_with("shard-00") { 1 } else { 5 };
                bytes.extend((range.start..range.start + 60).step_by(step));
            }
            let unit = range.start as u64..range.end as u64;
            let spot = |byte| Spot { path: path.clone(), byte, unit: unit.clone(), cost };
            spots.extend(bytes.into_iter().map(spot));
            if seen.insert(path.clone()) {
                let step = if dir.ends_with("shard-00") && seen.len() == 1 { 1 } else { 6 };
                let header = (0..56).step_by(step).chain(spread(rng, 56..512, 4));
                let alone = blocks.iter().filter(|(p, _)| p == path).count() == 1 && last;
                let cost = if alone { Cost::LastEntry } else { Cost::Nothing };
                spots.extend(header.map(|byte| Spot {
                    path: path.clone(),
                    byte,
                    unit: 0..512,
                    cost,
                }));
            }
        }
    }
    spots
}

/// Flips `spot`, and follows the store through verification, repair and opening.
fn follow(image: &Image, spot: &Spot, seed: u64) -> repair::Repaired {
    let mut damaged = image.files.clone();
    damaged.get_mut(&spot.path).unwrap()[spot.byte] ^= 1 << (seed % 8);
    let (env, disk) = machine(&damaged, seed);
    let report = verified(&env);
    let here = |f: &&crate::maintain::Finding| {
        f.path == spot.path && f.offset.is_some_and(|offset| spot.unit.contains(&offset))
    };
    let found = report.findings.iter().find(here);
    let found = found.unwrap_or_else(|| panic!("{spot:?}: {:?}", report.findings));
    let torn = found.severity == Severity::Note;
    assert!(!torn || spot.cost == Cost::LastEntry, "{spot:?}: {found:?}");
    assert_eq!(files(&disk), damaged, "{spot:?}: verify has changed something");
    let done = repaired(&env);
    if torn {
        assert!(done.actions.is_empty() && files(&disk) == damaged, "{spot:?}");
    } else {
        let after = done.after.as_ref().unwrap();
        assert!(after.is_healthy(), "{spot:?}: {:?}", after.findings);
        let kept = files(&disk);
        let name = spot.path.file_name().unwrap().to_str().unwrap();
        let kept = kept.iter().find(|(path, _)| {
            path.parent().unwrap().ends_with("quarantine") && path.to_str().unwrap().ends_with(name)
        });
        assert_eq!(kept.map(|(_, bytes)| bytes), damaged.get(&spot.path), "{spot:?}");
    }
    compare(image, spot, &done, &read_all(&env));
    let again = repaired(&env);
    assert!(again.actions.is_empty(), "{spot:?}: {:?}", again.actions);
    done
}

fn compare(image: &Image, spot: &Spot, done: &repair::Repaired, found: &BTreeMap<[u8; 32], Item>) {
    let whole = held(image.items.iter());
    let content = |id: &[u8; 32]| image.items.iter().find(|item| item.0.id == *id);
    assert!(found.iter().all(|(id, item)| content(id) == Some(item)), "{spot:?}: other records");
    let missing: BTreeSet<[u8; 32]> = ids(&whole).difference(&ids(found)).copied().collect();
    let extra: BTreeSet<[u8; 32]> = ids(found).difference(&ids(&whole)).copied().collect();
    match spot.cost {
        Cost::Nothing => {
            assert!(missing.is_empty() && extra.is_empty(), "{spot:?}: {missing:?} {extra:?}");
            assert!(done.lost.is_empty(), "{spot:?}: {:?}", done.lost);
        }
        Cost::Named => {
            assert!(extra.is_empty(), "{spot:?}");
            let named = done.lost.iter().filter(|lost| !lost.dead);
            assert!(named.clone().all(|lost| lost.path == spot.path && lost.ordinal.is_some()));
            // One that the log behind the manifest removes is named too, and not missing.
            let gone = |id: [u8; 32]| !whole.contains_key(&id);
            let known: Vec<[u8; 32]> = named.clone().filter_map(|lost| lost.id).collect();
            assert!(known.iter().all(|&id| missing.contains(&id) || gone(id)), "{spot:?}");
            let unknown = named.count() - known.len();
            let rest = missing.iter().filter(|id| !known.contains(id)).count();
            assert!(rest <= unknown && unknown <= rest + 12, "{spot:?}: {unknown} for {rest}");
        }
        Cost::Entry | Cost::LastEntry => {
            let without = |i: usize| {
                let rest = image.items.iter().enumerate().filter(|(j, _)| i != *j);
                ids(&held(rest.map(|(_, item)| item)))
            };
            let mut lost = (image.in_log..image.items.len()).map(without);
            assert!(lost.any(|rest| rest == ids(found)), "{spot:?}: {missing:?} {extra:?}");
            let named = done.lost.iter().any(|lost| lost.path == spot.path);
            assert!(named || spot.cost == Cost::LastEntry, "{spot:?}: {:?}", done.lost);
        }
        Cost::Returned => {
            assert!(missing.is_empty() && done.lost.is_empty(), "{spot:?}: {missing:?}");
        }
    }
}

#[test]
fn a_flipped_byte_of_store_is_found_and_mended() {
    let image = image(1, 200, 20);
    for (i, spot) in store_spots(&image, &mut Rng::new(1)).iter().enumerate() {
        follow(&image, spot, i as u64);
    }
}

#[test]
fn a_flipped_byte_of_a_manifest_is_found_and_loses_nothing() {
    let (mut exact, mut gathered) = (0, 0);
    // With few records the log still reaches back to the manifest before; with many it does not.
    for (seed, flushed) in [(2, 60), (3, 700)] {
        let image = image(seed, flushed, 20);
        for (i, spot) in manifest_spots(&image, &mut Rng::new(seed)).iter().enumerate() {
            let done = follow(&image, spot, i as u64);
            exact += done.actions.iter().filter(|a| a.what.contains("say the same")).count();
            gathered += done.actions.iter().filter(|a| a.what.contains("put together")).count();
        }
    }
    assert!(exact > 50 && gathered > 50, "{exact} {gathered}");
}

#[test]
fn a_flipped_byte_of_a_segment_is_found_and_the_index_costs_no_record() {
    let image = image(4, 600, 6);
    let (spots, kinds) = segment_spots(&image, &mut Rng::new(4));
    for region in [
        kind::HEADER,
        kind::BODIES,
        kind::TIMES,
        kind::IDS,
        kind::LOCATIONS,
        kind::ID_INDEX,
        kind::LEAF,
        kind::INTERIOR,
        kind::POSTINGS,
        kind::FILTER,
        kind::MARKS,
        kind::HEADER_COPY,
    ] {
        assert!(kinds.contains(&region), "no page of kind {region:#x}");
    }
    for (i, spot) in spots.iter().enumerate() {
        follow(&image, spot, i as u64);
    }
}

#[test]
fn a_flipped_byte_among_blocks_of_bodies_costs_named_records_and_no_other() {
    let image = image_of(&by_block(), 6, 1200, 6);
    let (spots, kinds) = segment_spots(&image, &mut Rng::new(6));
    assert!(kinds.contains(&kind::BODIES) && kinds.contains(&kind::LOCATIONS));
    let mut some = 0;
    for (i, spot) in spots.iter().enumerate().filter(|(_, spot)| spot.cost == Cost::Named) {
        let done = follow(&image, spot, i as u64);
        some += usize::from(!done.lost.is_empty());
    }
    assert!(some > 5, "{some} of {} cost a record", spots.len());
}

#[test]
fn a_flipped_byte_of_the_log_is_found_and_costs_one_block_at_most() {
    let image = image(5, 60, 24);
    for (i, spot) in log_spots(&image, &mut Rng::new(5)).iter().enumerate() {
        follow(&image, spot, i as u64);
    }
}
