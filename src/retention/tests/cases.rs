//! The decision by text cases, `RATITE_REWRITE=1` writes the answers anew.
//!
//! ```text
//! case: what it shows
//! record <id byte> <time> <author> <kind> <body bytes> [expires]
//! protect <selection>
//! rule <selection> <keep> [each]
//! at <now>
//!   => expired: <ids, oldest first>
//!   => rule 1: <ids>
//!   => stays: <ids>
//! ```

use super::*;
use std::fmt::Write as _;

fn item(line: &str) -> Item {
    let words: Vec<&str> = line.split_whitespace().skip(1).collect();
    let number = |i: usize| words.get(i).map_or(0, |word: &&str| word.parse::<u64>().unwrap());
    let id = [u8::from_str_radix(words[0], 16).unwrap(); 32];
    Item::new(id, number(1), number(2) as u8, number(3) as u8, number(4) as usize, number(5))
}

fn names<'a>(keys: impl IntoIterator<Item = &'a Key>) -> String {
    let names: String = keys.into_iter().map(|key| format!(" {:02x}", key.id[0])).collect();
    if names.is_empty() { " none".into() } else { names }
}

fn answers(cases: &str) -> String {
    let mut out = String::new();
    let (mut items, mut specs) = (Vec::new(), Specs::default());
    for line in cases.lines().filter(|line| !line.starts_with("  ")) {
        writeln!(out, "{line}").unwrap();
        match line.split_whitespace().next() {
            Some("case:") => (items, specs) = (Vec::new(), Specs::default()),
            Some("record") => items.push(item(line)),
            Some("rule") => specs.rules.push(Spec::parse(&line[5..])),
            Some("protect") => specs.protect.push(Spec::parse(&line[8..])),
            Some("at") => answer(&items, &specs, line[3..].parse().unwrap(), &mut out),
            _ => {}
        }
    }
    out
}

fn answer(items: &[Item], specs: &Specs, now: u64, out: &mut String) {
    let store = Machine::new(1).open(2);
    let mut records = Records::new();
    for (i, item) in items.iter().enumerate() {
        insert(&store, &mut records, item.clone());
        if i == items.len() / 2 {
            store.flush().unwrap();
        }
    }
    let going = going(&store, &specs.rules(), now);
    assert_eq!(going, twin::going(&records, specs, now), "{specs:?}");
    if !going[0].is_empty() {
        writeln!(out, "  => expired:{}", names(&going[0])).unwrap();
    }
    for (i, going) in going.iter().enumerate().skip(1) {
        writeln!(out, "  => rule {i}:{}", names(going)).unwrap();
    }
    records.retain(|key, _| !going.iter().any(|keys| keys.contains(key)));
    writeln!(out, "  => stays:{}", names(records.keys())).unwrap();
    run(&store, &specs.rules(), now);
    assert_eq!(stored(&store), records);
}

#[test]
fn the_cases_hold() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/retention/rules.txt");
    let cases = std::fs::read_to_string(&path).unwrap();
    let answers = answers(&cases);
    if std::env::var_os("RATITE_REWRITE").is_some() {
        std::fs::write(&path, &answers).unwrap();
    }
    assert_eq!(answers, cases, "RATITE_REWRITE=1 writes the answers anew; read them then");
}
