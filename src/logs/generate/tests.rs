//! The generator: the same bytes for ever, and the mix it promises.

use super::*;
use crate::base::hash64;
use std::collections::{BTreeMap, BTreeSet};

fn lines(seed: u64, indexes: impl Iterator<Item = u64>) -> Vec<(Line, Vec<u8>)> {
    let generator = Generator::new(&Config { seed, ..Config::default() });
    let one = |index| {
        let mut raw = Vec::new();
        (generator.line(index, &mut raw), raw)
    };
    indexes.map(one).collect()
}

#[test]
fn the_first_thousand_lines_are_pinned() {
    let mut all = Vec::new();
    for (line, raw) in lines(1, 0..1_000) {
        all.extend_from_slice(&line.ts.to_be_bytes());
        all.extend_from_slice(&(line.source as u64).to_be_bytes());
        all.extend_from_slice(&raw);
    }
    assert_eq!(
        hash64(&all),
        1_633_398_914_032_151_040,
        "who changes the bytes changes every figure that was taken with them"
    );
}

#[test]
fn a_line_depends_on_seed_and_index_alone() {
    let mut backward = lines(7, (0..300).rev());
    backward.reverse();
    assert_eq!(lines(7, 0..300), backward);
    assert_ne!(lines(7, 0..1), lines(8, 0..1));
    let generator = Generator::new(&Config { seed: 7, ..Config::default() });
    assert!((0..300).all(|i| generator.about(i) == backward[i as usize].0));
}

#[test]
fn a_needle_is_in_its_line_and_in_no_other() {
    let generator = Generator::new(&Config::default());
    let lines = lines(1, 0..3_000);
    let texts: Vec<String> =
        lines.iter().map(|(_, raw)| String::from_utf8(raw.clone()).unwrap()).collect();
    let words = |text: &str| -> BTreeSet<String> {
        text.split(|c: char| !c.is_alphanumeric()).map(str::to_string).collect()
    };
    let mut seen = BTreeMap::new();
    for text in &texts {
        for word in words(text) {
            *seen.entry(word).or_insert(0) += 1;
        }
    }
    for (i, text) in texts.iter().enumerate() {
        let needle = generator.needle(i as u64);
        assert!(words(text).contains(&needle) && seen[&needle] == 1, "{needle} in {text}");
        assert!(!seen.contains_key(&generator.missing(i as u64)));
    }
}

#[test]
fn the_mix_is_what_machines_write() {
    const COUNT: u64 = 20_000;
    let lines = lines(3, 0..COUNT);
    let bytes: usize = lines.iter().map(|(_, raw)| raw.len()).sum();
    let average = bytes as u64 / COUNT;
    assert!((160..=170).contains(&average), "{average} bytes a line");
    assert!(lines.iter().all(|(_, raw)| !raw.contains(&b'\n') && std::str::from_utf8(raw).is_ok()));
    let with = |part: &str| {
        let holds = |raw: &Vec<u8>| String::from_utf8_lossy(raw).contains(part);
        lines.iter().filter(|(_, raw)| holds(raw)).count()
    };
    assert!(with("error") > 300 && with("error") < 2_000, "{}", with("error"));
    assert!(with("request") > 2_000 && with("Größe") > 10 && with("dump=") > 3);
    let mut sources = BTreeMap::new();
    lines.iter().for_each(|(line, _)| *sources.entry(line.source).or_insert(0u64) += 1);
    assert!(sources.len() == SOURCES && sources[&0] > COUNT / 7, "{sources:?}");
}

#[test]
fn times_ascend_but_for_few_late_ones() {
    let lines = lines(5, 0..20_000);
    let mut late = 0;
    let mut newest = 0;
    for (i, (line, _)) in lines.iter().enumerate() {
        let due = Config::default().start_us + 55 * i as u64;
        if line.ts < due {
            late += 1;
            assert!(line.ts + LATE_US_MAX >= due);
            continue;
        }
        assert!(line.ts > newest && line.ts <= due + 45);
        newest = line.ts;
    }
    assert!((20..80).contains(&late), "{late} late");
}

#[test]
fn every_word_has_a_rank_and_common_ones_come_first() {
    let generator = Generator::new(&Config::default());
    let words: BTreeSet<&str> = (0..4_096).map(|rank| generator.word(rank)).collect();
    assert!(words.len() > 4_000, "{} different words", words.len());
    let mut raw = Vec::new();
    for index in 0..5_000 {
        generator.line(index, &mut raw);
    }
    let text = String::from_utf8(raw).unwrap();
    let count = |rank| text.matches(&format!(" {} ", generator.word(rank))).count();
    assert!(count(0) > 2 * count(5) && count(1) > 4 * count(40), "{} {}", count(0), count(40));
}

#[test]
fn times_are_written_as_calendars_have_them() {
    let mut out = Vec::new();
    for us in [0, 951_782_400_000_000, 1_767_225_599_999_999, 4_107_542_400_000_000] {
        text::moment(&mut out, us, b' ');
        out.push(b';');
    }
    text::web_moment(&mut out, 951_782_400_000_000);
    let want = "1970-01-01 00:00:00;2000-02-29 00:00:00;2025-12-31 23:59:59;2100-03-01 00:00:00;\
                29/Feb/2000:00:00:00";
    assert_eq!(String::from_utf8(out).unwrap(), want);
}
