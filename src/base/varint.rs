//! Little-endian base-128 integers (LEB128), one byte for values below 128.

/// Appends `value` in 1 to 10 bytes.
pub fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Reads a value and moves `input` behind it; `None` if it is cut off, longer than 10 bytes,
/// over `u64`, or not in its shortest form.
#[inline]
pub fn get_varint(input: &mut &[u8]) -> Option<u64> {
    match *input {
        // Most are.
        [b @ 0..0x80, rest @ ..] => {
            *input = rest;
            Some(u64::from(*b))
        }
        _ => get_long_varint(input),
    }
}

fn get_long_varint(input: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for (i, &b) in input.iter().enumerate().take(10) {
        let bits = u64::from(b & 0x7f);
        if i == 9 && bits > 1 {
            return None;
        }
        value |= bits << (7 * i);
        if b < 0x80 {
            if b == 0 && i > 0 {
                return None;
            }
            *input = &input[i + 1..];
            return Some(value);
        }
    }
    None
}

/// Bytes that `put_varint` takes for `value`.
pub const fn varint_len(value: u64) -> usize {
    (70 - (value | 1).leading_zeros() as usize) / 7
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_reads_back_and_counts() {
        for shift in 0..64 {
            for value in [1u64 << shift, (1u64 << shift) - 1, u64::MAX >> shift] {
                let mut out = Vec::new();
                put_varint(&mut out, value);
                assert_eq!(out.len(), varint_len(value), "{value}");
                let mut input = &out[..];
                assert_eq!(get_varint(&mut input), Some(value));
                assert!(input.is_empty());
                assert_eq!(get_varint(&mut &out[..out.len() - 1]), None);
            }
        }
    }

    #[test]
    fn refuses_overlong_and_overflowing_forms() {
        assert_eq!(get_varint(&mut &[0x80, 0x00][..]), None);
        assert_eq!(get_varint(&mut &[0xff; 11][..]), None);
        let mut over = [0xff; 10];
        over[9] = 2;
        assert_eq!(get_varint(&mut &over[..]), None);
    }
}
