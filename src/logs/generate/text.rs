//! Numbers and times as text, appended without the machinery of `format!`, which would cost more than the line.

const DIGITS: &[u8; 16] = b"0123456789abcdef";
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Appends a number.
pub(super) fn number(out: &mut Vec<u8>, value: u64) {
    let mut text = [0; 20];
    let (mut at, mut left) = (20, value);
    loop {
        at -= 1;
        text[at] = DIGITS[(left % 10) as usize];
        left /= 10;
        if left == 0 {
            break;
        }
    }
    out.extend_from_slice(&text[at..]);
}

/// Appends the last `N` digits of a number, with leading zeros.
pub(super) fn digits<const N: usize>(out: &mut Vec<u8>, value: u64) {
    let (mut text, mut left) = ([0; N], value);
    for digit in text.iter_mut().rev() {
        *digit = DIGITS[(left % 10) as usize];
        left /= 10;
    }
    out.extend_from_slice(&text);
}

/// Appends 16 hexadecimal digits.
pub(super) fn hex(out: &mut Vec<u8>, value: u64) {
    let mut text = [0; 16];
    for (i, digit) in text.iter_mut().enumerate() {
        *digit = DIGITS[(value >> (60 - 4 * i) & 15) as usize];
    }
    out.extend_from_slice(&text);
}

/// Appends an address of a private network.
pub(super) fn address(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(b"10.");
    number(out, value >> 16 & 0xff);
    out.push(b'.');
    number(out, value >> 8 & 0xff);
    out.push(b'.');
    number(out, value & 0xff);
}

/// Appends `2026-01-31T12:30:59`, with `between` between date and time of day.
pub(super) fn moment(out: &mut Vec<u8>, us: u64, between: u8) {
    let (year, month, day) = date(us);
    digits::<4>(out, year);
    out.push(b'-');
    digits::<2>(out, month);
    out.push(b'-');
    digits::<2>(out, day);
    out.push(between);
    time_of_day(out, us);
}

/// Appends `31/Jan/2026:12:30:59`, as web servers write it.
pub(super) fn web_moment(out: &mut Vec<u8>, us: u64) {
    let (year, month, day) = date(us);
    digits::<2>(out, day);
    out.push(b'/');
    out.extend_from_slice(MONTHS[month as usize - 1].as_bytes());
    out.push(b'/');
    digits::<4>(out, year);
    out.push(b':');
    time_of_day(out, us);
}

fn time_of_day(out: &mut Vec<u8>, us: u64) {
    let second = us / 1_000_000 % 86_400;
    digits::<2>(out, second / 3_600);
    out.push(b':');
    digits::<2>(out, second / 60 % 60);
    out.push(b':');
    digits::<2>(out, second % 60);
}

/// Year, month and day (UTC), counted from 1 March of year 0, when leap days stand at the end of a year.
fn date(us: u64) -> (u64, u64, u64) {
    let days = us / 86_400_000_000 + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let (day, month) =
        (day - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    (year + era * 400 + u64::from(month <= 2), month, day)
}
