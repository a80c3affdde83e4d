//! How many probes may be in flight.

use super::settings::bounds::MIN_WINDOW;

/// The number of probes in flight: as many as the receive buffer surely holds, fewer when replies get lost.
///
/// A window larger than the buffer makes the kernel drop replies of sources that work, and probing again at the same window
/// repeats the loss. So it starts from what the kernel granted, halves whenever the kernel counted a drop, and halves with
/// each pass over the missing. Loss elsewhere (a server that is too slow) shows only as silence: the window then tries half,
/// and goes back if that changed nothing, because then the sources are dead and not the path full.
#[derive(Clone, Debug)]
pub struct Window {
    limit: u32,
    current: u32,
    lowest: u32,
    trial: Option<Trial>,
    baseline_loss: Option<f64>,
    answered: u32,
    lost: u32,
}

#[derive(Clone, Copy, Debug)]
struct Trial {
    before: u32,
    loss: f64,
}

/// What one small datagram takes of the receive buffer. Linux charges the whole allocation: 768 bytes on loopback, up to
/// 2,304 behind common network cards.
const CHARGE_PER_DATAGRAM: usize = 1_536;
/// More in flight than this gains nothing: 2,048 in 50 ms are already 40,000 a second.
const MAX_WINDOW: u32 = 2_048;
/// Outcomes between two judgements of the loss.
const SAMPLE: u32 = 512;
/// Silence below this share is not worth a trial.
const NOTABLE_LOSS: f64 = 0.1;

impl Window {
    /// The window that a granted receive buffer of `bytes` allows.
    #[must_use]
    pub fn limit_for_buffer(bytes: usize) -> u32 {
        ((bytes / CHARGE_PER_DATAGRAM) as u32).clamp(MIN_WINDOW, MAX_WINDOW)
    }

    /// A window of at most `limit` probes.
    #[must_use]
    pub fn new(limit: u32) -> Self {
        let limit = limit.max(MIN_WINDOW);
        Self { limit, current: limit, lowest: limit, trial: None, baseline_loss: None, answered: 0, lost: 0 }
    }

    /// Probes that may be in flight now.
    #[must_use]
    pub fn current(&self) -> u32 {
        self.current
    }

    /// The smallest window so far.
    #[must_use]
    pub fn lowest(&self) -> u32 {
        self.lowest
    }

    /// The kernel dropped received datagrams: the window was too large for the buffer, for good.
    pub fn on_drops(&mut self) {
        self.limit = (self.current / 2).max(MIN_WINDOW);
        self.trial = None;
        self.set(self.limit);
    }

    /// The first pass is over: half the window, so that a loss is not repeated, and of one worker, since from now on only one sends.
    pub fn on_next_pass(&mut self, workers: u16) {
        self.limit = (self.limit / u32::from(workers.max(1)) / 2).max(MIN_WINDOW * 2).min(self.limit);
        self.trial = None;
        self.baseline_loss = None;
        (self.answered, self.lost) = (0, 0);
        self.set(self.limit);
    }

    /// Probes were answered in time.
    pub fn on_answered(&mut self, count: u32) {
        self.answered += count;
        self.judge();
    }

    /// Probes stayed silent.
    pub fn on_lost(&mut self, count: u32) {
        self.lost += count;
        self.judge();
    }

    fn judge(&mut self) {
        let outcomes = self.answered + self.lost;
        if outcomes < SAMPLE {
            return;
        }
        let loss = f64::from(self.lost) / f64::from(outcomes);
        (self.answered, self.lost) = (0, 0);
        match self.trial.take() {
            // Half the window, a good part of the loss gone: the path was full. Stay, and perhaps try again.
            Some(trial) if loss < trial.loss * 0.7 => self.baseline_loss = None,
            // Nothing gained: the silent ones are silent at any speed.
            Some(trial) => {
                self.baseline_loss = Some(trial.loss.max(loss));
                self.set(trial.before);
            }
            None if loss > self.baseline_loss.unwrap_or(0.0) * 1.3 + NOTABLE_LOSS
                && self.current > MIN_WINDOW * 4 =>
            {
                self.trial = Some(Trial { before: self.current, loss });
                self.set(self.current / 2);
            }
            None if loss < NOTABLE_LOSS => self.set(self.current + self.current / 8),
            None => {}
        }
    }

