//! What has to hold of everything that a plugin can say, for fuzzing.

use super::Verdict;
use super::lines::{Line, Lines};
use super::protocol::parse;

/// Bytes of a line.
const LINE_BYTES_MAX: usize = 300;

/// Lines are the same however they come in pieces, and a reason is no longer than what was said.
pub(crate) fn plugin(bytes: &[u8]) {
    let Some((piece, bytes)) = bytes.split_first() else { return };
    let whole = lines(bytes, bytes.len().max(1));
    assert_eq!(whole, lines(bytes, usize::from(piece % 32) + 1));
    for line in whole.into_iter().flatten().chain([bytes.to_vec()]) {
        if let Ok((_, Verdict::Reject(reason))) = parse(&line) {
            assert!(!reason.is_empty() && reason.len() <= line.len() + 100, "{reason}");
        }
    }
}

fn lines(bytes: &[u8], piece: usize) -> Vec<Option<Vec<u8>>> {
    let mut lines = Lines::new(LINE_BYTES_MAX);
    let mut found = Vec::new();
    for piece in bytes.chunks(piece) {
        lines.take(piece, |line| match line {
            Line::Whole(line) => found.push(Some(line.to_vec())),
            Line::TooLong => found.push(None),
        });
    }
    found
}
