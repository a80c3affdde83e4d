//! What became of the asks.

use std::time::Duration;

use super::super::bits::{State, States};
use super::super::pacing::Change;
use super::super::settings::bounds;
use super::{Ask, CANARY, Case, Retry, SetState, View};

impl Retry {
    /// A control was answered.
    pub(in super::super) fn on_control(&mut self, index: u32, flow: u32, states: &States, now: Duration) {
        if flow <= self.first_flow {
            if self.old.remove(&index) {
                self.old_flows[1] += 1;
            }
            return;
        }
        let key = (index, flow);
        let Some(set) = self.sets.get_mut(&key) else { return };
        let before = std::mem::replace(&mut set.state, SetState::Answered);
        let (place, sent_at) = (set.place, set.sent_at.unwrap_or(now));
        // The canary goes on vouching for what is asked by the same flow.
        let members = if index == CANARY {
            set.members.clone()
        } else {
            self.sets.remove(&key).map(|set| set.members).unwrap_or_default()
        };
        self.last_answer = now;
        self.heard[(flow % self.servers) as usize][1] += 1;
        self.paces.heard(place);
        match before {
            SetState::Answered => return,
            SetState::Void => {
                if let Some(set) = self.sets.get_mut(&key) {
                    set.state = SetState::Void;
                }
                return;
            }
            SetState::Lost => self.losses.late(self.control_key(index, place)),
            SetState::Waiting => {
                for case in &members {
                    self.cases[*case as usize].over += 1;
                }
                self.losses.control(self.control_key(index, place), true);
                self.note_outcome(place, sent_at, true, now);
            }
        }
        self.new_flows[1] += 1;
        let place = &mut self.places[place as usize];
        place.others_pass |= index != CANARY && states.at(index) == State::Other;
        // Where a translator stands before some of the neighbours, it must be known to take new flows.
        if place.others_pass || !place.has_others {
            for case in members {
                self.count(case, flow, states);
            }
        }
    }

    /// A case was answered: by a reply that settles it, or not.
    pub(in super::super) fn on_case(&mut self, index: u32, flow: u32, states: &States, now: Duration) {
        let Some(at) = self.case(index) else { return };
        let counted = self.cases[at].counted;
        let first = !self.cases[at].has_answered;
        self.last_answer = now;
        self.cases[at].has_answered = true;
        if flow > self.first_flow {
            self.heard[(flow % self.servers) as usize][1] += 1;
            self.paces.heard(self.place_of(at as u32));
        }
        if flow > self.first_flow && first {
            self.cases[at].late = true;
            self.losses.recovered(self.key(index), u32::from(counted));
        }
        if states.at(index) != State::Open {
            // Now there is one who can vouch for its neighbours; those further away may not share their loss.
            let alone = (4..=bounds::NEIGHBOURHOOD_BITS).rev().map(|bits| self.around(index, bits));
            let alone = alone.into_iter().find(|range| states.judged_within(range.clone()) == 1);
            if let Some(range) = alone {
                let from = self.cases.partition_point(|case| case.index < range.start);
                let to = self.cases.partition_point(|case| case.index < range.end);
                self.cases[from..to].iter_mut().for_each(Case::forget);
            }
        }
    }

    /// The reply to the first pass came after all: `true` if the source had been taken for one that was not answered then.
    pub(in super::super) fn on_late_first(&mut self, index: u32) -> bool {
        self.case(index).is_some_and(|at| std::mem::take(&mut self.cases[at].late))
    }

    /// The system refused to send a case.
    pub(in super::super) fn on_refused(&mut self, ask: Ask, states: &States, now: Duration) {
        if ask.control {
            let key = (ask.index, ask.flow);
            let Some(set) = self.sets.get_mut(&key).filter(|set| set.state == SetState::Waiting) else {
                return;
            };
            set.state = SetState::Lost;
            let (place, sent_at) = (set.place, set.sent_at.unwrap_or(now));
            for case in &set.members {
                self.cases[*case as usize].over += 1;
            }
            self.losses.control(self.control_key(ask.index, place), false);
            self.note_outcome(place, sent_at, false, now);
            return;
        }
        let Some(at) = self.case(ask.index) else { return };
        self.count(at as u32, 0, states);
        let case = &mut self.cases[at];
        case.refused = case.refused.saturating_add(1);
        case.sent = case.sent.saturating_sub(1);
        // Its control will not count it again.
        case.flow |= REFUSED;
    }

