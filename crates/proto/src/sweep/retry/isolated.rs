//! Isolated probes: a last check of runs of addresses of which none has answered.
//!
//! Who vouches for them is outside of the run and may not share their path: a limit so low that it passes nothing but what comes
//! alone looks as if all behind it were dead. So, while late answers are waited for anyway, some of their sources are probed
//! when nothing else is under way. If one answers, the run works and is begun anew.

use std::ops::Range;
use std::time::Duration;

use super::super::settings::bounds;
use super::super::states::{State, States};
use super::{Retry, RetryProbe, View};

/// What to do while late answers are waited for.
pub(in super::super) enum Cooldown {
    /// Send the probes that were appended.
    Send,
    /// Nothing, until then.
    Wait(Duration),
    /// All answers that may come have had their time.
    Over,
}

impl Retry {
    /// Every probe has been sent: now late answers are waited for.
    pub(in super::super) fn begin_cooldown(&mut self, view: &View<'_>) {
        self.cooldown_until = self.answers_until(view);
        self.isolated.clear();
        self.repeats.clear();
        if self.fixed_passes || self.expired {
            return;
        }
        let blocks = self.silent_runs(view.states);
        let groups = if blocks.is_empty() { Vec::new() } else { self.isolated_times(&blocks, view.states) };
        let draw = self.rng.unit();
        for (n, group) in groups.iter().enumerate() {
            let flow = self.new_flow_to_best(view);
            for block in &blocks {
                let from = self.cases.partition_point(|case| case.index < block.start) as u32;
                let len = self.cases.partition_point(|case| case.index < block.end) as u32 - from;
                // Each time another source: the last one may be dead.
                let place = (draw + n as f64 / groups.len() as f64).fract();
                let case = from + ((place * f64::from(len)) as u32).min(len - 1);
                for after in group {
                    let at = view.now + after.mul_f64(0.95 + 0.1 * self.rng.unit());
                    self.isolated.push((at, case, flow));
                }
            }
        }
        self.isolated.sort_unstable_by_key(|(at, ..)| std::cmp::Reverse(*at));
        self.plan_repeats(&blocks, view);
    }

    /// Each silent source is probed twice more, a while apart and from the same port: devices that drop the first packet of each flow,
    /// and limits for each source, let the second pass. Only where the pace is free: elsewhere probes are far apart anyway; and not
    /// in `blocks`, where a few are probed when nothing else is under way.
    fn plan_repeats(&mut self, blocks: &[Range<u32>], view: &View<'_>) {
        let again = view.now + bounds::REPEAT_AFTER.min(view.max_wait / 2);
        let mut cases = Vec::new();
        for at in 0..self.places.len() as u32 {
            if self.paces.is_limited(at) {
                continue;
            }
            for case in self.places[at as usize].cases.clone() {
                let known = &mut self.cases[case as usize];
                let next = blocks.partition_point(|block| block.end <= known.index);
                if blocks.get(next).is_some_and(|block| block.contains(&known.index)) {
                    continue;
                }
                if super::is_open(known, view.states) && !std::mem::replace(&mut known.repeated, true) {
                    cases.push(case);
                }
            }
        }
        if cases.is_empty() {
            return;
        }
        self.repeat_flow = self.new_flow_to_best(view);
        self.repeats.extend(cases.iter().map(|case| (view.now, *case)));
        self.repeats.extend(cases.iter().map(|case| (again, *case)));
    }

    /// A new flow to the server that has answered most: one that is dead says nothing.
    fn new_flow_to_best(&mut self, view: &View<'_>) -> u32 {
        let best =
            (0..self.servers).max_by_key(|server| self.server_outcomes[*server as usize][1]).unwrap_or(0);
        loop {
            self.next_flow(view);
            if self.flow % self.servers == best {
                return self.flow;
            }
        }
    }

