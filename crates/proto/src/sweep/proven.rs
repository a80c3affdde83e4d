//! The proven sources, to index and to count.

use super::states::States;

/// The sources that were proven, in order of index: `select` (the k-th proven one) and `rank` in constant time.
///
/// One bit a source and a running count each 512 bits: 65,536 sources take 9 KiB, a million 133 KiB.
#[derive(Clone, Debug)]
pub struct Proven {
    words: Vec<u64>,
    /// Proven sources before each group of eight words.
    before: Vec<u32>,
    /// For each 512th proven source, its group: the start of a short search.
    hints: Vec<u32>,
    len: u32,
}

const GROUP_WORDS: usize = 8;
const GROUP_BITS: u32 = 512;

impl Proven {
    /// Takes the proven sources out of the states.
    #[must_use]
    pub fn new(states: &States) -> Self {
        let mut words = vec![0_u64; (states.len() as usize).div_ceil(64)];
        for (at, pairs) in states.words().iter().enumerate() {
            // Proven are 01 and 10, that is, exactly one bit of the pair.
            let ones = squeeze((pairs ^ (pairs >> 1)) & 0x5555_5555_5555_5555);
            words[at / 2] |= u64::from(ones) << (32 * (at % 2));
        }
        Self::from_words(words)
    }

    /// Of `len` sources those in `runs`, each from its first to its last index. Runs must end before `len`.
    pub(crate) fn from_runs(len: u32, runs: impl Iterator<Item = (u32, u32)>) -> Self {
        let mut words = vec![0_u64; (len as usize).div_ceil(64)];
        for (first, last) in runs {
            let (from, to) = ((first / 64) as usize, (last / 64) as usize);
            let (low, high) = (u64::MAX << (first % 64), u64::MAX >> (63 - last % 64));
            if from == to {
                words[from] |= low & high;
            } else {
                words[from] |= low;
                words[from + 1..to].fill(u64::MAX);
                words[to] |= high;
            }
        }
        Self::from_words(words)
    }

    fn from_words(words: Vec<u64>) -> Self {
        let (mut before, mut hints, mut len) = (Vec::new(), Vec::new(), 0);
        for (group, chunk) in words.chunks(GROUP_WORDS).enumerate() {
            before.push(len);
            len += chunk.iter().map(|w| w.count_ones()).sum::<u32>();
            while (hints.len() as u32) * GROUP_BITS < len {
                hints.push(group as u32);
            }
        }
        Self { words, before, hints, len }
    }

    /// How many sources were proven.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.len
    }

    /// Whether none was proven.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether source `index` was proven.
    #[must_use]
    pub fn has(&self, index: u32) -> bool {
        self.words.get((index / 64) as usize).is_some_and(|w| w >> (index % 64) & 1 == 1)
    }

    /// The index of the `k`-th proven source, from 0.
    #[must_use]
    pub fn nth(&self, k: u32) -> Option<u32> {
        if k >= self.len {
            return None;
        }
        let from = self.hints[(k / GROUP_BITS) as usize] as usize;
        let to = self.hints.get((k / GROUP_BITS) as usize + 1).map_or(self.before.len(), |g| *g as usize + 1);
        let group = from + self.before[from..to].partition_point(|n| *n <= k) - 1;
        let mut left = k - self.before[group];
        for at in group * GROUP_WORDS.. {
            let word = self.words[at];
            let ones = word.count_ones();
            if left < ones {
                return Some(at as u32 * 64 + select(word, left));
            }
            left -= ones;
        }
        None
    }

    /// How many sources below `index` were proven: for a proven one, the `k` for which [`Proven::nth`] gives it.
    #[must_use]
    pub fn rank(&self, index: u32) -> u32 {
        let at = (index / 64) as usize;
        let Some(word) = self.words.get(at) else { return self.len };
        let group = at / GROUP_WORDS;
        let whole: u32 = self.words[group * GROUP_WORDS..at].iter().map(|w| w.count_ones()).sum();
        self.before[group] + whole + (word & !(u64::MAX << (index % 64))).count_ones()
    }

    /// The end of the unbroken run of proven sources that `index` is part of; `None` if it was not proven.
    #[must_use]
    pub fn run_end(&self, index: u32) -> Option<u32> {
        let at = (index / 64) as usize;
        let ones = (self.words.get(at)? >> (index % 64)).trailing_ones();
        let mut end = index + ones.checked_sub(1)?;
        for word in &self.words[at + 1..] {
            if end % 64 != 63 {
                break;
            }
            end += word.trailing_ones();
            if *word != u64::MAX {
                break;
            }
        }
        Some(end)
    }
}

