//! What has to hold of any configuration file: for fuzzing, and for a test over a kept corpus and mutations of it.
//!
//! A function panics if what it says does not hold; any bytes are input.

use super::file;
use super::kind::Kind;
use super::layers::Problems;
use super::resolve::{Effective, Settings};
use std::path::Path;

/// Where the file would stand. Nothing is read there.
const FILE: &str = "/etc/ratite.toml";

/// A text is refused, what is wrong in it with a line that it has; or what `ratite config` would print of it is a file
/// that means the same, and prints the same.
pub fn config(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(settings) = settings(text) else { return };
    let Ok(printed) = settings.toml() else { panic!("it is not printed") };
    let again = settings_of_printed(&printed);
    for (one, other) in settings.effective.iter().zip(&again.effective) {
        let name = one.setting.name();
        assert_eq!(one.is_idle, other.is_idle, "{name}");
        let is_same = one.is_idle || one.text == other.text || is_the_place(one, &other.text);
        assert!(is_same, "{name}: {:?}, {:?}", one.text, other.text);
    }
}

/// Whether it is a directory, and `text` is where that is.
fn is_the_place(effective: &Effective, text: &str) -> bool {
    let is_dir = matches!(effective.setting.kind, Kind::Dir { .. });
    is_dir && std::path::absolute(&effective.text).is_ok_and(|whole| whole == Path::new(text))
}

fn settings_of_printed(printed: &str) -> Settings {
    settings(printed).unwrap_or_else(|problems| panic!("{problems:?} in {printed}"))
}

/// The configuration of a file of this text alone.
fn settings(text: &str) -> Result<Settings, Problems> {
    let mut problems = Problems::new();
    let given = file::parse(Path::new(FILE), text, &mut problems);
    let lines = 1 + text.bytes().filter(|byte| *byte == b'\n').count();
    for problem in &problems {
        let line = problem.strip_prefix(FILE).and_then(|rest| rest.strip_prefix(':'));
        let line = line.and_then(|rest| rest.split(':').next()).and_then(|line| line.parse().ok());
        assert!(line.is_some_and(|line| (1..=lines).contains(&line)), "no line of it: {problem}");
    }
    Settings::counting(&given, problems)
}
