//! The task, its bell and its end. What it finds is tested in network namespaces, by the tests of the package.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::task::{Context, Poll};
use std::time::Instant;

use routepool_proto::watch::Clocks;

use super::*;

const PATIENCE: Duration = Duration::from_secs(20);

fn bell() -> (Arc<dyn Waker>, Receiver<()>) {
    let (tell, told) = channel();
    (
        Arc::new(move || {
            let _ = tell.send(());
        }),
        told,
    )
}

/// Waits for a fact that no bell announces.
fn wait(fact: impl Fn() -> bool) {
    let began = Instant::now();
    while !fact() {
        assert!(began.elapsed() < PATIENCE, "in vain");
        std::thread::yield_now();
    }
}

fn until(watch: &Watch, fact: impl Fn(&Counters) -> bool) {
    wait(|| fact(&watch.counters()));
}

/// A time that stands still until it is moved, and the turns of the task that reads it.
#[derive(Clone, Default)]
struct Steps {
    millis: Arc<AtomicU64>,
    turns: Arc<AtomicU64>,
}

impl Steps {
    /// The task turns so often, whatever time it is by the steps.
    fn clock(&self, every: Duration) -> Clock {
        let (millis, turns) = (Arc::clone(&self.millis), Arc::clone(&self.turns));
        let turn = move || {
            turns.fetch_add(1, Ordering::SeqCst);
            None
        };
        Clock::of(every, turn).stepped(move || Duration::from_millis(millis.load(Ordering::SeqCst)))
    }

    /// Moves the time, and waits until all that is due has been done: a turn that began after that is over.
    fn pass(&self, time: Duration) {
        self.millis.fetch_add(time.as_millis() as u64, Ordering::SeqCst);
        let before = self.turns.load(Ordering::SeqCst);
        wait(|| self.turns.load(Ordering::SeqCst) >= before + 2);
    }

    /// A machine with no interface, whose network stays as it is.
    fn system(&self) -> System {
        let clock = self.clock(MILLISECOND);
        System { clock, enumerate: Box::new(|| Ok(Vec::new())), ..System::default() }
    }
}

const MILLISECOND: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3_600);

fn just_before(time: Duration) -> Duration {
    time.saturating_sub(MILLISECOND)
}

/// Says that something of an interface has changed each time that it is told to.
struct Told(Arc<AtomicBool>);

impl RouteMonitor for Told {
    fn listen(&mut self, tell: &mut dyn FnMut(Notice)) -> io::Result<()> {
        if self.0.swap(false, Ordering::SeqCst) {
            tell(Notice::Interface);
        }
        Ok(())
    }
    fn poll_readable(&mut self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }
}

#[test]
fn polling_looks_when_its_interval_is_over_and_never_between() {
    let every = Duration::from_secs(10);
    let (steps, (bell, _told)) = (Steps::default(), bell());
    let watch = Watch::start_with(bell, Options { every: Some(every) }, steps.system()).expect("starts");
    assert_eq!(watch.counters().method, Method::Polling);
    for looks in 1..5 {
        steps.pass(just_before(every));
        assert_eq!(watch.counters().scans, looks, "the interval is not over");
        steps.pass(MILLISECOND);
        assert_eq!(watch.counters().scans, looks + 1);
    }
    assert_eq!(watch.counters().events, 0);
}

#[test]
fn who_is_told_looks_for_a_reason_alone() {
    let (steps, (bell, _told)) = (Steps::default(), bell());
    let tell = Arc::new(AtomicBool::new(false));
    let ear = Arc::clone(&tell);
    let open = move || Ok(Box::new(Told(Arc::clone(&ear))) as Box<dyn RouteMonitor>);
    let system = System { open: Box::new(open), ..steps.system() };
    let watch = Watch::start_with(bell, Options::default(), system).expect("starts");
    assert_eq!(watch.counters().method, Method::Netlink);
    for _ in 0..24 {
        steps.pass(HOUR);
    }
    assert_eq!((watch.counters().scans, watch.counters().events), (1, 0), "a quiet day");
    tell.store(true, Ordering::SeqCst);
    steps.pass(Duration::ZERO);
    steps.pass(just_before(WATCH_QUIET));
    assert_eq!((watch.counters().scans, watch.counters().events), (1, 1), "it may go on");
    steps.pass(MILLISECOND);
    steps.pass(HOUR);
    assert_eq!((watch.counters().scans, watch.counters().events), (2, 1));
}

/// A task that turned each millisecond would do nothing wrong, and keep the processor awake.
#[test]
fn the_task_sleeps_while_there_is_nothing_to_do() {
    let (idle, busy) = (Steps::default(), Steps::default());
    let start = |steps: &Steps, every| {
        let open = || Ok(Box::new(Told(Arc::default())) as Box<dyn RouteMonitor>);
        let system = System { open: Box::new(open), clock: steps.clock(every), ..steps.system() };
        Watch::start_with(bell().0, Options::default(), system).expect("starts")
    };
    let _watches = [start(&idle, HOUR), start(&busy, MILLISECOND)];
    wait(|| busy.turns.load(Ordering::SeqCst) > 50);
    assert_eq!(idle.turns.load(Ordering::SeqCst), 1, "when it began");
}

