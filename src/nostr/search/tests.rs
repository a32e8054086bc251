//! Words, queries and ranks by text cases, against naive twins, and with texts that mean harm.
//!
//! `RATITE_REWRITE=1` writes the answers of the cases anew.

use super::fields::add_terms;
use super::words::Units;
use super::*;
use crate::base::Terms;
use crate::io::Rng;
use crate::nostr::cases;
use crate::nostr::{Event, EventRef, terms};
use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::fmt::Write;

fn note(content: &str) -> Event {
    note_at(7, content)
}

fn note_at(at: u64, content: &str) -> Event {
    Event::from_parts([1; 32], at, 1, &[] as &[[&str; 0]], content)
}

/// The terms of a text.
fn words(text: &str) -> BTreeSet<String> {
    let mut units = Units::new(usize::MAX);
    units.add(text);
    units.terms().map(String::from).collect()
}

fn words_of(event: &EventRef<'_>) -> BTreeSet<String> {
    let mut out = Terms::new();
    add_terms(event, &mut out);
    assert!(out.iter().all(|term| term[0] == terms::WORD));
    out.iter().map(|term| String::from_utf8(term[1..].to_vec()).unwrap()).collect()
}

fn finds(search: &str, event: &Event) -> bool {
    Search::new(search).unwrap().matches(&event.as_ref(), &OnceCell::new())
}

fn answers(cases: &str) -> String {
    let joined = |list: &mut dyn Iterator<Item = String>| list.collect::<Vec<_>>().join(" | ");
    let mut out = String::new();
    for line in cases.lines().filter(|line| !line.starts_with("  ")) {
        writeln!(out, "{line}").unwrap();
        if let Some(text) = line.strip_prefix("text ") {
            let text: String = serde_json::from_str(text).unwrap();
            writeln!(out, "  => {}", joined(&mut words(&text).into_iter())).unwrap();
        } else if let Some(text) = line.strip_prefix("search ") {
            let text: String = serde_json::from_str(text).unwrap();
            let search = Search::new(&text).unwrap();
            let words = joined(&mut search.words().iter().map(|word| word.to_string()));
            let phrases = joined(&mut search.phrases().iter().map(|phrase| phrase.join(" ")));
            writeln!(out, "  words:   {words}\n  phrases: {phrases}").unwrap();
        }
    }
    out.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

#[test]
fn the_cases_hold() {
    cases::hold("search", 20, answers);
}

/// Texts of letters of all sorts.
fn random_text(rng: &mut Rng, ascii: bool) -> String {
    let alphabet: Vec<char> = if ascii {
        "abcXYZ019 .,'-_\"\n".chars().collect()
    } else {
        "aB é É ß İ ı σ ς Σ ё 東 京 の カ ー ｶ ﾞ 한 국 ไ ท ย ् ि न \u{301} \u{200d} \u{3099} ① ﬁ 🔥 \u{ad}".chars().collect()
    };
    (0..rng.below(40)).map(|_| alphabet[rng.below(alphabet.len() as u64) as usize]).collect()
}

#[test]
fn ascii_words_are_the_runs_of_letters_and_digits() {
    let mut rng = Rng::new(3);
    for _ in 0..5_000 {
        let text = random_text(&mut rng, true);
        let lower = text.to_lowercase();
        let naive = lower.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| !w.is_empty());
        assert_eq!(words(&text), naive.map(String::from).collect(), "{text:?}");
        // The same words whatever stands between them and beyond ASCII: the other way through the code.
        let other = text.replace(' ', "\u{2060}…") + "\u{ad}";
        assert_eq!(words(&text), words(&other), "{text:?}");
    }
}

