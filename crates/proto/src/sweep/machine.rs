//! The state machine of a sweep: what to send next, and what the answers mean.

mod conclude;
mod outage_detector;
mod receive;
mod send;
#[cfg(test)]
mod tests;

pub use self::receive::Datagram;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use self::outage_detector::OutageDetector;
use super::evidence::Evidence;
use super::flight::{Flight, RoundTrips};
use super::order::Order;
use super::pace::Pace;
use super::probe_id::ProbeIds;
use super::retry::{Limit, Retry, View};
use super::settings::{Settings, bounds};
use super::states::{State, States};
use super::verdict::{Reason, Status};
use super::window::Window;
use super::workers::Workers;
use crate::stun::TransactionId;
use crate::targets::Targets;

/// A probe to send: a Binding request with this id, from this source, to this server.
#[derive(Clone, Copy, Debug)]
pub struct Probe {
    /// The transaction id.
    pub id: TransactionId,
    /// The address to send from.
    pub source: IpAddr,
    /// Which of the servers, as an index.
    pub server: u16,
    /// Number of the local port to send from. Each number is another port, opened when it first comes up, and kept for as long as
    /// [`Sweep::listens_to`] says.
    pub flow: u32,
    /// The worker that sends it, from its port of that flow. After the first pass it is the first one, except for probes that repeat
    /// an earlier flow: these leave from the port of that one.
    pub worker: u16,
}

/// What the driver has to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Send the probes that were handed out, and receive.
    Send,
    /// Receive, until this time at the latest.
    Wait(Duration),
    /// The receiver of the verdicts has no room: receive, and call again when it has.
    Full,
    /// All verdicts are out.
    Done(EndReason),
}

/// Why a sweep ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndReason {
    /// Every source has its verdict.
    Complete,
    /// Nothing ever answered: neither the canary nor any of the sources probed. Nothing is known of the sources.
    Silent,
}

/// What a sweep is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Handing on the verdicts of a saved state, from this index.
    Replay(u32),
    /// The first pass: each source once.
    Pass,
    /// After the first pass, for the replies to its last probes.
    Gap,
    /// Probing again what was silent.
    Retry,
    /// After the last probe, for late replies.
    Cooldown,
    /// The network is lost since then.
    Paused(Duration),
    /// Handing out the verdicts on the silent ones, from this index.
    Conclude(u32),
    /// Done.
    Done(EndReason),
}

/// Counts for the summary.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Probes handed out, controls and heartbeats included.
    pub probes: u64,
    /// Datagrams received.
    pub received: u64,
    /// Replies to sources already judged, or a second reply to the same probe.
    pub duplicates: u64,
    /// Datagrams that are not STUN responses.
    pub garbage: u64,
    /// STUN responses whose transaction id is none of this run's.
    pub forged: u64,
    /// Genuine responses from the wrong server or to the wrong address.
    pub misdirected: u64,
    /// Times that the network was lost and came back.
    pub outages: u32,
}

/// A sweep over all targets.
///
/// Time is passed in, as the time since the start. Memory: two bits a source, one entry a batch in flight, and one
/// entry for each source that is not simply `ok` until it is judged (after that only with `keep_evidence`).
#[derive(Debug)]
pub struct Sweep {
    targets: Targets,
    order: Order,
    seed: u64,
    probe_ids: ProbeIds,
    settings: Settings,
    independent_servers: usize,
    identity: String,
    resumed: bool,

    states: States,
    evidence: Evidence,
    counters: Counters,
    judged: [u32; 8],
    reasons: Vec<(Status, Reason, u32)>,

