//! What has to hold of any text as a configuration file, for fuzzing and for a test that takes seconds.
//!
//! A function panics if what it says does not hold; any bytes are input.

use super::file::parse;
use super::layers::{Given, Problems, Surroundings};
use super::resolve::Settings;
use std::path::Path;

const PATH: &str = "/etc/ratite/ratite.toml";

/// Each problem of a file is named with a line of it, and a configuration that is right is printed as a file that means
/// the same.
pub fn config(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let mut problems = Problems::new();
    let given = parse(Path::new(PATH), text, &mut problems);
    let lines = 1 + text.bytes().filter(|byte| *byte == b'\n').count();
    for problem in &problems {
        let place = problem.strip_prefix(PATH).and_then(|rest| rest.strip_prefix(':'));
        let line = place.and_then(|place| place.split(':').next()?.parse::<usize>().ok());
        assert!(line.is_some_and(|line| (1..=lines).contains(&line)), "{problem}");
    }
    let Some(settings) = problems.is_empty().then(|| resolved(given)).flatten() else { return };
    let printed = settings.toml().expect("paths that were text");
    let again = resolved(parse(Path::new(PATH), &printed, &mut problems));
    assert!(problems.is_empty(), "{problems:?}");
    let again = again.expect("what was right before");
    for (one, other) in settings.effective.iter().zip(&again.effective) {
        let same = one.text == other.text || one.is_idle || other.text.starts_with('/');
        assert!(same, "{}: {:?} is {:?}", one.setting.name(), one.text, other.text);
    }
}

fn resolved(given: Vec<Given>) -> Option<Settings> {
    Settings::resolve(&Surroundings::default(), None, given).ok()
}
