//! How fast each neighbourhood can be asked: paces found by trial.

use std::ops::Range;
use std::time::Duration;

use super::settings::bounds;

/// The neighbourhoods, as leaves, and the wider ones around them: each may have a pace of its own.
///
/// Loss that follows the rate is congestion: a limit somewhere on the way. Where controls are lost, the pace that got through
/// is tried: if the loss then goes, the pace stays (and is raised a little as long as nothing is lost); if it stays, it
/// has nothing to do with the rate, and the pace goes back to what it was. The trial is made by the widest neighbourhood whose
/// parts all lose, since a limit may be for one prefix or for everything.
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
    trial: Option<Trial>,
    /// The trial that led to this pace, with the loss that was left.
    helped: Option<(Trial, f64)>,
    /// The loss that stays at a slower pace, as a trial has shown, and the outcomes after which that is no longer believed.
    settled: f64,
    settled_for: u32,
    /// A rate at which packets were lost: what carries is searched below it.
    too_fast: f64,
    /// Leaves below that still have something to ask.
    active: u32,
}

/// What was seen since the rate last changed.
#[derive(Clone, Copy, Debug, Default)]
struct Epoch {
    since: Duration,
    last_sent: Duration,
    sent: u32,
    answered: u32,
    lost: u32,
    /// Answers of any source.
    heard: u32,
}

impl Epoch {
    fn at(since: Duration) -> Self {
        Self { since, last_sent: since, ..Self::default() }
    }

    fn asked(&self) -> u32 {
        self.answered + self.lost
    }

    fn loss(&self) -> f64 {
        f64::from(self.lost) / f64::from(self.asked().max(1))
    }
}

/// A slower pace on trial.
#[derive(Clone, Copy, Debug)]
struct Trial {
    /// The limit before.
    before: Option<f64>,
    /// The rate before, as measured.
    rate: f64,
    /// The loss before.
    loss: f64,
    /// The loss to be expected now if it comes from the rate.
    hoped: f64,
    /// Steps taken so far.
    steps: u8,
    /// Whether the pace is so much slower that what was counted before is no longer comparable.
    large: bool,
}

