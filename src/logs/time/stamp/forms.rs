//! The forms that times have in lines, read byte by byte.
//!
//! 1. A form that does not fit gives `None`, and leaves the text wherever it gave up.
//! 2. Behind the end of a line all bytes are 0, which no form has.

use super::super::SECOND_US;
use super::super::calendar::{Clock, Date, moment, nearest};

const MONTHS: [&[u8; 3]; 12] = [
    b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec",
];

const WEEKDAYS: [&[u8; 3]; 7] = [b"mon", b"tue", b"wed", b"thu", b"fri", b"sat", b"sun"];

/// The furthest that clocks are from UTC, in hours. Behind a space a number beyond is none of theirs.
const OFFSET_HOURS_MAX: u32 = 14;

/// A line, and how far it was read.
pub struct Text<'a> {
    line: &'a [u8],
    at: usize,
}

impl Text<'_> {
    /// From here on.
    pub fn new(line: &[u8], at: usize) -> Text<'_> {
        Text { line, at }
    }

    /// How far it was read.
    pub fn at(&self) -> usize {
        self.at
    }

    /// The next byte.
    pub fn peek(&self) -> u8 {
        self.ahead(0)
    }

    fn ahead(&self, bytes: usize) -> u8 {
        self.line.get(self.at + bytes).copied().unwrap_or(0)
    }

    /// Takes the next byte if it is this.
    fn take(&mut self, byte: u8) -> bool {
        let is_it = self.peek() == byte;
        self.at += usize::from(is_it);
        is_it
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        self.take(byte).then_some(())
    }

    /// A number of exactly so many digits.
    fn digits(&mut self, count: usize) -> Option<u32> {
        let digits = self.line.get(self.at..self.at + count)?;
        let mut number = 0;
        for digit in digits {
            let value = digit.wrapping_sub(b'0');
            if value > 9 {
                return None;
            }
            number = number * 10 + u32::from(value);
        }
        self.at += count;
        Some(number)
    }

    /// Digits behind a point or comma, in millionths; what is finer is cut off.
    fn fraction(&mut self) -> u64 {
        if !matches!(self.peek(), b'.' | b',') || !self.ahead(1).is_ascii_digit() {
            return 0;
        }
        self.at += 1;
        let (mut us, mut scale) = (0, SECOND_US / 10);
        while self.peek().is_ascii_digit() {
            us += scale * u64::from(self.peek() - b'0');
            scale /= 10;
            self.at += 1;
        }
        us
    }

    /// `14:00:00.123`, or without seconds if those are not `needed`.
    fn clock(&mut self, needs_seconds: bool) -> Option<u64> {
        let hour = self.digits(2)?;
        self.expect(b':')?;
        let minute = self.digits(2)?;
        let (mut second, mut us) = (0, 0);
        if self.peek() == b':' && self.ahead(1).is_ascii_digit() {
            self.at += 1;
            second = self.digits(2)?;
            us = self.fraction();
        } else if needs_seconds {
            return None;
        }
        if self.peek().is_ascii_digit() || hour > 23 || minute > 59 || second > 60 {
            return None;
        }
        Some(u64::from(hour * 3_600 + minute * 60 + second) * SECOND_US + us)
    }

    /// `Z`, `UTC`, `+01:00`, `+0100`, `+01`, directly or, but for the last, behind a space.
    fn offset(&mut self) -> Option<i32> {
        let start = self.at;
        let is_apart = self.take(b' ');
        let offset = self.offset_here(is_apart).filter(|_| !self.peek().is_ascii_alphanumeric());
        if offset.is_none() {
            self.at = start;
        }
        offset
    }

    fn offset_here(&mut self, is_apart: bool) -> Option<i32> {
        let sign = match self.peek() {
            b'Z' | b'z' if !is_apart => {
                self.at += 1;
                return Some(0);
            }
            b'U' | b'G' => {
                let name = self.line.get(self.at..self.at + 3)?;
                self.at += 3;
                return matches!(name, b"UTC" | b"GMT").then_some(0);
            }
            b'+' => 1,
            b'-' => -1,
            _ => return None,
        };
        self.at += 1;
        let hours = self.digits(2)?;
        let is_short = !is_apart && !self.peek().is_ascii_digit() && self.peek() != b':';
        let minutes = if is_short {
            0
        } else {
            self.take(b':');
            self.digits(2)?
        };
        // Some other number may follow a time and a space.
        let is_real = hours <= OFFSET_HOURS_MAX && minutes.is_multiple_of(15);
        let is_one = hours <= 23 && minutes <= 59 && (is_real || !is_apart);
        is_one.then_some(sign * (hours * 60 + minutes) as i32)
    }

    fn clock_and_offset(&mut self, needs_seconds: bool) -> Option<Clock> {
        Some(Clock { us: self.clock(needs_seconds)?, offset: self.offset() })
    }

    /// `2026-11-22T14:00:00.123456+01:00`, and what is like it.
    pub fn iso(&mut self) -> Option<u64> {
        let (date, clock) = self.iso_parts()?;
        moment(date, clock?)
    }

    /// The same, in parts; a date may stand alone.
    pub fn iso_parts(&mut self) -> Option<(Date, Option<Clock>)> {
        let year = self.digits(4)?;
        let divider = self.peek();
        if !matches!(divider, b'-' | b'/') {
            return None;
        }
        self.at += 1;
        let month = self.digits(2)?;
        self.expect(divider)?;
        let day = self.digits(2)?;
        let date = Date { year, month, day };
        date.days()?;
        if !matches!(self.peek(), b'T' | b't' | b' ' | b'_') {
            return Some((date, None));
        }
        let end = self.at;
        self.at += 1;
        let clock = self.clock_and_offset(false);
        if clock.is_none() {
            self.at = end;
        }
        Some((date, clock))
    }

    /// `14:00`, `14:00:05.5`, with an offset or without.
    pub fn time_of_day(&mut self) -> Option<Clock> {
        self.clock_and_offset(false)
    }

    /// 10, 13, 16 or 19 digits; behind 10 a fraction.
    pub fn epoch(&mut self) -> Option<u64> {
        let rest = self.line.get(self.at..)?;
        let count = rest.iter().take(20).take_while(|b| b.is_ascii_digit()).count();
        let mut number = 0u64;
        for digit in &rest[..count.min(19)] {
            number = number * 10 + u64::from(digit - b'0');
        }
        self.at += count;
        let us = match count {
            10 => number * SECOND_US + self.fraction(),
            13 => number * 1_000,
            16 => number,
            19 => number / 1_000,
            _ => return None,
        };
        // Part of a longer word, it is a word.
        let next = self.peek();
        let is_word = next.is_ascii_alphanumeric() || matches!(next, b'-' | b'_' | b'/' | 0x80..);
        let is_address = matches!(next, b'.' | b':') && self.ahead(1).is_ascii_alphanumeric();
        // None begins with 0 but what lies before the year 2001.
        (!is_word && !is_address && rest[0] != b'0').then_some(us)
    }

    /// A word of three letters among these; its number, from 0.
    fn word(&mut self, words: &[&[u8; 3]]) -> Option<u32> {
        let word = self.line.get(self.at..self.at + 3)?;
        let number = words.iter().position(|known| word.eq_ignore_ascii_case(&known[..]))?;
        self.at += 3;
        u32::try_from(number).ok()
    }

    fn month(&mut self) -> Option<u32> {
        Some(self.word(&MONTHS)? + 1)
    }

    /// `Nov 22 14:00:00`, `Nov  2 14:00:00`, `Nov 22 2026 14:00:00`, `Sun Nov 22 14:00:00 2026`.
    pub fn named_month(&mut self, now_us: u64) -> Option<u64> {
        let has_weekday = self.word(&WEEKDAYS).is_some();
        if has_weekday {
            self.expect(b' ')?;
        }
        let month = self.month()?;
        self.expect(b' ')?;
        self.take(b' ');
        let day = self.digits(2).or_else(|| self.digits(1))?;
        self.expect(b' ')?;
        let mut year = None;
        if self.ahead(2) != b':' {
            year = Some(self.digits(4)?);
            self.expect(b' ')?;
        }
        let us = self.clock(true)?;
        let end = self.at;
        if has_weekday && year.is_none() && self.take(b' ') {
            year = self.digits(4).filter(|_| !self.peek().is_ascii_alphanumeric());
            self.at = if year.is_some() { self.at } else { end };
        }
        let clock = Clock { us, offset: self.offset() };
        match year {
            Some(year) => moment(Date { year, month, day }, clock),
            None => nearest(month, day, clock, now_us),
        }
    }

    /// `I1122 14:00:00.123456`, or with a year before the month.
    pub fn klog(&mut self, now_us: u64) -> Option<u64> {
        if !matches!(self.peek(), b'I' | b'W' | b'E' | b'F' | b'D') {
            return None;
        }
        self.at += 1;
        let first = self.digits(4)?;
        if self.take(b' ') {
            let us = self.clock(true)?;
            return nearest(first / 100, first % 100, Clock { us, offset: None }, now_us);
        }
        let second = self.digits(4)?;
        self.expect(b' ')?;
        let us = self.clock(true)?;
        let date = Date { year: first, month: second / 100, day: second % 100 };
        moment(date, Clock { us, offset: None })
    }

    /// `22/Nov/2026:14:00:00 +0100`, without the brackets around it.
    pub fn common(&mut self) -> Option<u64> {
        let day = self.digits(2)?;
        self.expect(b'/')?;
        let month = self.month()?;
        self.expect(b'/')?;
        let year = self.digits(4)?;
        self.expect(b':')?;
        moment(Date { year, month, day }, self.clock_and_offset(true)?)
    }
}
