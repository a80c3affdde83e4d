//! The course of a classification: which sockets, which requests, when, and when it is over.
//!
//! 1. **Filtering**, on fresh sockets, before anything has been sent to a server's other address: from one socket the server is
//!    asked to answer from its other address and port, from another one to answer from its other port. Each such request goes
//!    with a plain one, so that silence always stands between two answers of the same server. Who is let in is asked for again
//!    from another fresh port: the first one may have been open from somebody's earlier traffic.
//! 2. **Allocation** meanwhile: sockets one after the other, all to the first server that answered.
//! 3. **Mapping**, from one more socket to all addresses of all servers. This comes after the filtering tests, since it
//!    opens filters that look at the address of the peer only, whatever the socket.
//! 4. Hairpinning and lifetime, if asked for.
//!
//! Each part takes one round trip where nothing is silent, and silence is waited for once, for all servers at the same time.

use std::hash::Hasher;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use siphasher::sip::SipHasher24;

use super::allocation::SampleKind;
use super::probe::{Answer, MOST_SENDS, Probe};
use super::report::{Ignored, Report, Test};
use super::settings::Settings;
use crate::stun::TransactionId;
use crate::stun::behavior::{self, ChangeRequest};

mod conclude;
mod events;
mod extras;
mod filtering;
mod lifetime;
mod mapping;
#[cfg(test)]
mod tests;

use extras::Extras;
use filtering::{Filter, Standing};

/// A server to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Server {
    /// Its address.
    pub address: SocketAddr,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Open a socket at the local address, on a port of the system's choice, and tell [`Classifier::on_open`].
    Open {
        /// Its number.
        socket: u16,
    },
    /// Open sockets on consecutive ports, if that can be done.
    OpenRun {
        /// The first one's number; the others follow.
        first: u16,
        /// How many.
        count: u16,
    },
    /// Send.
    Send {
        /// From this socket.
        socket: u16,
        /// To here.
        to: SocketAddr,
        /// This.
        bytes: Vec<u8>,
        /// Which request it is, for [`Classifier::on_send_error`].
        probe: u16,
    },
    /// Send this from a socket of its own that is connected there: only such a one is told of a refusal by ICMP, which is for
    /// [`Classifier::on_refused`]. Answers to it do not matter.
    ConnectedProbe {
        /// To here.
        to: SocketAddr,
        /// This.
        bytes: Vec<u8>,
    },
}

/// While a lifetime is measured nothing is urgent.
const EXTRAS_LOOK_EVERY: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, Debug, Default)]
struct Local {
    address: Option<SocketAddr>,
    errno: Option<i32>,
}

/// Why a server cannot run the tests of RFC 5780.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Incapable {
    NoOther,
    OtherHalfEqual,
    OtherNotGlobal,
    OtherFamily,
    OtherVaries,
    Error(u16),
    IgnoresChange,
    /// Its address belongs to the pair of this one.
    SamePair(SocketAddr),
    /// Two servers that can test are enough.
    NotNeeded,
    /// The system refuses to send to it.
    Refused,
    /// Nothing listens there, or a firewall says so (ICMP port unreachable).
    NothingListens,
}

#[derive(Clone, Debug)]
struct Target {
    address: SocketAddr,
    /// When it was first asked.
    started: Option<Duration>,
    /// How often it was asked from a connected socket.
    connected_probes: u32,
    answered: bool,
    other: Option<SocketAddr>,
    cannot: Option<Incapable>,
    /// Tests II and III of the filtering.
    filters: Option<[Filter; 2]>,
}

impl Target {
    /// Whether it has said what it can do.
    fn is_known(&self) -> bool {
        self.other.is_some() || self.cannot.is_some()
    }

    fn can_test(&self) -> bool {
        self.other.is_some() && self.cannot.is_none()
    }
}

