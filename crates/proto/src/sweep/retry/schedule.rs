//! Which cases are probed when, beside which control, by which flow.

use std::cmp::Reverse;
use std::time::Duration;

use super::super::settings::bounds;
use super::super::states::State;
use super::case::{MatchedSet, SetState};
use super::outcome::Vouches;
use super::{CANARY, Retry, RetryProbe, View};

/// Who vouches for a set of cases.
enum Control {
    /// A source, and the bits of the neighbourhood in which it was found.
    Source(u32, u32),
    Canary,
    /// All that could have been probed by this flow already.
    NextFlow,
    /// Nobody has answered at all.
    Nobody,
}

impl Retry {
    /// Puts a place onto the schedule if it has probes to send.
    pub(super) fn activate(&mut self, at: u32, when: Duration) {
        if !self.places[at as usize].active {
            self.places[at as usize].active = true;
            self.paces.set_active(at, true);
        }
        self.schedule(at, when);
    }

    pub(super) fn schedule(&mut self, at: u32, when: Duration) {
        let place = &mut self.places[at as usize];
        place.stamp = place.stamp.wrapping_add(1);
        self.due.push(Reverse((when, at, place.stamp)));
    }

    fn finish(&mut self, at: u32) {
        self.places[at as usize].active = false;
        self.paces.set_active(at, false);
    }

    /// Sends what is due for a place: the next probe of a set that leaves one by one, a new set, or a new round.
    pub(super) fn serve(&mut self, at: u32, view: &View<'_>, out: &mut Vec<RetryProbe>) {
        if let Some(probe) = self.places[at as usize].queue.pop() {
            self.send(at, probe, view.now, out);
            if self.places[at as usize].queue.is_empty() {
                if let Some(key) = self.places[at as usize].building.take() {
                    self.all_sent(key, view.now);
                }
                self.schedule(at, view.now);
            } else {
                let when = self.paces.reserve(at, view.now);
                self.schedule(at, when);
            }
            return;
        }
        if self.places[at as usize].todo.is_empty() && !self.begin_round(at, view) {
            return;
        }
        let limited = self.paces.is_limited(at);
        let Some((position, first)) = self.first_member(at, view) else {
            self.end_round(at, view);
            return;
        };
        let old = self.servers > 1 && view.now >= self.flow_since + bounds::FLOW_USED;
        if old || !self.is_fresh(first) {
            self.wait_for_flow(at, view);
            return;
        }
        let index = self.cases[first as usize].index;
        match self.choose_control(at, index, view) {
            Control::NextFlow => {
                self.wait_for_flow(at, view);
                return;
            }
            Control::Source(control, bits) => {
                let members = self.members(at, position, bits, limited, view);
                self.probe_with_control(at, control, members, limited, view, out);
            }
            Control::Canary if limited => {
                // Its probes leave one by one, as those of any other set.
                if self.sets.contains_key(&(CANARY, self.flow)) {
                    self.wait_for_flow(at, view);
                    return;
                }
                let members = self.members(at, position, u32::BITS - 1, limited, view);
                self.probe_with_control(at, CANARY, members, limited, view, out);
            }
            Control::Canary => {
                let members = self.members(at, position, u32::BITS - 1, limited, view);
                self.probe_with_canary(at, members, view, out);
            }
            Control::Nobody => {
                for case in self.members(at, position, u32::BITS - 1, limited, view) {
                    let probe = RetryProbe {
                        index: self.cases[case as usize].index,
                        flow: self.flow,
                        control: false,
                    };
                    self.send(at, probe, view.now, out);
                }
            }
        }
        if !self.places[at as usize].queue.is_empty() {
            let when = self.paces.reserve(at, view.now);
            self.schedule(at, when);
        } else if self.places[at as usize].todo.is_empty() {
            self.end_round(at, view);
        } else {
            // The sets of a round are spread over half of the gap between rounds, about.
            let spread =
                self.gap(at).div_f64(f64::from(self.places[at as usize].sets + 1)).min(bounds::FIRST_GAP);
            let when = view.now + spread.mul_f64(self.rng.unit());
            self.schedule(at, when);
        }
    }

