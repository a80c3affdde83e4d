//! Whole classifications, from the first request to the report.

use super::*;

const OTHER: &str = "192.0.2.2:3479";

/// A request under way.
struct Ask {
    test: Test,
    server: usize,
    socket: u16,
    to: SocketAddr,
    change_request: ChangeRequest,
    bytes: Vec<u8>,
}

impl Ask {
    /// An answer from where the request wants it, which says that it was seen as this.
    fn answer(&self, mapped: &str, other: &str) -> Vec<(SocketAddr, Vec<u8>)> {
        let from = match (self.change_request.change_ip, self.change_request.change_port) {
            (false, false) => self.to,
            (false, true) => address("192.0.2.1:3479"),
            _ => address(other),
        };
        vec![(from, answer(&self.bytes, mapped, Some(other)))]
    }

    fn is_plain(&self) -> bool {
        self.change_request == ChangeRequest::default()
    }
}

/// Runs it to its end: what arrives of each request, and from where, is told by `answers`.
fn course(servers: &[&str], mut answers: impl FnMut(&Ask) -> Vec<(SocketAddr, Vec<u8>)>) -> Report {
    let servers: Vec<_> = servers.iter().map(|text| Server { address: address(text) }).collect();
    let mut classifier = Classifier::new([10, 0, 0, 2].into(), &servers, settings(), [7; 16]);
    let (mut commands, mut port, mut now) = (Vec::new(), 41_000, Duration::ZERO);
    while !classifier.is_done() && now < MS(5_000) {
        classifier.poll(now, &mut commands);
        now += MS(1);
        for command in std::mem::take(&mut commands) {
            let mut open = |classifier: &mut Classifier, socket| {
                port += 1;
                classifier.on_open(socket, Ok(SocketAddr::new([10, 0, 0, 2].into(), port)));
            };
            match command {
                Command::Open { socket } => open(&mut classifier, socket),
                Command::OpenRun { first, count } => {
                    (first..first + count).for_each(|socket| open(&mut classifier, socket));
                }
                Command::ConnectedProbe { .. } => {}
                Command::Send { socket, to, bytes, probe } => {
                    let Probe { test, server, change_request, .. } = classifier.probes[usize::from(probe)];
                    let ask = Ask { test, server, socket, to, change_request, bytes };
                    for (from, bytes) in answers(&ask) {
                        classifier.on_receive(now, socket, from, &bytes);
                    }
                }
            }
        }
    }
    assert!(classifier.is_done());
    classifier.finish(now)
}

/// Behind a NAT that lets in what answers such a request, by the number of the socket; plain ones are always answered.
fn run(lets_in: impl Fn(u16, ChangeRequest) -> bool) -> Report {
    course(&[SERVER], |ask| {
        let arrives = ask.is_plain() || lets_in(ask.socket, ask.change_request);
        if arrives { ask.answer(MAPPED, OTHER) } else { Vec::new() }
    })
}

/// An address of the server that answers nobody is no filter.
#[test]
fn what_never_answers_is_not_filtered() {
    type Row = (&'static str, fn(ChangeRequest) -> bool, &'static str, Filtering, Option<Reason>);
    let rows: [Row; 4] = [
        (
            "192.0.2.1:3479",
            |change| change.change_ip,
            "all but the other port",
            Filtering::EndpointIndependent,
            None,
        ),
        (OTHER, |change| !change.change_ip, "the other port", Filtering::Unknown, Some(Reason::OtherSilent)),
        ("192.0.2.1:3479", |_| false, "nobody", Filtering::Unknown, Some(Reason::OtherSilent)),
        (
            "192.0.2.2:3478",
            |_| false,
            "nobody, and a half that no filter asks for",
            Filtering::AddressAndPortDependent,
            None,
        ),
    ];
    for (dead, lets_in, name, want, reason) in rows {
        let report = course(&[SERVER], |ask| {
            let arrives = ask.to != address(dead) && (ask.is_plain() || lets_in(ask.change_request));
            if arrives { ask.answer(MAPPED, OTHER) } else { Vec::new() }
        });
        let found = report.servers[0].filtering;
        assert_eq!((found.value, found.reason), (want, reason), "{name} is let in, {dead} is silent");
    }
}

#[test]
fn an_undecided_filter_was_stopped_before_it_was_given_up() {
    for (now, why) in [(MS(999), Reason::Stopped), (MS(1_000), Reason::TooMuchLoss)] {
        let (mut classifier, sent) = begun();
        classifier.on_receive(MS(1), 0, address(SERVER), &answer(&sent[0].1, MAPPED, Some(OTHER)));
        let report = classifier.finish(now);
        assert_eq!(report.servers[0].filtering, Finding::because(Filtering::Unknown, why), "{now:?}");
    }
}

