//! How a text becomes units: words in one spelling, and single characters of scripts without spaces.
//!
//! ```text
//!   text --runs of letters, digits, marks--> NFKD, marks off, case folded, NFC --> units --> terms
//!   "Café, 東京タワー!"      cafe | 東 京 タ ワ ー              cafe  東 京  東京 京タ タワ ワー
//! ```
//!
//! A word is a run of letters, digits and marks: everything else is between words, apostrophes and dots too, so that
//! `l'amour` is found by `amour` and `example.com` by `example`. That is why UAX 29, which keeps these whole, is not
//! used. Characters of scripts that are written without spaces (Han, kana, Thai, Lao, Khmer, Myanmar), and of Hangul,
//! which glues particles to its words, are units of their own. Their terms are every pair of neighbours, every Han
//! character, and every character that stands alone.
//!
//! I1. Units are a function of the text and of how many are taken, and the spelling of a spelling is itself.
//! I2. No text costs more than a walk over it: words and marks in a row are bounded.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Bytes of a word's one spelling; what is longer is cut there, in texts and in queries. Longer than words of
/// any language, and enough of a key or an address to be found by its beginning.
pub const WORD_BYTES_MAX: usize = 48;

/// Marks in a row that count; a letter of a living script has up to four. More are left out (I2).
const MARKS_MAX: u32 = 8;

/// Memory that is reserved for a text; longer ones grow.
const RESERVE_BYTES_MAX: usize = 64 << 10;

/// One unit: where it stands among the spellings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::nostr) struct Unit {
    pub(super) start: u32,
    pub(super) end: u32,
    pub(super) form: Form,
}

/// What a unit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::nostr) enum Form {
    /// A word.
    Word,
    /// A character of a script without spaces.
    Char,
    /// Such a character that follows another one directly.
    Next,
    /// The end of one text and the start of another: no phrase reaches across.
    Break,
}

/// The units of texts, in their order.
#[derive(Default, Clone, Debug)]
pub(in crate::nostr) struct Units {
    /// The spellings, one behind the other: neighbours in a text are neighbours here.
    spelled: String,
    units: Vec<Unit>,
    max: usize,
}

impl Units {
    /// Of no text yet; takes `max` units.
    pub(in crate::nostr) const fn new(max: usize) -> Units {
        Units { spelled: String::new(), units: Vec::new(), max }
    }

    pub(in crate::nostr) fn units(&self) -> &[Unit] {
        &self.units
    }

    /// The spelling of a unit.
    pub(super) fn spelling(&self, unit: Unit) -> &str {
        &self.spelled[unit.start as usize..unit.end as usize]
    }

    /// Whether no more are taken.
    pub(super) fn is_full(&self) -> bool {
        self.units.len() >= self.max
    }

    /// The terms of the units, repetitions included; at most two for each unit.
    pub(super) fn terms(&self) -> impl Iterator<Item = &str> {
        self.spans().map(|span| self.at(span))
    }

    /// Where the terms stand among the spellings: characters that are neighbours are so there too.
    pub(super) fn spans(&self) -> impl Iterator<Item = (u32, u32)> {
        let next_is = |i: usize| self.units.get(i + 1).is_some_and(|u| u.form == Form::Next);
        self.units.iter().enumerate().flat_map(move |(i, &unit)| {
            let one = Some((unit.start, unit.end));
            let (single, pair) = match unit.form {
                Form::Word => (one, None),
                Form::Break => (None, None),
                Form::Char => (one.filter(|_| self.is_han(unit) || !next_is(i)), None),
                Form::Next => {
                    (one.filter(|_| self.is_han(unit)), Some((self.units[i - 1].start, unit.end)))
                }
            };
            single.into_iter().chain(pair)
        })
    }

    /// The term at a place that `spans` gave.
    pub(super) fn at(&self, (start, end): (u32, u32)) -> &str {
        &self.spelled[start as usize..end as usize]
    }

    /// How many words and characters there are.
    pub(super) fn len(&self) -> usize {
        self.units.iter().filter(|unit| unit.form != Form::Break).count()
    }

    /// Whether a unit is a character that says something by itself.
    fn is_han(&self, unit: Unit) -> bool {
        self.spelling(unit).chars().next().is_some_and(is_han_char)
    }

    /// Of no text again, with the memory that there is, and some for texts of `bytes`.
    pub(super) fn restart(&mut self, max: usize, bytes: usize) {
        self.spelled.clear();
        self.units.clear();
        self.spelled.reserve(bytes.min(RESERVE_BYTES_MAX));
        self.units.reserve(bytes.min(RESERVE_BYTES_MAX) / 6);
        self.max = max;
    }

    /// Whether its memory is no more than is reserved for a text.
    pub(super) fn is_small(&self) -> bool {
        self.spelled.capacity() <= RESERVE_BYTES_MAX && self.units.capacity() <= RESERVE_BYTES_MAX
    }

    /// Says that what follows is another text.
    pub(super) fn end_text(&mut self) {
        if !self.is_full() && self.units.last().is_some_and(|unit| unit.form != Form::Break) {
            self.push(self.spelled.len(), Form::Break);
        }
    }