    fn set(&mut self, window: u32) {
        self.current = window.clamp(MIN_WINDOW.min(self.limit), self.limit);
        self.lowest = self.lowest.min(self.current);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comes_from_the_granted_buffer() {
        for (bytes, want, why) in [
            (
                212_992,
                138,
                "the default of Linux: a prototype lost 1 to 2 % of good sources at 2,048, none at 128",
            ),
            (8 << 20, 2_048, "a raised buffer: no gain beyond"),
            (2_304, 16, "tiny: still some progress"),
        ] {
            assert_eq!(Window::limit_for_buffer(bytes), want, "{why}");
        }
    }

    #[test]
    fn a_counted_drop_halves_for_good() {
        let mut window = Window::new(2_048);
        window.on_drops();
        for _ in 0..100 {
            window.on_answered(SAMPLE);
        }
        assert_eq!((window.current(), window.lowest()), (1_024, 1_024));
        for _ in 0..20 {
            window.on_drops();
        }
        assert_eq!(window.current(), MIN_WINDOW);
    }

    #[test]
    fn a_full_path_keeps_the_smaller_window_and_dead_sources_do_not() {
        let mut full = Window::new(2_048);
        full.on_lost(200);
        full.on_answered(400);
        assert_eq!(full.current(), 1_024, "a trial");
        full.on_answered(SAMPLE);
        assert_eq!(full.current(), 1_024, "it helped");

        let mut dead = Window::new(2_048);
        dead.on_lost(SAMPLE);
        assert_eq!(dead.current(), 1_024, "a trial");
        dead.on_lost(SAMPLE);
        assert_eq!(dead.current(), 2_048, "it changed nothing");
        for _ in 0..100 {
            dead.on_lost(SAMPLE);
        }
        assert_eq!(dead.current(), 2_048, "and is not tried again and again");
    }

    /// What the window is after each of these losses, in percent of a sample.
    fn after(window: &mut Window, losses: &[u32]) -> Vec<u32> {
        let judged = losses.iter().map(|percent| {
            let lost = SAMPLE * percent / 100;
            window.on_lost(lost);
            window.on_answered(SAMPLE - lost);
            window.current()
        });
        judged.collect()
    }

    #[test]
    fn a_loss_is_worth_a_trial_if_it_is_notable_and_larger_than_that_of_dead_sources() {
        for (limit, losses, sizes, why) in [
            (800, &[9, 11][..], &[800, 400][..], "a tenth"),
            (800, &[50, 30, 5, 50], &[400, 400, 450, 225], "it helped: another trial may follow"),
            (800, &[50, 40, 70, 80], &[400, 800, 800, 400], "it did not: the half of them are dead"),
            (800, &[50, 60, 80, 90], &[400, 800, 800, 400], "more than half"),
            (64, &[50], &[64], "too small for a trial"),
            (66, &[50], &[33], "just large enough"),
        ] {
            assert_eq!(after(&mut Window::new(limit), losses), sizes, "{why}");
        }
    }

    #[test]
    fn a_smaller_window_grows_while_nothing_is_lost() {
        let mut window = Window::new(1_000);
        assert_eq!(after(&mut window, &[50, 0]), [500, 500], "a trial that helped");
        assert_eq!(after(&mut window, &[0, 5, 0, 0, 0, 0, 0]), [562, 632, 711, 799, 898, 1_000, 1_000]);
        let mut window = Window::new(1_000);
        assert_eq!(after(&mut window, &[50, 0, 30, 30]), [500, 500, 250, 500], "the second did not");
        assert_eq!(after(&mut window, &[30, 30]), [500, 500], "where some are lost it stays");
    }

    #[test]
    fn a_window_at_its_minimum_stays() {
        let mut window = Window::new(1);
        window.on_next_pass(1);
        window.on_drops();
        assert_eq!((window.current(), window.lowest()), (MIN_WINDOW, MIN_WINDOW));
    }

    #[test]
    fn each_pass_asks_more_gently() {
        let mut window = Window::new(256);
        let sizes: Vec<_> = (0..5)
            .map(|_| {
                window.on_next_pass(1);
                window.current()
            })
            .collect();
        assert_eq!(sizes, [128, 64, 32, 32, 32]);
        let mut window = Window::new(4 * 256);
        window.on_next_pass(4);
        assert_eq!(window.current(), 128, "as many as with one socket");
    }
}
