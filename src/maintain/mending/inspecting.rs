//! Inspection of every file, whole and damaged.

use super::damage::{Spot, log_spots, manifest_spots, segment_spots, store_spots};
use super::*;
use crate::base::PageSize;
use crate::maintain::inspect::{self, Ask, Kind, Line, Value};
use crate::model::Bodies;

fn lines(env: &Env, path: &Path, ask: &Ask<'_>) -> Vec<Line> {
    let mut lines = Vec::new();
    inspect::file(env, path, ask, &mut |line| {
        lines.push(line);
        Ok(true)
    })
    .unwrap();
    lines
}

fn all<'a>() -> Ask<'a> {
    Ask { records: true, terms: true, ..Ask::default() }
}

fn number(line: &Line, name: &str) -> Option<u64> {
    let field = line.fields.iter().find(|(field, _)| *field == name);
    field.and_then(|(_, value)| if let Value::Number(n) = value { Some(*n) } else { None })
}

#[test]
fn a_whole_file_is_shown_whole() {
    for model in [toy(), by_block()] {
        is_shown_whole(&image_of(&model, 40, 300, 20), model.bodies());
    }
}

fn is_shown_whole(image: &Image, bodies: Bodies) {
    let (env, disk) = machine(&image.files, 40);
    let mut blocks = 0;
    let (mut records, mut entries, mut postings, mut listed) = (0, 0, 0, 0);
    let show = |record: Record<'_>| record.body.len().to_string();
    for path in image.files.keys() {
        let lines = lines(&env, path, &Ask { show: Some(&show), ..all() });
        assert!(lines.iter().all(|line| line.damage.is_none()), "{path:?}: {lines:?}");
        assert_eq!(lines[0].what, "header", "{path:?}");
        for line in &lines {
            match line.what {
                "record" => records += 1,
                "block" if path.extension().is_some_and(|e| e == "seg") => {
                    blocks += number(line, "records").unwrap();
                }
                "entry" => entries += 1,
                "term" => postings += number(line, "postings").unwrap(),
                "segment" => listed += number(line, "records").unwrap(),
                _ => {}
            }
            let body = line.fields.iter().find(|(name, _)| *name == "body");
            if let Some((_, Value::Text(shown))) = body {
                assert_eq!(number(line, "body_bytes").unwrap().to_string(), *shown);
            }
        }
    }
    let report = verified(&env);
    assert_eq!(blocks, if bodies == Bodies::Blocks { records } else { 0 });
    assert_eq!((records, postings), (report.counts.records, report.counts.postings));
    assert!(entries >= report.counts.entries && listed >= records, "{entries} {listed}");
    assert_eq!(files(&disk), image.files);
}

#[test]
fn damage_is_shown_where_it_is_and_the_walk_goes_on() {
    for model in [toy(), by_block()] {
        is_shown_damaged(&image_of(&model, 41, 400, 20));
    }
}

fn is_shown_damaged(image: &Image) {
    let mut rng = Rng::new(41);
    let mut spots: Vec<Spot> = segment_spots(image, &mut rng).0;
    spots.extend(manifest_spots(image, &mut rng).into_iter().step_by(9));
    spots.extend(store_spots(image, &mut rng).into_iter().take(64).step_by(5));
    spots.extend(log_spots(image, &mut rng).into_iter().step_by(3));
    for spot in spots {
        let mut damaged = image.files.clone();
        damaged.get_mut(&spot.path).unwrap()[spot.byte] ^= 2;
        let (env, _disk) = machine(&damaged, 41);
        let lines = lines(&env, &spot.path, &all());
        let here = |line: &&Line| {
            line.damage.is_some() && line.at.is_some_and(|at| spot.unit.contains(&at))
        };
        let padding = image.files[&spot.path][spot.byte..].iter().all(|&byte| byte == 0);
        assert!(padding || lines.iter().any(|line| here(&line)), "{spot:?}: {lines:?}");
        if spot.path.to_str().unwrap().ends_with(".seg") {
            assert!(lines.iter().filter(|line| line.what == "record").count() > 50, "{spot:?}");
        }
    }
}

#[test]
fn any_bytes_are_shown_from_any_place() {
    let image = image(42, 60, 4);
    let (env, _disk) = machine(&image.files, 42);
    for (path, bytes) in &image.files {
        for at in [0, 16, 500, bytes.len() as u64 - 16, bytes.len() as u64 + 4096] {
            let lines = lines(&env, path, &Ask { at: Some(at), ..Ask::default() });
            let rows = (bytes.len() as u64).saturating_sub(at - at % 16).div_ceil(16);
            assert_eq!(lines.len() as u64, rows, "{path:?} from {at}");
        }
    }
    let noise = Path::new(DIR).join("shard-00/noise");
    let mut files = image.files.clone();
    files.insert(noise.clone(), vec![0xa5; 1024]);
    let (env, _disk) = machine(&files, 42);
    assert_eq!(lines(&env, &noise, &Ask::default()).len(), 64);
}

