//! An input in chunks of whole lines, which keep their numbers.
//!
//! 1. A line is in one chunk, whole; a chunk is sent as soon as it holds what one read gave, so that
//!    lines of a slow writer do not wait for more of them.
//! 2. Memory is bounded: what is longer than anything can be is skipped and reported.

use crossbeam::channel::Sender;
use memchr::{memchr, memchr_iter, memrchr};
use std::io::{self, ErrorKind, Read};

/// Bytes of one read, and so of most chunks.
const READ_BYTES: usize = 256 * 1024;

/// Part of an input.
#[derive(PartialEq, Eq, Debug)]
pub enum Chunk {
    /// Whole lines; only the last of the input may lack its line feed.
    Lines {
        /// Number of the first, from 1.
        first: u64,
        /// The lines.
        bytes: Vec<u8>,
    },
    /// One line that is too long to be anything.
    TooLong {
        /// Its number.
        line: u64,
        /// Its length.
        bytes: u64,
    },
}

/// Reads the input of this number to its end, or until nobody takes the chunks any more. `line_bytes_max` are the bytes
/// of the longest line that is not skipped, line feed included.
///
/// # Errors
/// Of reading. What was read before is sent.
pub fn read(
    input: impl Read,
    number: usize,
    line_bytes_max: usize,
    chunks: &Sender<(usize, Chunk)>,
) -> io::Result<()> {
    let mut reader = Reader::new(input, READ_BYTES, line_bytes_max);
    while let Some(chunk) = reader.next()? {
        if chunks.send((number, chunk)).is_err() {
            break;
        }
    }
    Ok(())
}

struct Reader<R> {
    input: R,
    read_bytes: usize,
    line_bytes_max: usize,
    buffer: Vec<u8>,
    /// Bytes at the start of the buffer that belong to an unfinished line.
    kept: usize,
    /// Number of the line at the start of the buffer.
    line: u64,
    /// Bytes of that line that were thrown away, if it is too long.
    skipped: u64,
    /// Bytes behind the kept ones that were read and not looked at.
    fresh: usize,
}

impl<R: Read> Reader<R> {
    fn new(input: R, read_bytes: usize, line_bytes_max: usize) -> Reader<R> {
        let buffer = vec![0; read_bytes.min(line_bytes_max)];
        let (kept, line, skipped, fresh) = (0, 1, 0, 0);
        Reader { input, read_bytes, line_bytes_max, buffer, kept, line, skipped, fresh }
    }

    /// The next chunk; `None` at the end.
    fn next(&mut self) -> io::Result<Option<Chunk>> {
        loop {
            if self.fresh == 0 && !self.fill()? {
                return Ok(self.rest());
            }
            let chunk = if self.skipped > 0 { self.skip() } else { self.cut() };
            if chunk.is_some() {
                return Ok(chunk);
            }
        }
    }

