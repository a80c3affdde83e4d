//! The sweep's thread: one loop over one socket.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use routepool_proto::stun::{self, BINDING_REQUEST_LEN};
use routepool_proto::sweep::{
    Datagram, Failure, Next, Phase, Probe, RECORD_LEN, Settings, Status, Sweep, Verdict, VerdictSink, Why, Window,
};
use routepool_udp::{Backend, Options, Refused, Socket, Transmit, errno};

use super::plan::Plan;
use super::pool::Pool;
use super::preflight::{describe, preflight};
use super::run::{Bell, Outcome, Progress, Shared, lock};
use super::state_file::StateFile;
use super::summary::Summary;
use super::notes;
use crate::Error;
use crate::defaults::{
    BATCH, BELL_AFTER, BELL_RECORDS, DROPS_EVERY, EXTERNALS_NAMED, NAP, PROGRESS_EVERY, RING_RECORDS,
};
use crate::servers::{Origin, Resolved};
use crate::stun_server::Responder;

/// Everything that the thread owns.
pub(super) struct Drive {
    plan: Plan,
    servers: Vec<Resolved>,
    socket: Socket,
    responder: Option<Responder>,
}

impl Drive {
    /// Opens the sockets, so that what the system refuses is told at once.
    pub(super) fn open(plan: Plan, mut servers: Vec<Resolved>) -> Result<Self, Error> {
        let ipv6 = plan.targets.is_ipv6();
        let options = Options {
            // Every source was found in the local table, so freebind cannot put a foreign address on the wire.
            freebind: ipv6,
            interface: plan.interface.clone(),
            batch: BATCH,
            ..Options::wildcard(ipv6)
        };
        let socket = Socket::open(plan.backend, &options).map_err(|source| match (&plan.interface, source.raw_os_error()) {
            (Some(interface), Some(_)) => Error::option_error(
                "interface",
                format!("sending through the interface '{interface}' was refused: {source}"),
            ),
            _ => Error::System { syscall: "bind", address: Some(options.local), source },
        })?;
        let mut responder = None;
        if plan.choice.origin == Origin::Embedded {
            let ip: IpAddr = if ipv6 { "::1" } else { "127.0.0.1" }.parse().map_err(|_| Error::Internal("loopback".into()))?;
            let started = Responder::start(SocketAddr::new(ip, 0))?;
            servers = vec![Resolved { name: "embedded".into(), address: started.address() }];
            responder = Some(started);
        }
        Ok(Self { plan, servers, socket, responder })
    }

    /// Runs the sweep to its end.
    pub(super) fn run(self, shared: &Shared, bell: &dyn Bell) -> Result<Outcome, Error> {
        let Self { mut plan, servers, socket, responder } = self;
        let first_source = plan.targets.source(0);
        let found = preflight(servers, plan.interface.as_deref(), first_source, || shared.stopped())?;
        let buffer = responder.as_ref().map_or(usize::MAX, Responder::receive_buffer).min(socket.receive_buffer());
        let settings = Settings {
            servers: found.servers.iter().map(|s| s.address).collect(),
            canary: found.canary,
            passes: plan.passes,
            timeout: plan.timeout,
            rate: plan.rate,
            window: Window::limit_for_buffer(buffer).min(socket.most_sources().unwrap_or(u32::MAX)),
            batch: BATCH,
            keep_evidence: plan.state_file.is_some(),
        };
        let mut sweep = Sweep::new(plan.targets.clone(), plan.seed, rand::random(), settings, plan.subject.clone());
        let resumed = plan.saved.is_some();
        if let Some(saved) = plan.saved.take() {
            if !sweep.restore(saved) {
                return Err(Error::State("the state file does not fit these blocks: delete it to begin anew".into()));
            }
        }
        let mut looper = Loop {
            sweep,
            socket,
            servers: found.servers.iter().map(|s| s.address).collect(),
            responder,
            shared,
            bell,
            state_file: plan.state_file.take(),
            start: Instant::now(),
            out: Outbox::default(),
            refused: Vec::new(),
            drops: 0,
            drops_at: Duration::ZERO,
            progress: Meter::default(),
        };
        let why = looper.run()?;
        if why == Why::Silent {
            let names: Vec<_> = found.servers.iter().map(describe).collect();
            return Err(Error::ServerSilent(format!(
                "The server {} never answered: neither this machine's own address nor any of the {} sources that were asked got \
                 a reply, so a dead server cannot be told from dead sources. Check that the server runs, and that UDP to its port is let \
                 through.",
                names.join(", "),
                looper.sweep.targets().len().min(routepool_proto::sweep::bounds::UNCONFIRMED_BURST)
            )));
        }
        Ok(looper.outcome(&plan, found.servers, found.notes, resumed))
    }
}

