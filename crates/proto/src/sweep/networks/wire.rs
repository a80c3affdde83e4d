//! A network at work: packets under way, in order of time.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, VecDeque};
use std::net::{IpAddr, SocketAddr};

use rand::rngs::StdRng;

use super::network::{Bad, Kind, Network};
use super::part::{Fate, Impairment, Micros, Running, Seen};
use super::place::CANARY;
use super::table::external_of;
use crate::stun::{self, MAX_RESPONSE_LEN, TransactionId};
use crate::sweep::{Failure, Probe};

/// EPERM, which a firewall's drop in the output hook gives to the sender.
const EPERM: u16 = 1;
/// ENETUNREACH, for sources that this machine never sends from.
const ENETUNREACH: u16 = 101;

/// A request or its reply.
#[derive(Clone, Copy, Debug)]
struct Packet {
    id: TransactionId,
    seen: Seen,
    kind: Kind,
    /// Parts passed so far in this direction.
    hop: u8,
    /// All parts of this direction are passed: what is left is the way to the other end.
    at_end: bool,
    external: u32,
    port: u16,
}

/// What waits in the receive buffer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrived {
    pub(super) from: SocketAddr,
    pub(super) to: IpAddr,
    pub(super) port: u16,
    pub(super) flow: u32,
    bytes: [u8; MAX_RESPONSE_LEN],
    len: usize,
}

impl Arrived {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

struct Event {
    at: Micros,
    serial: u64,
    packet: Packet,
}

impl PartialEq for Event {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Event {}

impl PartialOrd for Event {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Event {
    /// The heap gives the greatest first, so the earliest is the greatest.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.serial).cmp(&(self.at, self.serial))
    }
}

/// The network's side of a run.
pub(super) struct Wire<'a> {
    network: &'a Network,
    parts: Vec<Running>,
    rng: StdRng,
    events: BinaryHeap<Event>,
    serial: u64,
    inbox: VecDeque<Arrived>,
    /// Datagrams that found the receive buffer full.
    pub(super) dropped: u64,
    /// Requests that left this machine.
    pub(super) sent: u64,
}

impl<'a> Wire<'a> {
    pub(super) fn new(network: &'a Network) -> Self {
        let parts = network.parts.iter().map(|part| Running::new(*part, network.sources())).collect();
        Self {
            network,
            parts,
            rng: network.rng(1),
            events: BinaryHeap::new(),
            serial: 0,
            inbox: VecDeque::new(),
            dropped: 0,
            sent: 0,
        }
    }

    /// Sends a probe, or refuses to.
    pub(super) fn send(&mut self, now: Micros, probe: &Probe) -> Result<(), Failure> {
        let (source, kind) = if probe.source == self.network.canary() {
            (CANARY, Kind::Works)
        } else {
            let source = match probe.source {
                IpAddr::V4(ip) => u32::from(ip) - (10 << 24),
                IpAddr::V6(ip) => u128::from(ip) as u32,
            };
            (source, self.network.kinds[source as usize])
        };
        if kind == Kind::Refused {
            return Err(Failure::Send(ENETUNREACH));
        }
        let seen = Seen {
            source,
            flow: probe.flow,
            server: probe.server as u8,
            is_reply: false,
            is_mapped: kind == Kind::Mapped,
        };
        for running in &self.parts {
            if let Impairment::Refuse { share } = running.part.impairment
                && running.takes(&seen)
                && rand::Rng::random_bool(&mut self.rng, share)
            {
                return Err(Failure::Send(EPERM));
            }
        }
        self.sent += 1;
        if kind == Kind::Dead && self.network.dead_end_early {
            return Ok(());
        }
        self.forward(now, Packet { id: probe.id, seen, kind, hop: 0, at_end: false, external: 0, port: 0 });
        Ok(())
    }

    /// Lets everything happen up to `now`.
    pub(super) fn advance(&mut self, now: Micros) {
        while self.events.peek().is_some_and(|event| event.at <= now) {
            self.happen();
        }
    }

