//! A strict scanner over JSON text: tokens are checked where they stand and handed out as slices.
//!
//! I1. The text is UTF-8: checked once at the start, so that slices between ASCII bytes are too.
//! I2. A [`Text`] was checked to its end: its escapes are known, and no surrogate stands alone.
//! I3. Nothing recurses: nesting is a bit for each level.

use super::{DEPTH_MAX, ParseError, Refused};

/// A position in a JSON text.
pub(crate) struct Scanner<'a> {
    json: &'a [u8],
    pos: usize,
}

/// A string as it stands between its quotes.
#[derive(Clone, Copy)]
pub(crate) struct Text<'a> {
    /// The bytes between the quotes.
    raw: &'a [u8],
    /// Whether there is an escape among them.
    escaped: bool,
    /// Byte offset of the opening quote.
    pub(crate) offset: usize,
}

type Result<T> = std::result::Result<T, ParseError>;

impl<'a> Scanner<'a> {
    /// Starts at the first byte of `json`.
    ///
    /// # Errors
    /// If `json` is not UTF-8, or starts with a byte order mark.
    pub(crate) fn new(json: &'a [u8]) -> Result<Scanner<'a>> {
        if json.starts_with("\u{feff}".as_bytes()) {
            return Err(ParseError { what: Refused::ByteOrderMark, offset: 0 });
        }
        match std::str::from_utf8(json) {
            Ok(_) => Ok(Scanner { json, pos: 0 }),
            Err(e) => Err(ParseError { what: Refused::NotUtf8, offset: e.valid_up_to() }),
        }
    }

    /// A refusal of what comes next.
    pub(crate) fn refuse<T>(&self, what: Refused) -> Result<T> {
        Err(ParseError { what, offset: self.pos })
    }

    /// The next byte after white space, which stays where it is.
    pub(crate) fn peek(&mut self) -> Option<u8> {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.byte() {
            self.pos += 1;
        }
        self.byte()
    }

    /// Takes `byte`, which `name` describes.
    pub(crate) fn take(&mut self, byte: u8, name: &'static str) -> Result<()> {
        if self.peek() != Some(byte) {
            return self.refuse(Refused::Expected(name));
        }
        self.pos += 1;
        Ok(())
    }

    /// Checks that nothing but white space follows.
    pub(crate) fn end(&mut self) -> Result<()> {
        match self.peek() {
            None => Ok(()),
            Some(_) => self.refuse(Refused::Trailing),
        }
    }

    /// After `{` or a member: the next member's key with its colon taken, or `None` after the `}`.
    pub(crate) fn member(&mut self, first: bool) -> Result<Option<Text<'a>>> {
        match self.peek() {
            Some(b'}') => {
                self.pos += 1;
                return Ok(None);
            }
            Some(b',') if !first => self.pos += 1,
            Some(_) if first => {}
            _ => return self.refuse(Refused::Expected("',' or '}'")),
        }
        self.key().map(Some)
    }

    /// After `[` or an element: whether another element comes; takes the `,` or the `]`.
    pub(crate) fn element(&mut self, first: bool) -> Result<bool> {
        match self.peek() {
            Some(b']') => {
                self.pos += 1;
                Ok(false)
            }
            Some(b',') if !first => {
                self.pos += 1;
                Ok(true)
            }
            Some(_) if first => Ok(true),
            _ => self.refuse(Refused::Expected("',' or ']'")),
        }
    }