    phase: Phase,
    /// The flow of the first pass. More than 0 where the first sources had to be probed several times until anything answered.
    first_flow: u32,
    cursor: u32,
    retry: Option<Box<Retry>>,
    retry_probes: Vec<super::retry::RetryProbe>,
    window: Window,
    workers: Workers,
    pace: Pace,
    flight: Flight,
    /// Sources that answered anything at all in this run or the saved one.
    responsive: u32,
    /// Those of them whose first probe was not answered.
    late: u32,
    confirmed: bool,
    last_sent: Duration,
    /// When the first pass began, in this process.
    began: Duration,
    /// All datagrams that had arrived by then have been handed in.
    drained_until: Duration,
    /// When the next step is expected: now, or at the end of the wait that the driver was given.
    expected_by: Duration,
    /// Every source was probed, and what is open has its verdict by [`Sweep::final_verdict`].
    concluded: bool,
    /// The network went away for good.
    network_lost: bool,
    outage_detector: OutageDetector,
}

impl Sweep {
    /// A sweep that has not begun. `key` must be random and secret; `identity` says what it is of, for the saved state.
    #[must_use]
    pub fn new(targets: Targets, seed: u64, key: [u8; 16], settings: Settings, identity: String) -> Self {
        let len = targets.len();
        Self {
            order: Order::new(len, seed),
            seed,
            probe_ids: ProbeIds::new(key),
            independent_servers: settings.independent_servers(),
            identity,
            resumed: false,
            states: States::new(len),
            evidence: Evidence::default(),
            counters: Counters::default(),
            judged: [0; 8],
            reasons: Vec::new(),
            phase: Phase::Pass,
            first_flow: 0,
            cursor: 0,
            retry: None,
            retry_probes: Vec::new(),
            window: Window::new(settings.window),
            workers: Workers::new(settings.workers),
            pace: Pace::new(settings.rate, settings.batch),
            flight: Flight::default(),
            responsive: 0,
            late: 0,
            confirmed: settings.canary.is_some(),
            last_sent: Duration::ZERO,
            began: Duration::ZERO,
            drained_until: Duration::ZERO,
            expected_by: Duration::ZERO,
            concluded: false,
            network_lost: false,
            outage_detector: OutageDetector::new(seed),
            targets,
            settings,
        }
    }

    /// The sources.
    #[must_use]
    pub fn targets(&self) -> &Targets {
        &self.targets
    }

    /// The seed of the order.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// What the sweep is doing.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Whether it goes on from a saved state.
    #[must_use]
    pub fn is_resumed(&self) -> bool {
        self.resumed
    }

    /// The pass, from 1: how often the source that was probed most often has been probed.
    #[must_use]
    pub fn pass(&self) -> u8 {
        let again = self.retry.as_ref().map_or(0, |retry| retry.rounds());
        (self.first_flow.min(u32::from(u8::MAX)) as u8).saturating_add(1).saturating_add(again)
    }

    /// The counters.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// How many verdicts of this status were handed out.
    #[must_use]
    pub fn judged(&self, status: Status) -> u32 {
        self.judged[status as usize]
    }

    /// How many verdicts were handed out, by status and reason; only those with a reason.
    #[must_use]
    pub fn reasons(&self) -> &[(Status, Reason, u32)] {
        &self.reasons
    }

    /// How many sources have no verdict yet.
    #[must_use]
    pub fn untested(&self) -> u32 {
        self.targets.len() - self.judged.iter().sum::<u32>()
    }

    /// Sources proven with another port than the one sent from.
    #[must_use]
    pub fn port_rewritten(&self) -> u32 {
        self.states.count(State::OkOtherPort)
    }

    /// What is known of each source.
    #[must_use]
    pub fn states(&self) -> &States {
        &self.states
    }

    /// The round-trip times.
    #[must_use]
    pub fn round_trips(&self) -> &RoundTrips {
        &self.flight.times
    }

    /// The share of the sources that work whose first probe was lost, 0 to 1. Only probes whose outcome is known count.
    #[must_use]
    pub fn loss(&self) -> f64 {
        let expected_silent = self.retry.as_ref().map_or(0.0, |retry| retry.expected_silent(self.late));
        if self.responsive == 0 {
            0.0
        } else {
            (f64::from(self.late) + expected_silent) / (f64::from(self.responsive) + expected_silent)
        }
    }

