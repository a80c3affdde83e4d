//! Which batches are in flight, and how long their replies take.

use std::collections::VecDeque;
use std::time::Duration;

use super::settings::bounds::{INITIAL_RTO, MIN_RTO};

/// The batches of probes that may still be answered in time. Memory: one entry a batch, never one a probe.
#[derive(Clone, Debug, Default)]
pub(super) struct Flight {
    batches: VecDeque<Batch>,
    /// Batches that hold no place any more, kept to learn from their replies how long replies take.
    overdue: VecDeque<Batch>,
    late_in_a_row: u32,
    in_flight: u32,
    /// The same by worker.
    by_worker: Vec<u32>,
    pub(super) times: RoundTrips,
}

/// Replies that came after the time that is usual, one after the other: then it is no longer usual.
const LATE_IN_A_ROW: u32 = 8;
/// How long batches are kept to learn from late replies.
const OVERDUE_KEPT: Duration = Duration::from_secs(4);

#[derive(Clone, Copy, Debug)]
struct Batch {
    first: u32,
    last: u32,
    sent_at: Duration,
    open: u32,
    worker: u16,
    /// In the usual time.
    answered: bool,
}

impl Flight {
    /// A batch of `count` probes at positions `first..=last` (rising from batch to batch within a pass) was handed out to a worker.
    pub(super) fn on_sent(&mut self, now: Duration, worker: u16, first: u32, last: u32, count: u32) {
        self.batches.push_back(Batch { first, last, sent_at: now, open: count, worker, answered: false });
        self.in_flight += count;
        let of = usize::from(worker);
        self.by_worker.resize(self.by_worker.len().max(of + 1), 0);
        self.by_worker[of] += count;
    }

    pub(super) fn in_flight(&self) -> u32 {
        self.in_flight
    }

    pub(super) fn in_flight_of(&self, worker: u16) -> u32 {
        self.by_worker.get(usize::from(worker)).copied().unwrap_or(0)
    }

    /// A first reply to the probe at `position` came; gives the round-trip time, and whether the probe still held a place.
    pub(super) fn on_reply(&mut self, now: Duration, position: u32) -> Option<(Duration, bool)> {
        for (batches, held) in [(&mut self.batches, true), (&mut self.overdue, false)] {
            let at = batches.partition_point(|b| b.last < position);
            let Some(batch) = batches.get_mut(at).filter(|b| b.first <= position && b.open > 0) else {
                continue;
            };
            batch.open -= 1;
            batch.answered |= held;
            let took = now.saturating_sub(batch.sent_at);
            self.in_flight -= u32::from(held);
            self.by_worker[usize::from(batch.worker)] -= u32::from(held);
            self.late_in_a_row = if held { 0 } else { self.late_in_a_row + 1 };
            // A straggler says little of how long replies take, unless all are.
            let all_late = !held && !batch.answered && self.late_in_a_row >= LATE_IN_A_ROW;
            if held || all_late || self.times.smoothed.is_none() {
                self.times.record(took);
            }
            return Some((took, held));
        }
        None
    }

    /// A probe never left.
    pub(super) fn cancel(&mut self, position: u32) {
        let at = self.batches.partition_point(|b| b.last < position);
        if let Some(batch) = self.batches.get_mut(at).filter(|b| b.first <= position && b.open > 0) {
            batch.open -= 1;
            self.in_flight -= 1;
            self.by_worker[usize::from(batch.worker)] -= 1;
        }
    }

    /// Drops the batches whose time is up; gives the number of probes lost with them.
    pub(super) fn expire(&mut self, now: Duration) -> u32 {
        let rto = self.times.rto();
        let mut lost = 0;
        while let Some(batch) = self.batches.front() {
            if batch.open > 0 && now < batch.sent_at + rto {
                break;
            }
            lost += batch.open;
            self.in_flight -= batch.open;
            self.by_worker[usize::from(batch.worker)] -= batch.open;
            if batch.open > 0 {
                self.overdue.push_back(*batch);
            }
            self.batches.pop_front();
        }
        while self.overdue.front().is_some_and(|batch| batch.sent_at + OVERDUE_KEPT < now) {
            self.overdue.pop_front();
        }
        lost
    }

    /// When the next batch expires.
    pub(super) fn next_expiry(&self) -> Option<Duration> {
        self.batches.front().map(|b| b.sent_at + self.times.rto())
    }

    /// The position up to which everything was answered or given up.
    pub(super) fn oldest_position(&self) -> Option<u32> {
        self.batches.iter().find(|b| b.open > 0).map(|b| b.first)
    }

    /// Forgets all batches, before positions start anew.
    pub(super) fn clear(&mut self) {
        self.batches.clear();
        self.overdue.clear();
        self.in_flight = 0;
        self.by_worker.clear();
    }
}

