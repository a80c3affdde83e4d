//! Watches the interfaces of this machine for changes: a task that the system tells (Linux: netlink), or that looks now and
//! then (everywhere). What to make of it is decided in `routepool_proto::watch`.

mod clocks;
mod externals;
mod route_monitor;
mod snapshot;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::fmt;
use std::future::{pending, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use routepool_proto::watch::{Backoff, Change, Debouncer, SleepDetector, Timing};

use crate::Error;
use crate::defaults::{
    WATCH_AFTER_CHANGE, WATCH_CLOCK_EVERY, WATCH_LONGEST, WATCH_POLL, WATCH_QUIET, WATCH_RETRY_FIRST,
    WATCH_RETRY_LONGEST,
};
use crate::interface::{Facts, enumerate};
use crate::lock::lock;
use crate::option_bounds::POLL_MS;
use crate::runtime::{Cancel, Lease, settle};
use crate::waker::Waker;

use clocks::Clock;
pub use externals::External;
use externals::KnownExternals;
use route_monitor::{Notice, REPORTS_CHANGES, RouteMonitor};
use snapshot::snapshot;

/// Whether the system tells of changes here.
///
/// # Errors
/// Why not.
pub fn reports_changes() -> io::Result<()> {
    route_monitor::check()
}

/// Whether the clocks tell that the machine was asleep.
#[must_use]
pub fn detects_sleep() -> bool {
    Clock::default().read().is_some()
}

/// How to watch.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Look so often instead of being told. By default the system tells, where it can.
    pub every: Option<Duration>,
}

/// How a watch learns of changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// The system tells.
    Netlink,
    /// It looks now and then.
    Polling,
}

impl Method {
    /// The name used in texts.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Netlink => "netlink",
            Self::Polling => "polling",
        }
    }
}

/// What a watch has done so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counters {
    /// How it learns of changes now.
    pub method: Method,
    /// Looks at all interfaces.
    pub scans: u64,
    /// Messages of the system that could mean a change.
    pub events: u64,
    /// Messages of the system that said what was known.
    pub repeated: u64,
    /// Times that the system had more to tell than its buffer holds; each was made up for by a look.
    pub overflows: u64,
    /// Times that the connection to the system was lost.
    pub disconnects: u64,
    /// Looks that failed, and were tried again.
    pub failures: u64,
    /// Looks whose changes were merged into those of later ones, since the receiver had not fetched earlier ones.
    pub coalesced: u64,
}

/// What a receiver fetches.
#[derive(Clone, Debug, Default)]
pub struct Drained {
    /// Changes in order.
    pub changes: Vec<Change>,
    /// Whether ways through the network may have changed otherwise: routing rules, default routes of further tables.
    pub paths: bool,
}

/// A watch, a task of the runtime.
pub struct Watch {
    shared: Arc<Shared>,
    stop: Cancel,
    /// While it lasts, so does the task.
    _lease: Lease,
    known: Mutex<KnownExternals>,
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("counters", &self.counters()).finish_non_exhaustive()
    }
}

struct Shared {
    state: Mutex<State>,
}

