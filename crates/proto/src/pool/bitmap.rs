//! Some of the sources of a run: a bitmap over its indices.

use std::net::IpAddr;
use std::sync::Arc;

use super::stepped_range::Span;
use crate::ip_block::IpBlock;
use crate::ip_number::{number, to_address};
use crate::sweep::Proven;
use crate::targets::Targets;

/// Proven sources of one block of a run, from one of them to another. Within a block addresses rise with the index, which
/// is what the searches here rest on.
#[derive(Clone, Debug)]
pub(super) struct Bitmap {
    run: Arc<(Targets, Proven)>,
    /// In place of the run's own bitmap, after a set operation; its index 0 is the run's `offset`.
    kept: Option<Arc<Proven>>,
    offset: u32,
    /// Window of the bitmap: the `k` of the first and of the last source.
    from: u32,
    to: u32,
    first: u128,
    last: u128,
}

impl Bitmap {
    /// The proven sources of a run, block by block.
    pub(super) fn of_run(run: &Arc<(Targets, Proven)>) -> Vec<Self> {
        let (targets, proven) = &**run;
        targets
            .spans()
            .filter_map(|span| {
                let (from, end) = (proven.rank(span.start), proven.rank(span.end));
                Self::window(run, None, 0, from, end.checked_sub(1)?)
            })
            .collect()
    }

    /// The addresses in `spans`, which ascend from `first` to `last`, as a bitmap over that range; `None` if it cannot be
    /// made: none, or the range is too long for one.
    pub(super) fn of_spans(
        (first, last): Span,
        ipv6: bool,
        spans: impl Iterator<Item = Span>,
    ) -> Option<Self> {
        let block = IpBlock::from_range(to_address(first, ipv6), to_address(last, ipv6)).ok()?;
        let targets = Targets::new(vec![block], None, 0).ok()?;
        let indices = spans.map(|(low, high)| ((low - first) as u32, (high - first) as u32));
        let proven = Proven::from_runs(targets.len(), indices);
        let to = proven.len().checked_sub(1)?;
        Self::window(&Arc::new((targets, proven)), None, 0, 0, to)
    }

    fn window(
        run: &Arc<(Targets, Proven)>,
        kept: Option<Arc<Proven>>,
        offset: u32,
        from: u32,
        to: u32,
    ) -> Option<Self> {
        let mut bits = Self { run: run.clone(), kept, offset, from, to, first: 0, last: 0 };
        if from > to {
            return None;
        }
        bits.first = bits.address(bits.index(from)?)?;
        bits.last = bits.address(bits.index(to)?)?;
        Some(bits)
    }

    fn proven(&self) -> &Proven {
        self.kept.as_deref().unwrap_or(&self.run.1)
    }

    /// The index in the run of the bitmap's `k`-th.
    fn index(&self, k: u32) -> Option<u32> {
        Some(self.proven().nth(k)? + self.offset)
    }

    fn address(&self, index: u32) -> Option<u128> {
        self.run.0.source(index).map(number)
    }

    fn ip(&self, number: u128) -> IpAddr {
        to_address(number, self.is_ipv6())
    }

    pub(super) fn is_ipv6(&self) -> bool {
        self.run.0.is_ipv6()
    }

    pub(super) fn first(&self) -> u128 {
        self.first
    }

    pub(super) fn last(&self) -> u128 {
        self.last
    }

    pub(super) fn last_index(&self) -> u32 {
        self.to - self.from
    }

    pub(super) fn nth(&self, k: u32) -> Option<u128> {
        self.address(self.index(self.from.checked_add(k)?)?)
    }

    pub(super) fn index_of(&self, number: u128) -> Option<u32> {
        if !(self.first..=self.last).contains(&number) {
            return None;
        }
        let index = self.run.0.index_of(self.ip(number))?.checked_sub(self.offset)?;
        self.proven().has(index).then(|| self.proven().rank(index) - self.from)
    }

    /// Those from the `from`-th to the `to`-th.
    pub(super) fn slice(&self, from: u32, to: u32) -> Option<Self> {
        Self::window(
            &self.run,
            self.kept.clone(),
            self.offset,
            self.from.checked_add(from)?,
            self.from.checked_add(to)?,
        )
    }

