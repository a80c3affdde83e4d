//! How many probes a second a path carries, from what was lost at which pace.
//!
//! The path is taken for one that carries `c` probes a second and loses besides a share that has nothing to do with the pace: of
//! the probes sent at the rate `r` the share `a · min(1, c / r)` is answered. Both are unknown; all pairs of a grid are weighed by how
//! well they explain what was seen (Bayes), and the pace that is best on the average over them is the next one.

use std::sync::OnceLock;
use std::time::Duration;

use super::super::settings::bounds;

/// Steps of the grid in an octave.
const STEPS: usize = 4;
/// The lowest rate of the grid, in probes a second.
const LOWEST: f64 = 0.5;
/// Rates of the grid: up to 131,072 a second. One more stands for no limit at all.
const RATES: usize = 18 * STEPS + 1;
/// The shares that are answered at any pace, with what is thought of them beforehand.
const ANSWERED: [(f64, f64); 8] = [
    (0.995, 0.75),
    (0.95, 0.05),
    (0.85, 0.05),
    (0.7, 0.05),
    (0.55, 0.04),
    (0.4, 0.03),
    (0.25, 0.02),
    (0.1, 0.01),
];
/// What is thought beforehand of there being a limit.
const LIMITED: f64 = 0.8;
/// Losses come in bursts: so much of an outcome is news.
const NEWS: f64 = 0.5;
/// So many outcomes are remembered.
const REMEMBERED: f32 = 64.0;
/// What was seen counts half after so long: paths change, and tables empty.
const HALVED_AFTER: Duration = Duration::from_secs(20);
/// The share of what came through that is tried first.
const SAFE_SHARE: f64 = 0.8;
/// A silence beside an answered control is worth so much evidence at least and at most, whatever the loss: it may always be that
/// of every other pair, and is never known to be below one in thirty.
const EVIDENCE: (f64, f64) = (0.69, 3.3);

/// What was seen at one rate.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Seen {
    rate: u8,
    answered: f32,
    lost: f32,
}

/// What is known of the rate that a path carries.
#[derive(Clone, Debug, Default)]
pub(super) struct Capacity {
    seen: Vec<Seen>,
    recorded_at: Duration,
}

impl Capacity {
    /// What was answered and lost at so many probes a second.
    pub(super) fn record(&mut self, rate: f64, answered: u32, lost: u32, now: Duration) {
        let new = (answered + lost) as f32;
        let since = now.saturating_sub(std::mem::replace(&mut self.recorded_at, now));
        let faded = 0.5_f32.powf(since.as_secs_f32() / HALVED_AFTER.as_secs_f32());
        self.seen.iter_mut().for_each(|s| (s.answered, s.lost) = (s.answered * faded, s.lost * faded));
        let rate = index(rate) as u8;
        for seen in &mut self.seen {
            let remembered = if seen.rate == rate { REMEMBERED } else { REMEMBERED * 4.0 };
            let keep = (1.0 - new / remembered).max(0.0);
            (seen.answered, seen.lost) = (seen.answered * keep, seen.lost * keep);
        }
        self.seen.retain(|s| s.answered + s.lost > 0.5);
        let (answered, lost) = (answered as f32, lost as f32);
        match self.seen.iter_mut().find(|seen| seen.rate == rate) {
            Some(seen) => (seen.answered, seen.lost) = (seen.answered + answered, seen.lost + lost),
            None => self.seen.push(Seen { rate, answered, lost }),
        }
    }

    /// What is thought of each limit and share.
    fn posterior(&self) -> [[f64; ANSWERED.len()]; RATES + 1] {
        let mut logs = [[0.0; ANSWERED.len()]; RATES + 1];
        let mut largest = f64::NEG_INFINITY;
        for (limit, row) in logs.iter_mut().enumerate() {
            let prior = if limit == RATES { 1.0 - LIMITED } else { LIMITED / RATES as f64 };
            for (share, log) in row.iter_mut().enumerate() {
                *log = (prior * ANSWERED[share].1).ln();
                for seen in &self.seen {
                    let [answered, lost] = chances(share, usize::from(seen.rate).saturating_sub(limit));
                    *log += NEWS * (f64::from(seen.answered) * answered + f64::from(seen.lost) * lost);
                }
                largest = largest.max(*log);
            }
        }
        let mut sum = 0.0;
        for log in logs.iter_mut().flatten() {
            *log = (*log - largest).exp();
            sum += *log;
        }
        logs.iter_mut().flatten().for_each(|weight| *weight /= sum);
        logs
    }