    /// Reads behind the kept bytes; false at the end of the input.
    fn fill(&mut self) -> io::Result<bool> {
        if self.kept == self.line_bytes_max {
            self.skipped = self.kept as u64;
            self.kept = 0;
        }
        if self.kept == self.buffer.len() {
            self.buffer.resize((2 * self.kept).min(self.line_bytes_max), 0);
        }
        let end = self.buffer.len().min(self.kept + self.read_bytes);
        self.fresh = loop {
            match self.input.read(&mut self.buffer[self.kept..end]) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        Ok(self.fresh > 0)
    }

    /// Takes all whole lines, and keeps what follows them.
    fn cut(&mut self) -> Option<Chunk> {
        let end = self.kept + self.fresh;
        let fresh = &self.buffer[self.kept..end];
        self.fresh = 0;
        let Some(last) = memrchr(b'\n', fresh) else {
            self.kept = end;
            return None;
        };
        let first = self.line;
        self.line += memchr_iter(b'\n', fresh).count() as u64;
        let whole = self.kept + last + 1;
        let bytes = self.buffer[..whole].to_vec();
        self.buffer.copy_within(whole..end, 0);
        self.kept = end - whole;
        Some(Chunk::Lines { first, bytes })
    }

    /// Throws away what belongs to a line that is too long.
    fn skip(&mut self) -> Option<Chunk> {
        let Some(end) = memchr(b'\n', &self.buffer[..self.fresh]) else {
            self.skipped += self.fresh as u64;
            self.fresh = 0;
            return None;
        };
        self.buffer.copy_within(end + 1..self.fresh, 0);
        self.fresh -= end + 1;
        let chunk = Chunk::TooLong { line: self.line, bytes: self.skipped + end as u64 };
        self.line += 1;
        self.skipped = 0;
        Some(chunk)
    }

    /// What stands at the end without a line feed.
    fn rest(&mut self) -> Option<Chunk> {
        let (kept, skipped) = (std::mem::take(&mut self.kept), std::mem::take(&mut self.skipped));
        match (kept, skipped) {
            (0, 0) => None,
            (kept, 0) => {
                Some(Chunk::Lines { first: self.line, bytes: self.buffer[..kept].to_vec() })
            }
            (_, bytes) => Some(Chunk::TooLong { line: self.line, bytes }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives the input in pieces of the sizes that are told, again and again.
    struct Pieces<'a>(&'a [u8], Vec<usize>, usize);

    impl Read for Pieces<'_> {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            self.2 += 1;
            if self.2.is_multiple_of(3) {
                return Err(ErrorKind::Interrupted.into());
            }
            let size = self.1[self.2 % self.1.len()].min(out.len()).min(self.0.len());
            out[..size].copy_from_slice(&self.0[..size]);
            self.0 = &self.0[size..];
            Ok(size)
        }
    }

    /// Each line with its number; a line that is too long as its length.
    fn lines(input: &[u8], pieces: &[usize], max: usize) -> Vec<(u64, Result<Vec<u8>, u64>)> {
        let mut reader = Reader::new(Pieces(input, pieces.to_vec(), 0), 7, max);
        let mut lines = Vec::new();
        while let Some(chunk) = reader.next().unwrap() {
            match chunk {
                Chunk::TooLong { line, bytes } => lines.push((line, Err(bytes))),
                Chunk::Lines { first, bytes } => {
                    let whole = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
                    let split = whole.split(|b| *b == b'\n').enumerate();
                    lines.extend(split.map(|(i, line)| (first + i as u64, Ok(line.to_vec()))));
                }
            }
        }
        lines
    }

    /// The same, with the whole input at hand.
    fn naive(input: &[u8], max: usize) -> Vec<(u64, Result<Vec<u8>, u64>)> {
        let whole = input.strip_suffix(b"\n").unwrap_or(input);
        let split = (1..).zip(whole.split(|b| *b == b'\n'));
        let judge = |(number, line): (u64, &[u8])| match line.len() < max {
            true => (number, Ok(line.to_vec())),
            false => (number, Err(line.len() as u64)),
        };
        if input.is_empty() { Vec::new() } else { split.map(judge).collect() }
    }

    #[test]
    fn every_short_input_in_every_way_of_reading() {
        for length in 0..=10u8 {
            for bits in 0..1u32 << length {
                let byte = |i: u8| if bits >> i & 1 == 1 { b'\n' } else { b'a' + i };
                let input: Vec<u8> = (0..length).map(byte).collect();
                for pieces in [&[1][..], &[2, 5], &[4, 1, 3], &[100]] {
                    let got = lines(&input, pieces, 4);
                    assert_eq!(got, naive(&input, 4), "{input:?} by {pieces:?}");
                }
            }
        }
    }

    #[test]
    fn long_lines_grow_the_buffer_up_to_the_limit_and_no_further() {
        let mut input = Vec::new();
        for length in [3usize, 40, 99, 100, 0, 500, 1] {
            input.extend((0..length).map(|i| b'a' + (i % 26) as u8));
            input.push(b'\n');
        }
        for pieces in [&[1][..], &[7], &[3, 100]] {
            assert_eq!(lines(&input, pieces, 100), naive(&input, 100));
        }
        let mut reader = Reader::new(Pieces(&input, vec![100], 0), 7, 100);
        while reader.next().unwrap().is_some() {}
        assert_eq!(reader.buffer.len(), 100);
    }

    #[test]
    fn a_failure_of_reading_is_told() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _out: &mut [u8]) -> io::Result<usize> {
                Err(ErrorKind::IsADirectory.into())
            }
        }
        let (chunks, _kept) = crossbeam::channel::bounded(1);
        assert_eq!(read(Broken, 0, 100, &chunks).unwrap_err().kind(), ErrorKind::IsADirectory);
    }
}