    /// A string.
    pub(crate) fn string(&mut self) -> Result<Text<'a>> {
        if self.peek() != Some(b'"') {
            return self.refuse(Refused::Expected("a string"));
        }
        let offset = self.pos;
        self.pos += 1;
        let mut escaped = false;
        loop {
            self.pos += plain_len(&self.json[self.pos..]);
            match self.byte() {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                Some(_) => return self.refuse(Refused::ControlCharacter),
                None => return self.refuse(Refused::UnclosedString),
            }
        }
        let raw = &self.json[offset + 1..self.pos];
        self.pos += 1;
        Ok(Text { raw, escaped, offset })
    }

    /// An integer from 0 to `max`, the value of `field`.
    pub(crate) fn integer(&mut self, field: &'static str, max: u64) -> Result<u64> {
        self.peek();
        let start = self.pos;
        let refused = Err(ParseError { what: Refused::Integer { field, max }, offset: start });
        let mut value = 0u64;
        while let Some(digit @ b'0'..=b'9') = self.byte() {
            let digit = u64::from(digit - b'0');
            match value.checked_mul(10).and_then(|v| v.checked_add(digit)) {
                Some(v) if v <= max => value = v,
                _ => return refused,
            }
            self.pos += 1;
        }
        let digits = self.pos - start;
        let leading_zero = digits > 1 && self.json[start] == b'0';
        let goes_on = matches!(self.byte(), Some(b'.' | b'e' | b'E'));
        if digits == 0 || leading_zero || goes_on { refused } else { Ok(value) }
    }

    /// Passes over any value of at most `depth` levels, checking its grammar to the last byte.
    /// Repeated keys within it are not looked for: nobody reads them.
    pub(crate) fn skip_value(&mut self, depth: u32) -> Result<()> {
        let depth = depth.min(DEPTH_MAX);
        let mut objects = 0u64; // I3: bit `i` says whether level `i` is an object
        let mut open = 0;
        loop {
            let opens_object = match self.peek() {
                Some(b'{') => Some(true),
                Some(b'[') => Some(false),
                _ => {
                    self.scalar()?;
                    None
                }
            };
            let mut first = false;
            if let Some(object) = opens_object {
                if open == depth {
                    return self.refuse(Refused::TooDeep);
                }
                self.pos += 1;
                objects = objects & !(1 << open) | u64::from(object) << open;
                open += 1;
                first = true;
            }
            // A value, or the opening of one, is behind us: close what ends here.
            loop {
                if open == 0 {
                    return Ok(());
                }
                let another = match objects >> (open - 1) & 1 {
                    1 => self.member(first)?.is_some(),
                    _ => self.element(first)?,
                };
                if another {
                    break;
                }
                open -= 1;
                first = false;
            }
        }
    }

    fn byte(&self) -> Option<u8> {
        self.json.get(self.pos).copied()
    }

    fn key(&mut self) -> Result<Text<'a>> {
        let key = self.string()?;
        self.take(b':', "':'")?;
        Ok(key)
    }

    fn scalar(&mut self) -> Result<()> {
        match self.byte() {
            Some(b'"') => self.string().map(|_| ()),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.literal(b"true"),
            Some(b'f') => self.literal(b"false"),
            Some(b'n') => self.literal(b"null"),
            _ => self.refuse(Refused::Expected("a value")),
        }
    }

    fn literal(&mut self, word: &[u8]) -> Result<()> {
        if !self.json[self.pos..].starts_with(word) {
            return self.refuse(Refused::Expected("a value"));
        }
        self.pos += word.len();
        Ok(())
    }

    fn number(&mut self) -> Result<()> {
        self.pos += usize::from(self.byte() == Some(b'-'));
        match self.byte() {
            Some(b'0') => self.pos += 1,
            _ => self.digits()?,
        }
        if self.byte() == Some(b'.') {
            self.pos += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.byte() {
            self.pos += 1;
            self.pos += usize::from(matches!(self.byte(), Some(b'+' | b'-')));
            self.digits()?;
        }
        // A digit here follows a leading zero; anything else is for the caller to judge.
        match self.byte() {
            Some(b'0'..=b'9') => self.refuse(Refused::Number),
            _ => Ok(()),
        }
    }

    fn digits(&mut self) -> Result<()> {
        let start = self.pos;
        while let Some(b'0'..=b'9') = self.byte() {
            self.pos += 1;
        }
        if self.pos == start { self.refuse(Refused::Number) } else { Ok(()) }
    }

    fn escape(&mut self) -> Result<()> {
        let first = match escape_at(&self.json[self.pos..]) {
            Some(Escape::Char(_, length)) => {
                self.pos += length;
                return Ok(());
            }
            Some(Escape::Unit(unit)) => unit,
            None => return self.refuse(Refused::Escape),
        };
        let second = match escape_at(&self.json[self.pos + 6..]) {
            Some(Escape::Unit(unit)) => unit,
            _ => return self.refuse(Refused::LoneSurrogate),
        };
        if pair(first, second).is_none() {
            return self.refuse(Refused::LoneSurrogate);
        }
        self.pos += 12;
        Ok(())
    }
}

