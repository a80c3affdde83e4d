//! What a sweep hands on: verdicts to the ring, figures for progress.

use std::time::Duration;

use routepool_proto::sweep::{Phase, RECORD_LEN, Status, Sweep, Verdict, VerdictSink};

use super::shared::{Progress, Shared};
use crate::defaults::{PROGRESS_EVERY, RING_RECORDS, WAKE_AFTER, WAKE_RECORDS};
use crate::waker::Waker;

/// Verdicts gathered by the thread, handed to the ring a batch at a time.
#[derive(Default)]
pub(super) struct VerdictBuffer {
    bytes: Vec<u8>,
    room: Option<usize>,
    unannounced: usize,
    since: Duration,
}

impl VerdictBuffer {
    /// Room in the ring. It is asked for again only when it may have become short, to keep the lock cold.
    pub(super) fn room(&mut self, shared: &Shared) -> usize {
        match self.room {
            Some(room) if room > RING_RECORDS / 4 * 3 => room,
            _ => *self.room.insert(shared.ring.room()),
        }
    }

    pub(super) fn is_waiting(&self) -> bool {
        self.unannounced > 0
    }

    pub(super) fn flush(&mut self, now: Duration, last: bool, shared: &Shared, waker: &dyn Waker) {
        if !self.bytes.is_empty() {
            if self.unannounced == 0 {
                self.since = now;
            }
            self.unannounced += self.bytes.len() / RECORD_LEN;
            self.room = Some(shared.ring.push(&self.bytes));
            self.bytes.clear();
        }
        if self.unannounced > 0
            && (last || self.unannounced >= WAKE_RECORDS || now >= self.since + WAKE_AFTER)
        {
            self.unannounced = 0;
            shared.wake(waker);
        }
    }
}

impl VerdictSink for VerdictBuffer {
    fn verdict(&mut self, verdict: &Verdict) {
        self.bytes.extend_from_slice(&verdict.to_record());
    }
}

/// The figures for progress, and the rate over the last second or so.
#[derive(Default)]
pub(super) struct Meter {
    last: Duration,
    rate: f64,
    probes: u64,
}

impl Meter {
    pub(super) fn measure(&mut self, now: Duration, sweep: &Sweep) -> Option<Progress> {
        if now < self.last + PROGRESS_EVERY {
            return None;
        }
        let seconds = now.saturating_sub(self.last).as_secs_f64();
        let current = (sweep.counters().probes - self.probes) as f64 / seconds;
        // An average that forgets over about a second.
        let weight = if self.rate == 0.0 { 1.0 } else { seconds.min(1.0) };
        self.rate += (current - self.rate) * weight;
        (self.last, self.probes) = (now, sweep.counters().probes);
        Some(self.figures(now, sweep))
    }

    pub(super) fn figures(&self, now: Duration, sweep: &Sweep) -> Progress {
        let sources = sweep.targets().len();
        let left = f64::from(sweep.left_in_pass());
        let phase = match sweep.phase() {
            Phase::Pass | Phase::Retry | Phase::Paused(_) | Phase::Replay(_) => "pass",
            Phase::Gap | Phase::Cooldown => "waiting",
            Phase::Conclude(_) | Phase::Done(_) => "done",
        };
        Progress {
            sources,
            decided: sources - sweep.untested(),
            ok: sweep.judged(Status::Ok),
            probes: sweep.counters().probes,
            pass: sweep.pass(),
            rate: self.rate,
            elapsed: now,
            eta: (self.rate >= 1.0 && phase == "pass")
                .then(|| Duration::from_secs_f64((left / self.rate).min(1e9))),
            paused: matches!(sweep.phase(), Phase::Paused(_)),
            phase,
        }
    }
}