#[test]
fn nobody_is_asked_any_more_once_silence_is_decided() {
    let report = run(|_, _| false);
    let asked = |test| report.evidence.iter().filter(move |e| e.test == test).map(|e| e.attempts);
    for test in [Test::Filtering2, Test::Filtering3, Test::FilteringPlain] {
        assert!(asked(test).all(|attempts| attempts == 5), "{test}: {:?}", asked(test).collect::<Vec<_>>());
    }
    // Five requests 80 ms apart, and the time that an answer to the last of them may take.
    let mapping = report.evidence.iter().find(|e| e.test == Test::Mapping1).and_then(|e| e.sent_at);
    assert_eq!(mapping, Some(MS(5 * 80)), "the next tests begin when silence is decided");
}

#[test]
fn an_address_that_never_answers_is_asked_as_often_as_silence_takes() {
    let report = course(&[SERVER], |ask| {
        if ask.to == address("192.0.2.2:3478") { Vec::new() } else { ask.answer(MAPPED, OTHER) }
    });
    for (test, attempts) in
        [(Test::Mapping1, 1), (Test::Mapping2, 6), (Test::Mapping3, 1), (Test::Mapping4, 1)]
    {
        let asked: Vec<_> = report.evidence.iter().filter(|e| e.test == test).map(|e| e.attempts).collect();
        assert_eq!(asked, [attempts], "{test}");
    }
}

#[test]
fn where_packets_are_lost_silence_takes_more_requests() {
    let mut plain = 0;
    let report = course(&[SERVER], |ask| match ask.test {
        Test::Filtering2 | Test::Filtering3 => Vec::new(),
        Test::FilteringPlain => {
            plain += 1;
            if plain % 5 > 0 { ask.answer(MAPPED, OTHER) } else { Vec::new() }
        }
        _ => ask.answer(MAPPED, OTHER),
    });
    assert_eq!(report.servers[0].filtering, Finding::known(Filtering::AddressAndPortDependent));
    let asked = |test| report.evidence.iter().filter(move |e| e.test == test).map(|e| e.attempts);
    assert!(asked(Test::Filtering2).all(|attempts| attempts > 5), "{:?}", asked(Test::Filtering2).next());
}

/// One request of the mapping tests is answered twice, the second time as if the mapping had changed meanwhile.
#[test]
fn a_mapping_that_changes_while_it_is_looked_at_is_unknown() {
    for (again, want) in [
        (MAPPED, Finding::known(Mapping::EndpointIndependent)),
        ("203.0.113.7:40001", Finding::because(Mapping::Unknown, Reason::Inconsistent)),
    ] {
        let mut held = None;
        let report = course(&[SERVER], |ask| {
            let mut arrived = ask.answer(MAPPED, OTHER);
            if ask.test == Test::Mapping2 {
                let Some(first) = held.take() else {
                    held = Some(ask.bytes.clone());
                    return Vec::new();
                };
                arrived.push((ask.to, answer(&first, again, Some(OTHER))));
            }
            arrived
        });
        assert_eq!(report.servers[0].mapping, want, "{again}");
    }
}

#[test]
fn servers_that_disagree_how_it_depends_agree_that_it_does() {
    use Mapping::{AddressAndPortDependent, AddressDependent, EndpointIndependent, Unknown};
    for (verdicts, dependent, differ) in [
        ([AddressDependent, AddressAndPortDependent], true, true),
        ([EndpointIndependent, AddressDependent], false, true),
        ([AddressDependent, Unknown], true, false),
        ([EndpointIndependent, EndpointIndependent], false, false),
    ] {
        let (classifier, _) = begun();
        let servers = verdicts.map(|value| ServerVerdict {
            mapping: Finding { value, reason: None },
            cannot_test: None,
            ..classifier.verdict_of(0, MS(1))
        });
        let (_, found, differs) = classifier.mapping(&servers);
        assert_eq!((found, differs), (dependent, differ), "{verdicts:?}");
    }
}

/// A NAT may have an address for each destination, and yet give all sockets the same.
#[test]
fn pooling_is_judged_by_what_one_server_saw() {
    let report = course(&[SERVER, "198.51.100.1:3478"], |ask| match ask.server {
        0 => ask.answer(MAPPED, OTHER),
        _ if ask.is_plain() => ask.answer("203.0.113.8:40000", "198.51.100.2:3479"),
        _ => Vec::new(),
    });
    assert_eq!(report.externals.len(), 2);
    assert_eq!(report.pooling, Finding::known(Pooling::Paired));
}

#[test]
fn pooling_takes_four_sockets() {
    for (count, want) in
        [(3, Finding::because(Pooling::Unknown, Reason::NoSamples)), (4, Finding::known(Pooling::Paired))]
    {
        let mut heard = Vec::new();
        let report = course(&[SERVER], |ask| {
            if !heard.contains(&ask.socket) && heard.len() < count {
                heard.push(ask.socket);
            }
            if heard.contains(&ask.socket) { ask.answer(MAPPED, OTHER) } else { Vec::new() }
        });
        assert_eq!(report.pooling, want, "{count} sockets");
    }
}

