//! Words of ASCII to be searched for, and NIP-50 by splitting strings.
//!
//! I1. The words stand alone wherever they stand, so that no rule about other scripts decides on them.

use super::Ev;
use super::random::{pick, pick_of};
use ratite::io::Rng;
use serde_json::{Value, json};

const WORDS: [&str; 7] = ["zebra", "quagga", "okapi", "emu", "rhea", "kiwi7", "moa"];

/// The kinds that are searched by default, as docs/search.md lists them.
const KINDS: [u64; 17] =
    [0, 1, 11, 20, 21, 22, 42, 1111, 1311, 1621, 9802, 30023, 30311, 30402, 30818, 31922, 31923];

/// Some words, the first of the list more often than the last, each in some spelling and with something behind it.
fn some(rng: &mut Rng) -> String {
    let mut text = String::new();
    for _ in 0..rng.below(5) {
        let most = 1 + rng.below(WORDS.len() as u64);
        let word = WORDS[rng.below(most) as usize];
        match rng.below(4) {
            0 => text.push_str(&word.to_uppercase()),
            1 => text.extend([&word[..1].to_uppercase(), &word[1..]]),
            _ => text.push_str(word),
        }
        text.push_str(pick(
            rng,
            &[" ", " ", ", ", "\n", "-", "' ", "#", "_", ".", " (", "\"", "\t"],
        ));
    }
    text
}

/// Gives an event words here and there: where they are found, and where they are not.
pub fn add(rng: &mut Rng, kind: u64, tags: &mut Vec<Vec<String>>, content: &mut String) {
    if rng.chance(4) {
        let name = pick(rng, &["t", "title", "subject", "summary", "alt", "T"]);
        tags.push(vec![name.into(), some(rng)]);
    }
    if kind == 0 && !rng.chance(4) {
        let key = pick_of(rng, &["name", "about", "website", "display_name", "nip05"]).to_string();
        let mut profile = json!({ "lud16": some(rng), "n": [1, {"name": "moa"}] });
        profile[key] = some(rng).into();
        profile["about"] = some(rng).into();
        *content = profile.to_string();
        // Before the number that follows.
        content.push(' ');
    } else if rng.chance(2) {
        content.push(' ');
        content.push_str(&some(rng));
        content.push(' ');
    }
}

/// A search of one to three words, now and then with a phrase or something that is ignored.
pub fn search(rng: &mut Rng) -> String {
    let word = |rng: &mut Rng| WORDS[rng.below(WORDS.len() as u64) as usize];
    let mut text = word(rng).to_string();
    for _ in 0..rng.below(3) {
        let next = word(rng);
        text = match rng.below(6) {
            0 => format!("{text} language:en {next}"),
            1 => format!("\"{next} {}\" {text}", word(rng)),
            2 => format!("{next}  {}", text.to_uppercase()),
            3 => format!("{text} nowhere"),
            _ => format!("{text} {next}"),
        };
    }
    text
}

fn split(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect()
}

/// The texts of an event that are searched, each as words.
fn texts(ev: &Ev) -> Vec<Vec<String>> {
    if !KINDS.contains(&ev.kind) {
        return Vec::new();
    }
    if ev.kind == 0 {
        let mut values = serde_json::Deserializer::from_str(&ev.content).into_iter::<Value>();
        let Some(Ok(Value::Object(profile))) = values.next() else { return Vec::new() };
        let fields = ["name", "display_name", "about", "nip05"];
        return fields.iter().filter_map(|key| Some(split(profile.get(*key)?.as_str()?))).collect();
    }
    let names = ["title", "subject", "summary", "t"];
    let named = names.iter().flat_map(|name| ev.named(name)).map(|text| split(text));
    named.chain([split(&ev.content)]).collect()
}

/// Whether a part is `key:value`.
fn is_extension(part: &str) -> bool {
    part.contains(':') && part.starts_with(|c: char| c.is_ascii_lowercase())
}

/// Whether `text` asks for anything.
pub fn asks(text: &str) -> bool {
    text.split_whitespace().any(|part| !is_extension(part))
}

/// Whether `ev` has all that `text` asks for.
pub fn has(ev: &Ev, text: &str) -> bool {
    if !asks(text) {
        return true;
    }
    let texts = texts(ev);
    text.split('"').enumerate().all(|(i, part)| {
        let loose = part.split_whitespace().filter(|part| !is_extension(part)).flat_map(split);
        let wanted: Vec<String> = loose.collect();
        let quoted = i % 2 == 1;
        let in_a_row = |words: &Vec<String>| words.windows(wanted.len()).any(|row| row == wanted);
        let anywhere = |word: &String| texts.iter().flatten().any(|other| other == word);
        match quoted && !wanted.is_empty() {
            true => texts.iter().any(in_a_row),
            false => wanted.iter().all(anywhere),
        }
    })
}