#[test]
fn the_spelling_of_a_spelling_is_itself() {
    let mut rng = Rng::new(4);
    for _ in 0..5_000 {
        let text = random_text(&mut rng, false);
        let all = words(&text);
        // Single characters of scripts without spaces stand alone, so that they are terms again.
        for word in &all {
            assert!(words(word).contains(word), "{word:?} of {text:?}");
            assert!((1..=WORD_BYTES_MAX).contains(&word.len()));
        }
    }
    for c in (0..=0x2_ffff_u32).filter_map(char::from_u32) {
        let text = format!("a{c}b {c}");
        for word in words(&text) {
            assert!(words(&word).contains(&word), "{word:?} of {c:?} ({:x})", c as u32);
        }
    }
}

/// I1: who stands under all terms of a search without phrases matches it, and nobody else.
#[test]
fn an_index_of_the_terms_says_what_matching_says() {
    let mut rng = Rng::new(5);
    let (mut found, mut asked) = (0, 0);
    for _ in 0..3_000 {
        let event =
            note(&format!("{} {}", random_text(&mut rng, false), random_text(&mut rng, true)));
        let indexed = words_of(&event.as_ref());
        let some: Vec<&String> = indexed.iter().collect();
        for _ in 0..4 {
            let ascii = rng.below(2) == 0;
            let mut query = random_text(&mut rng, ascii);
            if !some.is_empty() && rng.below(2) == 0 {
                query = some[rng.below(some.len() as u64) as usize].clone();
            }
            let search = Search::new(&query).unwrap();
            let stands = search.words().iter().all(|word| indexed.contains(&**word));
            let matches = search.matches(&event.as_ref(), &OnceCell::new());
            assert!(matches == stands || stands && search.has_phrases(), "{query:?} {event:?}");
            found += u32::from(matches && !search.is_empty());
            asked += 1;
        }
    }
    assert!(found > 500 && found < asked, "{found} of {asked}");
}

#[test]
fn phrases_stand_in_a_row_within_one_text() {
    let text = note("Layer two scales, one layer: two chains. 東京のタワー 東京タワ");
    for (query, expected) in [
        ("\"layer two\"", true),
        ("\"two layer\"", false),
        ("\"ONE Layer two\"", true),
        ("\"scales one\" chains", true),
        ("\"scales layer\"", false),
        ("東京の", true),
        // All pairs are there, but not in a row.
        ("東京タワー", false),
        ("\"chains 東京\"", true),
    ] {
        assert_eq!(finds(query, &text), expected, "{query}");
    }
    let tags = [["title", "first"], ["t", "second"]];
    let article = Event::from_parts([1; 32], 7, 30023, &tags, "third");
    assert!(finds("first second third", &article) && !finds("\"first second\"", &article));
    assert!(!finds("\"second third\"", &article));
}

