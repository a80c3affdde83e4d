//! A worker: one thread and its sockets. Several send the first pass of one sweep; what follows is the first one's.

use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use routepool_proto::stun::{self, BINDING_REQUEST_LEN};
use routepool_proto::sweep::{Datagram, EndReason, Next, Probe};
use routepool_udp::{Transmit, errno};

use super::flows::Flows;
use super::shared::Shared;
use super::shared_sweep::SharedSweep;
use super::state_file::StateFile;
use super::verdict_buffer::Meter;
use crate::Error;
use crate::defaults::{BATCH, DROPS_EVERY, IDLE_WAIT, WAKE_AFTER, WORKER_WAIT};
use crate::lock::lock;
use crate::stun_server::{StunServer, StunWorker};
use crate::waker::Waker;

/// Who answers, when it is this process.
pub(super) enum Embedded {
    /// Nobody: the servers are elsewhere.
    No,
    /// A server on its own thread.
    Thread(StunServer),
    /// Servers that the worker runs within its own loop: in the first pass one, its own. Their packets then never change the
    /// processor: no wake-ups, warm caches.
    Inline(Vec<StunWorker>),
}

impl Embedded {
    fn drops(&self) -> u32 {
        match self {
            Self::No => 0,
            Self::Thread(server) => server.counters().drops as u32,
            Self::Inline(servers) => servers.iter().map(StunWorker::drops).sum(),
        }
    }

    pub(super) fn receive_buffer(&self) -> usize {
        match self {
            Self::No => usize::MAX,
            Self::Thread(server) => server.receive_buffer(),
            Self::Inline(servers) => {
                servers.iter().map(StunWorker::receive_buffer).min().unwrap_or(usize::MAX)
            }
        }
    }

    /// Answers what has arrived.
    fn serve(&mut self) {
        let Self::Inline(servers) = self else { return };
        for server in servers {
            // A batch that was not full was the last one: no call is needed to see that.
            while server.serve_ready() == BATCH {}
        }
    }
}

/// What only the first worker does: figures, and the state file.
pub(super) struct Clerk {
    pub(super) progress: Meter,
    pub(super) state_file: Option<StateFile>,
}

/// What a worker works with.
pub(super) struct SweepWorker<'a> {
    pub(super) number: u16,
    /// Workers at work, this one included.
    pub(super) workers: usize,
    pub(super) sweep: &'a Mutex<SharedSweep>,
    pub(super) flows: Flows,
    pub(super) servers: &'a [SocketAddr],
    pub(super) embedded: Embedded,
    pub(super) shared: &'a Shared,
    pub(super) waker: &'a dyn Waker,
    pub(super) start: Instant,
    pub(super) drops_at: Duration,
    /// The first one has it.
    pub(super) clerk: Option<Clerk>,
}

/// How a turn of the loop ended.
enum Turn {
    On,
    /// The first pass is over: from now on one worker is enough.
    FirstPassOver,
    Done(EndReason),
}

/// Stops the other workers when this one fails inside: they would wait for what it has read.
struct StopOnPanic<'a>(&'a Shared);

impl Drop for StopOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.stop();
        }
    }
}

