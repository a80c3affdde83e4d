//! What to send next.

use std::time::Duration;

use super::super::bits::State;
use super::super::control::Controls;
use super::super::cookie::Ticket;
use super::super::evidence::{Entry, Failure};
use super::super::settings::bounds;
use super::super::verdict::{Status, VerdictSink};
use super::{Next, Phase, Probe, Sweep, Why};

impl Sweep {
    /// Says what to do now. Probes to send are appended to `probes`, verdicts go to `sink`; `room` is how many
    /// verdicts the receiver still has room for (those of the probes in flight not counted off).
    pub fn step(
        &mut self,
        now: Duration,
        room: usize,
        probes: &mut Vec<Probe>,
        sink: &mut impl VerdictSink,
    ) -> Next {
        loop {
            match self.phase {
                Phase::Done(why) => return Next::Done(why),
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
                _ if self.states.count(State::Open) == 0 => self.phase = Phase::Conclude(0),
                Phase::Pass => {
                    if let Some(next) = self.step_pass(now, room, probes) {
                        return next;
                    }
                }
                Phase::Gap => {
                    let until = self.last_sent + self.pass_gap();
                    if self.take_up_the_rest() {
                        continue;
                    }
                    if now < until {
                        return Next::Wait(until);
                    }
                    self.after_pass();
                }
                Phase::Cooldown => {
                    let until = self.last_sent + self.settings.timeout;
                    if self.take_up_the_rest() {
                        continue;
                    }
                    if now < until {
                        return Next::Wait(until);
                    }
                    if !self.confirmed {
                        self.phase = Phase::Done(Why::Silent);
                        continue;
                    }
                    self.silence = Some(self.meaning_of_silence(false));
                    self.phase = Phase::Conclude(0);
                }
                Phase::Paused(since) => {
                    if let Some(next) = self.step_paused(now, since, probes) {
                        return next;
                    }
                }
            }
        }
    }

    /// A probe could not be sent. The source is asked again in the next pass.
    pub fn on_send_failure(&mut self, probe: &Probe, failure: Failure) {
        let ticket = super::super::cookie::Cookie::ticket(&probe.id);
        if ticket.control {
            return;
        }
        self.flight.cancel(ticket.position);
        let Some((Some(index), _)) = self.source_at(ticket.position) else { return };
        if self.states.at(index) == State::Open
            && self.evidence.get(index).is_none_or(|e| e.status != Status::Mapped)
        {
            self.evidence.put(index, Entry::failure(failure, ticket.pass));
        }
        // Being refused is an answer too: the sources are worth asking, even if no server was heard yet.
        self.confirmed = true;
    }

    fn step_pass(&mut self, now: Duration, room: usize, probes: &mut Vec<Probe>) -> Option<Next> {
        let lost = self.flight.expire(now);
        if lost > 0 {
            self.window.on_lost(lost);
        }
        let beat_at = self.watch(now, probes);
        if matches!(self.phase, Phase::Paused(_)) {
            return Some(Next::Send);
        }
        let end = self.end_of_walk();
        let in_flight = self.flight.in_flight();
        let space = (self.window.current().saturating_sub(in_flight) as usize).min(self.settings.batch);
        // Small remainders of the window are left to grow: a batch is cheaper than its probes one by one.
        let space = if in_flight > 0 && space < self.settings.batch.min(self.window.current() as usize / 2) {
            0
        } else {
            space
        };
        let room = room.saturating_sub(in_flight as usize);
        let wanted = if room < space { 0 } else { space };
        let allowed = if wanted == 0 { 0 } else { self.pace.available(now, wanted) };
        self.fill(now, allowed, end, probes);
        if !probes.is_empty() {
            return Some(Next::Send);
        }
        if self.cursor >= end && self.controls.left() == 0 {
            self.phase = Phase::Gap;
            return None;
        }
        if wanted == 0 && space > 0 {
            return Some(Next::Full);
        }
        let wake = if wanted > 0 { self.pace.next_at() } else { self.flight.next_expiry().unwrap_or(now) };
        Some(Next::Wait(beat_at.map_or(wake, |beat| wake.min(beat)).max(now + Duration::from_micros(1))))
    }

