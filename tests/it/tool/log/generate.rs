//! `ratite log gen`: what it writes is what `append` takes, and the same for ever.

use super::*;
use ratite::logs::generate::{Config, Generator};

#[test]
fn generated_records_are_appended_as_they_are_and_found_by_their_ids() {
    let made = run(&["log", "gen", "--lines", "300", "--seed", "4"]).well();
    let again = run(&["log", "gen", "--lines", "300", "--seed", "4"]).well();
    assert_eq!(made, again);
    assert_ne!(made, run(&["log", "gen", "--lines", "300", "--seed", "5"]).well());
    let text = run(&["log", "gen", "--lines", "300", "--seed", "4", "--format", "text"]).well();
    let raws = texts_of(&objects(&made), "raw");
    assert_eq!(raws, text.lines().collect::<Vec<_>>());

    let logs = Logs::new();
    logs.append(&[], made.as_bytes()).well();
    let stored = logs.search(&[]);
    let row = |row: &Value| ["ts", "source", "raw"].map(|key| row[key].to_string());
    let mut wanted: Vec<_> = objects(&made).iter().map(row).collect();
    // Late lines come where their times are; lines of one time as they arrived.
    wanted.sort_by(|a, b| a[0].cmp(&b[0]));
    assert_eq!(stored.iter().map(row).collect::<Vec<_>>(), wanted);

    let generator = Generator::new(&Config { seed: 4, ..Config::default() });
    for index in [0, 150, 299] {
        assert_eq!(logs.raws(&[&generator.needle(index)]), [raws[index as usize].as_str()]);
    }
    assert!(logs.search(&[&generator.missing(7)]).is_empty());
}
