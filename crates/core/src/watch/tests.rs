//! The thread, its bell and its end. What it finds is tested in network namespaces, by the tests of the package.

use std::sync::atomic::AtomicU64;
use std::sync::mpsc::{Receiver, channel};

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

#[test]
fn polling_looks_again_and_again_everywhere() {
    let (bell, _told) = bell();
    let watch = Watch::start(bell, Options { every: Some(Duration::from_millis(10)) }).expect("starts");
    assert_eq!(watch.counters().method, Method::Polling);
    until(&watch, |counters| counters.scans > 3);
    assert_eq!(watch.counters().events, 0);
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
#[cfg(target_os = "linux")]
fn the_thread_ends_with_its_watch() {
    let named = || {
        let tasks = std::fs::read_dir("/proc/self/task").expect("Linux").flatten();
        let watches = |comm: String| comm.trim_end() == "routepool-watch";
        tasks
            .filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok())
            .filter(|c| watches(c.clone()))
            .count()
    };
    // Other tests of this process have theirs, fewer than ten.
    let watches: Vec<_> =
        (0..20).map(|_| Watch::start(bell().0, Options::default()).expect("starts")).collect();
    // A thread gets its name when it runs first.
    wait(|| named() >= 20);
    watches[0].stop();
    watches[0].stop();
    drop(watches);
    wait(|| named() < 10);
}

#[test]
#[cfg(target_os = "linux")]
fn linux_tells_and_nothing_is_looked_at_without_a_reason() {
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
        fn close(self: Box<Self>, _: &Registry) {}
    }
    let tries = AtomicU64::new(0);
    let open = move |registry: &Registry, token| match tries.fetch_add(1, Ordering::Relaxed) {
        0 | 2 => Ok(Box::new(Deaf) as Box<dyn RouteMonitor>),
        1 | 3 => Err(io::ErrorKind::OutOfMemory.into()),
        _ => route_monitor::open(registry, token),
    };
    // The clock wakes it, since no message does.
    let clock = Clock::of(Duration::from_millis(1), || None);
    let retry_first = Duration::from_millis(5);
    let (bell, _told) = bell();
    let system = System { open: Box::new(open), clock, retry_first };
    let watch = Watch::start_with(bell, Options::default(), system).expect("starts");
    until(&watch, |counters| counters.disconnects == 2 && counters.method == Method::Netlink);
    until(&watch, |counters| counters.scans >= 4);
    assert_eq!(watch.counters().failures, 0);
}

#[test]
fn who_cannot_be_told_looks() {
    let open = |_: &Registry, _| Err(io::ErrorKind::Unsupported.into());
    let (bell, _told) = bell();
    let watch =
        Watch::start_with(bell, Options::default(), System { open: Box::new(open), ..System::default() });
    assert_eq!(watch.expect("starts").counters().method, Method::Polling);
}