#[test]
fn a_look_that_fails_is_tried_again_later_and_later() {
    let (steps, (bell, _told)) = (Steps::default(), bell());
    let works = Arc::new(AtomicBool::new(true));
    let enumerate = {
        let works = Arc::clone(&works);
        move || {
            if works.load(Ordering::SeqCst) { Ok(Vec::new()) } else { Err(io::ErrorKind::OutOfMemory.into()) }
        }
    };
    let system = System { enumerate: Box::new(enumerate), ..steps.system() };
    let watch = Watch::start_with(bell, Options { every: Some(HOUR) }, system).expect("starts");
    works.store(false, Ordering::SeqCst);
    steps.pass(HOUR);
    assert_eq!((watch.counters().scans, watch.counters().failures), (1, 1));
    steps.pass(just_before(WATCH_RETRY_FIRST));
    assert_eq!(watch.counters().failures, 1);
    steps.pass(MILLISECOND);
    assert_eq!(watch.counters().failures, 2);
    works.store(true, Ordering::SeqCst);
    steps.pass(WATCH_RETRY_FIRST);
    assert_eq!(watch.counters().scans, 1, "it waits longer than the first time");
    steps.pass(WATCH_RETRY_LONGEST);
    assert_eq!((watch.counters().scans, watch.counters().failures), (2, 2));
}

#[test]
fn sleep_is_told_and_looked_after() {
    let asleep = Arc::new(AtomicU64::new(0));
    let clock = {
        let (asleep, began) = (Arc::clone(&asleep), Instant::now());
        Clock::of(Duration::from_millis(5), move || {
            let awake = began.elapsed();
            Some(Clocks { awake, always: awake + Duration::from_secs(asleep.load(Ordering::Relaxed)) })
        })
    };
    let (bell, told) = bell();
    let watch =
        Watch::start_with(bell, Options::default(), System { clock, ..System::default() }).expect("starts");
    asleep.store(3_600, Ordering::Relaxed);
    let slept = loop {
        told.recv_timeout(PATIENCE).expect("rung");
        let found = watch.drain(100).changes.into_iter().find_map(|change| match change {
            Change::Resumed { slept } => Some(slept),
            _ => None,
        });
        if let Some(slept) = found {
            break slept;
        }
    };
    assert_eq!(slept.as_secs(), 3_600);
    until(&watch, |counters| counters.scans > 1);
}

#[test]
fn the_clocks_of_this_machine_agree_while_it_is_awake() {
    let clock = Clock::default();
    if let Some(now) = clock.read() {
        let mut slept = SleepDetector::new(now);
        assert_eq!(slept.look(clock.read().expect("as before")), None);
    }
}

#[test]
fn the_task_ends_with_its_watch() {
    let steps = Steps::default();
    let tell = Arc::new(AtomicBool::new(false));
    let ear = Arc::downgrade(&tell);
    let open = move || Ok(Box::new(Told(ear.upgrade().expect("held by the test"))) as Box<dyn RouteMonitor>);
    let system = System { open: Box::new(open), clock: steps.clock(HOUR), ..steps.system() };
    let watch = Watch::start_with(bell().0, Options::default(), system).expect("starts");
    assert_eq!(Arc::strong_count(&tell), 2, "it listens");
    watch.stop();
    watch.stop();
    wait(|| Arc::strong_count(&tell) == 1);
}

#[test]
#[cfg(target_os = "linux")]
fn linux_tells() {
    let (bell, _told) = bell();
    let watch = Watch::start(bell, Options::default()).expect("starts");
    assert_eq!(watch.counters().method, Method::Netlink);
    assert!(watch.drain(10).changes.is_empty());
    assert!(watch.failed().is_none());
}

/// Loses its connection as soon as it listens, so often; then it is the system's.
#[test]
#[cfg(target_os = "linux")]
fn a_lost_connection_is_made_again_and_polling_bridges_the_time() {
    struct Deaf;
    impl RouteMonitor for Deaf {
        fn listen(&mut self, _: &mut dyn FnMut(Notice)) -> io::Result<()> {
            Err(io::ErrorKind::ConnectionReset.into())
        }
        fn poll_readable(&mut self, _: &mut Context<'_>) -> Poll<()> {
            Poll::Pending
        }
    }
    let tries = AtomicU64::new(0);
    let open = move || match tries.fetch_add(1, Ordering::Relaxed) {
        0 | 2 => Ok(Box::new(Deaf) as Box<dyn RouteMonitor>),
        1 | 3 => Err(io::ErrorKind::OutOfMemory.into()),
        _ => route_monitor::open(),
    };
    // The clock wakes it, since no message does.
    let clock = Clock::of(Duration::from_millis(1), || None);
    let retry_first = Duration::from_millis(5);
    let (bell, _told) = bell();
    let system = System { open: Box::new(open), clock, retry_first, ..System::default() };
    let watch = Watch::start_with(bell, Options::default(), system).expect("starts");
    until(&watch, |counters| counters.disconnects == 2 && counters.method == Method::Netlink);
    until(&watch, |counters| counters.scans >= 4);
    assert_eq!(watch.counters().failures, 0);
}

#[test]
fn who_cannot_be_told_looks_each_two_seconds() {
    let (steps, (bell, _told)) = (Steps::default(), bell());
    let open = || Err(io::ErrorKind::Unsupported.into());
    let system = System { open: Box::new(open), ..steps.system() };
    let watch = Watch::start_with(bell, Options::default(), system).expect("starts");
    assert_eq!(watch.counters().method, Method::Polling);
    for looks in 1..5 {
        steps.pass(Duration::from_millis(1_999));
        assert_eq!(watch.counters().scans, looks);
        steps.pass(MILLISECOND);
        assert_eq!(watch.counters().scans, looks + 1);
    }
}
