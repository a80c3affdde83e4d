//! The state machine of a sweep: what to send next, and what the answers mean.

mod conclude;
mod receive;
mod send;
#[cfg(test)]
mod tests;

pub use self::receive::Datagram;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::bits::States;
use super::control::{Controls, Passes};
use super::cookie::Cookie;
use super::evidence::Evidence;
use super::flight::{Flight, RoundTrips};
use super::order::Order;
use super::pace::Pace;
use super::settings::{Settings, bounds};
use super::verdict::{Reason, Status};
use super::window::Window;
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
    Done(Why),
}

/// Why a sweep ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Every source has its verdict.
    Complete,
    /// Nothing ever answered: neither the canary nor any of the sources asked. Nothing is known of the sources.
    Silent,
}

/// What a sweep is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Handing on the verdicts of a saved state, from this index.
    Replay(u32),
    /// Asking.
    Pass,
    /// Between two passes, since the last probe.
    Gap,
    /// After the last pass, for late replies.
    Cooldown,
    /// The network is lost since then.
    Paused(Duration),
    /// Handing out the verdicts on the silent ones, from this index.
    Conclude(u32),
    /// Done.
    Done(Why),
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

impl Counters {
    /// The sum of both.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            probes: self.probes + other.probes,
            received: self.received + other.received,
            duplicates: self.duplicates + other.duplicates,
            garbage: self.garbage + other.garbage,
            forged: self.forged + other.forged,
            misdirected: self.misdirected + other.misdirected,
            outages: self.outages + other.outages,
        }
    }
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
    cookie: Cookie,
    settings: Settings,
    witnesses: usize,
    subject: String,
    resumed: bool,

    states: States,
    evidence: Evidence,
    passes: Passes,
    counters: Counters,
    judged: [u32; 8],
    reasons: Vec<(Status, Reason, u32)>,

    phase: Phase,
    pass: u8,
    cursor: u32,
    controls: Controls,
    window: Window,
    pace: Pace,
    flight: Flight,
    /// Sources that answered anything at all in this run or the saved one.
    good: u32,
    confirmed: bool,
    last_sent: Duration,
    /// What silence means, once that is settled.
    silence: Option<(Status, Reason)>,
    alive: Alive,
}

/// The watch over the network itself.
#[derive(Clone, Debug, Default)]
struct Alive {
    last_reply: Duration,
    last_beat: Duration,
    /// The last reply before the outage that is being waited out.
    lost_at: Duration,
    /// Heartbeats sent since the last reply.
    beats: u32,
    dice: u64,
    /// (time, cursor): where the walk was when, for going back to before an outage.
    marks: std::collections::VecDeque<(Duration, u32)>,
}

impl Sweep {
    /// A sweep that has not begun. `key` must be random and secret; `subject` says what it is of, for the saved state.
    #[must_use]
    pub fn new(targets: Targets, seed: u64, key: [u8; 16], settings: Settings, subject: String) -> Self {
        let len = targets.len();
        Self {
            order: Order::new(len, seed),
            seed,
            cookie: Cookie::new(key),
            witnesses: settings.witnesses(),
            subject,
            resumed: false,
            states: States::new(len),
            evidence: Evidence::default(),
            passes: Passes::default(),
            counters: Counters::default(),
            judged: [0; 8],
            reasons: Vec::new(),
            phase: Phase::Pass,
            pass: 1,
            cursor: 0,
            controls: Controls::default(),
            window: Window::new(settings.window),
            pace: Pace::new(settings.rate, settings.batch),
            flight: Flight::default(),
            good: 0,
            confirmed: settings.canary.is_some(),
            last_sent: Duration::ZERO,
            silence: None,
            alive: Alive { dice: seed, ..Alive::default() },
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

    /// The pass, from 1.
    #[must_use]
    pub fn pass(&self) -> u8 {
        self.pass
    }

    /// How often a source that stayed silent has been asked by now.
    #[must_use]
    pub fn asks(&self) -> u8 {
        self.pass.saturating_sub(self.passes.first).saturating_add(1)
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
        self.states.count(super::bits::State::OkOtherPort)
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

    /// The measured loss per probe, 0 to 1.
    #[must_use]
    pub fn loss(&self) -> f64 {
        self.passes.loss(self.pass, self.good)
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

    /// How many probes may still be answered in time.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.flight.in_flight()
    }

    /// Probes still to be handed out in this pass, at most; for an estimate of the time left.
    #[must_use]
    pub fn left_in_pass(&self) -> u32 {
        match self.phase {
            Phase::Pass | Phase::Paused(_) => {
                let walked = f64::from(self.cursor) / f64::from(self.targets.len().max(1));
                let open = f64::from(self.states.count(super::bits::State::Open));
                if self.pass == self.passes.first {
                    self.targets.len() - self.cursor
                } else {
                    (open * (1.0 - walked)) as u32
                }
            }
            _ => 0,
        }
    }

    /// The kernel counted dropped datagrams at one of our sockets.
    pub fn on_drops(&mut self) {
        self.window.on_drops();
    }

    /// The server that a position is asked at in a pass: in turn, so that a source is asked at another one the next time,
    /// and so that a NAT's ports per server are used evenly.
    fn server_for(&self, position: u32, pass: u8) -> u16 {
        ((position as usize + usize::from(pass)) % self.settings.servers.len().max(1)) as u16
    }

    fn server(&self, number: u16) -> SocketAddr {
        self.settings.servers[usize::from(number)]
    }

    /// The source at a position of the walk, or the canary; `None` if the position is neither.
    fn source_at(&self, position: u32) -> Option<(Option<u32>, IpAddr)> {
        if position < self.targets.len() {
            let index = self.order.nth(position);
            return Some((Some(index), self.targets.source(index)?));
        }
        if position > u32::MAX - super::cookie::CANARY_POSITIONS {
            return Some((None, self.settings.canary?));
        }
        None
    }

    /// The gap before a further pass.
    fn pass_gap(&self) -> Duration {
        (self.flight.times.hold() * 2)
            .max(bounds::MIN_PASS_GAP)
            .min(self.settings.timeout.max(bounds::MIN_PASS_GAP))
    }
}
