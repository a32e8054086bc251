//! Identifiers, and the one total order of records.
//!
//! Ascending order is time ascending, then id *descending*, so that a backward walk is newest first
//! with the lowest id first among equals: the order in which every query answers.

use std::cmp::Ordering;
use std::fmt;

/// What a record is found and ordered by: a time and a unique id of 32 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key {
    /// Seconds or microseconds, as the model says; any `u64`.
    pub time: u64,
    /// Unique within a store.
    pub id: [u8; 32],
}

/// Bytes of an id that count, if the store's own skin makes the ids.
const OWN_BYTES: usize = 8;

impl Key {
    /// The key of an own record ([`Ids::Own`]): `number` in front, big-endian, then zeroes.
    pub fn own(time: u64, number: u64) -> Key {
        let mut id = [0; 32];
        id[..OWN_BYTES].copy_from_slice(&number.to_be_bytes());
        Key { time, id }
    }

    /// The number of an own id; `None` if what is behind it is not zero.
    pub fn own_number(&self) -> Option<u64> {
        let (number, rest) = self.id.split_first_chunk::<OWN_BYTES>()?;
        rest.iter().all(|&byte| byte == 0).then(|| u64::from_be_bytes(*number))
    }
}

/// Who makes the ids of a model's records.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Ids {
    /// Somebody else: any 32 bytes, and the same again. They are looked up, and indexed for that.
    #[default]
    Foreign,
    /// Whoever writes to the store: 8 bytes that are never given twice, then 24 zeroes ([`Key::own`]). They are
    /// never looked up, and have no index: a record is found by its whole key.
    Own,
}

impl Ord for Key {
    fn cmp(&self, other: &Key) -> Ordering {
        self.time.cmp(&other.time).then_with(|| other.id.cmp(&self.id))
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Key) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/", self.time)?;
        self.id[..4].iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

/// Index of a record within one memtable (arrival order) or one segment (ascending key order).
pub type Ordinal = u32;

/// Number of a record in its shard's order of arrival since the store was opened, from 1.
/// A reader that knows `n` sees exactly the records and removals numbered up to `n`.
pub type Seq = u64;

/// A shard's number, from 0.
pub type ShardId = u16;

/// Position in a shard's log: file number in the high 32 bits, byte offset in the low 32.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Lsn(pub u64);

impl Lsn {
    /// The position `offset` bytes into log file `file`.
    pub fn new(file: u32, offset: u32) -> Lsn {
        Lsn(u64::from(file) << 32 | u64::from(offset))
    }

    /// Number of the log file.
    pub fn file(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// Byte offset in that file.
    pub fn offset(self) -> u32 {
        self.0 as u32
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file(), self.offset())
    }
}

impl fmt::Debug for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "lsn {self}")
    }
}

/// 16 bytes printed as a UUID.
macro_rules! uuid {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; 16]);

        impl $name {
            /// A version 7 UUID of this millisecond (Unix time) and 10 random bytes (RFC 9562).
            pub fn v7(unix_ms: u64, random: [u8; 10]) -> $name {
                let mut b = [0; 16];
                b[..6].copy_from_slice(&unix_ms.to_be_bytes()[2..]);
                b[6..].copy_from_slice(&random);
                b[6] = b[6] & 0x0f | 0x70;
                b[8] = b[8] & 0x3f | 0x80;
                $name(b)
            }

            /// Reads the form that `Display` writes.
            pub fn parse(text: &str) -> Option<$name> {
                let mut nibbles = Vec::with_capacity(32);
                for (i, c) in text.bytes().enumerate() {
                    match c {
                        b'-' if matches!(i, 8 | 13 | 18 | 23) => {}
                        b'0'..=b'9' => nibbles.push(c - b'0'),
                        b'a'..=b'f' => nibbles.push(c - b'a' + 10),
                        _ => return None,
                    }
                }
                if text.len() != 36 || nibbles.len() != 32 {
                    return None;
                }
                let mut b = [0; 16];
                for (i, n) in nibbles.iter().enumerate() {
                    b[i / 2] |= n << (4 * (1 - i % 2));
                }
                Some($name(b))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                for (i, b) in self.0.iter().enumerate() {
                    let dash = if matches!(i, 4 | 6 | 8 | 10) { "-" } else { "" };
                    write!(f, "{dash}{b:02x}")?;
                }
                Ok(())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{self}")
            }
        }
    };
}

uuid! {
    /// Names a store; every file of the store carries it.
    StoreId
}

uuid! {
    /// Names a segment; time-ordered by creation.
    SegmentId
}

/// Bytes of a page: 4, 8 or 16 KiB, chosen when a store is created.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum PageSize {
    /// 4,096 bytes.
    #[default]
    K4,
    /// 8,192 bytes.
    K8,
    /// 16,384 bytes.
    K16,
}

impl PageSize {
    /// All of them, the smallest first.
    pub const ALL: [PageSize; 3] = [PageSize::K4, PageSize::K8, PageSize::K16];

    /// The size in bytes.
    pub const fn bytes(self) -> usize {
        match self {
            PageSize::K4 => 4096,
            PageSize::K8 => 8192,
            PageSize::K16 => 16384,
        }
    }

    /// The page size of `bytes` bytes, if it is one.
    pub fn from_bytes(bytes: usize) -> Option<PageSize> {
        PageSize::ALL.into_iter().find(|p| p.bytes() == bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backward_walk_is_newest_first_and_lowest_id_first() {
        let key = |time, b| Key { time, id: [b; 32] };
        let mut keys = vec![key(1, 1), key(2, 9), key(2, 3), key(3, 5)];
        keys.sort();
        keys.reverse();
        assert_eq!(keys, vec![key(3, 5), key(2, 3), key(2, 9), key(1, 1)]);
    }

    #[test]
    fn uuids_read_what_they_write() {
        let id = StoreId::v7(0x0192_0000_1234, [0xff; 10]);
        assert_eq!(id.to_string(), "01920000-1234-7fff-bfff-ffffffffffff");
        assert_eq!(StoreId::parse(&id.to_string()), Some(id));
        assert_eq!(StoreId::parse("01920000-1234-7fff-bfff-fffffffffff"), None);
        assert_eq!(StoreId::parse("0192000001234-7fff-bfff-ffffffffffff"), None);
    }

    #[test]
    fn an_lsn_orders_by_file_then_offset() {
        assert!(Lsn::new(1, u32::MAX) < Lsn::new(2, 0));
        assert_eq!((Lsn::new(7, 9).file(), Lsn::new(7, 9).offset()), (7, 9));
    }
}
