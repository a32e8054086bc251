//! Proof of work, NIP-13: how many zero bits an id begins with, and how many its author aimed at.
//!
//! I1. An event counts as much as it committed to in its `nonce` tag, if it did: who aims lower and is
//!     lucky has not done more work.

use crate::nostr::{EventRef, Item};

/// The most that can be asked for: every bit of an id.
pub const POW_BITS_MAX: u8 = 255;

/// Zero bits that `id` begins with.
pub(super) fn zero_bits(id: &[u8; 32]) -> u32 {
    let zero_bytes = id.iter().take_while(|&&byte| byte == 0).count();
    zero_bytes as u32 * 8 + id.get(zero_bytes).map_or(0, |byte| byte.leading_zeros())
}

/// The work that counts for an event (I1).
pub(super) fn work(event: &EventRef<'_>) -> u32 {
    let done = zero_bits(event.id());
    target(event).map_or(done, |target| done.min(target))
}

/// What the first `nonce` tag commits to, if it does so with a number.
fn target(event: &EventRef<'_>) -> Option<u32> {
    let nonce =
        event.tags().find(|tag| tag.name().is_some_and(|name| name == Item::Text("nonce")))?;
    let mut text = String::new();
    nonce.items().nth(2)?.write(&mut text);
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nostr::Event;

    #[test]
    fn zero_bits_are_counted_from_the_front() {
        let mut id = [0; 32];
        assert_eq!(zero_bits(&id), 256);
        for bit in (0..256).rev() {
            id[bit / 8] |= 0x80 >> (bit % 8);
            assert_eq!(zero_bits(&id), bit as u32);
        }
        // The example of NIP-13.
        let hex = "000000000e9d97a1ab09fc381030b346cdd7a142ad57e6df0b46dc9bef6c7e2d";
        assert_eq!(zero_bits(&const_hex::decode_to_array(hex).unwrap()), 36);
    }

    #[test]
    fn the_committed_target_caps_what_counts() {
        let work_of = |tag: &[&str]| {
            let event = Event::from_parts([1; 32], 5, 1, &[tag], "");
            (work(&event.as_ref()), zero_bits(event.id()))
        };
        // An id with some zero bits, so that a target below it shows.
        let lucky = (0u32..).map(|n| n.to_string()).find(|n| work_of(&["nonce", n, "1"]).1 >= 4);
        let n = lucky.unwrap();
        assert_eq!(work_of(&["nonce", &n, "1"]).0, 1);
        for tag in [&["nonce", &n][..], &["nonce", &n, "x"], &["nonce", &n, "99"], &["t", &n, "0"]]
        {
            let (work, bits) = work_of(tag);
            assert_eq!(work, bits, "{tag:?}");
        }
        assert_eq!(work_of(&["nonce", &n, "0"]).0, 0);
    }
}
