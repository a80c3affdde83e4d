//! When a silence is believed, and what it means when it cannot be.

use std::time::Duration;

use super::super::settings::bounds;
use super::super::states::States;
use super::super::verdict::{Reason, Status};
use super::case::Case;
use super::{Limit, Retry, View};
use crate::targets::Targets;

/// What is known of a case at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Finding {
    pub status: Status,
    pub reason: Reason,
    /// Probes since the first pass.
    pub probes: u8,
    /// Whether each of them was refused by the system.
    pub refused: bool,
}

impl Retry {
    /// Whether a case is to be probed again, if what is under way counts.
    pub(super) fn needs_probe(&self, at: u32, states: &States) -> bool {
        let case = &self.cases[at as usize];
        let pending = u8::try_from(case.probes.saturating_sub(case.resolved)).unwrap_or(u8::MAX);
        self.may_be_probed(case, states) && !self.is_settled(case, pending)
    }

    /// Whether it depends on what is under way if a case is to be probed again.
    pub(super) fn awaits_outcome(&self, at: u32, states: &States) -> bool {
        let case = &self.cases[at as usize];
        case.probes > case.resolved && self.may_be_probed(case, states) && !self.is_settled(case, 0)
    }

    fn may_be_probed(&self, case: &Case, states: &States) -> bool {
        let in_outage = if self.fixed_passes { 0 } else { case.in_outage };
        let most = u16::from(self.max_probes).saturating_add(in_outage);
        case.probes < most && super::is_open(case, states)
    }

    /// Whether a case was silent so often, although its controls were answered, that loss cannot explain it: if so many probes under
    /// way count too. The product of the chances of its silences must be below [`bounds::MAX_EXPECTED_FALSE`] divided by the
    /// number of cases.
    pub(super) fn is_settled(&self, case: &Case, pending: u8) -> bool {
        if case.has_answered {
            return case.probes >= u16::from(bounds::MIN_PROBES_ANSWERED) * self.servers.min(2) as u16;
        }
        // A source that works is behind a NAT or not: silence beside those that are, and beside those that are not.
        let own = (case.counted, case.evidence);
        // Where a path ends between its neighbours, only those on one side share it.
        let least = case.sides[0].min(case.sides[1]) + case.weight * f32::from(pending / 2);
        if case.is_between && f64::from(least) < -self.threshold * bounds::LEAST_OF_A_SIDE {
            return false;
        }
        let is_enough = |(counted, evidence)| self.is_enough(case, counted, evidence, pending);
        is_enough(own) && (!case.may_be_behind_nat || is_enough(case.behind_nat))
    }

    fn is_enough(&self, case: &Case, counted: u8, evidence: f32, pending: u8) -> bool {
        let least = if case.far { bounds::MIN_COUNTED_FAR } else { bounds::MIN_COUNTED };
        // What was refused each time is refused; who could be sent from must have been silent.
        let silences = if case.sent == 0 { counted } else { counted.saturating_sub(case.refused) };
        let seen = f64::from(evidence) * f64::from(silences) / f64::from(counted.max(1));
        let counted = silences.saturating_add(pending);
        let sum = seen + f64::from(case.weight) * f64::from(pending);
        #[cfg(test)]
        if self.broken(super::super::settings::Mutant::GlobalLoss) {
            return counted > 0 && sum >= -self.threshold;
        }
        let evidence = self.losses.evidence(self.key(case.index), f64::from(counted), sum);
        counted > 0 && counted >= least && evidence >= -self.threshold
    }

    /// Works out anew the weight of a silence of the open cases of a place.
    pub(super) fn update_weights(&mut self, place: u32, states: &States) {
        let (far, others) =
            (!self.places[place as usize].has_controls, self.places[place as usize].has_others);
        for at in self.places[place as usize].cases.clone() {
            let case = &self.cases[at as usize];
            if super::is_open(case, states) && !case.has_answered {
                let weight = -self.chance(place, case.index, states).ln() as f32;
                let around = self.around(case.index, bounds::NEIGHBOURHOOD_BITS);
                let below = states.judged_within(around.start..case.index);
                let above = states.judged_within(case.index..around.end);
                let case = &mut self.cases[at as usize];
                (case.weight, case.far, case.may_be_behind_nat) = (weight, far, others);
                case.is_between = !others && below > 0 && above > 0;
            }
        }
    }

