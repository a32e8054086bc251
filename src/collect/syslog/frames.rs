//! Messages out of a stream of bytes: octet counting and line ends, as RFC 6587 describes them.
//!
//! ```text
//!   "27 <34>1 - host app - - - text"    a number, a space, so many bytes     RFC 6587, 3.4.1; RFC 5425
//!   "<34>Oct 11 22:14:15 ...\n"         up to the line end, or to a NUL      RFC 6587, 3.4.2
//! ```
//!
//! Each message says by its first bytes which of the two it is: a number, a space and `<` are a count, so that a
//! line that begins with a number is a line.
//!
//! I1. No more than a message's limit and the bytes of a count are ever kept for a stream.
//! I2. What is longer than the limit is cut there, and the rest of it skipped: the stream goes on behind it.

/// Digits of the largest count: 100 MB, of which almost all would be skipped.
const DIGITS_MAX: usize = 8;

/// A stream between two of its reads.
#[derive(Debug)]
pub(crate) struct Frames {
    /// The beginning of a message whose end is not there yet.
    partial: Vec<u8>,
    /// What is left of a message that was cut.
    skip: Skip,
    message_bytes_max: usize,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Skip {
    Nothing,
    Bytes(usize),
    Line,
}

/// A message of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    /// Without its count or its line end.
    pub(crate) message: &'a [u8],
    /// Whether there was more of it.
    pub(crate) is_cut: bool,
}

/// What the bytes at hand begin with.
enum Found {
    /// A message at `start..end`, and the next at `next`; of what was cut, what is to be skipped from there.
    Whole { start: usize, end: usize, next: usize, skip: Skip },
    /// Less than a message.
    Part,
}

impl Frames {
    pub(crate) fn new(message_bytes_max: usize) -> Frames {
        Frames { partial: Vec::new(), skip: Skip::Nothing, message_bytes_max }
    }

    /// Whether the stream is in the middle of a message.
    pub(crate) fn is_partial(&self) -> bool {
        !self.partial.is_empty() || self.skip != Skip::Nothing
    }

