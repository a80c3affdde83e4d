//! How much silence is loss: controls, and what they say of the silent sources.

use super::cookie::MAX_PASS;
use super::settings::bounds::MAX_EXPECTED_FALSE;

/// Repeats to sources that are known to answer, sent among the probes of a further pass. Those that stay silent were lost
/// on the way; so the loss of each pass is measured and not assumed.
#[derive(Clone, Debug, Default)]
pub(super) struct Controls {
    /// Sorted positions; whether each was answered.
    asked: Vec<(u32, bool)>,
    handed_out: usize,
}

impl Controls {
    pub(super) fn new(mut positions: Vec<u32>) -> Self {
        positions.sort_unstable();
        positions.dedup();
        Self { asked: positions.into_iter().map(|p| (p, false)).collect(), handed_out: 0 }
    }

    pub(super) fn next(&mut self) -> Option<u32> {
        let (position, _) = *self.asked.get(self.handed_out)?;
        self.handed_out += 1;
        Some(position)
    }

    pub(super) fn left(&self) -> usize {
        self.asked.len() - self.handed_out
    }

    pub(super) fn len(&self) -> usize {
        self.asked.len()
    }

    /// Whether `position` was a control that had not been answered before.
    pub(super) fn answered(&mut self, position: u32) -> bool {
        match self.asked.binary_search_by_key(&position, |(p, _)| *p) {
            Ok(at) => !std::mem::replace(&mut self.asked[at].1, true),
            Err(_) => false,
        }
    }
}

/// What each pass achieved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Passes {
    /// The pass that first went over all sources.
    pub first: u8,
    /// By pass: sources first answered, controls sent, controls answered.
    pub by_pass: Vec<[u32; 3]>,
}

impl Default for Passes {
    fn default() -> Self {
        Self { first: 1, by_pass: vec![[0; 3]; usize::from(MAX_PASS) + 1] }
    }
}

impl Passes {
    pub(super) fn answered(&mut self, pass: u8) {
        self.by_pass[usize::from(pass & MAX_PASS)][0] += 1;
    }

    pub(super) fn control_sent(&mut self, pass: u8) {
        self.by_pass[usize::from(pass & MAX_PASS)][1] += 1;
    }

    pub(super) fn control_answered(&mut self, pass: u8) {
        self.by_pass[usize::from(pass & MAX_PASS)][2] += 1;
    }

    /// The share of good sources that a pass fails to reach, estimated a little high (Laplace's rule of succession, so
    /// that a few controls without a loss do not count as certainty).
    fn missed(&self, pass: u8, good: f64) -> f64 {
        let [answered, sent, back] = self.by_pass[usize::from(pass)];
        if sent > 0 {
            return f64::from(sent - back.min(sent) + 1) / f64::from(sent + 2);
        }
        // The first pass has no controls; hindsight tells: of the good ones, who was heard only later?
        (good - f64::from(answered) + 1.0).max(1.0) / (good + 2.0)
    }

    /// How many good sources are expected among the silent ones after `pass`, when `good` sources have answered.
    pub(super) fn expected_false(&self, pass: u8, good: u32) -> f64 {
        let good = f64::from(good.max(1));
        let mut hidden = 0.0;
        // The good sources are those that answered and those still hidden, which is what we look for: a fixed point.
        for _ in 0..4 {
            let missed: f64 = (self.first..=pass).map(|p| self.missed(p, good + hidden)).product();
            hidden = good * missed / (1.0 - missed).max(f64::EPSILON);
        }
        hidden
    }

    /// Whether silence after `pass` may be believed.
    pub(super) fn silence_is_proven(&self, pass: u8, good: u32) -> bool {
        self.expected_false(pass, good) <= MAX_EXPECTED_FALSE
    }