    /// The pace at which most is found out, on the average over all that may be the case, up to `most`; `None` if none is too fast.
    /// `fastest`: the rate where nothing limits it.
    pub(super) fn best_rate(&self, fastest: f64, most: f64) -> Option<f64> {
        let posterior = self.posterior();
        let top = index((fastest * 2.0).min(most));
        let mut best = (0.0, top);
        for rate in 0..=top {
            let mut sum = 0.0;
            for (limit, row) in posterior.iter().enumerate() {
                for (share, weight) in row.iter().enumerate() {
                    if *weight > 1e-6 {
                        sum += weight * worth(share, rate.saturating_sub(limit));
                    }
                }
            }
            sum *= value(rate);
            if sum > best.0 {
                best = (sum, rate);
            }
        }
        if best.1 < index(fastest) {
            return Some(value(best.1));
        }
        // Whether a loss has to do with the pace shows at a slower one alone.
        let slowest = self.seen.iter().map(|seen| usize::from(seen.rate)).min()?;
        let (answered, lost) = self.seen.iter().fold((0.0, 0.0), |(a, l), s| (a + s.answered, l + s.lost));
        let share = f64::from(answered / (answered + lost));
        let trial = index(fastest * share * SAFE_SHARE);
        (slowest + STEPS / 2 > index(fastest) && share < 1.0 - bounds::NOTABLE_LOSS).then(|| value(trial))
    }

    /// How probable it is that a limit is what keeps the pace below this rate.
    pub(super) fn limited(&self, fastest: f64) -> f64 {
        self.posterior()[..index(fastest)].iter().flatten().sum()
    }
}

fn index(rate: f64) -> usize {
    ((rate / LOWEST).max(1.0).log2() * STEPS as f64).round().min((RATES - 1) as f64) as usize
}

fn value(index: usize) -> f64 {
    LOWEST * 2_f64.powf(index as f64 / STEPS as f64)
}

/// The share answered, this many steps above the limit.
fn answered_share(share: usize, above: usize) -> f64 {
    ANSWERED[share].0 * 2_f64.powf(-(above as f64) / STEPS as f64)
}

/// The logarithms of the chances of an answer and of a loss.
fn chances(share: usize, above: usize) -> [f64; 2] {
    static TABLE: OnceLock<Vec<[f64; 2]>> = OnceLock::new();
    let table = TABLE.get_or_init(|| {
        let all = (0..ANSWERED.len()).flat_map(|share| (0..=RATES).map(move |above| (share, above)));
        all.map(|(share, above)| answered_share(share, above)).map(|p| [p.ln(), (1.0 - p).ln()]).collect()
    });
    table[share * (RATES + 1) + above]
}