/// Round-trip times: a smoothed estimate (the rules of RFC 6298) and a histogram with 8 steps per doubling.
#[derive(Clone, Debug)]
pub struct RoundTrips {
    smoothed: Option<(f64, f64)>,
    histogram: Vec<u32>,
    count: u64,
    max: Duration,
}

const STEPS: u32 = 8;

impl Default for RoundTrips {
    fn default() -> Self {
        Self {
            smoothed: None,
            histogram: vec![0; (u32::BITS * STEPS) as usize],
            count: 0,
            max: Duration::ZERO,
        }
    }
}

impl RoundTrips {
    fn record(&mut self, took: Duration) {
        let sample = took.as_secs_f64();
        self.smoothed = Some(match self.smoothed {
            None => (sample, sample / 2.0),
            Some((mean, deviation)) => {
                (mean + (sample - mean) / 8.0, deviation + ((sample - mean).abs() - deviation) / 4.0)
            }
        });
        let micros = u32::try_from(took.as_micros()).unwrap_or(u32::MAX).max(1);
        self.histogram[Self::bucket(micros)] += 1;
        self.count += 1;
        self.max = self.max.max(took);
    }

    fn bucket(micros: u32) -> usize {
        let exponent = micros.ilog2();
        let fraction =
            if exponent >= 3 { (micros >> (exponent - 3)) & 7 } else { (micros << (3 - exponent)) & 7 };
        (exponent * STEPS + fraction) as usize
    }

    /// How long a probe holds its place in the window: the retransmission timeout of RFC 6298, though with a lower minimum.
    #[must_use]
    pub fn rto(&self) -> Duration {
        match self.smoothed {
            None => INITIAL_RTO,
            Some((mean, deviation)) => Duration::from_secs_f64(mean + 4.0 * deviation).max(MIN_RTO),
        }
    }