    /// Those from `low` to `high`.
    pub(super) fn clip(&self, low: u128, high: u128) -> Option<Self> {
        if low <= self.first && high >= self.last {
            return Some(self.clone());
        }
        let from = self.below(low);
        let to = high.checked_add(1).map_or(self.to - self.from + 1, |end| self.below(end));
        self.slice(from, to.checked_sub(1)?)
    }

    /// How many are below `number`.
    fn below(&self, number: u128) -> u32 {
        let (mut low, mut high) = (0, self.to - self.from + 1);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.nth(middle).is_some_and(|address| address < number) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    /// Those in `spans`, which ascend and lie within runs of this one.
    pub(super) fn keep(&self, spans: impl Iterator<Item = Span>) -> Option<Self> {
        let start = self.index(self.from)?;
        let index = |address| self.run.0.index_of(self.ip(address))?.checked_sub(start);
        let indices = spans.filter_map(|(low, high)| Some((index(low)?, index(high)?)));
        let kept = Proven::from_runs(index(self.last)? + 1, indices);
        let to = kept.len().checked_sub(1)?;
        Self::window(&self.run, Some(Arc::new(kept)), start, 0, to)
    }

    /// Runs of neighbouring addresses.
    pub(super) fn runs(self) -> BitmapRuns {
        let next = self.from;
        BitmapRuns { bits: self, next, unbroken: None }
    }
}

/// Iterator over the runs of neighbouring addresses.
#[derive(Debug)]
pub(super) struct BitmapRuns {
    bits: Bitmap,
    next: u32,
    /// Last index of the run of bits that is being cut into runs of addresses.
    unbroken: Option<u32>,
}

impl Iterator for BitmapRuns {
    type Item = Span;

    fn next(&mut self) -> Option<Span> {
        let bits = &self.bits;
        if self.next > bits.to {
            return None;
        }
        let index = bits.index(self.next)?;
        let unbroken = match self.unbroken {
            Some(end) if end >= index => end,
            _ => bits.proven().run_end(index - bits.offset)? + bits.offset,
        };
        self.unbroken = Some(unbroken);
        let first = bits.address(index)?;
        let most = (unbroken - index).min(bits.to - self.next);
        let neighbour = |step: u32| bits.address(index + step) == first.checked_add(step.into());
        let steps = if neighbour(most) { most } else { last_true(most, neighbour) };
        // Past the last `k` there is none: `to` is below u32::MAX, as a run has at most 2^28 sources.
        self.next += steps + 1;
        Some((first, first + u128::from(steps)))
    }
}

/// The highest number at which `test` holds, which it does at 0 and up to some number below `wrong`. Gallops, as the number
/// is mostly far below.
fn last_true(wrong: u32, test: impl Fn(u32) -> bool) -> u32 {
    let (mut low, mut high) = (0, 1);
    while test(high) {
        (low, high) = (high, high.saturating_mul(2).min(wrong));
    }
    while low + 1 < high {
        let middle = low + (high - low) / 2;
        if test(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ip_block::HostPolicy;

    #[test]
    fn neighbours_are_one_run_up_to_a_gap_in_the_bits_or_in_the_addresses() {
        let block: IpBlock = "10.0.0.0/23".parse().expect("a block");
        let first = number(block.first());
        let targets = Targets::new(vec![block.with_hosts(HostPolicy::No0And255)], None, 0).expect("targets");
        let proven = Proven::from_runs(targets.len(), [(0, 9), (20, 300)].into_iter());
        let runs = Bitmap::of_run(&Arc::new((targets, proven))).into_iter().flat_map(Bitmap::runs);
        let offsets: Vec<_> = runs.map(|(low, high)| (low - first, high - first)).collect();
        assert_eq!(offsets, [(1, 10), (21, 254), (257, 303)]);
    }

    #[test]
    fn the_last_true_number_is_found_wherever_it_is() {
        for wrong in 1..40 {
            for last in 0..wrong {
                assert_eq!(last_true(wrong, |number| number <= last), last, "below {wrong}");
            }
        }
    }
}
