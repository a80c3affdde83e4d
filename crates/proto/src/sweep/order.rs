//! The order in which sources are probed.

use super::rng::SplitMix64;

/// A permutation of `0..len`: position in the order to index of the source, from a seed.
///
/// Walking a block in order trips per-/24 limits and fills neighbour tables one router at a time; a permuted order spreads
/// the load, and a run that was stopped is a random sample of the block. It is a Feistel network with cycle walking (the way
/// scanners do it), so it needs no memory and `nth` takes constant time on average. It is for spreading, not for secrecy.
#[derive(Clone, Debug)]
pub struct Order {
    len: u32,
    left_bits: u32,
    right_bits: u32,
    keys: [u32; ROUNDS],
}

const ROUNDS: usize = 4;

impl Order {
    /// The permutation of `0..len` that belongs to `seed`.
    #[must_use]
    pub fn new(len: u32, seed: u64) -> Self {
        // At least one bit a side; the domain is then less than twice `len`, so cycle walking takes less than two steps on
        // average.
        let bits = (u32::BITS - len.saturating_sub(1).leading_zeros()).max(2);
        let right_bits = bits / 2;
        let mut rng = SplitMix64::new(seed);
        let keys = std::array::from_fn(|_| (rng.next() >> 32) as u32);
        Self { len, left_bits: bits - right_bits, right_bits, keys }
    }

    /// The index at `position`, for positions below the length; others give themselves.
    #[must_use]
    pub fn nth(&self, position: u32) -> u32 {
        if position >= self.len {
            return position;
        }
        let mut index = position;
        loop {
            index = self.encrypt(index);
            if index < self.len {
                return index;
            }
        }
    }

    /// The position at which an index stands: the inverse of [`Order::nth`].
    #[must_use]
    pub fn position(&self, index: u32) -> u32 {
        if index >= self.len {
            return index;
        }
        let mut position = index;
        loop {
            position = self.decrypt(position);
            if position < self.len {
                return position;
            }
        }
    }

    fn decrypt(&self, value: u32) -> u32 {
        let (left_mask, right_mask) = ((1 << self.left_bits) - 1, (1 << self.right_bits) - 1);
        let (mut left, mut right) = (value >> self.right_bits, value & right_mask);
        for pair in self.keys.chunks_exact(2).rev() {
            right ^= mix32(left ^ pair[1]) & right_mask;
            left ^= mix32(right ^ pair[0]) & left_mask;
        }
        (left << self.right_bits) | right
    }

    fn encrypt(&self, value: u32) -> u32 {
        let (left_mask, right_mask) = ((1 << self.left_bits) - 1, (1 << self.right_bits) - 1);
        let (mut left, mut right) = (value >> self.right_bits, value & right_mask);
        // Alternating updates of the two halves keep each half within its own width, also when the widths differ.
        for pair in self.keys.chunks_exact(2) {
            left ^= mix32(right ^ pair[0]) & left_mask;
            right ^= mix32(left ^ pair[1]) & right_mask;
        }
        (left << self.right_bits) | right
    }
}

/// The finalizer of `MurmurHash3`: every input bit reaches every output bit.
fn mix32(mut x: u32) -> u32 {
    x = (x ^ (x >> 16)).wrapping_mul(0x85eb_ca6b);
    x = (x ^ (x >> 13)).wrapping_mul(0xc2b2_ae35);
    x ^ (x >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_a_permutation_for_every_length_and_differs_by_seed() {
        for len in (1..70).chain([255, 256, 257, 1000, 4096, 65_535, 65_536, 65_537]) {
            let mut seen = vec![false; len as usize];
            let order = Order::new(len, 7);
            for position in 0..len {
                let index = order.nth(position) as usize;
                assert!(!std::mem::replace(&mut seen[index], true), "index {index} twice for length {len}");
                assert_eq!(order.position(index as u32), position);
            }
        }
        let order = |seed| (0..1000).map(|p| Order::new(1000, seed).nth(p)).collect::<Vec<_>>();
        assert_eq!(order(1), order(1), "a seed repeats its order");
        assert_ne!(order(1), order(2));
    }

    #[test]
    fn mixes_as_murmur_hash_3_does() {
        // A saved sweep goes on in the order that it began with.
        assert_eq!([0, 1, u32::MAX].map(mix32), [0, 0x514e_28b7, 0x81f1_6f39]);
    }

    #[test]
    fn spreads_neighbours_apart() {
        // 4,096 consecutive positions of a /16 must touch nearly every /24, or a per-/24 limit would see a burst.
        let order = Order::new(65_536, 3);
        let mut per_24 = [0_u32; 256];
        for position in 0..4096 {
            per_24[(order.nth(position) >> 8) as usize] += 1;
        }
        assert!(
            per_24.iter().all(|n| *n <= 48),
            "16 expected in each, largest was {:?}",
            per_24.iter().max()
        );
        assert!(per_24.iter().filter(|n| **n == 0).count() < 3);
    }
}