    /// Whether no loss at all was seen: every control of the passes after the first came back, at least one in each, and no
    /// source answered later than in the first.
    pub(super) fn no_loss_seen(&self, pass: u8, good: u32) -> bool {
        let later = |p: u8| self.by_pass[usize::from(p)];
        pass > self.first
            && self.by_pass[usize::from(self.first)][0] == good
            && (self.first + 1..=pass).all(|p| later(p)[1] > 0 && later(p)[1] == later(p)[2])
    }

    /// The loss per probe in the latest pass that measured it, or of the first pass in hindsight; 0 to 1.
    pub(super) fn loss(&self, pass: u8, good: u32) -> f64 {
        for p in (self.first..=pass).rev() {
            let [_, sent, back] = self.by_pass[usize::from(p)];
            if sent >= 16 {
                return f64::from(sent - back.min(sent)) / f64::from(sent);
            }
        }
        let first = self.by_pass[usize::from(self.first)][0];
        if good == 0 { 0.0 } else { f64::from(good.saturating_sub(first)) / f64::from(good) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(first_answered: u32, controls: &[(u32, u32)]) -> Passes {
        let mut passes = Passes::default();
        passes.by_pass[1][0] = first_answered;
        for (pass, (sent, back)) in controls.iter().enumerate() {
            passes.by_pass[pass + 2] = [0, *sent, *back];
        }
        passes
    }

    #[test]
    fn silence_is_believed_only_when_loss_cannot_explain_it() {
        let lossy = |pass: usize| passes(42_000, &vec![(256, 164); pass - 1]);
        for (name, passes, pass, good, want) in [
            ("no loss: two passes are enough", passes(65_000, &[(256, 256)]), 2, 65_000, true),
            ("one pass never is", passes(65_000, &[]), 1, 65_000, false),
            (
                "1 in 3 lost, 65,000 sources, 3 asks: some 3,000 would be called dead",
                lossy(3),
                3,
                65_000,
                false,
            ),
            ("the same after 10 asks: still a few", lossy(10), 10, 65_000, false),
            ("the same after 18 asks", lossy(18), 18, 65_000, true),
            ("a small block without loss", passes(3, &[(3, 3), (3, 3), (3, 3)]), 4, 3, true),
            ("nobody answered but the canary", passes(0, &[(16, 16), (16, 16)]), 3, 0, true),
            ("nobody answered and there is no canary", passes(0, &[]), 3, 0, false),
        ] {
            assert_eq!(
                passes.silence_is_proven(pass, good),
                want,
                "{name}: {}",
                passes.expected_false(pass, good)
            );
        }
    }

    #[test]
    fn loss_is_seen_wherever_it_shows() {
        for (name, passes, pass, good, want) in [
            ("none", passes(3, &[(3, 3), (3, 3)]), 3, 3, true),
            ("one pass shows nothing", passes(3, &[]), 1, 3, false),
            ("a control is lost", passes(3, &[(3, 3), (3, 2)]), 3, 3, false),
            ("a source answered late", passes(2, &[(3, 3)]), 2, 3, false),
            ("a pass without controls", passes(3, &[(0, 0)]), 2, 3, false),
        ] {
            assert_eq!(passes.no_loss_seen(pass, good), want, "{name}");
        }
    }

    #[test]
    fn the_estimate_is_near_the_truth() {
        // 10,000 good sources, 20 % loss, two passes: 400 are still silent.
        let passes = passes(8_000, &[(250, 200)]);
        let hidden = passes.expected_false(2, 9_600);
        assert!((300.0..550.0).contains(&hidden), "{hidden}");
        assert!((passes.loss(2, 9_600) - 0.2).abs() < 0.01);
    }

    #[test]
    fn controls_count_once() {
        let mut controls = Controls::new(vec![9, 3, 9]);
        assert_eq!((controls.len(), controls.left()), (2, 2));
        assert_eq!((controls.next(), controls.next(), controls.next()), (Some(3), Some(9), None));
        assert!(controls.answered(9));
        assert!(!controls.answered(9), "a duplicate");
        assert!(!controls.answered(4), "not a control");
    }
}
