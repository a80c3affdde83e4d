//! What became of the probes.

use std::cmp::Reverse;
use std::time::Duration;

use super::super::settings::bounds;
use super::super::states::{State, States};
use super::case::{Case, SetState};
use super::{CANARY, Retry, RetryProbe, View};

impl Retry {
    /// A control was answered.
    pub(in super::super) fn on_control(&mut self, index: u32, flow: u32, states: &States, now: Duration) {
        if flow <= self.first_flow {
            if self.old_flow_controls.remove(&index) {
                self.old_flows[1] += 1;
            }
            return;
        }
        let key = (index, flow);
        let Some(set) = self.sets.get_mut(&key) else { return };
        let (place, probed_at, sent_at) = (set.place, set.probed_at, set.sent_at.unwrap_or(now));
        let (before, closed) = (set.state, set.closed);
        if before == SetState::Waiting || closed && before == SetState::Lost {
            set.state = SetState::Answered;
        }
        self.last_answer = now;
        self.on_landed(probed_at);
        self.server_outcomes[(flow % self.servers) as usize][1] += 1;
        match before {
            SetState::Waiting => {
                // What it vouches for is counted once its companions have had their time too: answers come sooner than it is
                // known what is lost, so that those first would look better than it is.
                self.places[place as usize].late_in_a_row = 0;
            }
            SetState::Lost if closed => {
                self.losses.late(self.control_key(index, place));
                self.paces.late(place, sent_at);
                // Where all are late, it is the time that is wrong.
                let place = &mut self.places[place as usize];
                place.late_in_a_row = place.late_in_a_row.saturating_add(1);
                if place.late_in_a_row >= bounds::LATE_IN_A_ROW {
                    place.slow = place.slow.max(now.saturating_sub(sent_at).mul_f64(1.5));
                }
                self.vouch(key, states);
            }
            SetState::Lost | SetState::Answered | SetState::Void => {}
        }
    }

    /// A control has answered, and its companions have had their time: their silence counts.
    fn vouch(&mut self, key: (u32, u32), states: &States) {
        let index = key.0;
        // The canary goes on vouching for what is probed by the same flow.
        let set = if index == CANARY { self.sets.get(&key).cloned() } else { self.sets.remove(&key) };
        let Some(set) = set else { return };
        self.new_flows[1] += 1;
        if index == CANARY && states.judged() > 0 {
            // Meanwhile a source has answered, whose path is more like theirs.
            return;
        }
        let is_other = self.is_other(index, states);
        self.record_behind_nat(is_other, true);
        let full = self.is_nat_full();
        let place = &mut self.places[set.place as usize];
        place.others_pass |= is_other;
        let (has_others, has_direct, others_pass) = (place.has_others, place.has_direct, place.others_pass);
        for case in set.members {
            // Where a NAT stands before some of the neighbours, and takes only some new flows, those behind it vouch for
            // those behind it, and the others for the others.
            let near = |index: u32| self.key(index) >> bounds::CLOSE_BITS;
            let close = index != CANARY && near(index) == near(self.cases[case as usize].index);
            let vouches = match (has_others, full) {
                (false, _) => Vouches { direct: true, behind_nat: false },
                (true, false) => {
                    Vouches { direct: !is_other || close || !has_direct, behind_nat: is_other || others_pass }
                }
                (true, true) => Vouches { direct: !is_other, behind_nat: is_other },
            };
            self.count(case, set.refused.contains(&case), vouches, states);
        }
    }

    /// A case was answered: by a reply that settles it, or not. `mapped`: the reply said that the source is behind a NAT.
    pub(in super::super) fn on_case(
        &mut self,
        index: u32,
        flow: u32,
        mapped: bool,
        states: &States,
        now: Duration,
    ) {
        let Some(at) = self.case(index) else { return };
        if mapped && states.at(index) == State::Open {
            self.mapped.insert(index);
        } else {
            self.mapped.remove(&index);
        }
        if flow > self.first_flow && flow == self.cases[at].flow {
            self.on_landed(self.cases[at].probed_at);
        }
        let counted = self.cases[at].counted;
        let first = !self.cases[at].has_answered;
        if first && self.is_settled(&self.cases[at], 0) {
            self.forget_run(at, states);
        }
        self.last_answer = now;
        self.cases[at].has_answered = true;
        if flow > self.first_flow {
            self.server_outcomes[(flow % self.servers) as usize][1] += 1;
        }
        if flow > self.first_flow && first {
            self.cases[at].late = true;
            let expected =
                f64::from(self.cases[at].expected) + self.chance(self.place_of(at as u32), index, states);
            self.losses.recovered(self.key(index), u32::from(counted), expected);
        }
        if states.at(index) != State::Open {
            // Now there is one who can vouch for its neighbours; those further away may not share their loss.
            let sizes =
                (4..=bounds::NEIGHBOURHOOD_BITS).chain([12, 16, 31]).map(|bits| self.around(index, bits));
            let alone = sizes.take_while(|range| states.judged_within(range.clone()) == 1).last();
            if let Some(range) = alone {
                let from = self.cases.partition_point(|case| case.index < range.start);
                let to = self.cases.partition_point(|case| case.index < range.end);
                self.cases[from..to].iter_mut().for_each(Case::forget);
            }
        }
    }

