//! Two clocks of this machine, of which one stops while it sleeps.

use std::time::{Duration, Instant};

use routepool_proto::watch::Clocks;

use super::WATCH_CLOCK_EVERY;

/// Where the time comes from, and how often it is looked at.
pub(super) struct Clock {
    read: Box<dyn Fn() -> Option<Clocks> + Send>,
    elapsed: Box<dyn Fn() -> Duration + Send>,
    /// The longest time between two looks.
    pub every: Duration,
}

fn elapsed() -> Box<dyn Fn() -> Duration + Send> {
    let began = Instant::now();
    Box::new(move || began.elapsed())
}

impl Default for Clock {
    fn default() -> Self {
        Self { read: Box::new(read), elapsed: elapsed(), every: WATCH_CLOCK_EVERY }
    }
}

impl Clock {
    #[cfg(test)]
    pub(super) fn of(every: Duration, read: impl Fn() -> Option<Clocks> + Send + 'static) -> Self {
        Self { read: Box::new(read), elapsed: elapsed(), every }
    }

    /// With a time that the test steps.
    #[cfg(test)]
    pub(super) fn stepped(self, elapsed: impl Fn() -> Duration + Send + 'static) -> Self {
        Self { elapsed: Box::new(elapsed), ..self }
    }

    /// Since the clock was made.
    pub(super) fn elapsed(&self) -> Duration {
        (self.elapsed)()
    }

    /// The two clocks now; `None` where the system has no such pair.
    pub(super) fn read(&self) -> Option<Clocks> {
        (self.read)()
    }
}

/// `CLOCK_BOOTTIME` goes on in sleep, `CLOCK_MONOTONIC` does not (`clock_gettime(2)`).
#[cfg(target_os = "linux")]
#[expect(clippy::unnecessary_wraps, reason = "other systems have no such clocks")]
fn read() -> Option<Clocks> {
    use rustix::time::{ClockId, clock_gettime};
    let since = |id| {
        let time = clock_gettime(id);
        Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
    };
    Some(Clocks { awake: since(ClockId::Monotonic), always: since(ClockId::Boottime) })
}

/// macOS has it the other way round: `CLOCK_MONOTONIC` goes on in sleep, and `Instant` (`CLOCK_UPTIME_RAW`) does not.
#[cfg(target_vendor = "apple")]
#[expect(clippy::unnecessary_wraps, reason = "other systems have no such clocks")]
fn read() -> Option<Clocks> {
    use std::sync::OnceLock;
    static BEGAN: OnceLock<Instant> = OnceLock::new();
    let always = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let always = Duration::new(always.tv_sec.unsigned_abs(), always.tv_nsec as u32);
    Some(Clocks { awake: BEGAN.get_or_init(Instant::now).elapsed(), always })
}

#[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
fn read() -> Option<Clocks> {
    None
}
