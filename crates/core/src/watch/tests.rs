//! The thread, its bell and its end. What it finds is tested in network namespaces, by the tests of the package.

use std::sync::atomic::AtomicU64;
use std::sync::mpsc::{Receiver, channel};

use routepool_proto::watch::Clocks;

use super::*;

const PATIENCE: Duration = Duration::from_secs(20);

fn bell() -> (Arc<dyn Bell>, Receiver<()>) {
    let (tell, told) = channel();
    (
        Arc::new(move || {
            let _ = tell.send(());
        }),
        told,
    )
}

/// Waits for a fact that no bell announces.
fn until(watch: &Watch, fact: impl Fn(&Counters) -> bool) {
    let began = Instant::now();
    while !fact(&watch.counters()) {
        assert!(began.elapsed() < PATIENCE, "{:?}", watch.counters());
        std::thread::yield_now();
    }
}

#[test]
fn polling_looks_again_and_again_everywhere() {
    let (bell, _told) = bell();
    let watch = Watch::start(bell, Options { every: Some(Duration::from_millis(10)) }).expect("starts");
    assert_eq!(watch.counters().method, Method::Polling);
    until(&watch, |counters| counters.looks > 3);
    assert_eq!(watch.counters().notices, 0);
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
    let watch = Watch::start_with(bell, Options::default(), clock).expect("starts");
    asleep.store(3_600, Ordering::Relaxed);
    let slept = loop {
        told.recv_timeout(PATIENCE).expect("rung");
        let found = watch.drain(100).changes.into_iter().find_map(|change| match change {
            Change::Woken { slept } => Some(slept),
            _ => None,
        });
        if let Some(slept) = found {
            break slept;
        }
    };
    assert_eq!(slept.as_secs(), 3_600);
    until(&watch, |counters| counters.looks > 1);
}

#[test]
fn the_clocks_of_this_machine_agree_while_it_is_awake() {
    let clock = Clock::default();
    if let Some(now) = clock.read() {
        let mut slept = Slept::new(now);
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
    // Other tests of this process have theirs.
    let watches: Vec<_> =
        (0..20).map(|_| Watch::start(bell().0, Options::default()).expect("starts")).collect();
    assert!(named() >= 20);
    watches[0].stop();
    watches[0].stop();
    drop(watches);
    let began = Instant::now();
    while named() > 3 {
        assert!(began.elapsed() < PATIENCE, "{} threads left", named());
        std::thread::yield_now();
    }
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
