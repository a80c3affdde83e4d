//! Whole sweeps over a simulated network, on stepped time.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::super::{Failure, ProbeId, Reason, Saved, Settings, Status, Verdict};
use super::*;
use crate::stun::{self, MAX_RESPONSE_LEN};

mod outages;
mod replies;
mod resume;
mod verdicts;
mod workers;

const MS: Duration = Duration::from_millis(1);
const PORT: u16 = 40_000;

/// What the network does with a source.
#[derive(Clone, Debug, PartialEq)]
enum Path {
    Works,
    Dead,
    Mapped(&'static str),
    Refused(u16),
    Raw(Vec<u8>),
    /// Seen as another address by the second server only.
    ProxyAtSecond,
    OtherPort,
    WrongWayBack,
    ForeignServer,
    /// The first packet of each flow is dropped.
    DropsFirst,
}

/// From, to, by which flow of which worker, and what.
type Arrival = (SocketAddr, IpAddr, (u32, u16), Vec<u8>);

struct Net {
    rng: StdRng,
    loss: f64,
    latency: Duration,
    duplicate: bool,
    /// No datagram passes within this time.
    outage: Option<(Duration, Duration)>,
    /// Mapped sources are given a port each until there are none left.
    nat_ports: usize,
    nat: std::collections::HashSet<(IpAddr, u16)>,
    /// Flows of which a packet has come by.
    met: std::collections::HashSet<(IpAddr, u16)>,
    /// By source, the worker that probed it last by the flow of the first pass.
    first_by: std::collections::HashMap<IpAddr, u16>,
    /// What was sent, in order: source, flow, worker and server.
    sent: Vec<(IpAddr, u32, u16, u16)>,
    canary_works: bool,
    path: Box<dyn Fn(IpAddr) -> Path>,
    queue: BTreeMap<(Duration, u64), Arrival>,
    serial: u64,
}

impl Net {
    fn new(path: impl Fn(IpAddr) -> Path + 'static) -> Self {
        Self {
            rng: StdRng::seed_from_u64(1),
            loss: 0.0,
            latency: MS / 2,
            duplicate: false,
            outage: None,
            nat_ports: usize::MAX,
            nat: std::collections::HashSet::new(),
            met: std::collections::HashSet::new(),
            first_by: std::collections::HashMap::new(),
            sent: Vec::new(),
            canary_works: true,
            path: Box::new(path),
            queue: BTreeMap::new(),
            serial: 0,
        }
    }