    /// Controls that were not answered in time are lost, until they answer after all.
    pub(super) fn check_overdue(&mut self, view: &View<'_>, asks: &mut Vec<Ask>) {
        let grace = super::grace(view);
        while let Some((sent_at, key)) = self.waiting.front().copied() {
            if sent_at + grace > view.seen {
                break;
            }
            self.waiting.pop_front();
            let Some(set) = self.sets.get_mut(&key) else { continue };
            match set.state {
                SetState::Waiting => {
                    set.state = SetState::Lost;
                    let place = set.place;
                    for case in &set.members {
                        self.cases[*case as usize].over += 1;
                    }
                    self.heard[(key.1 % self.servers) as usize][0] += 1;
                    if self.places[place as usize].lost_in_a_row >= bounds::LOST_IN_A_ROW {
                        for case in &set.members {
                            self.cases[*case as usize].vain += 1;
                        }
                    }
                    if key.0 != CANARY && view.states.at(key.0) == State::Other {
                        self.places[place as usize].others_pass = false;
                    }
                    self.new_flows[0] += 1;
                    self.losses.control(self.control_key(key.0, place), false);
                    self.note_outcome(place, sent_at, false, view.now);
                    self.ask_old_flow(key.0, asks);
                    self.overdue.push_back((sent_at, key));
                }
                SetState::Lost | SetState::Void | SetState::Answered => {
                    self.overdue.push_back((sent_at, key));
                }
            }
        }
        let keep = view.patience.max(self.timeout * 2);
        while let Some((sent_at, key)) = self.overdue.front().copied() {
            if sent_at + keep > view.seen {
                break;
            }
            self.overdue.pop_front();
            self.sets.remove(&key);
        }
    }

    /// What is under way proves nothing: the program was held up, or the network was gone.
    pub(in super::super) fn void(&mut self, now: Duration) {
        self.paces.cancel_trials(now);
        for set in self.sets.values_mut().filter(|set| set.state == SetState::Waiting) {
            set.state = SetState::Void;
            for case in &set.members {
                self.cases[*case as usize].over += 1;
            }
        }
    }

    /// A lost control of a new flow is asked by its flow of the first pass, for which flow tables on the way have an entry:
    /// if these pass and new ones do not, it is a table that is full.
    fn ask_old_flow(&mut self, index: u32, asks: &mut Vec<Ask>) {
        let [lost, answered] = self.new_flows;
        let doubtful = lost >= bounds::PACE_SAMPLE && lost > answered && index != CANARY;
        // Few: they load a path that may be full.
        if doubtful && lost.is_multiple_of(8) && self.old_flows[0] < 256 && self.old.insert(index) {
            self.old_flows[0] += 1;
            asks.push(Ask { index, flow: self.first_flow, control: true });
        }
    }

    /// A silence counts.
    pub(super) fn count(&mut self, case: u32, flow: u32, states: &States) {
        let known = self.cases[case as usize];
        if super::is_open(&known, states) && known.flow != flow | REFUSED {
            let case = &mut self.cases[case as usize];
            case.counted = case.counted.saturating_add(1);
        }
    }

    fn note_outcome(&mut self, place: u32, sent_at: Duration, answered: bool, now: Duration) {
        let lost = &mut self.places[place as usize].lost_in_a_row;
        *lost = if answered { 0 } else { lost.saturating_add(1) };
        if let Some(Change { leaves, forget }) = self.paces.outcome(place, sent_at, answered, now) {
            // Where asking is quick, what was counted stays, and so does the loss at which it was counted.
            if forget && self.spare_asks(leaves.start) < self.threshold / 0.5_f64.ln() {
                let key =
                    |place: u32| self.key(self.cases[self.places[place as usize].cases.start as usize].index);
                self.losses.forget(key(leaves.start), key(leaves.end - 1));
                self.restart(leaves.clone());
            }
            for place in leaves {
                if self.places[place as usize].active {
                    let when = now + bounds::FIRST_GAP.mul_f64(self.rng.unit());
                    self.schedule(place, when);
                }
            }
        }
    }

    /// What was counted in these places counts no more.
    fn restart(&mut self, places: std::ops::Range<u32>) {
        for place in places {
            let range = self.places[place as usize].cases.clone();
            self.cases[range.start as usize..range.end as usize].iter_mut().for_each(Case::forget);
        }
    }

    /// The losses of the canary are those of nowhere in particular: they count where it vouches.
    fn control_key(&self, control: u32, place: u32) -> u32 {
        let first = self.cases[self.places[place as usize].cases.start as usize].index;
        self.key(if control == CANARY { first } else { control })
    }
}

/// Marks the flow of a case whose last ask was refused.
const REFUSED: u32 = 1 << 31;
