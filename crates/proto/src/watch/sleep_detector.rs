//! Whether the machine was asleep, from two clocks of which one stops in sleep.

use std::time::Duration;

/// The readings of two clocks at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clocks {
    /// A clock that stops while the machine sleeps (Linux: `CLOCK_MONOTONIC`).
    pub awake: Duration,
    /// A clock that goes on (Linux: `CLOCK_BOOTTIME`).
    pub always: Duration,
}

/// Less is not called sleep: where a system has no such pair of clocks, the wall clock stands for the second, and is set by
/// small steps now and then.
const LEAST: Duration = Duration::from_secs(1);

/// Compares each reading with the one before.
#[derive(Clone, Debug)]
pub struct SleepDetector {
    last: Clocks,
}

impl SleepDetector {
    /// Begins with a reading.
    #[must_use]
    pub fn new(now: Clocks) -> Self {
        Self { last: now }
    }

    /// How long the machine slept since the last reading, if it did.
    pub fn look(&mut self, now: Clocks) -> Option<Duration> {
        let awake = now.awake.saturating_sub(self.last.awake);
        let always = now.always.saturating_sub(self.last.always);
        self.last = now;
        Some(always.saturating_sub(awake)).filter(|slept| *slept >= LEAST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_gap_between_the_clocks_is_sleep() {
        let at = |awake: f64, always: f64| Clocks {
            awake: Duration::from_secs_f64(awake),
            always: Duration::from_secs_f64(always),
        };
        let mut slept = SleepDetector::new(at(100.0, 500.0));
        for (now, want, why) in [
            (at(115.0, 515.0), None, "both went on"),
            (at(415.0, 815.0), None, "a stopped process does not make a sleeping machine"),
            (at(416.0, 4_416.0), Some(3_600), "an hour asleep"),
            (at(431.0, 4_431.0), None, "told once"),
            (at(446.0, 4_446.9), None, "the wall clock was set by less than a second"),
            (at(461.0, 4_400.0), None, "the wall clock was set back"),
            (at(476.0, 4_415.0), None, "and goes on from there"),
        ] {
            assert_eq!(slept.look(now).map(|d| d.as_secs()), want, "{why}");
        }
    }
}
