//! Detects that the network itself is gone, by heartbeats that stay unanswered, and that this program did not run.

use std::collections::VecDeque;
use std::time::Duration;

use super::super::rng::SplitMix64;
use super::super::settings::bounds;
use super::super::states::State;
use super::{Next, Phase, Probe, Sweep};

/// What is known of the network as a whole.
#[derive(Clone, Debug)]
pub(super) struct OutageDetector {
    pub last_reply: Duration,
    last_heartbeat: Duration,
    /// The last reply before the outage that is being waited out.
    lost_at: Duration,
    /// Heartbeats sent since the last reply.
    pub heartbeats: u32,
    /// The last heartbeat had to go to sources of a place that can only be probed slowly.
    in_slow_place: bool,
    /// Outages after which the first pass went back.
    rewinds: u32,
    rng: SplitMix64,
    /// (time, cursor): how far the first pass was at that time, for going back to before an outage.
    marks: VecDeque<(Duration, u32)>,
}

impl OutageDetector {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            last_reply: Duration::ZERO,
            last_heartbeat: Duration::ZERO,
            lost_at: Duration::ZERO,
            heartbeats: 0,
            in_slow_place: false,
            rewinds: 0,
            rng: SplitMix64::new(seed),
            marks: VecDeque::new(),
        }
    }
}

impl Sweep {
    /// Detects that the program did not run for a while (stopped, starved, or the machine suspended): what was under way then proves
    /// nothing, neither by its silence nor by the time of its answer.
    pub(super) fn detect_suspension(&mut self, now: Duration) {
        if now > self.expected_by + bounds::SUSPENDED_AFTER {
            self.flight.clear();
            if let Some(retry) = &mut self.retry {
                retry.void(now);
            }
            // Nor is the network to blame that nothing was read meanwhile.
            self.outage_detector.last_reply = self.outage_detector.last_reply.max(now);
            self.outage_detector.heartbeats = 0;
        }
        self.expected_by = now;
    }

    /// Watches over the network: heartbeats when it is quiet, a pause when those stay unanswered. Gives the time of the
    /// next heartbeat, if one is to come.
    pub(super) fn watch(&mut self, now: Duration, probes: &mut Vec<Probe>) -> Option<Duration> {
        if self.phase == Phase::Pass
            && self
                .outage_detector
                .marks
                .back()
                .is_none_or(|(at, _)| now >= *at + bounds::HEARTBEAT_AFTER / 2)
        {
            self.outage_detector.marks.push_back((now, self.cursor));
            if self.outage_detector.marks.len() > 1_024 {
                self.outage_detector.marks.pop_front();
            }
        }
        if self.settings.canary.is_none() && self.responsive == 0 {
            return None;
        }
        let every = self.heartbeat_interval();
        let due = self.outage_detector.last_reply.max(self.outage_detector.last_heartbeat) + every;
        // Only silence while probes are out is silence.
        let asking = self.last_sent > self.outage_detector.last_reply || self.outage_detector.heartbeats > 0;
        if !asking || now < due {
            return asking.then_some(due);
        }
        // What has arrived is read first.
        if self.drained_until < due {
            return Some(now);
        }
        if self.outage_detector.heartbeats >= bounds::HEARTBEATS_LOST {
            self.phase = Phase::Paused(now);
            self.outage_detector.lost_at = self.outage_detector.last_reply;
            self.counters.outages += 1;
            self.flight.clear();
            if let Some(retry) = &mut self.retry {
                retry.void(now);
            }
        }
        self.send_heartbeat(now, probes);
        Some(now + every)
    }

    /// Heartbeats are probes too: under a rate limit they take an eighth of it at most.
    fn heartbeat_interval(&self) -> Duration {
        let in_slow_place = self.outage_detector.in_slow_place;
        let found = self.retry.as_ref().and_then(|retry| retry.heartbeat_rate(in_slow_place));
        let rate = [self.pace.rate(), found].into_iter().flatten().reduce(f64::min);
        let of_rate = rate.map_or(0.0, |rate| f64::from(bounds::HEARTBEAT_PROBES) * 8.0 / rate);
        bounds::HEARTBEAT_AFTER
            .max(self.flight.times.rto() * 2)
            .max(Duration::from_secs_f64(of_rate.min(60.0)))
    }

    fn send_heartbeat(&mut self, now: Duration, probes: &mut Vec<Probe>) {
        let before = probes.len();
        self.outage_detector.in_slow_place = false;
        for n in 0..bounds::HEARTBEAT_PROBES {
            let position = match self.known_position() {
                Some(position) => position,
                None if self.settings.canary.is_some() => u32::MAX - n,
                None => break,
            };
            // By the flow of the first pass: this tests whether the network is there, not whether it takes new flows.
            self.push(position, self.first_flow, self.workers.of(position), true, probes);
        }
        self.counters.probes += (probes.len() - before) as u64;
        self.pace.take(probes.len() - before);
        self.outage_detector.last_heartbeat = now;
        self.outage_detector.heartbeats += 1;
    }

    /// A random position whose source has answered, not in a place that can only be probed slowly, if there is another.
    fn known_position(&mut self) -> Option<u32> {
        if self.states.judged() == 0 {
            return None;
        }
        let mut found = self.any_known_position();
        for _ in 0..bounds::HEARTBEAT_DRAWS {
            let is_slow =
                |position| self.retry.as_ref().is_some_and(|retry| retry.is_slow(self.order.nth(position)));
            if !found.is_some_and(is_slow) {
                return found;
            }
            found = self.any_known_position();
        }
        self.outage_detector.in_slow_place = true;
        found
    }

    fn any_known_position(&mut self) -> Option<u32> {
        let len = self.targets.len();
        let start = self.outage_detector.rng.below(len);
        // Where half have answered two draws suffice; where few have, the search is long but such passes are short.
        (0..len)
            .map(|n| (start + n) % len)
            .find(|position| self.states.at(self.order.nth(*position)) != State::Open)
    }

    pub(super) fn step_paused(
        &mut self,
        now: Duration,
        since: Duration,
        probes: &mut Vec<Probe>,
    ) -> Option<Next> {
        if self.outage_detector.last_reply > since {
            self.outage_detector.heartbeats = 0;
            if self.retry.is_some() {
                self.phase = Phase::Retry;
                return None;
            }
            // Back. What was sent since the last reply before the outage was sent into nothing: probe it again. Not time and again:
            // a path that carries very little looks the same, and what it lost is probed again later anyway.
            if self.outage_detector.rewinds < bounds::MAX_REWINDS {
                self.outage_detector.rewinds += 1;
                let safe = self.outage_detector.lost_at.saturating_sub(self.flight.times.rto() * 2);
                while self.outage_detector.marks.back().is_some_and(|(at, _)| *at > safe)
                    && self.outage_detector.marks.len() > 1
                {
                    self.outage_detector.marks.pop_back();
                }
                if let Some((_, cursor)) = self.outage_detector.marks.back() {
                    self.cursor = self.cursor.min(*cursor);
                }
            }
            self.phase = Phase::Pass;
            return None;
        }
        if now.min(self.drained_until) >= since + bounds::OUTAGE_LIMIT {
            self.network_lost = true;
            self.conclude_all();
            return None;
        }
        let every = self.heartbeat_interval() * 2;
        if now >= self.outage_detector.last_heartbeat + every {
            self.send_heartbeat(now, probes);
            return Some(Next::Send);
        }
        Some(Next::Wait(self.outage_detector.last_heartbeat + every))
    }
}
