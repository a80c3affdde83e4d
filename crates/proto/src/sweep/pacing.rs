//! How fast each neighbourhood can be probed: paces found by trial.

mod capacity;
mod judge;

use std::ops::Range;
use std::time::Duration;

use super::settings::bounds;
use capacity::Capacity;

/// The neighbourhoods, as leaves, and the wider ones around them: each may have a pace of its own.
///
/// Loss that follows the rate is congestion: a limit somewhere on the way. Where controls are lost, other paces are tried, and from
/// what is lost at which of them follows how much the path carries: see [`Capacity`]. The trial is made by the widest neighbourhood
/// whose parts all lose, since a limit may be for one prefix or for everything.
#[derive(Clone, Debug, Default)]
pub(super) struct Paces {
    nodes: Vec<Node>,
}

#[derive(Clone, Debug)]
struct Node {
    parent: Option<u32>,
    /// The nodes below; empty for a leaf.
    children: Range<u32>,
    /// The leaves below, or the leaf itself.
    leaves: Range<u32>,
    /// Probes a second, where they are limited.
    rate: Option<f64>,
    /// When the next probe may leave.
    next_at: Duration,
    epoch: Epoch,
    capacity: Capacity,
    /// The share lost when that was last seen to.
    loss: f64,
    /// It is all but sure that there is a limit.
    is_known: bool,
    /// The rate that was reached before there was a limit.
    free_rate: f64,
    /// Leaves below that still have probes to send.
    active: u32,
}

/// What was seen since the rate last changed.
#[derive(Clone, Copy, Debug, Default)]
struct Epoch {
    since: Duration,
    last_sent: Duration,
    /// The time of that during which probes were sent.
    busy: Duration,
    sent: u32,
    answered: u32,
    lost: u32,
}

impl Epoch {
    fn at(since: Duration) -> Self {
        Self { since, last_sent: since, ..Self::default() }
    }

    fn outcomes(&self) -> u32 {
        self.answered + self.lost
    }

    fn loss(&self) -> f64 {
        f64::from(self.lost) / f64::from(self.outcomes().max(1))
    }

    fn seconds(&self) -> f64 {
        self.busy.as_secs_f64()
    }
}

impl Paces {
    /// `keys`: the rising keys of the leaves. Wider nodes take 16 of the narrower each.
    pub(super) fn new(keys: &[u32], now: Duration) -> Self {
        let leaf = |leaf| Node::new(0..0, leaf..leaf + 1, now);
        let mut nodes: Vec<Node> = (0..keys.len() as u32).map(leaf).collect();
        let (mut from, mut keys) = (0, keys.to_vec());
        while nodes.len() as u32 - from > 1 {
            let to = nodes.len() as u32;
            let (mut wider, mut at) = (Vec::new(), from);
            while at < to {
                let key = keys[(at - from) as usize] >> 4;
                let mut end = at + 1;
                while end < to && keys[(end - from) as usize] >> 4 == key {
                    end += 1;
                }
                let parent = nodes.len() as u32;
                nodes[at as usize..end as usize].iter_mut().for_each(|node| node.parent = Some(parent));
                let leaves = nodes[at as usize].leaves.start..nodes[end as usize - 1].leaves.end;
                nodes.push(Node::new(at..end, leaves, now));
                wider.push(key);
                at = end;
            }
            (from, keys) = (to, wider);
        }
        Self { nodes }
    }

