//! When a pace is changed.

use std::ops::Range;
use std::time::Duration;

use super::super::settings::bounds;
use super::{Epoch, Node, Paces};

impl Paces {
    /// Looks whether what was seen since the pace of a node last changed is reason to change it; gives the leaves concerned.
    pub(super) fn judge(&mut self, at: u32, now: Duration) -> Option<Range<u32>> {
        let node = &self.nodes[at as usize];
        let epoch = node.epoch;
        if epoch.outcomes() < node.sample(now) {
            return None;
        }
        let is_lossy = epoch.loss() > self.wider_loss(at).max(bounds::NOTABLE_LOSS);
        let node = &self.nodes[at as usize];
        // Losses come in bursts: a few outcomes of one moment say little of a pace.
        if now < epoch.since + bounds::PACE_TIME && epoch.loss() > bounds::RAISE_BELOW {
            return None;
        }
        if node.rate.is_none() && (!is_lossy || !self.is_shared(at)) {
            let node = &mut self.nodes[at as usize];
            node.loss = 0.0;
            if epoch.outcomes() >= bounds::PACE_SAMPLE * 4 {
                // Old losses say little about now.
                node.epoch = Epoch::at(now);
            }
            return None;
        }
        let measured = f64::from(epoch.sent) / epoch.seconds().max(1e-4);
        let node = &mut self.nodes[at as usize];
        let seen = if node.binds() { node.rate.unwrap_or(measured) } else { measured };
        if node.rate.is_none() {
            node.free_rate = measured;
        }
        node.loss = epoch.loss();
        node.capacity.record(seen, epoch.answered, epoch.lost, now);
        let best = node.capacity.best_rate(node.free_rate, seen * bounds::FASTEST_STEP);
        node.is_known = node.is_known || node.capacity.limited(node.free_rate) > bounds::LIMIT_KNOWN;
        let leaves = node.leaves.clone();
        if best == node.rate || best.is_some_and(|best| best > seen) && !node.binds() {
            node.epoch = Epoch::at(now);
            return None;
        }
        self.set_rate(at, best, now);
        Some(leaves)
    }

    /// What a wider limit explains is no matter of this place.
    fn wider_loss(&self, at: u32) -> f64 {
        std::iter::successors(self.nodes[at as usize].parent, |at| self.nodes[*at as usize].parent)
            .map(|at| &self.nodes[at as usize])
            .filter(|node| node.loss > 0.0)
            .map(|node| node.loss + bounds::WIDER_MARGIN)
            .fold(0.0, f64::max)
    }

    /// The network was gone: that was no matter of pace, and what is under way says nothing.
    pub(in super::super) fn begin_all(&mut self, now: Duration) {
        if let Some(all) = self.nodes.len().checked_sub(1) {
            self.begin(all as u32, now);
        }
    }

    /// Whether the parts of a node all lose, as they do when it is the node that is limited. `false` also as long as too few of
    /// them have been probed.
    fn is_shared(&self, at: u32) -> bool {
        let node = &self.nodes[at as usize];
        let parts = &self.nodes[node.children.start as usize..node.children.end as usize];
        match parts {
            [] => return true,
            [_] => return self.is_shared(node.children.start),
            _ => {}
        }
        let busy = parts.iter().filter(|part| part.active > 0).count();
        let losses: Vec<f64> =
            parts.iter().filter(|p| p.epoch.outcomes() >= 4).map(|p| p.epoch.loss()).collect();
        if losses.len() < busy.clamp(1, 4) && node.epoch.outcomes() < bounds::PACE_SAMPLE * 16 {
            return false;
        }
        if losses.is_empty() {
            // Many parts with a control or two each: what they have in common is the node.
            return true;
        }
        let half = node.epoch.loss() / 2.0;
        let losing = losses.iter().filter(|loss| **loss >= half).count();
        losing * 10 >= losses.len() * 7
    }

    /// A new rate for a node: what was seen before was at another one.
    fn set_rate(&mut self, at: u32, rate: Option<f64>, now: Duration) {
        let node = &mut self.nodes[at as usize];
        node.rate = rate;
        node.is_known &= rate.is_some();
        node.next_at = rate.map_or(now, |rate| node.next_at.min(now + Duration::from_secs_f64(1.0 / rate)));
        self.begin(at, now);
    }

    /// A new epoch for a node and all below it.
    fn begin(&mut self, at: u32, now: Duration) {
        let leaves = self.nodes[at as usize].leaves.clone();
        for node in &mut self.nodes[..=at as usize] {
            if node.leaves.start >= leaves.start && node.leaves.end <= leaves.end {
                node.epoch = Epoch::at(now);
            }
        }
    }
}

impl Node {
    /// Outcomes from which the pace is judged. That nothing is lost is seen sooner than how much is.
    fn sample(&self, now: Duration) -> u32 {
        let clean = self.epoch.lost == 0;
        let lasts = now >= self.epoch.since + bounds::CLEAN_TIME;
        match self.rate {
            Some(_) if clean && lasts => bounds::PACE_SAMPLE_CLEAN,
            Some(rate) if rate < bounds::PACE_SLOW => bounds::PACE_SAMPLE_SLOW,
            _ if self.epoch.answered == 0 => bounds::PACE_SAMPLE_SLOW,
            _ => bounds::PACE_SAMPLE,
        }
    }

    /// Whether the pace is what limits the rate.
    fn binds(&self) -> bool {
        self.rate.is_some_and(|rate| f64::from(self.epoch.sent) * 2.0 >= rate * self.epoch.seconds())
    }
}