    /// A new round over what still needs probes; `false` if it is not yet time, or nothing does.
    fn begin_round(&mut self, at: u32, view: &View<'_>) -> bool {
        let place = &self.places[at as usize];
        if view.now < place.ready_at {
            let when = place.ready_at;
            self.schedule(at, when);
            return false;
        }
        let range = place.cases.clone();
        let first = self.cases[range.start as usize].index;
        let around = self.around(first, bounds::NEIGHBOURHOOD_BITS);
        let wide = self.around(first, bounds::NAT_BITS);
        let others = self.next_other(wide.start, view.states).is_some_and(|i| i < wide.end);
        let place = &mut self.places[at as usize];
        place.has_controls = place.has_controls || view.states.judged_within(around.clone()) > 0;
        place.has_others = place.has_others || others;
        let mut judged =
            std::iter::successors(view.states.next_judged(around.start), |i| view.states.next_judged(i + 1));
        place.has_direct = place.has_direct
            || (place.has_controls
                && judged
                    .by_ref()
                    .take_while(|i| *i < around.end)
                    .any(|i| view.states.at(i) != State::Other));
        self.update_weights(at, view.states);
        let todo: Vec<u32> = range.filter(|case| self.needs_probe(*case, view.states)).collect();
        if todo.is_empty() {
            if self.places[at as usize].cases.clone().any(|case| self.awaits_outcome(case, view.states)) {
                self.schedule(at, view.now + view.rto / 2 + bounds::FIRST_GAP);
            } else {
                self.finish(at);
            }
            return false;
        }
        let place = &mut self.places[at as usize];
        place.sets = (todo.len() as u32).div_ceil(bounds::CASES_PER_CONTROL);
        (place.todo, place.began_at) = (todo, view.now);
        place.round = place.round.saturating_add(1);
        true
    }

    fn end_round(&mut self, at: u32, view: &View<'_>) {
        let gap = self.gap(at).mul_f64(0.5 + self.rng.unit());
        // A source is probed again a gap after it was probed, and that was a while ago for most.
        let ready = (self.places[at as usize].began_at + gap).max(view.now + gap / 4);
        self.places[at as usize].ready_at = ready;
        self.schedule(at, ready);
    }

    fn gap(&self, at: u32) -> Duration {
        let place = &self.places[at as usize];
        let first = if place.has_controls { bounds::FIRST_GAP } else { bounds::FIRST_GAP_FAR };
        let growth = bounds::GAP_GROWTH.powi(i32::from(place.round.min(64)));
        let gap = first.mul_f64(growth).min(bounds::MAX_GAP);
        // Where nothing comes through, more and more rarely.
        let lost = place.lost_in_a_row / self.lost_in_a_row();
        if lost == 0 { gap } else { (gap * 2_u32.pow(lost.min(8).into())).min(bounds::MAX_GAP_LOST) }
    }

    /// A random case of those still to be probed in this round: its position among them, and the case.
    fn first_member(&mut self, at: u32, view: &View<'_>) -> Option<(usize, u32)> {
        loop {
            let left = self.places[at as usize].todo.len() as u32;
            let position = if self.in_order { 0 } else { self.rng.below(left) } as usize;
            let case = *self.places[at as usize].todo.get(position)?;
            if self.needs_probe(case, view.states) {
                return Some((position, case));
            }
            self.places[at as usize].todo.remove(position);
        }
    }

    /// Whether a case can be probed by this flow: as a new one, and to another server than before.
    fn is_fresh(&self, case: u32) -> bool {
        let known = &self.cases[case as usize];
        let same_server = self.servers > 1 && u32::from(known.server) == self.flow % self.servers;
        // Who has answered needs the word of another; for the others a poor one is no change.
        let change =
            known.has_answered || (0..self.servers).filter(|server| !self.is_poor(*server)).count() > 1;
        self.is_fresh_flow(case) && !(same_server && change)
    }

