//! Which servers are asked, and when.

use super::*;

/// When the tests of each server begin, in milliseconds, if those before it answer at once with these other addresses.
fn begins(servers: &[(&str, Option<&str>)]) -> (Classifier, Vec<Option<u128>>) {
    let addresses: Vec<_> = servers.iter().map(|(text, _)| Server { address: address(text) }).collect();
    let mut classifier = Classifier::new([10, 0, 0, 2].into(), &addresses, settings(), [7; 16]);
    for now in 0..600 {
        let mut commands = Vec::new();
        classifier.poll(MS(now), &mut commands);
        for command in commands {
            let Command::Send { socket, to, bytes, .. } = command else { continue };
            let other = servers.iter().find(|server| address(server.0) == to).and_then(|server| server.1);
            if bytes.len() == 20 && other.is_some() {
                classifier.on_receive(MS(now), socket, to, &answer(&bytes, MAPPED, other));
            }
        }
    }
    let started = classifier.targets.iter().map(|target| target.started.map(|at| at.as_millis())).collect();
    (classifier, started)
}

#[test]
fn the_next_one_is_asked_when_those_before_it_have_answered_or_are_late() {
    let (one, other) = ("192.0.2.1:3478", "192.0.2.2:3479");
    let (two, three) = ("198.51.100.1:3478", "203.0.113.1:3478");
    for (name, servers, want) in [
        ("silent ones", vec![(one, None), (two, None), (three, None)], vec![Some(0), Some(200), Some(400)]),
        ("the first answers", vec![(one, Some(other)), (two, None)], vec![Some(0), Some(1)]),
        (
            "two that can test are enough",
            vec![(one, Some(other)), (two, Some("198.51.100.2:3479")), (three, None)],
            vec![Some(0), Some(1), None],
        ),
        (
            "the other half is no second server",
            vec![(one, Some(other)), ("192.0.2.2:3478", None), (two, None)],
            vec![Some(0), None, Some(1)],
        ),
        (
            "nor is another port",
            vec![(one, Some(other)), ("192.0.2.1:3479", None), (two, None)],
            vec![Some(0), None, Some(1)],
        ),
    ] {
        assert_eq!(begins(&servers).1, want, "{name}");
    }
    let pair = begins(&[(one, Some(other)), ("192.0.2.2:3478", None)]).0;
    assert_eq!(pair.targets[1].cannot, Some(Incapable::SamePair(address(one))));
    let patient = begins(&[(one, Some(other)), (two, None)]).0;
    assert_eq!(patient.mapping_began, Some(MS(501)), "half a second after the silent one was asked");
}

/// Two silent servers, and requests that are far apart.
fn far_apart() -> Classifier {
    let servers = ["192.0.2.1:3478", "198.51.100.1:3478"].map(|text| Server { address: address(text) });
    let settings = Settings { first_gaps: vec![MS(900)], ..settings() };
    Classifier::new([10, 0, 0, 2].into(), &servers, settings, [7; 16])
}

#[test]
fn the_next_one_is_not_late_where_requests_are_far_apart() {
    let (mut classifier, mut now) = (far_apart(), Duration::ZERO);
    while classifier.targets[1].started.is_none() {
        classifier.poll(now, &mut Vec::new());
        now = classifier.next_wake(now).expect("it is not over");
    }
    assert_eq!(classifier.targets[1].started, Some(MS(200)));
}

#[test]
fn it_looks_around_often_until_a_lifetime_is_all_that_is_left() {
    let mut classifier = far_apart();
    classifier.poll(Duration::ZERO, &mut Vec::new());
    assert_eq!(classifier.next_wake(MS(550)), Some(MS(750)), "nothing is due before 900 ms");
    classifier.extra_tests(MS(550));
    assert_eq!(classifier.next_wake(MS(550)), Some(MS(900)));
}
