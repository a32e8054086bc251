//! The relay in the guide for embedders is the one that compiles, and is as short as the guide says.

use std::fs::read_to_string;

#[test]
fn the_guide_shows_the_example_whole() {
    let root = env!("CARGO_MANIFEST_DIR");
    let example = read_to_string(format!("{root}/examples/relay.rs")).unwrap();
    let guide = read_to_string(format!("{root}/docs/embedding.md")).unwrap();
    let code = example.split_once('\n').unwrap().1;
    assert!(
        guide.contains(code),
        "copy examples/relay.rs to docs/embedding.md, but for its first line"
    );
    let lines = code.lines().filter(|line| !line.trim().is_empty()).count();
    assert!(lines <= 60, "{lines} lines");
}