    /// A source has answered though its silence was as good as proven: who vouched for it does not share its path, nor that of the
    /// silent ones beside it.
    fn forget_run(&mut self, at: usize, states: &States) {
        let silent = |case: &Case, beside: &Case| {
            super::is_open(case, states) && !case.has_answered && case.index.abs_diff(beside.index) == 1
        };
        let (mut from, mut to) = (at, at);
        while from > 0 && silent(&self.cases[from - 1], &self.cases[from]) {
            from -= 1;
        }
        while to + 1 < self.cases.len() && silent(&self.cases[to + 1], &self.cases[to]) {
            to += 1;
        }
        self.cases[from..=to].iter_mut().for_each(Case::forget);
    }

    /// The reply to the first pass came after all: `true` if the source had been taken for one that was not answered then.
    pub(in super::super) fn on_late_first(&mut self, index: u32) -> bool {
        self.case(index).is_some_and(|at| std::mem::take(&mut self.cases[at].late))
    }

    /// The system refused to send a probe.
    pub(in super::super) fn on_refused(&mut self, probe: RetryProbe, states: &States, now: Duration) {
        if self.resends.on_refused(probe, now) {
            return;
        }
        if probe.control {
            if let Some(set) = self.sets.get_mut(&(probe.index, probe.flow)) {
                set.state = SetState::Lost;
            }
            return;
        }
        let Some(at) = self.case(probe.index) else { return };
        let case = &mut self.cases[at];
        case.sent = case.sent.saturating_sub(1);
        // A refusal counts as a silence does, beside a control that was answered, unless there is none.
        if let Some(set) = self.sets.get_mut(&(case.control, probe.flow)) {
            set.refused.push(at as u32);
        } else if states.judged() == 0 {
            self.count(at as u32, true, Vouches { direct: true, behind_nat: true }, states);
        }
    }

    /// Controls that were not answered in time are lost, until they answer after all.
    pub(super) fn check_overdue(&mut self, view: &View<'_>, out: &mut Vec<RetryProbe>) {
        while let Some(Reverse((until, key))) = self.waiting.peek().copied() {
            if until > view.drained_until {
                break;
            }
            self.waiting.pop();
            let Some(set) = self.sets.get_mut(&key) else { continue };
            let (place, sent_at, state) = (set.place, set.sent_at.unwrap_or(until), set.state);
            set.closed = true;
            if state == SetState::Void {
                self.overdue.push_back((sent_at, key));
                continue;
            }
            let answered = state == SetState::Answered;
            let in_outage = !answered && self.places[place as usize].lost_in_a_row >= bounds::LOST_IN_A_ROW;
            for case in &set.members {
                let case = &mut self.cases[*case as usize];
                case.resolve();
                case.in_outage = case.in_outage.saturating_add(u16::from(in_outage));
            }
            self.losses.control(self.control_key(key.0, place), answered);
            self.record_outcome(place, sent_at, answered, view.now);
            if answered {
                self.vouch(key, view.states);
            } else {
                if let Some(set) = self.sets.get_mut(&key) {
                    set.state = SetState::Lost;
                }
                self.server_outcomes[(key.1 % self.servers) as usize][0] += 1;
                let is_other = self.is_other(key.0, view.states);
                self.record_behind_nat(is_other, false);
                self.places[place as usize].others_pass &= !is_other;
                self.new_flows[0] += 1;
                self.probe_old_flow(key.0, out);
            }
            self.overdue.push_back((sent_at, key));
        }
        let keep = view.max_wait.max(self.timeout * 2);
        while let Some((sent_at, key)) = self.overdue.front().copied() {
            if sent_at + keep > view.drained_until {
                break;
            }
            self.overdue.pop_front();
            self.sets.remove(&key);
        }
    }

    /// What is under way proves nothing: the program did not run, or the network was gone.
    pub(in super::super) fn void(&mut self, now: Duration) {
        self.paces.begin_all(now);
        for set in self.sets.values_mut().filter(|set| !set.closed && set.state != SetState::Void) {
            set.state = SetState::Void;
            for case in &set.members {
                self.cases[*case as usize].resolve();
            }
        }
    }

