//! Text cases: files of questions with their answers, which a test gives again.
//!
//! ```text
//!   tests/cases/<folder>/*.txt --answers--> the same text, or the test fails; RATITE_REWRITE=1 writes it anew
//! ```

use std::path::Path;

/// Holds every file of `tests/cases/<folder>` to what `answers` makes of it; they have `least` cases together.
pub(super) fn hold(folder: &str, least: usize, answers: impl Fn(&str) -> String) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(folder);
    let mut count = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            continue;
        }
        let cases = std::fs::read_to_string(&path).unwrap();
        let answers = answers(&cases);
        if std::env::var_os("RATITE_REWRITE").is_some() {
            std::fs::write(&path, &answers).unwrap();
        } else {
            assert_eq!(cases, answers, "{}", path.display());
        }
        count += cases.matches("case:").count();
    }
    assert!(count >= least, "{count} cases found in {}", folder.display());
}
