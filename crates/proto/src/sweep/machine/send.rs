//! What to send next.

use std::time::Duration;

use super::super::evidence::{Entry, Failure};
use super::super::probe_id::{ProbeId, pass_of};
use super::super::retry::{CANARY, Cooldown, Retry, RetryProbe};
use super::super::settings::bounds;
use super::super::states::State;
use super::super::verdict::{Status, VerdictSink};
use super::{EndReason, Next, Phase, Probe, Sweep};

impl Sweep {
    /// Says what to do now. Probes to send are appended to `probes`, verdicts go to `sink`; `room` is how many
    /// verdicts the receiver still has room for (those of the probes in flight not counted off). `worker` asks; most probes are
    /// its own, but some may be another's (see [`Probe::worker`]).
    pub fn step(
        &mut self,
        worker: u16,
        now: Duration,
        room: usize,
        probes: &mut Vec<Probe>,
        sink: &mut impl VerdictSink,
    ) -> Next {
        self.detect_suspension(now);
        let next = self.next(worker, now, room, probes, sink);
        if let Next::Wait(until) = next {
            self.expected_by = self.expected_by.max(until);
        }
        next
    }

    fn next(
        &mut self,
        worker: u16,
        now: Duration,
        room: usize,
        probes: &mut Vec<Probe>,
        sink: &mut impl VerdictSink,
    ) -> Next {
        loop {
            match self.phase {
                Phase::Done(reason) => return Next::Done(reason),
                Phase::Replay(from) => {
                    if !self.replay(from, room, sink) {
                        return Next::Full;
                    }
                }
                Phase::Conclude(from) => {
                    if !self.conclude(from, room, sink) {
                        return Next::Full;
                    }
                }
                _ if self.states.count(State::Open) == 0 => self.conclude_all(),
                Phase::Pass => {
                    if let Some(next) = self.step_pass(worker, now, room, probes) {
                        return next;
                    }
                }
                Phase::Gap => {
                    if let Some(next) = self.step_gap(now) {
                        return next;
                    }
                }
                Phase::Retry => {
                    if let Some(next) = self.step_retry(now, room, probes) {
                        return next;
                    }
                }
                Phase::Cooldown => {
                    if let Some(next) = self.step_cooldown(now, room, probes) {
                        return next;
                    }
                }
                Phase::Paused(since) => {
                    if let Some(next) = self.step_paused(now, since, probes) {
                        return next;
                    }
                }
            }
        }
    }

    /// A probe could not be sent. The source is probed again.
    pub fn on_send_failure(&mut self, probe: &Probe, failure: Failure) {
        let probe_id = ProbeId::decode(&probe.id);
        // Being refused is an answer too: the sources are worth probing, even if no server has answered yet.
        self.confirmed |= !probe_id.control;
        let index = self.source_at(probe_id.position, probe.flow).map(|(index, _)| index);
        if probe.flow <= self.first_flow {
            if probe_id.control {
                return;
            }
            self.flight.cancel(probe_id.position);
        } else if let (Some(retry), Some(index)) = (&mut self.retry, index) {
            let retry_probe =
                RetryProbe { index: index.unwrap_or(CANARY), flow: probe.flow, control: probe_id.control };
            retry.on_refused(retry_probe, &self.states, self.last_sent);
        }
        let Some(Some(index)) = index.filter(|_| !probe_id.control) else { return };
        let refused = |e: Entry| matches!(e.status, Status::SendError | Status::BindError);
        if self.states.at(index) == State::Open && self.evidence.get(index).is_none_or(refused) {
            self.evidence.put(index, Entry::failure(failure));
        }
    }

    /// How many probes may leave now, or what to wait for. `window` is the share of one worker if there are others, and
    /// `in_flight` what it has under way; `all_in_flight` is of all of them.
    fn allowance(
        &mut self,
        now: Duration,
        room: usize,
        window: u32,
        in_flight: u32,
        all_in_flight: u32,
    ) -> Result<usize, Next> {
        let space = (window.saturating_sub(in_flight) as usize).min(self.settings.batch);
        // Small remainders of the window are left to grow: a batch is cheaper than its probes one by one.
        if space == 0 || (in_flight > 0 && space < self.settings.batch.min(window as usize / 2)) {
            return Ok(0);
        }
        if room.saturating_sub(all_in_flight as usize) < space {
            return Err(Next::Full);
        }
        match self.pace.available(now, space) {
            0 => Err(Next::Wait(self.pace.next_at())),
            allowed => Ok(allowed),
        }
    }

