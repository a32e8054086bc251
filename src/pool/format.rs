//! The page as it is stored: a payload and a trailer that proves which page of which file it is.
//!
//! ```text
//! offset        bytes  field
//! 0             P      payload, P = page size - 16
//! P             4      page number, u32 little endian
//! P + 4         4      kind, u32 little endian: the owner's own code
//! P + 8         8      CRC64 (ECMA) of bytes 0 .. P + 8 followed by the 16-byte file id
//! ```
//!
//! F1. The checksum covers every other byte of the page, so that no flipped bit passes.
//! F2. The file id is in the checksum and not in the page: a page of another file does not pass.
//! F3. The page number is in the page: a page of this file in the wrong place does not pass.
//!
//! An `Err` says what does not hold; the caller knows the file and the offset.
//! After the self-describing pages of LevelDB blocks and of ZFS's checksummed block pointers.

use crate::base::Crc64;

/// Bytes of the trailer, at the end of every page.
pub const PAGE_TRAILER_BYTES: usize = 16;

/// Offsets in the trailer.
const NUMBER: usize = 0;
const KIND: usize = 4;
const CHECKSUM: usize = 8;
const _: () = assert!(CHECKSUM + size_of::<u64>() == PAGE_TRAILER_BYTES);

/// Fills the trailer of `page`, whose payload is final.
///
/// # Panics
/// If `page` is shorter than its trailer.
pub fn seal_page(page: &mut [u8], file_id: &[u8; 16], number: u32, kind: u32) {
    let trailer = page.len() - PAGE_TRAILER_BYTES;
    page[trailer + NUMBER..][..4].copy_from_slice(&number.to_le_bytes());
    page[trailer + KIND..][..4].copy_from_slice(&kind.to_le_bytes());
    let (covered, checksum) = page.split_at_mut(trailer + CHECKSUM);
    checksum.copy_from_slice(&checksum_of(covered, file_id).to_le_bytes());
}

/// Checks that `page` is page `number` of the file `file_id`, undamaged, and gives its kind.
///
/// # Errors
/// What does not hold, as the end of a sentence.
pub fn check_page(page: &[u8], file_id: &[u8; 16], number: u32) -> Result<u32, &'static str> {
    let Some(trailer) = page.len().checked_sub(PAGE_TRAILER_BYTES) else {
        return Err("the page is shorter than its trailer");
    };
    let (covered, checksum) = page.split_at(trailer + CHECKSUM);
    if page[trailer..].iter().all(|&b| b == 0) {
        return Err("the page was never written: its trailer is zero");
    }
    if checksum != checksum_of(covered, file_id).to_le_bytes() {
        return Err("the checksum of the page does not match its bytes and its file");
    }
    if page[trailer + NUMBER..][..4] != number.to_le_bytes() {
        return Err("another page of the file stands in the place of this one");
    }
    Ok(kind_of(page))
}

/// The number and the kind that a page's trailer says, true or not. For tools.
pub fn look_at_trailer(page: &[u8]) -> Option<(u32, u32)> {
    let &[a, b, c, d, ..] = page.last_chunk::<PAGE_TRAILER_BYTES>()?;
    Some((u32::from_le_bytes([a, b, c, d]), kind_of(page)))
}

/// The kind of a page that was checked before; 0 of one shorter than its trailer.
pub(super) fn kind_of(page: &[u8]) -> u32 {
    match page.last_chunk::<PAGE_TRAILER_BYTES>() {
        Some(&[_, _, _, _, a, b, c, d, ..]) => u32::from_le_bytes([a, b, c, d]),
        None => 0,
    }
}

fn checksum_of(covered: &[u8], file_id: &[u8; 16]) -> u64 {
    Crc64::new().update(covered).update(file_id).finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::crc64;

    const ID: [u8; 16] = *b"sixteen byte id.";

    fn sealed(bytes: usize, number: u32, kind: u32) -> Vec<u8> {
        let mut page: Vec<u8> = (0..bytes).map(|i| (i * 7) as u8).collect();
        seal_page(&mut page, &ID, number, kind);
        page
    }

    #[test]
    fn the_trailer_by_hand() {
        let page = sealed(32, 0x0102_0304, 0x0a0b_0c0d);
        assert_eq!(page[..16], (0..16).map(|i| (i * 7) as u8).collect::<Vec<_>>());
        assert_eq!(page[16..24], [4, 3, 2, 1, 0x0d, 0x0c, 0x0b, 0x0a]);
        let covered = [&page[..24], &ID[..]].concat();
        assert_eq!(page[24..], crc64(&covered).to_le_bytes());
        assert_eq!(check_page(&page, &ID, 0x0102_0304), Ok(0x0a0b_0c0d));
    }

    #[test]
    fn every_flipped_bit_of_a_page_is_noticed() {
        let mut page = sealed(4096, 77, 3);
        assert_eq!(check_page(&page, &ID, 77), Ok(3));
        for bit in 0..page.len() * 8 {
            page[bit / 8] ^= 1 << (bit % 8);
            assert!(check_page(&page, &ID, 77).is_err(), "bit {bit}");
            page[bit / 8] ^= 1 << (bit % 8);
        }
    }

    #[test]
    fn a_misdirected_a_foreign_an_empty_and_a_short_page_are_noticed() {
        let page = sealed(4096, 77, 3);
        assert!(check_page(&page, &ID, 78).unwrap_err().contains("another page"));
        assert!(check_page(&page, b"another file id.", 77).unwrap_err().contains("checksum"));
        assert!(check_page(&[0; 4096], &ID, 0).unwrap_err().contains("never written"));
        for length in 0..PAGE_TRAILER_BYTES {
            assert!(check_page(&page[..length], &ID, 77).unwrap_err().contains("shorter"));
        }
        assert!(check_page(&page[..2048], &ID, 77).is_err());
        assert_eq!(check_page(&sealed(PAGE_TRAILER_BYTES, 1, 2), &ID, 1), Ok(2));
    }
}