    /// The leaf and the nodes around it, narrowest first.
    fn path(&self, leaf: u32) -> impl Iterator<Item = u32> + '_ {
        std::iter::successors(Some(leaf), |at| self.nodes[*at as usize].parent)
    }

    /// A probe leaves for a leaf.
    pub(super) fn sent(&mut self, leaf: u32, now: Duration) {
        let mut at = Some(leaf);
        while let Some(node) = at.map(|at| &mut self.nodes[at as usize]) {
            // Rests are no part of the rate.
            let rest =
                node.rate.map_or(bounds::REST, |rate| bounds::REST.max(Duration::from_secs_f64(4.0 / rate)));
            node.epoch.busy += now.saturating_sub(node.epoch.last_sent).min(rest);
            node.epoch.sent += 1;
            node.epoch.last_sent = now;
            at = node.parent;
        }
    }

    /// Whether a leaf is limited, by itself or from above.
    pub(super) fn is_limited(&self, leaf: u32) -> bool {
        self.path(leaf).any(|at| self.nodes[at as usize].rate.is_some())
    }

    /// Whether a slower pace has been seen to lose less.
    pub(super) fn is_known_limit(&self, leaf: u32) -> bool {
        let known = |node: &Node| node.rate.is_some() && node.is_known;
        self.path(leaf).any(|at| known(&self.nodes[at as usize]))
    }

    /// The lowest limit that holds for a leaf: its rate and the leaves that share it.
    pub(super) fn limit(&self, leaf: u32) -> Option<(f64, Range<u32>)> {
        let limited = self.path(leaf).filter_map(|at| {
            let node = &self.nodes[at as usize];
            Some((node.rate?, node.leaves.clone()))
        });
        limited.min_by(|a, b| a.0.total_cmp(&b.0))
    }

    /// The limit of everything together.
    pub(super) fn overall(&self) -> Option<f64> {
        self.nodes.last()?.rate
    }

    /// The slowest of all limits.
    pub(super) fn slowest(&self) -> Option<f64> {
        self.nodes.iter().filter_map(|node| node.rate).reduce(f64::min)
    }

    /// The share of the limits that one active leaf has, in probes a second.
    pub(super) fn share(&self, leaf: u32) -> Option<f64> {
        let shares = self.path(leaf).filter_map(|at| {
            let node = &self.nodes[at as usize];
            Some(node.rate? / f64::from(node.active.max(1)))
        });
        shares.min_by(f64::total_cmp)
    }

    /// Reserves the next place for one probe of a leaf; gives its time.
    pub(super) fn reserve(&mut self, leaf: u32, now: Duration) -> Duration {
        let at = self.path(leaf).map(|at| &self.nodes[at as usize]);
        let time = at.filter(|node| node.rate.is_some()).map(|node| node.next_at).fold(now, Duration::max);
        let mut next = Some(leaf);
        while let Some(node) = next.map(|at| &mut self.nodes[at as usize]) {
            if let Some(rate) = node.rate {
                node.next_at = time + Duration::from_secs_f64(1.0 / rate);
            }
            next = node.parent;
        }
        time
    }

    /// A leaf has probes to send, or no longer.
    pub(super) fn set_active(&mut self, leaf: u32, active: bool) {
        let mut at = Some(leaf);
        while let Some(node) = at.map(|at| &mut self.nodes[at as usize]) {
            node.active = if active { node.active + 1 } else { node.active.saturating_sub(1) };
            at = node.parent;
        }
    }

    /// What became of a control that was sent for a leaf at `sent_at`; gives the leaves whose pace has changed.
    pub(super) fn outcome(
        &mut self,
        leaf: u32,
        sent_at: Duration,
        answered: bool,
        now: Duration,
    ) -> Option<Range<u32>> {
        let mut at = Some(leaf);
        while let Some(node) = at.map(|at| &mut self.nodes[at as usize]) {
            if sent_at >= node.epoch.since {
                if answered {
                    node.epoch.answered += 1;
                } else {
                    node.epoch.lost += 1;
                }
            }
            at = node.parent;
        }
        // From the widest to the narrowest; while a wider one tries, those below wait.
        let mut path = [0; 16];
        let mut depth = 0;
        for (slot, node) in path.iter_mut().zip(self.path(leaf)) {
            *slot = node;
            depth += 1;
        }
        for node in path[..depth].iter().rev() {
            let change = self.judge(*node, now);
            if change.is_some() {
                return change;
            }
        }
        None
    }

    /// A control that was taken for lost has answered after all.
    pub(super) fn late(&mut self, leaf: u32, sent_at: Duration) {
        let mut at = Some(leaf);
        while let Some(node) = at.map(|at| &mut self.nodes[at as usize]) {
            if sent_at >= node.epoch.since && node.epoch.lost > 0 {
                node.epoch.lost -= 1;
                node.epoch.answered += 1;
            }
            at = node.parent;
        }
    }
}

impl Node {
    fn new(children: Range<u32>, leaves: Range<u32>, now: Duration) -> Self {
        Self {
            parent: None,
            children,
            leaves,
            rate: None,
            next_at: now,
            epoch: Epoch::at(now),
            capacity: Capacity::default(),
            loss: 0.0,
            is_known: false,
            free_rate: 0.0,
            active: 0,
        }
    }
}
