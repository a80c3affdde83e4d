//! Lone asks: a last look at neighbourhoods in which nothing at all has answered.
//!
//! Who vouches for them is further away and may not share their path: a limit so low that it passes nothing but what comes
//! alone looks as if all behind it were dead. So, while late answers are waited for anyway, some of their sources are asked
//! when nothing else is under way. If one answers, the neighbourhood works and is begun anew.

use std::ops::Range;
use std::time::Duration;

use super::super::settings::bounds;
use super::super::states::States;
use super::{Ask, Retry, View};

/// What to do while late answers are waited for.
pub(in super::super) enum Cooling {
    /// Probes were appended.
    Ask,
    /// Nothing, until then.
    Wait(Duration),
    /// All answers that may come have had their time.
    Over,
}

impl Retry {
    /// All has been asked that was to be: now late answers are waited for.
    pub(in super::super) fn begin_cooldown(&mut self, view: &View<'_>) {
        self.cooled_at = self.answers_until(view);
        self.lone.clear();
        if self.by_hand || self.expired {
            return;
        }
        let mut blocks = Vec::new();
        for place in &self.places {
            let first = self.cases[place.cases.start as usize].index;
            let range = self.around(first, bounds::NEIGHBOURHOOD_BITS);
            self.silent_blocks(range, bounds::NEIGHBOURHOOD_BITS, view.states, &mut blocks);
        }
        let times = self.lone_times();
        for block in blocks {
            let cases = self.cases.partition_point(|case| case.index < block.start)
                ..self.cases.partition_point(|case| case.index < block.end);
            for after in &times {
                let case = cases.start as u32 + self.rng.below(cases.len() as u32);
                self.lone.push((view.now + after.mul_f64(0.95 + 0.1 * self.rng.unit()), case));
            }
        }
        self.lone.sort_unstable_by_key(|(at, _)| std::cmp::Reverse(*at));
    }

    fn lone_times(&self) -> Vec<Duration> {
        if self.losses.none_seen() {
            return bounds::LONE_ASKS.to_vec();
        }
        let loss = self.losses.overall().clamp(0.05, 0.99);
        let wanted = (bounds::LONE_MISSED.ln() / loss.ln()).ceil() as u32;
        (1..=wanted.clamp(2, bounds::MOST_LONE_ASKS)).map(|n| bounds::LONE_EVERY * n).collect()
    }

    /// The next step of the cool-down.
    pub(in super::super) fn cool_down(&mut self, view: &View<'_>, asks: &mut Vec<Ask>) -> Cooling {
        self.check_overdue(view, asks);
        while let Some((at, case)) = self.lone.last().copied() {
            if at > view.now {
                break;
            }
            self.lone.pop();
            let known = self.cases[case as usize];
            if !super::is_open(&known, view.states) {
                continue;
            }
            // At the server that has answered most: one that is dead says nothing.
            let best = (0..self.servers).max_by_key(|server| self.heard[*server as usize][1]).unwrap_or(0);
            while self.flow % self.servers != best || !self.is_fresh_flow(case) {
                self.next_flow(view);
            }
            let place = self.place_of(case);
            self.send(place, Ask { index: known.index, flow: self.flow, control: false }, view.now, asks);
            self.cases[case as usize].over += 1;
            // It is answered soon or not at all: the long wait is for the asks before.
            self.cases[case as usize].asked_at = known.asked_at;
            self.cooled_at = self.cooled_at.max(view.now + view.hold * 2);
        }
        if !asks.is_empty() {
            return Cooling::Ask;
        }
        match self.lone.last() {
            Some((at, _)) => Cooling::Wait(*at),
            None if view.seen < self.cooled_at => Cooling::Wait(self.cooled_at),
            None => Cooling::Over,
        }
    }

    /// The largest blocks within `range` in which nothing has answered.
    fn silent_blocks(&self, range: Range<u32>, bits: u32, states: &States, blocks: &mut Vec<Range<u32>>) {
        let open = range.end - range.start - states.judged_within(range.clone());
        if range.is_empty() || open < bounds::LONE_BLOCK {
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