struct Loop<'a> {
    sweep: Sweep,
    socket: Socket,
    servers: Vec<SocketAddr>,
    responder: Option<Responder>,
    shared: &'a Shared,
    bell: &'a dyn Bell,
    state_file: Option<StateFile>,
    start: Instant,
    out: Outbox,
    refused: Vec<(&'static str, u16, u32)>,
    drops: u32,
    drops_at: Duration,
    progress: Meter,
}

impl Loop<'_> {
    fn run(&mut self) -> Result<Why, Error> {
        let mut probes: Vec<Probe> = Vec::with_capacity(BATCH * 2);
        self.save(false, true)?;
        let why = loop {
            if self.shared.stopped() {
                break Why::Complete;
            }
            let now = self.start.elapsed();
            let room = self.out.room(self.shared);
            let next = self.sweep.step(now, room, &mut probes, &mut self.out);
            let mut nap = None;
            match next {
                Next::Send => self.send(&mut probes)?,
                Next::Wait(until) => nap = Some(until.saturating_sub(now)),
                Next::Full => nap = Some(Duration::from_millis(1)),
                Next::Done(why) => {
                    self.out.flush(now, true, self.shared, self.bell);
                    break why;
                }
            }
            let received = self.receive()?;
            self.housekeeping()?;
            if let (Some(nap), false) = (nap, received) {
                let nap = if self.out.is_waiting() { nap.min(BELL_AFTER) } else { nap.min(NAP) };
                self.socket.wait(false, nap).map_err(|source| Error::System { syscall: "poll", address: None, source })?;
            }
        };
        self.save(true, true)?;
        Ok(why)
    }

    /// Sends the probes; those refused are reported to the sweep, the others go on.
    fn send(&mut self, probes: &mut Vec<Probe>) -> Result<(), Error> {
        let mut requests = [[0; BINDING_REQUEST_LEN]; BATCH];
        for chunk in probes.chunks(BATCH) {
            for (request, probe) in requests.iter_mut().zip(chunk) {
                *request = stun::binding_request(&probe.id);
            }
            let transmits: Vec<_> = chunk
                .iter()
                .zip(&requests)
                .map(|(probe, bytes)| Transmit {
                    source: Some(probe.source),
                    destination: self.servers[usize::from(probe.server)],
                    bytes,
                })
                .collect();
            let mut from = 0;
            while from < chunk.len() && !self.shared.stopped() {
                let (sent, refused) = self.socket.send(&transmits[from..]);
                from += sent;
                let Some(refused) = refused else { break };
                if errno::is_transient(&refused.error) {
                    let wait = self.socket.wait(true, Duration::from_millis(1));
                    wait.map_err(|source| Error::System { syscall: "poll", address: None, source })?;
                    continue;
                }
                self.note_refusal(&chunk[from], refused.refused, &refused.error);
                from += 1;
            }
        }
        probes.clear();
        Ok(())
    }

    fn note_refusal(&mut self, probe: &Probe, refused: Refused, error: &io::Error) {
        let number = errno::number(error);
        let (syscall, failure) = match refused {
            Refused::Bind => ("bind", Failure::Bind(number)),
            Refused::Send => ("sendmsg", Failure::Send(number)),
        };
        match self.refused.iter_mut().find(|(s, n, _)| (*s, *n) == (syscall, number)) {
            Some((.., count)) => *count += 1,
            None => self.refused.push((syscall, number, 1)),
        }
        self.sweep.on_send_failure(probe, failure);
    }

    /// Takes in what has arrived; whether there was anything.
    fn receive(&mut self) -> Result<bool, Error> {
        let now = self.start.elapsed();
        let (sweep, out) = (&mut self.sweep, &mut self.out);
        let result = self.socket.receive(|r| {
            sweep.on_datagram(now, &Datagram { from: r.from, to: r.to, port: r.port, bytes: r.bytes }, out);
        });
        match result {
            Ok(received) => Ok(received > 0),
            // It speaks of one earlier probe, and that one will stay silent.
            Err(error) if errno::is_icmp(&error) => Ok(true),
            Err(source) => Err(Error::System { syscall: "recvmsg", address: None, source }),
        }
    }

    fn housekeeping(&mut self) -> Result<(), Error> {
        let now = self.start.elapsed();
        self.out.flush(now, false, self.shared, self.bell);
        if now >= self.drops_at + DROPS_EVERY {
            self.drops_at = now;
            let drops = self.socket.drops() + self.responder.as_ref().map_or(0, |r| r.counters().drops);
            if drops > self.drops {
                self.drops = drops;
                self.sweep.on_drops();
            }
        }
        if let Some(progress) = self.progress.measure(now, &self.sweep) {
            *lock(&self.shared.progress) = progress;
        }
        self.save(false, false)
    }

    fn save(&mut self, last: bool, at_once: bool) -> Result<(), Error> {
        let Some(file) = &mut self.state_file else { return Ok(()) };
        if at_once || file.is_due(Instant::now()) {
            file.write(&self.sweep.save(), last)?;
        }
        Ok(())
    }

    fn outcome(self, plan: &Plan, servers: Vec<Resolved>, found: Vec<String>, resumed: bool) -> Outcome {
        let sweep = &self.sweep;
        let all =
            [Status::Ok, Status::Mapped, Status::NoReply, Status::SendError, Status::BindError, Status::BadReply, Status::Unknown];
        let times = sweep.round_trips();
        let mut summary = Summary {
            blocks: sweep.targets().blocks().iter().map(ToString::to_string).collect(),
            ipv6: sweep.targets().is_ipv6(),
            sources: sweep.targets().len(),
            total_addresses: sweep.targets().total_addresses(),
            sample: sweep.targets().sample(),
            counts: all.map(|status| sweep.judged(status)),
            untested: sweep.untested(),
            port_rewritten: sweep.port_rewritten(),
            stopped: sweep.phase() != Phase::Done(Why::Complete),
            resumed,
            passes: sweep.asks(),
            seed: sweep.seed(),
            elapsed: self.start.elapsed(),
            origin: plan.choice.origin,
            servers,
            rate: plan.rate,
            counters: *sweep.counters(),
            drops: self.drops,
            loss: sweep.loss(),
            round_trips: [times.quantile(0.5), times.quantile(0.99), times.quantile(1.0)],
            receive_buffer: self.socket.receive_buffer(),
            window: sweep.window(),
            batched: plan.backend == Backend::Batched,
            externals: sweep.externals(EXTERNALS_NAMED),
            errors: self.refused.clone(),
            reasons: sweep.reasons().to_vec(),
            notes: Vec::new(),
        };
        summary.notes = notes::notes(&summary, found);
        let progress = self.progress.figures(self.start.elapsed(), sweep);
        *lock(&self.shared.progress) = progress;
        let pool = Pool::new(sweep.targets().clone(), sweep.proven());
        Outcome { summary: Arc::new(summary), pool: Arc::new(pool) }
    }
}

