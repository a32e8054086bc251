//! CRC64 (ECMA) of every block and page, behind one module so that the crate can be replaced.

use crc64fast::Digest;

/// The checksum of `bytes`.
pub fn crc64(bytes: &[u8]) -> u64 {
    let mut digest = Digest::new();
    digest.write(bytes);
    digest.sum64()
}

/// A checksum over several pieces.
#[derive(Default)]
pub struct Crc64(Digest);

impl Crc64 {
    /// An empty checksum.
    pub fn new() -> Crc64 {
        Crc64::default()
    }

    /// Adds `bytes`.
    pub fn update(&mut self, bytes: &[u8]) -> &mut Crc64 {
        self.0.write(bytes);
        self
    }

    /// The checksum of all that was added.
    pub fn finish(&self) -> u64 {
        self.0.sum64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_value_of_crc64_xz() {
        assert_eq!(crc64(b"123456789"), 0x995d_c9bb_df19_39fa);
        assert_eq!(Crc64::new().update(b"1234").update(b"56789").finish(), crc64(b"123456789"));
    }
}
