//! Base64 (RFC 4648, with padding): bytes that are no text, in JSON.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Appends `bytes` as text.
pub fn encode(bytes: &[u8], out: &mut Vec<u8>) {
    for three in bytes.chunks(3) {
        let byte = |i: usize| u32::from(three.get(i).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        let digits = [18, 12, 6, 0].map(|shift| ALPHABET[(bits >> shift & 63) as usize]);
        out.extend_from_slice(&digits[..=three.len()]);
        out.resize(out.len() + 3 - three.len(), b'=');
    }
}

/// The bytes that `text` stands for; `None` if it is not what `encode` writes.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=');
    if !text.len().is_multiple_of(4) || text.len() - digits.len() > 2 {
        return None;
    }
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    for four in digits.as_bytes().chunks(4) {
        let mut bits = 0;
        for digit in four {
            let value = ALPHABET.iter().position(|known| known == digit)?;
            bits = bits << 6 | value as u32;
        }
        // Each missing digit is six bits and one byte.
        let bytes = four.len().checked_sub(1).filter(|bytes| *bytes > 0)?;
        bits <<= 6 * (4 - four.len());
        let spelled = bits.to_be_bytes();
        let (said, rest) = spelled[1..].split_at(bytes);
        if rest.iter().any(|byte| *byte != 0) {
            return None; // bits of no byte
        }
        out.extend_from_slice(said);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_decodes_and_is_as_the_rfc_says() {
        for (bytes, text) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")]
        {
            let mut out = Vec::new();
            encode(bytes.as_bytes(), &mut out);
            assert_eq!(String::from_utf8_lossy(&out), text);
            assert_eq!(decode(text).as_deref(), Some(bytes.as_bytes()));
        }
        let all: Vec<u8> = (0..=255).rev().collect();
        let mut out = Vec::new();
        encode(&all, &mut out);
        assert_eq!(decode(std::str::from_utf8(&out).unwrap()), Some(all));
        for bad in ["Z", "Zg", "Zg=", "Z===", "====", "Zg==Zg==", "Zh==", "Zm9=", "Zm9%", "Zm8=x"] {
            assert_eq!(decode(bad), None, "{bad}");
        }
    }
}
