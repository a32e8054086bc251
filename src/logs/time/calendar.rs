//! Days and dates: the arithmetic that recognising times in lines needs, in a few additions.
//!
//! 1. Years are 1970 to 9999; a date outside is none.

use super::{DAY_US, SECOND_US};

/// Days before each month of a year that is no leap year.
const DAYS_BEFORE: [u32; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];

const FIRST_YEAR: u32 = 1970;
const LAST_YEAR: u32 = 9999;

/// The longest stretch without a leap year: 1896 to 1904, 2096 to 2104.
const LEAP_GAP_YEARS: u32 = 8;

/// A day, with a year if it was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Date {
    /// 1970 to 9999.
    pub year: u32,
    /// From 1.
    pub month: u32,
    /// From 1.
    pub day: u32,
}

fn is_leap(year: u32) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

/// Days from the first of January of the year 1 to that of `year`.
fn days_before_year(year: u32) -> u32 {
    let past = year - 1;
    past * 365 + past / 4 - past / 100 + past / 400
}

impl Date {
    /// Days since the epoch, if there is such a day.
    pub fn days(self) -> Option<u32> {
        let Date { year, month, day } = self;
        if !(FIRST_YEAR..=LAST_YEAR).contains(&year) || !(1..=12).contains(&month) {
            return None;
        }
        let leap = u32::from(is_leap(year));
        let end = match month {
            2 => 28 + leap,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        if !(1..=end).contains(&day) {
            return None;
        }
        let before = DAYS_BEFORE[month as usize - 1] + if month > 2 { leap } else { 0 };
        Some(days_before_year(year) - days_before_year(FIRST_YEAR) + before + day - 1)
    }
}

/// A time of day, and how far its clock is ahead of UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clock {
    /// Since midnight.
    pub us: u64,
    /// Minutes, if they were told.
    pub offset: Option<i32>,
}

/// The moment of a date and a time of day; without an offset that of UTC.
pub fn moment(date: Date, clock: Clock) -> Option<u64> {
    let local = u64::from(date.days()?) * DAY_US + clock.us;
    let ahead = i64::from(clock.offset.unwrap_or(0)) * 60 * SECOND_US as i64;
    local.checked_add_signed(-ahead)
}

/// The year of a moment.
fn year_of(us: u64) -> u32 {
    let days = us / DAY_US;
    // An average year has 146,097 / 400 days; the estimate is at most one off.
    let guess = u64::from(FIRST_YEAR) + days * 400 / 146_097;
    let guess = u32::try_from(guess).unwrap_or(LAST_YEAR).min(LAST_YEAR);
    let begins = |year: u32| u64::from(days_before_year(year) - days_before_year(FIRST_YEAR));
    match guess {
        year if year > FIRST_YEAR && begins(year) > days => year - 1,
        year if year < LAST_YEAR && begins(year + 1) <= days => year + 1,
        year => year,
    }
}

/// The moment of a date whose year was not told: of the year that brings it nearest to `now`.
pub fn nearest(month: u32, day: u32, clock: Clock, now: u64) -> Option<u64> {
    let this = year_of(now);
    // The 29th of February may be some years away.
    let reach = if (month, day) == (2, 29) { LEAP_GAP_YEARS } else { 1 };
    let years = this.saturating_sub(reach).max(FIRST_YEAR)..=this + reach;
    let moments = years.filter_map(|year| moment(Date { year, month, day }, clock));
    moments.min_by_key(|moment| moment.abs_diff(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_of_four_centuries_has_its_number_and_no_other_day_has_one() {
        let mut number = 0;
        for year in 1970..2410 {
            for month in 0..=13 {
                for day in 0..=32 {
                    let is_there = jiff::civil::Date::new(year as i16, month as i8, day as i8);
                    let days = Date { year, month, day }.days();
                    assert_eq!(days, is_there.is_ok().then_some(number), "{year}-{month}-{day}");
                    if days.is_some() {
                        let noon = u64::from(number) * DAY_US + DAY_US / 2;
                        assert_eq!(year_of(noon), year);
                        number += 1;
                    }
                }
            }
        }
        assert_eq!(Date { year: 1969, month: 12, day: 31 }.days(), None);
        assert_eq!(Date { year: 10_000, month: 1, day: 1 }.days(), None);
        assert_eq!((year_of(0), year_of(u64::MAX)), (1970, 9999));
    }

    #[test]
    fn without_a_year_the_nearest_counts() {
        let at =
            |year, month, day| moment(Date { year, month, day }, Clock::default()).expect("a date");
        let near = |month, day, now| nearest(month, day, Clock::default(), now);
        let now = at(2026, 1, 2);
        assert_eq!(near(12, 31, now), Some(at(2025, 12, 31)), "last week, not in a year");
        assert_eq!(near(1, 3, at(2025, 12, 30)), Some(at(2026, 1, 3)), "a clock that is ahead");
        assert_eq!(near(1, 1, now), Some(at(2026, 1, 1)));
        assert_eq!(near(2, 29, now), Some(at(2024, 2, 29)));
        assert_eq!(near(2, 29, at(2099, 1, 1)), Some(at(2096, 2, 29)));
        assert_eq!(near(2, 30, now), None);
        assert_eq!(near(12, 31, 0), Some(at(1970, 12, 31)), "nothing lies before the epoch");
    }

    #[test]
    fn an_offset_leads_to_utc_and_not_before_the_epoch() {
        let clock = |offset| Clock { us: 0, offset };
        let first = Date { year: 1970, month: 1, day: 1 };
        assert_eq!(moment(first, clock(Some(60))), None);
        assert_eq!(moment(first, clock(Some(-60))), Some(3_600 * SECOND_US));
        assert_eq!(moment(first, clock(None)), Some(0));
    }
}