fn text<'a>(line: &'a Line, name: &str) -> &'a str {
    let field = line.fields.iter().find(|(field, _)| *field == name);
    field.map_or("", |(_, value)| if let Value::Text(text) = value { text } else { "" })
}

fn is_segment(path: &Path) -> bool {
    path.extension().is_some_and(|end| end == "seg")
}

#[test]
fn a_file_is_known_under_any_name_anywhere() {
    let image = image(43, 300, 20);
    for (path, bytes) in &image.files {
        let (env, _disk) = machine(&image.files, 43);
        let in_place = lines(&env, path, &all());
        let prepared = in_place[0].fields.iter().any(|(name, _)| *name == "state");
        for place in ["other/copy", "quarantine/shard-00-copy.1", "copy.bin"] {
            let elsewhere = Path::new(DIR).join(place);
            let files = BTreeMap::from([(elsewhere.clone(), bytes.clone())]);
            let (env, _disk) = machine(&files, 43);
            let kind = inspect::kind_of(&env, &elsewhere).unwrap();
            // A log file that was never written has no bytes to tell.
            assert!(kind.is_some() || prepared, "{path:?}");
            if kind.is_some() && !prepared {
                assert_eq!(lines(&env, &elsewhere, &all()), in_place, "{path:?} as {place}");
            }
        }
    }
}

#[test]
fn a_segment_is_known_by_any_of_its_headers_and_a_log_by_its_first_block() {
    let image = image(44, 300, 20);
    let mut shown = 0;
    for (path, bytes) in &image.files {
        let segment = is_segment(path);
        let log = path.to_str().unwrap().contains("wal-") && bytes.iter().any(|&byte| byte != 0);
        if !segment && !log {
            continue;
        }
        let what = if segment { "record" } else { "entry" };
        let count = |env: &Env, path: &Path| {
            lines(env, path, &all()).iter().filter(|line| line.what == what).count()
        };
        let (env, _disk) = machine(&image.files, 44);
        let in_place = count(&env, path);
        let mut bytes = bytes.clone();
        bytes[0] ^= 1;
        let path = Path::new(DIR).join("x");
        let (env, _disk) = machine(&BTreeMap::from([(path.clone(), bytes)]), 44);
        let kind = if segment { Kind::Segment } else { Kind::Log };
        assert_eq!(inspect::kind_of(&env, &path).unwrap(), Some(kind));
        // One that waits to be written again shows what it was: no name says that it is no more.
        assert!(count(&env, &path) >= in_place, "{kind:?}");
        shown += in_place;
    }
    assert!(shown > 200);
}

/// A segment of pages of `size`, as it lies in a store.
fn of_size(size: PageSize) -> (PathBuf, Vec<u8>) {
    let (env, disk, _clock) = simulated(45, Faults::default());
    let mut rng = Rng::new(45);
    let items: Vec<Item> = (0..2000).map(|i| random_item(&mut rng, 1000 + i)).collect();
    let mut options = options();
    (options.shards, options.page, options.create) = (Some(1), Some(size), true);
    options.memory_bytes = 32 << 20;
    let store = Store::open(Path::new(DIR), toy(), &options, env).unwrap();
    insert(&store, &items);
    store.flush().unwrap();
    store.close().unwrap();
    let (path, bytes) = files(&disk).into_iter().find(|(path, _)| is_segment(path)).unwrap();
    (path, bytes)
}

#[test]
fn the_size_of_pages_is_found_whatever_is_left() {
    for size in PageSize::ALL {
        let (path, whole) = of_size(size);
        let bytes = size.bytes();
        let last = whole.len() - bytes;
        let shown = |flips: &[usize], path: &Path, page_size: Option<PageSize>| {
            let mut damaged = whole.clone();
            flips.iter().for_each(|&at| damaged[at] ^= 1);
            let (env, _disk) = machine(&BTreeMap::from([(path.to_path_buf(), damaged)]), 45);
            let ask = Ask { page: Some(2), page_size, kind: Some(Kind::Segment), ..Ask::default() };
            lines(&env, path, &ask)
        };
        let elsewhere = Path::new(DIR).join("x");
        let size_at = 12 + usize::from(bytes == 8192);
        for (flips, by) in [
            (&[][..], "the header"),
            (&[100], "the copy of the header"),
            (&[0], "the copy of the header"),
            (&[size_at], "the copy of the header"),
            (&[100, last + 100], "checksums of pages"),
            (&[size_at, last + size_at], "checksums of pages"),
        ] {
            for path in [&path, &elsewhere] {
                let lines = shown(flips, path, None);
                let by = match flips {
                    // Both headers are no header any more, and there is no name.
                    [12 | 13, ..] if flips.len() == 2 && path == &elsewhere => "numbers of pages",
                    _ => by,
                };
                assert_eq!(text(&lines[0], "as_says"), by, "{flips:?}");
                assert_eq!(number(&lines[0], "page_bytes"), Some(bytes as u64), "{flips:?}");
                assert_eq!(lines[0].at, Some(2 * bytes as u64), "{flips:?}");
                assert_eq!(lines[0].damage.is_some(), by == "numbers of pages", "{lines:?}");
                let rows = lines.iter().filter(|line| line.what == "bytes").count();
                assert_eq!(rows, bytes / 16);
            }
        }
        let lines = shown(&[0, last], &elsewhere, Some(size));
        assert_eq!(text(&lines[0], "as_says"), "the flag");
        assert_eq!(number(&lines[0], "page_bytes"), Some(bytes as u64));
    }
}

