//! When a pace is changed: trials of a slower one, of a faster one, and raises.

use std::ops::Range;
use std::time::Duration;

use super::super::settings::bounds;
use super::{Epoch, Node, Paces, Trial};

impl Paces {
    /// Looks whether what was seen since the pace of a node last changed is reason to change it; gives the leaves concerned.
    pub(super) fn judge(&mut self, at: u32, now: Duration) -> Option<Range<u32>> {
        let node = &self.nodes[at as usize];
        let epoch = node.epoch;
        if epoch.outcomes() < node.sample(now) {
            return None;
        }
        // Losses come in bursts: a few outcomes of one moment say little of a pace.
        let short = now < epoch.since + bounds::PACE_TIME && epoch.loss() > bounds::RAISE_BELOW;
        if let Some(trial) = node.trial {
            return if short { None } else { self.judge_trial(at, trial, now) };
        }
        if let Some((before, loss)) = node.speedup {
            return Some(self.judge_faster(at, before, loss, now));
        }
        if !short && let Some(change) = self.recheck_accepted(at, now) {
            return Some(change);
        }
        let baseline = self.nodes[at as usize].baseline();
        if epoch.loss()
            > (baseline + bounds::BASELINE_MARGIN).max(self.wider_loss(at)).max(bounds::NOTABLE_LOSS)
        {
            if short || !self.is_shared(at) {
                return None;
            }
            let change = self.try_slower(at, now);
            if change.is_some() {
                return change;
            }
        }
        let change = self.raise(at, now).or_else(|| self.try_faster(at, now));
        if change.is_none() && epoch.outcomes() >= bounds::PACE_SAMPLE * 32 {
            // Old losses say little about now.
            self.nodes[at as usize].epoch = Epoch::at(now);
        }
        change
    }

    /// If the loss is back though the pace is still that slow, it had gone by chance.
    fn recheck_accepted(&mut self, at: u32, now: Duration) -> Option<Range<u32>> {
        let node = &mut self.nodes[at as usize];
        let loss = node.epoch.loss();
        let (trial, left) = node.accepted.filter(|(trial, left)| loss > f64::midpoint(*left, trial.loss))?;
        let leaves = node.leaves.clone();
        node.carried_rate = 0.0;
        if loss > bounds::TELLING_LOSS {
            // So little comes through that it may as well still be too fast.
            (node.accepted, node.baseline_kept) = (None, 0);
            return None;
        }
        self.set_rate(at, trial.before, now);
        let node = &mut self.nodes[at as usize];
        node.baseline_loss = f64::midpoint(loss, trial.loss).max(left);
        node.baseline_kept = bounds::BASELINE_KEPT;
        Some(leaves)
    }

    /// What a wider limit explains is no matter of this place.
    fn wider_loss(&self, at: u32) -> f64 {
        std::iter::successors(self.nodes[at as usize].parent, |at| self.nodes[*at as usize].parent)
            .map(|at| &self.nodes[at as usize])
            .filter(|node| node.rate.is_some() || node.baseline_kept > 0)
            .map(|node| if node.rate.is_some() { node.epoch.loss() } else { node.baseline_loss } + bounds::WIDER_MARGIN)
            .fold(0.0, f64::max)
    }

    fn try_slower(&mut self, at: u32, now: Duration) -> Option<Range<u32>> {
        let node = &self.nodes[at as usize];
        let (epoch, rate) = (node.epoch, node.rate);
        let seconds = epoch.seconds().max(1e-4);
        let measured = rate.unwrap_or(f64::INFINITY).min(f64::from(epoch.sent) / seconds);
        let trial = Trial { before: rate, rate: measured, loss: epoch.loss(), expected_loss: 0.0, steps: 0 };
        self.slow_down(at, trial, now)
    }

