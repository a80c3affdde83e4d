//! Which servers are asked, and when.

use super::*;

/// When the tests of each server begin, if those before it answer at once with these other addresses.
fn begins(servers: &[(&str, Option<&str>)]) -> (Classifier, Vec<Option<Duration>>) {
    let addresses: Vec<_> = servers.iter().map(|(text, _)| Server { address: address(text) }).collect();
    let mut classifier = Classifier::new([10, 0, 0, 2].into(), &addresses, settings(), [7; 16]);
    for now in 0..500 {
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
    let started = classifier.targets.iter().map(|target| target.started).collect();
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
        assert_eq!(
            begins(&servers).1,
            want.into_iter().map(|at: Option<u64>| at.map(MS)).collect::<Vec<_>>(),
            "{name}"
        );
    }
    let pair = begins(&[(one, Some(other)), ("192.0.2.2:3478", None)]).0;
    assert_eq!(pair.targets[1].cannot, Some(Incapable::SamePair(address(one))));
}
