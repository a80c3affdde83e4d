//! Two sockets that send to each other's mapped address. Whole tests of it are in `tests/nat_matrix.rs`.

use super::*;

const SEEN: [&str; 2] = ["203.0.113.7:40001", "203.0.113.7:40002"];

/// What was sent since, and from which socket.
fn sent(classifier: &mut Classifier, now: Duration) -> Vec<(u16, Vec<u8>)> {
    classifier.send_due(now);
    let mut sent = Vec::new();
    for command in std::mem::take(&mut classifier.commands) {
        match command {
            Command::Open { socket } => {
                classifier.on_open(socket, Ok(SocketAddr::new([10, 0, 0, 2].into(), 50_000 + socket)));
            }
            Command::Send { socket, bytes, .. } => sent.push((socket, bytes)),
            Command::OpenRun { .. } | Command::ConnectedProbe { .. } => {}
        }
    }
    sent
}

/// A classifier whose two sockets, 2 and 3, have sent to each other, and their requests: across, plain, across, plain.
fn sending() -> (Classifier, Vec<(u16, Vec<u8>)>) {
    let (mut classifier, first) = begun();
    classifier.on_receive(MS(1), 0, address(SERVER), &answer(&first[0].1, MAPPED, None));
    classifier.lead = Some(0);
    classifier.extras = Extras::new(&Settings { hairpin: true, ..settings() });
    classifier.extra_tests(MS(10));
    let plain = sent(&mut classifier, MS(10));
    assert_eq!(plain.len(), 2);
    for ((socket, bytes), seen) in plain.iter().zip(SEEN) {
        classifier.on_receive(MS(11), *socket, address(SERVER), &answer(bytes, seen, None));
    }
    classifier.extra_tests(MS(12));
    let requests = sent(&mut classifier, MS(12));
    assert_eq!(requests.iter().map(|(socket, _)| *socket).collect::<Vec<_>>(), [2, 2, 3, 3]);
    (classifier, requests)
}

#[test]
fn a_request_counts_at_the_other_socket_alone() {
    let found = |request: usize, at: u16, from: &str| {
        let (mut classifier, requests) = sending();
        classifier.on_receive(MS(13), at, address(from), &requests[request].1);
        classifier.extra_tests(MS(14));
        let found = (classifier.hairpin().value, classifier.ignored.garbage);
        let over = found.0 != Hairpin::Unknown;
        assert!(!over || sent(&mut classifier, MS(500)).is_empty(), "nothing is sent again");
        found
    };
    assert_eq!(found(0, 3, SEEN[0]), (Hairpin::Yes, 0));
    assert_eq!(found(2, 2, SEEN[1]), (Hairpin::Yes, 0), "the other way round");
    assert_eq!(found(0, 3, "10.0.0.2:50002"), (Hairpin::InternalSource, 0));
    assert_eq!(found(0, 2, SEEN[0]), (Hairpin::Unknown, 1), "it has come back to where it was sent from");
    assert_eq!(found(0, 0, SEEN[0]), (Hairpin::Unknown, 1), "a socket that has no part in it");
    assert_eq!(found(1, 3, SEEN[0]), (Hairpin::Unknown, 1), "a request to the server");
}

/// The server answers all the while, so what does not arrive was not lost.
#[test]
fn what_never_arrives_is_let_through_by_no_hairpin() {
    let (mut classifier, mut requests) = sending();
    assert_eq!(classifier.next_wake(MS(85)), Some(MS(92)), "80 ms after the first requests");
    let (mut now, mut asked) = (12, 0);
    while classifier.hairpin() == Finding::because(Hairpin::Unknown, Reason::Stopped) {
        for across_and_plain in requests.chunks(2) {
            let (socket, bytes) = &across_and_plain[1];
            classifier.on_receive(MS(now), *socket, address(SERVER), &answer(bytes, SEEN[0], None));
            asked += 1;
        }
        now += 1;
        classifier.extra_tests(MS(now));
        requests = sent(&mut classifier, MS(now));
    }
    assert_eq!(classifier.hairpin(), Finding::known(Hairpin::No));
    // Among so few requests five in a row could still have been lost.
    assert_eq!((now, asked), (12 + 7 * 80, 7 * 2));
}

#[test]
fn a_copy_of_a_request_is_a_duplicate() {
    let (mut classifier, requests) = sending();
    for duplicates in 0..3 {
        classifier.on_receive(MS(13), 3, address(SEEN[0]), &requests[0].1);
        assert_eq!(classifier.ignored.duplicates, duplicates);
    }
}

#[test]
fn sockets_that_learn_no_mapped_address_are_given_up() {
    let (mut classifier, first) = begun();
    classifier.on_receive(MS(1), 0, address(SERVER), &answer(&first[0].1, MAPPED, None));
    classifier.lead = Some(0);
    classifier.extras = Extras::new(&Settings { hairpin: true, ..settings() });
    for (now, why) in [(10, Reason::Stopped), (1_009, Reason::Stopped), (1_010, Reason::TooMuchLoss)] {
        classifier.extra_tests(MS(now));
        assert_eq!(classifier.hairpin(), Finding::because(Hairpin::Unknown, why), "after {now} ms");
    }
}

#[test]
fn it_goes_on_until_both_that_were_asked_for_are_over() {
    let (mut classifier, _) = begun();
    for (hairpin, lifetime, over) in [
        (false, None, true),
        (true, None, false),
        (false, Some(MS(130_000)), false),
        (true, Some(MS(130_000)), false),
    ] {
        classifier.extras = Extras::new(&Settings { hairpin, lifetime, ..settings() });
        assert_eq!(classifier.extras_are_over(), over, "hairpinning {hairpin}, lifetime {lifetime:?}");
    }
}
