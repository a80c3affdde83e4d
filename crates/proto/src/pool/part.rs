//! What a pool is made of.

use std::net::IpAddr;
use std::sync::Arc;

use super::address_set::AddressSet;
use super::bitmap::Bitmap;
use super::local::Local;
use super::segments::Segment;
use super::stepped_range::{OctetFilter, SteppedRange};
use crate::ip_block::{HostPolicy, IpBlock};
use crate::ip_number::number;
use crate::sweep::Proven;
use crate::targets::Targets;

/// External addresses that are used in one way.
#[derive(Clone, Debug)]
pub struct Part {
    ipv6: bool,
    segments: Vec<Segment>,
}

impl Part {
    /// All addresses from `first` to `last`; none if they are of two families or in the wrong order.
    #[must_use]
    pub fn range(route: u32, first: IpAddr, last: IpAddr, local: Local) -> Self {
        let one_family = first.is_ipv6() == last.is_ipv6();
        let range =
            if one_family { SteppedRange::new(number(first), number(last), OctetFilter::All) } else { None };
        Self::of(first.is_ipv6(), route, local, range.map(AddressSet::Range))
    }

    /// The addresses of a block that are meant under its policy.
    #[must_use]
    pub fn block(route: u32, block: &IpBlock, local: Local) -> Self {
        let (first, last, octets) = match block.hosts() {
            HostPolicy::No0And255 if !block.is_ipv6() => (block.first(), block.last(), OctetFilter::Usable),
            HostPolicy::Subnet => {
                let last = block.len().checked_sub(1).and_then(|k| block.nth(k));
                (block.nth(0).unwrap_or(block.first()), last.unwrap_or(block.last()), OctetFilter::All)
            }
            _ => (block.first(), block.last(), OctetFilter::All),
        };
        let range = SteppedRange::new(number(first), number(last), octets);
        Self::of(block.is_ipv6(), route, local, range.map(AddressSet::Range))
    }

    /// The proven sources of a run, in order of index, each used from itself.
    #[must_use]
    pub fn proven(route: u32, run: &Arc<(Targets, Proven)>) -> Self {
        Self::of(run.0.is_ipv6(), route, Local::Same, Bitmap::of_run(run).into_iter().map(AddressSet::Bitmap))
    }

    /// Whether the addresses are IPv6.
    #[must_use]
    pub fn is_ipv6(&self) -> bool {
        self.ipv6
    }

    pub(super) fn into_segments(self) -> Vec<Segment> {
        self.segments
    }

    fn of(ipv6: bool, route: u32, local: Local, sets: impl IntoIterator<Item = AddressSet>) -> Self {
        let segments = sets.into_iter().map(|set| Segment { set, route, local }).collect();
        Self { ipv6, segments }
    }
}