    /// As long as nothing is lost, a pace is raised: fast at first, as TCP begins; near the rate that was too fast in small steps,
    /// and later beyond it.
    fn raise(&mut self, at: u32, now: Duration) -> Option<Range<u32>> {
        let sample = self.nodes[at as usize].sample(now);
        let node = &mut self.nodes[at as usize];
        let tolerable = bounds::RAISE_BELOW + node.baseline().min(0.5);
        let rate = node.rate.filter(|_| node.epoch.loss() <= tolerable && node.binds())?;
        node.accepted = None;
        node.carried_rate = rate;
        let near = rate * bounds::RAISE >= node.lossy_rate;
        if near && node.epoch.outcomes() < sample << node.overshoots.min(5) {
            return None;
        }
        let raised = if near {
            node.lossy_rate *= 4.0;
            rate * bounds::RAISE
        } else {
            let step = if rate * 64.0 < node.lossy_rate { 4.0 } else { 2.0 };
            (rate * step).min((rate * node.lossy_rate).sqrt().max(rate * bounds::RAISE))
        };
        Some(node.speed_up(raised, now))
    }

    /// What is lost at this pace may have nothing to do with it: then faster is no worse.
    fn try_faster(&mut self, at: u32, now: Duration) -> Option<Range<u32>> {
        let sample = self.nodes[at as usize].sample(now);
        let node = &mut self.nodes[at as usize];
        let loss = node.epoch.loss();
        let due = loss < bounds::TELLING_LOSS
            && node.epoch.outcomes() >= (sample * 2) << node.failed_speedups.min(5);
        let rate = node.rate.filter(|_| due && node.binds())?;
        node.speedup = Some((rate, loss));
        let step = if rate < bounds::PACE_SLOWEST { 4.0 } else { 2.0 };
        Some(node.speed_up(rate * step, now))
    }

    /// Whether twice the pace loses more, as it does at a limit.
    fn judge_faster(&mut self, at: u32, before: f64, loss: f64, now: Duration) -> Range<u32> {
        let node = &mut self.nodes[at as usize];
        let leaves = node.leaves.clone();
        node.speedup = None;
        if node.epoch.loss() > loss + bounds::FASTER_LOSES {
            node.failed_speedups += 1;
            self.set_rate(at, Some(before), now);
        } else {
            (node.failed_speedups, node.overshoots, node.accepted) = (0, 0, None);
            (node.baseline_loss, node.baseline_kept) = (node.epoch.loss().max(loss), bounds::BASELINE_KEPT);
            node.lossy_rate = node.lossy_rate.max(before * 4.0);
            node.epoch = Epoch::at(now);
        }
        leaves
    }

    /// Tries a slower pace: what came through, but not too large a step at a time.
    fn slow_down(&mut self, at: u32, trial: Trial, now: Duration) -> Option<Range<u32>> {
        let node = &self.nodes[at as usize];
        let loss = node.epoch.loss();
        let current = node.rate.unwrap_or(f64::INFINITY).min(trial.rate);
        let factor = ((1.0 - loss) * bounds::SAFE_SHARE).max(bounds::SLOWEST_STEP);
        // What has come back carries, and a little more: a few controls lost by chance do not make the pace slower than that.
        let seconds = now.saturating_sub(node.epoch.since).as_secs_f64().max(1e-3);
        let carries = if node.epoch.replies >= bounds::MIN_REPLIES {
            f64::from(node.epoch.replies) / seconds
        } else {
            0.0
        };
        let known = if trial.steps == 0 && node.carried_rate < current {
            node.carried_rate * bounds::SAFE_STEP
        } else {
            0.0
        };
        let slower = (current * factor).max(carries).max(known).max(bounds::SLOWEST_PACE);
        if slower >= current {
            return None;
        }
        let expected_loss = (1.0 - (1.0 - loss) * current / slower).max(0.0);
        let leaves = node.leaves.clone();
        self.set_rate(at, Some(slower), now);
        self.nodes[at as usize].trial = Some(Trial { expected_loss, steps: trial.steps + 1, ..trial });
        Some(leaves)
    }

