//! Addresses of a range, chosen by their last octet.

use crate::ip_block::usable_below;

/// A run of numbers, from the first to the last.
pub(super) type Span = (u128, u128);

/// Which last octets are meant. Whatever is cut out of a choice by another is again one of the three, so that no set
/// operation ever needs a list of 256-address runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OctetFilter {
    All,
    /// Neither 0 nor 255.
    Usable,
    /// 0 and 255: what is left of all without the usable ones.
    Edges,
}

impl OctetFilter {
    fn and(self, other: Self) -> Option<Self> {
        match (self, other) {
            (Self::All, octets) | (octets, Self::All) => Some(octets),
            _ => (self == other).then_some(self),
        }
    }

    fn without(self, other: Self) -> Option<Self> {
        match (self, other) {
            (_, Self::All) => None,
            (Self::All, Self::Usable) => Some(Self::Edges),
            (Self::All, Self::Edges) => Some(Self::Usable),
            _ => (self != other).then_some(self),
        }
    }

    fn has(self, number: u128) -> bool {
        match self {
            Self::All => true,
            Self::Usable => !matches!(number & 255, 0 | 255),
            Self::Edges => matches!(number & 255, 0 | 255),
        }
    }

    /// How many below `number` are meant.
    fn below(self, number: u128) -> u128 {
        match self {
            Self::All => number,
            Self::Usable => usable_below(number),
            Self::Edges => number - usable_below(number),
        }
    }

    fn nth(self, k: u128) -> u128 {
        match self {
            Self::All => k,
            Self::Usable => ((k / 254) << 8) + k % 254 + 1,
            Self::Edges => ((k / 2) << 8) + k % 2 * 255,
        }
    }
}

/// The chosen addresses of a range that begins and ends with one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SteppedRange {
    first: u128,
    last: u128,
    octets: OctetFilter,
}

impl SteppedRange {
    /// The chosen ones from `first` to `last`; `None` if there are none. Only IPv4 is chosen from.
    pub(super) fn new(first: u128, last: u128, octets: OctetFilter) -> Option<Self> {
        let first = octets.nth(octets.below(first));
        let last = if octets.has(last) { last } else { octets.nth(octets.below(last).checked_sub(1)?) };
        (first <= last).then_some(Self { first, last, octets })
    }

    pub(super) fn first(&self) -> u128 {
        self.first
    }

    pub(super) fn last(&self) -> u128 {
        self.last
    }

    pub(super) fn is_whole(&self) -> bool {
        self.octets == OctetFilter::All
    }

    /// The index of the last one: the count does not fit for `::/0`.
    pub(super) fn last_index(&self) -> u128 {
        self.octets.below(self.last) - self.octets.below(self.first)
    }

    /// The `k`-th, which must exist.
    pub(super) fn nth(&self, k: u128) -> u128 {
        self.octets.nth(self.octets.below(self.first) + k)
    }

    pub(super) fn index_of(&self, number: u128) -> Option<u128> {
        let inside = (self.first..=self.last).contains(&number) && self.octets.has(number);
        inside.then(|| self.octets.below(number) - self.octets.below(self.first))
    }

    /// Those from `low` to `high`.
    pub(super) fn clip(&self, low: u128, high: u128) -> Option<Self> {
        Self::new(low.max(self.first), high.min(self.last), self.octets)
    }

    pub(super) fn intersection(&self, other: &Self) -> Option<Self> {
        Self::new(self.first.max(other.first), self.last.min(other.last), self.octets.and(other.octets)?)
    }

    /// Whether the choices of octets leave nothing that both could hold.
    pub(super) fn excludes(&self, other: &Self) -> bool {
        self.octets.and(other.octets).is_none()
    }

    /// What is left between the ends of `other`.
    pub(super) fn without_within(&self, other: &Self) -> Option<Self> {
        let octets = self.octets.without(other.octets)?;
        Self::new(self.first.max(other.first), self.last.min(other.last), octets)
    }

    /// Takes a run of neighbours off the front; the second is what follows, which may go on with a neighbour (.255, .0).
    pub(super) fn split_run(&self) -> (Span, Option<Self>) {
        let end = match self.octets {
            OctetFilter::All => self.last,
            OctetFilter::Usable => ((self.first | 255) - 1).min(self.last),
            OctetFilter::Edges => self.first,
        };
        let rest = if end < self.last { self.clip(end + 1, self.last) } else { None };
        ((self.first, end), rest)
    }
}