/// A classification under way, for one local address.
#[derive(Debug)]
pub struct Classifier {
    settings: Settings,
    local: IpAddr,
    key: [u8; 16],
    targets: Vec<Target>,
    sockets: Vec<Local>,
    probes: Vec<Probe>,
    commands: Vec<Command>,
    longest: Duration,
    /// The server that allocation is tested with, and when the two groups were begun.
    lead: Option<usize>,
    groups: [Option<Duration>; 2],
    /// The requests of the two groups, with the kind of their sockets.
    allocation: Vec<(SampleKind, u16)>,
    /// When the mapping tests began, and their requests.
    mapping_began: Option<Duration>,
    mapping: Vec<u16>,
    extras: Extras,
    ignored: Ignored,
    done: bool,
}

impl Classifier {
    /// Plans the tests of servers from a local address, which must be a real one: what is compared with a wildcard address
    /// is never equal. `key` must not be guessable: it proves which answers belong to which request.
    #[must_use]
    pub fn new(local: IpAddr, servers: &[Server], settings: Settings, key: [u8; 16]) -> Self {
        let target = |server: &Server| Target {
            address: server.address,
            started: None,
            connected_probes: 0,
            answered: false,
            other: None,
            cannot: None,
            filters: None,
        };
        Self {
            extras: Extras::new(&settings),
            settings,
            local,
            key,
            targets: servers.iter().map(target).collect(),
            sockets: Vec::new(),
            probes: Vec::new(),
            commands: Vec::new(),
            longest: Duration::ZERO,
            lead: None,
            groups: [None; 2],
            allocation: Vec::new(),
            mapping_began: None,
            mapping: Vec::new(),
            ignored: Ignored::default(),
            done: servers.is_empty(),
        }
    }

