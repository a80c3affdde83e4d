//! A worker: one thread, its sockets, one loop over a part of the sources.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use routepool_proto::stun::{self, BINDING_REQUEST_LEN};
use routepool_proto::sweep::{Datagram, EndReason, Failure, Next, Probe, Sweep};
use routepool_udp::{Refused, Transmit, errno};

use super::flows::{Flows, Reading};
use super::shared::{Progress, Shared};
use super::state_file::StateFile;
use super::verdict_buffer::{Meter, VerdictBuffer};
use crate::Error;
use crate::defaults::{BATCH, DROPS_EVERY, IDLE_WAIT, WAKE_AFTER};
use crate::lock::lock;
use crate::stun_server::{StunServer, StunWorker};
use crate::waker::Waker;

/// Who answers, when it is this process.
pub(super) enum Embedded {
    /// Nobody: the servers are elsewhere.
    No,
    /// A server on its own thread.
    Thread(StunServer),
    /// A server that the worker runs within its own loop. Its packets then never change the processor: no wake-ups, warm caches.
    Inline(Box<StunWorker>),
}

impl Embedded {
    fn drops(&self) -> u32 {
        match self {
            Self::No => 0,
            Self::Thread(server) => server.counters().drops as u32,
            Self::Inline(server) => server.drops(),
        }
    }
}

/// What a worker works with, and what it has counted.
pub(super) struct SweepWorker<'a> {
    pub(super) number: usize,
    pub(super) sweep: Sweep,
    pub(super) flows: Flows,
    pub(super) servers: Vec<SocketAddr>,
    pub(super) embedded: Embedded,
    pub(super) shared: &'a Shared,
    pub(super) waker: &'a dyn Waker,
    pub(super) state_file: Option<StateFile>,
    pub(super) start: Instant,
    pub(super) out: VerdictBuffer,
    /// Refused calls by name and error number.
    pub(super) refused: Vec<(&'static str, u16, u32)>,
    /// Datagrams that the kernel dropped at our sockets.
    pub(super) drops: u32,
    pub(super) drops_at: Duration,
    pub(super) progress: Meter,
}

impl SweepWorker<'_> {
    /// Runs to the end.
    pub(super) fn run(&mut self) -> Result<EndReason, Error> {
        let mut probes: Vec<Probe> = Vec::with_capacity(BATCH * 2);
        self.save(false, true)?;
        let reason = loop {
            if self.shared.stopped() {
                break EndReason::Complete;
            }
            let now = self.start.elapsed();
            let room = self.out.room(self.shared);
            let next = self.sweep.step(now, room, &mut probes, &mut self.out);
            let mut idle = None;
            match next {
                Next::Send => self.send(&mut probes)?,
                Next::Wait(until) => idle = Some(until.saturating_sub(now)),
                Next::Full => idle = Some(Duration::from_millis(1)),
                Next::Done(reason) => {
                    self.out.flush(now, true, self.shared, self.waker);
                    break reason;
                }
            }
            if let Embedded::Inline(server) = &mut self.embedded {
                // A batch that was not full was the last one: no call is needed to see that.
                while server.serve_ready() == BATCH {}
            }
            let received = self.receive()?;
            self.housekeeping()?;
            if let (Some(idle), false) = (idle, received) {
                let idle = if self.out.is_waiting() { idle.min(WAKE_AFTER) } else { idle.min(IDLE_WAIT) };
                self.flows.wait(idle).map_err(|source| Error::System {
                    syscall: "poll",
                    address: None,
                    source,
                })?;
            }
        };
        self.save(true, true)?;
        Ok(reason)
    }

    /// Sends the probes; those refused are reported to the sweep, the others go on.
    fn send(&mut self, probes: &mut Vec<Probe>) -> Result<(), Error> {
        let mut requests = [[0; BINDING_REQUEST_LEN]; BATCH];
        for chunk in probes.chunk_by(|a, b| a.flow == b.flow).flat_map(|flow| flow.chunks(BATCH)) {
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
            let flow = chunk.first().map_or(0, |probe| probe.flow);
            let mut from = 0;
            while from < chunk.len() && !self.shared.stopped() {
                let sweep = &self.sweep;
                let socket = self.flows.socket(flow, |flow| sweep.listens_to(flow));
                let socket =
                    socket.map_err(|source| Error::System { syscall: "socket", address: None, source })?;
                let (sent, refused) = socket.send(&transmits[from..]);
                from += sent;
                let Some(refused) = refused else { break };
                if errno::is_transient(&refused.error) {
                    let wait = socket.wait(true, Duration::from_millis(1));
                    wait.map_err(|source| Error::System { syscall: "poll", address: None, source })?;
                    // With a socket for each source, one that has its answer makes room for the next.
                    self.receive()?;
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
        let result = self.flows.receive(now, |flow, r| {
            let datagram = Datagram { from: r.from, to: r.to, port: r.port, flow, bytes: r.bytes };
            sweep.on_datagram(now, &datagram, out);
        });
        let Reading { count, drained } =
            result.map_err(|source| Error::System { syscall: "recvmsg", address: None, source })?;
        if let Some(at) = drained {
            self.sweep.on_drained(at);
        }
        Ok(count > 0)
    }

    fn housekeeping(&mut self) -> Result<(), Error> {
        let now = self.start.elapsed();
        self.out.flush(now, false, self.shared, self.waker);
        if now >= self.drops_at + DROPS_EVERY * self.flows.count() {
            self.drops_at = now;
            let drops = self.flows.drops() + self.embedded.drops();
            if drops > self.drops {
                self.drops = drops;
                self.sweep.on_drops();
            }
        }
        if let Some(progress) = self.progress.measure(now, &self.sweep) {
            self.report(progress);
        }
        self.save(false, false)
    }

    pub(super) fn report(&self, progress: Progress) {
        if let Some(slot) = lock(&self.shared.progress).get_mut(self.number) {
            *slot = progress;
        }
    }

    fn save(&mut self, last: bool, at_once: bool) -> Result<(), Error> {
        let Some(file) = &mut self.state_file else { return Ok(()) };
        if at_once || file.is_due(Instant::now()) {
            file.write(&self.sweep.save(), last)?;
        }
        Ok(())
    }
}