    /// Whether a server answers much less than the best one.
    fn is_poor(&self, server: u32) -> bool {
        let share = |[lost, answered]: [u32; 2]| f64::from(answered) / f64::from((lost + answered).max(1));
        let best = self.server_outcomes.iter().map(|outcomes| share(*outcomes)).fold(0.0, f64::max);
        let own = self.server_outcomes[server as usize];
        own[0] + own[1] >= 16 && share(own) < best * bounds::POOR_SERVER
    }

    pub(super) fn is_fresh_flow(&self, case: u32) -> bool {
        self.flow != self.first_flow && self.cases[case as usize].flow != self.flow
    }

    /// Takes the case at a position, and its nearest neighbours among those still to be probed, as many as go with one control of the
    /// neighbourhood of so many bits.
    fn members(&mut self, at: u32, position: usize, bits: u32, limited: bool, view: &View<'_>) -> Vec<u32> {
        let place = &self.places[at as usize];
        let first = self.cases[place.todo[position] as usize].index;
        let range = self.around(first, bits);
        let same = |case: &u32| range.contains(&self.cases[*case as usize].index);
        let share = self.paces.share(at).filter(|_| limited);
        let most = if share.is_some_and(|share| share < bounds::PACE_FOR_SETS) {
            1
        } else if limited {
            bounds::CASES_PER_CONTROL_LIMITED
        } else {
            let cases = place.todo.iter().filter(|case| same(case)).count() as u32;
            let controls = view.states.judged_within(range.clone()).max(1);
            cases.div_ceil(controls).clamp(bounds::CASES_PER_CONTROL, bounds::MAX_CASES_PER_CONTROL)
        };
        // From the first on, and round again to those before it.
        let todo = &self.places[at as usize].todo;
        let (mut members, mut left, mut after) = (Vec::with_capacity(most as usize), Vec::new(), 0);
        for (n, case) in todo.iter().enumerate().skip(position).chain(todo.iter().enumerate().take(position))
        {
            let taken = (members.len() as u32) < most && same(case) && self.is_fresh(*case);
            if !taken {
                left.push(*case);
                after += usize::from(n >= position);
            } else if n == position || self.needs_probe(*case, view.states) {
                members.push(*case);
            }
        }
        left.rotate_left(after);
        self.places[at as usize].todo = left;
        members
    }

    fn wait_for_flow(&mut self, at: u32, view: &View<'_>) {
        let keep = view.max_wait;
        while self.flows.len() > 1
            && self.flows.front().is_some_and(|(_, used)| *used + keep <= view.drained_until)
        {
            self.flows.pop_front();
        }
        let every = if self.flows.len() < bounds::FLOWS_OPEN {
            bounds::FLOW_EVERY
        } else {
            bounds::FLOW_EVERY.max(keep / bounds::FLOWS_OPEN as u32)
        };
        let from = if self.flows.is_empty() { Duration::ZERO } else { self.flow_since + every };
        if view.now < from {
            self.schedule(at, from);
            return;
        }
        self.next_flow(view);
        self.schedule(at, view.now);
    }

    pub(super) fn next_flow(&mut self, view: &View<'_>) {
        if let Some((_, used)) = self.flows.back_mut() {
            *used = view.now;
        }
        self.flow += 1;
        while self.is_poor(self.flow % self.servers)
            && !(self.flow / self.servers).is_multiple_of(bounds::POOR_SERVER_ONE_IN)
        {
            self.flow += 1;
        }
        self.flow_since = view.now;
        self.flows.push_back((self.flow, view.now));
        self.used.clear();
        self.resends.next_flow();
    }