    /// A lost control of a new flow is probed by its flow of the first pass, for which flow tables on the way have an entry:
    /// if these pass and new ones do not, it is a table that is full.
    fn probe_old_flow(&mut self, index: u32, out: &mut Vec<RetryProbe>) {
        let [lost, answered] = self.new_flows;
        let doubtful = lost >= bounds::PACE_SAMPLE && lost > answered && index != CANARY;
        // Few: they load a path that may be full.
        if doubtful
            && lost.is_multiple_of(8)
            && self.old_flows[0] < 256
            && self.old_flow_controls.insert(index)
        {
            self.old_flows[0] += 1;
            out.push(RetryProbe { index, flow: self.first_flow, control: true });
        }
    }

    /// A silence counts.
    pub(super) fn count(&mut self, case: u32, refused: bool, vouches: Vouches, states: &States) {
        let known = self.cases[case as usize];
        if !super::is_open(&known, states) {
            return;
        }
        let mut chance = self.chance(self.place_of(case), known.index, states);
        let case = &mut self.cases[case as usize];
        if vouches.direct {
            case.counted = case.counted.saturating_add(1);
            case.refused = case.refused.saturating_add(u8::from(refused));
            (case.evidence, case.expected) =
                (case.evidence - chance.ln() as f32, case.expected + chance as f32);
            case.sides[usize::from(case.control > case.index)] -= chance.ln() as f32;
        }
        if vouches.behind_nat {
            if self.behind_nat.lost >= 2.0 {
                chance = chance.max(self.behind_nat.share().min(0.5));
            }
            let (counted, evidence) = &mut case.behind_nat;
            (*counted, *evidence) = (counted.saturating_add(1), *evidence - chance.ln() as f32);
        }
    }

    fn record_outcome(&mut self, place: u32, sent_at: Duration, answered: bool, now: Duration) {
        let lost = &mut self.places[place as usize].lost_in_a_row;
        *lost = if answered { 0 } else { lost.saturating_add(1) };
        let before = self.paces.share(place);
        if let Some(leaves) = self.paces.outcome(place, sent_at, answered, now) {
            let after = self.paces.share(place);
            if after.is_some_and(|after| before.is_none_or(|before| after < before)) {
                let of = |place: u32| self.places[place as usize].cases.clone();
                let (first, last) = (of(leaves.start).start, of(leaves.end - 1).end - 1);
                let key = |case: u32| self.key(self.cases[case as usize].index);
                self.losses.slower(&(key(first)..=key(last)));
            }
            for place in leaves {
                if self.places[place as usize].active {
                    let when = now + bounds::FIRST_GAP.mul_f64(self.rng.unit());
                    self.schedule(place, when);
                }
            }
        }
    }

    /// Whether a source that has answered is behind a NAT, or otherwise not `ok`.
    fn is_other(&self, index: u32, states: &States) -> bool {
        index != CANARY && (states.at(index) == State::Other || self.mapped.contains(&index))
    }

    /// The next source from `from` on that is behind a NAT, as far as anybody has said.
    pub(super) fn next_other(&self, from: u32, states: &States) -> Option<u32> {
        let one_word = self.mapped.range(from..).next().copied();
        states.next_other(from).into_iter().chain(one_word).min()
    }

    fn record_behind_nat(&mut self, is_other: bool, answered: bool) {
        let tally = if is_other { &mut self.behind_nat } else { &mut self.direct };
        tally.record(answered);
    }

    /// Whether controls behind a NAT are lost more than the others.
    pub(super) fn is_nat_full(&self) -> bool {
        self.behind_nat.lost >= 2.0
            && self.behind_nat.share()
                > self.direct.lost / self.direct.outcomes().max(1.0) + bounds::NOTABLE_LOSS
    }

    /// Controls lost in a row that are more than the loss of the run explains.
    pub(super) fn lost_in_a_row(&self) -> u8 {
        let by_loss = bounds::LOST_BY_CHANCE.ln() / self.losses.overall().clamp(0.01, 0.99).ln();
        (by_loss as u8).clamp(bounds::LOST_IN_A_ROW, bounds::LOST_IN_A_ROW * 4)
    }

    /// The losses of the canary are those of nowhere in particular: they count where it vouches.
    fn control_key(&self, control: u32, place: u32) -> u32 {
        let first = self.cases[self.places[place as usize].cases.start as usize].index;
        self.key(if control == CANARY { first } else { control })
    }
}

/// For whom an answered control vouches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Vouches {
    pub(super) direct: bool,
    /// For sources behind a NAT.
    pub(super) behind_nat: bool,
}
