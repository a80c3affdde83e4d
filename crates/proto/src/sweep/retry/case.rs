//! Cases, the places they are in, and the sets in which they are probed.

use std::ops::Range;
use std::time::Duration;

use super::{CANARY, RetryProbe};

/// A silent source.
#[derive(Clone, Copy, Debug)]
pub(super) struct Case {
    pub(super) index: u32,
    /// The flow and the server of the last probe.
    pub(super) flow: u32,
    pub(super) server: u16,
    /// The control of the last probe.
    pub(super) control: u32,
    /// Probes since the first pass.
    pub(super) probes: u16,
    /// Those of them whose control was answered, or is lost.
    pub(super) resolved: u16,
    /// Those of them sent while nothing came through: they do not count towards the most that are sent.
    pub(super) in_outage: u16,
    /// Probes that went unanswered although their control was answered, and refused ones.
    pub(super) counted: u8,
    /// Those of them that were refused by the system.
    pub(super) refused: u8,
    /// Probes that were not refused.
    pub(super) sent: u16,
    /// The improbability of those silences for a source that works: the sum of the negative logarithms of their chances.
    pub(super) evidence: f32,
    /// The sum of the chances.
    pub(super) expected: f32,
    /// The evidence beside controls with lower and with higher addresses.
    pub(super) sides: [f32; 2],
    /// Sources on both sides of it have answered, in its neighbourhood.
    pub(super) is_between: bool,
    /// The same number and evidence beside controls that are behind a NAT, if it may be behind it too.
    pub(super) behind_nat: (u8, f32),
    pub(super) may_be_behind_nat: bool,
    /// The evidence that one more silence adds, as far as was known when the round began.
    pub(super) weight: f32,
    /// No source of the neighbourhood has answered.
    pub(super) far: bool,
    /// It was probed again at the end, twice from the same port.
    pub(super) repeated: bool,
    /// Among its neighbours those that are silent are the ones that were probed last.
    pub(super) came_late: bool,
    /// Something came back that does not settle it.
    pub(super) has_answered: bool,
    /// It was first answered by a probe after the first pass, and none came to that of the first pass.
    pub(super) late: bool,
    pub(super) probed_at: Duration,
}

/// A neighbourhood with cases.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// In the list of cases.
    pub(super) cases: Range<u32>,
    /// Cases still to be probed in this round, rising.
    pub(super) todo: Vec<u32>,
    /// Probes of a set that leave one by one, since the pace is slow.
    pub(super) queue: Vec<RetryProbe>,
    /// The control of that set, with its flow.
    pub(super) building: Option<(u32, u32)>,
    pub(super) round: u8,
    /// Sets of this round, about.
    pub(super) sets: u32,
    /// When the round began.
    pub(super) began_at: Duration,
    /// When the next round may begin.
    pub(super) ready_at: Duration,
    /// Tells the latest entry of the schedule from those before it.
    pub(super) stamp: u32,
    pub(super) active: bool,
    /// Whether a source of the neighbourhood has answered.
    pub(super) has_controls: bool,
    /// Whether one of them is `ok`.
    pub(super) has_direct: bool,
    /// Whether one of them, or of the neighbourhoods around, is `mapped`, or otherwise not `ok`.
    pub(super) has_others: bool,
    /// Whether the last of those that was probed was answered: a NAT before them then takes new flows.
    pub(super) others_pass: bool,
    /// Controls lost since the last that was answered.
    pub(super) lost_in_a_row: u8,
    /// Controls that answered after their time, since the last that did not.
    pub(super) late_in_a_row: u8,
    /// How long replies take here, if it is longer than elsewhere.
    pub(super) slow: Duration,
}

/// Cases that were probed together with one control.
#[derive(Clone, Debug)]
pub(super) struct MatchedSet {
    pub(super) place: u32,
    pub(super) members: Vec<u32>,
    /// When the control left.
    pub(super) probed_at: Duration,
    /// Once all of it has left.
    pub(super) sent_at: Option<Duration>,
    pub(super) state: SetState,
    /// The time for answers is over, and what followed from them is counted.
    pub(super) closed: bool,
    /// The members that could not be sent.
    pub(super) refused: Vec<u32>,
}

/// What became of the last some hundred controls of a kind; earlier ones count less.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Recent {
    pub(super) answered: f64,
    pub(super) lost: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SetState {
    Waiting,
    Answered,
    Lost,
    /// It proves nothing: the program did not run meanwhile, or the network was gone.
    Void,
}

impl MatchedSet {
    pub(super) fn new(place: u32, members: Vec<u32>) -> Self {
        Self {
            place,
            members,
            probed_at: Duration::ZERO,
            sent_at: None,
            state: SetState::Waiting,
            closed: false,
            refused: Vec::new(),
        }
    }
}

impl Recent {
    pub(super) fn record(&mut self, answered: bool) {
        if self.outcomes() >= 256.0 {
            (self.answered, self.lost) = (self.answered / 2.0, self.lost / 2.0);
        }
        if answered { self.answered += 1.0 } else { self.lost += 1.0 }
    }

    pub(super) fn outcomes(&self) -> f64 {
        self.answered + self.lost
    }

    /// The share lost, estimated a little high.
    pub(super) fn share(&self) -> f64 {
        (self.lost + 1.0) / (self.outcomes() + 2.0)
    }
}

impl Place {
    pub(super) fn new(first: u32) -> Self {
        Self {
            cases: first..first,
            todo: Vec::new(),
            queue: Vec::new(),
            building: None,
            round: 0,
            sets: 0,
            began_at: Duration::ZERO,
            ready_at: Duration::ZERO,
            stamp: 0,
            active: false,
            has_controls: false,
            has_direct: false,
            has_others: false,
            others_pass: false,
            lost_in_a_row: 0,
            late_in_a_row: 0,
            slow: Duration::ZERO,
        }
    }
}

impl Case {
    /// What became of a probe is known.
    pub(super) fn resolve(&mut self) {
        self.resolved = self.resolved.saturating_add(1);
    }

    /// What was counted counts no more.
    pub(super) fn forget(&mut self) {
        (self.counted, self.refused) = (0, 0);
        (self.evidence, self.expected, self.behind_nat) = (0.0, 0.0, (0, 0.0));
        self.sides = [0.0; 2];
        self.repeated = false;
    }

    pub(super) fn new(index: u32) -> Self {
        Self {
            index,
            flow: 0,
            server: u16::MAX,
            control: CANARY,
            probes: 0,
            resolved: 0,
            in_outage: 0,
            counted: 0,
            refused: 0,
            sent: 0,
            evidence: 0.0,
            expected: 0.0,
            sides: [0.0; 2],
            is_between: false,
            behind_nat: (0, 0.0),
            may_be_behind_nat: false,
            weight: 0.0,
            far: false,
            repeated: false,
            came_late: false,
            has_answered: false,
            late: false,
            probed_at: Duration::ZERO,
        }
    }
}