    /// The chance that a source which works is silent although its control was answered.
    pub(super) fn chance(&self, place: u32, index: u32, states: &States) -> f64 {
        let known =
            [4, bounds::NEIGHBOURHOOD_BITS].map(|bits| states.judged_within(self.around(index, bits)));
        #[cfg(test)]
        if self.broken(super::super::settings::Mutant::GlobalLoss) {
            return self.losses.overall().clamp(1e-9, 0.99);
        }
        let chance = self.losses.chance_of_silence(self.key(index), known);
        // Where probes are cheap, the estimate of the loss need not be believed: one half is the most it can be.
        let spare = self.spare_probes(place).max(f64::from(bounds::MIN_COUNTED));
        chance.max((self.threshold / spare).exp().min(0.5))
    }

    /// How often each case could be probed in the time that may be spared.
    pub(super) fn spare_probes(&self, place: u32) -> f64 {
        let cases = self.cases.len() as f64;
        let cost = 1.0 + 1.0 / f64::from(bounds::CASES_PER_CONTROL);
        let fast = self.max_rate * bounds::SPARE_TIME.as_secs_f64() / (cases * cost);
        match self.paces.share(place) {
            None => fast,
            Some(share) => {
                let own = f64::from(self.places[place as usize].cases.len() as u32);
                fast.min(share * bounds::SPARE_TIME_SLOW.as_secs_f64() / (own * 2.0))
            }
        }
    }

    /// Looks at all cases once more with what is known now; those whose silence is not yet enough are probed again. `false` if there
    /// are none, or time is up.
    pub(in super::super) fn reopen(&mut self, view: &View<'_>) -> bool {
        if self.expired {
            return false;
        }
        let mut any = false;
        for at in 0..self.places.len() as u32 {
            self.update_weights(at, view.states);
            let place = &self.places[at as usize];
            if !place.active && place.cases.clone().any(|case| self.needs_probe(case, view.states)) {
                self.activate(at, view.now);
                any = true;
            }
        }
        any
    }

    /// The time until which the last probes may still be answered.
    pub(super) fn answers_until(&self, view: &View<'_>) -> Duration {
        let open = self.cases.iter().filter(|case| super::is_open(case, view.states));
        open.map(|case| case.probed_at + view.max_wait).max().unwrap_or(view.drained_until)
    }

    /// A run that gets no further, or takes too long, ends.
    pub(super) fn expire_if_stalled(&mut self, now: Duration) {
        let stalled = now >= self.last_answer.max(self.begun) + bounds::STALL_LIMIT;
        if !self.expired && (stalled || now >= self.begun + bounds::RETRY_LIMIT) {
            self.expired = true;
            self.due.clear();
        }
    }

    /// What is concluded of a source that is open at the end; `None` if it is none of the cases.
    pub(in super::super) fn finding(&self, index: u32) -> Option<Finding> {
        let at = self.case(index)?;
        let (case, place) = (&self.cases[at], self.place_of(at as u32));
        let finding = |status, reason| {
            let refused = case.probes > 0 && case.sent == 0;
            Some(Finding { status, reason, probes: super::to_u8(case.probes), refused })
        };
        // Who sets a number of passes gets no more of them; then it is enough that no loss was seen at all.
        let unlost = self.fixed_passes
            && case.counted > 0
            && u16::from(case.counted) >= case.probes
            && self.losses.is_lossless();
        if case.came_late && !case.has_answered && case.sent > 0 {
            return finding(Status::Unknown, Reason::FlowTable);
        }
        if self.is_settled(case, 0) || unlost {
            return finding(Status::NoReply, Reason::None);
        }
        finding(Status::Unknown, self.unknown_reason(place, case))
    }