impl<'a> Text<'a> {
    /// The text, if no escape stands in it.
    pub(crate) fn plain(&self) -> Option<&'a [u8]> {
        (!self.escaped).then_some(self.raw)
    }

    /// Appends the text with its escapes resolved.
    pub(crate) fn unescape(&self, out: &mut Vec<u8>) {
        let mut rest = self.raw;
        while let Some(at) = memchr::memchr(b'\\', rest) {
            out.extend_from_slice(&rest[..at]);
            rest = &rest[at..];
            let (char, length) = match escape_at(rest) {
                Some(Escape::Char(char, length)) => (char, length),
                Some(Escape::Unit(first)) => match escape_at(&rest[6..]) {
                    Some(Escape::Unit(second)) => (pair(first, second).unwrap_or_default(), 12),
                    _ => return debug_assert!(false, "I2"),
                },
                None => return debug_assert!(false, "I2"),
            };
            out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
            rest = &rest[length..];
        }
        out.extend_from_slice(rest);
    }

    /// The text as bytes; allocates only if there are escapes.
    pub(crate) fn bytes(&self) -> std::borrow::Cow<'a, [u8]> {
        match self.plain() {
            Some(raw) => raw.into(),
            None => {
                let mut out = Vec::with_capacity(self.raw.len());
                self.unescape(&mut out);
                out.into()
            }
        }
    }
}

/// What a `\` begins.
enum Escape {
    /// A character, and the bytes that spell it.
    Char(char, usize),
    /// Half of a surrogate pair, in 6 bytes.
    Unit(u16),
}

/// The escape at the start of `text`.
fn escape_at(text: &[u8]) -> Option<Escape> {
    let char = match text {
        [b'\\', char @ (b'"' | b'\\' | b'/'), ..] => *char as char,
        [b'\\', b'b', ..] => '\u{8}',
        [b'\\', b'f', ..] => '\u{c}',
        [b'\\', b'n', ..] => '\n',
        [b'\\', b'r', ..] => '\r',
        [b'\\', b't', ..] => '\t',
        [b'\\', b'u', a, b, c, d, ..] => {
            let mut unit = 0;
            for digit in [a, b, c, d] {
                unit = unit << 4 | (*digit as char).to_digit(16)?;
            }
            return Some(match char::from_u32(unit) {
                Some(char) => Escape::Char(char, 6),
                None => Escape::Unit(unit as u16),
            });
        }
        _ => return None,
    };
    Some(Escape::Char(char, 2))
}

/// The character of a high and a low surrogate.
fn pair(high: u16, low: u16) -> Option<char> {
    char::decode_utf16([high, low]).next()?.ok()
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = ONES * 0x80;
const SPACES: u64 = ONES * b' ' as u64;
const QUOTES: u64 = ONES * b'"' as u64;
const BACKSLASHES: u64 = ONES * b'\\' as u64;

/// Whether `b` ends a run of bytes that stand in a JSON string as they are.
fn is_special(b: u8) -> bool {
    (b < 0x20) | (b == b'"') | (b == b'\\')
}

/// How many bytes at the start of `text` stand in a JSON string as they are: no quote, no backslash,
/// no control character. Blocks of 32 first (vector code), then words, then bytes.
pub(crate) fn plain_len(text: &[u8]) -> usize {
    let mut len = 0;
    for block in text.chunks_exact(32) {
        if block.iter().fold(false, |any, &b| any | is_special(b)) {
            break;
        }
        len += 32;
    }
    while let Some(word) = text[len..].first_chunk() {
        let word = u64::from_le_bytes(*word);
        let zeros = |x: u64| x.wrapping_sub(ONES) & !x;
        let special =
            zeros(word ^ QUOTES) | zeros(word ^ BACKSLASHES) | word.wrapping_sub(SPACES) & !word;
        if special & HIGHS != 0 {
            // Borrows can raise false flags, but only above the lowest true one.
            return len + (special & HIGHS).trailing_zeros() as usize / 8;
        }
        len += 8;
    }
    len + text[len..].iter().take_while(|&&b| !is_special(b)).count()
}
