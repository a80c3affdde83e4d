//! How likely a reply is lost, by neighbourhood.

use std::collections::HashMap;
use std::ops::RangeInclusive;

use super::settings::bounds;

/// Sizes of the neighbourhoods, as bits of the key: 16, 256, 4,096 and 65,536 sources. Networks are given out, routed and
/// limited by such prefixes.
const LEVELS: [u32; 4] = [4, bounds::NEIGHBOURHOOD_BITS, 12, 16];

/// So many outcomes of each size are remembered, about: from then on both counts are halved, since losses change.
const REMEMBERED: [f32; LEVELS.len()] = [32.0, 64.0, 128.0, 256.0];

/// When the pace gets slower, so many times fewer are remembered.
const FORGOTTEN: f32 = 8.0;

/// Recent probes, answered and lost.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Tally {
    answered: f32,
    lost: f32,
}

impl Tally {
    fn outcomes(self) -> f32 {
        self.answered + self.lost
    }

    fn record(&mut self, answered: bool, remembered: f32) {
        if self.outcomes() >= remembered {
            (self.answered, self.lost) = (self.answered / 2.0, self.lost / 2.0);
        }
        if answered { self.answered += 1.0 } else { self.lost += 1.0 }
    }

    /// The same shares of so many outcomes at most.
    fn shrink(&mut self, most: f32) {
        let keep = (most / self.outcomes().max(1.0)).min(1.0);
        (self.answered, self.lost) = (self.answered * keep, self.lost * keep);
    }

    /// The share lost, estimated a little high: Laplace's rule of succession, so that a few answers are no certainty. `known` are
    /// answers that are known besides.
    fn share(self, known: u32) -> f64 {
        (f64::from(self.lost) + 1.0) / (f64::from(self.outcomes()) + f64::from(known) + 2.0)
    }
}

/// Silences that were counted against sources which then answered.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Recovered {
    answered: f64,
    silences: f64,
    /// So many were to be expected.
    expected: f64,
}

/// The losses seen by controls and by sources that answered late, pooled by neighbourhoods of several sizes.
///
/// Keys are indices of sources, shifted so that blocks of keys are prefixes of addresses.
#[derive(Clone, Debug, Default)]
pub(super) struct Losses {
    controls: [HashMap<u32, Tally>; LEVELS.len()],
    /// Of the whole run: answered and lost.
    all: [u32; 2],
    /// By neighbourhood.
    recovered: HashMap<u32, Recovered>,
    /// The same of the whole run, but for neighbourhoods whose controls show the loss already.
    recovered_elsewhere: Recovered,
}

impl Losses {
    /// A control was answered, or is lost.
    pub(super) fn control(&mut self, key: u32, answered: bool) {
        for ((bits, remembered), level) in LEVELS.iter().zip(REMEMBERED).zip(&mut self.controls) {
            level.entry(key >> bits).or_default().record(answered, remembered);
        }
        self.all[usize::from(!answered)] += 1;
    }

    /// Probes to the sources with these keys leave more slowly from now on: what was lost before is little to go by.
    pub(super) fn slower(&mut self, keys: &RangeInclusive<u32>) {
        for ((bits, remembered), level) in LEVELS.iter().zip(REMEMBERED).zip(&mut self.controls) {
            let around = keys.start() >> bits..=keys.end() >> bits;
            for (_, tally) in level.iter_mut().filter(|(key, _)| around.contains(*key)) {
                tally.shrink(remembered / FORGOTTEN);
            }
        }
    }

    /// A control that was taken for lost answered after all.
    pub(super) fn late(&mut self, key: u32) {
        for (bits, level) in LEVELS.iter().zip(&mut self.controls) {
            let tally = level.entry(key >> bits).or_default();
            (tally.answered, tally.lost) = (tally.answered + 1.0, (tally.lost - 1.0).max(0.0));
        }
        self.all = [self.all[0] + 1, self.all[1].saturating_sub(1)];
    }

