//! Whole sweeps over a simulated network, on stepped time.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::super::{Failure, Reason, Saved, Settings, Status, Verdict};
use super::*;
use crate::stun::{self, MAX_RESPONSE_LEN};

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
}

struct Net {
    dice: StdRng,
    loss: f64,
    latency: Duration,
    duplicate: bool,
    /// No datagram passes within this time.
    outage: Option<(Duration, Duration)>,
    /// Mapped sources are given a port each until there are none left.
    nat_ports: usize,
    nat: std::collections::HashSet<IpAddr>,
    canary_works: bool,
    path: Box<dyn Fn(IpAddr) -> Path>,
    queue: BTreeMap<(Duration, u64), (SocketAddr, IpAddr, Vec<u8>)>,
    serial: u64,
}

impl Net {
    fn new(path: impl Fn(IpAddr) -> Path + 'static) -> Self {
        Self {
            dice: StdRng::seed_from_u64(1),
            loss: 0.0,
            latency: MS / 2,
            duplicate: false,
            outage: None,
            nat_ports: usize::MAX,
            nat: std::collections::HashSet::new(),
            canary_works: true,
            path: Box::new(path),
            queue: BTreeMap::new(),
            serial: 0,
        }
    }

    fn send(&mut self, now: Duration, probe: &Probe, server: SocketAddr) -> Result<(), Failure> {
        let path = if probe.source == ip("127.0.0.1") {
            if self.canary_works { Path::Works } else { Path::Dead }
        } else {
            (self.path)(probe.source)
        };
        if let Path::Refused(errno) = path {
            return Err(Failure::Send(errno));
        }
        let out = self.outage.is_some_and(|(from, to)| (from..to).contains(&now));
        if out || path == Path::Dead || self.dice.random_bool(self.loss) || self.dice.random_bool(self.loss) {
            return Ok(());
        }
        let request = stun::binding_request(&probe.id);
        let mut seen = SocketAddr::new(probe.source, PORT);
        let (mut from, mut to) = (server, probe.source);
        match path {
            Path::Mapped(external) => {
                if self.nat.len() >= self.nat_ports && !self.nat.contains(&probe.source) {
                    return Ok(());
                }
                self.nat.insert(probe.source);
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
            self.queue.insert((now + self.latency * 2, self.serial), (from, to, bytes.clone()));
        }
        Ok(())
    }
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
        batch: 64,
        keep_evidence: false,
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

/// Runs until the sweep is done, or until `stop` says so; gives why it ended and when.
fn run_until(
    sweep: &mut Sweep,
    net: &mut Net,
    verdicts: &mut Vec<Verdict>,
    mut now: Duration,
    stop: impl Fn(&Sweep) -> bool,
) -> (Option<Why>, Duration) {
    let mut probes = Vec::new();
    for _ in 0..3_000_000 {
        if stop(sweep) {
            return (None, now);
        }
        while let Some(entry) = net.queue.first_entry().filter(|e| e.key().0 <= now) {
            let (from, to, bytes) = entry.remove();
            sweep.on_datagram(now, &Datagram { from, to, port: PORT, bytes: &bytes }, verdicts);
        }
        match sweep.step(now, 10_000, &mut probes, verdicts) {
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
            Next::Done(why) => return (Some(why), now),
        }
    }
    panic!("the sweep does not end: {:?} pass {} at {now:?}", sweep.phase(), sweep.pass());
}

fn run(sweep: &mut Sweep, net: &mut Net) -> (Why, BTreeMap<IpAddr, Verdict>) {
    let mut verdicts = Vec::new();
    let (why, _) = run_until(sweep, net, &mut verdicts, Duration::ZERO, |_| false);
    (why.expect("not stopped"), by_source(verdicts))
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

#[test]
fn every_verdict_is_the_truth() {
    for (name, change) in [
        ("a clean network", (|_| ()) as fn(&mut Net)),
        ("1 in 5 lost each way", |net| net.loss = 0.2),
        ("every reply twice", |net| net.duplicate = true),
        ("a slow path", |net| net.latency = 150 * MS),
        ("both", |net| (net.loss, net.latency) = (0.1, 40 * MS)),
    ] {
        let mut net = Net::new(mixed);
        change(&mut net);
        let mut sweep = sweep("10.0.0.0/20", settings());
        let (why, verdicts) = run(&mut sweep, &mut net);
        assert_eq!((why, verdicts.len()), (Why::Complete, 4_096), "{name}");
        check_mixed(&verdicts);
        assert_eq!(sweep.untested(), 0);
        assert_eq!(sweep.states().ok(), 4_096 / 16 * 13, "{name}");
    }
}

#[test]
fn a_working_block_takes_one_probe_each() {
    let mut net = Net::new(|_| Path::Works);
    let mut sweep = sweep("10.0.0.0/16", settings());
    let (_, verdicts) = run(&mut sweep, &mut net);
    assert!(verdicts.values().all(|v| v.status == Status::Ok && v.asked == 1 && v.rtt_us > 0));
    assert_eq!((sweep.counters().probes, sweep.pass()), (65_536, 1));
}

#[test]
fn the_rate_is_kept() {
    for rate in [50.0, 2_000.0] {
        let mut net = Net::new(mixed);
        let mut sweep = sweep("10.0.0.0/25", Settings { rate: Some(rate), ..settings() });
        let mut verdicts = Vec::new();
        let (why, took) = run_until(&mut sweep, &mut net, &mut verdicts, Duration::ZERO, |_| false);
        assert_eq!(why, Some(Why::Complete));
        check_mixed(&by_source(verdicts));
        let most = took.as_secs_f64() * rate + 16.0;
        assert!((sweep.counters().probes as f64) < most, "{} probes in {took:?}", sweep.counters().probes);
    }
}

#[test]
fn an_outage_kills_no_source() {
    // The network is gone from 20 % on, for 3 seconds.
    let mut net = Net::new(|_| Path::Works);
    net.outage = Some((30 * MS, 3_030 * MS));
    let mut sweep = sweep("10.0.0.0/18", settings());
    let (why, verdicts) = run(&mut sweep, &mut net);
    assert_eq!((why, sweep.counters().outages), (Why::Complete, 1));
    assert!(verdicts.values().all(|v| v.status == Status::Ok));
    assert!(sweep.counters().probes < 16_384 * 2, "it waited instead of sending into nothing");
}

#[test]
fn a_network_that_does_not_come_back_leaves_unknown_and_no_dead() {
    let mut net = Net::new(|_| Path::Works);
    net.outage = Some((30 * MS, Duration::MAX));
    let mut sweep = sweep("10.0.0.0/18", settings());
    let (why, verdicts) = run(&mut sweep, &mut net);
    assert_eq!(why, Why::Complete);
    assert!(verdicts.values().all(|v| v.status == Status::Ok || (v.status, v.reason) == (Status::Unknown, Reason::NetworkLost)));
    assert!(verdicts.values().any(|v| v.status == Status::Unknown));
}

#[test]
fn a_dead_block_is_no_outage() {
    for source_works in [false, true] {
        // A lone living source, or the canary alone.
        let mut net =
            Net::new(move |s| if source_works && s == ip("10.0.3.3") { Path::Works } else { Path::Dead });
        let mut sweep = sweep("10.0.0.0/22", settings());
        let (why, verdicts) = run(&mut sweep, &mut net);
        assert_eq!((why, sweep.counters().outages), (Why::Complete, 0));
        let dead = verdicts.values().filter(|v| v.status == Status::NoReply).count();
        assert_eq!(dead, 1_024 - usize::from(source_works));
        assert!(verdicts.values().all(|v| v.status == Status::Ok || v.asked >= 3));
    }
}

#[test]
fn a_silent_server_is_told_from_dead_sources() {
    let mut net = Net::new(|_| Path::Dead);
    net.canary_works = false;
    let mut sweep = sweep("10.0.0.0/16", Settings { canary: None, ..settings() });
    let (why, verdicts) = run(&mut sweep, &mut net);
    assert_eq!((why, verdicts.len()), (Why::Silent, 0));
    assert!(sweep.counters().probes <= 3 * 256, "a few are enough to see it: {}", sweep.counters().probes);
}

#[test]
fn without_a_canary_a_late_first_answer_opens_the_block() {
    let mut net = Net::new(|_| Path::Works);
    net.outage = Some((Duration::ZERO, 900 * MS));
    let mut sweep = sweep("10.0.0.0/20", Settings { canary: None, ..settings() });
    let (why, verdicts) = run(&mut sweep, &mut net);
    assert_eq!((why, verdicts.len()), (Why::Complete, 4_096));
    assert!(verdicts.values().all(|v| v.status == Status::Ok));
}

#[test]
fn too_few_passes_for_the_loss_give_unknown() {
    let mut net = Net::new(|_| Path::Works);
    net.loss = 0.3;
    let mut sweep = sweep("10.0.0.0/20", Settings { passes: Some(2), ..settings() });
    let (_, verdicts) = run(&mut sweep, &mut net);
    let count =
        |wanted: (Status, Reason)| verdicts.values().filter(|v| (v.status, v.reason) == wanted).count();
    assert_eq!(count((Status::NoReply, Reason::None)), 0);
    assert!(count((Status::Unknown, Reason::Loss)) > 500);
    assert!((0.4..0.65).contains(&sweep.loss()), "51 % of the round trips are lost: {}", sweep.loss());
}

#[test]
fn few_passes_are_enough_where_nothing_is_lost() {
    for (passes, status) in [(1, Status::Unknown), (2, Status::NoReply), (3, Status::NoReply)] {
        let mut net = Net::new(|s| if last_octet(s) == 2 { Path::Dead } else { Path::Works });
        let mut sweep = sweep("10.0.0.0/30", Settings { passes: Some(passes), ..settings() });
        let (_, verdicts) = run(&mut sweep, &mut net);
        assert_eq!(verdicts[&ip("10.0.0.2")].status, status, "{passes} passes");
        assert_eq!(verdicts[&ip("10.0.0.2")].asked, passes);
    }
}

#[test]
fn a_nat_without_ports_leaves_unknown() {
    let mut net = Net::new(|_| Path::Mapped("198.51.100.1"));
    net.nat_ports = 2_000;
    let mut sweep = sweep("10.0.0.0/20", settings());
    let (_, verdicts) = run(&mut sweep, &mut net);
    let count = |wanted: Status| verdicts.values().filter(|v| v.status == wanted).count();
    assert_eq!((count(Status::Mapped), count(Status::NoReply)), (2_000, 0));
    assert!(verdicts.values().all(|v| v.status == Status::Mapped || v.reason == Reason::NatPorts));
    assert_eq!(sweep.externals(9), [(ip("198.51.100.1"), 2_000)]);
}

#[test]
fn a_mapped_address_needs_a_second_witness() {
    let mut net = Net::new(|s| match last_octet(s) % 4 {
        0 => Path::Mapped("198.51.100.1"),
        1 => Path::ProxyAtSecond,
        _ => Path::Works,
    });
    let mut sweep = sweep("10.0.0.0/24", two_servers());
    let (_, verdicts) = run(&mut sweep, &mut net);
    let mut doubted = 0;
    for (source, v) in &verdicts {
        assert!(!v.single_server, "{v:?}");
        match last_octet(*source) % 4 {
            0 => {
                assert_eq!(
                    (v.status, v.external.map(|e| e.ip())),
                    (Status::Mapped, Some(ip("198.51.100.1")))
                );
            }
            // Asked at the honest server first, it is proven; at the other first, the two disagree.
            1 => {
                assert!(
                    matches!(
                        (v.status, v.reason),
                        (Status::Ok, _) | (Status::Unknown, Reason::ServersDisagree)
                    ),
                    "{v:?}"
                );
                doubted += usize::from(v.status == Status::Unknown);
            }
            _ => assert_eq!(v.status, Status::Ok),
        }
    }
    assert!(doubted > 10, "{doubted}");
}

#[test]
fn replies_that_prove_nothing_are_counted_and_never_ok() {
    type Check = fn(&Counters) -> u64;
    let error = {
        // 420 for an attribute that nobody knows; with the id of another probe it is forged.
        let mut request = stun::binding_request(&[1; 12]).to_vec();
        request.extend([0x7f, 0xff, 0, 0]);
        request[3] = 4;
        let mut out = [0; MAX_RESPONSE_LEN];
        let len = stun::respond(&request, "10.0.0.1:1".parse().expect("an address"), &mut out)
            .expect("an error response");
        out[..len].to_vec()
    };
    for (path, status, reason, counted) in [
        (Path::Raw(b"HTTP/1.0 200 OK".to_vec()), Status::BadReply, Reason::NotStun, (|c| c.garbage) as Check),
        (Path::Raw(vec![]), Status::BadReply, Reason::NotStun, |c| c.garbage),
        (Path::Raw(error), Status::NoReply, Reason::None, |c| c.forged),
        (Path::WrongWayBack, Status::BadReply, Reason::WrongDestination, |c| c.misdirected),
        (Path::ForeignServer, Status::BadReply, Reason::WrongServer, |c| c.misdirected),
    ] {
        let theirs = path.clone();
        let mut net = Net::new(move |s| if last_octet(s) == 9 { theirs.clone() } else { Path::Works });
        let mut sweep = sweep("10.0.0.0/27", settings());
        let (_, verdicts) = run(&mut sweep, &mut net);
        let bad = verdicts[&ip("10.0.0.9")];
        assert_eq!((bad.status, bad.reason), (status, reason), "{path:?}");
        assert!(counted(sweep.counters()) >= 3, "{path:?}: {:?}", sweep.counters());
        assert_eq!(verdicts.values().filter(|v| v.status == Status::Ok).count(), 31, "{path:?}");
    }
}

#[test]
fn a_forger_who_does_not_see_the_probes_achieves_nothing() {
    let mut sweep = sweep("10.0.0.0/24", settings());
    let mut verdicts = Vec::new();
    let mut probes = Vec::new();
    sweep.step(Duration::ZERO, 1_000, &mut probes, &mut verdicts);
    let server = sweep.server(0);
    let mut dice = StdRng::seed_from_u64(9);
    for round in 0..20_000_u32 {
        // Right positions, right sources, right server; only the proof is guessed.
        let probe = &probes[round as usize % probes.len()];
        let mut id = probe.id;
        dice.fill(&mut id[5..]);
        let mut out = [0; MAX_RESPONSE_LEN];
        let seen = SocketAddr::new(probe.source, PORT);
        let len = stun::respond(&stun::binding_request(&id), seen, &mut out).expect("a request");
        sweep.on_datagram(
            MS,
            &Datagram { from: server, to: probe.source, port: PORT, bytes: &out[..len] },
            &mut verdicts,
        );
    }
    assert!(verdicts.is_empty());
    assert_eq!(sweep.counters().forged, 20_000);
}

#[test]
fn going_on_from_any_moment_gives_the_same_table() {
    let keep = || Settings { keep_evidence: true, ..settings() };
    let table = |verdicts: &BTreeMap<IpAddr, Verdict>| {
        verdicts
            .iter()
            .map(|(ip, v)| (*ip, v.status, v.reason, v.external, v.code))
            .filter(|t| t.1 != Status::Ok)
            .collect::<Vec<_>>()
    };
    let (_, whole) = run(&mut sweep("10.0.0.0/20", keep()), &mut Net::new(mixed));
    for stop_at in [0, 1, 100, 1_000, 3_000, 3_700, 4_095] {
        let mut first = sweep("10.0.0.0/20", keep());
        let mut seen = Vec::new();
        let mut net = Net::new(mixed);
        run_until(&mut first, &mut net, &mut seen, Duration::ZERO, |s| 4_096 - s.untested() >= stop_at);
        let bytes = first.save().to_bytes();
        let mut second = sweep("10.0.0.0/20", keep());
        assert!(second.restore(Saved::from_bytes(&bytes).expect("whole")));
        let (why, verdicts) = run(&mut second, &mut Net::new(mixed));
        assert_eq!((why, verdicts.len()), (Why::Complete, 4_096), "stopped at {stop_at}");
        assert_eq!(table(&verdicts), table(&whole), "stopped at {stop_at}");
        check_mixed(&verdicts);
        let kept = verdicts.values().filter(|v| v.resumed).count();
        assert!(
            kept >= seen.iter().filter(|v| v.status == Status::Ok).count(),
            "nothing that was proven is asked again"
        );
    }
}

#[test]
fn a_saved_state_of_something_else_is_refused() {
    let saved = sweep("10.0.0.0/24", settings()).save();
    assert!(!sweep("10.0.1.0/24", settings()).restore(saved.clone()), "another block");
    let mut odd = saved.clone();
    odd.pass = 0;
    assert!(!sweep("10.0.0.0/24", settings()).restore(odd));
    assert!(sweep("10.0.0.0/24", settings()).restore(saved));
}

#[test]
fn a_slow_receiver_holds_the_sweep_back() {
    let mut net = Net::new(|_| Path::Works);
    let mut sweep = sweep("10.0.0.0/20", settings());
    let (mut verdicts, mut probes) = (Vec::new(), Vec::new());
    for n in 0..10_000 {
        let now = MS * n;
        while let Some(entry) = net.queue.first_entry() {
            let (from, to, bytes) = entry.remove();
            sweep.on_datagram(now, &Datagram { from, to, port: PORT, bytes: &bytes }, &mut verdicts);
        }
        let room = 100_usize.saturating_sub(verdicts.len());
        if sweep.step(now, room, &mut probes, &mut verdicts) == Next::Send {
            for probe in probes.drain(..) {
                let server = sweep.server(probe.server);
                net.send(now, &probe, server).expect("sent");
            }
        }
    }
    assert!(verdicts.len() <= 100 && verdicts.len() > 30, "{} verdicts for room of 100", verdicts.len());
}
