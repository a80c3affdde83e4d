//! The second part of a sweep: what was silent is probed again, beside sources that are known to answer.
//!
//! In the words of medicine, which has the same question: the silent sources are cases, each is matched with a control, a source
//! nearby that has answered, and both are probed a moment apart, in random order, each as a new flow. Only a silence whose control
//! was answered counts. How many must count follows from the loss of the neighbourhood, and from the number of cases.

mod case;
mod isolated;
mod judge;
mod outcome;
mod resend;
mod schedule;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap, HashSet, VecDeque};
use std::net::IpAddr;
use std::ops::Range;
use std::time::Duration;

use super::loss::Losses;
use super::pacing::Paces;
use super::rng::SplitMix64;
use super::settings::{Settings, bounds};
use super::states::{State, States};

use case::{Case, MatchedSet, Place, Recent};
pub(super) use isolated::Cooldown;
pub(super) use judge::Finding;
use resend::Resends;

/// Stands for the canary among the indices of controls.
pub(super) const CANARY: u32 = u32::MAX;

/// A probe to send, of the source with this index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RetryProbe {
    /// The source, or [`CANARY`].
    pub index: u32,
    pub flow: u32,
    pub control: bool,
}

/// What a step of the retries looks at.
pub(super) struct View<'a> {
    pub now: Duration,
    /// All datagrams that had arrived by then have been handed in.
    pub drained_until: Duration,
    pub states: &'a States,
    /// The retransmission timeout (RFC 6298) of the round trips so far: replies rarely take longer.
    pub rto: Duration,
    /// How long a reply is waited for before a control counts as unanswered for good.
    pub max_wait: Duration,
}

/// The retries of a sweep.
#[derive(Debug)]
pub(super) struct Retry {
    cases: Vec<Case>,
    places: Vec<Place>,
    paces: Paces,
    losses: Losses,
    /// Of a control and its flow.
    sets: HashMap<(u32, u32), MatchedSet>,
    /// Sets whose control may still answer in time, with the end of that time.
    waiting: BinaryHeap<Reverse<(Duration, (u32, u32))>>,
    /// Sets kept for a late answer of their control.
    overdue: VecDeque<(Duration, (u32, u32))>,
    due: BinaryHeap<Reverse<(Duration, u32, u32)>>,
    flow: u32,
    /// The flow of the first pass; ports up to it stay open.
    first_flow: u32,
    flow_since: Duration,
    /// Flows after the first pass, with the time that they were last used.
    flows: VecDeque<(u32, Duration)>,
    /// Controls that have this flow already.
    used: HashSet<u32>,
    rng: SplitMix64,
    begun: Duration,
    last_answer: Duration,
    expired: bool,
    in_flight: VecDeque<(Duration, u32)>,
    in_flight_sum: u32,
    /// The retransmission timeout (RFC 6298) of the round trips so far: replies rarely take longer.
    rto: Duration,
    /// Between indices and keys: see [`Losses`].
    shift: u32,
    len: u32,
    servers: u32,
    /// By server: controls lost, and replies.
    server_outcomes: Vec<[u32; 2]>,
    canary: bool,
    /// Probes of a case at most.
    max_probes: u8,
    /// The user has said how many.
    fixed_passes: bool,
    timeout: Duration,
    /// Probes a second at most.
    max_rate: f64,
    /// The natural logarithm of the chance of silence that is small enough.
    threshold: f64,
    /// Controls probed by their flow of the first pass, after one of a new flow was lost.
    old_flow_controls: HashSet<u32>,
    old_flows: [u32; 2],
    new_flows: [u32; 2],
    /// Open cases of which one server says that they are mapped.
    mapped: BTreeSet<u32>,
    /// Controls of late that are behind a NAT, or otherwise not `ok`.
    behind_nat: Recent,
    /// The others.
    direct: Recent,
    rounds: u8,
    /// Isolated probes to come, the next one last: time, case and flow.
    isolated: Vec<(Duration, u32, u32)>,
    /// Silent sources to probe once more, with the time, and the flow of all of these.
    repeats: VecDeque<(Duration, u32)>,
    repeat_flow: u32,
    /// What the system refused to send.
    resends: Resends,
    /// Until when late answers are waited for.
    cooldown_until: Duration,
    /// Everything is done in order, to see that the tests notice.
    in_order: bool,
    #[cfg(test)]
    mutant: Option<super::settings::Mutant>,
}