struct State {
    debouncer: Debouncer,
    queue: VecDeque<Change>,
    paths: bool,
    /// The receiver has been woken and has not come yet.
    woken: bool,
    counters: Counters,
    failed: Option<Arc<Error>>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl Watch {
    /// Begins to watch: changes from now on are told. `waker` is called from a thread of the runtime, once until the next [`Watch::drain`].
    ///
    /// # Errors
    /// [`Error::Option`] for an interval out of bounds; what the system says when it does not tell its interfaces at all.
    pub fn start(waker: Arc<dyn Waker>, options: Options) -> Result<Self, Error> {
        if let Some(every) = options.every {
            POLL_MS.check(every.as_secs_f64() * 1_000.0)?;
        }
        Self::start_with(waker, options, System::default())
    }

    fn start_with(waker: Arc<dyn Waker>, options: Options, system: System) -> Result<Self, Error> {
        let failed = |syscall| move |source| Error::System { syscall, address: None, source };
        let lease = Lease::take()?;
        // It listens before the first look: what changes in between is told, and found to be known.
        let monitor = if options.every.is_none() {
            let _within = lease.handle().enter();
            (system.open)().ok()
        } else {
            None
        };
        let every = if monitor.is_some() { None } else { Some(options.every.unwrap_or(WATCH_POLL)) };
        let first = snapshot(&(system.enumerate)().map_err(failed("netlink"))?);
        let timing = Timing {
            quiet: WATCH_QUIET,
            longest: WATCH_LONGEST,
            after_change: WATCH_AFTER_CHANGE.to_vec(),
            every,
        };
        let method = if monitor.is_some() { Method::Netlink } else { Method::Polling };
        let counters = Counters {
            method,
            scans: 1,
            events: 0,
            repeated: 0,
            overflows: 0,
            disconnects: 0,
            failures: 0,
            coalesced: 0,
        };
        let state = State {
            debouncer: Debouncer::new(timing, first, Duration::ZERO),
            queue: VecDeque::new(),
            paths: false,
            woken: false,
            counters,
            failed: None,
        };
        let shared = Arc::new(Shared { state: Mutex::new(state) });
        let stop = Cancel::new();
        // Who asked for polling gets it; else the system is asked again to tell.
        let retries = REPORTS_CHANGES && monitor.is_none() && options.every.is_none();
        let sleep_detector = system.clock.read().map(SleepDetector::new);
        let watcher = Watcher {
            sleep_detector,
            shared: Arc::clone(&shared),
            stop: stop.clone(),
            waker,
            monitor,
            reconnect: retries.then_some(system.retry_first),
            backoff: Backoff::new(system.retry_first, WATCH_RETRY_LONGEST),
            retry_scan: None,
            scan_backoff: Backoff::new(system.retry_first, WATCH_RETRY_LONGEST),
            system,
        };
        lease.spawn(watcher.run());
        Ok(Self { shared, stop, _lease: lease, known: Mutex::default() })
    }

    /// At most `most` changes, oldest first; none means that the waker will be called for the next. What happens while changes
    /// wait here is told as one difference afterwards, so that a slow receiver holds up nothing and misses nothing that
    /// lasts.
    #[must_use]
    pub fn drain(&self, most: usize) -> Drained {
        let mut state = self.shared.lock();
        if state.queue.is_empty() {
            state.queue = state.debouncer.take().into();
        }
        let count = most.min(state.queue.len());
        let changes: Vec<_> = state.queue.drain(..count).collect();
        let paths = std::mem::take(&mut state.paths);
        state.woken = !changes.is_empty();
        drop(state);
        let mut known = lock(&self.known);
        for change in &changes {
            if let Change::InterfaceRemoved(interface) = change {
                known.forget(&interface.name);
            }
        }
        Drained { changes, paths }
    }

    /// Compares what addresses of a loaded interface leave as with what was known of them, and learns.
    #[must_use]
    pub fn externals(&self, loaded: &crate::discovery::load::Loaded) -> Vec<External> {
        lock(&self.known).compare(loaded)
    }

    /// What it has done so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.shared.lock().counters
    }

    /// Why it has ended by itself, if it has: a defect.
    #[must_use]
    pub fn failed(&self) -> Option<Arc<Error>> {
        self.shared.lock().failed.clone()
    }