/// Verdicts gathered by the thread, handed to the ring a batch at a time.
#[derive(Default)]
struct Outbox {
    bytes: Vec<u8>,
    room: Option<usize>,
    unrung: usize,
    since: Duration,
}

impl Outbox {
    /// Room in the ring. It is asked for again only when it may have become short, to keep the lock cold.
    fn room(&mut self, shared: &Shared) -> usize {
        match self.room {
            Some(room) if room > RING_RECORDS / 2 => room,
            _ => *self.room.insert(shared.ring.room()),
        }
    }

    fn is_waiting(&self) -> bool {
        self.unrung > 0
    }

    fn flush(&mut self, now: Duration, last: bool, shared: &Shared, bell: &dyn Bell) {
        if !self.bytes.is_empty() {
            if self.unrung == 0 {
                self.since = now;
            }
            self.unrung += self.bytes.len() / RECORD_LEN;
            self.room = Some(shared.ring.push(&self.bytes));
            self.bytes.clear();
        }
        if self.unrung > 0 && (last || self.unrung >= BELL_RECORDS || now >= self.since + BELL_AFTER) {
            self.unrung = 0;
            shared.ring_bell(bell);
        }
    }
}

impl VerdictSink for Outbox {
    fn verdict(&mut self, verdict: &Verdict) {
        self.bytes.extend_from_slice(&verdict.to_record());
    }
}

/// The figures for progress, and the rate over the last second or so.
#[derive(Default)]
struct Meter {
    last: Duration,
    rate: f64,
    probes: u64,
}

impl Meter {
    fn measure(&mut self, now: Duration, sweep: &Sweep) -> Option<Progress> {
        if now < self.last + PROGRESS_EVERY {
            return None;
        }
        let seconds = (now - self.last).as_secs_f64();
        let current = (sweep.counters().probes - self.probes) as f64 / seconds;
        // An average that forgets over about a second.
        let weight = if self.rate == 0.0 { 1.0 } else { seconds.min(1.0) };
        self.rate += (current - self.rate) * weight;
        (self.last, self.probes) = (now, sweep.counters().probes);
        Some(self.figures(now, sweep))
    }

    fn figures(&self, now: Duration, sweep: &Sweep) -> Progress {
        let sources = sweep.targets().len();
        let left = f64::from(sweep.left_in_pass());
        let phase = match sweep.phase() {
            Phase::Pass | Phase::Paused(_) | Phase::Replay(_) => "pass",
            Phase::Gap | Phase::Cooldown => "waiting",
            Phase::Conclude(_) | Phase::Done(_) => "done",
        };
        Progress {
            sources,
            decided: sources - sweep.untested(),
            ok: sweep.judged(Status::Ok),
            probes: sweep.counters().probes,
            pass: sweep.pass(),
            rate: self.rate,
            elapsed: now,
            eta: (self.rate >= 1.0 && phase == "pass").then(|| Duration::from_secs_f64((left / self.rate).min(1e9))),
            paused: matches!(sweep.phase(), Phase::Paused(_)),
            phase,
        }
    }
}