#[test]
fn of_each_kind_its_texts_are_words() {
    let words = |kind, tags: &[[&str; 2]], content: &str| {
        let event = Event::from_parts([1; 32], 7, kind, tags, content);
        words_of(&event.as_ref()).into_iter().collect::<Vec<_>>().join(" ")
    };
    let tags = [
        ["title", "A"],
        ["summary", "b"],
        ["t", "c"],
        ["subject", "d"],
        ["alt", "no"],
        ["d", "no"],
    ];
    assert_eq!(words(30023, &tags, "body"), "a b body c d");
    // What is packed as hex is a text all the same.
    assert_eq!(words(1, &[["t", "0123456789abcdef"]], ""), "0123456789abcdef");
    let profile = r#"{"name":"N","x":{"about":["no"]},"display_name":"D \u00e9","about":"A\nb",
        "nip05":"n@e.org","picture":"no","website":5}"#;
    assert_eq!(words(0, &[["t", "no"]], profile), "a b d e n org");
    // As far as it is JSON.
    assert_eq!(words(0, &[], r#"{"name":"n","about":7,"nip05":"e"#), "n");
    assert_eq!(words(0, &[], r#"{"about":"a","name":"n" "nip05":"e"}"#), "a n");
    for broken in ["", "text", "[]", "{", "null", "{\"name\":\"\\ud800\"}", &"[".repeat(70_000)] {
        assert_eq!(words(0, &[], broken), "", "{broken:.20}");
    }
}

#[test]
fn a_search_is_among_the_kinds_that_it_is_told() {
    let at = |kind| Event::from_parts([1; 32], 7, kind, &[] as &[[&str; 0]], "word");
    let search = Search::new("word").unwrap();
    let matches = |search: &Search, kind| search.matches(&at(kind).as_ref(), &OnceCell::new());
    assert!(matches(&search, 1) && !matches(&search, 7) && !matches(&search, 1059));
    let own = search.clone().among(&SearchKinds::new(&[7]).unwrap());
    assert!(matches(&own, 7) && !matches(&own, 1) && own != search);
    let empty = Search::new("language:en").unwrap();
    assert!(matches(&empty, 7) && empty.is_empty());
}

#[test]
fn a_choice_of_kinds_is_its_text_and_its_bytes() {
    for text in ["default", "off", "1", "1,7,30023"] {
        let kinds: SearchKinds = text.parse().unwrap();
        assert_eq!(kinds.to_string(), text);
        assert_eq!(SearchKinds::of_settings(&kinds.to_settings()), Ok(kinds.clone()));
        assert!(kinds.to_settings().len() <= crate::base::limits::SETTINGS_BYTES_MAX);
    }
    assert_eq!("7, 1,7".parse::<SearchKinds>().unwrap().kinds(), [1, 7]);
    for (text, why) in [
        ("", "no kind"),
        ("1,", "no kind"),
        ("on", "no kind"),
        ("+1", "no kind"),
        ("65536", "no kind"),
        ("4", "private"),
        ("1,1059", "private"),
        ("13", "private"),
        ("14", "private"),
    ] {
        assert!(text.parse::<SearchKinds>().unwrap_err().contains(why), "{text}");
    }
    assert!(SearchKinds::new(&(100..131).collect::<Vec<_>>()).is_ok());
    assert!(SearchKinds::new(&(100..132).collect::<Vec<_>>()).unwrap_err().contains("31"));
    for bad in [&[2][..], &[1], &[1, 0], &[1, 0, 7, 0, 1], &[1, 0, 4], &[9, 0, 1]] {
        assert!(SearchKinds::of_settings(bad).is_err(), "{bad:?}");
    }
}

/// A document: its words by the naive rule.
fn naive_score(query: &[&str], all: &[Vec<&str>], text: &[&str], age: f64) -> f64 {
    let mut score = 0.0;
    for word in query {
        let holding = all.iter().filter(|text| text.contains(word)).count() as f64;
        let times = text.iter().filter(|other| *other == word).count() as f64;
        let idf = (1.0 + (all.len() as f64 - holding + 0.5) / (holding + 0.5)).ln();
        score += idf * times * 2.2 / (times + 1.2 * (0.6 + 0.4 * text.len() as f64 / 32.0));
    }
    score * (1.0 + 1.0 / (1.0 + age / 2_592_000.0))
}

#[test]
fn the_score_is_what_the_formula_says() {
    let mut rng = Rng::new(6);
    let texts: Vec<Vec<&str>> = (0..200)
        .map(|_| {
            (0..1 + rng.below(60))
                .map(|_| ["a", "b", "c", "d", "e", "f"][rng.below(6) as usize])
                .collect()
        })
        .collect();
    let query = ["a", "d"];
    let holding = |word: &str| texts.iter().filter(|text| text.contains(&word)).count() as u64;
    let search = Search::new("a d").unwrap();
    let mut weights = Weights::new(&search, &[holding("a"), holding("d")], 200, 10_000_000);
    for (text, created_at) in texts.iter().zip((0..).step_by(100_000)) {
        let event = note_at(created_at, &text.join(" "));
        let score = weights.score(&event.as_ref());
        let age = 10_000_000u64.saturating_sub(created_at) as f64;
        let naive = naive_score(&query, &texts, text, age);
        assert!((score - naive).abs() < 1e-9, "{score} {naive}");
    }
    // Whatever the figures, no score is NaN or negative.
    for (df, records) in [(0, 0), (5, 2), (u64::MAX, 1), (0, u64::MAX)] {
        let mut weights = Weights::new(&search, &[df, df], records, 0);
        let score = weights.score(&note_at(u64::MAX, "a d d").as_ref());
        assert!(score >= 0.0, "{score}");
    }
}

#[test]
fn harmful_texts_are_bounded_and_harmless() {
    let limit = 2 * 16_384;
    for text in [
        "x".repeat(1 << 20),
        "東".repeat(1 << 18),
        "か".repeat(1 << 18),
        "a\u{301}".repeat(1 << 17),
        format!("a{}", "\u{301}".repeat(1 << 18)),
        format!("न{}", "\u{94d}".repeat(1 << 18)),
        "\u{200d}".repeat(1 << 18),
        "a\u{200d}".repeat(1 << 17),
        "\u{202e}ab\u{2066}".repeat(1 << 16),
        "👨‍👩‍👧".repeat(1 << 14),
        "ﷺ".repeat(1 << 16),
        "a b ".repeat(1 << 17),
        "\u{1100}\u{1161}\u{11a8}".repeat(1 << 16),
        (0..40_000).map(|n| format!("{n} ")).collect(),
    ] {
        let event = note(&text);
        let indexed = words_of(&event.as_ref());
        assert!(indexed.len() <= limit && indexed.iter().all(|word| word.len() <= WORD_BYTES_MAX));
        let all = EventWords::of(&event.as_ref());
        assert!(all.len() <= 16_384 && all.terms().count() <= limit, "{text:.9}");
        assert!(all.terms().all(|word| indexed.contains(word)));
    }
    // A word that is cut is found by itself, and by what has the same beginning.
    let long = note(&"x".repeat(1 << 16));
    assert!(finds(&"x".repeat(1000), &long) && finds(&"x".repeat(48), &long));
    assert!(!finds(&"x".repeat(47), &long));
    // Tags come first: what room they leave is for words, for the index as for matching.
    let tags = vec![["e", ""]; 65_440];
    let crowded = Event::from_parts(
        [1; 32],
        7,
        1,
        &tags,
        &(0..99).map(|n| format!("w{n} ")).collect::<String>(),
    );
    assert_eq!(words_of(&crowded.as_ref()).len(), 16);
    assert!(finds("w15", &crowded) && !finds("w16", &crowded));
}

#[test]
fn harmful_queries_are_refused_or_answered() {
    assert!(Search::new(&"x".repeat(QUERY_BYTES_MAX)).is_ok());
    assert!(Search::new(&"x".repeat(QUERY_BYTES_MAX + 1)).unwrap_err().contains("bytes"));
    let many = |n| (0..n).map(|n| format!("{n} ")).collect::<String>();
    assert!(Search::new(&many(QUERY_WORDS_MAX)).is_ok());
    assert!(Search::new(&many(QUERY_WORDS_MAX + 1)).unwrap_err().contains("words"));
    for text in ["\"", "\"\"\"", "\" \" \"", ":\":\"", "\u{301}", "\u{200d}\"\u{200d}\"", "\0"] {
        assert!(finds(text, &note("anything")), "{text:?} asks for nothing");
    }
    let event = note("anything at all");
    let mut rng = Rng::new(7);
    for _ in 0..2_000 {
        let ascii = rng.below(2) == 0;
        let text = random_text(&mut rng, ascii);
        let search = Search::new(&text).unwrap();
        assert_eq!(Search::new(search.text()), Ok(search.clone()));
        search.matches(&event.as_ref(), &OnceCell::new());
    }
}

/// The words are bound to the tables of Unicode: another version of them may spell otherwise, and then
/// `WORDS_VERSION` has to say so.
#[test]
fn the_tables_are_those_that_the_version_is_for() {
    let std = char::UNICODE_VERSION;
    assert_eq!((WORDS_VERSION, unicode_normalization::UNICODE_VERSION), (1, (18, 0, 0)), "{std:?}");
}