    fn judge_trial(&mut self, at: u32, trial: Trial, now: Duration) -> Option<Range<u32>> {
        let node = &self.nodes[at as usize];
        let (loss, leaves) = (node.epoch.loss(), node.leaves.clone());
        let nothing = trial.loss > bounds::NOTHING_THROUGH;
        let helped = if nothing {
            loss < bounds::SOMETHING_THROUGH
        } else {
            loss <= f64::midpoint(trial.loss, trial.expected_loss)
        };
        if helped {
            let node = &mut self.nodes[at as usize];
            node.trial = None;
            node.overshoots = if trial.before.is_some() { node.overshoots + 1 } else { 0 };
            node.lossy_rate = trial.rate;
            node.accepted = Some((trial, loss));
            (node.baseline_loss, node.baseline_kept) = (loss, bounds::BASELINE_KEPT);
            self.begin(at, now);
            return Some(leaves);
        }
        // Where nothing came through, one step may not be enough to see anything.
        if nothing && trial.steps < bounds::MAX_STEPS {
            let change = self.slow_down(at, trial, now);
            if change.is_some() {
                return change;
            }
        }
        self.set_rate(at, trial.before, now);
        let node = &mut self.nodes[at as usize];
        node.carried_rate = 0.0;
        // Where next to nothing comes through, there is little to believe.
        node.baseline_loss = f64::midpoint(loss, trial.loss);
        node.baseline_kept = if node.baseline_loss < bounds::SOMETHING_THROUGH {
            bounds::BASELINE_KEPT
        } else {
            bounds::PACE_SAMPLE
        };
        Some(leaves)
    }

    /// The network was gone: that was no matter of pace, and trials under way say nothing.
    pub(in super::super) fn cancel_trials(&mut self, now: Duration) {
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
        node.accepted = None;
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
                if let Some((before, _)) = node.speedup.take() {
                    node.rate = Some(before);
                }
            }
        }
    }
}

impl Node {
    /// Outcomes from which the pace is judged. That nothing is lost is seen sooner than how much is.
    fn sample(&self, now: Duration) -> u32 {
        let clean = self.epoch.lost == 0 && self.trial.is_none();
        let lasts = now >= self.epoch.since + bounds::CLEAN_TIME;
        let nothing_before = self.trial.is_some_and(|trial| trial.loss > bounds::NOTHING_THROUGH);
        match self.rate {
            Some(rate)
                if clean
                    && lasts
                    && self.baseline_loss < bounds::NOTABLE_LOSS
                    && rate * 4.0 < self.lossy_rate =>
            {
                bounds::PACE_SAMPLE_CLEAN
            }
            _ if nothing_before && lasts && self.epoch.answered >= bounds::PACE_SAMPLE_CLEAN => 1,
            Some(rate) if rate < bounds::PACE_SLOWEST && clean => bounds::PACE_SAMPLE / 4,
            Some(rate) if rate < bounds::PACE_SLOW => bounds::PACE_SAMPLE / 2,
            _ => bounds::PACE_SAMPLE,
        }
    }

    /// The loss that is believed to have nothing to do with the pace.
    fn baseline(&self) -> f64 {
        if self.baseline_kept > 0 { self.baseline_loss } else { 0.0 }
    }

    /// Whether the pace is what limits the rate.
    fn binds(&self) -> bool {
        self.rate.is_some_and(|rate| f64::from(self.epoch.sent) * 2.0 >= rate * self.epoch.seconds())
    }

    fn speed_up(&mut self, rate: f64, now: Duration) -> Range<u32> {
        self.rate = Some(rate);
        self.next_at = self.next_at.min(now + Duration::from_secs_f64(1.0 / rate));
        self.epoch = Epoch::at(now);
        self.leaves.clone()
    }
}