    /// Appends up to `allowed` probes: the open sources in walking order, and controls evenly among them.
    fn fill(&mut self, now: Duration, allowed: usize, end: u32, probes: &mut Vec<Probe>) {
        let (mut first, mut last, mut count) = (None, 0, 0);
        let mut controls = 0;
        while count + controls < allowed {
            if self.control_is_due(end)
                && let Some(position) = self.controls.next()
            {
                self.passes.control_sent(self.pass);
                self.push(position, true, probes);
                controls += 1;
                continue;
            }
            if self.cursor >= end {
                break;
            }
            let position = self.cursor;
            self.cursor += 1;
            let index = self.order.nth(position);
            if self.states.at(index) != State::Open {
                continue;
            }
            let Some(source) = self.targets.source(index) else { continue };
            let server = self.server_for(position, self.pass);
            let ticket = Ticket { position, pass: self.pass, control: false };
            probes.push(Probe { id: self.cookie.id(ticket, source, self.server(server)), source, server });
            first = first.or(Some(position));
            last = position;
            count += 1;
        }
        if let Some(first) = first {
            self.flight.launch(now, first, last, count as u32);
        }
        if count + controls > 0 {
            self.counters.probes += (count + controls) as u64;
            self.pace.take(count + controls);
            self.last_sent = now;
        }
    }

    fn push(&mut self, position: u32, control: bool, probes: &mut Vec<Probe>) {
        let Some((_, source)) = self.source_at(position) else { return };
        let server = self.server_for(position, self.pass);
        let ticket = Ticket { position, pass: self.pass, control };
        probes.push(Probe { id: self.cookie.id(ticket, source, self.server(server)), source, server });
    }

    /// Spreads the controls over the walk: the share handed out follows the share walked.
    fn control_is_due(&self, end: u32) -> bool {
        let (left, all) = (self.controls.left() as u64, self.controls.len() as u64);
        left > 0 && (all - left) * u64::from(end) <= u64::from(self.cursor) * all
    }

    /// Where this pass ends: at the last source, or, as long as nothing at all has answered, after a first few.
    fn end_of_walk(&self) -> u32 {
        if self.confirmed { self.targets.len() } else { self.targets.len().min(bounds::UNCONFIRMED_BURST) }
    }

    /// The first answer of all came while only the first few sources had been asked: now the whole block is worth asking.
    fn take_up_the_rest(&mut self) -> bool {
        let more = self.cursor < self.end_of_walk();
        if more {
            self.passes.first = self.pass;
            self.flight.clear();
            self.phase = Phase::Pass;
        }
        more
    }

    /// After a pass and its gap: another one, or the end.
    fn after_pass(&mut self) {
        self.flight.clear();
        let asks = self.asks();
        let more = if !self.confirmed {
            asks < bounds::MIN_PASSES
        } else if let Some(passes) = self.settings.passes {
            asks < passes
        } else {
            asks < bounds::MIN_PASSES
                || (asks < bounds::MAX_PASSES && !self.passes.silence_is_proven(self.pass, self.good))
        };
        if more {
            self.pass += 1;
            self.cursor = 0;
            self.window.on_next_pass();
            self.controls = self.choose_controls();
            self.alive.marks.clear();
            self.phase = Phase::Pass;
        } else {
            self.phase = Phase::Cooldown;
        }
    }

    /// Sources that answered before, to be asked again in this pass; the canary where there are none.
    pub(super) fn choose_controls(&mut self) -> Controls {
        let known = self.targets.len() - self.states.count(State::Open);
        if known == 0 {
            let canaries = if self.settings.canary.is_some() { bounds::CANARY_CONTROLS } else { 0 };
            return Controls::new((0..canaries).map(|n| u32::MAX - n).collect());
        }
        let wanted = bounds::CONTROLS.min(known);
        let mut positions = Vec::with_capacity(wanted as usize);
        for _ in 0..wanted * 4 {
            if positions.len() as u32 >= wanted {
                break;
            }
            positions.extend(self.known_position());
        }
        Controls::new(positions)
    }

