//! One piece of a pool: addresses that ascend, and what two pieces have in common.

use std::iter::Peekable;

use super::bitmap::{Bitmap, BitmapRuns};
use super::stepped_range::{Span, SteppedRange};

/// A bitmap over a range takes the place of a list of its runs where it holds at least one address in so many: a listed
/// run takes about 100 bytes, as much as the bits of 800 addresses.
const ADDRESSES_PER_LISTED_RUN: u128 = 1024;

/// Ascending addresses, at least one.
#[derive(Clone, Debug)]
pub(super) enum AddressSet {
    Range(SteppedRange),
    Bitmap(Bitmap),
}

impl AddressSet {
    pub(super) fn first(&self) -> u128 {
        match self {
            Self::Range(range) => range.first(),
            Self::Bitmap(bitmap) => bitmap.first(),
        }
    }

    pub(super) fn last(&self) -> u128 {
        match self {
            Self::Range(range) => range.last(),
            Self::Bitmap(bitmap) => bitmap.last(),
        }
    }

    /// The index of the last address: the count does not fit for `::/0`.
    pub(super) fn last_index(&self) -> u128 {
        match self {
            Self::Range(range) => range.last_index(),
            Self::Bitmap(bitmap) => bitmap.last_index().into(),
        }
    }

    pub(super) fn nth(&self, k: u128) -> Option<u128> {
        if k > self.last_index() {
            return None;
        }
        match self {
            Self::Range(range) => Some(range.nth(k)),
            Self::Bitmap(bitmap) => bitmap.nth(k as u32),
        }
    }

    pub(super) fn index_of(&self, number: u128) -> Option<u128> {
        match self {
            Self::Range(range) => range.index_of(number),
            Self::Bitmap(bitmap) => bitmap.index_of(number).map(u128::from),
        }
    }

    /// Those from the `from`-th to the `to`-th, which must exist.
    pub(super) fn slice(&self, from: u128, to: u128) -> Option<Self> {
        match self {
            Self::Range(range) => range.clip(range.nth(from), range.nth(to)).map(Self::Range),
            Self::Bitmap(bitmap) => bitmap.slice(from as u32, to as u32).map(Self::Bitmap),
        }
    }

    /// Those from `low` to `high`.
    pub(super) fn clip(&self, low: u128, high: u128) -> Option<Self> {
        match self {
            Self::Range(range) => range.clip(low, high).map(Self::Range),
            Self::Bitmap(bitmap) => bitmap.clip(low, high).map(Self::Bitmap),
        }
    }

    /// Runs of neighbouring addresses, not always as long as they could be.
    pub(super) fn runs(self) -> Runs {
        match self {
            Self::Range(range) => Runs::Range(Some(range)),
            Self::Bitmap(bitmap) => Runs::Bitmap(bitmap.runs()),
        }
    }

    /// The addresses of both.
    pub(super) fn intersection(&self, other: &Self) -> Option<Self> {
        if let (Self::Range(own), Self::Range(other)) = (self, other) {
            return own.intersection(other).map(Self::Range);
        }
        let own = self.clip(other.first(), other.last())?;
        let other = other.clip(own.first(), own.last())?;
        match (&own, &other) {
            (Self::Range(range), Self::Bitmap(_)) if range.is_whole() => Some(other),
            (Self::Bitmap(_), Self::Range(range)) if range.is_whole() => {
                own.clip(range.first(), range.last())
            }
            (Self::Bitmap(bitmap), _) | (_, Self::Bitmap(bitmap)) => {
                bitmap.keep(overlay(own.clone().runs(), other.clone().runs(), true)).map(Self::Bitmap)
            }
            (Self::Range(own), Self::Range(other)) => own.intersection(other).map(Self::Range),
        }
    }

    /// Whether there is an address of both.
    pub(super) fn meets(&self, other: &Self) -> bool {
        if let (Self::Range(own), Self::Range(other)) = (self, other) {
            return own.intersection(other).is_some();
        }
        let own = self.clip(other.first(), other.last());
        let other = own.as_ref().and_then(|own| other.clip(own.first(), own.last()));
        own.zip(other).is_some_and(|(own, other)| overlay(own.runs(), other.runs(), true).next().is_some())
    }

