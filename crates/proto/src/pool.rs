//! External addresses of one family, as one lazy sequence: each with the local address that it is used from.
//!
//! A [`Pool`] is made of [`Part`]s: ranges, blocks, and the proven sources of runs. It is arithmetic throughout, from one
//! address to `::/0`; no list of addresses is ever made.

mod address_set;
mod bitmap;
mod local;
mod part;
mod segments;
mod stepped_range;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::sync::Arc;

pub use local::Local;
pub use part::Part;
use segments::{Segment, Segments, Spans};

use crate::ip_number::{number, to_address};

/// One external address of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Item {
    /// The address that others see.
    pub external: IpAddr,
    /// The address to bind for it.
    pub local: IpAddr,
    /// The number that the caller gave the [`Part`] it is of.
    pub route: u32,
}

/// Neighbouring external addresses that are used in one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Run {
    /// The lowest address.
    pub first: IpAddr,
    /// The highest address.
    pub last: IpAddr,
    /// The number that the caller gave the [`Part`] they are of.
    pub route: u32,
    /// Which local address each is used from.
    pub local: Local,
}

/// A sequence of external addresses without duplicates. A clone shares everything.
///
/// Set operations compare external addresses alone: local address and route are those of the pool that an address was taken
/// from. A pool of the other family has nothing in common with this one, and nothing to add to it.
///
/// ```
/// use std::net::IpAddr;
/// use routepool_proto::pool::{Local, Part, Pool};
///
/// let ip = |text: &str| text.parse::<IpAddr>().expect("an address");
/// let block = "fd00:0:0:1::/64".parse().expect("a block");
/// let pool = Pool::new(true, vec![
///     Part::range(0, ip("fd00::7"), ip("fd00::7"), Local::Fixed(ip("fd99::1"))),
///     Part::block(1, &block, Local::Same),
/// ]);
/// assert_eq!(pool.size(), 1 + (1 << 64));
/// assert_eq!(pool.at(0).map(|item| item.local), Some(ip("fd99::1")));
/// assert_eq!(pool.index_of(ip("fd00:0:0:1::ffff")), Some(0x1_0000));
/// ```
#[derive(Clone, Debug)]
pub struct Pool {
    ipv6: bool,
    segments: Arc<Segments>,
    /// Index of the first and of the last address in `segments`; `None` if there is none. Both are part of it, as the number
    /// behind the last of `::/0` does not exist.
    window: Option<(u128, u128)>,
}

impl Pool {
    /// The addresses of the parts, in order. What an earlier part holds is left out of later ones; parts of the other family
    /// are left out.
    #[must_use]
    pub fn new(ipv6: bool, parts: Vec<Part>) -> Self {
        let (mut segments, mut part_of) = (Vec::new(), Vec::new());
        for (number, part) in parts.into_iter().filter(|part| part.is_ipv6() == ipv6).enumerate() {
            segments.extend(part.into_segments());
            part_of.resize(segments.len(), number);
        }
        let spans = Spans::new(segments.iter().map(|segment| &segment.set));
        let mut list = Vec::with_capacity(segments.len());
        for (segment, part) in segments.iter().zip(&part_of) {
            let mut earlier = Vec::new();
            spans.visit(segment.set.first(), segment.set.last(), &mut |at| {
                if part_of[at] < *part {
                    earlier.push(&segments[at].set);
                }
                true
            });
            list.extend(segment.without(&earlier));
        }
        Self::of(ipv6, list)
    }

    /// Whether the addresses are IPv6.
    #[must_use]
    pub fn is_ipv6(&self) -> bool {
        self.ipv6
    }

    /// How many addresses there are. `::/0` has one more than `u128` holds and gives `u128::MAX`.
    #[must_use]
    pub fn size(&self) -> u128 {
        self.window.map_or(0, |(first, last)| (last - first).saturating_add(1))
    }