impl SweepWorker<'_> {
    /// Sends its share of the first pass; a failure stops the others.
    pub(super) fn run_first_pass(&mut self) -> Result<(), Error> {
        let _guard = StopOnPanic(self.shared);
        let mut probes = Vec::with_capacity(BATCH * 2);
        while !self.shared.stopped() {
            if !matches!(self.turn(&mut probes).inspect_err(|_| self.shared.stop())?, Turn::On) {
                break;
            }
        }
        Ok(())
    }

    /// Goes on alone, with the sockets and servers of the others.
    pub(super) fn absorb(&mut self, others: Vec<Self>) {
        for other in others {
            self.flows.absorb(other.flows);
            if let (Embedded::Inline(own), Embedded::Inline(theirs)) = (&mut self.embedded, other.embedded) {
                own.extend(theirs);
            }
        }
        self.workers = 1;
        lock(self.sweep).go_on_alone();
    }

    /// Runs to the end.
    pub(super) fn run(&mut self) -> Result<EndReason, Error> {
        let mut probes = Vec::with_capacity(BATCH * 2);
        let reason = loop {
            if self.shared.stopped() {
                break EndReason::Complete;
            }
            if let Turn::Done(reason) = self.turn(&mut probes)? {
                break reason;
            }
        };
        self.save(true, true)?;
        Ok(reason)
    }

    /// Hands in what has arrived, sends what is to be sent, and waits if there was neither.
    fn turn(&mut self, probes: &mut Vec<Probe>) -> Result<Turn, Error> {
        let drops = self.read_drops();
        let (next, now, first_pass, waiting) = {
            let mut held = self.receive()?;
            let sweep = &mut *held;
            let now = self.start.elapsed();
            if let Some(drops) = drops {
                sweep.on_drops(self.number, drops);
            }
            if let Some(clerk) = &mut self.clerk {
                if drops.is_some() {
                    sweep.check_drops();
                }
                if let Some(progress) = clerk.progress.measure(now, &sweep.sweep) {
                    *lock(&self.shared.progress) = progress;
                }
            }
            let next = sweep.step(self.number, now, probes, self.shared, self.waker);
            (next, now, sweep.sweep.is_first_pass(), sweep.out.is_waiting())
        };
        self.send(probes)?;
        self.embedded.serve();
        self.save(false, false)?;
        let idle = match next {
            Next::Done(reason) => return Ok(Turn::Done(reason)),
            _ if self.workers > 1 && !first_pass => return Ok(Turn::FirstPassOver),
            Next::Send => return Ok(Turn::On),
            Next::Wait(until) => until.saturating_sub(now),
            Next::Full => Duration::from_millis(1),
        };
        let most = match () {
            () if self.workers > 1 => WORKER_WAIT,
            () if waiting => WAKE_AFTER,
            () => IDLE_WAIT,
        };
        let waited = self.flows.wait(idle.min(most));
        waited.map_err(|source| Error::System { syscall: "poll", address: None, source })?;
        Ok(Turn::On)
    }

    /// Sends the probes; those refused are reported to the sweep, the others go on.
    fn send(&mut self, probes: &mut Vec<Probe>) -> Result<(), Error> {
        let mut requests = [[0; BINDING_REQUEST_LEN]; BATCH];
        let same_port = |a: &Probe, b: &Probe| (a.flow, a.worker) == (b.flow, b.worker);
        for chunk in probes.chunk_by(same_port).flat_map(|port| port.chunks(BATCH)) {
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
            let port = chunk.first().map_or((0, 0), |probe| (probe.flow, probe.worker));
            let mut from = 0;
            while from < chunk.len() && !self.shared.stopped() {
                let sweep = self.sweep;
                let socket = self.flows.socket(port, |flow| lock(sweep).sweep.listens_to(flow));
                let socket =
                    socket.map_err(|source| Error::System { syscall: "socket", address: None, source })?;
                let (sent, refused) = socket.send(&transmits[from..]);
                from += sent;
                let Some(refused) = refused else { break };
                if errno::is_transient(&refused.error) {
                    let wait = socket.wait(true, Duration::from_millis(1));
                    wait.map_err(|source| Error::System { syscall: "poll", address: None, source })?;
                    // With a socket for each source, one that has its answer makes room for the next.
                    drop(self.receive()?);
                    continue;
                }
                lock(self.sweep).on_refusal(&chunk[from], refused.refused, errno::number(&refused.error));
                from += 1;
            }
        }
        probes.clear();
        Ok(())
    }
}

impl<'a> SweepWorker<'a> {
    /// Hands in what has arrived; gives the sweep, which is held from the first datagram on.
    fn receive(&mut self) -> Result<MutexGuard<'a, SharedSweep>, Error> {
        let now = self.start.elapsed();
        let sweep = self.sweep;
        let mut held = None;
        let result = self.flows.receive(now, |(flow, worker), r| {
            let SharedSweep { sweep, out, .. } = &mut **held.get_or_insert_with(|| lock(sweep));
            let datagram = Datagram { from: r.from, to: r.to, port: r.port, flow, worker, bytes: r.bytes };
            sweep.on_datagram(now, &datagram, out);
        });
        let drained = result.map_err(|source| Error::System { syscall: "recvmsg", address: None, source })?;
        let mut held = held.unwrap_or_else(|| lock(sweep));
        if let Some(at) = drained {
            held.on_drained(self.number, at);
        }
        Ok(held)
    }

    /// The kernel's count of drops, when it is time to read it.
    fn read_drops(&mut self) -> Option<u32> {
        let now = self.start.elapsed();
        (now >= self.drops_at + DROPS_EVERY * self.flows.count()).then(|| {
            self.drops_at = now;
            self.flows.drops() + self.embedded.drops()
        })
    }

    /// Writes the state, if there is a file for it.
    pub(super) fn save(&mut self, last: bool, at_once: bool) -> Result<(), Error> {
        let Some(file) = self.clerk.as_mut().and_then(|clerk| clerk.state_file.as_mut()) else {
            return Ok(());
        };
        if at_once || file.is_due(Instant::now()) {
            let saved = lock(self.sweep).sweep.save();
            file.write(&saved, last)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_that_fails_inside_stops_the_others_and_one_that_ends_does_not() {
        for (fails, stopped) in [(false, false), (true, true)] {
            let shared = Shared::default();
            let run = || {
                let _guard = StopOnPanic(&shared);
                assert!(!fails, "on purpose");
            };
            let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run));
            assert_eq!((result.is_err(), shared.stopped()), (fails, stopped));
        }
    }
}
