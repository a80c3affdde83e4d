//! Step by step: what is sent, what is believed, what is not. Whole courses are in `tests/nat_matrix.rs`.

use rand::Rng;

use super::*;
use crate::nat::{
    Allocation, Connectivity, Filtering, Finding, Hairpin, Lifetime, Mapping, Overloading, Pooling, Reason,
    ServerVerdict,
};

mod answers;
mod hairpin;
mod mapping;
mod servers;
mod whole_runs;

const MS: fn(u64) -> Duration = Duration::from_millis;

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

fn settings() -> Settings {
    Settings {
        gaps: vec![MS(80)],
        first_gaps: vec![MS(100), MS(200)],
        answer_within: MS(80),
        give_up: MS(1_000),
        patience: MS(500),
        next_server_after: MS(200),
        doubt: 2e-5,
        least_asked: 5,
        sockets: 6,
        hairpin: false,
        lifetime: None,
    }
}

/// A classifier of one server, and what it sent first.
pub(super) fn begun() -> (Classifier, Vec<(u16, Vec<u8>)>) {
    let server = Server { address: address("192.0.2.1:3478") };
    let mut classifier = Classifier::new([10, 0, 0, 2].into(), &[server], settings(), [7; 16]);
    let mut commands = Vec::new();
    classifier.poll(Duration::ZERO, &mut commands);
    let mut sent = Vec::new();
    for command in commands {
        match command {
            Command::Open { socket } => {
                classifier.on_open(socket, Ok(SocketAddr::new([10, 0, 0, 2].into(), 40_000 + socket)));
            }
            Command::Send { socket, to, bytes, .. } => {
                assert_eq!(
                    to, server.address,
                    "nothing goes to the other address before the filtering tests"
                );
                sent.push((socket, bytes));
            }
            Command::OpenRun { .. } | Command::ConnectedProbe { .. } => unreachable!("that comes later"),
        }
    }
    (classifier, sent)
}

/// An answer to a request: MAPPED-ADDRESS, and OTHER-ADDRESS if there is one.
fn answer(request: &[u8], mapped: &str, other: Option<&str>) -> Vec<u8> {
    let mut out = vec![1, 1, 0, 0];
    out.extend(&request[4..20]);
    for (kind, text) in [(0x0001_u16, Some(mapped)), (0x802c, other)] {
        let Some(text) = text else { continue };
        let SocketAddr::V4(v4) = address(text) else { unreachable!("IPv4") };
        out.extend(kind.to_be_bytes());
        out.extend([0, 8, 0, 1]);
        out.extend(v4.port().to_be_bytes());
        out.extend(v4.ip().octets());
    }
    let len = (out.len() - 20) as u16;
    out[2..4].copy_from_slice(&len.to_be_bytes());
    out
}

const SERVER: &str = "192.0.2.1:3478";
const MAPPED: &str = "203.0.113.7:40000";

#[test]
fn a_plain_request_goes_with_each_request_to_answer_from_elsewhere() {
    let (_, sent) = begun();
    let kinds: Vec<_> =
        sent.iter().map(|(socket, bytes)| (*socket, bytes.len(), bytes.last().copied())).collect();
    assert_eq!(kinds.len(), 4);
    assert_eq!((kinds[0].0, kinds[1].0, kinds[2].0, kinds[3].0), (0, 0, 1, 1), "two sockets");
    assert_eq!((kinds[0].1, kinds[1].1, kinds[1].2), (20, 28, Some(6)), "change address and port");
    assert_eq!((kinds[2].1, kinds[3].1, kinds[3].2), (20, 28, Some(2)), "change the port");
}

