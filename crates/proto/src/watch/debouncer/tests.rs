//! Stepped time: a model of a system that changes at given moments, looked at only when the machine says so.

use std::net::IpAddr;

use super::super::{DefaultRoute, InterfaceId, InterfaceState};
use super::*;

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn timing(every: Option<Duration>) -> Timing {
    Timing {
        quiet: ms(250),
        longest: ms(1_000),
        after_change: vec![ms(100), ms(200), ms(400), ms(800)],
        every,
    }
}

/// The state of a made-up system.
#[derive(Clone, Default)]
struct World {
    addresses: Vec<u8>,
    default: Option<u8>,
}

impl World {
    fn snapshot(&self) -> Snapshot {
        let id = || InterfaceId { index: 1, name: "a".into() };
        let addresses = self.addresses.iter().map(|n| (IpAddr::from([10, 0, 0, *n]), 24)).collect();
        let interface = InterfaceState { id: id(), up: true, addresses, blocks: Vec::new() };
        let router = |n: u8| DefaultRoute { interface: id(), gateway: Some([10, 0, 0, n].into()) };
        Snapshot::new(vec![interface], self.default.map(router), None)
    }
}

fn words(changes: &[Change]) -> Vec<String> {
    let last = |ip: &IpAddr| ip.to_string().rsplit('.').next().unwrap_or_default().to_owned();
    let router = |d: &Option<DefaultRoute>| {
        d.as_ref().and_then(|d| d.gateway).map_or("none".to_owned(), |ip| last(&ip))
    };
    let text = |change: &Change| match change {
        Change::AddressAdded { ip, .. } => format!("+{}", last(ip)),
        Change::AddressRemoved { ip, .. } => format!("-{}", last(ip)),
        Change::DefaultChanged { previous, now, .. } => format!("via {}>{}", router(previous), router(now)),
        Change::Resumed { slept } => format!("slept {}", slept.as_secs()),
        other => format!("{other:?}"),
    };
    changes.iter().map(text).collect()
}

/// When something changes, and what.
type Step<'a> = (u64, &'a dyn Fn(&mut World));