    /// Whether there is no address.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.window.is_none()
    }

    /// The `k`-th address, from 0. Constant time for one segment, else the logarithm of their number.
    #[must_use]
    pub fn at(&self, k: u128) -> Option<Item> {
        let (first, last) = self.window?;
        let index = first.checked_add(k).filter(|index| *index <= last)?;
        let (number, segment) = self.segments.at(index)?;
        let external = to_address(number, self.ipv6);
        Some(Item { external, local: segment.local.of(external), route: segment.route })
    }

    /// The `k` for which [`Pool::at`] gives `external`.
    #[must_use]
    pub fn index_of(&self, external: IpAddr) -> Option<u128> {
        let (first, last) = self.window.filter(|_| external.is_ipv6() == self.ipv6)?;
        let index = self.segments.index_of(number(external))?;
        (first..=last).contains(&index).then(|| index - first)
    }

    /// Whether `external` is in the pool.
    #[must_use]
    pub fn has(&self, external: IpAddr) -> bool {
        self.index_of(external).is_some()
    }

    /// The addresses with index `from` up to, but not including, `to`. Shares everything with this pool; constant time.
    /// `u128::MAX` as `to` means all that follow, so that 0 to [`Pool::size`] is always the whole pool.
    #[must_use]
    pub fn slice(&self, from: u128, to: u128) -> Self {
        let window = self.window.and_then(|(first, last)| {
            let end = match to {
                u128::MAX => last,
                _ => first.saturating_add(to.checked_sub(1)?).min(last),
            };
            Some((first.checked_add(from)?, end)).filter(|(from, to)| from <= to)
        });
        Self { window, ..self.clone() }
    }

    /// The addresses of this pool, then what `other` has beyond them.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let beyond = other.difference(self);
        if beyond.is_empty() || other.ipv6 != self.ipv6 {
            return self.clone();
        }
        self.followed_by(&beyond)
    }

    /// The addresses of this pool that `other` has too.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let other = other.settled(self.ipv6);
        let list = self.cut().flat_map(|segment| segment.within(&other.near(&segment.set)));
        Self::of(self.ipv6, list.collect())
    }

    /// The addresses of this pool that `other` does not have.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        let other = other.settled(self.ipv6);
        let list = self.cut().flat_map(|segment| segment.without(&other.near(&segment.set)));
        Self::of(self.ipv6, list.collect())
    }

    /// The addresses of this pool that `other` does not have, then those of `other` that this pool does not have.
    #[must_use]
    pub fn symmetric_difference(&self, other: &Self) -> Self {
        let own = self.difference(other);
        if other.ipv6 == self.ipv6 { own.followed_by(&other.difference(self)) } else { own }
    }

    /// Whether `other` has every address of this pool.
    #[must_use]
    pub fn is_subset_of(&self, other: &Self) -> bool {
        if self.size() > other.size() {
            return false;
        }
        let other = other.settled(self.ipv6);
        self.cut().all(|segment| segment.without(&other.near(&segment.set)).next().is_none())
    }

    /// Whether the pools have no address in common.
    #[must_use]
    pub fn is_disjoint_from(&self, other: &Self) -> bool {
        let other = other.settled(self.ipv6);
        self.cut().all(|segment| !other.near(&segment.set).into_iter().any(|set| segment.set.meets(set)))
    }

    /// Whether both have the same external addresses, in whatever order.
    #[must_use]
    pub fn set_eq(&self, other: &Self) -> bool {
        let length = |pool: &Self| pool.window.map(|(first, last)| last - first);
        length(self) == length(other) && self.is_subset_of(other)
    }

    /// The addresses as runs of neighbours, each as long as it can be, in order. Lazy. Two pools of the same addresses in
    /// the same order, routes and [`Local`]s give the same runs, whatever parts they were made of.
    pub fn runs(&self) -> impl Iterator<Item = Run> + use<> {
        let ipv6 = self.ipv6;
        let runs = self.cut().flat_map(move |Segment { set, route, local }| {
            set.runs().map(move |(first, last)| Run {
                first: to_address(first, ipv6),
                last: to_address(last, ipv6),
                route,
                local,
            })
        });
        let mut runs = runs.peekable();
        std::iter::from_fn(move || {
            let mut run = runs.next()?;
            while let Some(next) = runs.next_if(|next| run.goes_on_with(next)) {
                run.last = next.last;
            }
            Some(run)
        })
    }

    fn of(ipv6: bool, list: Vec<Segment>) -> Self {
        let segments = Segments::new(list);
        Self { ipv6, window: segments.last_index().map(|last| (0, last)), segments: Arc::new(segments) }
    }

    /// This pool, then `other`, which has nothing in common with it.
    fn followed_by(&self, other: &Self) -> Self {
        Self::of(self.ipv6, self.cut().chain(other.cut()).collect())
    }

    /// The segments, cut to the window.
    fn cut(&self) -> impl Iterator<Item = Segment> + use<> {
        let (segments, window) = (self.segments.clone(), self.window);
        let from = window.and_then(|(first, _)| segments.place(first));
        let cut = window
            .zip(from)
            .map(|((first, last), from)| (from..).map_while(move |at| segments.cut(at, first, last)));
        cut.into_iter().flatten()
    }

    /// Segments that hold this pool's addresses and no others, to compare with; none for the other family.
    fn settled(&self, ipv6: bool) -> Arc<Segments> {
        if self.ipv6 != ipv6 {
            Arc::default()
        } else if self.window == self.segments.last_index().map(|last| (0, last)) {
            self.segments.clone()
        } else {
            Arc::new(Segments::new(self.cut().collect()))
        }
    }
}

impl Run {
    fn goes_on_with(&self, next: &Self) -> bool {
        (self.route, self.local) == (next.route, next.local)
            && number(self.last).checked_add(1) == Some(number(next.first))
    }
}