    fn step_pass(
        &mut self,
        worker: u16,
        now: Duration,
        room: usize,
        probes: &mut Vec<Probe>,
    ) -> Option<Next> {
        let lost = self.flight.expire(self.drained_until);
        if lost > 0 {
            self.window.on_lost(lost);
        }
        let heartbeat_at = self.watch(now, probes);
        if matches!(self.phase, Phase::Paused(_)) {
            return Some(Next::Send);
        }
        let end = self.pass_end();
        let share = (self.window.current() / u32::from(self.workers.count())).max(1);
        let (own, all) = (self.flight.in_flight_of(worker), self.flight.in_flight());
        let wake = match self.allowance(now, room, share, own, all) {
            Ok(0) => self.flight.next_expiry().unwrap_or(now),
            Ok(allowed) => {
                self.fill(worker, now, allowed, end, probes);
                now
            }
            Err(Next::Wait(until)) => until,
            Err(next) if probes.is_empty() && self.cursor < end => return Some(next),
            Err(_) => now,
        };
        if !probes.is_empty() {
            return Some(Next::Send);
        }
        if self.cursor >= end {
            self.phase = Phase::Gap;
            return None;
        }
        Some(Next::Wait(
            heartbeat_at.map_or(wake, |heartbeat| wake.min(heartbeat)).max(now + Duration::from_micros(1)),
        ))
    }

    /// Appends up to `allowed` probes to open sources, in the permuted order.
    fn fill(&mut self, worker: u16, now: Duration, allowed: usize, end: u32, probes: &mut Vec<Probe>) {
        let (mut first, mut last, mut count) = (None, 0, 0);
        while count < allowed && self.cursor < end {
            let position = self.cursor;
            self.cursor += 1;
            if self.states.at(self.order.nth(position)) != State::Open {
                continue;
            }
            if first.is_none() {
                first = Some(position);
                self.workers.on_sent(position, worker);
            }
            self.push(position, self.first_flow, worker, false, probes);
            last = position;
            count += 1;
        }
        if let Some(first) = first {
            self.flight.on_sent(now, worker, first, last, count as u32);
            self.record_sent(now, count);
        }
    }

    fn record_sent(&mut self, now: Duration, count: usize) {
        self.counters.probes += count as u64;
        self.pace.take(count);
        self.last_sent = now;
    }

    /// `number`: a position in the first pass, an index later.
    pub(super) fn push(
        &mut self,
        number: u32,
        flow: u32,
        worker: u16,
        control: bool,
        probes: &mut Vec<Probe>,
    ) {
        let Some((_, source)) = self.source_at(number, flow) else { return };
        let server = self.server_for(number, flow, worker);
        let probe_id = ProbeId { position: number, pass: pass_of(flow), control };
        probes.push(Probe {
            id: self.probe_ids.encode(probe_id, source, self.server(server)),
            source,
            server,
            flow,
            worker,
        });
    }

    /// Where the first pass ends: at the last source, or, as long as nothing at all has answered, after a first few.
    fn pass_end(&self) -> u32 {
        if self.confirmed { self.targets.len() } else { self.targets.len().min(bounds::UNCONFIRMED_BURST) }
    }

    /// After the first pass: waits for the replies to its last probes, then retries what is silent.
    fn step_gap(&mut self, now: Duration) -> Option<Next> {
        if self.cursor < self.pass_end() {
            // The first answer of all came while only the first few sources had been probed: now the whole block is worth
            // probing.
            self.flight.clear();
            self.phase = Phase::Pass;
            return None;
        }
        // As long as nothing at all has answered, a round trip may just take long.
        let again = !self.confirmed && self.first_flow + 1 < bounds::UNCONFIRMED_PASSES;
        let gap = if self.responsive > 0 || again { self.pass_gap() } else { self.settings.timeout };
        let until = self.last_sent + gap;
        if self.drained_until < until {
            return Some(Next::Wait(until.max(now + Duration::from_micros(1))));
        }
        self.flight.clear();
        if !self.confirmed {
            if self.first_flow + 1 >= bounds::UNCONFIRMED_PASSES {
                self.phase = Phase::Done(EndReason::Silent);
                return None;
            }
            self.first_flow += 1;
            self.cursor = 0;
            self.phase = Phase::Pass;
            return None;
        }
        self.window.on_next_pass(self.workers.count());
        let took = self.last_sent.saturating_sub(self.began).as_secs_f64().max(0.01);
        let speed = f64::from(self.targets.len()) / took;
        self.retry = Some(Box::new(Retry::new(
            &self.states,
            self.targets.shift(bounds::NEIGHBOURHOOD_BITS * 2),
            self.first_flow,
            speed,
            &self.settings,
            now,
            self.seed,
        )));
        for (index, entry) in self.evidence.iter() {
            if let Some(retry) = self.retry.as_mut().filter(|_| !entry.is_refusal()) {
                let mapped = entry.status == Status::Mapped;
                retry.on_case(index, self.first_flow, mapped, &self.states, now);
            }
        }
        self.phase = Phase::Retry;
        None
    }

