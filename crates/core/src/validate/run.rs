//! A sweep under way, as seen from outside.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use routepool_proto::server_addr::is_one_host;

use super::driver::Driver;
use super::plan::Plan;
use super::pool::Pool;
use super::shared::{Progress, Shared};
use super::summary::Summary;
use crate::Error;
use crate::discovery::servers::{Origin, Resolved};
use crate::lock::lock;
use crate::waker::Waker;

/// A sweep on its own thread. Dropping it signals the thread to stop and does not wait for it.
pub struct Run {
    shared: Arc<Shared>,
}

impl std::fmt::Debug for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Run").field("progress", &self.progress()).finish()
    }
}

impl Run {
    pub(super) fn start(
        plan: Plan,
        mut servers: Vec<Resolved>,
        waker: Arc<dyn Waker>,
    ) -> Result<Self, Error> {
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
        Self::spawn(plan, servers, waker, Arc::new(Shared::default()))
    }

    pub(super) fn start_stopped(plan: Plan, waker: Arc<dyn Waker>) -> Result<Self, Error> {
        let shared = Arc::new(Shared::default());
        shared.stop();
        Self::spawn(plan, Vec::new(), waker, shared)
    }

    fn spawn(
        plan: Plan,
        servers: Vec<Resolved>,
        waker: Arc<dyn Waker>,
        shared: Arc<Shared>,
    ) -> Result<Self, Error> {
        let before = Progress { sources: plan.targets.len(), phase: "preflight", ..Progress::default() };
        *lock(&shared.progress) = before;
        let driver = Driver::open(plan, servers)?;
        let theirs = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("routepool-sweep".into())
            .spawn(move || run_thread(driver, &theirs, &*waker))
            .map_err(|source| Error::System { syscall: "pthread_create", address: None, source })?;
        Ok(Self { shared })
    }

    /// Moves packed verdicts (48 bytes each) to `out`; gives the number of bytes. The waker is called again for what comes after.
    #[must_use]
    pub fn drain(&self, out: &mut [u8]) -> usize {
        // Before the look, not after: otherwise a verdict that comes in between would never be announced.
        self.shared.woken.store(false, Ordering::Release);
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
        *lock(&self.shared.progress)
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

impl Plan {
    /// Starts the sweep on its own thread. `servers` are the resolved ones, at least one unless the server is embedded;
    /// `waker` is called when verdicts or the result wait to be fetched.
    ///
    /// # Errors
    /// [`Error::Server`] for a server of the other family or none at all; system errors of opening the sockets.
    pub fn start(self, servers: Vec<Resolved>, waker: Arc<dyn Waker>) -> Result<Run, Error> {
        Run::start(self, servers, waker)
    }

    /// The run of a plan that was stopped before its servers were resolved: nothing is sent, and the result, which comes
    /// as that of any run, says that nothing was tested but what a saved state holds.
    ///
    /// # Errors
    /// System errors of opening the sockets.
    pub fn start_stopped(self, waker: Arc<dyn Waker>) -> Result<Run, Error> {
        Run::start_stopped(self, waker)
    }
}

fn run_thread(driver: Driver, shared: &Shared, waker: &dyn Waker) {
    // A defect must end the run with an error; a thread that just vanishes would leave its receiver waiting for ever.
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| driver.run(shared, waker)));
    let result = result.unwrap_or_else(|panic| {
        let text =
            panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
        Err(Error::Internal(format!("routepool failed inside: {}", text.unwrap_or("no message"))))
    });
    lock(&shared.progress).phase = "done";
    *lock(&shared.result) = Some(result.map_err(Arc::new));
    shared.wake(waker);
}
