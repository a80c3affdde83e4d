//! The one sweep that all workers work on, in turns.

use std::time::Duration;

use routepool_proto::sweep::{Failure, Next, Probe, Sweep};
use routepool_udp::Refused;

use super::shared::Shared;
use super::verdict_buffer::VerdictBuffer;
use crate::waker::Waker;

/// One order, one pace, one evidence, whoever sends. A worker holds it while it hands in what it has received and takes the next
/// probes: some 0.3 µs a probe, where the system calls of a probe take ten times as long and are made outside.
pub(super) struct SharedSweep {
    pub(super) sweep: Sweep,
    pub(super) out: VerdictBuffer,
    /// Refused calls by name and error number.
    pub(super) refused: Vec<(&'static str, u16, u32)>,
    /// By worker.
    workers: Vec<WorkerState>,
    /// Datagrams dropped of which the sweep has been told.
    drops: u32,
}

/// What is known of a worker.
#[derive(Default)]
struct WorkerState {
    /// All that had arrived at its sockets by then has been handed in.
    drained: Duration,
    /// Probes that it has to send and another was given.
    unsent: Vec<Probe>,
    /// Datagrams that the kernel dropped at its sockets.
    drops: u32,
}

impl SharedSweep {
    pub(super) fn new(sweep: Sweep, workers: usize) -> Self {
        Self {
            sweep,
            out: VerdictBuffer::default(),
            refused: Vec::new(),
            workers: std::iter::repeat_with(WorkerState::default).take(workers).collect(),
            drops: 0,
        }
    }

    /// Takes the next probes of a worker, and hands on the verdicts that are there.
    pub(super) fn step(
        &mut self,
        worker: u16,
        now: Duration,
        probes: &mut Vec<Probe>,
        shared: &Shared,
        waker: &dyn Waker,
    ) -> Next {
        let room = self.out.room(shared);
        let next = self.sweep.step(worker, now, room, probes, &mut self.out);
        self.out.flush(now, matches!(next, Next::Done(_)), shared, waker);
        if self.workers.len() > 1 {
            let workers = &mut self.workers;
            probes.retain(|probe| {
                let own = probe.worker == worker;
                if !own {
                    workers[usize::from(probe.worker)].unsent.push(*probe);
                }
                own
            });
        }
        probes.append(&mut self.workers[usize::from(worker)].unsent);
        next
    }

    /// All that had arrived by then at the sockets of a worker has been handed in.
    pub(super) fn on_drained(&mut self, worker: u16, at: Duration) {
        self.workers[usize::from(worker)].drained = at;
        // Silence is judged by what all have read.
        let by_all = self.workers.iter().map(|worker| worker.drained).min();
        self.sweep.on_drained(by_all.unwrap_or(at));
    }

    /// So many datagrams have been dropped at the sockets of a worker.
    pub(super) fn on_drops(&mut self, worker: u16, drops: u32) {
        self.workers[usize::from(worker)].drops = drops;
    }

    /// Tells the sweep of datagrams that were dropped since the last call: once, however many sockets dropped some.
    pub(super) fn check_drops(&mut self) {
        let drops = self.drops();
        if drops > self.drops {
            self.drops = drops;
            self.sweep.on_drops();
        }
    }

    /// Datagrams that the kernel has dropped.
    pub(super) fn drops(&self) -> u32 {
        self.workers.iter().map(|worker| worker.drops).sum()
    }

    pub(super) fn on_refusal(&mut self, probe: &Probe, refused: Refused, number: u16) {
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

    /// From now on the first worker does everything: it has the sockets of the others.
    pub(super) fn go_on_alone(&mut self) {
        let all = std::mem::take(&mut self.workers);
        self.workers = vec![WorkerState {
            drained: all.iter().map(|worker| worker.drained).min().unwrap_or_default(),
            drops: all.iter().map(|worker| worker.drops).sum(),
            unsent: all.into_iter().flat_map(|worker| worker.unsent).collect(),
        }];
    }
}