    /// Lets things happen until a datagram is in the receive buffer, at most until `limit`; gives the time.
    pub(super) fn next_arrival(&mut self, limit: Micros) -> Micros {
        while let Some(event) = self.events.peek().filter(|event| event.at <= limit) {
            let at = event.at;
            self.happen();
            if !self.inbox.is_empty() {
                return at;
            }
        }
        limit
    }

    /// Reads a datagram from the receive buffer.
    pub(super) fn read(&mut self) -> Option<Arrived> {
        self.inbox.pop_front()
    }

    fn happen(&mut self) {
        let Some(Event { at, mut packet, .. }) = self.events.pop() else { return };
        match (packet.at_end, packet.seen.is_reply) {
            (false, _) => self.forward(at, packet),
            (true, true) => self.arrive(&packet),
            (true, false) if packet.kind == Kind::Dead => {}
            (true, false) => {
                // At the server, which answers at once to where the request seems to come from.
                (packet.external, packet.port) = self.outside(&packet.seen);
                packet.seen.is_reply = true;
                (packet.hop, packet.at_end) = (0, false);
                self.forward(at, packet);
            }
        }
    }

    fn outside(&self, seen: &Seen) -> (u32, u16) {
        if !seen.is_mapped {
            return (0, port_of(seen.flow));
        }
        let nat =
            self.parts.iter().find(|r| matches!(r.part.impairment, Impairment::Nat { .. }) && r.takes(seen));
        nat.and_then(|r| r.nat.outside(seen.source, seen.flow))
            .unwrap_or((external_of(seen.source, 1), 1_024))
    }

    /// Takes the packet through the parts that are left in its direction.
    fn forward(&mut self, now: Micros, mut packet: Packet) {
        while usize::from(packet.hop) < self.parts.len() {
            let hop = usize::from(packet.hop);
            let number = if packet.seen.is_reply { self.parts.len() - 1 - hop } else { hop };
            packet.hop += 1;
            let part = &mut self.parts[number];
            if !part.takes(&packet.seen) {
                continue;
            }
            match part.pass(now, &packet.seen, &mut self.rng) {
                Fate::Passes => {}
                Fate::Lost => return,
                Fate::Later(by) => return self.schedule(now + by, packet),
                Fate::Duplicated(after) => self.schedule(now + after, packet),
            }
        }
        packet.at_end = true;
        self.schedule(now + self.network.round_trip / 2, packet);
    }

    fn schedule(&mut self, at: Micros, packet: Packet) {
        self.serial += 1;
        self.events.push(Event { at, serial: self.serial, packet });
    }

    fn arrive(&mut self, packet: &Packet) {
        if self.inbox.len() >= self.network.buffer {
            self.dropped += 1;
            return;
        }
        let seen = packet.seen;
        let own =
            if seen.source == CANARY { self.network.canary() } else { self.network.source(seen.source) };
        let mut arrived = Arrived {
            from: self.network.server(seen.server),
            to: own,
            port: port_of(seen.flow),
            flow: seen.flow,
            bytes: [0; MAX_RESPONSE_LEN],
            len: 0,
        };
        let outside = if seen.is_mapped {
            self.network.outside(256 + packet.external as u16, packet.port)
        } else {
            SocketAddr::new(own, packet.port)
        };
        arrived.len =
            stun::respond(&stun::binding_request(&packet.id), outside, &mut arrived.bytes).unwrap_or(0);
        match packet.kind {
            Kind::Bad(Bad::Garbage) => {
                arrived.bytes[..4].copy_from_slice(b"HTTP");
            }
            Kind::Bad(Bad::NoAddress) => {
                // A success response of a header alone.
                arrived.len = 20;
                arrived.bytes[2..4].fill(0);
            }
            Kind::Bad(Bad::WrongServer) => arrived.from = self.network.outside(65_000, 3_478),
            Kind::Bad(Bad::WrongSource) => arrived.to = self.network.outside(65_001, 0).ip(),
            _ => {}
        }
        self.inbox.push_back(arrived);
    }
}

/// The local port of a flow: none twice in a row, as systems hand them out.
fn port_of(flow: u32) -> u16 {
    20_000 + (flow.wrapping_mul(7_919) % 40_009) as u16
}