    /// Ends it. Idempotent.
    pub fn stop(&self) {
        self.stop.cancel();
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The task's side.
struct Watcher {
    /// `None` where the clocks do not tell.
    sleep_detector: Option<SleepDetector>,
    shared: Arc<Shared>,
    stop: Cancel,
    waker: Arc<dyn Waker>,
    monitor: Option<Box<dyn RouteMonitor>>,
    /// When the system is asked again to tell, after the connection was lost.
    reconnect: Option<Duration>,
    backoff: Backoff,
    /// When a look that failed is tried again.
    retry_scan: Option<Duration>,
    scan_backoff: Backoff,
    system: System,
}

type Open = dyn Fn() -> io::Result<Box<dyn RouteMonitor>> + Send;
type Enumerate = dyn Fn() -> io::Result<Vec<Facts>> + Send;

/// What a watch has of the system, so that tests can have it fail and sleep, and step its time.
struct System {
    open: Box<Open>,
    enumerate: Box<Enumerate>,
    clock: Clock,
    retry_first: Duration,
}

impl Default for System {
    fn default() -> Self {
        Self {
            open: Box::new(route_monitor::open),
            enumerate: Box::new(enumerate),
            clock: Clock::default(),
            retry_first: WATCH_RETRY_FIRST,
        }
    }
}

impl Watcher {
    async fn run(mut self) {
        let (shared, waker) = (Arc::clone(&self.shared), Arc::clone(&self.waker));
        let watch = async move {
            self.watch().await;
            Ok(())
        };
        if let Err(error) = settle(watch).await {
            shared.lock().failed = Some(Arc::new(error));
            waker.wake();
        }
    }

    async fn watch(&mut self) {
        let stop = self.stop.clone();
        let mut stopped = pin!(stop.cancelled());
        loop {
            let wait = self.wait();
            tokio::select! {
                () = &mut stopped => return,
                () = told(&mut self.monitor) => {}
                () = tokio::time::sleep(wait) => {}
            }
            if let (Some(detector), Some(now)) = (&mut self.sleep_detector, self.system.clock.read())
                && let Some(slept) = detector.look(now)
            {
                self.shared.lock().debouncer.on_wake(slept);
            }
            self.listen();
            self.connect_again();
            self.scan();
            self.announce();
        }
    }

    fn now(&self) -> Duration {
        self.system.clock.elapsed()
    }

    /// How long nothing is to be done. Rounded up: a wait that ends too early would be repeated at once.
    fn wait(&self) -> Duration {
        let due = self.retry_scan.or_else(|| self.shared.lock().debouncer.next_scan());
        let next = [due, self.reconnect].into_iter().flatten().min();
        let wait = next
            .map_or(self.system.clock.every, |at| at.saturating_sub(self.now()).min(self.system.clock.every));
        if wait.is_zero() { wait } else { wait + Duration::from_millis(1) }
    }

    /// Takes in what the system reports.
    fn listen(&mut self) {
        let Some(monitor) = &mut self.monitor else { return };
        let (now, mut state) = (self.system.clock.elapsed(), self.shared.lock());
        let state = &mut *state;
        let result = monitor.listen(&mut |notice| match notice {
            Notice::Address(notice) if !state.debouncer.on_address(now, &notice) => {
                state.counters.repeated += 1;
            }
            Notice::Address(_) => state.counters.events += 1,
            Notice::Interface => {
                state.debouncer.on_notice(now);
                state.counters.events += 1;
            }
            Notice::Path => {
                state.debouncer.on_notice(now);
                state.counters.events += 1;
                state.paths = true;
            }
            Notice::Overflow => {
                state.debouncer.on_overflow(now);
                state.counters.overflows += 1;
                state.paths = true;
            }
        });
        if result.is_err() {
            self.monitor = None;
            state.counters.disconnects += 1;
            state.counters.method = Method::Polling;
            state.debouncer.on_reconnect();
            state.debouncer.set_every(Some(WATCH_POLL), now);
            self.reconnect = Some(now + self.backoff.failed());
        }
    }

    fn connect_again(&mut self) {
        let now = self.now();
        if self.reconnect.is_none_or(|at| at > now) {
            return;
        }
        if let Ok(monitor) = (self.system.open)() {
            self.monitor = Some(monitor);
            self.reconnect = None;
            self.backoff.worked();
            let mut state = self.shared.lock();
            state.counters.method = Method::Netlink;
            state.debouncer.on_reconnect();
            state.debouncer.set_every(None, now);
        } else {
            self.reconnect = Some(now + self.backoff.failed());
        }
    }

    fn scan(&mut self) {
        let now = self.now();
        let due = self.retry_scan.or_else(|| self.shared.lock().debouncer.next_scan());
        if due.is_none_or(|at| at > now) {
            return;
        }
        // Some milliseconds where there are thousands of addresses.
        let seen = tokio::task::block_in_place(|| (self.system.enumerate)());
        let mut state = self.shared.lock();
        if let Ok(facts) = seen {
            self.retry_scan = None;
            self.scan_backoff.worked();
            state.counters.scans += 1;
            if state.debouncer.on_snapshot(now, snapshot(&facts)) && !state.queue.is_empty() {
                state.counters.coalesced += 1;
            }
        } else {
            state.counters.failures += 1;
            self.retry_scan = Some(now + self.scan_backoff.failed());
        }
    }

    fn announce(&self) {
        let mut state = self.shared.lock();
        if state.queue.is_empty() {
            state.queue = state.debouncer.take().into();
        }
        if !state.woken && (state.paths || !state.queue.is_empty()) {
            state.woken = true;
            drop(state);
            self.waker.wake();
        }
    }
}

/// Waits until the system may have told something.
async fn told(monitor: &mut Option<Box<dyn RouteMonitor>>) {
    match monitor {
        Some(monitor) => poll_fn(|context| monitor.poll_readable(context)).await,
        None => pending().await,
    }
}
