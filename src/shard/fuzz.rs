//! What has to hold of the bytes of a shard's own files, damaged or forged: one function for each decoder, for fuzzing.
//!
//! A function panics if what it says does not hold; any bytes are input.

use super::format::{ENTRY_HEADER_BYTES, MANIFEST_HEADER_BYTES};
use super::format::{Manifest, entry_head, header_fields, read_entry};
use crate::base::{Crc64, Error, StoreId};
use std::path::Path;

const STORE: StoreId = StoreId([3; 16]);
const SHARD: u16 = 5;

/// An entry of a log is refused, or its parts make it again.
pub(crate) fn log_entry(bytes: &[u8]) {
    let Ok(entry) = read_entry(bytes) else { return };
    let head = entry_head(entry.kind, entry.record, entry.kills.len());
    assert_eq!([&head, entry.kills.as_flattened(), entry.record.body].concat(), bytes);
    assert!(bytes.len() >= ENTRY_HEADER_BYTES);
}

/// A manifest is refused with a reason, or what it says makes it again; behind a right checksum too.
pub(crate) fn manifest(bytes: &[u8]) {
    let path = Path::new("/shard/manifest");
    let _any = header_fields(bytes);
    let forged = forged(bytes);
    for bytes in [bytes, &forged] {
        match Manifest::decode(path, bytes, STORE, SHARD) {
            Ok(manifest) => {
                let again = manifest.encode(STORE, SHARD);
                assert!(bytes.starts_with(&again), "it says more than it says");
                let dead: usize = manifest.segments.iter().map(|segment| segment.dead.len()).sum();
                assert!(dead + manifest.segments.len() <= bytes.len());
            }
            Err(Error::Corrupt { path: of, offset, .. }) => {
                assert!(of == path && offset <= bytes.len() as u64);
            }
            Err(Error::WrongVersion { .. } | Error::Mismatch { .. }) => {}
            Err(other) => panic!("{other}"),
        }
    }
}

/// `body` behind the header of a manifest, with the checksum of both.
fn forged(body: &[u8]) -> Vec<u8> {
    let mut bytes = Manifest::first(9).encode(STORE, SHARD);
    bytes.truncate(MANIFEST_HEADER_BYTES);
    let crc_at = MANIFEST_HEADER_BYTES - 8;
    bytes[crc_at - 8..crc_at].copy_from_slice(&(body.len() as u64).to_le_bytes());
    let crc = Crc64::new().update(&bytes[..crc_at]).update(body).finish();
    bytes[crc_at..].copy_from_slice(&crc.to_le_bytes());
    bytes.extend_from_slice(body);
    bytes
}