/// Runs a system that changes at given times (and tells, if `tells`) until `until`; gives what was told when, and the scans.
fn run(
    debouncer: &mut Debouncer,
    mut world: World,
    tells: bool,
    steps: &[Step<'_>],
    until: u64,
) -> (Vec<(u64, String)>, Vec<u64>) {
    let (mut told, mut scans) = (Vec::new(), Vec::new());
    let mut steps = steps.iter().peekable();
    for now in 0..=until {
        while let Some((_, change)) = steps.next_if(|(at, _)| *at == now) {
            change(&mut world);
            if tells {
                debouncer.on_notice(ms(now));
            }
        }
        if debouncer.next_scan().is_some_and(|at| at <= ms(now)) {
            scans.push(now);
            debouncer.on_snapshot(ms(now), world.snapshot());
        }
        told.extend(words(&debouncer.take()).into_iter().map(|word| (now, word)));
    }
    (told, scans)
}

fn told(events: &[(u64, &str)]) -> Vec<(u64, String)> {
    events.iter().map(|(at, text)| (*at, (*text).to_owned())).collect()
}

fn world(addresses: &[u8], default: Option<u8>) -> World {
    World { addresses: addresses.to_vec(), default }
}

#[test]
fn a_burst_is_one_look_and_the_looks_after_it_find_nothing_more() {
    let begin = world(&[], None);
    let mut debouncer = Debouncer::new(timing(None), begin.snapshot(), ms(0));
    assert_eq!(debouncer.next_scan(), None, "nothing happens without a message");
    let add = |w: &mut World| w.addresses.push(w.addresses.len() as u8 + 1);
    let (events, scans) = run(&mut debouncer, begin, true, &[(10, &add), (20, &add), (30, &add)], 5_000);
    assert_eq!(events, told(&[(280, "+1"), (280, "+2"), (280, "+3")]));
    assert_eq!(scans, [280, 380, 580, 980, 1_780], "after 100, 200, 400 and 800 ms");
}

#[test]
fn what_comes_and_goes_within_the_quiet_time_is_not_told() {
    let begin = world(&[1], None);
    let mut debouncer = Debouncer::new(timing(None), begin.snapshot(), ms(0));
    let add = |w: &mut World| w.addresses.push(2);
    let remove = |w: &mut World| w.addresses.retain(|n| *n != 2);
    let (events, scans) = run(&mut debouncer, begin, true, &[(10, &add), (100, &remove)], 5_000);
    assert_eq!((events, scans), (told(&[]), vec![350]));
}

#[test]
fn an_address_that_flaps_for_ever_does_not_hide_another_change() {
    let begin = world(&[], None);
    let mut debouncer = Debouncer::new(timing(None), begin.snapshot(), ms(0));
    let flap = |w: &mut World| {
        if w.addresses.contains(&7) { w.addresses.retain(|n| *n != 7) } else { w.addresses.push(7) }
    };
    let other = |w: &mut World| w.addresses.push(1);
    let mut steps: Vec<Step<'_>> = (0..100).map(|n| (n * 100, &flap as &dyn Fn(&mut World))).collect();
    steps.insert(4, (350, &other));
    let (events, scans) = run(&mut debouncer, begin, true, &steps, 9_000);
    let first = events.iter().find(|(_, text)| text == "+1").expect("told");
    assert_eq!(first.0, 1_000, "at the latest a second after the first message");
    assert!(scans.windows(2).all(|pair| pair[1] - pair[0] >= 1_000), "one look a second: {scans:?}");
}

#[test]
fn a_default_route_that_lags_is_told_as_a_move_and_not_as_a_loss() {
    let begin = world(&[1], Some(1));
    let mut debouncer = Debouncer::new(timing(None), begin.snapshot(), ms(0));
    let moved = |w: &mut World| (w.addresses, w.default) = (vec![2], None);
    let later = |w: &mut World| w.default = Some(2);
    // The system tells of the address alone: the route is found by the look after 400 ms.
    let mut steps: Vec<Step<'_>> = vec![(10, &moved)];
    let (events, _) = run(&mut debouncer, begin.clone(), true, &steps, 200);
    assert_eq!(events, told(&[]));
    let mut debouncer = Debouncer::new(timing(None), begin.snapshot(), ms(0));
    steps.push((700, &later));
    let mut world = begin;
    let mut found = Vec::new();
    for now in 0..4_000 {
        if now == 10 {
            moved(&mut world);
            debouncer.on_notice(ms(now));
        }
        if now == 700 {
            later(&mut world);
        }
        if debouncer.next_scan().is_some_and(|at| at <= ms(now)) {
            debouncer.on_snapshot(ms(now), world.snapshot());
        }
        found.extend(words(&debouncer.take()).into_iter().map(|word| (now, word)));
    }
    assert_eq!(found, told(&[(260, "-1"), (260, "+2"), (960, "via 1>2")]));
}

#[test]
fn a_default_route_that_stays_away_is_told_once_the_looks_are_over() {
    let begin = world(&[1], Some(1));
    let mut debouncer = Debouncer::new(timing(None), begin.snapshot(), ms(0));
    let lose = |w: &mut World| w.default = None;
    let add = |w: &mut World| w.addresses.push(w.addresses.len() as u8 + 1);
    let steps: &[Step<'_>] = &[(10, &lose), (900, &add), (1_500, &add)];
    let (events, _) = run(&mut debouncer, begin, true, steps, 9_000);
    let lost = events.iter().find(|(_, text)| text == "via 1>none").expect("told");
    assert_eq!(lost.0, 260 + 1_500, "and other changes do not put it off");
    assert_eq!(events.iter().filter(|(_, text)| text.starts_with("via")).count(), 1, "{events:?}");
}

#[test]
fn a_default_route_that_moves_at_once_is_told_at_once() {
    let begin = world(&[1], Some(1));
    let mut debouncer = Debouncer::new(timing(None), begin.snapshot(), ms(0));
    let (events, _) = run(&mut debouncer, begin, true, &[(10, &|w: &mut World| w.default = Some(2))], 5_000);
    assert_eq!(events, told(&[(260, "via 1>2")]));
}

#[test]
fn without_messages_two_looks_must_agree() {
    let begin = world(&[], None);
    let mut debouncer = Debouncer::new(timing(Some(ms(2_000))), begin.snapshot(), ms(0));
    let add = |w: &mut World| w.addresses.push(1);
    let remove = |w: &mut World| w.addresses.clear();
    let steps: &[Step<'_>] = &[(500, &add), (5_450, &remove), (5_550, &add)];
    let (events, scans) = run(&mut debouncer, begin, false, steps, 9_000);
    assert_eq!(events, told(&[(2_100, "+1")]), "what was gone for a moment at 5,500 was not told");
    assert_eq!(scans[..6], [2_000, 2_100, 2_300, 2_700, 3_500, 5_500]);
}

#[test]
fn a_message_that_says_what_is_known_is_no_reason_to_look() {
    let begin = world(&[1], None);
    let mut debouncer = Debouncer::new(timing(None), begin.snapshot(), ms(0));
    let notice =
        |n: u8, usable| AddressNotice { interface: 1, ip: [10, 0, 0, n].into(), prefix_len: 24, usable };
    assert!(!debouncer.on_address(ms(5), &notice(1, true)));
    assert_eq!(debouncer.next_scan(), None);
    assert!(debouncer.on_address(ms(10), &notice(1, false)));
    // It has gone, so that it is there again is news, though the last look knew it.
    assert!(debouncer.on_address(ms(90), &notice(1, true)));
    assert_eq!(debouncer.next_scan(), Some(ms(340)));
}

#[test]
fn an_overflow_is_a_look_and_loses_nothing() {
    let begin = world(&[], None);
    let mut debouncer = Debouncer::new(timing(None), begin.snapshot(), ms(0));
    debouncer.on_overflow(ms(10));
    debouncer.on_overflow(ms(400));
    assert_eq!(debouncer.next_scan(), Some(ms(650)));
    debouncer.on_snapshot(ms(650), world(&(1..=200).collect::<Vec<_>>(), None).snapshot());
    assert_eq!(debouncer.take().len(), 200);
}

#[test]
fn waking_up_is_told_at_once_and_looked_after() {
    let begin = world(&[1], Some(1));
    let mut debouncer = Debouncer::new(timing(None), begin.snapshot(), ms(0));
    debouncer.on_wake(Duration::from_secs(3_600));
    assert_eq!(words(&debouncer.take()), ["slept 3600"]);
    assert_eq!(debouncer.next_scan(), Some(ms(0)));
    debouncer.on_snapshot(ms(5_000), begin.snapshot());
    assert_eq!(debouncer.next_scan(), Some(ms(5_100)), "the network comes back later");
    debouncer.on_snapshot(ms(5_100), world(&[2], Some(2)).snapshot());
    assert_eq!(words(&debouncer.take()), ["-1", "+2", "via 1>2"]);
}

#[test]
fn a_slow_receiver_is_told_the_difference() {
    let begin = world(&[1], None);
    let mut debouncer = Debouncer::new(timing(None), begin.snapshot(), ms(0));
    for (at, addresses) in [(1_000, vec![2]), (2_000, vec![2, 3]), (3_000, vec![3, 4])] {
        debouncer.on_notice(ms(at - 250));
        debouncer.on_snapshot(ms(at), world(&addresses, None).snapshot());
    }
    assert_eq!(words(&debouncer.take()), ["-1", "+3", "+4"]);
    assert!(debouncer.take().is_empty());
}

#[test]
fn a_lost_connection_is_a_reason_to_look() {
    let begin = world(&[1], None);
    let mut debouncer = Debouncer::new(timing(None), begin.snapshot(), ms(0));
    debouncer.on_reconnect();
    assert_eq!(debouncer.next_scan(), Some(ms(0)));
    debouncer.on_snapshot(ms(700), world(&[2], None).snapshot());
    assert_eq!(words(&debouncer.take()), ["-1", "+2"]);
    debouncer.set_every(Some(ms(2_000)), ms(3_000));
    assert!(debouncer.next_scan().is_some_and(|at| at <= ms(5_000)));
}
