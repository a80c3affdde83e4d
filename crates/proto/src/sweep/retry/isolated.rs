//! Isolated probes: a last check of neighbourhoods in which nothing at all has answered.
//!
//! Who vouches for them is further away and may not share their path: a limit so low that it passes nothing but what comes
//! alone looks as if all behind it were dead. So, while late answers are waited for anyway, some of their sources are probed
//! when nothing else is under way. If one answers, the neighbourhood works and is begun anew.

use std::ops::Range;
use std::time::Duration;

use super::super::settings::bounds;
use super::super::states::States;
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
        if self.fixed_passes || self.expired {
            return;
        }
        let mut blocks = Vec::new();
        for place in &self.places {
            let first = self.cases[place.cases.start as usize].index;
            let range = self.around(first, bounds::NEIGHBOURHOOD_BITS);
            self.silent_blocks(range, bounds::NEIGHBOURHOOD_BITS, view.states, &mut blocks);
        }
        let times = self.isolated_times();
        for block in blocks {
            let cases = self.cases.partition_point(|case| case.index < block.start)
                ..self.cases.partition_point(|case| case.index < block.end);
            for after in &times {
                let case = cases.start as u32 + self.rng.below(cases.len() as u32);
                self.isolated.push((view.now + after.mul_f64(0.95 + 0.1 * self.rng.unit()), case));
            }
        }
        self.isolated.sort_unstable_by_key(|(at, _)| std::cmp::Reverse(*at));
    }

    fn isolated_times(&self) -> Vec<Duration> {
        if self.losses.is_lossless() {
            return bounds::ISOLATED_PROBES.to_vec();
        }
        let loss = self.losses.overall().clamp(0.05, 0.99);
        let wanted = (bounds::ISOLATED_MISSED.ln() / loss.ln()).ceil() as u32;
        (1..=wanted.clamp(2, bounds::MAX_ISOLATED_PROBES)).map(|n| bounds::ISOLATED_EVERY * n).collect()
    }

    /// The next step of the cool-down.
    pub(in super::super) fn poll_cooldown(&mut self, view: &View<'_>, out: &mut Vec<RetryProbe>) -> Cooldown {
        self.check_overdue(view, out);
        while let Some((at, case)) = self.isolated.last().copied() {
            if at > view.now {
                break;
            }
            self.isolated.pop();
            let known = self.cases[case as usize];
            if !super::is_open(&known, view.states) {
                continue;
            }
            // At the server that has answered most: one that is dead says nothing.
            let best =
                (0..self.servers).max_by_key(|server| self.server_outcomes[*server as usize][1]).unwrap_or(0);
            while self.flow % self.servers != best || !self.is_fresh_flow(case) {
                self.next_flow(view);
            }
            let place = self.place_of(case);
            self.send(
                place,
                RetryProbe { index: known.index, flow: self.flow, control: false },
                view.now,
                out,
            );
            self.cases[case as usize].resolved += 1;
            // It is answered soon or not at all: the long wait is for the probes before.
            self.cases[case as usize].probed_at = known.probed_at;
            self.cooldown_until = self.cooldown_until.max(view.now + view.rto * 2);
        }
        if !out.is_empty() {
            return Cooldown::Send;
        }
        match self.isolated.last() {
            Some((at, _)) => Cooldown::Wait(*at),
            None if view.drained_until < self.cooldown_until => Cooldown::Wait(self.cooldown_until),
            None => Cooldown::Over,
        }
    }

    /// The largest blocks within `range` in which nothing has answered.
    fn silent_blocks(&self, range: Range<u32>, bits: u32, states: &States, blocks: &mut Vec<Range<u32>>) {
        let open = range.end - range.start - states.judged_within(range.clone());
        if range.is_empty() || open < bounds::ISOLATED_BLOCK {
            return;
        }
        if open == range.end - range.start {
            blocks.push(range);
        } else if bits > 4 {
            // Where the block that is swept ends within a neighbourhood, there is one half only.
            let (low, high) = (self.around(range.start, bits - 1), self.around(range.end - 1, bits - 1));
            self.silent_blocks(low.clone(), bits - 1, states, blocks);
            if high != low {
                self.silent_blocks(high, bits - 1, states, blocks);
            }
        }
    }
}
