//! Schnorr signatures (BIP-340) by libsecp256k1: checked for every event, made for tools and tests.
//!
//! The context is the library's own, one for each thread, made at the thread's first use; after
//! that, checking allocates nothing.

use secp256k1::schnorr::{self, Signature};
use secp256k1::{Keypair, XOnlyPublicKey};

use super::event::EventRef;

/// Whether the signature is the author's, over the id as given; `id::check` ties the id to the rest.
/// Some 30-60 us: do everything cheaper first.
pub fn signature(event: &EventRef<'_>) -> bool {
    let Ok(author) = XOnlyPublicKey::from_byte_array(*event.pubkey()) else {
        return false;
    };
    schnorr::verify(&Signature::from_byte_array(*event.sig()), event.id(), &author).is_ok()
}

/// A key that signs. It has no `Debug`: secrets are not for logs.
#[derive(Clone, Copy)]
pub struct Signer {
    keypair: Keypair,
    pubkey: [u8; 32],
}

impl Signer {
    /// The signer of a secret key; `None` if the 32 bytes are none (zero, or over the curve's order).
    pub fn new(secret: [u8; 32]) -> Option<Signer> {
        let keypair = Keypair::from_secret_bytes(secret).ok()?;
        Some(Signer { keypair, pubkey: keypair.x_only_public_key().0.to_byte_array() })
    }

    /// The public key, an event's `pubkey`.
    pub fn pubkey(&self) -> &[u8; 32] {
        &self.pubkey
    }

    /// Signs an id without auxiliary randomness, so that a seed gives the same bytes again.
    pub fn sign(&self, id: &[u8; 32]) -> [u8; 64] {
        schnorr::sign_no_aux_rand(id, &self.keypair).to_byte_array()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nostr::Event;

    fn event() -> Event {
        let signer = Signer::new([7; 32]).unwrap();
        Event::from_parts(*signer.pubkey(), 1, 1, &[["t", "x"]], "hello").sign(&signer)
    }

    #[test]
    fn a_signature_holds_and_every_changed_bit_breaks_it() {
        let good = event();
        assert!(signature(&good.as_ref()));
        for bit in (0..512).step_by(19) {
            let mut sig = *good.sig();
            sig[bit / 8] ^= 1 << (bit % 8);
            let mut bad = good.clone();
            bad.set_sig(&sig);
            assert!(!signature(&bad.as_ref()), "bit {bit}");
        }
        let mut other = good.clone();
        other.set_id([1; 32]);
        assert!(!signature(&other.as_ref()));
    }

    #[test]
    fn a_key_that_is_no_point_of_the_curve_is_no_panic() {
        let event = Event::from_parts([0xff; 32], 1, 1, &[] as &[Vec<String>], "");
        assert!(!signature(&event.as_ref()));
        assert!(Signer::new([0; 32]).is_none() && Signer::new([0xff; 32]).is_none());
    }

    #[test]
    fn a_high_s_is_refused() {
        // The order of the curve: s >= n is refused, whatever it is congruent to.
        let n = const_hex::decode_to_array::<_, 32>(
            "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141",
        );
        let mut bad = event();
        let mut sig = *bad.sig();
        sig[32..].copy_from_slice(&n.unwrap());
        bad.set_sig(&sig);
        assert!(!signature(&bad.as_ref()));
    }

    #[test]
    fn signing_is_deterministic() {
        assert_eq!(event().sig(), event().sig());
    }
}
