//! Protocol buffers as they travel: fields in the order in which they were written, in place.
//!
//! ```text
//!   key = number << 3 | type    type 0 varint | 1 eight bytes | 2 length, bytes | 5 four bytes
//! ```
//!
//! Built after <https://protobuf.dev/programming-guides/encoding/>; why not by generated structs is said in
//! `docs/decisions/0019-otlp.md`.
//!
//! I1. Any bytes give fields or one [`Malformed`]; nothing is allocated.

/// Bytes of the longest varint.
const VARINT_BYTES_MAX: usize = 10;

/// What is no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// The value of a field.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value<'a> {
    Varint(u64),
    Eight(u64),
    Four,
    Bytes(&'a [u8]),
}

/// The fields of a message.
pub(super) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn of(message: &'a [u8]) -> Fields<'a> {
        Fields(message)
    }

    /// The next field's number and value.
    pub(super) fn next(&mut self) -> Result<Option<(u64, Value<'a>)>, Malformed> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let key = self.varint()?;
        let value = match key & 7 {
            0 => Value::Varint(self.varint()?),
            1 => {
                let bytes = self.bytes(8)?.try_into().map_err(|_| Malformed)?;
                Value::Eight(u64::from_le_bytes(bytes))
            }
            2 => {
                let length = self.varint()?;
                Value::Bytes(self.bytes(length)?)
            }
            5 => self.bytes(4).map(|_| Value::Four)?,
            // Groups are not in any message of ours, nor have been made for fifteen years.
            _ => return Err(Malformed),
        };
        if key >> 3 == 0 {
            return Err(Malformed);
        }
        Ok(Some((key >> 3, value)))
    }

    fn varint(&mut self) -> Result<u64, Malformed> {
        let mut number = 0u64;
        for (at, byte) in self.0.iter().take(VARINT_BYTES_MAX).enumerate() {
            // The tenth byte has one bit of the number.
            number |= u64::from(byte & 0x7f).checked_shl(7 * at as u32).unwrap_or(0);
            if byte & 0x80 == 0 {
                self.0 = &self.0[at + 1..];
                return Ok(number);
            }
        }
        Err(Malformed)
    }

    fn bytes(&mut self, length: u64) -> Result<&'a [u8], Malformed> {
        let length = usize::try_from(length).map_err(|_| Malformed)?;
        let (bytes, rest) = self.0.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        Ok(bytes)
    }
}

/// Appends a varint.
pub(super) fn push_varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Appends a field of bytes.
pub(super) fn push_bytes(field: u64, bytes: &[u8], out: &mut Vec<u8>) {
    push_varint(field << 3 | 2, out);
    push_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

/// Appends a field with a number.
pub(super) fn push_number(field: u64, number: u64, out: &mut Vec<u8>) {
    push_varint(field << 3, out);
    push_varint(number, out);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(message: &[u8]) -> Result<Vec<(u64, Value<'_>)>, Malformed> {
        let (mut fields, mut found) = (Fields::of(message), Vec::new());
        while let Some(field) = fields.next()? {
            found.push(field);
        }
        Ok(found)
    }

    #[test]
    fn each_type_of_field_is_read() {
        // The examples of the encoding's own guide: 150, "testing".
        assert_eq!(all(b"\x08\x96\x01"), Ok(vec![(1, Value::Varint(150))]));
        assert_eq!(all(b"\x12\x07testing"), Ok(vec![(2, Value::Bytes(b"testing"))]));
        let both = all(b"\x09\x01\0\0\0\0\0\0\0\x15\0\0\0\0");
        assert_eq!(both, Ok(vec![(1, Value::Eight(1)), (2, Value::Four)]));
        assert_eq!(
            all(b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
            Ok(vec![(1, Value::Varint(u64::MAX))])
        );
        assert_eq!(all(b""), Ok(vec![]));
    }

    #[test]
    fn what_is_cut_or_no_message_is_malformed() {
        let bad: [&[u8]; 8] = [
            b"\x08",
            b"\x12\x07testin",
            b"\x09\0\0\0\0\0\0\0",
            b"\x15\0\0\0",
            b"\x0b",
            b"\x00\x00",
            b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01a",
            &[0x80; 11],
        ];
        for bad in bad {
            assert_eq!(all(bad), Err(Malformed), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_give_fields_or_are_malformed(bytes in prop::collection::vec(any::<u8>(), 0..99)) {
            let _either = all(&bytes);
        }

        #[test]
        fn what_is_written_is_read(field in 1..1u64 << 29, number: u64, bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut message = Vec::new();
            push_number(field, number, &mut message);
            push_bytes(field, &bytes, &mut message);
            prop_assert_eq!(all(&message), Ok(vec![(field, Value::Varint(number)), (field, Value::Bytes(&bytes))]));
        }
    }
}
