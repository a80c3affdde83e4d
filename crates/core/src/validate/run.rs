//! A sweep under way, as seen from outside.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use routepool_proto::server_addr::is_one_host;

use super::drive::Drive;
use super::plan::Plan;
use super::pool::Pool;
use super::ring::Ring;
use super::summary::Summary;
use crate::Error;
use crate::discovery::servers::{Origin, Resolved};

/// Wakes the receiver. It is called from the sweep's thread, once until the next [`Run::drain`].
pub trait Bell: Send + Sync {
    /// Verdicts or the result wait to be fetched.
    fn ring(&self);
}

impl<F: Fn() + Send + Sync> Bell for F {
    fn ring(&self) {
        self();
    }
}

/// Figures of a sweep under way.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Progress {
    /// All sources.
    pub sources: u32,
    /// Sources with a verdict.
    pub decided: u32,
    /// Of these, `ok`.
    pub ok: u32,
    /// Probes sent.
    pub probes: u64,
    /// The pass, from 1.
    pub pass: u8,
    /// Probes a second, over the last second or so.
    pub rate: f64,
    /// Since the start.
    pub elapsed: Duration,
    /// Time left, if it can be estimated.
    pub eta: Option<Duration>,
    /// Whether the network is lost and waited for.
    pub paused: bool,
    /// What the sweep is doing: `preflight`, `pass`, `waiting`, `done`.
    pub phase: &'static str,
}

impl Progress {
    /// The figures of two lanes together.
    fn plus(self, other: Self) -> Self {
        Self {
            sources: self.sources + other.sources,
            decided: self.decided + other.decided,
            ok: self.ok + other.ok,
            probes: self.probes + other.probes,
            pass: self.pass.max(other.pass),
            rate: self.rate + other.rate,
            elapsed: self.elapsed.max(other.elapsed),
            eta: self.eta.max(other.eta),
            paused: self.paused || other.paused,
            // The lane that has the most left to do says what is being done.
            phase: if self.phase == "done" { other.phase } else { self.phase },
        }
    }
}

/// What a run and its thread share.
#[derive(Default)]
pub(super) struct Shared {
    pub(super) ring: Ring,
    pub(super) rung: AtomicBool,
    pub(super) stop: AtomicBool,
    /// By lane.
    pub(super) progress: Mutex<Vec<Progress>>,
    pub(super) result: Mutex<Option<Result<Outcome, Arc<Error>>>>,
}

/// What is there in the end.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    pub(super) summary: Arc<Summary>,
    pub(super) pool: Arc<Pool>,
}

impl Shared {
    pub(super) fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    pub(super) fn ring_bell(&self, bell: &dyn Bell) {
        if !self.rung.swap(true, Ordering::AcqRel) {
            bell.ring();
        }
    }
}

/// Locks also after a panic elsewhere: what is shared is whole after each assignment.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A sweep on its own thread. Dropping it tells the thread to stop and does not wait for it.
pub struct Run {
    shared: Arc<Shared>,
}

impl std::fmt::Debug for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Run").field("progress", &self.progress()).finish()
    }
}

impl Run {
    pub(super) fn start(plan: Plan, mut servers: Vec<Resolved>, bell: Arc<dyn Bell>) -> Result<Self, Error> {
        let ipv6 = plan.targets.is_ipv6();
        if plan.choice.origin != Origin::Embedded {
            if plan.choice.origin == Origin::Public {
                servers.retain(|s| is_one_host(s.address.ip()));
            } else if let Some(none) = servers.iter().find(|s| !is_one_host(s.address.ip())) {
                return Err(Error::Server(format!(
                    "the server {} has the address {}, which is not the address of one host: name a server that can be asked",
                    none.name,
                    none.address.ip()
                )));
            }
            if servers.is_empty() {
                return Err(Error::Server("no server is left to ask: name one that resolves".into()));
            }
            if let Some(other) = servers.iter().find(|s| s.address.is_ipv6() != ipv6) {
                let (is, wanted) = if ipv6 { ("IPv4", "IPv6") } else { ("IPv6", "IPv4") };
                return Err(Error::Server(format!(
                    "the server {} has the {is} address {}, but the blocks are {wanted}: name a server with an {wanted} address",
                    other.name,
                    other.address.ip()
                )));
            }
        }
        Self::spawn(plan, servers, bell, Arc::new(Shared::default()))
    }

    pub(super) fn start_stopped(plan: Plan, bell: Arc<dyn Bell>) -> Result<Self, Error> {
        let shared = Arc::new(Shared::default());
        shared.stop();
        Self::spawn(plan, Vec::new(), bell, shared)
    }

    fn spawn(
        plan: Plan,
        servers: Vec<Resolved>,
        bell: Arc<dyn Bell>,
        shared: Arc<Shared>,
    ) -> Result<Self, Error> {
        let before = Progress { sources: plan.targets.len(), phase: "preflight", ..Progress::default() };
        lock(&shared.progress).push(before);
        let drive = Drive::open(plan, servers)?;
        let theirs = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("routepool-sweep".into())
            .spawn(move || run_thread(drive, &theirs, &*bell))
            .map_err(|source| Error::System { syscall: "pthread_create", address: None, source })?;
        Ok(Self { shared })
    }

    /// Moves packed verdicts (48 bytes each) to `out`; gives the number of bytes. The bell rings again for what comes after.
    #[must_use]
    pub fn drain(&self, out: &mut [u8]) -> usize {
        // Before the look, not after: otherwise a verdict that comes in between would never be announced.
        self.shared.rung.store(false, Ordering::Release);
        self.shared.ring.drain(out).0
    }

    /// From now on verdicts are counted and not kept, for a receiver that wants the result alone.
    pub fn discard(&self) {
        self.shared.ring.discard();
    }

    /// Ends the sweep; its result then says what was found so far. Does not wait.
    pub fn stop(&self) {
        self.shared.stop();
    }

    /// Figures of now.
    #[must_use]
    pub fn progress(&self) -> Progress {
        let lanes = lock(&self.shared.progress);
        lanes.iter().copied().reduce(Progress::plus).unwrap_or_default()
    }

    /// The result, once there is one. All verdicts are in the ring by then.
    ///
    /// # Errors
    /// What made the sweep impossible.
    #[must_use]
    pub fn result(&self) -> Option<Result<Arc<Summary>, Arc<Error>>> {
        let result = lock(&self.shared.result);
        result.as_ref().map(|r| r.as_ref().map(|o| Arc::clone(&o.summary)).map_err(Arc::clone))
    }

    /// The proven sources, once there is a result.
    #[must_use]
    pub fn pool(&self) -> Option<Arc<Pool>> {
        let result = lock(&self.shared.result);
        result.as_ref().and_then(|r| r.as_ref().ok()).map(|o| Arc::clone(&o.pool))
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.stop();
    }
}

fn run_thread(drive: Drive, shared: &Shared, bell: &dyn Bell) {
    // A defect must end the run with an error; a thread that just vanishes would leave its receiver waiting for ever.
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drive.run(shared, bell)));
    let result = result.unwrap_or_else(|panic| {
        let text =
            panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
        Err(Error::Internal(format!("routepool failed inside: {}", text.unwrap_or("no message"))))
    });
    lock(&shared.progress).iter_mut().for_each(|p| p.phase = "done");
    *lock(&shared.result) = Some(result.map_err(Arc::new));
    shared.ring_bell(bell);
}
