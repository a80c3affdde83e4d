//! A host behind a NAT, a lossy path and servers, on stepped time: an hour passes in a moment, and the same seed gives the same
//! run.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use routepool_proto::nat::{Classifier, Command, Report, Server, Settings};

use crate::behavior_server::BehaviorServer;
use crate::nat::{Nat, Random};

/// What happens to packets on the way, each way by itself.
#[derive(Clone, Copy, Debug)]
pub struct Path {
    /// Share of packets that are lost, 0 to 1.
    pub loss: f64,
    /// Share that arrives twice.
    pub duplication: f64,
    /// How long a packet takes.
    pub delay: Duration,
    /// Up to so much longer; packets overtake each other.
    pub jitter: Duration,
}

impl Path {
    /// Ten milliseconds each way, and nothing is lost.
    pub const CLEAN: Self =
        Self { loss: 0.0, duplication: 0.0, delay: Duration::from_millis(10), jitter: Duration::ZERO };
}

/// The whole of it.
#[derive(Clone, Debug)]
pub struct World {
    /// The host's address.
    pub local: IpAddr,
    /// The NATs on the way, the nearest first.
    pub nats: Vec<Nat>,
    /// The path.
    pub path: Path,
    /// The servers.
    pub servers: Vec<BehaviorServer>,
    /// The ones that are asked, in this order.
    pub ask: Vec<SocketAddr>,
    /// Seed of loss, delay and local ports.
    pub seed: u64,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Event {
    at: Duration,
    number: u64,
    /// Outwards: the number of NATs passed. Inwards: `None`, all are passed at once.
    outwards: Option<usize>,
    from: SocketAddr,
    to: SocketAddr,
    bytes: Vec<u8>,
}

struct Run {
    world: World,
    random: Random,
    queue: BinaryHeap<Reverse<Event>>,
    number: u64,
    sockets: Vec<SocketAddr>,
    packets: u64,
}

/// What came of a simulation.
#[derive(Debug)]
pub struct Outcome {
    /// The report.
    pub report: Report,
    /// How long it took on the simulated clock.
    pub elapsed: Duration,
    /// Packets that the host sent.
    pub packets: u64,
}

/// Longer than any classification may take.
const LIMIT: Duration = Duration::from_secs(3_600);

impl World {
    /// Classifies the NAT of this world.
    ///
    /// # Panics
    /// If it does not end within an hour of simulated time.
    #[must_use]
    pub fn classify(self, settings: &Settings) -> Outcome {
        let servers: Vec<Server> = self.ask.iter().map(|address| Server { address: *address }).collect();
        let mut key = [0; 16];
        key[..8].copy_from_slice(&self.seed.to_be_bytes());
        let mut classifier = Classifier::new(self.local, &servers, settings.clone(), key);
        let random = Random(self.seed ^ 0x5eed);
        let mut run =
            Run { world: self, random, queue: BinaryHeap::new(), number: 0, sockets: Vec::new(), packets: 0 };
        let mut now = Duration::ZERO;
        loop {
            let mut commands = Vec::new();
            classifier.poll(now, &mut commands);
            for command in commands {
                run.command(now, &mut classifier, command);
            }
            if classifier.is_done() {
                break;
            }
            let wake = classifier.next_wake(now).unwrap_or(LIMIT).max(now + Duration::from_micros(100));
            match run.queue.peek() {
                Some(Reverse(event)) if event.at <= wake => {
                    now = event.at.max(now);
                    // All that happens at the same time is seen at once, as by a host that is woken once.
                    while run.queue.peek().is_some_and(|Reverse(e)| e.at <= now) {
                        if let Some(Reverse(event)) = run.queue.pop() {
                            run.happen(now, &mut classifier, event);
                        }
                    }
                }
                _ => now = wake,
            }
            assert!(now < LIMIT, "it does not end");
        }
        Outcome { report: classifier.finish(now), elapsed: now, packets: run.packets }
    }
}

impl Run {
    fn command(&mut self, now: Duration, classifier: &mut Classifier, command: Command) {
        match command {
            Command::Open { socket } => {
                let port = loop {
                    let port = 32_768 + self.random.below(28_000) as u16;
                    if self.sockets.iter().all(|s| s.port().abs_diff(port) > 20) {
                        break port;
                    }
                };
                self.open(classifier, socket, port);
            }
            Command::OpenRun { first, count } => {
                let port = 20_000 + self.random.below(10_000) as u16;
                for at in 0..count {
                    self.open(classifier, first + at, port + at);
                }
            }
            // What is dead here is silent.
            Command::ConnectedProbe { .. } => self.packets += 1,
            Command::Send { socket, to, bytes, .. } => {
                self.packets += 1;
                let from = self.sockets[usize::from(socket)];
                self.travel(now, Some(0), from, to, &bytes);
            }
        }
    }