    /// A source answered after so many silences that were counted against it; `expected`: the sum of the chances of those
    /// silences, and of that of the answer.
    pub(super) fn recovered(&mut self, key: u32, silences: u32, expected: f64) {
        let shown = LEVELS.iter().zip(&self.controls).any(|(bits, level)| {
            let tally = level.get(&(key >> bits)).copied().unwrap_or_default();
            tally.lost > 1.0 && f64::from(tally.lost) >= bounds::NOTABLE_LOSS * f64::from(tally.outcomes())
        });
        let near = self.recovered.entry(key >> bounds::NEIGHBOURHOOD_BITS).or_default();
        let elsewhere = (!shown).then_some(&mut self.recovered_elsewhere);
        for tally in [Some(near), elsewhere].into_iter().flatten() {
            tally.answered += 1.0;
            tally.silences += f64::from(silences);
            tally.expected += expected;
        }
    }

    /// Whether any loss was seen at all, of a control or by a late answer.
    pub(super) fn is_lossless(&self) -> bool {
        self.all[1] == 0 && self.recovered.values().all(|tally| tally.silences == 0.0)
    }

    /// How likely a source that works and shares the loss of its neighbours is silent although its control was answered, at
    /// most. `known`: how many of the 16 and of the 256 sources around it have answered.
    ///
    /// Let `c` be the chance that of two sources probed together just one is answered, and `d` that both are. The two are alike
    /// and their order is drawn, so each is the silent one equally often, and of the pairs in which one of the two was answered
    /// the share `c / (2c + d)` at most, one half at most, leaves the source silent. It is below the loss of the control, too.
    pub(super) fn chance_of_silence(&self, key: u32, known: [u32; 2]) -> f64 {
        self.at_controls(key, known).min(0.5)
    }

    /// The evidence of so many silences, the negative logarithms of whose chances have this sum, with what was learned since.
    ///
    /// Sources can be worse off than the controls, which were chosen among those that answered. Those that answered late show it:
    /// in the same neighbourhood how often they are silent; elsewhere by how much more often than was expected, though never more
    /// often than in every other pair.
    pub(super) fn evidence(&self, key: u32, silences: f64, sum: f64) -> f64 {
        let elsewhere = self.recovered_elsewhere;
        let excess = ((elsewhere.silences + 1.0) / (elsewhere.expected + 1.0)).max(1.0);
        let near = self.recovered.get(&(key >> bounds::NEIGHBOURHOOD_BITS)).copied().unwrap_or_default();
        let silent = near.silences / (near.silences + near.answered + 1.0);
        let by_excess = (sum - silences * excess.ln()).max(silences * std::f64::consts::LN_2).min(sum);
        by_excess.min(silences * -silent.max(1e-9).ln())
    }

    /// The share of the controls that was lost.
    pub(super) fn overall(&self) -> f64 {
        f64::from(self.all[1]) / f64::from((self.all[0] + self.all[1]).max(1))
    }

