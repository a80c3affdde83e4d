//! How likely a reply is lost, by neighbourhood.

use std::collections::HashMap;

use super::settings::bounds;

/// Sizes of the neighbourhoods, as bits of the key: 16, 256, 4,096 and 65,536 sources. Networks are given out, routed and
/// limited by such prefixes.
const LEVELS: [u32; 4] = [4, bounds::NEIGHBOURHOOD_BITS, 12, 16];

/// Answered and lost asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tally {
    answered: u32,
    lost: u32,
}

impl Tally {
    fn asked(self) -> u32 {
        self.answered + self.lost
    }

    /// The share lost, estimated a little high: Laplace's rule of succession, so that a few answers are no certainty. `known` are
    /// answers that are known besides.
    fn share(self, known: u32) -> f64 {
        f64::from(self.lost + 1) / f64::from(self.asked() + known + 2)
    }
}

/// The losses seen by controls and by sources that answered late, pooled by neighbourhoods of several sizes.
///
/// Keys are indices of sources, shifted so that blocks of keys are prefixes of addresses.
#[derive(Clone, Debug, Default)]
pub(super) struct Losses {
    controls: [HashMap<u32, Tally>; LEVELS.len()],
    all: Tally,
    /// Sources that answered after silences that were counted: `lost` are those silences.
    recovered: HashMap<u32, Tally>,
    /// The same of the whole run, but for neighbourhoods whose controls show the loss already.
    recovered_elsewhere: Tally,
}

impl Losses {
    /// An ask of a control is over.
    pub(super) fn control(&mut self, key: u32, answered: bool) {
        self.each(key, |tally| if answered { tally.answered += 1 } else { tally.lost += 1 });
    }

    /// A control that was taken for lost answered after all.
    pub(super) fn late(&mut self, key: u32) {
        self.each(key, |tally| {
            tally.answered += 1;
            tally.lost = tally.lost.saturating_sub(1);
        });
    }

    /// A source answered after so many silences that were counted against it.
    pub(super) fn recovered(&mut self, key: u32, silences: u32) {
        let shown = LEVELS.iter().zip(&self.controls).any(|(bits, level)| {
            let tally = level.get(&(key >> bits)).copied().unwrap_or_default();
            tally.lost > 1 && f64::from(tally.lost) >= bounds::NOTABLE_LOSS * f64::from(tally.asked())
        });
        let near = self.recovered.entry(key >> bounds::NEIGHBOURHOOD_BITS).or_default();
        near.answered += 1;
        near.lost += silences;
        if !shown {
            self.recovered_elsewhere.answered += 1;
            self.recovered_elsewhere.lost += silences;
        }
    }

    /// Forgets what was seen of these neighbourhoods, because it is no longer so: they are asked more slowly now.
    pub(super) fn forget(&mut self, from_key: u32, to_key: u32) {
        for (bits, level) in LEVELS.iter().zip(&mut self.controls) {
            level.retain(|key, _| *key < from_key >> bits || *key > to_key >> bits);
        }
        let bits = bounds::NEIGHBOURHOOD_BITS;
        self.recovered.retain(|key, _| *key < from_key >> bits || *key > to_key >> bits);
    }

    /// Whether any loss was seen at all, of a control or by a late answer.
    pub(super) fn none_seen(&self) -> bool {
        self.all.lost == 0 && self.recovered.values().all(|tally| tally.lost == 0)
    }

    /// How likely a source that works and shares the loss of its neighbours is silent although its control was answered, at
    /// most. `known`: how many of the 16 and of the 256 sources around it have answered.
    ///
    /// Let `c` be the chance that of two sources asked together just one is answered, and `d` that both are. The two are alike
    /// and their order is drawn, so each is the silent one equally often, and of the pairs in which one of the two was answered
    /// the share `c / (2c + d)` at most, one half at most, leaves the source silent. It is below the loss of the control, too.
    pub(super) fn chance_of_silence(&self, key: u32, known: [u32; 2]) -> f64 {
        let near = self.recovered.get(&(key >> bounds::NEIGHBOURHOOD_BITS)).copied().unwrap_or_default();
        // Sources can be worse off than the controls, which were chosen among those that answered. Those that answered
        // late show it.
        let late = [near, self.recovered_elsewhere]
            .into_iter()
            .map(|tally| f64::from(tally.lost) / f64::from(tally.asked() + 1))
            .fold(0.0, f64::max);
        self.at_controls(key, known).min(0.5).max(late)
    }