    /// The places that could only be probed slowly, with sources that are unknown therefore.
    #[must_use]
    pub fn limits(&self) -> Vec<Limit> {
        self.retry.as_ref().map_or(Vec::new(), |retry| retry.limits(&self.states, &self.targets))
    }

    /// Whether the first pass is under way: then each worker may ask for probes, later only the first one.
    #[must_use]
    pub fn is_first_pass(&self) -> bool {
        let begun = matches!(self.phase, Phase::Replay(_) | Phase::Pass | Phase::Gap | Phase::Paused(_));
        begun && self.retry.is_none()
    }

    /// Whether answers may still come by this flow; the port of another can be closed.
    #[must_use]
    pub fn listens_to(&self, flow: u32) -> bool {
        flow <= self.first_flow || self.retry.as_ref().is_some_and(|retry| flow >= retry.oldest_flow())
    }

    /// External addresses other than the source, with the number of sources behind each, most first.
    #[must_use]
    pub fn externals(&self, most: usize) -> Vec<(IpAddr, u32)> {
        self.evidence.externals(most)
    }

    /// The window now, and the smallest so far.
    #[must_use]
    pub fn window(&self) -> (u32, u32) {
        (self.window.current(), self.window.lowest())
    }

    /// Probes still to be handed out in the first pass, or sources that are open after it; for an estimate of the time left.
    #[must_use]
    pub fn left_in_pass(&self) -> u32 {
        match self.phase {
            Phase::Pass | Phase::Paused(_) if self.retry.is_none() => self.targets.len() - self.cursor,
            Phase::Retry | Phase::Paused(_) => self.states.count(State::Open),
            _ => 0,
        }
    }

    /// All that had arrived by this time has been handed in. Nothing is concluded from a deadline that passed later: what is
    /// still unread may be the answer.
    pub fn on_drained(&mut self, at: Duration) {
        self.drained_until = self.drained_until.max(at);
    }

    /// The kernel counted dropped datagrams at one of our sockets.
    pub fn on_drops(&mut self) {
        self.window.on_drops();
    }

    /// The server that is queried: in the first pass in turn, so that a NAT's ports per server are used evenly; later one
    /// for each flow, so that sources and their controls query the same one.
    fn server_for(&self, position: u32, flow: u32, worker: u16) -> u16 {
        let slot = match flow <= self.first_flow {
            true if self.settings.server_per_worker => u32::from(worker),
            true => position.wrapping_add(flow),
            false => flow,
        };
        (slot as usize % self.settings.servers.len().max(1)) as u16
    }

    fn server(&self, number: u16) -> SocketAddr {
        self.settings.servers[usize::from(number)]
    }

    /// The source that a number in a transaction id stands for: in the first pass a position in the permuted order, later
    /// an index; or the canary. `None` if it is neither.
    fn source_at(&self, number: u32, flow: u32) -> Option<(Option<u32>, IpAddr)> {
        if number < self.targets.len() {
            let index = if flow <= self.first_flow { self.order.nth(number) } else { number };
            return Some((Some(index), self.targets.source(index)?));
        }
        if number > u32::MAX - super::probe_id::CANARY_POSITIONS {
            return Some((None, self.settings.canary?));
        }
        None
    }

    /// The state that the retries work on.
    fn view(&self, now: Duration) -> View<'_> {
        let timeout = self.settings.timeout;
        // Where replies take longer than they may, they are waited for as long as they take, and as long again.
        let max_wait = timeout.max((self.flight.times.max() * 2).min(timeout * 5 / 2));
        View {
            now,
            drained_until: self.drained_until,
            states: &self.states,
            rto: self.flight.times.rto(),
            max_wait,
        }
    }

    /// The gap after the first pass.
    fn pass_gap(&self) -> Duration {
        (self.flight.times.rto() * 2)
            .max(bounds::MIN_PASS_GAP)
            .min(self.settings.timeout.max(bounds::MIN_PASS_GAP))
    }
}
