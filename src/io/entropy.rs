//! Chance: the system's, and a seeded generator from which simulations and test data are drawn.
//!
//! The generator is SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number
//! generators", 2014): a 64-bit counter that advances by an odd constant, and a mixing function over
//! it. It passes BigCrush, and its whole state is one word, so that a seed is a state. It is not for
//! secrets.

use super::Entropy;
use std::sync::{Mutex, PoisonError};

/// Random bytes of the operating system.
#[derive(Debug, Clone, Copy)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    /// # Panics
    /// If the system has none to give, which no supported kernel does after it has started.
    fn fill(&self, out: &mut [u8]) {
        if let Err(error) = getrandom::fill(out) {
            panic!("the system gives no random bytes: {error}");
        }
    }
}

/// Bytes that follow from a seed, and from the order in which they are asked for.
#[derive(Debug)]
pub struct SeededEntropy(Mutex<Rng>);

impl SeededEntropy {
    /// The stream of `seed`.
    pub fn new(seed: u64) -> SeededEntropy {
        SeededEntropy(Mutex::new(Rng::new(seed)))
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, out: &mut [u8]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).fill(out);
    }
}

/// A small seeded generator (SplitMix64) for simulations and test data.
#[derive(Debug, Clone)]
pub struct Rng {
    state: u64,
}

impl Rng {
    /// The generator of `seed`; every seed is as good as another.
    pub fn new(seed: u64) -> Rng {
        Rng { state: seed }
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        // The golden ratio's odd fraction visits every state once before it repeats.
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `n`, by the high half of a product; its bias is below `n / 2^64`.
    ///
    /// # Panics
    /// If `n` is 0.
    pub fn below(&mut self, n: u64) -> u64 {
        assert!(n > 0, "there is no number below 0");
        ((u128::from(self.next_u64()) * u128::from(n)) >> 64) as u64
    }

    /// True one time in `n`; never if `n` is 0 (and then nothing is drawn, so that a fault that is
    /// switched off does not change the rest of a run).
    pub fn chance(&mut self, n: u32) -> bool {
        n > 0 && self.below(u64::from(n)) == 0
    }

    /// Fills `out` with the stream's bytes.
    pub fn fill(&mut self, out: &mut [u8]) {
        for piece in out.chunks_mut(8) {
            piece.copy_from_slice(&self.next_u64().to_le_bytes()[..piece.len()]);
        }
    }

    /// Puts `items` into a random order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u64 + 1) as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_the_published_generator() {
        let mut rng = Rng::new(1_234_567);
        let published = [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
            4_593_380_528_125_082_431,
            16_408_922_859_458_223_821,
        ];
        for expected in published {
            assert_eq!(rng.next_u64(), expected);
        }
    }

    #[test]
    fn below_stays_below_and_reaches_everything() {
        let mut rng = Rng::new(1);
        for n in 1..20 {
            let mut seen = vec![0; n as usize];
            for _ in 0..n * 100 {
                seen[rng.below(n) as usize] += 1;
            }
            assert!(seen.iter().all(|&times| times > 50), "{n}: {seen:?}");
        }
    }

    #[test]
    fn chance_is_one_in_n_and_draws_nothing_when_off() {
        let mut rng = Rng::new(2);
        let before = rng.state;
        assert!(!rng.chance(0));
        assert_eq!(rng.state, before);
        let hits = (0..10_000).filter(|_| rng.chance(10)).count();
        assert!((850..1_150).contains(&hits), "{hits}");
        assert!(rng.chance(1));
    }

    #[test]
    fn shuffle_reaches_every_order() {
        let mut rng = Rng::new(3);
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..200 {
            let mut items = [0, 1, 2, 3];
            rng.shuffle(&mut items);
            seen.insert(items);
        }
        assert_eq!(seen.len(), 24);
    }

    #[test]
    fn seeded_bytes_follow_from_the_seed_and_system_bytes_do_not_repeat() {
        let bytes = |entropy: &dyn Entropy| {
            let mut out = [0; 37];
            entropy.fill(&mut out);
            out
        };
        assert_eq!(bytes(&SeededEntropy::new(5)), bytes(&SeededEntropy::new(5)));
        assert_ne!(bytes(&SeededEntropy::new(5)), bytes(&SeededEntropy::new(6)));
        assert_ne!(bytes(&SystemEntropy), bytes(&SystemEntropy));
    }
}
