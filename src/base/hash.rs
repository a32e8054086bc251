//! The one hash that is kept on disk: XXH3, 64 bits. Its values never change within a format version.

/// Hash of `bytes`, the same on every machine and in every version of this format.
pub fn hash64(bytes: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(bytes)
}

/// Hash of `bytes` for a table in memory that lives as long as its `seed`, which nobody who chooses `bytes` knows.
pub fn hash64_seeded(bytes: &[u8], seed: u64) -> u64 {
    xxhash_rust::xxh3::xxh3_64_with_seed(bytes, seed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_the_published_xxh3() {
        assert_eq!(hash64(b""), 0x2d06_8005_38d3_94c2);
    }
}
