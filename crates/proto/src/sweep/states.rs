//! Two bits of state per source.

use std::ops::Range;

/// What is known of one source. Everything that a sweep must remember of a source that works fits in two bits; the
/// others have an entry in the evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum State {
    /// No verdict yet.
    Open = 0,
    /// Leaves as itself, with the port it was sent from.
    Ok = 1,
    /// Leaves as itself, with another port.
    OkOtherPort = 2,
    /// Judged, and not `ok`.
    Other = 3,
}

impl State {
    fn from_bits(bits: u64) -> Self {
        match bits & 3 {
            0 => Self::Open,
            1 => Self::Ok,
            2 => Self::OkOtherPort,
            _ => Self::Other,
        }
    }

    /// Whether the source was proven to leave as itself.
    #[must_use]
    pub fn is_ok(self) -> bool {
        matches!(self, Self::Ok | Self::OkOtherPort)
    }
}

const PER_WORD: u32 = 32;
/// The low bit of each pair.
const LOW: u64 = 0x5555_5555_5555_5555;

/// The states of all sources, 2 bits each, with their counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct States {
    words: Vec<u64>,
    len: u32,
    counts: [u32; 4],
}

impl States {
    /// `len` sources, all open.
    #[must_use]
    pub fn new(len: u32) -> Self {
        Self { words: vec![0; len.div_ceil(PER_WORD) as usize], len, counts: [len, 0, 0, 0] }
    }

    /// Rebuilds the states from the words of [`States::words`]; `None` if the number of words does not fit `len`.
    /// Bits past `len` are cleared.
    #[must_use]
    pub fn from_words(len: u32, mut words: Vec<u64>) -> Option<Self> {
        if words.len() != len.div_ceil(PER_WORD) as usize {
            return None;
        }
        if let (Some(last), rest @ 1..) = (words.last_mut(), len % PER_WORD) {
            *last &= (1 << (2 * rest)) - 1;
        }
        let mut counts = [0; 4];
        for word in &words {
            let (low, high) = (word & LOW, (word >> 1) & LOW);
            counts[1] += (low & !high).count_ones();
            counts[2] += (high & !low).count_ones();
            counts[3] += (low & high).count_ones();
        }
        counts[0] = len - counts[1] - counts[2] - counts[3];
        Some(Self { words, len, counts })
    }

