//! When the allocation and the mapping tests begin and end where not all is answered.

use super::*;

/// One server that has answered its first request after a millisecond.
fn heard() -> Classifier {
    let (mut classifier, sent) = begun();
    classifier.on_receive(MS(1), 0, address(SERVER), &answer(&sent[0].1, MAPPED, Some("192.0.2.2:3479")));
    classifier
}

#[test]
fn sockets_that_are_silent_are_given_up_after_half_the_time() {
    let mut classifier = heard();
    let mut begins = Vec::new();
    for now in 1..=501 {
        let mut commands = Vec::new();
        classifier.poll(MS(now), &mut commands);
        let second = |c: &Command| matches!(c, Command::OpenRun { first: 8, count: 6 });
        begins.extend(commands.iter().any(second).then_some(now));
    }
    assert_eq!(begins, [501], "the second group");
    assert!(!classifier.allocation_is_over(MS(1_000)));
    assert!(classifier.allocation_is_over(MS(1_001)));
}

#[test]
fn sockets_that_are_answered_are_not_waited_for() {
    let mut classifier = heard();
    for (group, now) in [(0, 2), (1, 3)] {
        classifier.poll(MS(now), &mut Vec::new());
        assert_eq!(classifier.groups[group], Some(MS(now)));
        for probe in classifier.probes.iter_mut().filter(|probe| probe.test == Test::Allocation) {
            probe.closed = true;
        }
    }
    assert!(classifier.allocation_is_over(MS(3)));
}

#[test]
fn mapping_tests_end_after_their_time_whatever_is_open() {
    let mut classifier = heard();
    assert!(!classifier.mapping_is_over(MS(60_000)), "they have not begun");
    classifier.targets[0].filters = None;
    classifier.targets[0].cannot = Some(Incapable::NoOther);
    classifier.poll(MS(2), &mut Vec::new());
    assert_eq!(classifier.mapping_began, Some(MS(2)));
    assert!(!classifier.mapping_is_over(MS(1_001)));
    assert!(classifier.mapping_is_over(MS(1_002)));
}

/// A hundred requests to the server were answered, so that few lost ones say that an address is silent.
#[test]
fn a_silent_address_is_waited_for_after_the_last_of_enough_requests() {
    for (requests, now, closed) in [(5, 399, false), (5, 400, true), (4, 400, false)] {
        let mut classifier = heard();
        classifier.probes[0].sends = vec![MS(0); 100];
        classifier.probes[0].answered = u128::MAX >> 28;
        let mut probe = Probe::new(Test::Mapping3, 0, 0, address("192.0.2.2:3479"), MS(0));
        probe.sends = (0..requests).map(|n| MS(n * 80)).collect();
        let at = classifier.add(probe);
        classifier.mapping_began = Some(MS(0));
        classifier.mapping.push(at);
        classifier.mapping_tests(MS(now));
        assert_eq!(classifier.probes[usize::from(at)].closed, closed, "{requests} requests, {now} ms");
    }
}