/// The pace of these leaves has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub leaves: Range<u32>,
    /// What was learned of them before is of another rate, and is to be forgotten.
    pub forget: bool,
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
            // After a rest the rate is measured anew.
            let rest =
                node.rate.map_or(bounds::REST, |rate| bounds::REST.max(Duration::from_secs_f64(4.0 / rate)));
            if node.trial.is_none() && now > node.epoch.last_sent + rest {
                node.epoch = Epoch::at(now);
            }
            node.epoch.sent += 1;
            node.epoch.last_sent = now;
            at = node.parent;
        }
    }

    /// Whether a leaf is limited, by itself or from above.
    pub(super) fn is_limited(&self, leaf: u32) -> bool {
        self.path(leaf).any(|at| self.nodes[at as usize].rate.is_some())
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

    /// A leaf has something to ask, or no longer.
    pub(super) fn set_active(&mut self, leaf: u32, active: bool) {
        let mut at = Some(leaf);
        while let Some(node) = at.map(|at| &mut self.nodes[at as usize]) {
            node.active = if active { node.active + 1 } else { node.active.saturating_sub(1) };
            at = node.parent;
        }
    }

    /// A source of a leaf has answered, control or not.
    pub(super) fn heard(&mut self, leaf: u32) {
        let mut at = Some(leaf);
        while let Some(node) = at.map(|at| &mut self.nodes[at as usize]) {
            node.epoch.heard += 1;
            at = node.parent;
        }
    }

    /// What became of a control that was sent for a leaf at `sent_at`.
    pub(super) fn outcome(
        &mut self,
        leaf: u32,
        sent_at: Duration,
        answered: bool,
        now: Duration,
    ) -> Option<Change> {
        let mut at = Some(leaf);
        while let Some(node) = at.map(|at| &mut self.nodes[at as usize]) {
            if sent_at >= node.epoch.since {
                node.settled_for = node.settled_for.saturating_sub(1);
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
            let trying = self.nodes[*node as usize].trial.is_some();
            let change = self.judge(*node, now);
            if change.is_some() || trying {
                return change;
            }
        }
        None
    }

    fn judge(&mut self, at: u32, now: Duration) -> Option<Change> {
        let node = &self.nodes[at as usize];
        let (epoch, rate) = (node.epoch, node.rate);
        let leaves = node.leaves.clone();
        // That nothing is lost is seen sooner than how much is.
        let sample = match rate {
            Some(rate) if epoch.lost == 0 && node.trial.is_none() && rate * 4.0 < node.too_fast => {
                bounds::PACE_SAMPLE / 3
            }
            Some(rate) if rate < bounds::PACE_SLOW => bounds::PACE_SAMPLE / 2,
            _ => bounds::PACE_SAMPLE,
        };
        if epoch.asked() < sample {
            return None;
        }
        if let Some(trial) = node.trial {
            return self.judge_trial(at, trial, now);
        }
        // If the loss is back though the pace is still that slow, it was luck that it had gone.
        if let Some((trial, left)) =
            node.helped.filter(|(trial, left)| epoch.loss() > f64::midpoint(*left, trial.loss))
        {
            self.set_rate(at, trial.before, now);
            let node = &mut self.nodes[at as usize];
            node.settled = f64::midpoint(epoch.loss(), trial.loss).max(left);
            node.settled_for = bounds::SETTLED_FOR;
            return Some(Change { leaves, forget: false });
        }
        let settled = if node.settled_for > 0 { node.settled } else { 0.0 };
        // What a wider limit explains is no matter of this place.
        let wider = std::iter::successors(node.parent, |at| self.nodes[*at as usize].parent)
            .map(|at| &self.nodes[at as usize])
            .filter(|node| node.rate.is_some() || node.settled_for > 0)
            .map(|node| if node.rate.is_some() { node.epoch.loss() } else { node.settled } + bounds::WIDER_MARGIN)
            .fold(0.0, f64::max);
        if epoch.loss() > (settled + bounds::SETTLED_MARGIN).max(wider).max(bounds::NOTABLE_LOSS) {
            if !self.is_shared(at) {
                return None;
            }
            let seconds = epoch.last_sent.saturating_sub(epoch.since).as_secs_f64().max(1e-4);
            let measured = rate.unwrap_or(f64::INFINITY).min(f64::from(epoch.sent) / seconds);
            let trial = Trial {
                before: rate,
                rate: measured,
                loss: epoch.loss(),
                hoped: 0.0,
                steps: 0,
                large: false,
            };
            return self.slow_down(at, trial, now);
        }
        let seconds = epoch.last_sent.saturating_sub(epoch.since).as_secs_f64();
        let binds = |rate: f64| f64::from(epoch.sent) * 2.0 >= rate * seconds;
        if let Some(rate) = rate.filter(|rate| epoch.loss() <= bounds::RAISE_BELOW + settled && binds(*rate))
        {
            let node = &mut self.nodes[at as usize];
            node.helped = None;
            // Fast at first, as TCP begins; near the rate that was too fast in small steps, and then beyond it.
            let raised = if rate * bounds::RAISE >= node.too_fast {
                node.too_fast *= 2.0;
                rate * bounds::RAISE
            } else {
                (rate * 2.0).min((rate * node.too_fast).sqrt().max(rate * bounds::RAISE))
            };
            node.rate = Some(raised);
            node.next_at = node.next_at.min(now + Duration::from_secs_f64(1.0 / raised));
            node.epoch = Epoch::at(now);
            return Some(Change { leaves, forget: false });
        }
        if epoch.asked() >= bounds::PACE_SAMPLE * 16 {
            // Old losses say little about now.
            self.nodes[at as usize].epoch = Epoch::at(now);
        }
        None
    }

    /// Tries a slower pace: what came through, but not too large a step at a time.
    fn slow_down(&mut self, at: u32, trial: Trial, now: Duration) -> Option<Change> {
        let node = &self.nodes[at as usize];
        let loss = node.epoch.loss();
        let current = node.rate.unwrap_or(f64::INFINITY).min(trial.rate);
        let factor = ((1.0 - loss) * bounds::SAFE_SHARE).max(bounds::SLOWEST_STEP);
        // What has come back carries, and a little more: a few controls lost by chance do not make the pace slower than that.
        let seconds = now.saturating_sub(node.epoch.since).as_secs_f64().max(1e-3);
        let carries =
            if node.epoch.heard >= bounds::HEARD { f64::from(node.epoch.heard) / seconds } else { 0.0 };
        let slower = (current * factor).max(carries).max(bounds::SLOWEST_PACE);
        if slower >= current {
            return None;
        }
        let hoped = (1.0 - (1.0 - loss) * current / slower).max(0.0);
        let leaves = node.leaves.clone();
        self.set_rate(at, Some(slower), now);
        let large = trial.large || factor < bounds::LARGE_STEP;
        self.nodes[at as usize].trial = Some(Trial { hoped, large, steps: trial.steps + 1, ..trial });
        Some(Change { leaves, forget: false })
    }

    fn judge_trial(&mut self, at: u32, trial: Trial, now: Duration) -> Option<Change> {
        let node = &self.nodes[at as usize];
        let (loss, leaves) = (node.epoch.loss(), node.leaves.clone());
        let nothing = trial.loss > bounds::NOTHING_THROUGH;
        let helped = if nothing {
            loss < bounds::SOMETHING_THROUGH
        } else {
            loss <= f64::midpoint(trial.loss, trial.hoped)
        };
        if helped {
            let node = &mut self.nodes[at as usize];
            node.trial = None;
            node.too_fast = trial.rate;
            node.helped = Some((trial, loss));
            (node.settled, node.settled_for) = (loss, bounds::SETTLED_FOR);
            self.begin(at, now);
            return Some(Change { leaves, forget: trial.large });
        }
        // Where nothing came through, one step may not be enough to see anything.
        if nothing && trial.steps < bounds::MOST_STEPS {
            let change = self.slow_down(at, trial, now);
            if change.is_some() {
                return change;
            }
        }
        self.set_rate(at, trial.before, now);
        let node = &mut self.nodes[at as usize];
        (node.settled, node.settled_for) = (f64::midpoint(loss, trial.loss), bounds::SETTLED_FOR);
        Some(Change { leaves, forget: false })
    }

    /// The network was gone: that was no matter of pace, and trials under way say nothing.
    pub(super) fn cancel_trials(&mut self, now: Duration) {
        for at in 0..self.nodes.len() as u32 {
            if let Some(trial) = self.nodes[at as usize].trial {
                self.set_rate(at, trial.before, now);
            }
        }
        if let Some(all) = self.nodes.len().checked_sub(1) {
            self.begin(all as u32, now);
        }
    }

    /// Whether the parts of a node all lose, as they do when it is the node that is limited. `false` also as long as too few of
    /// them have been asked.
    fn is_shared(&self, at: u32) -> bool {
        let node = &self.nodes[at as usize];
        let parts = &self.nodes[node.children.start as usize..node.children.end as usize];
        match parts {
            [] => return true,
            [_] => return self.is_shared(node.children.start),
            _ => {}
        }
        let busy = parts.iter().filter(|part| part.active > 0).count();
        let asked: Vec<f64> = parts.iter().filter(|p| p.epoch.asked() >= 4).map(|p| p.epoch.loss()).collect();
        if asked.len() < busy.clamp(1, 4) && node.epoch.asked() < bounds::PACE_SAMPLE * 16 {
            return false;
        }
        if asked.is_empty() {
            // Many parts with a control or two each: what they have in common is the node.
            return true;
        }
        let half = node.epoch.loss() / 2.0;
        let losing = asked.iter().filter(|loss| **loss >= half).count();
        losing * 10 >= asked.len() * 7
    }

    /// A new rate for a node: what was seen before was at another one.
    fn set_rate(&mut self, at: u32, rate: Option<f64>, now: Duration) {
        let node = &mut self.nodes[at as usize];
        node.rate = rate;
        node.helped = None;
        node.next_at = now;
        self.begin(at, now);
    }

    /// A new epoch for a node and all below it.
    fn begin(&mut self, at: u32, now: Duration) {
        let leaves = self.nodes[at as usize].leaves.clone();
        for node in &mut self.nodes[..=at as usize] {
            if node.leaves.start >= leaves.start && node.leaves.end <= leaves.end {
                node.epoch = Epoch::at(now);
                node.next_at = node.next_at.min(now);
                node.trial = None;
            }
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
            trial: None,
            helped: None,
            settled: 0.0,
            settled_for: 0,
            too_fast: f64::INFINITY,
            active: 0,
        }
    }
}