    /// The round-trip time below which `share` (0 to 1) of the replies came, within 12 %. `None` without replies.
    #[must_use]
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        if self.count == 0 {
            return None;
        }
        let wanted = ((self.count as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        for (bucket, count) in (0_u64..).zip(&self.histogram) {
            seen += u64::from(*count);
            if seen >= wanted {
                let upper = (8 + bucket % 8 + 1) << (bucket / 8);
                return Some(Duration::from_micros(upper / 8).min(self.max));
            }
        }
        Some(self.max)
    }

    /// The longest round-trip time.
    #[must_use]
    pub fn max(&self) -> Duration {
        self.max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn counts_what_is_in_flight() {
        let mut flight = Flight::default();
        flight.on_sent(MS, 0, 0, 63, 64);
        flight.on_sent(2 * MS, 0, 64, 200, 10);
        assert_eq!(flight.in_flight(), 74);
        assert_eq!(flight.on_reply(3 * MS, 5), Some((2 * MS, true)));
        assert_eq!(flight.on_reply(3 * MS, 150), Some((MS, true)));
        assert_eq!(flight.on_reply(3 * MS, 999), None, "never sent");
        flight.cancel(64);
        assert_eq!(flight.in_flight(), 71);
        assert_eq!(flight.oldest_position(), Some(0));
        assert_eq!(flight.expire(4 * MS), 0, "held for 20 ms at least");
        assert_eq!(flight.expire(21 * MS), 63);
        assert_eq!(flight.on_reply(22 * MS, 7), Some((21 * MS, false)), "a late reply holds no place");
        assert_eq!(flight.times.max(), 2 * MS, "one straggler says little");
        assert_eq!(flight.expire(60 * MS), 8);
        assert_eq!((flight.in_flight(), flight.oldest_position()), (0, None));
    }

    #[test]
    fn a_path_that_takes_longer_than_was_guessed_is_measured() {
        let mut flight = Flight::default();
        let (guess, took) = (flight.times.rto(), 700 * MS);
        flight.on_sent(MS, 0, 0, 99, 100);
        assert_eq!(flight.expire(MS + guess), 100);
        assert_eq!(flight.on_reply(MS + took, 50), Some((took, false)));
        assert!(flight.times.rto() > took, "{:?}", flight.times.rto());
        assert_eq!(flight.in_flight(), 0);
        // And so is one that takes longer from some time on.
        let longer = flight.times.rto() + 100 * MS;
        flight.on_sent(took, 0, 100, 199, 100);
        flight.expire(took + longer);
        for position in 100..120 {
            assert_eq!(flight.on_reply(took + longer, position), Some((longer, false)));
        }
        assert!(flight.times.rto() > longer);
    }

    #[test]
    fn an_answered_batch_does_not_hold_up_the_next() {
        let mut flight = Flight::default();
        flight.on_sent(MS, 0, 0, 0, 1);
        flight.on_reply(MS, 0);
        flight.on_sent(5 * MS, 0, 1, 1, 1);
        assert_eq!(flight.oldest_position(), Some(1));
        assert_eq!(flight.expire(6 * MS), 0);
        assert_eq!(flight.oldest_position(), Some(1));
        assert_eq!(flight.next_expiry(), Some(5 * MS + flight.times.rto()));
        assert!(flight.overdue.is_empty(), "nothing is to be learned from it any more");
    }

    #[test]
    fn no_more_is_answered_or_cancelled_than_was_sent() {
        let mut flight = Flight::default();
        flight.on_sent(MS, 0, 0, 0, 1);
        flight.on_sent(MS, 0, 4, 7, 4);
        assert!(flight.on_reply(2 * MS, 0).is_some());
        assert_eq!(flight.on_reply(2 * MS, 0), None, "answered already");
        for (position, left, why) in [
            (0, 4, "answered already"),
            (2, 4, "of no batch"),
            (8, 4, "nor this"),
            (4, 3, "the first of a batch"),
            (7, 2, "the last"),
        ] {
            flight.cancel(position);
            assert_eq!(flight.in_flight(), left, "{why}");
        }
    }

    #[test]
    fn late_replies_are_learned_from_if_a_batch_has_no_others_and_they_are_many() {
        for (in_time, late, learned) in [(0, 7, false), (0, 8, true), (1, 20, false)] {
            let mut flight = Flight::default();
            flight.on_sent(MS, 0, 0, 0, 1);
            flight.on_reply(2 * MS, 0);
            flight.on_sent(MS, 0, 1, 100, 100);
            (0..in_time).for_each(|at| assert!(flight.on_reply(2 * MS, 1 + at).is_some()));
            flight.expire(100 * MS);
            (0..late).for_each(|at| assert!(flight.on_reply(100 * MS, 50 + at).is_some()));
            assert_eq!(flight.times.max() > 50 * MS, learned, "{in_time} in time, {late} late");
        }
    }

    #[test]
    fn batches_are_kept_for_late_replies_for_some_time() {
        let mut flight = Flight::default();
        flight.on_sent(MS, 0, 0, 9, 10);
        flight.expire(MS + OVERDUE_KEPT);
        assert_eq!(flight.on_reply(MS + OVERDUE_KEPT, 0), Some((OVERDUE_KEPT, false)));
        flight.expire(2 * MS + OVERDUE_KEPT);
        assert_eq!(flight.on_reply(2 * MS + OVERDUE_KEPT, 1), None);
    }

    #[test]
    fn nothing_is_in_flight_once_positions_start_anew() {
        let mut flight = Flight::default();
        flight.on_sent(MS, 0, 0, 9, 10);
        flight.expire(MS + INITIAL_RTO);
        flight.on_sent(2 * INITIAL_RTO, 0, 10, 19, 10);
        flight.clear();
        assert_eq!((flight.in_flight(), flight.next_expiry()), (0, None));
        for position in [0, 10] {
            assert_eq!(flight.on_reply(2 * INITIAL_RTO, position), None);
        }
    }

    #[test]
    fn the_timeout_follows_rfc_6298() {
        let mut times = RoundTrips::default();
        assert_eq!(times.rto(), INITIAL_RTO);
        for (took, mean, deviation) in [(100, 100.0, 50.0), (180, 110.0, 57.5), (100, 108.75, 45.625)] {
            times.record(took * MS);
            let (got, want) = (times.rto().as_secs_f64() * 1_000.0, mean + 4.0 * deviation);
            assert!((got - want).abs() < 0.001, "{got} ms, not {want}, after one of {took}");
        }
    }

    #[test]
    fn quantiles_are_within_a_step() {
        let mut times = RoundTrips::default();
        assert_eq!(times.quantile(0.5), None);
        for micros in 1..=10_000 {
            times.record(Duration::from_micros(micros));
        }
        for (share, want) in [(0.5, 5_000.0), (0.99, 9_900.0), (1.0, 10_000.0), (0.0, 1.0)] {
            let got = times.quantile(share).map_or(0.0, |d| d.as_micros() as f64);
            assert!((got - want).abs() <= want * 0.125 + 1.0, "{share}: {got}, not {want}");
        }
        assert_eq!(times.max(), 10 * MS);
        assert!(times.rto() >= MIN_RTO);
        for micros in [1, 2, 3, 5, 7, 8, 15, 17, 31, 100, 1_000, 7_900, 1_000_000] {
            let mut times = RoundTrips::default();
            times.record(Duration::from_micros(micros));
            times.record(Duration::from_secs(60));
            let got = times.quantile(0.5).map_or(0.0, |d| d.as_micros() as f64);
            let want = micros as f64;
            assert!((want..=want * 1.125 + 1.0).contains(&got), "{got}, not {want}");
        }
    }
}