    /// A source that has answered and has not been probed by this flow, from the smallest neighbourhood that has one. Where a
    /// NAT stands before some of the neighbours, now and then one of those: only they can show whether it takes new flows.
    fn choose_control(&mut self, at: u32, index: u32, view: &View<'_>) -> Control {
        let nobody = if self.canary { Control::Canary } else { Control::Nobody };
        let place = &self.places[at as usize];
        let one_in = match place.others_pass {
            _ if self.is_nat_full() => 2,
            true => bounds::OTHERS_ONE_IN,
            false => 2,
        };
        let none_judged = view.states.judged() == 0;
        if none_judged || (place.has_others && self.rng.below(one_in) == 0) {
            let found = self.nearest_control(at, index, |retry, from| {
                let next = |from| retry.next_other(from, view.states);
                // A source does not vouch for itself.
                next(from).and_then(|found| if found == index { next(found + 1) } else { Some(found) })
            });
            if found.is_some() || none_judged {
                return found.unwrap_or(nobody);
            }
        }
        if let Some(control) = self.control_of_side(index, view) {
            return control;
        }
        // Beside one that is behind a NAT, silence says nothing of those that are not.
        let place = &self.places[at as usize];
        let direct = place.has_others && place.has_direct;
        let next = |from| if direct { view.states.next_proven(from) } else { view.states.next_judged(from) };
        self.nearest_control(at, index, |_, from| next(from)).unwrap_or(nobody)
    }

    /// The nearest source with a lower or with a higher address, whichever has vouched less: a path may end between the neighbours.
    fn control_of_side(&self, index: u32, view: &View<'_>) -> Option<Control> {
        let case = self.cases[self.case(index)?];
        if !case.is_between {
            return None;
        }
        let around = self.around(index, bounds::NEIGHBOURHOOD_BITS);
        let below = case.sides[0] < case.sides[1];
        let next = |i: &u32| if below { view.states.last_judged(*i) } else { view.states.next_judged(i + 1) };
        let mut beside = std::iter::successors(next(&index), next).take_while(|i| around.contains(i));
        let found = beside.find(|i| !self.used.contains(i))?;
        let bits = (4..bounds::NEIGHBOURHOOD_BITS).find(|bits| index.abs_diff(found) <= 1 << bits);
        Some(Control::Source(found, bits.unwrap_or(bounds::NEIGHBOURHOOD_BITS)))
    }

    /// One of the nearest sources that `next` gives from an index on.
    fn nearest_control(
        &mut self,
        at: u32,
        index: u32,
        next: impl Fn(&Self, u32) -> Option<u32>,
    ) -> Option<Control> {
        for bits in [4, 5, 6, 7, bounds::NEIGHBOURHOOD_BITS, 12, 16, 28, 31] {
            let range = self.around(index, bits);
            let place = &self.places[at as usize];
            let Some(lowest) = next(self, range.start).filter(|i| *i < range.end) else { continue };
            // The same one for the same case each time, so that a limit for each source meets both alike; another only where that
            // one is lost again and again.
            let start = if place.lost_in_a_row < bounds::LOST_IN_A_ROW {
                index
            } else {
                range.start + self.rng.below(range.end - range.start)
            };
            let found = next(self, start).filter(|i| *i < range.end).unwrap_or(lowest);
            if !self.used.contains(&found) {
                return Some(Control::Source(found, bits));
            }
            let first = |from: u32| next(self, from).filter(|i| *i < range.end);
            let after = first(found).unwrap_or(lowest);
            let beyond = std::iter::successors(Some(after), |found| first(found + 1)).take(256);
            let mut all =
                beyond.chain(std::iter::successors(Some(lowest), |found| first(found + 1)).take(256));
            let unused = all.find(|found| !self.used.contains(found));
            return Some(unused.map_or(Control::NextFlow, |found| Control::Source(found, bits)));
        }
        None
    }