#[test]
fn a_page_says_what_stands_in_it() {
    let mut kinds: BTreeMap<String, u64> = BTreeMap::new();
    for model in [toy(), by_block()] {
        let image = image_of(&model, 46, 3000, 20);
        let (env, _disk) = machine(&image.files, 46);
        let (mut terms, mut bodies, mut in_lists, mut items) = (0, 0, 0, 0);
        let (mut all_terms, mut records, mut shared) = (0, 0, 0);
        for (path, bytes) in image.files.iter().filter(|(path, _)| is_segment(path)) {
            let header = &lines(&env, path, &Ask::default())[0];
            all_terms += number(header, "terms").unwrap();
            records += number(header, "records").unwrap();
            for page in 0..(bytes.len() / 4096) as u32 {
                let lines = lines(&env, path, &Ask { page: Some(page), ..Ask::default() });
                assert!(lines.iter().all(|line| line.damage.is_none()), "page {page}: {lines:?}");
                let kind = text(&lines[0], "kind").to_string();
                let said = &lines[1..lines.len() - 4096 / 16];
                assert!(!said.is_empty(), "page {page}, {kind}");
                for line in said {
                    match (kind.as_str(), line.what) {
                        ("leaf", "term") => {
                            terms += 1;
                            let apart = text(line, "place") != "inline";
                            shared += if apart { number(line, "postings").unwrap() } else { 0 };
                        }
                        ("postings", "list") => in_lists += number(line, "postings").unwrap(),
                        ("bodies", "body") => bodies += 1,
                        ("bodies", "block") => bodies += number(line, "records").unwrap(),
                        ("times", "times") => items += number(line, "items").unwrap(),
                        _ => {}
                    }
                }
                *kinds.entry(kind).or_default() += 1;
            }
            let beyond = Ask { page: Some((bytes.len() / 4096) as u32), ..Ask::default() };
            assert!(inspect::file(&env, path, &beyond, &mut |_| Ok(true)).is_err());
        }
        assert_eq!((terms, bodies, items), (all_terms, records, records));
        assert!(shared > 0 && in_lists == shared, "{in_lists} of {shared}");
    }
    for kind in ["header", "bodies", "times", "ids", "locations", "id-index", "leaf", "postings"] {
        assert!(kinds.contains_key(kind), "{kind}: {kinds:?}");
    }
    for kind in ["interior", "filter", "header-copy", "marks"] {
        assert!(kinds.contains_key(kind), "{kind}: {kinds:?}");
    }
}

#[test]
fn a_damaged_page_says_so_and_what_can_be_read() {
    let image = image(47, 400, 20);
    let mut rng = Rng::new(47);
    for spot in segment_spots(&image, &mut rng).0 {
        let mut damaged = image.files.clone();
        damaged.get_mut(&spot.path).unwrap()[spot.byte] ^= 0x41;
        let (env, _disk) = machine(&damaged, 47);
        let page = (spot.byte / 4096) as u32;
        let lines = lines(&env, &spot.path, &Ask { page: Some(page), ..Ask::default() });
        assert_eq!(lines[0].what, "page");
        assert!(lines[0].damage.is_some(), "{spot:?}: {:?}", lines[0]);
        assert_eq!(lines.iter().filter(|line| line.what == "bytes").count(), 4096 / 16);
    }
}

#[test]
fn of_a_damaged_manifest_every_segment_is_shown_that_can_be_read() {
    let image = image(48, 400, 20);
    let mut rng = Rng::new(48);
    let ids = |lines: &[Line]| -> Vec<String> {
        let segments = lines.iter().filter(|line| line.what == "segment");
        segments.filter(|l| l.damage.is_none()).map(|l| text(l, "id").to_string()).collect()
    };
    let mut several = false;
    for spot in manifest_spots(&image, &mut rng) {
        let (env, _disk) = machine(&image.files, 48);
        let whole = ids(&lines(&env, &spot.path, &Ask::default()));
        several |= whole.len() > 1;
        let mut damaged = image.files.clone();
        damaged.get_mut(&spot.path).unwrap()[spot.byte] ^= 2;
        let (env, _disk) = machine(&damaged, 48);
        let lines = lines(&env, &spot.path, &Ask::default());
        let padding = image.files[&spot.path][spot.byte..].iter().all(|&byte| byte == 0);
        assert_eq!(lines[0].damage.is_none(), padding, "{spot:?}");
        // The header is not what the list is read by.
        if (8..80).contains(&spot.byte) || padding {
            assert_eq!(ids(&lines), whole, "{spot:?}");
        }
    }
    assert!(several);
}