    /// Number of sources.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.len
    }

    /// Whether there are no sources.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The packed pairs, 32 sources a word, lowest source in the lowest bits.
    #[must_use]
    pub fn words(&self) -> &[u64] {
        &self.words
    }

    /// The state of source `index`. Past the end: [`State::Open`].
    #[must_use]
    pub fn at(&self, index: u32) -> State {
        let word = self.words.get((index / PER_WORD) as usize).copied().unwrap_or(0);
        State::from_bits(word >> (2 * (index % PER_WORD)))
    }

    /// Sets the state of source `index`; past the end nothing happens.
    pub fn set(&mut self, index: u32, state: State) {
        if index >= self.len {
            return;
        }
        let old = self.at(index);
        let shift = 2 * (index % PER_WORD);
        let word = &mut self.words[(index / PER_WORD) as usize];
        *word = (*word & !(3 << shift)) | ((state as u64) << shift);
        self.counts[old as usize] -= 1;
        self.counts[state as usize] += 1;
    }

    /// How many sources are in `state`.
    #[must_use]
    pub fn count(&self, state: State) -> u32 {
        self.counts[state as usize]
    }

    /// How many sources were proven.
    #[must_use]
    pub fn ok(&self) -> u32 {
        self.count(State::Ok) + self.count(State::OkOtherPort)
    }

    /// How many sources are judged.
    #[must_use]
    pub fn judged(&self) -> u32 {
        self.len - self.count(State::Open)
    }

    /// How many of these sources are judged.
    #[must_use]
    pub fn judged_within(&self, range: Range<u32>) -> u32 {
        let (from, to) = (range.start, range.end.min(self.len));
        if from >= to {
            return 0;
        }
        let (first, last) = (from / PER_WORD, (to - 1) / PER_WORD);
        let words = self.words[first as usize..=last as usize].iter().zip(first..);
        words
            .map(|(word, at)| {
                let mut pairs = (word | word >> 1) & LOW;
                if at == first {
                    pairs &= u64::MAX << (2 * (from % PER_WORD));
                }
                if at == last {
                    pairs &= u64::MAX >> (62 - 2 * ((to - 1) % PER_WORD));
                }
                pairs.count_ones()
            })
            .sum()
    }

    /// The first open source at or after `from`.
    #[must_use]
    pub fn next_open(&self, from: u32) -> Option<u32> {
        self.next_where(from, |low, high| !(low | high) & LOW)
    }

    /// The first judged source at or after `from`.
    #[must_use]
    pub fn next_judged(&self, from: u32) -> Option<u32> {
        self.next_where(from, |low, high| low | high)
    }

    /// The first source at or after `from` that is judged and not proven.
    #[must_use]
    pub fn next_other(&self, from: u32) -> Option<u32> {
        self.next_where(from, |low, high| low & high)
    }

    /// The first source at or after `from` that is proven.
    #[must_use]
    pub fn next_proven(&self, from: u32) -> Option<u32> {
        self.next_where(from, |low, high| low ^ high)
    }

    /// The last source before `before` that is judged.
    #[must_use]
    pub fn last_judged(&self, before: u32) -> Option<u32> {
        let before = before.min(self.len);
        let mut at = (before / PER_WORD) as usize;
        let mut mask = !(u64::MAX << (2 * (before % PER_WORD)));
        loop {
            let word = self.words.get(at).copied().unwrap_or(0);
            let found = ((word | word >> 1) & LOW) & mask;
            if found != 0 {
                return Some(at as u32 * PER_WORD + found.ilog2() / 2);
            }
            at = at.checked_sub(1)?;
            mask = u64::MAX;
        }
    }

    /// Finds the first source whose pair is selected; `select` gets the low and the high bits of 32 pairs.
    fn next_where(&self, from: u32, select: impl Fn(u64, u64) -> u64) -> Option<u32> {
        if from >= self.len {
            return None;
        }
        let mut at = (from / PER_WORD) as usize;
        let mut mask = u64::MAX << (2 * (from % PER_WORD));
        while let Some(word) = self.words.get(at) {
            let found = select(word & LOW, (word >> 1) & LOW) & mask;
            if found != 0 {
                let index = at as u32 * PER_WORD + found.trailing_zeros() / 2;
                return (index < self.len).then_some(index);
            }
            mask = u64::MAX;
            at += 1;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn agrees_with_a_plain_list() {
        proptest!(|(len in 0_u32..200, writes in prop::collection::vec((0_u32..220, 0_u64..4), 0..300), from in 0_u32..220)| {
            let mut states = States::new(len);
            let mut plain = vec![State::Open; len as usize];
            for (index, bits) in writes {
                states.set(index, State::from_bits(bits));
                if let Some(slot) = plain.get_mut(index as usize) { *slot = State::from_bits(bits); }
            }
            for (index, state) in plain.iter().enumerate() { prop_assert_eq!(states.at(index as u32), *state); }
            for state in [State::Open, State::Ok, State::OkOtherPort, State::Other] {
                prop_assert_eq!(states.count(state) as usize, plain.iter().filter(|s| **s == state).count());
            }
            let find = |wanted: fn(&State) -> bool| plain.iter().enumerate().skip(from as usize).find(|(_, s)| wanted(s)).map(|(i, _)| i as u32);
            prop_assert_eq!(states.next_open(from), find(|s| *s == State::Open));
            prop_assert_eq!(states.next_judged(from), find(|s| *s != State::Open));
            prop_assert_eq!(states.next_other(from), find(|s| *s == State::Other));
            prop_assert_eq!(states.next_proven(from), find(|s| s.is_ok()));
            let before = plain.iter().take(from as usize).rposition(|s| *s != State::Open).map(|i| i as u32);
            prop_assert_eq!(states.last_judged(from), before);
            prop_assert_eq!(states.ok() as usize, plain.iter().filter(|s| s.is_ok()).count());
            prop_assert_eq!(states.judged(), states.judged_within(0..len));
            prop_assert_eq!(states.is_empty(), plain.is_empty());
            let to = from.saturating_add(len / 2);
            let judged = plain.iter().take(to as usize).skip(from as usize).filter(|s| **s != State::Open);
            prop_assert_eq!(states.judged_within(from..to) as usize, judged.count());
            prop_assert_eq!(States::from_words(len, states.words().to_vec()), Some(states));
        });
    }

    #[test]
    fn proven_is_with_and_without_another_port() {
        let states = [State::Open, State::Ok, State::OkOtherPort, State::Other];
        assert_eq!([0, 1, 2, 3].map(State::from_bits), states);
        assert_eq!(states.map(State::is_ok), [false, true, true, false]);
    }

    #[test]
    fn words_of_another_length_are_refused_and_stray_bits_cleared() {
        assert_eq!(States::from_words(33, vec![0]), None);
        let states = States::from_words(1, vec![u64::MAX]).expect("one word holds one source");
        assert_eq!((states.count(State::Other), states.count(State::Open)), (1, 0));
    }
}