    fn open(&mut self, classifier: &mut Classifier, socket: u16, port: u16) {
        assert_eq!(usize::from(socket), self.sockets.len(), "sockets are numbered in order");
        let local = SocketAddr::new(self.world.local, port);
        self.sockets.push(local);
        classifier.on_open(socket, Ok(local));
    }

    /// Half of the way: between host and NAT, or between NAT and server. Loss is spread over both halves.
    fn travel(
        &mut self,
        now: Duration,
        outwards: Option<usize>,
        from: SocketAddr,
        to: SocketAddr,
        bytes: &[u8],
    ) {
        let path = self.world.path;
        if self.random.chance(1.0 - (1.0 - path.loss).sqrt()) {
            return;
        }
        let copies = if self.random.chance(path.duplication) { 2 } else { 1 };
        for _ in 0..copies {
            let jitter = self.random.below(path.jitter.as_nanos() as u64 / 2 + 1);
            let at = now + path.delay / 2 + Duration::from_nanos(jitter);
            self.number += 1;
            let event = Event { at, number: self.number, outwards, from, to, bytes: bytes.to_vec() };
            self.queue.push(Reverse(event));
        }
    }

    fn happen(&mut self, now: Duration, classifier: &mut Classifier, event: Event) {
        let Event { outwards, from, to, bytes, .. } = event;
        match outwards {
            // At the NATs, on the way out.
            Some(0) => {
                let mut source = from;
                for at in 0..self.world.nats.len() {
                    if self.world.nats[at].is_external(to.ip()) {
                        if let Some((seen, mut inside)) = self.world.nats[at].hairpin(now, source, to) {
                            for nat in self.world.nats[..at].iter_mut().rev() {
                                let Some(next) = nat.inbound(now, seen, inside) else { return };
                                inside = next;
                            }
                            self.deliver(now, classifier, seen, inside, &bytes);
                        }
                        return;
                    }
                    source = self.world.nats[at].outbound(now, source, to);
                }
                self.travel(now, Some(1), source, to, &bytes);
            }
            // At the server.
            Some(_) => {
                let server = self.world.servers.iter().find(|s| s.listens(to));
                for (from, to, bytes) in server.map(|s| s.answer(from, to, &bytes)).unwrap_or_default() {
                    self.travel(now, None, from, to, &bytes);
                }
            }
            // Back at the NATs.
            None => {
                let mut inside = to;
                for nat in self.world.nats.iter_mut().rev() {
                    let Some(next) = nat.inbound(now, from, inside) else { return };
                    inside = next;
                }
                self.deliver(now, classifier, from, inside, &bytes);
            }
        }
    }

    fn deliver(
        &mut self,
        now: Duration,
        classifier: &mut Classifier,
        from: SocketAddr,
        to: SocketAddr,
        bytes: &[u8],
    ) {
        if let Some(socket) = self.sockets.iter().position(|s| *s == to) {
            classifier.on_receive(now, socket as u16, from, bytes);
        }
    }
}