    /// Looks whether the silent ones are those that were probed last: who is dead is silent at any place in a random order, but a table
    /// that was full, of addresses for instance, never lets those in that came late. `place_in_pass` gives the place of a
    /// source in the first pass, from 0 to 1.
    pub(in super::super) fn find_order_effect(
        &mut self,
        place_in_pass: impl Fn(u32) -> f64,
        states: &States,
    ) {
        for bits in [bounds::NEIGHBOURHOOD_BITS, 12, 31] {
            let mut from = 0;
            while from < self.cases.len() {
                let group = self.key(self.cases[from].index) >> bits;
                let len = self.cases[from..].partition_point(|case| self.key(case.index) >> bits == group);
                let open = |case: &&Case| super::is_open(case, states) && !case.has_answered;
                let silent = self.cases[from..from + len].iter().filter(open);
                let (count, sum) =
                    silent.fold((0_u32, 0.0), |(n, sum), case| (n + 1, sum + place_in_pass(case.index)));
                // The mean of so many places that are drawn at random.
                let above = (sum / f64::from(count.max(1)) - 0.5) * (12.0 * f64::from(count)).sqrt();
                if count >= bounds::ORDER_SAMPLE && above > bounds::ORDER_DEVIATIONS {
                    self.cases[from..from + len].iter_mut().for_each(|case| case.came_late = true);
                }
                from += len;
            }
        }
    }

    fn unknown_reason(&self, place: u32, case: &Case) -> Reason {
        let [probed, answered] = self.old_flows;
        let [lost, new] = self.new_flows;
        if probed >= bounds::FLOW_TABLE_SAMPLE && answered * 2 >= probed && new * 3 < lost + new {
            let behind_nat = self.places[place as usize].has_others;
            return if behind_nat { Reason::NatPorts } else { Reason::FlowTable };
        }
        let refused = case.probes.saturating_sub(case.sent);
        if refused > 0 && case.sent > 0 && refused * 2 >= case.probes {
            return Reason::SometimesRefused;
        }
        if self.paces.is_known_limit(place) { Reason::RateLimited } else { Reason::Loss }
    }

    /// How many sources that work are expected to be still silent, when so many first answered after the first pass: as many
    /// as the loss of the controls leaves over.
    pub(in super::super) fn expected_silent(&self, late: u32) -> f64 {
        let left = self.losses.overall().powi(i32::from(self.rounds.max(1)));
        f64::from(late) * left / (1.0 - left).max(0.01)
    }

    /// The places that can only be probed slowly and have unknown sources left, by rate.
    pub(in super::super) fn limits(&self, states: &States, targets: &Targets) -> Vec<Limit> {
        let mut limits: Vec<(std::ops::Range<u32>, f64, u32)> = Vec::new();
        for at in 0..self.places.len() as u32 {
            let Some((rate, leaves)) = self.paces.limit(at) else { continue };
            let open = self.places[at as usize].cases.clone();
            let unknown = open.filter(|case| {
                let case = &self.cases[*case as usize];
                super::is_open(case, states) && !self.is_settled(case, 0)
            });
            let unknown = unknown.count() as u32;
            match limits.iter_mut().find(|(range, ..)| *range == leaves) {
                Some((.., sum)) => *sum += unknown,
                None => limits.push((leaves, rate, unknown)),
            }
        }
        let named = limits.into_iter().filter(|(.., unknown)| *unknown > 0);
        named
            .filter_map(|(leaves, rate, unknown)| {
                let case = |place: u32| self.cases[self.places[place as usize].cases.start as usize].index;
                let (from, to) = (case(leaves.start), case(leaves.end - 1));
                let from = self.around(from, bounds::NEIGHBOURHOOD_BITS).start;
                let to = self.around(to, bounds::NEIGHBOURHOOD_BITS).end - 1;
                // Each of them beside a control, as often as a good network demands.
                let probes = f64::from(unknown) * 2.0 * f64::from(bounds::MIN_COUNTED);
                Some(Limit {
                    first: targets.source(from)?,
                    last: targets.source(to)?,
                    rate,
                    unknown,
                    needs: Duration::try_from_secs_f64(probes / rate).unwrap_or(Duration::MAX),
                })
            })
            .collect()
    }
}