#[test]
fn why_the_allocation_is_unknown() {
    let why = |report: Report| {
        assert_eq!(report.allocation.finding.value, Allocation::Unknown);
        report.allocation.finding.reason
    };
    let (mut classifier, sent) = begun();
    classifier.on_receive(MS(1), 0, address(SERVER), &answer(&sent[0].1, MAPPED, None));
    assert_eq!(why(classifier.finish(MS(2))), Some(Reason::Stopped));
    assert_eq!(why(course(&[SERVER], |_| Vec::new())), Some(Reason::NoAnswer), "no port is seen");
    // Nine of twelve sockets get no answer.
    let mut seen = Vec::new();
    let some = course(&[SERVER], |ask| {
        if ask.test == Test::Allocation && !seen.contains(&ask.socket) {
            if seen.len() == 3 {
                return Vec::new();
            }
            seen.push(ask.socket);
        }
        ask.answer(MAPPED, OTHER)
    });
    assert_eq!(some.allocation.samples.len(), 3);
    assert_eq!(why(some), Some(Reason::NoSamples), "too few ports are seen");
}

/// The sockets of the filtering tests are the first ones: 0 asks for another address, 1 for another port alone.
#[test]
fn a_port_that_earlier_traffic_has_left_open_proves_no_open_filter() {
    type Row = (&'static str, fn(u16, ChangeRequest) -> bool, Filtering, Option<Reason>);
    let rows: [Row; 7] = [
        ("nobody is let in", |_, _| false, Filtering::AddressAndPortDependent, None),
        ("everybody is", |_, _| true, Filtering::EndpointIndependent, None),
        (
            "the same address is",
            |_, change_request| !change_request.change_ip,
            Filtering::AddressDependent,
            None,
        ),
        (
            "the other port, at a port in use before",
            |at, _| at == 1,
            Filtering::AddressAndPortDependent,
            None,
        ),
        (
            "the other address, at a port in use before",
            |at, _| at == 0,
            Filtering::AddressAndPortDependent,
            None,
        ),
        ("both, at ports in use before", |at, _| at < 2, Filtering::AddressAndPortDependent, None),
        (
            "another address and never another port",
            |_, change_request| change_request.change_ip,
            Filtering::Unknown,
            Some(Reason::Inconsistent),
        ),
    ];
    for (name, lets_in, want, reason) in rows {
        let report = run(lets_in);
        let found = report.servers[0].filtering;
        assert_eq!((found.value, found.reason), (want, reason), "{name}");
    }
    // Every second port is let in: that is no filter, but two ways.
    let asked = std::cell::RefCell::new(Vec::new());
    let found = run(|socket, _| {
        let mut asked = asked.borrow_mut();
        if !asked.contains(&socket) {
            asked.push(socket);
        }
        asked.iter().position(|s| *s == socket).is_some_and(|at| at / 2 % 2 == 0)
    });
    assert_eq!(found.servers[0].filtering.reason, Some(Reason::Inconsistent));
}

#[test]
fn silence_of_several_servers_is_blocked_udp_and_that_of_one_is_not() {
    for (value, reason, blocked) in [
        (Connectivity::Ok, None, false),
        (Connectivity::NoReply, None, true),
        (Connectivity::NoReply, Some(Reason::OneSilentServer), false),
        (Connectivity::UdpBlocked, Some(Reason::UdpBlocked), true),
    ] {
        let (classifier, _) = begun();
        let report = Report { connectivity: Finding { value, reason }, ..classifier.finish(MS(1)) };
        assert_eq!(report.behaviour().blocked, blocked, "{value} {reason:?}");
    }
}

#[test]
fn why_hairpinning_and_lifetime_are_not_known() {
    let extras = |servers: &[&str], asked: bool, ends: bool| {
        let servers: Vec<_> = servers.iter().map(|text| Server { address: address(text) }).collect();
        let settings = Settings { hairpin: asked, lifetime: asked.then_some(MS(20_000)), ..settings() };
        let mut classifier = Classifier::new([10, 0, 0, 2].into(), &servers, settings, [7; 16]);
        let end = if ends { 2_000 } else { 100 };
        (0..end).for_each(|now| classifier.poll(MS(now), &mut Vec::new()));
        let report = classifier.finish(MS(end));
        (report.hairpin, report.lifetime)
    };
    let unknown = |why| (Finding::because(Hairpin::Unknown, why), Lifetime::Unknown(why));
    assert_eq!(extras(&[SERVER], false, false), (Finding::known(Hairpin::NotAsked), Lifetime::NotAsked));
    assert_eq!(extras(&[SERVER], true, false), unknown(Reason::Stopped));
    assert_eq!(extras(&[SERVER], true, true), unknown(Reason::NoAnswer));
    assert_eq!(extras(&[], true, true), unknown(Reason::NoServer));
}