    /// The share of the controls that was lost.
    pub(super) fn overall(&self) -> f64 {
        f64::from(self.all.lost) / f64::from(self.all.asked().max(1))
    }

    /// The largest share lost of the neighbourhoods around `key`.
    fn at_controls(&self, key: u32, known: [u32; 2]) -> f64 {
        let mut largest = 0.0_f64;
        let mut sampled = false;
        for (at, bits) in LEVELS.iter().enumerate() {
            let tally = self.controls[at].get(&(key >> bits)).copied().unwrap_or_default();
            match known.get(at) {
                // The first pass is evidence too, but of another time: it counts as a few asks at most.
                Some(known) => {
                    largest = largest.max(tally.share((*known).min(bounds::FIRST_PASS_WEIGHT[at])));
                }
                // Of the wider ones the nearest that is known well: what is lost far away says nothing about this place.
                None if !sampled && tally.asked() >= bounds::LOSS_SAMPLE => {
                    sampled = true;
                    largest = largest.max(tally.share(0));
                }
                None => {}
            }
        }
        if !sampled {
            largest = largest.max(self.all.share(0));
        }
        largest
    }

    fn each(&mut self, key: u32, change: impl Fn(&mut Tally)) {
        for (bits, level) in LEVELS.iter().zip(&mut self.controls) {
            change(level.entry(key >> bits).or_default());
        }
        change(&mut self.all);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(controls: &[(u32, u32, u32)]) -> Losses {
        let mut losses = Losses::default();
        for (key, answered, lost) in controls {
            (0..*answered).for_each(|_| losses.control(*key, true));
            (0..*lost).for_each(|_| losses.control(*key, false));
        }
        losses
    }

    #[test]
    fn the_worst_neighbourhood_around_a_source_counts() {
        let losses = seen(&[(0x1_0010, 5, 15), (0x1_0080, 200, 0), (0x9_0000, 2_000, 0)]);
        for (key, low, high, why) in [
            (0x1_0011, 0.5, 0.5, "the /28 of the lossy ones: never above one half"),
            (0x1_0055, 0.06, 0.1, "the same /24"),
            (0x9_0010, 0.0, 0.11, "far away: what the first pass showed there"),
        ] {
            let chance = losses.chance_of_silence(key, [14, 250]);
            assert!((low..=high).contains(&chance), "{why}: {chance}");
        }
    }

    #[test]
    fn late_answers_show_a_loss_that_controls_do_not_have() {
        let mut losses = seen(&[(0, 500, 0)]);
        for silences in [0, 1, 4, 7, 3] {
            losses.recovered(7_000, silences);
        }
        assert!(losses.chance_of_silence(0, [16, 255]) > 0.6, "anywhere: it may be anybody's loss");
        let mut lossy = seen(&[(0, 500, 0), (7_000, 20, 80)]);
        for silences in [0, 1, 4, 7, 3] {
            lossy.recovered(7_000, silences);
        }
        assert!(lossy.chance_of_silence(7_001, [1, 9]) > 0.6);
        assert!(lossy.chance_of_silence(100_000, [16, 255]) < 0.25, "the controls there explain it");
    }

    #[test]
    fn a_late_control_is_no_loss_and_what_is_forgotten_is_gone() {
        let mut losses = seen(&[(5, 10, 10)]);
        assert!(!losses.none_seen());
        (0..10).for_each(|_| losses.late(5));
        assert!(losses.none_seen());
        let mut losses = seen(&[(5, 0, 30), (70_000, 400, 0)]);
        losses.forget(0, 255);
        assert!(losses.chance_of_silence(5, [16, 255]) < 0.2);
    }
}
