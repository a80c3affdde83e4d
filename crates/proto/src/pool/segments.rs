//! The pieces of a pool, where their indices start, and which of them hold an address.

use std::collections::VecDeque;
use std::sync::OnceLock;

use super::address_set::AddressSet;
use super::local::Local;

/// Ascending addresses that are used in one way.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    pub(super) set: AddressSet,
    pub(super) route: u32,
    pub(super) local: Local,
}

impl Segment {
    /// What is left of it without `others`, which ascend by their first address.
    pub(super) fn without(&self, others: &[&AddressSet]) -> impl Iterator<Item = Self> + use<> {
        self.of(without(&self.set, others.iter().copied()))
    }

    /// What it has in common with `others`, which ascend by their first address.
    pub(super) fn within(&self, others: &[&AddressSet]) -> impl Iterator<Item = Self> + use<> {
        self.of(within(&self.set, others))
    }

    fn of(&self, sets: Vec<AddressSet>) -> impl Iterator<Item = Self> + use<> {
        let (route, local) = (self.route, self.local);
        sets.into_iter().map(move |set| Self { set, route, local })
    }
}

/// Takes one after the other out. The pieces ascend, as do the others, so that a piece below the next other is done with:
/// many small others cost no more than their number.
fn without<'a>(set: &AddressSet, others: impl Iterator<Item = &'a AddressSet>) -> Vec<AddressSet> {
    let (mut done, mut open) = (Vec::new(), VecDeque::from([set.clone()]));
    let mut pieces = Vec::new();
    for other in others {
        while open.front().is_some_and(|piece| piece.last() < other.first()) {
            done.extend(open.pop_front());
        }
        while open.front().is_some_and(|piece| piece.first() <= other.last()) {
            if let Some(piece) = open.pop_front() {
                piece.difference(other, &mut pieces);
            }
        }
        for piece in pieces.drain(..).rev() {
            open.push_front(piece);
        }
        if open.is_empty() {
            break;
        }
    }
    done.extend(open);
    done
}

fn within(set: &AddressSet, others: &[&AddressSet]) -> Vec<AddressSet> {
    let mut pieces = Vec::new();
    let mut from = 0;
    while let Some(first) = others.get(from) {
        let (mut to, mut last) = (from, first.last());
        while let Some(next) = others.get(to).filter(|next| next.first() <= last) {
            last = last.max(next.last());
            to += 1;
        }
        if to == from + 1 {
            pieces.extend(set.intersection(first));
        } else if let Some(part) = set.clip(first.first(), last) {
            // Taken one by one, what is common with others that interleave would not ascend.
            let beyond = without(&part, others[from..to].iter().copied());
            pieces.extend(without(&part, beyond.iter()));
        }
        from = to;
    }
    pieces
}

/// Segments laid end to end. No address is in two of them.
#[derive(Debug, Default)]
pub(super) struct Segments {
    list: Vec<Segment>,
    /// Index of each segment's first address.
    starts: Vec<u128>,
    /// Index of the last address.
    last_index: Option<u128>,
    spans: OnceLock<Spans>,
}

impl Segments {
    pub(super) fn new(list: Vec<Segment>) -> Self {
        let (mut starts, mut last_index) = (Vec::with_capacity(list.len()), None::<u128>);
        for segment in &list {
            // Only all of IPv6 has an index u128::MAX, and then nothing follows.
            let start = last_index.map_or(0, |last| last + 1);
            starts.push(start);
            last_index = Some(start + segment.set.last_index());
        }
        Self { list, starts, last_index, spans: OnceLock::new() }
    }

    pub(super) fn last_index(&self) -> Option<u128> {
        self.last_index
    }

    pub(super) fn at(&self, index: u128) -> Option<(u128, &Segment)> {
        let at = self.place(index)?;
        let segment = &self.list[at];
        Some((segment.set.nth(index - self.starts[at])?, segment))
    }

    pub(super) fn index_of(&self, number: u128) -> Option<u128> {
        let mut found = None;
        self.spans().visit(number, number, &mut |at| {
            found = self.list[at].set.index_of(number).map(|k| self.starts[at] + k);
            found.is_none()
        });
        found
    }

    /// The segments, or what of them lies within the indices from `first` to `last`, from segment number `at` on.
    pub(super) fn cut(&self, at: usize, first: u128, last: u128) -> Option<Segment> {
        let (segment, start) = (self.list.get(at)?, self.starts[at]);
        let from = first.saturating_sub(start);
        let to = last.checked_sub(start)?.min(segment.set.last_index());
        Some(Segment { set: segment.set.slice(from, to)?, ..segment.clone() })
    }

    /// Number of the segment that holds this index.
    pub(super) fn place(&self, index: u128) -> Option<usize> {
        self.starts.partition_point(|start| *start <= index).checked_sub(1)
    }

    /// Those whose ends have addresses of `set` between them, ascending by first address.
    pub(super) fn near(&self, set: &AddressSet) -> Vec<&AddressSet> {
        let mut found = Vec::new();
        self.spans().visit(set.first(), set.last(), &mut |at| {
            found.push(&self.list[at].set);
            true
        });
        found
    }

    fn spans(&self) -> &Spans {
        self.spans.get_or_init(|| Spans::new(self.list.iter().map(|segment| &segment.set)))
    }
}

/// An interval tree over the ends of sets: a sorted list read as a binary tree, each middle the root of its stretch. A
/// plain sorted list does not do, as the sets' addresses may interleave.
#[derive(Debug)]
pub(super) struct Spans {
    nodes: Vec<Node>,
}

#[derive(Debug)]
struct Node {
    first: u128,
    last: u128,
    /// The highest `last` of the stretch.
    highest: u128,
    at: usize,
}

impl Spans {
    pub(super) fn new<'a>(sets: impl Iterator<Item = &'a AddressSet>) -> Self {
        let node = |(at, set): (usize, &AddressSet)| Node {
            first: set.first(),
            last: set.last(),
            highest: set.last(),
            at,
        };
        let mut nodes: Vec<_> = sets.enumerate().map(node).collect();
        nodes.sort_by_key(|node| node.first);
        raise(&mut nodes);
        Self { nodes }
    }

    /// Calls `each` with the number of every set that has an end, or addresses between its ends, from `low` to `high`,
    /// ascending by first address, until it returns false.
    pub(super) fn visit(&self, low: u128, high: u128, each: &mut impl FnMut(usize) -> bool) {
        visit(&self.nodes, low, high, each);
    }
}

fn raise(nodes: &mut [Node]) -> u128 {
    let middle = nodes.len() / 2;
    let (left, rest) = nodes.split_at_mut(middle);
    let Some((node, right)) = rest.split_first_mut() else { return 0 };
    node.highest = node.last.max(raise(left)).max(raise(right));
    node.highest
}

fn visit(nodes: &[Node], low: u128, high: u128, each: &mut impl FnMut(usize) -> bool) -> bool {
    let (left, rest) = nodes.split_at(nodes.len() / 2);
    let Some((node, right)) = rest.split_first() else { return true };
    if node.highest < low {
        return true;
    }
    visit(left, low, high, each)
        && (node.first > high || ((node.last < low || each(node.at)) && visit(right, low, high, each)))
}
