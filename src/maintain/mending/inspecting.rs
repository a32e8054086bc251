//! Inspection of every file, whole and damaged.

use super::damage::{Spot, log_spots, manifest_spots, segment_spots, store_spots};
use super::*;
use crate::maintain::inspect::{self, Ask, Line, Value};
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