    /// When isolated probes are sent, by the sources that get them. The first source gets two by the same flow, since some devices
    /// drop the first packet of each, and with losses more of them do.
    fn isolated_times(&self, blocks: &[Range<u32>], states: &States) -> Vec<Vec<Duration>> {
        let pairs = if self.losses.is_lossless() {
            1
        } else {
            let loss = self.losses.overall().clamp(0.05, 0.99);
            let wanted = (bounds::ISOLATED_MISSED.ln() / loss.ln()).ceil() as u32;
            wanted.div_ceil(2).clamp(1, bounds::MAX_ISOLATED_PAIRS)
        };
        let sources = self.isolated_sources(blocks, states).max(pairs);
        let group = |n: u32| if n < pairs { 2 * n..2 * n + 2 } else { pairs + n..pairs + n + 1 };
        let at = |probe: u32| match probe {
            0 | 1 => bounds::ISOLATED_EVERY.mul_f64(f64::from(probe) + 0.9),
            _ => bounds::ISOLATED_EVERY.mul_f64(1.9) + bounds::ISOLATED_LATER * (probe - 1),
        };
        (0..sources).map(|n| group(n).map(at).collect()).collect()
    }

    /// So many sources of a block that works are all dead with a chance below [`bounds::ISOLATED_ALL_DEAD`], if as many in it
    /// are dead as outside.
    fn isolated_sources(&self, blocks: &[Range<u32>], states: &States) -> u32 {
        let silent = states.count(State::Open);
        let in_blocks: u32 = blocks.iter().map(|block| block.end - block.start).sum();
        let outside = f64::from(self.len.saturating_sub(in_blocks));
        let dead = (f64::from(silent.saturating_sub(in_blocks)) + 1.0) / (outside + 2.0);
        let sources = (bounds::ISOLATED_ALL_DEAD.ln() / dead.ln()).ceil() as u32;
        sources.clamp(1, bounds::MAX_ISOLATED_SOURCES)
    }

    /// The next step of the cool-down; at most `allowed` repeats are sent.
    pub(in super::super) fn poll_cooldown(
        &mut self,
        view: &View<'_>,
        allowed: usize,
        out: &mut Vec<RetryProbe>,
    ) -> Cooldown {
        self.check_overdue(view, out);
        self.resends.poll(view.now, out);
        while let Some((at, case, flow)) = self.isolated.last().copied() {
            if at > view.now {
                break;
            }
            self.isolated.pop();
            if super::is_open(&self.cases[case as usize], view.states) {
                self.send_alone(case, flow, view, out);
            }
        }
        while out.len() < allowed
            && let Some((at, case)) = self.repeats.front().copied()
            && at <= view.now
        {
            self.repeats.pop_front();
            if super::is_open(&self.cases[case as usize], view.states) {
                self.send_alone(case, self.repeat_flow, view, out);
            }
        }
        if !out.is_empty() {
            return Cooldown::Send;
        }
        let next = [
            self.isolated.last().map(|(at, ..)| *at),
            self.repeats.front().map(|(at, _)| *at),
            self.resends.next_at(),
        ];
        match next.into_iter().flatten().min() {
            Some(at) => Cooldown::Wait(at),
            None if view.drained_until < self.cooldown_until => Cooldown::Wait(self.cooldown_until),
            None => Cooldown::Over,
        }
    }

    /// A probe without a control: only an answer says something.
    fn send_alone(&mut self, case: u32, flow: u32, view: &View<'_>, out: &mut Vec<RetryProbe>) {
        let known = self.cases[case as usize];
        let place = self.place_of(case);
        self.send(place, RetryProbe { index: known.index, flow, control: false }, view.now, out);
        self.cases[case as usize].resolve();
        // It is answered soon or not at all: the long wait is for the probes before.
        self.cases[case as usize].probed_at = known.probed_at;
        let slow = self.places[place as usize].slow;
        self.cooldown_until = self.cooldown_until.max(view.now + (view.rto * 2).max(slow));
    }

    /// The runs of silent sources beside each other, within a neighbourhood.
    fn silent_runs(&self, states: &States) -> Vec<Range<u32>> {
        let mut runs: Vec<Range<u32>> = Vec::new();
        for place in &self.places {
            let begun = runs.len();
            for case in &self.cases[place.cases.start as usize..place.cases.end as usize] {
                if !super::is_open(case, states) || case.has_answered {
                    continue;
                }
                match runs[begun..].last_mut() {
                    Some(run) if run.end == case.index => run.end += 1,
                    _ => runs.push(case.index..case.index + 1),
                }
            }
        }
        let least =
            if self.losses.is_lossless() { bounds::ISOLATED_RUN_LOSSLESS } else { bounds::ISOLATED_RUN };
        runs.retain(|run| run.end - run.start >= least);
        runs
    }
}