    fn probe_with_control(
        &mut self,
        at: u32,
        control: u32,
        members: Vec<u32>,
        limited: bool,
        view: &View<'_>,
        out: &mut Vec<RetryProbe>,
    ) {
        self.used.insert(control);
        let flow = self.flow;
        let mut together: Vec<RetryProbe> = members
            .iter()
            .map(|case| RetryProbe { index: self.cases[*case as usize].index, flow, control: false })
            .collect();
        together.push(RetryProbe { index: control, flow, control: true });
        if self.in_order {
            together.rotate_right(1);
        } else {
            self.rng.shuffle(&mut together);
        }
        let key = (control, flow);
        for case in &members {
            self.cases[*case as usize].control = control;
        }
        self.sets.insert(key, MatchedSet::new(at, members));
        if limited {
            let place = &mut self.places[at as usize];
            together.reverse();
            (place.queue, place.building) = (together, Some(key));
            return;
        }
        for probe in together {
            self.send(at, probe, view.now, out);
        }
        self.all_sent(key, view.now);
    }

    /// The canary vouches where nobody else can: one probe of it for all sources probed by the same flow.
    fn probe_with_canary(&mut self, at: u32, members: Vec<u32>, view: &View<'_>, out: &mut Vec<RetryProbe>) {
        let key = (CANARY, self.flow);
        let flow = self.flow;
        let indices: Vec<u32> = members.iter().map(|case| self.cases[*case as usize].index).collect();
        let known = self.sets.get(&key).map(|set| (set.members.len(), set.closed, set.state));
        for case in &members {
            self.cases[*case as usize].control = CANARY;
        }
        match known {
            Some((len, ..)) if len >= bounds::CASES_PER_CANARY => {
                self.places[at as usize].todo.extend(members);
                self.wait_for_flow(at, view);
                return;
            }
            Some((_, closed, state)) => {
                if closed || state == SetState::Void {
                    for case in &members {
                        self.cases[*case as usize].resolve();
                    }
                }
                if closed && state == SetState::Answered {
                    for case in &members {
                        self.count(*case, false, Vouches { direct: true, behind_nat: false }, view.states);
                    }
                }
                if let Some(set) = self.sets.get_mut(&key) {
                    set.members.extend(members);
                }
            }
            None => {
                self.sets.insert(key, MatchedSet::new(at, members));
                self.send(at, RetryProbe { index: CANARY, flow, control: true }, view.now, out);
                self.all_sent(key, view.now);
            }
        }
        for index in indices {
            self.send(at, RetryProbe { index, flow, control: false }, view.now, out);
        }
    }

    pub(super) fn send(&mut self, at: u32, probe: RetryProbe, now: Duration, out: &mut Vec<RetryProbe>) {
        if !probe.control
            && let Some(number) = self.case(probe.index)
        {
            let server = (probe.flow % self.servers) as u16;
            let case = &mut self.cases[number];
            case.probes = case.probes.saturating_add(1);
            case.sent = case.sent.saturating_add(1);
            (case.flow, case.server, case.probed_at) = (probe.flow, server, now);
            self.rounds = self.rounds.max(super::to_u8(case.probes));
            #[cfg(test)]
            if self.broken(super::super::settings::Mutant::NoPairs) {
                let case = &mut self.cases[number];
                case.counted = case.counted.saturating_add(1);
                case.evidence += case.weight;
                case.sides[usize::from(case.control > case.index)] += case.weight;
            }
        }
        if probe.control
            && let Some(set) = self.sets.get_mut(&(probe.index, probe.flow))
        {
            set.probed_at = now;
        }
        self.paces.sent(at, now);
        self.in_flight_sum += 1;
        match self.in_flight.back_mut() {
            Some((time, count)) if *time == now => *count += 1,
            _ => self.in_flight.push_back((now, 1)),
        }
        out.push(probe);
    }

    fn all_sent(&mut self, key: (u32, u32), now: Duration) {
        if let Some(set) = self.sets.get_mut(&key) {
            set.sent_at = Some(now);
            let slow = self.places[set.place as usize].slow;
            self.waiting.push(Reverse((now + super::grace(self.rto).max(slow), key)));
        }
    }
}