/// Gathers the even bits into 32.
fn squeeze(mut x: u64) -> u32 {
    for (shift, mask) in [
        (1, 0x3333_3333_3333_3333),
        (2, 0x0f0f_0f0f_0f0f_0f0f),
        (4, 0x00ff_00ff_00ff_00ff),
        (8, 0x0000_ffff_0000_ffff),
        (16, 0x0000_0000_ffff_ffff),
    ] {
        x = (x | (x >> shift)) & mask;
    }
    x as u32
}

/// The position of the `k`-th set bit, which must exist.
fn select(mut word: u64, k: u32) -> u32 {
    for _ in 0..k {
        word &= word - 1;
    }
    word.trailing_zeros()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sweep::State;

    fn check(states: &States) {
        let plain: Vec<u32> = (0..states.len()).filter(|i| states.at(*i).is_ok()).collect();
        let proven = Proven::new(states);
        assert_eq!(proven.len() as usize, plain.len());
        for (k, index) in plain.iter().enumerate() {
            assert_eq!(proven.nth(k as u32), Some(*index), "item {k}");
        }
        assert_eq!(proven.nth(proven.len()), None);
        for index in 0..states.len() + 70 {
            let place = plain.binary_search(&index);
            assert_eq!(proven.has(index), place.is_ok());
            assert_eq!(proven.rank(index) as usize, place.unwrap_or_else(|below| below), "rank of {index}");
        }
        let mut ends = vec![None; states.len() as usize + 70];
        for index in plain.iter().rev().map(|i| *i as usize) {
            ends[index] = ends[index + 1].or(Some(index as u32));
        }
        for (index, end) in ends.into_iter().enumerate() {
            assert_eq!(proven.run_end(index as u32), end, "run of {index}");
        }
        let rebuilt = Proven::from_runs(states.len(), runs(&proven));
        assert_eq!((&rebuilt.words, rebuilt.len), (&proven.words, proven.len));
    }

    fn runs(proven: &Proven) -> impl Iterator<Item = (u32, u32)> {
        let mut from = 0;
        std::iter::from_fn(move || {
            let first = proven.nth(from)?;
            let last = proven.run_end(first)?;
            from = proven.rank(last) + 1;
            Some((first, last))
        })
    }

    #[test]
    fn agrees_with_a_plain_list() {
        proptest!(|(len in 0_u32..3_000, share in 1_u32..40, seed in 0_u32..1_000)| {
            let mut states = States::new(len);
            for index in 0..len {
                let hash = (index.wrapping_mul(2_654_435_761) ^ seed.wrapping_mul(40_503)) >> 7;
                states.set(index, match hash % share { 0 => State::Ok, 1 => State::OkOtherPort, 2 => State::Other, _ => State::Open });
            }
            check(&states);
        });
    }

    #[test]
    fn sparse_and_full() {
        let mut sparse = States::new(100_000);
        for index in [0, 5, 99_999, 50_000] {
            sparse.set(index, State::Ok);
        }
        check(&sparse);
        let mut full = States::new(5_000);
        (0..5_000).for_each(|i| full.set(i, State::OkOtherPort));
        check(&full);
        check(&States::new(0));
    }
}