    /// Adds the units of `text`, until there are as many as are taken.
    pub(in crate::nostr) fn add(&mut self, text: &str) {
        let bytes = text.as_bytes();
        let mut at = 0;
        while at < bytes.len() && !self.is_full() {
            if CLASS[usize::from(bytes[at])] == BETWEEN {
                at += 1;
                continue;
            }
            // ASCII letters up to an ASCII separator are most of most texts.
            let plain = bytes[at..].iter().take_while(|&&b| CLASS[usize::from(b)] > WIDE).count();
            let wide = bytes.get(at + plain).is_some_and(|&b| CLASS[usize::from(b)] == WIDE);
            let follows = text[at + plain..].chars().next().filter(|_| wide);
            if follows.is_some_and(is_within) {
                at = self.add_run(text, at);
                continue;
            }
            if plain > 0 {
                self.add_ascii(&text[at..at + plain]);
            }
            at += plain + follows.map_or(0, char::len_utf8);
        }
    }

    fn add_ascii(&mut self, word: &str) {
        let start = self.spelled.len();
        self.spelled.push_str(&word[..word.len().min(WORD_BYTES_MAX)]);
        self.spelled[start..].make_ascii_lowercase();
        self.push(start, Form::Word);
    }

    /// Adds the units of the run that starts at `at`, which is not empty; answers where it ends.
    fn add_run(&mut self, text: &str, at: usize) -> usize {
        let rest = &text[at..];
        let len = rest.find(|c| !is_within(c)).unwrap_or(rest.len());
        let run = &rest[..len];
        let mut marks = 0;
        let bounded = move |c: &char| {
            marks = if is_combining_mark(*c) { marks + 1 } else { 0 };
            marks <= MARKS_MAX
        };
        let kept = run.chars().filter(|&c| !is_joiner(c) && !is_dropped(c)).filter(bounded);
        let folded = kept.nfkd().filter(|&c| !is_dropped(c)).flat_map(fold).nfc();
        let mut open: Option<usize> = None;
        let mut glued = false;
        for c in folded {
            if self.is_full() {
                break;
            }
            let between = !(c.is_alphanumeric() || is_combining_mark(c));
            let spaceless = !between && is_spaceless(c);
            if (between || spaceless)
                && let Some(start) = open.take()
            {
                self.push(start, Form::Word);
                if self.is_full() {
                    break;
                }
            }
            if spaceless {
                let start = self.spelled.len();
                self.spelled.push(c);
                self.push(start, if glued { Form::Next } else { Form::Char });
            } else if !between {
                let start = *open.get_or_insert(self.spelled.len());
                if self.spelled.len() - start + c.len_utf8() <= WORD_BYTES_MAX {
                    self.spelled.push(c);
                }
            }
            glued = spaceless;
        }
        if let Some(start) = open
            && !self.is_full()
        {
            self.push(start, Form::Word);
        }
        at + len
    }

    /// Takes what was spelled since `start` as a unit.
    fn push(&mut self, start: usize, form: Form) {
        let end = self.spelled.len() as u32;
        self.units.push(Unit { start: start as u32, end, form });
    }
}

/// Class of ASCII that is between words, and of the bytes of all other characters; the classes above are the lower
/// case of letters and digits.
const BETWEEN: u8 = 0;
const WIDE: u8 = 1;

static CLASS: [u8; 256] = {
    let mut class = [WIDE; 256];
    let mut b = 0;
    while b < 128 {
        class[b] = if (b as u8).is_ascii_alphanumeric() {
            (b as u8).to_ascii_lowercase()
        } else {
            BETWEEN
        };
        b += 1;
    }
    class
};

/// Full case folding, but for what NFKD does already: through the upper case, where the forms of a letter meet
/// (ς and σ, ı and i, ß and ss).
fn fold(c: char) -> impl Iterator<Item = char> {
    c.to_lowercase().flat_map(char::to_uppercase).flat_map(char::to_lowercase)
}

/// Whether a character stands within a run.
fn is_within(c: char) -> bool {
    c.is_alphanumeric() || is_combining_mark(c) || is_joiner(c)
}

/// Characters within a word that nobody sees: soft hyphen, joiners, marks of direction, byte order mark.
fn is_joiner(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{200c}'..='\u{200f}' | '\u{2060}' | '\u{feff}')
}

/// Marks that people leave out when they search: accents of Latin, Greek and Cyrillic, points of Hebrew, vowels
/// and stretching of Arabic, selectors of variants. Marks that make another letter (kana, Indic, Thai) stay.
fn is_dropped(c: char) -> bool {
    matches!(c,
        '\u{300}'..='\u{36f}' | '\u{483}'..='\u{489}' | '\u{591}'..='\u{5bd}' | '\u{5bf}'
        | '\u{5c1}'..='\u{5c2}' | '\u{5c4}'..='\u{5c5}' | '\u{5c7}' | '\u{610}'..='\u{61a}'
        | '\u{640}' | '\u{64b}'..='\u{65f}' | '\u{670}' | '\u{180b}'..='\u{180f}'
        | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20ff}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{fe20}'..='\u{fe2f}' | '\u{e0100}'..='\u{e01ef}')
}

fn is_spaceless(c: char) -> bool {
    matches!(c,
        '\u{e01}'..='\u{eff}'       // Thai, Lao
        | '\u{1000}'..='\u{109f}'   // Myanmar
        | '\u{1100}'..='\u{11ff}'   // Hangul, parts
        | '\u{1780}'..='\u{17ff}'   // Khmer
        | '\u{3005}'..='\u{3007}'
        | '\u{3040}'..='\u{31ff}'   // kana, Bopomofo
        | '\u{ac00}'..='\u{d7ff}'   // Hangul
    ) || is_han_char(c)
}

fn is_han_char(c: char) -> bool {
    matches!(c,
        '\u{3005}' | '\u{3007}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}'
        | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}