/// A place that could only be probed slowly, or not to the end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limit {
    /// The first source of it.
    pub first: IpAddr,
    /// The last.
    pub last: IpAddr,
    /// Probes a second that came through.
    pub rate: f64,
    /// Its sources that are still unknown.
    pub unknown: u32,
    /// How long probing them would take, about.
    pub needs: Duration,
}

impl Retry {
    /// The retries of all that is open. `shift` is added to an index to make a key; `flow` is that of the first pass; `speed`
    /// the probes a second that it reached.
    pub(super) fn new(
        states: &States,
        shift: u32,
        flow: u32,
        speed: f64,
        settings: &Settings,
        now: Duration,
        seed: u64,
    ) -> Self {
        let (mut cases, mut places, mut keys) = (Vec::new(), Vec::<Place>::new(), Vec::new());
        let mut next = states.next_open(0);
        while let Some(index) = next {
            let key = (index + shift) >> bounds::NEIGHBOURHOOD_BITS;
            let at = cases.len() as u32;
            if keys.last() != Some(&key) {
                keys.push(key);
                places.push(Place::new(at));
            }
            if let Some(place) = places.last_mut() {
                place.cases.end = at + 1;
            }
            cases.push(Case::new(index));
            next = states.next_open(index + 1);
        }
        let threshold = (bounds::MAX_EXPECTED_FALSE / (cases.len() as f64).max(1.0)).ln();
        let mut retry = Self {
            paces: Paces::new(&keys, now),
            losses: Losses::default(),
            sets: HashMap::new(),
            waiting: BinaryHeap::new(),
            rto: Duration::ZERO,
            overdue: VecDeque::new(),
            due: BinaryHeap::new(),
            flow,
            first_flow: flow,
            flow_since: Duration::ZERO,
            flows: VecDeque::new(),
            used: HashSet::new(),
            rng: SplitMix64::new(seed ^ 0x7265_7472_7900),
            begun: now,
            last_answer: now,
            expired: false,
            in_flight: VecDeque::new(),
            in_flight_sum: 0,
            shift,
            len: states.len(),
            servers: settings.servers.len().max(1) as u32,
            server_outcomes: vec![[0; 2]; settings.servers.len().max(1)],
            canary: settings.canary.is_some(),
            max_probes: settings.passes.map_or(bounds::MAX_PROBES, |passes| passes.saturating_sub(1)),
            fixed_passes: settings.passes.is_some(),
            timeout: settings.timeout,
            max_rate: settings.rate.unwrap_or(f64::INFINITY).min(speed),
            threshold,
            old_flow_controls: HashSet::new(),
            old_flows: [0; 2],
            new_flows: [0; 2],
            mapped: BTreeSet::new(),
            behind_nat: Recent::default(),
            direct: Recent::default(),
            rounds: 0,
            isolated: Vec::new(),
            repeats: VecDeque::new(),
            repeat_flow: 0,
            resends: Resends::default(),
            cooldown_until: now,
            #[cfg(test)]
            in_order: settings.mutant == Some(super::settings::Mutant::SameOrder),
            #[cfg(not(test))]
            in_order: false,
            cases,
            places,
            #[cfg(test)]
            mutant: settings.mutant,
        };
        for at in 0..retry.places.len() as u32 {
            retry.activate(at, now);
        }
        retry
    }

    /// Appends the probes that are due, about `allowed` of them; gives the time to look again, `None` when nothing is left to probe.
    pub(super) fn poll(
        &mut self,
        view: &View<'_>,
        allowed: usize,
        out: &mut Vec<RetryProbe>,
    ) -> Option<Duration> {
        self.rto = view.rto;
        self.check_overdue(view, out);
        self.resends.poll(view.now, out);
        self.expire_if_stalled(view.now);
        while out.len() < allowed {
            let Some(Reverse((at, place, stamp))) = self.due.peek().copied() else { break };
            let current = &self.places[place as usize];
            if !current.active || current.stamp != stamp {
                self.due.pop();
                continue;
            }
            if at > view.now {
                break;
            }
            self.due.pop();
            self.serve(place, view, out);
        }
        let place = self.due.peek().map(|Reverse((at, ..))| *at);
        let control = self.waiting.peek().map(|Reverse((until, _))| *until);
        [place, control, self.resends.next_at()].into_iter().flatten().min()
    }