    /// The largest share lost of the neighbourhoods around `key`.
    fn at_controls(&self, key: u32, known: [u32; 2]) -> f64 {
        let mut largest = 0.0_f64;
        let mut sampled = false;
        let around = known[1];
        for (at, bits) in LEVELS.iter().enumerate() {
            let tally = self.controls[at].get(&(key >> bits)).copied().unwrap_or_default();
            match known.get(at) {
                // The first pass is evidence too, but of another time: it counts as a few probes at most.
                Some(known) => {
                    let least = if at == 0 && around > 0 { bounds::NARROW_WEIGHT } else { 0 };
                    largest =
                        largest.max(tally.share((*known).min(bounds::FIRST_PASS_WEIGHT[at]).max(least)));
                }
                // Of the wider ones the nearest that is known well: what is lost far away says nothing about this place.
                None if !sampled && tally.outcomes() >= bounds::LOSS_SAMPLE as f32 => {
                    sampled = true;
                    largest = largest.max(tally.share(0));
                }
                None => {}
            }
        }
        if !sampled {
            largest = largest.max(f64::from(self.all[1] + 1) / f64::from(self.all[0] + self.all[1] + 2));
        }
        largest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Controls by key: answered and lost, evenly mixed.
    fn seen(controls: &[(u32, u32, u32)]) -> Losses {
        let mut losses = Losses::default();
        for step in 0..200 {
            for (key, answered, lost) in controls {
                let due = |count: u32| (step + 1) * count / 200 - step * count / 200;
                (0..due(*answered)).for_each(|_| losses.control(*key, true));
                (0..due(*lost)).for_each(|_| losses.control(*key, false));
            }
        }
        losses
    }

    #[test]
    fn the_worst_neighbourhood_around_a_source_counts() {
        let losses = seen(&[(0x1_0010, 5, 15), (0x1_0080, 200, 0), (0x9_0000, 2_000, 0)]);
        for (key, low, high, why) in [
            (0x1_0011, 0.5, 0.5, "the /28 of the lossy ones: never above one half"),
            (0x1_0055, 0.06, 0.12, "the same /24"),
            (0x9_0010, 0.0, 0.11, "far away: what the first pass showed there"),
        ] {
            let chance = losses.chance_of_silence(key, [14, 250]);
            assert!((low..=high).contains(&chance), "{why}: {chance}");
        }
    }

    #[test]
    fn where_no_control_was_probed_the_first_pass_and_the_whole_run_say_the_loss() {
        let (nothing, clean, lossy) = (&[][..], &[(0x9_0000, 2_000, 0)][..], &[(0x9_0000, 1_500, 500)][..]);
        for (controls, known, expected, why) in [
            (nothing, [16, 250], 0.5, "nothing is known of this run"),
            (lossy, [16, 250], 0.25, "the loss of the run"),
            (clean, [16, 250], 0.1, "the answers around it are of another time: they count little"),
            (clean, [0, 5], 0.17, "none of the 16 around, but some of the 256"),
            (clean, [0, 1], 0.33, "just one of the 256"),
            (clean, [0, 0], 0.5, "none at all"),
            (&[(0x80, 200, 0)][..], [0, 0], 0.5, "none but a control"),
        ] {
            let chance = seen(controls).chance_of_silence(7, known);
            assert!((chance - expected).abs() < 0.01, "{why}: {chance}");
        }
    }

    #[test]
    fn what_was_long_ago_counts_less() {
        let mut losses = seen(&[(7, 10, 90)]);
        assert!(losses.chance_of_silence(7, [1, 9]) >= 0.5);
        (0..400).for_each(|_| losses.control(7, true));
        assert!(losses.chance_of_silence(7, [1, 9]) < 0.05, "{}", losses.chance_of_silence(7, [1, 9]));
        assert!((0.15..0.2).contains(&losses.overall()), "the whole run is told as it was");
    }

    #[test]
    fn a_few_answers_are_no_certainty() {
        let losses = seen(&[(7, 4, 0), (0x700, 500, 0)]);
        assert!((0.1..0.2).contains(&losses.chance_of_silence(7, [0, 0])));
    }

    #[test]
    fn a_lasting_loss_stays_what_it_is() {
        let mut losses = seen(&[(0x107, 280, 120), (0x9_0000, 2_000, 0)]);
        let mut check = |why| {
            let chance = losses.chance_of_silence(0x107, [14, 250]);
            assert!((0.25..0.4).contains(&chance), "{why}: {chance}");
            losses.slower(&(0x100..=0x1ff));
        };
        check("when old outcomes are halved");
        check("when the pace gets slower");
    }

    #[test]
    fn what_was_lost_at_a_faster_pace_counts_less() {
        let mut losses = seen(&[(0x107, 10, 90), (0x907, 10, 90)]);
        losses.slower(&(0x100..=0x1ff));
        (0..24).for_each(|_| [0x107, 0x907].into_iter().for_each(|key| losses.control(key, true)));
        let slower = losses.chance_of_silence(0x107, [1, 9]);
        assert!(slower < 0.25 && losses.chance_of_silence(0x907, [1, 9]) > 0.4, "{slower}");
        // Without anything seen since, the chance stays what it was.
        let mut losses = seen(&[(0x107, 10, 90)]);
        losses.slower(&(0x100..=0x1ff));
        assert!(losses.chance_of_silence(0x107, [1, 9]) >= 0.5);
    }

    #[test]
    fn late_answers_show_a_loss_that_controls_do_not_have() {
        let mut losses = seen(&[(0, 500, 0)]);
        // Ten silences of chance 0.02.
        let evidence = |losses: &Losses, key| losses.evidence(key, 10.0, -10.0 * 0.02_f64.ln());
        assert!(evidence(&losses, 0) > 39.0);
        let mut expected = losses.clone();
        expected.recovered(7_000, 4, 4.0);
        assert!(evidence(&expected, 0) > 39.0, "as many silences as were expected are nothing new");
        let mut once = losses.clone();
        once.recovered(7_000, 1, 0.04);
        assert!((30.0..35.0).contains(&evidence(&once, 0)), "one silence was more than was expected");
        assert!(
            (10.0..12.0).contains(&evidence(&once, 7_001)),
            "and is one of three beside it, to be careful"
        );
        once.recovered(7_000, 1_000, 0.01);
        assert!((6.9..7.0).contains(&evidence(&once, 0)), "never oftener than in every other pair");
        for silences in [0, 1, 4, 7, 3] {
            losses.recovered(7_000, silences, 0.02 * f64::from(silences + 1));
        }
        let beside = 10.0 * -0.8_f64.ln()..10.0 * -0.6_f64.ln();
        assert!(beside.contains(&evidence(&losses, 7_001)), "beside them: they are silent oftener than not");
        assert!((10.0..20.0).contains(&evidence(&losses, 0)), "anywhere: it may be anybody's loss");
        let mut lossy = seen(&[(0, 500, 0), (7_000, 20, 80)]);
        for silences in [0, 1, 4, 7, 3] {
            lossy.recovered(7_000, silences, 0.1 * f64::from(silences + 1));
        }
        assert!(evidence(&lossy, 7_001) < 10.0 * -0.6_f64.ln());
        assert!(evidence(&lossy, 100_000) > 39.0, "the controls there explain it");
    }

    #[test]
    fn late_answers_are_explained_by_controls_that_were_lost_as_well() {
        for (answered, lost, explained, why) in [
            (20, 80, true, "most were lost"),
            (100, 5, false, "few were lost"),
            (5, 1, false, "one that was lost may be chance"),
            (0, 0, false, "there were none"),
        ] {
            let mut losses = seen(&[(7_000, answered, lost)]);
            losses.recovered(7_000, 20, 0.4);
            assert_eq!(losses.evidence(100_000, 1.0, 4.0) > 3.9, explained, "{why}");
        }
    }

    #[test]
    fn a_late_control_is_no_loss() {
        let mut losses = seen(&[(5, 10, 10)]);
        assert!(!losses.is_lossless());
        (0..5).for_each(|_| losses.late(5));
        assert!((losses.overall() - 0.25).abs() < 1e-9);
        (0..5).for_each(|_| losses.late(5));
        assert!(losses.is_lossless());
        let chance = losses.chance_of_silence(5, [0, 0]);
        assert!((0.04..0.05).contains(&chance), "as if all twenty had been answered: {chance}");
    }

    #[test]
    fn a_source_that_answered_late_shows_a_loss_if_it_was_silent_before() {
        let mut losses = Losses::default();
        losses.recovered(5, 0, 0.0);
        assert!(losses.is_lossless());
        losses.recovered(5, 1, 0.02);
        assert!(!losses.is_lossless());
    }
}