#[test]
fn what_is_not_an_answer_of_the_server_to_the_socket_only_counts() {
    let (mut classifier, sent) = begun();
    let whole = answer(&sent[0].1, MAPPED, None);
    let mut forged = whole.clone();
    forged[15] ^= 1;
    // A success response without any address.
    let empty = [&[1, 1, 0, 0], &whole[4..20]].concat();
    let six = {
        let mut six = answer(&sent[0].1, MAPPED, None);
        six.splice(
            20..,
            [0, 1, 0, 20, 0, 2, 0x12, 0x34, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
        );
        six[3] = 24;
        six
    };
    for (socket, from, bytes) in [
        (0, SERVER, &b"HTTP/1.1 200 OK\r\n\r\n"[..]),
        (0, SERVER, &whole[..24]),
        (0, SERVER, &sent[0].1),
        (0, SERVER, &empty),
        (0, SERVER, &forged),
        (0, "192.0.2.9:3478", &whole),
        (0, "192.0.2.1:3479", &whole),
        (1, SERVER, &whole),
        (0, SERVER, &six),
    ] {
        classifier.on_receive(MS(1), socket, address(from), bytes);
    }
    assert!(!classifier.has_heard());
    assert_eq!(
        classifier.ignored,
        Ignored { garbage: 4, forged: 1, misdirected: 3, duplicates: 0, other_family: 1 }
    );
    classifier.on_receive(MS(2), 0, address(SERVER), &whole);
    classifier.on_receive(MS(3), 0, address(SERVER), &whole);
    assert!(classifier.has_heard() && classifier.ignored.duplicates == 1);
}

#[test]
fn an_answer_from_where_it_was_asked_is_no_answer_from_elsewhere() {
    let (mut classifier, sent) = begun();
    classifier.on_receive(MS(1), 0, address(SERVER), &answer(&sent[0].1, MAPPED, Some("192.0.2.2:3479")));
    classifier.on_receive(MS(1), 0, address(SERVER), &answer(&sent[1].1, MAPPED, Some("192.0.2.2:3479")));
    let report = classifier.finish(MS(2));
    let why = report.servers[0].cannot_test.clone().expect("it cannot test");
    assert!(why.contains("from where it was asked"), "{why}");
    assert_eq!(report.filtering.value, Filtering::Unknown);
}

/// Of two plain requests one is answered; the other is lost once it has been waited for, and no sooner.
#[test]
fn loss_is_what_was_waited_for_in_vain() {
    for (now, answers, sent_and_answered) in [
        (MS(2), &[0][..], (1, 1)),
        (MS(60_000), &[0], (2, 1)),
        (MS(60_000), &[0, 2], (2, 2)),
        // A server that never answered says nothing of the path.
        (MS(60_000), &[], (0, 0)),
    ] {
        let (mut classifier, sent) = begun();
        for at in answers {
            let (socket, request) = &sent[*at];
            classifier.on_receive(MS(1), *socket, address(SERVER), &answer(request, MAPPED, None));
        }
        let loss = classifier.finish(now).loss;
        assert_eq!((loss.sent, loss.answered), sent_and_answered, "{answers:?} after {now:?}");
    }
}

/// Two sockets, each seen once at the server's first address; perhaps the second is seen again at its other port.
#[test]
fn what_two_sockets_say_of_addresses_and_ports() {
    let ip = |text: &str| text.parse::<IpAddr>().expect("an address");
    let other = Some("192.0.2.2:3479");
    for (first, second, again, externals, overloading) in [
        ("203.0.113.7:1", "203.0.113.7:2", None, &["203.0.113.7"][..], Overloading::Unknown),
        ("203.0.113.7:1", "203.0.113.7:1", None, &["203.0.113.7"], Overloading::Yes),
        ("203.0.113.7:1", "203.0.113.8:1", None, &["203.0.113.7", "203.0.113.8"], Overloading::Unknown),
        // The address that is seen most often is the first.
        (
            "203.0.113.8:1",
            "203.0.113.7:2",
            Some("203.0.113.7:2"),
            &["203.0.113.7", "203.0.113.8"],
            Overloading::Unknown,
        ),
    ] {
        let (mut classifier, sent) = begun();
        classifier.on_receive(MS(1), 0, address(SERVER), &answer(&sent[0].1, first, other));
        classifier.on_receive(MS(1), 1, address(SERVER), &answer(&sent[2].1, second, other));
        if let Some(again) = again {
            classifier.on_receive(MS(2), 1, address("192.0.2.1:3479"), &answer(&sent[3].1, again, other));
        }
        // With that it knows which server leads.
        classifier.poll(MS(3), &mut Vec::new());
        let report = classifier.finish(MS(3));
        let externals: Vec<_> = externals.iter().map(|text| ip(text)).collect();
        assert_eq!(
            (report.externals, report.overloading.value),
            (externals, overloading),
            "{first}, {second}"
        );
        // Two are too few to say whether a NAT keeps to one address.
        assert_eq!(
            report.pooling,
            Finding::because(Pooling::Unknown, Reason::NoSamples),
            "{first}, {second}"
        );
    }
}

#[test]
fn a_server_that_names_two_other_addresses_is_not_believed() {
    let (mut classifier, sent) = begun();
    for (at, other) in [(0, Some("192.0.2.2:3479")), (2, Some("192.0.2.3:3479"))] {
        classifier.on_receive(MS(1), sent[at].0, address(SERVER), &answer(&sent[at].1, MAPPED, other));
    }
    let report = classifier.finish(MS(2));
    assert!(report.servers[0].cannot_test.as_ref().is_some_and(|why| why.contains("different other")));
}

#[test]
fn an_answer_from_elsewhere_counts_also_before_the_plain_one() {
    let (mut classifier, sent) = begun();
    classifier.on_receive(
        MS(1),
        0,
        address("192.0.2.2:3479"),
        &answer(&sent[1].1, MAPPED, Some("192.0.2.2:3479")),
    );
    classifier.on_receive(MS(2), 0, address(SERVER), &answer(&sent[0].1, MAPPED, Some("192.0.2.2:3479")));
    let mut again = Vec::new();
    classifier.poll(MS(3), &mut again);
    // It is asked for again from a fresh port, and believed then.
    let asked = again.iter().find_map(|command| match command {
        Command::Send { socket, bytes, .. } if bytes.len() == 28 => Some((*socket, bytes.clone())),
        _ => None,
    });
    let (socket, bytes) = asked.expect("a second port");
    assert!(socket > 1);
    classifier.on_receive(MS(4), socket, address("192.0.2.2:3479"), &answer(&bytes, MAPPED, None));
    classifier.poll(MS(5), &mut Vec::new());
    let report = classifier.finish(MS(6));
    assert_eq!(report.servers[0].filtering.value, Filtering::EndpointIndependent);
    assert_eq!((report.mapping.value, report.mapping.reason), (Mapping::Unknown, Some(Reason::Stopped)));
}

#[test]
fn nothing_is_polled_for_in_vain() {
    let (mut classifier, _) = begun();
    let (mut now, mut polls, mut sends) = (Duration::ZERO, 0, 0);
    while !classifier.is_done() {
        let wake = classifier.next_wake(now).expect("not done");
        assert!(wake > now, "a wake-up that has passed would be a busy loop");
        now = wake;
        let mut commands = Vec::new();
        classifier.poll(now, &mut commands);
        polls += 1;
        sends += commands.len();
        assert!(polls < 100, "it ends");
    }
    assert!(now >= MS(1_000) && now < MS(1_300), "{now:?}");
    assert!(sends < 40, "a silent server is asked more and more rarely: {sends}");
    let report = classifier.finish(now);
    assert_eq!(report.connectivity.value, Connectivity::NoReply);
    assert_eq!(report.connectivity.reason, Some(Reason::OneSilentServer));
}

#[test]
fn refused_sends_and_sockets_end_it_at_once() {
    let (mut classifier, _) = begun();
    for probe in 0..4 {
        classifier.on_send_error(probe, 101);
    }
    classifier.on_send_error(999, 101);
    classifier.poll(MS(1), &mut Vec::new());
    assert!(classifier.is_done());
    let report = classifier.finish(MS(1));
    assert_eq!(
        (report.connectivity.value, report.connectivity.reason),
        (Connectivity::NoRoute, Some(Reason::NoRoute))
    );
    assert!(report.evidence.iter().all(|e| e.errno == Some(101)));

    // A single send may be refused, for want of memory for instance: whoever has answered can be reached.
    let (mut classifier, sent) = begun();
    classifier.on_receive(MS(1), 0, address(SERVER), &answer(&sent[0].1, MAPPED, Some("192.0.2.2:3479")));
    classifier.on_send_error(0, 105);
    assert!(classifier.targets[0].can_test());
}

/// A refusal by ICMP reaches connected sockets only, so a silent server is asked from one as well.
#[test]
fn a_server_that_refuses_is_not_waited_for() {
    let (mut classifier, _) = begun();
    let mut commands = Vec::new();
    classifier.poll(MS(99), &mut commands);
    let connected_probes = |commands: &[Command]| {
        commands.iter().filter(|c| matches!(c, Command::ConnectedProbe { .. })).count()
    };
    assert_eq!(connected_probes(&commands), 0);
    classifier.poll(MS(100), &mut commands);
    assert_eq!(connected_probes(&commands), 1);
    classifier.on_refused(address("192.0.2.9:3478"));
    classifier.poll(MS(101), &mut commands);
    assert!(!classifier.is_done() && !classifier.is_refused());
    classifier.on_refused(address(SERVER));
    classifier.poll(MS(102), &mut commands);
    assert!(classifier.is_done() && classifier.is_refused());
    let report = classifier.finish(MS(102));
    assert_eq!(
        (report.connectivity.value, report.connectivity.reason),
        (Connectivity::NoReply, Some(Reason::ServerRefused))
    );
    assert!(report.servers[0].cannot_test.as_ref().is_some_and(|why| why.contains("nothing listens")));
    assert!(!report.behaviour().blocked, "something came back");

    // Whoever has answered is believed more than a message that anybody on the way can send.
    let (mut classifier, sent) = begun();
    classifier.on_receive(MS(1), 0, address(SERVER), &answer(&sent[0].1, MAPPED, None));
    classifier.on_refused(address(SERVER));
    assert!(!classifier.is_refused() && classifier.has_heard());
    let mut commands = Vec::new();
    classifier.poll(MS(500), &mut commands);
    assert_eq!(connected_probes(&commands), 0, "it is not silent");
}

#[test]
fn one_server_that_refuses_leaves_the_others() {
    let servers = ["192.0.2.1:3478", "198.51.100.1:3478"].map(|text| Server { address: address(text) });
    let mut classifier = Classifier::new([10, 0, 0, 2].into(), &servers, settings(), [7; 16]);
    let mut commands = Vec::new();
    classifier.poll(Duration::ZERO, &mut commands);
    classifier.on_refused(servers[0].address);
    classifier.poll(MS(1), &mut commands);
    let to_the_second = |c: &Command| matches!(c, Command::Send { to, .. } if *to == servers[1].address);
    assert!(commands.iter().any(to_the_second), "the next one is asked at once");
    assert!(!classifier.is_done() && !classifier.is_refused());
    // What refuses is no second silent server, and has not answered.
    let mut now = MS(1);
    while let Some(wake) = classifier.next_wake(now) {
        now = wake;
        classifier.poll(now, &mut commands);
    }
    let found = classifier.finish(now).connectivity;
    assert_eq!(found, Finding::because(Connectivity::NoReply, Reason::OneSilentServer));
}

#[test]
fn a_silent_server_is_asked_from_connected_sockets_at_growing_distances_and_one_that_refuses_no_more() {
    let servers = ["192.0.2.1:3478", "198.51.100.1:3478"].map(|text| Server { address: address(text) });
    // Nobody is asked any more when it is given up, after a second.
    for (first_gap, refuses, want) in
        [(100, false, &[100, 200, 400, 800][..]), (125, false, &[125, 250, 500]), (100, true, &[])]
    {
        let settings = Settings { first_gaps: vec![MS(first_gap)], ..settings() };
        let mut classifier = Classifier::new([10, 0, 0, 2].into(), &servers, settings, [7; 16]);
        let mut asked = Vec::new();
        for now in 0..=1_000 {
            let mut commands = Vec::new();
            classifier.poll(MS(now), &mut commands);
            if refuses && now == 1 {
                classifier.on_refused(servers[0].address);
            }
            let first =
                |c: &&Command| matches!(c, Command::ConnectedProbe { to, .. } if *to == servers[0].address);
            asked.extend(commands.iter().filter(first).map(|_| now));
        }
        assert_eq!(asked, want, "refuses: {refuses}, first after {first_gap} ms");
    }
}

/// Answers that are changed on the way, doubled, late, from others or to other sockets: it ends, asks for no wake-up that has passed,
/// and what it concludes can be told.
#[test]
fn hostile_answers_end_it_as_well_as_any() {
    let mut random = <rand::rngs::StdRng as rand::SeedableRng>::seed_from_u64(78);
    for round in 0..crate::fuzz::rounds() {
        let servers = [SERVER, "198.51.100.1:3478"].map(|text| Server { address: address(text) });
        let asks = Settings { hairpin: round % 2 == 0, lifetime: Some(MS(20_000)), ..settings() };
        let mut classifier = Classifier::new([10, 0, 0, 2].into(), &servers, asks, [7; 16]);
        let (mut now, mut opened, mut commands, mut late) = (Duration::ZERO, 0_u16, Vec::new(), Vec::new());
        for step in 0.. {
            assert!(step < 20_000, "it does not end in round {round}");
            classifier.poll(now, &mut commands);
            for command in std::mem::take(&mut commands) {
                let count = if let Command::OpenRun { count, .. } = command { count } else { 1 };
                match command {
                    Command::Open { socket } | Command::OpenRun { first: socket, .. } => {
                        for socket in socket..socket + count {
                            opened = opened.max(socket + 1);
                            let local = SocketAddr::new([10, 0, 0, 2].into(), 30_000 + socket);
                            classifier.on_open(
                                socket,
                                if random.random_ratio(1, 50) { Err(24) } else { Ok(local) },
                            );
                        }
                    }
                    Command::ConnectedProbe { to, .. } if random.random_ratio(1, 4) => {
                        classifier.on_refused(to);
                    }
                    Command::ConnectedProbe { .. } => {}
                    Command::Send { probe, .. } if random.random_ratio(1, 60) => {
                        classifier.on_send_error(probe, 101);
                    }
                    Command::Send { socket, to, bytes, .. } => {
                        let mut reply = if random.random_ratio(1, 9) {
                            bytes.clone()
                        } else {
                            answer(&bytes, MAPPED, Some("192.0.2.2:3479"))
                        };
                        if random.random_ratio(1, 2) {
                            crate::fuzz::mutate(&mut reply, &mut random);
                        }
                        let from = if random.random_ratio(1, 3) { address("192.0.2.2:3479") } else { to };
                        let socket =
                            if random.random_ratio(1, 9) { random.random_range(0..opened) } else { socket };
                        late.push((socket, from, reply));
                    }
                }
            }
            late.retain(|(socket, from, reply)| {
                if random.random_ratio(1, 2) {
                    classifier.on_receive(now, *socket, *from, reply);
                }
                random.random_ratio(1, 3)
            });
            let Some(wake) = classifier.next_wake(now) else { break };
            assert!(wake > now, "a wake-up that has passed, in round {round}");
            now = wake.min(now + MS(random.random_range(1..400)));
        }
        let report = classifier.finish(now);
        assert!(report.evidence.len() < 1_000);
    }
}