    /// Whether all is known that can be.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.done
    }

    /// Whether any server has answered.
    #[must_use]
    pub fn has_heard(&self) -> bool {
        self.targets.iter().any(|t| t.answered)
    }

    /// What is to be done now. Call it after everything that happened, and when [`Classifier::next_wake`] has come.
    pub fn poll(&mut self, now: Duration, out: &mut Vec<Command>) {
        if self.done {
            return;
        }
        self.start_servers(now);
        self.send_connected_probe(now);
        self.filter_tests(now);
        self.allocation_tests(now);
        self.mapping_tests(now);
        if self.mapping_is_over(now) && self.allocation_is_over(now) {
            self.extra_tests(now);
            self.done = self.extras_are_over();
        } else if self.all_silent(now) {
            self.done = true;
        }
        self.send_due(now);
        out.append(&mut self.commands);
    }

    /// When to poll again at the latest.
    #[must_use]
    pub fn next_wake(&self, now: Duration) -> Option<Duration> {
        if self.done {
            return None;
        }
        let mut wake: Option<Duration> = None;
        // What is past was done by `poll`, or is held back until something else happens.
        let mut sooner = |at: Duration| {
            if at > now {
                wake = Some(wake.map_or(at, |w| w.min(at)));
            }
        };
        let mut again = |probe: &Probe| {
            if let (Some(last), Some(due)) = (probe.sends.last(), probe.due(self.gaps(probe.server))) {
                sooner(due);
                sooner(*last + self.wait());
            }
        };
        self.probes.iter().filter(|p| !p.closed && p.by_itself).for_each(&mut again);
        let filters = self.targets.iter().filter_map(|t| t.filters.as_ref()).flatten();
        let filtering = filters.flat_map(|f| f.ports.iter().copied());
        let open = filtering.filter(|p| p.standing == Standing::Open).chain(self.extra_pairs());
        open.for_each(|pair| again(&self.probes[usize::from(pair.change)]));
        for started in self.targets.iter().filter_map(|t| t.started).filter(|_| self.mapping_began.is_none())
        {
            sooner(started + self.settings.give_up);
            sooner(started + self.settings.patience);
            sooner(started + self.settings.next_server_after);
        }
        self.targets.iter().filter_map(|t| self.connected_probe_due(t)).for_each(&mut sooner);
        if let Some(age) = self.extras.ages.next() {
            sooner(age);
        }
        // Whatever was forgotten above costs a little time, never the end.
        let at_the_latest =
            if self.extras.have_begun() { EXTRAS_LOOK_EVERY } else { self.settings.next_server_after };
        Some(wake.map_or(now + at_the_latest, |at| at.min(now + at_the_latest)))
    }

    /// Ends it with what is known.
    #[must_use]
    pub fn finish(self, now: Duration) -> Report {
        self.conclude(now)
    }

    /// Where a server answers from if it does what it was asked to; `None` while that is not known.
    fn changed(&self, server: usize, change_request: ChangeRequest) -> Option<SocketAddr> {
        let target = &self.targets[server];
        let other = target.other?;
        let ip = if change_request.change_ip { other.ip() } else { target.address.ip() };
        Some(SocketAddr::new(
            ip,
            if change_request.change_port { other.port() } else { target.address.port() },
        ))
    }

    /// How long an answer may take before it is lost.
    fn wait(&self) -> Duration {
        (self.longest * 2).max(self.settings.answer_within)
    }

    fn gaps(&self, server: usize) -> &[Duration] {
        if self.targets[server].answered { &self.settings.gaps } else { &self.settings.first_gaps }
    }

    /// How probable it is, from what was lost of the plain requests, that so many in a row were lost: the rule of succession,
    /// applied as often. Losses of the path to this server count alone if there were any.
    fn doubt(&self, server: usize, in_a_row: usize, now: Duration) -> f64 {
        let wait = self.wait();
        let count = |of: Option<usize>| {
            let plain = self.probes.iter().filter(|p| of.is_none_or(|s| p.server == s));
            plain.filter(|p| self.measures_loss(p)).fold((0, 0), |(sent, lost), p| {
                let (s, l) = p.loss(now, wait);
                (sent + s, lost + l)
            })
        };
        let own = count(Some(server));
        let (sent, lost) = if own.1 > 0 { own } else { count(None) };
        (0..in_a_row).map(|k| (lost + 1 + k) as f64 / (sent + 2 + k) as f64).product()
    }

    /// A server or address that never answered says nothing about the path.
    fn measures_loss(&self, probe: &Probe) -> bool {
        let target = &self.targets[probe.server];
        probe.is_plain() && target.answered && probe.to == target.address && probe.errno.is_none()
    }

    fn open(&mut self) -> u16 {
        let socket = self.sockets.len() as u16;
        self.sockets.push(Local::default());
        self.commands.push(Command::Open { socket });
        socket
    }

    fn add(&mut self, probe: Probe) -> u16 {
        self.probes.push(probe);
        (self.probes.len() - 1) as u16
    }

    /// Sends what is due of all requests that go by themselves.
    fn send_due(&mut self, now: Duration) {
        for index in 0..self.probes.len() {
            let probe = &self.probes[index];
            let due =
                if probe.sends.is_empty() { Some(probe.from) } else { probe.due(self.gaps(probe.server)) };
            if probe.by_itself && !probe.closed && due.is_some_and(|at| at <= now) {
                self.send(index as u16, now);
            }
        }
    }

    fn send(&mut self, index: u16, now: Duration) {
        let attempt = self.probes[usize::from(index)].sends.len();
        let id = self.id(index, attempt);
        let probe = &mut self.probes[usize::from(index)];
        if let Some(errno) = self.sockets[usize::from(probe.socket)].errno {
            (probe.errno, probe.closed) = (Some(errno), true);
            return;
        }
        if attempt >= MOST_SENDS {
            probe.closed = true;
            return;
        }
        probe.sends.push(now);
        let bytes = behavior::request(&id, probe.change_request);
        self.commands.push(Command::Send { socket: probe.socket, to: probe.to, bytes, probe: index });
    }

    /// The number of the request and of the send, and a proof of both.
    fn id(&self, index: u16, attempt: usize) -> TransactionId {
        let mut id = [0; 12];
        id[..2].copy_from_slice(&index.to_be_bytes());
        id[2] = attempt as u8;
        let mut hasher = SipHasher24::new_with_key(&self.key);
        hasher.write(&id[..4]);
        id[4..].copy_from_slice(&hasher.finish().to_be_bytes());
        id
    }

    fn sent_with(&self, id: &TransactionId) -> Option<(usize, usize)> {
        let (index, attempt) = (u16::from_be_bytes([id[0], id[1]]), usize::from(id[2]));
        let sent = self.probes.get(usize::from(index))?.sends.len();
        (attempt < sent && self.id(index, attempt) == *id).then_some((usize::from(index), attempt))
    }
}
