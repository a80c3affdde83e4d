//! How fast probes may leave.

use std::time::Duration;

/// A token bucket: at most `rate` probes a second, in bursts of at most `burst`, without catching up.
///
/// A machine that was suspended, or a loop that was delayed, must not send what it missed in one burst: unused time beyond
/// one burst is lost.
#[derive(Clone, Debug)]
pub struct Pace {
    /// Probes a second; `None` is as fast as the window allows.
    rate: Option<f64>,
    burst: f64,
    tokens: f64,
    at: Duration,
}

/// A burst is what accrues in this time: short enough that no queue on the way sees more than a few milliseconds' worth,
/// long enough that the sender need not wake for every single probe at high rates.
const BURST_TIME: Duration = Duration::from_millis(5);

impl Pace {
    /// A bucket for `rate` probes a second (`None`: unlimited), holding one probe at time zero.
    #[must_use]
    pub fn new(rate: Option<f64>, max_burst: usize) -> Self {
        let burst =
            rate.map_or(f64::INFINITY, |r| (r * BURST_TIME.as_secs_f64()).clamp(1.0, max_burst as f64));
        Self { rate, burst, tokens: 1.0, at: Duration::ZERO }
    }

    /// The limit, if there is one.
    #[must_use]
    pub fn rate(&self) -> Option<f64> {
        self.rate
    }

    /// How many probes may leave now, at most `wanted`.
    pub fn available(&mut self, now: Duration, wanted: usize) -> usize {
        let Some(rate) = self.rate else { return wanted };
        self.tokens = (self.tokens + now.saturating_sub(self.at).as_secs_f64() * rate).min(self.burst);
        self.at = self.at.max(now);
        // The tiny addend undoes rounding: ten times a tenth must make one token.
        ((self.tokens + 1e-9) as usize).min(wanted)
    }

    /// Takes the tokens of `sent` probes; more than there were is a debt that later probes wait for.
    pub fn take(&mut self, sent: usize) {
        if self.rate.is_some() {
            self.tokens -= sent as f64;
        }
    }

    /// When the next probe may leave, given the last call of [`Pace::available`].
    #[must_use]
    pub fn next_at(&self) -> Duration {
        match self.rate {
            // Waiting for half a burst, not for one token, lowers no rate and saves wake-ups.
            Some(rate) => {
                let wanted = (self.burst / 2.0).max(1.0);
                self.at + Duration::from_secs_f64((wanted - self.tokens).max(0.0) / rate)
            }
            None => self.at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(rate: f64, step: Duration, until: Duration) -> usize {
        let mut pace = Pace::new(Some(rate), 64);
        let (mut now, mut sent) = (Duration::ZERO, 0);
        while now < until {
            let n = pace.available(now, 64);
            pace.take(n);
            sent += n;
            now += step;
        }
        sent
    }

    #[test]
    fn keeps_the_rate() {
        for (rate, step_us) in
            [(50.0, 1_000), (50.0, 100), (1_000.0, 500), (10_000.0, 100), (12_800.0, 5_000)]
        {
            let sent = run(rate, Duration::from_micros(step_us), Duration::from_secs(10)) as f64;
            assert!(
                (sent - rate * 10.0).abs() <= rate * 0.01 + 1.0,
                "{sent} sent in 10 s at {rate} a second"
            );
        }
    }

    #[test]
    fn does_not_catch_up_after_a_pause() {
        let mut pace = Pace::new(Some(1_000.0), 64);
        pace.available(Duration::from_secs(60), 1_000);
        assert_eq!(pace.available(Duration::from_secs(120), 1_000), 5, "5 ms worth, not two minutes worth");
    }

    #[test]
    fn time_that_goes_backwards_gives_nothing() {
        let mut pace = Pace::new(Some(10.0), 64);
        let n = pace.available(Duration::from_secs(5), 64);
        pace.take(n);
        assert_eq!(pace.available(Duration::from_secs(4), 64), 0);
    }

    #[test]
    fn next_at_is_when_a_probe_may_leave() {
        let mut pace = Pace::new(Some(50.0), 64);
        assert_eq!(pace.available(Duration::ZERO, 64), 1);
        pace.take(1);
        let next = pace.next_at();
        assert_eq!(next, Duration::from_millis(20));
        assert_eq!(pace.available(next, 64), 1);
        assert_eq!(Pace::new(None, 64).available(Duration::ZERO, 64), 64);
    }

    #[test]
    fn half_a_burst_is_waited_for_at_high_rates() {
        let mut pace = Pace::new(Some(10_000.0), 64);
        assert_eq!(pace.rate(), Some(10_000.0));
        pace.take(1);
        assert_eq!(pace.next_at(), Duration::from_micros(2_500), "25 probes, of the 50 of 5 ms");
        pace.take(25);
        assert_eq!(pace.next_at(), Duration::from_millis(5), "and a debt of 25");
    }
}
