//! What has to hold of the bytes of a STORE file, damaged or forged, for fuzzing.
//!
//! A function panics if what it says does not hold; any bytes are input.

use super::birth::{Birth, STORE_BYTES, fields};
use crate::base::{Crc64, Error};
use std::path::Path;
use zerocopy::IntoBytes;

/// It is refused with a reason, or it is what it says; behind a right checksum too.
pub(crate) fn store_file(bytes: &[u8]) {
    let dir = Path::new("/store");
    let mut forged = [0; STORE_BYTES];
    let taken = bytes.len().min(STORE_BYTES - 8);
    forged[..taken].copy_from_slice(&bytes[..taken]);
    forged[..8].copy_from_slice(b"RATSTOR1");
    let crc = Crc64::new().update(&forged[..STORE_BYTES - 8]).finish();
    forged[STORE_BYTES - 8..].copy_from_slice(&crc.to_le_bytes());
    for bytes in [bytes, &forged] {
        let (told, is_whole) = fields(bytes);
        let path = dir.join("STORE");
        match Birth::parse(&path, bytes) {
            Ok(birth) => {
                assert!(is_whole && told.len() == 7);
                assert_eq!(birth.as_bytes(), &bytes[..STORE_BYTES]);
                match birth.layout(dir) {
                    Ok((page, shards)) => {
                        assert!(page.bytes().is_power_of_two() && shards.is_power_of_two());
                    }
                    Err(Error::Corrupt { path: of, offset, .. }) => {
                        assert!(of == path && offset < STORE_BYTES as u64);
                    }
                    Err(other) => panic!("{other}"),
                }
            }
            Err(Error::Corrupt { path: of, offset, .. }) => {
                assert!(of == path && offset <= bytes.len() as u64);
            }
            Err(Error::WrongVersion { .. }) => {}
            Err(other) => panic!("{other}"),
        }
    }
}