    /// A random position whose source has answered.
    fn known_position(&mut self) -> Option<u32> {
        let len = self.targets.len();
        let known = len - self.states.count(State::Open);
        if known == 0 {
            return None;
        }
        let start = self.roll(len);
        // Where half have answered two looks suffice; where few have, the walk is long but such passes are short.
        (0..len)
            .map(|n| (start + n) % len)
            .find(|position| self.states.at(self.order.nth(*position)) != State::Open)
    }

    fn roll(&mut self, below: u32) -> u32 {
        // SplitMix64: seeded, so that a run repeats.
        self.alive.dice = self.alive.dice.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.alive.dice;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((x >> 32) % u64::from(below.max(1))) as u32
    }

    /// Watches over the network: heartbeats when it is quiet, a pause when those stay unanswered. Gives the time of the
    /// next heartbeat, if one is to come.
    fn watch(&mut self, now: Duration, probes: &mut Vec<Probe>) -> Option<Duration> {
        if self.alive.marks.back().is_none_or(|(at, _)| now >= *at + bounds::HEARTBEAT_AFTER / 2) {
            self.alive.marks.push_back((now, self.cursor));
            if self.alive.marks.len() > 1_024 {
                self.alive.marks.pop_front();
            }
        }
        if self.settings.canary.is_none() && self.good == 0 {
            return None;
        }
        let every = self.beat_interval();
        let due = self.alive.last_reply.max(self.alive.last_beat) + every;
        // Only silence while probes are out is silence.
        let asking = self.last_sent > self.alive.last_reply || self.alive.beats > 0;
        if !asking || now < due {
            return asking.then_some(due);
        }
        if self.alive.beats >= bounds::HEARTBEATS_LOST {
            self.phase = Phase::Paused(now);
            self.alive.lost_at = self.alive.last_reply;
            self.counters.outages += 1;
            self.flight.clear();
        }
        self.beat(now, probes);
        Some(now + every)
    }

    /// Heartbeats are probes too: under a rate limit they take an eighth of it at most.
    fn beat_interval(&self) -> Duration {
        let of_rate = self.pace.rate().map_or(0.0, |rate| f64::from(bounds::HEARTBEAT_PROBES) * 8.0 / rate);
        bounds::HEARTBEAT_AFTER
            .max(self.flight.times.hold() * 2)
            .max(Duration::from_secs_f64(of_rate.min(60.0)))
    }

    fn beat(&mut self, now: Duration, probes: &mut Vec<Probe>) {
        let before = probes.len();
        for n in 0..bounds::HEARTBEAT_PROBES {
            let position = match self.known_position() {
                Some(position) => position,
                None if self.settings.canary.is_some() => u32::MAX - bounds::CANARY_CONTROLS - n,
                None => break,
            };
            self.push(position, true, probes);
        }
        self.counters.probes += (probes.len() - before) as u64;
        self.pace.take(probes.len() - before);
        self.alive.last_beat = now;
        self.alive.beats += 1;
    }

    fn step_paused(&mut self, now: Duration, since: Duration, probes: &mut Vec<Probe>) -> Option<Next> {
        if self.alive.last_reply > since {
            // Back. What was sent since the last reply before the outage was sent into nothing: ask it again.
            let safe = self.alive.lost_at.saturating_sub(self.flight.times.hold() * 2);
            while self.alive.marks.back().is_some_and(|(at, _)| *at > safe) && self.alive.marks.len() > 1 {
                self.alive.marks.pop_back();
            }
            if let Some((_, cursor)) = self.alive.marks.back() {
                self.cursor = self.cursor.min(*cursor);
            }
            self.alive.beats = 0;
            self.phase = Phase::Pass;
            return None;
        }
        if now >= since + bounds::OUTAGE_LIMIT {
            self.silence = Some(self.meaning_of_silence(true));
            self.phase = Phase::Conclude(0);
            return None;
        }
        let every = self.beat_interval() * 2;
        if now >= self.alive.last_beat + every {
            self.beat(now, probes);
            return Some(Next::Send);
        }
        Some(Next::Wait(self.alive.last_beat + every))
    }
}