    fn send(&mut self, now: Duration, probe: &Probe, server: SocketAddr) -> Result<(), Failure> {
        let port = port_of(probe.flow, probe.worker);
        self.sent.push((probe.source, probe.flow, probe.worker, probe.server));
        if probe.flow == 0 && !ProbeId::decode(&probe.id).control {
            self.first_by.insert(probe.source, probe.worker);
        } else if let Some(worker) = self.first_by.get(&probe.source).filter(|_| probe.flow == 0) {
            assert_eq!(probe.worker, *worker, "a flow that began earlier goes on from its port");
        } else if probe.flow > 0 && probe.source != ip("127.0.0.1") {
            assert_eq!(probe.worker, 0, "what is probed again is the first worker's");
        }
        let path = if probe.source == ip("127.0.0.1") {
            if self.canary_works { Path::Works } else { Path::Dead }
        } else {
            (self.path)(probe.source)
        };
        if let Path::Refused(errno) = path {
            return Err(Failure::Send(errno));
        }
        let out = self.outage.is_some_and(|(from, to)| (from..to).contains(&now));
        if out || path == Path::Dead || self.rng.random_bool(self.loss) || self.rng.random_bool(self.loss) {
            return Ok(());
        }
        if path == Path::DropsFirst && self.met.insert((probe.source, port)) {
            return Ok(());
        }
        let request = stun::binding_request(&probe.id);
        let mut seen = SocketAddr::new(probe.source, port);
        let (mut from, mut to) = (server, probe.source);
        match path {
            Path::Mapped(external) => {
                if self.nat.len() >= self.nat_ports && !self.nat.contains(&(probe.source, port)) {
                    return Ok(());
                }
                self.nat.insert((probe.source, port));
                seen = SocketAddr::new(ip(external), 1_024);
            }
            Path::ProxyAtSecond if server.ip() == ip("192.0.2.2") => {
                seen = SocketAddr::new(ip("198.51.100.9"), 9);
            }
            Path::OtherPort => seen.set_port(5),
            Path::WrongWayBack => to = ip("10.0.0.77"),
            Path::ForeignServer => from = "192.0.2.99:3478".parse().expect("an address"),
            _ => {}
        }
        let bytes = if let Path::Raw(bytes) = path {
            bytes
        } else {
            let mut out = [0; MAX_RESPONSE_LEN];
            let len = stun::respond(&request, seen, &mut out).expect("a request");
            out[..len].to_vec()
        };
        for _ in 0..=u8::from(self.duplicate) {
            self.serial += 1;
            let via = (probe.flow, probe.worker);
            self.queue.insert((now + self.latency * 2, self.serial), (from, to, via, bytes.clone()));
        }
        Ok(())
    }
}

fn port_of(flow: u32, worker: u16) -> u16 {
    PORT + flow as u16 + worker * 4_000
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn settings() -> Settings {
    Settings {
        servers: vec!["192.0.2.1:3478".parse().expect("an address")],
        canary: Some(ip("127.0.0.1")),
        passes: None,
        timeout: 500 * MS,
        rate: None,
        window: 256,
        workers: 1,
        server_per_worker: false,
        batch: 64,
        keep_evidence: false,
        mutant: None,
    }
}

fn two_servers() -> Settings {
    let servers = ["192.0.2.1:3478", "192.0.2.2:3478"].map(|s| s.parse().expect("an address")).to_vec();
    Settings { servers, ..settings() }
}

fn sweep(block: &str, settings: Settings) -> Sweep {
    let targets = Targets::new(vec![block.parse().expect("a block")], None, 5).expect("targets");
    Sweep::new(targets, 5, [7; 16], settings, block.to_owned())
}

/// Runs until the sweep is done, or until `stop` says so; gives the reason and the time of its end.
fn run_until(
    sweep: &mut Sweep,
    net: &mut Net,
    verdicts: &mut Vec<Verdict>,
    mut now: Duration,
    stop: impl Fn(&Sweep) -> bool,
) -> (Option<EndReason>, Duration) {
    let mut probes = Vec::new();
    for turn in (0..u16::MAX).cycle().take(3_000_000) {
        if stop(sweep) {
            return (None, now);
        }
        while let Some(entry) = net.queue.first_entry().filter(|e| e.key().0 <= now) {
            let (from, to, (flow, worker), bytes) = entry.remove();
            let port = port_of(flow, worker);
            sweep.on_datagram(now, &Datagram { from, to, port, flow, worker, bytes: &bytes }, verdicts);
        }
        sweep.on_drained(now);
        let worker = if sweep.is_first_pass() { turn % sweep.workers.count() } else { 0 };
        match sweep.step(worker, now, 10_000, &mut probes, verdicts) {
            Next::Send => {
                for probe in probes.drain(..) {
                    let server = sweep.server(probe.server);
                    if let Err(failure) = net.send(now, &probe, server) {
                        sweep.on_send_failure(&probe, failure);
                    }
                }
                now += Duration::from_micros(50);
            }
            Next::Wait(until) => {
                let arrival = net.queue.first_key_value().map_or(until, |(key, _)| key.0);
                now = until.min(arrival).max(now + Duration::from_micros(1));
            }
            Next::Full => now += MS,
            Next::Done(reason) => return (Some(reason), now),
        }
    }
    panic!("the sweep does not end: {:?} pass {} at {now:?}", sweep.phase(), sweep.pass());
}

fn run(sweep: &mut Sweep, net: &mut Net) -> (EndReason, BTreeMap<IpAddr, Verdict>) {
    let mut verdicts = Vec::new();
    let (reason, _) = run_until(sweep, net, &mut verdicts, Duration::ZERO, |_| false);
    (reason.expect("not stopped"), by_source(verdicts))
}

fn by_source(verdicts: Vec<Verdict>) -> BTreeMap<IpAddr, Verdict> {
    let count = verdicts.len();
    let map: BTreeMap<_, _> = verdicts.into_iter().map(|v| (v.source, v)).collect();
    assert_eq!(map.len(), count, "each source is judged once");
    map
}

fn last_octet(ip: IpAddr) -> u8 {
    match ip {
        IpAddr::V4(ip) => ip.octets()[3],
        IpAddr::V6(ip) => ip.octets()[15],
    }
}

/// What the mixed network of several tests does.
fn mixed(source: IpAddr) -> Path {
    match last_octet(source) % 16 {
        3 => Path::Dead,
        7 => Path::Mapped("198.51.100.1"),
        9 => Path::OtherPort,
        11 => Path::Refused(101),
        _ => Path::Works,
    }
}

fn check_mixed(verdicts: &BTreeMap<IpAddr, Verdict>) {
    for (source, verdict) in verdicts {
        let want = match mixed(*source) {
            Path::Dead => Status::NoReply,
            Path::Mapped(_) => Status::Mapped,
            Path::Refused(_) => Status::SendError,
            _ => Status::Ok,
        };
        assert_eq!(verdict.status, want, "{verdict:?}");
        assert_eq!(verdict.port_rewritten, mixed(*source) == Path::OtherPort, "{verdict:?}");
    }
}