    /// Takes the bytes that came, and gives each message that they complete, in order.
    pub(crate) fn read(&mut self, mut bytes: &[u8], mut each: impl FnMut(Frame<'_>)) {
        while !bytes.is_empty() {
            bytes = self.skipped(bytes);
            if self.partial.is_empty() {
                bytes = self.whole(bytes, &mut each);
            }
            // What is left begins a message, or goes on with one.
            let room = self.message_bytes_max + DIGITS_MAX + 2 - self.partial.len();
            let (taken, rest) = bytes.split_at(room.min(bytes.len()));
            self.partial.extend_from_slice(taken);
            bytes = rest;
            self.complete(&mut each);
        }
        if self.partial.is_empty() {
            // Connections that are idle cost nothing.
            self.partial = Vec::new();
        }
    }

    /// Ends the stream: what there is of a message is one.
    pub(crate) fn end(&mut self, mut each: impl FnMut(Frame<'_>)) {
        let partial = std::mem::take(&mut self.partial);
        let start = match count(&partial) {
            Count::Is(_, start) => start,
            Count::Unknown | Count::None => 0,
        };
        let end = partial.len().min(start + self.message_bytes_max);
        if start < end {
            each(Frame { message: &partial[start..end], is_cut: end < partial.len() });
        }
        self.skip = Skip::Nothing;
    }

    /// Gives whole messages where they are, without copying them, and what is behind them.
    fn whole<'a>(&mut self, mut bytes: &'a [u8], each: &mut impl FnMut(Frame<'_>)) -> &'a [u8] {
        while self.skip == Skip::Nothing
            && let Found::Whole { start, end, next, skip } = self.find(bytes)
        {
            each(Frame { message: &bytes[start..end], is_cut: skip != Skip::Nothing });
            self.skip = skip;
            bytes = self.skipped(&bytes[next..]);
        }
        if self.skip == Skip::Nothing { bytes } else { &[] }
    }

    /// Gives the messages that are complete in what is kept.
    fn complete(&mut self, each: &mut impl FnMut(Frame<'_>)) {
        let partial = std::mem::take(&mut self.partial);
        let rest = self.whole(&partial, each).len();
        let done = partial.len() - rest;
        self.partial = partial;
        self.partial.drain(..done);
    }

    /// What is behind the bytes to be skipped.
    fn skipped<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let (done, left) = match self.skip {
            Skip::Nothing => (0, Skip::Nothing),
            Skip::Bytes(left) if left > bytes.len() => {
                (bytes.len(), Skip::Bytes(left - bytes.len()))
            }
            Skip::Bytes(left) => (left, Skip::Nothing),
            Skip::Line => match line_end(bytes) {
                Some(end) => (end + 1, Skip::Nothing),
                None => (bytes.len(), Skip::Line),
            },
        };
        self.skip = left;
        &bytes[done..]
    }

    fn find(&self, bytes: &[u8]) -> Found {
        let most = self.message_bytes_max;
        match count(bytes) {
            Count::Unknown => Found::Part,
            Count::Is(count, start) => {
                let end = start + count.min(most);
                let skip = if count > most { Skip::Bytes(count - most) } else { Skip::Nothing };
                match end <= bytes.len() {
                    true => Found::Whole { start, end, next: end, skip },
                    false => Found::Part,
                }
            }
            Count::None => match line_end(&bytes[..bytes.len().min(most + 1)]) {
                Some(end) => Found::Whole { start: 0, end, next: end + 1, skip: Skip::Nothing },
                None if bytes.len() > most => {
                    Found::Whole { start: 0, end: most, next: most, skip: Skip::Line }
                }
                None => Found::Part,
            },
        }
    }
}

/// Where a line ends. Some senders end it with NUL, Python's own among them.
fn line_end(bytes: &[u8]) -> Option<usize> {
    memchr::memchr2(b'\n', 0, bytes)
}

/// What the count in front of a message says.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Count {
    /// So many bytes, from there on.
    Is(usize, usize),
    /// There is none.
    None,
    /// More bytes will tell.
    Unknown,
}

fn count(bytes: &[u8]) -> Count {
    let digits = bytes.iter().take(DIGITS_MAX + 1).take_while(|byte| byte.is_ascii_digit()).count();
    if digits > DIGITS_MAX || bytes.first() == Some(&b'0') {
        return Count::None;
    }
    match &bytes[digits..] {
        [] | [b' '] => Count::Unknown,
        [b' ', b'<', ..] if digits > 0 => {
            let number =
                bytes[..digits].iter().fold(0, |n, digit| n * 10 + usize::from(digit - b'0'));
            Count::Is(number, digits + 1)
        }
        _ => Count::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MOST: usize = 20;

    /// The messages of a stream that comes in parts of so many bytes, with their cuts, and what was kept at most.
    fn read(stream: &[u8], part: usize) -> (Vec<(Vec<u8>, bool)>, usize) {
        let (mut frames, mut found, mut kept) = (Frames::new(MOST), Vec::new(), 0);
        let mut each = |frame: Frame<'_>| found.push((frame.message.to_vec(), frame.is_cut));
        for bytes in stream.chunks(part) {
            frames.read(bytes, &mut each);
            kept = kept.max(frames.partial.len());
        }
        frames.end(&mut each);
        assert!(!frames.is_partial());
        (found, kept)
    }

    fn texts(stream: &str, part: usize) -> Vec<String> {
        let (found, _) = read(stream.as_bytes(), part);
        found.into_iter().map(|(message, _)| String::from_utf8(message).unwrap()).collect()
    }

    #[test]
    fn both_framings_are_told_apart_message_by_message() {
        let stream = "5 <1>ab<2>line\n12 monkeys\n7 <3>a\nbc\n99 bottles\0<4>nul\x000 <x\nlast";
        let wanted = [
            "<1>ab",
            "<2>line",
            "12 monkeys",
            "<3>a\nbc",
            "",
            "99 bottles",
            "<4>nul",
            "0 <x",
            "last",
        ];
        for part in 1..stream.len() {
            assert_eq!(texts(stream, part), wanted, "in parts of {part}");
        }
    }

    #[test]
    fn what_is_too_long_is_cut_and_the_stream_goes_on() {
        let line = format!("{}\nnext\n", "x".repeat(1000));
        let counted = format!("1000 <{}4 <4>y", "x".repeat(999));
        let digits = format!("{}\n4 <4>y", "1".repeat(1000));
        for part in [1, 7, 64, 5000] {
            for (stream, next) in [(&line, "next"), (&counted, "<4>y"), (&digits, "<4>y")] {
                let (found, kept) = read(stream.as_bytes(), part);
                assert_eq!((found.len(), found[0].0.len(), found[0].1), (2, MOST, true), "{part}");
                assert_eq!(found[1], (next.as_bytes().to_vec(), false));
                assert!(kept <= MOST + DIGITS_MAX + 2, "{kept} bytes kept");
            }
        }
        let exact = format!("{}\n20 <{}a\n", "x".repeat(MOST), "y".repeat(MOST - 1));
        assert!(read(exact.as_bytes(), 3).0.iter().all(|(_, is_cut)| !is_cut));
    }

    #[test]
    fn an_end_in_the_middle_gives_what_there_is() {
        assert_eq!(texts("10 <1>ab", 3), ["<1>ab"]);
        assert_eq!(texts("12345", 3), ["12345"]);
        assert_eq!(texts("", 1), [""; 0]);
        assert_eq!(texts("7 ", 1), ["7 "]);
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_parts_give_the_same_and_keep_little(
            stream in prop::collection::vec(prop::sample::select(b"0123 <>a\n\x00\xff".to_vec()), 0..200),
            part in 1..80usize,
        ) {
            let (found, kept) = read(&stream, part);
            prop_assert!(kept <= MOST + DIGITS_MAX + 2);
            prop_assert!(found.iter().all(|(message, _)| message.len() <= MOST));
            prop_assert_eq!(found, read(&stream, 200).0);
        }

        #[test]
        fn messages_come_out_as_they_went_in(
            messages in prop::collection::vec(("<[ -~]{0,19}", any::<bool>()), 0..20), part in 1..80usize,
        ) {
            let mut stream = String::new();
            for (text, is_counted) in &messages {
                match is_counted {
                    true => stream.push_str(&format!("{} {text}", text.len())),
                    false => stream.push_str(&format!("{text}\n")),
                }
            }
            let wanted: Vec<String> = messages.into_iter().map(|(text, _)| text).collect();
            prop_assert_eq!(texts(&stream, part), wanted);
        }
    }
}