    /// Appends what is left without `other`, in pieces that ascend one after the other.
    pub(super) fn difference(&self, other: &Self, pieces: &mut Vec<Self>) {
        let Some(other) = other.clip(self.first(), self.last()).filter(|other| !self.excludes(other)) else {
            pieces.push(self.clone());
            return;
        };
        let (low, high) = (other.first(), other.last());
        if let Some(below) = low.checked_sub(1) {
            pieces.extend(self.clip(self.first(), below));
        }
        if let Some(within) = self.clip(low, high) {
            match (&within, &other) {
                (Self::Range(own), Self::Range(other)) => {
                    pieces.extend(own.without_within(other).map(Self::Range));
                }
                (_, Self::Range(range)) if range.is_whole() => {}
                (Self::Bitmap(own), _) => {
                    let spans = overlay(within.clone().runs(), other.clone().runs(), false);
                    pieces.extend(own.keep(spans).map(Self::Bitmap));
                }
                (Self::Range(own), Self::Bitmap(bitmap)) => punch(own, bitmap, pieces),
            }
        }
        if let Some(above) = high.checked_add(1) {
            pieces.extend(self.clip(above, self.last()));
        }
    }

    fn excludes(&self, other: &Self) -> bool {
        matches!((self, other), (Self::Range(own), Self::Range(other)) if own.excludes(other))
    }
}

/// Appends what is left of `range` without `bitmap`: a bitmap where they are dense, else the gaps between them.
fn punch(range: &SteppedRange, bitmap: &Bitmap, pieces: &mut Vec<AddressSet>) {
    let span = (range.first(), range.last());
    if (span.1 - span.0) / ADDRESSES_PER_LISTED_RUN <= bitmap.last_index().into() {
        let left = || overlay(Runs::Range(Some(*range)), bitmap.clone().runs(), false);
        if left().next().is_none() {
            return;
        }
        if let Some(left) = Bitmap::of_spans(span, bitmap.is_ipv6(), left()) {
            pieces.push(AddressSet::Bitmap(left));
            return;
        }
    }
    let gaps = overlay(std::iter::once(span), bitmap.clone().runs(), false);
    pieces.extend(gaps.filter_map(|(low, high)| range.clip(low, high)).map(AddressSet::Range));
}

/// Iterator over runs of neighbouring addresses, ascending. One may go on where the one before ended.
#[derive(Debug)]
pub(super) enum Runs {
    Range(Option<SteppedRange>),
    Bitmap(BitmapRuns),
}

impl Iterator for Runs {
    type Item = Span;

    fn next(&mut self) -> Option<Span> {
        match self {
            Self::Range(rest) => {
                let (run, left) = rest.take()?.split_run();
                *rest = left;
                Some(run)
            }
            Self::Bitmap(runs) => runs.next(),
        }
    }
}

/// The parts of `own` that lie in `other`, or those that do not. Both ascend.
fn overlay(
    own: impl Iterator<Item = Span>,
    other: impl Iterator<Item = Span>,
    inside: bool,
) -> impl Iterator<Item = Span> {
    Overlay { own, other: other.peekable(), rest: None, inside }
}

struct Overlay<A, B: Iterator<Item = Span>> {
    own: A,
    other: Peekable<B>,
    /// What is left of a run of `own`.
    rest: Option<Span>,
    inside: bool,
}

impl<A: Iterator<Item = Span>, B: Iterator<Item = Span>> Iterator for Overlay<A, B> {
    type Item = Span;

    fn next(&mut self) -> Option<Span> {
        loop {
            let (first, last) = match self.rest.take() {
                Some(rest) => rest,
                None => self.own.next()?,
            };
            while self.other.next_if(|(_, end)| *end < first).is_some() {}
            let (end, covered) = match self.other.peek() {
                None => (last, false),
                Some((start, _)) if *start > first => (last.min(start - 1), false),
                Some((_, end)) => (last.min(*end), true),
            };
            if end < last {
                self.rest = Some((end + 1, last));
            }
            if covered == self.inside {
                return Some((first, end));
            }
        }
    }
}