/// What a probe is worth, this many steps above the limit: how much evidence it brings.
fn worth(share: usize, above: usize) -> f64 {
    static TABLE: OnceLock<Vec<f64>> = OnceLock::new();
    let table = TABLE.get_or_init(|| {
        let all = (0..ANSWERED.len()).flat_map(|share| (0..=RATES).map(move |above| (share, above)));
        let worth = |p: f64| p * (-(1.0 - p).ln()).clamp(EVIDENCE.0, EVIDENCE.1);
        all.map(|(share, above)| worth(answered_share(share, above))).collect()
    });
    table[share * (RATES + 1) + above]
}

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use super::*;

    /// Follows the paces on a path that answers `share(rate)` of the probes, a judgement a second; gives the paces of the last ten.
    fn paces(
        capacity: &mut Capacity,
        fastest: f64,
        share: impl Fn(f64) -> f64,
        seconds: Range<u64>,
    ) -> Vec<Option<f64>> {
        let mut pace = None;
        let mut all = Vec::new();
        for second in seconds {
            let rate = pace.unwrap_or(fastest);
            let answered = (share(rate) * 24.0).round() as u32;
            capacity.record(rate, answered, 24 - answered, Duration::from_secs(second));
            pace = capacity.best_rate(fastest, rate * 4.0);
            all.push(pace);
        }
        all.split_off(all.len() - 10)
    }

    #[test]
    fn the_pace_settles_just_below_a_limit() {
        for (limit, fastest) in [(700.0, 1_000.0), (700.0, 50_000.0), (20.0, 50_000.0), (2.0, 1_000.0)] {
            let last = paces(&mut Capacity::default(), fastest, |rate| (limit / rate).min(1.0), 0..40);
            let near =
                |pace: &&Option<f64>| pace.is_some_and(|pace| pace > limit * 0.5 && pace < limit * 1.3);
            assert!(last.iter().filter(near).count() >= 8, "{limit} of {fastest}: {last:?}");
        }
    }

    #[test]
    fn a_loss_that_has_nothing_to_do_with_the_pace_slows_nothing_down() {
        for share in [0.95, 0.8, 0.6, 0.4] {
            let last = paces(&mut Capacity::default(), 10_000.0, |_| share, 0..40);
            assert!(last.iter().filter(|pace| pace.is_none()).count() >= 7, "{share}: {last:?}");
        }
    }

    #[test]
    fn a_limit_with_a_loss_besides_is_found() {
        let last = paces(&mut Capacity::default(), 10_000.0, |rate| 0.7 * (100.0 / rate).min(1.0), 0..60);
        let near = |pace: &&Option<f64>| pace.is_some_and(|pace| (40.0..160.0).contains(&pace));
        assert!(last.iter().filter(near).count() >= 7, "{last:?}");
    }

    #[test]
    fn a_path_that_carries_more_again_is_used() {
        let mut capacity = Capacity::default();
        let last = paces(&mut capacity, 10_000.0, |rate| (10.0 / rate).min(1.0), 0..60);
        assert!(last.iter().flatten().all(|pace| (5.0..15.0).contains(pace)), "{last:?}");
        assert_eq!(last.iter().flatten().count(), 10, "{last:?}");
        let last = paces(&mut capacity, 10_000.0, |_| 1.0, 60..200);
        assert!(last.iter().all(Option::is_none), "{last:?}");
    }

    #[test]
    fn a_limit_is_known_once_it_was_seen_at_several_paces() {
        let mut capacity = Capacity::default();
        let before = capacity.limited(f64::INFINITY);
        assert!((0.7..=LIMITED).contains(&before), "what is thought beforehand: {before}");
        paces(&mut capacity, 10_000.0, |rate| (100.0 / rate).min(1.0), 0..40);
        assert!(capacity.limited(10_000.0) > bounds::LIMIT_KNOWN);
        assert!(capacity.limited(10.0) < 0.1);
        // However much is seen at once.
        let mut fast = Capacity::default();
        fast.record(50_000.0, 5_000, 5_000, Duration::ZERO);
        assert!((0.5..=1.0).contains(&fast.limited(50_000.0)), "{}", fast.limited(50_000.0));
    }

    #[test]
    fn what_came_through_is_tried_first() {
        let mut capacity = Capacity::default();
        capacity.record(1_000.0, 18, 6, Duration::ZERO);
        let trial = capacity.best_rate(1_000.0, 4_000.0);
        assert_eq!(trial, Some(value(index(1_000.0 * 0.75 * SAFE_SHARE))));
    }

    #[test]
    fn a_probe_is_worth_more_the_more_are_answered() {
        let at_any_pace: Vec<_> = (0..ANSWERED.len()).map(|share| worth(share, 0)).collect();
        assert!(at_any_pace.is_sorted_by(|more, less| more > less), "{at_any_pace:?}");
        assert!(worth(0, STEPS) < worth(0, 0), "above a limit");
    }

    #[test]
    fn nothing_seen_is_no_limit() {
        let mut capacity = Capacity::default();
        assert!(capacity.limited(1_000.0) < 0.9);
        capacity.record(1_000.0, 24, 0, Duration::ZERO);
        assert_eq!(capacity.best_rate(1_000.0, 4_000.0), None);
        assert_eq!(capacity.best_rate(1_000.0, 1_000.0), None, "the fastest is no limit");
        assert_eq!(index(f64::INFINITY), RATES - 1, "the last of the grid stands for all that are faster");
        // Rates beyond the grid are no index beyond its end.
        capacity.record(f64::INFINITY, 1, 1, Duration::ZERO);
        capacity.record(0.0, 1, 1, Duration::ZERO);
        assert!(capacity.best_rate(1e9, f64::INFINITY).is_none_or(f64::is_finite));
    }
}
