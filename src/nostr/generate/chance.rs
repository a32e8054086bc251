//! Chance that is the same on every machine: SplitMix64 (Steele, Lea, Flood 2014) and integer Zipf.

/// A stream of numbers from a seed.
pub(super) struct Chance {
    state: u64,
}

impl Chance {
    /// The stream of `seed`.
    pub(super) fn new(seed: u64) -> Chance {
        Chance { state: seed }
    }

    /// The next 64 bits.
    pub(super) fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.state ^ self.state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// A number below `end`; 0 if `end` is 0.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        ((u128::from(self.bits()) * u128::from(end)) >> 64) as u64
    }

    /// A number from `low` to `high`, small ones more often: the product of two equal chances.
    pub(super) fn skewed(&mut self, low: u64, high: u64) -> u64 {
        let span = self.below(high - low + 1);
        low + self.below(span + 1)
    }

    /// True in so many of 100 cases.
    pub(super) fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of `choices`, which must not be empty.
    pub(super) fn pick<'a, T: ?Sized>(&mut self, choices: &[&'a T]) -> &'a T {
        choices[self.below(choices.len() as u64) as usize]
    }

    /// 32 bytes that look like a key or an id.
    pub(super) fn bytes32(&mut self) -> [u8; 32] {
        let mut out = [0; 32];
        out.chunks_mut(8).for_each(|chunk| chunk.copy_from_slice(&self.bits().to_le_bytes()));
        out
    }
}

/// Ranks from 0, the n-th with a weight of 1/n.
pub(super) struct Zipf {
    /// Sum of the weights up to each rank, in units of 2^-32.
    sums: Vec<u64>,
}

impl Zipf {
    /// So many ranks, at least one.
    pub(super) fn new(count: usize) -> Zipf {
        let weights = (1..=count.max(1) as u64).map(|rank| (1u64 << 32) / rank);
        let sums = weights.scan(0, |sum, weight| {
            *sum += weight;
            Some(*sum)
        });
        Zipf { sums: sums.collect() }
    }

    /// A rank.
    pub(super) fn rank(&self, chance: &mut Chance) -> usize {
        let total = self.sums.last().copied().unwrap_or(1);
        let at = chance.below(total);
        self.sums.partition_point(|sum| *sum <= at)
    }
}
