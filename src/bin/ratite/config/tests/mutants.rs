//! The target of fuzzing over its kept corpus, and over some thousands of mutations of it.

use crate::config::fuzz::config;
use mutate::mutate;
use ratite::io::Rng;
use std::path::Path;

#[path = "../../../../fuzzing/mutate.rs"]
mod mutate;

#[test]
fn any_file_is_refused_by_its_lines_or_printed_as_one_that_means_the_same() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/config");
    let Ok(entries) = std::fs::read_dir(corpus) else { return }; // a package, which has none
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let corpus: Vec<Vec<u8>> = paths.iter().map(|path| std::fs::read(path).unwrap()).collect();
    corpus.iter().for_each(|text| config(text));
    for seed in 0..4_000 {
        let mut rng = Rng::new(seed);
        let mut below = |end: usize| rng.below(end as u64) as usize;
        let mut text = corpus[below(corpus.len())].clone();
        let other = &corpus[below(corpus.len())];
        mutate(&mut below, &mut text, other, &[b"[relay]\n".to_vec(), b" = \"".to_vec()]);
        let shown = String::from_utf8_lossy(&text).into_owned();
        let ran = std::panic::catch_unwind(|| config(&text));
        assert!(ran.is_ok(), "seed {seed}: {shown:?}");
    }
}
