//! A NAT as a state machine: who is translated to what, and whose packets are let in. Time is passed in.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// A small generator of pseudo-random numbers (`SplitMix64`), the same on every machine.
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.draw() % limit.max(1)
    }

    /// True with this probability.
    pub fn chance(&mut self, probability: f64) -> bool {
        (self.draw() >> 11) as f64 / (1_u64 << 53) as f64 <= probability && probability > 0.0
    }
}

/// On what of the destination a mapping, or of the peer a filter, depends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dependence {
    /// Nothing.
    Endpoint,
    /// Its address.
    Address,
    /// Its address and port.
    AddressAndPort,
}

impl Dependence {
    /// All three.
    pub const ALL: [Self; 3] = [Self::Endpoint, Self::Address, Self::AddressAndPort];

    fn key(self, peer: SocketAddr) -> Option<SocketAddr> {
        match self {
            Self::Endpoint => None,
            Self::Address => Some(SocketAddr::new(peer.ip(), 0)),
            Self::AddressAndPort => Some(peer),
        }
    }
}

/// How ports are chosen. A port that is taken is never given again: the next free one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ports {
    /// The local one.
    Equal,
    /// The local one and this.
    Preserving(u16),
    /// The last one and this.
    Sequential(u16),
    /// The local one times this.
    Scaled(u16),
    /// At random.
    Random,
}

/// What kind of NAT it is.
#[derive(Clone, Debug)]
pub struct NatKind {
    /// On what a mapping depends; `None` is a firewall that translates nothing.
    pub mapping: Option<Dependence>,
    /// On what a filter depends.
    pub filtering: Dependence,
    /// How ports are chosen.
    pub ports: Ports,
    /// External addresses.
    pub externals: Vec<IpAddr>,
    /// Each new mapping takes one of the external addresses at random; else the first is taken.
    pub arbitrary: bool,
    /// How long a mapping lives without a packet from inside.
    pub lifetime: Duration,
    /// Whether packets from inside to an external address come back in.
    pub hairpin: bool,
    /// They come with the internal source.
    pub internal_source: bool,
    /// Filters look at the peer only, whatever the socket that sent to it.
    pub shared_filter: bool,
}

impl NatKind {
    /// A port-restricted cone NAT that keeps local ports.
    #[must_use]
    pub fn usual(external: IpAddr) -> Self {
        Self {
            mapping: Some(Dependence::Endpoint),
            filtering: Dependence::AddressAndPort,
            ports: Ports::Equal,
            externals: vec![external],
            arbitrary: false,
            lifetime: Duration::from_secs(300),
            hairpin: false,
            internal_source: false,
            shared_filter: false,
        }
    }
}

#[derive(Clone, Debug)]
struct Entry {
    internal: SocketAddr,
    key: Option<SocketAddr>,
    external: SocketAddr,
    last: Duration,
    peers: HashSet<Option<SocketAddr>>,
}

/// A NAT at work.
#[derive(Clone, Debug)]
pub struct Nat {
    kind: NatKind,
    entries: Vec<Entry>,
    last_port: u16,
    random: Random,
    shared: HashMap<Option<SocketAddr>, Duration>,
}

/// Ports that are given to mappings begin here.
const FIRST_PORT: u16 = 1_024;

impl Nat {
    /// A NAT without mappings.
    #[must_use]
    pub fn new(kind: NatKind, seed: u64) -> Self {
        let mut random = Random(seed);
        let last_port = 2_000 + random.below(20_000) as u16;
        Self { kind, entries: Vec::new(), last_port, random, shared: HashMap::new() }
    }

    /// Whether it is the NAT's own address.
    #[must_use]
    pub fn is_external(&self, ip: IpAddr) -> bool {
        self.kind.mapping.is_some() && self.kind.externals.contains(&ip)
    }

    /// A packet from inside: its external source.
    pub fn outbound(&mut self, now: Duration, from: SocketAddr, to: SocketAddr) -> SocketAddr {
        self.forget(now);
        let key = self.kind.mapping.unwrap_or(Dependence::Endpoint).key(to);
        let peer = self.kind.filtering.key(to);
        self.shared.insert(peer, now);
        if let Some(entry) = self.entries.iter_mut().find(|e| e.internal == from && e.key == key) {
            entry.last = now;
            entry.peers.insert(peer);
            return entry.external;
        }
        let external = if self.kind.mapping.is_some() { self.allocate(from) } else { from };
        self.entries.push(Entry { internal: from, key, external, last: now, peers: HashSet::from([peer]) });
        external
    }

    /// A packet from outside to an external address: the internal one, if it is let in.
    pub fn inbound(&mut self, now: Duration, from: SocketAddr, to: SocketAddr) -> Option<SocketAddr> {
        self.forget(now);
        let peer = self.kind.filtering.key(from);
        let shared = self.kind.shared_filter && self.shared.contains_key(&peer);
        let entry = self.entries.iter().find(|e| e.external == to && (e.peers.contains(&peer) || shared))?;
        Some(entry.internal)
    }

    /// A packet from inside to an external address of the NAT: where it goes, and from whom it seems to come.
    pub fn hairpin(
        &mut self,
        now: Duration,
        from: SocketAddr,
        to: SocketAddr,
    ) -> Option<(SocketAddr, SocketAddr)> {
        let external = self.outbound(now, from, to);
        if !self.kind.hairpin {
            return None;
        }
        let internal = self.inbound(now, external, to)?;
        Some((if self.kind.internal_source { from } else { external }, internal))
    }

    fn forget(&mut self, now: Duration) {
        let lifetime = self.kind.lifetime;
        self.entries.retain(|e| now.saturating_sub(e.last) < lifetime);
        self.shared.retain(|_, last| now.saturating_sub(*last) < lifetime);
    }

    fn allocate(&mut self, from: SocketAddr) -> SocketAddr {
        let which = if self.kind.arbitrary {
            self.random.below(self.kind.externals.len() as u64) as usize
        } else {
            0
        };
        let ip = self.kind.externals[which];
        let range = u16::MAX - FIRST_PORT;
        let into_range = |port: u16| if port < FIRST_PORT { port + range / 2 } else { port };
        let (first, step) = match self.kind.ports {
            Ports::Equal => (from.port(), 1),
            Ports::Preserving(distance) => (into_range(from.port().wrapping_add(distance)), 1),
            Ports::Sequential(step) => (into_range(self.last_port.wrapping_add(step)), step),
            Ports::Scaled(factor) => (into_range(from.port().wrapping_mul(factor)), factor),
            Ports::Random => (FIRST_PORT + self.random.below(u64::from(range)) as u16, 0),
        };
        let mut port = first;
        while self.entries.iter().any(|e| e.external == SocketAddr::new(ip, port)) {
            port = match self.kind.ports {
                Ports::Random => FIRST_PORT + self.random.below(u64::from(range)) as u16,
                _ => into_range(port.wrapping_add(step)),
            };
        }
        if matches!(self.kind.ports, Ports::Sequential(_)) {
            self.last_port = port;
        }
        SocketAddr::new(ip, port)
    }
}
