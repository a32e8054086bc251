//! Lines out of pieces of a stream, each of a bounded length.
//!
//! I1. Of a line that is too long nothing comes out, and nothing but its length is kept.

/// A line that is not yet whole.
pub(super) struct Lines {
    line: Vec<u8>,
    bytes_max: usize,
    /// The line is too long; its end is waited for.
    skips: bool,
}

/// What came out.
#[derive(Debug, PartialEq)]
pub(super) enum Line<'a> {
    /// A line without its end.
    Whole(&'a [u8]),
    /// There was one that was too long.
    TooLong,
}

impl Lines {
    pub(super) fn new(bytes_max: usize) -> Lines {
        Lines { line: Vec::new(), bytes_max, skips: false }
    }

    /// Takes the next piece of the stream, and hands on the lines that end in it; blank ones are none.
    pub(super) fn take(&mut self, mut piece: &[u8], mut each: impl FnMut(Line<'_>)) {
        while let Some(end) = memchr::memchr(b'\n', piece) {
            self.grow(&piece[..end]);
            piece = &piece[end + 1..];
            let line = self.line.trim_ascii();
            match self.skips {
                true => each(Line::TooLong),
                false if line.is_empty() => {}
                false => each(Line::Whole(line)),
            }
            self.line.clear();
            self.skips = false;
        }
        self.grow(piece);
    }

    fn grow(&mut self, piece: &[u8]) {
        if self.skips || self.line.len() + piece.len() > self.bytes_max {
            self.skips = true;
            self.line = Vec::new();
            return;
        }
        self.line.extend_from_slice(piece);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::Rng;

    fn lines(pieces: &[&[u8]], bytes_max: usize) -> Vec<String> {
        let mut lines = Lines::new(bytes_max);
        let mut all = Vec::new();
        for piece in pieces {
            lines.take(piece, |line| match line {
                Line::Whole(line) => all.push(String::from_utf8_lossy(line).into_owned()),
                Line::TooLong => all.push("(too long)".into()),
            });
            assert!(lines.line.capacity() <= 8 * bytes_max.max(8));
        }
        all
    }

    #[test]
    fn lines_come_out_of_pieces_by_hand() {
        assert_eq!(lines(&[b"ab", b"c\r\n\n \nd", b"\ne"], 9), ["abc", "d"]);
        assert_eq!(
            lines(&[b"1234\n12345\n1", b"2345", b"6\n7\n"], 4),
            ["1234", "(too long)", "(too long)", "7"]
        );
    }

    #[test]
    fn how_the_stream_is_cut_makes_no_difference() {
        let mut rng = Rng::new(8);
        for _ in 0..500 {
            let text: Vec<u8> = (0..60).map(|_| b"ab\n"[rng.below(3) as usize]).collect();
            let whole = lines(&[&text], 4);
            let mut pieces = Vec::new();
            let mut rest = &text[..];
            while !rest.is_empty() {
                let (piece, after) = rest.split_at(1 + rng.below(rest.len() as u64) as usize);
                pieces.push(piece);
                rest = after;
            }
            assert_eq!(lines(&pieces, 4), whole);
            let ended = text.split(|&b| b == b'\n').count() - 1;
            let twin: Vec<&[u8]> = text.split(|&b| b == b'\n').take(ended).collect();
            let short = |line: &&&[u8]| (1..=4).contains(&line.len());
            assert_eq!(
                whole.iter().filter(|l| *l != "(too long)").count(),
                twin.iter().filter(short).count()
            );
        }
    }
}