    fn step_retry(&mut self, now: Duration, room: usize, probes: &mut Vec<Probe>) -> Option<Next> {
        let heartbeat_at = self.watch(now, probes);
        if matches!(self.phase, Phase::Paused(_)) {
            return Some(Next::Send);
        }
        let Some(mut retry) = self.retry.take() else {
            self.conclude_all();
            return None;
        };
        let mut retry_probes = std::mem::take(&mut self.retry_probes);
        let in_flight = retry.in_flight(&self.view(now));
        let allowance = self.allowance(now, room, self.window.current(), in_flight, in_flight);
        let allowed = *allowance.as_ref().unwrap_or(&0);
        let wake = retry.poll(&self.view(now), allowed, &mut retry_probes);
        let next_expiry = retry.next_expiry(&self.view(now));
        if wake.is_none() && retry_probes.is_empty() {
            retry.begin_cooldown(&self.view(now));
        }
        self.retry = Some(retry);
        self.push_retry_probes(now, &mut retry_probes, probes);
        self.retry_probes = retry_probes;
        if !probes.is_empty() {
            return Some(Next::Send);
        }
        let Some(wake) = wake else {
            self.phase = Phase::Cooldown;
            return None;
        };
        let wake = match allowance {
            // Whatever is due, nothing can leave before.
            Ok(0) => wake.max(next_expiry.unwrap_or(now)),
            Err(Next::Full) if wake <= now => return Some(Next::Full),
            Err(Next::Wait(until)) => wake.max(until),
            _ => wake,
        };
        Some(Next::Wait(
            heartbeat_at.map_or(wake, |heartbeat| wake.min(heartbeat)).max(now + Duration::from_micros(1)),
        ))
    }

    /// Every probe has been sent: waits for late replies, and then checks whether that was enough.
    fn step_cooldown(&mut self, now: Duration, room: usize, probes: &mut Vec<Probe>) -> Option<Next> {
        let Some(mut retry) = self.retry.take() else {
            self.conclude_all();
            return None;
        };
        let in_flight = retry.in_flight(&self.view(now));
        let allowance = self.allowance(now, room, self.window.current(), in_flight, in_flight);
        let allowed = *allowance.as_ref().unwrap_or(&0);
        let view = self.view(now);
        let mut retry_probes = Vec::new();
        let cooldown = retry.poll_cooldown(&view, allowed, &mut retry_probes);
        let next_expiry = retry.next_expiry(&view);
        let more = matches!(cooldown, Cooldown::Over) && retry.reopen(&view);
        self.retry = Some(retry);
        match cooldown {
            Cooldown::Send => {
                self.push_retry_probes(now, &mut retry_probes, probes);
                Some(Next::Send)
            }
            Cooldown::Wait(until) => {
                let until = match allowance {
                    Err(Next::Full) if until <= now => return Some(Next::Full),
                    Err(Next::Wait(pace)) => until.max(pace),
                    // Whatever is due, nothing can leave before.
                    Ok(0) if until <= now => next_expiry.unwrap_or(until),
                    _ => until,
                };
                Some(Next::Wait(until.max(now + Duration::from_micros(1))))
            }
            Cooldown::Over => {
                if more {
                    self.phase = Phase::Retry;
                } else {
                    self.conclude_all();
                }
                None
            }
        }
    }

    fn push_retry_probes(
        &mut self,
        now: Duration,
        retry_probes: &mut Vec<RetryProbe>,
        probes: &mut Vec<Probe>,
    ) {
        for retry_probe in retry_probes.drain(..) {
            let (number, worker) = match retry_probe.index {
                CANARY => (u32::MAX, 0),
                index if retry_probe.flow <= self.first_flow => {
                    let position = self.order.position(index);
                    (position, self.workers.of(position))
                }
                index => (index, 0),
            };
            self.push(number, retry_probe.flow, worker, retry_probe.control, probes);
            self.record_sent(now, 1);
        }
    }
}