    /// How many probes may still be answered in time.
    pub(super) fn in_flight(&mut self, view: &View<'_>) -> u32 {
        while let Some((at, count)) = self.in_flight.front()
            && (*count == 0 || *at + view.rto <= view.drained_until)
        {
            self.in_flight_sum -= count;
            self.in_flight.pop_front();
        }
        self.in_flight_sum
    }

    /// A probe was answered: it is no longer in flight.
    fn on_landed(&mut self, probed_at: Duration) {
        if let Ok(at) = self.in_flight.binary_search_by_key(&probed_at, |(at, _)| *at)
            && self.in_flight[at].1 > 0
        {
            self.in_flight[at].1 -= 1;
            self.in_flight_sum -= 1;
        }
    }

    /// When the next probe in flight gives its place free.
    pub(super) fn next_expiry(&self, view: &View<'_>) -> Option<Duration> {
        self.in_flight.front().map(|(at, _)| *at + view.rto)
    }

    /// The pace that heartbeats must leave room for: that of everything together, or that of the slowest place.
    pub(super) fn heartbeat_rate(&self, in_slow_place: bool) -> Option<f64> {
        if in_slow_place { self.paces.slowest() } else { self.paces.overall() }
    }

    /// Whether a source is in a place that can only be probed slowly.
    pub(super) fn is_slow(&self, index: u32) -> bool {
        let key = self.key(index) >> bounds::NEIGHBOURHOOD_BITS;
        let place = self.places.partition_point(|place| {
            self.key(self.cases[place.cases.start as usize].index) >> bounds::NEIGHBOURHOOD_BITS < key
        });
        let first = self.places.get(place).map(|place| self.cases[place.cases.start as usize].index);
        first.is_some_and(|first| self.key(first) >> bounds::NEIGHBOURHOOD_BITS == key)
            && self.paces.is_limited(place as u32)
    }

    /// The oldest flow after the first pass that an answer may still come by.
    pub(super) fn oldest_flow(&self) -> u32 {
        self.flows.front().map_or(self.flow, |(flow, _)| *flow)
    }

    /// How often the most probed case was probed after the first pass.
    pub(super) fn rounds(&self) -> u8 {
        self.rounds
    }

    /// How often a case was probed after the first pass.
    pub(super) fn probes(&self, index: u32) -> u8 {
        self.case(index).map_or(0, |at| to_u8(self.cases[at].probes))
    }

    fn key(&self, index: u32) -> u32 {
        index + self.shift
    }

    /// The indices of the neighbourhood of so many bits around a source.
    fn around(&self, index: u32, bits: u32) -> Range<u32> {
        let key = u64::from(self.key(index));
        let (from, to) = (key >> bits << bits, ((key >> bits) + 1) << bits);
        let index = |key: u64| key.saturating_sub(u64::from(self.shift)).min(u64::from(self.len)) as u32;
        index(from)..index(to)
    }

    fn case(&self, index: u32) -> Option<usize> {
        self.cases.binary_search_by_key(&index, |case| case.index).ok()
    }

    fn place_of(&self, case: u32) -> u32 {
        self.places.partition_point(|place| place.cases.end <= case) as u32
    }

    #[cfg(test)]
    fn broken(&self, mutant: super::settings::Mutant) -> bool {
        self.mutant == Some(mutant)
    }
}

/// The time that controls are given at least before they count as lost: late ones are counted back.
fn grace(rto: Duration) -> Duration {
    rto + Duration::from_millis(20)
}

fn is_open(case: &Case, states: &States) -> bool {
    states.at(case.index) == State::Open
}

fn to_u8(probes: u16) -> u8 {
    u8::try_from(probes).unwrap_or(u8::MAX)
}
