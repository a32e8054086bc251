//! What has to hold of a page as it is stored, for fuzzing.
//!
//! A function panics if what it says does not hold; any bytes are input.

use super::format::{PAGE_TRAILER_BYTES, check_page, seal_page};

const FILE_ID: [u8; 16] = *b"sixteen byte id.";

/// No bytes are a page but those that were sealed, with not one bit changed, in their place of their file.
pub(crate) fn page(bytes: &[u8]) {
    // A checksum of 64 bits is not met by chance.
    assert!(check_page(bytes, &FILE_ID, 7).is_err(), "what nobody sealed is a page");
    let Some((&[a, b, bit, kind], payload)) = bytes.split_first_chunk() else { return };
    let mut page = [payload, &[0; PAGE_TRAILER_BYTES]].concat();
    seal_page(&mut page, &FILE_ID, 7, kind.into());
    assert_eq!(check_page(&page, &FILE_ID, 7), Ok(kind.into()));
    assert!(check_page(&page, &FILE_ID, 8).is_err());
    let at = usize::from(u16::from_le_bytes([a, b])) % page.len();
    page[at] ^= 1 << (bit % 8);
    assert!(check_page(&page, &FILE_ID, 7).is_err(), "bit {bit} of byte {at}");
}
