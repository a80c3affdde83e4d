//! Every kind of NAT, on every kind of path: the verdict is right, or `unknown`, never wrong.

use std::net::IpAddr;
use std::time::Duration;

use routepool_proto::nat::{
    Alg, Allocation, Connectivity, Filtering, Hairpin, Lifetime, Mapping, Reason, Settings, numbers,
};
use routepool_testkit::matrix::{Tally, filtering_of, kinds, mapping_of, run, world};
use routepool_testkit::{BehaviorServer, Dependence, Fault, Nat, NatKind, Outcome, Path, Ports, World};

const MS: fn(u64) -> Duration = Duration::from_millis;

/// The profile `normal`.
fn settings() -> Settings {
    Settings {
        gaps: [80, 80, 80, 80, 160].map(MS).to_vec(),
        first_gaps: [100, 200, 400, 800].map(MS).to_vec(),
        answer_within: MS(80),
        give_up: MS(5_000),
        patience: MS(500),
        next_server_after: MS(200),
        doubt: 2e-5,
        least_asked: 5,
        sockets: 6,
        hairpin: false,
        lifetime: None,
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn server(first: &str, second: &str) -> BehaviorServer {
    BehaviorServer { addresses: [ip(first), ip(second)], ports: [3_478, 3_479], fault: None }
}

#[test]
fn nothing_is_unknown_on_a_clean_path() {
    let tally = run("clean", Path::CLEAN, 3, &settings());
    assert!(tally.unknown.is_empty(), "{:?}", tally.unknown);
}

/// Five requests 80 ms apart, the time for the last one's answer, and one round trip for the mapping.
#[test]
fn silence_is_waited_for_once() {
    for kind in kinds().into_iter().filter(|kind| kind.filtering != Dependence::Endpoint) {
        for servers in 1..=2 {
            let mut world = world(&kind, Path::CLEAN, 3);
            world.ask.truncate(servers);
            let elapsed = world.classify(&settings()).elapsed;
            assert!(elapsed <= MS(450), "{servers} server(s): {elapsed:?} {kind:?}");
        }
    }
}

#[test]
fn any_order_of_servers_and_any_half_of_a_pair_comes_first() {
    let (a, b) = (ip("192.0.2.1"), ip("192.0.2.2"));
    let mirrored = BehaviorServer { addresses: [b, a], ports: [3_479, 3_478], fault: None };
    for kind in kinds() {
        // A filter that looks at the peer alone, whatever the socket: opened by anything that asks the other half first.
        let kind = NatKind { shared_filter: true, ..kind };
        let base = world(&kind, Path::CLEAN, 77);
        let [first, second] = [base.servers[0].primary(), mirrored.primary()];
        for ask in [vec![first, second], vec![second, first], vec![second], vec![base.ask[1], second, first]]
        {
            let world = World { ask: ask.clone(), ..base.clone() };
            let mut tally = Tally::default();
            let outcome = world.classify(&settings());
            tally.add(&kind, 77, &outcome);
            assert!(
                tally.wrong.is_empty() && tally.unknown.is_empty(),
                "{ask:?}: {:?} {:?}",
                tally.wrong,
                tally.unknown
            );
            assert!(!outcome.report.disagree);
        }
    }
}

#[derive(Clone, Copy)]
struct Row {
    name: &'static str,
    faults: [Option<Fault>; 2],
    mapping: (Mapping, Option<Reason>),
    filtering: (Filtering, Option<Reason>),
    type_: u8,
}

#[test]
#[rustfmt::skip]
fn what_is_wrong_with_a_server_is_no_property_of_the_nat() {
    use Fault::{Dead, IgnoresChange, Lies, Noise, OtherDead, OtherPrivate, OtherSameIp, Plain, Rewritten, SaysAddress, WrongIdFirst};
    let eim = (Mapping::EndpointIndependent, None);
    let apd = (Filtering::AddressAndPortDependent, None);
    let no_filter = (Filtering::Unknown, Some(Reason::CannotTest));
    let private = OtherPrivate("10.1.1.1:3479".parse().expect("an address"));
    let ipv6 = SaysAddress("[2001:db8::1]:77".parse().expect("an address"));
    let rows = [
        Row { name: "one of them is dead", faults: [Some(Dead), None], mapping: eim, filtering: apd, type_: 5 },
        Row { name: "one of them is plain", faults: [Some(Plain), None], mapping: eim, filtering: apd, type_: 5 },
        Row { name: "both are plain", faults: [Some(Plain), Some(Plain)], mapping: eim, filtering: no_filter, type_: 5 },
        Row { name: "they ignore CHANGE-REQUEST", faults: [Some(IgnoresChange), Some(IgnoresChange)], mapping: eim, filtering: no_filter, type_: 5 },
        Row { name: "a private other address", faults: [Some(private), Some(private)], mapping: eim, filtering: no_filter, type_: 5 },
        Row { name: "an other address with the same IP", faults: [Some(OtherSameIp), Some(OtherSameIp)], mapping: eim, filtering: no_filter, type_: 5 },
        Row { name: "the other address is dead", faults: [Some(OtherDead), Some(OtherDead)], mapping: (Mapping::Unknown, Some(Reason::OtherSilent)), filtering: (Filtering::Unknown, Some(Reason::OtherSilent)), type_: 5 },
        Row { name: "the other address of one is dead", faults: [Some(OtherDead), None], mapping: eim, filtering: apd, type_: 5 },
        Row { name: "one lies about the port", faults: [Some(Lies(5)), None], mapping: (Mapping::Unknown, Some(Reason::ServersDisagree)), filtering: apd, type_: 5 },
        Row { name: "wrong ids, then right ones", faults: [Some(WrongIdFirst), Some(WrongIdFirst)], mapping: eim, filtering: apd, type_: 5 },
        Row { name: "cut, misdirected and repeated", faults: [Some(Noise), Some(Noise)], mapping: eim, filtering: apd, type_: 5 },
        Row { name: "MAPPED-ADDRESS is rewritten", faults: [Some(Rewritten), None], mapping: eim, filtering: apd, type_: 5 },
        Row { name: "one says the other family", faults: [Some(ipv6), None], mapping: eim, filtering: apd, type_: 5 },
        Row { name: "all are dead", faults: [Some(Dead), Some(Dead)], mapping: (Mapping::Unknown, Some(Reason::NoAnswer)), filtering: (Filtering::Unknown, Some(Reason::NoAnswer)), type_: 7 },
    ];
    for row in rows {
        let kind = NatKind::usual(ip("203.0.113.7"));
        let mut world = world(&kind, Path::CLEAN, 5);
        for (server, fault) in world.servers.iter_mut().zip(row.faults) {
            server.fault = fault;
        }
        let Outcome { report, elapsed, .. } = world.classify(&settings());
        let name = row.name;
        assert_eq!((report.mapping.value, report.mapping.reason), row.mapping, "{name}");
        assert_eq!((report.filtering.value, report.filtering.reason), row.filtering, "{name}");
        assert_eq!(numbers(&report.behaviour()).nat_type, row.type_, "{name}");
        assert_eq!(report.disagree, row.mapping.1 == Some(Reason::ServersDisagree), "{name}");
        let ignored = report.ignored;
        assert_eq!(ignored.forged > 0, row.faults[0] == Some(WrongIdFirst), "{name}: {ignored:?}");
        let noisy = row.faults[0] == Some(Noise);
        assert_eq!((ignored.garbage > 0, ignored.duplicates > 0), (noisy, noisy), "{name}: {ignored:?}");
        assert_eq!(ignored.other_family > 0, row.faults[0] == Some(ipv6), "{name}: {ignored:?}");
        assert_eq!(report.alg.value == Alg::Rewrites, row.faults[0] == Some(Rewritten), "{name}");
        let silent = row.faults == [Some(Dead), Some(Dead)];
        assert!(elapsed < MS(if silent { 5_301 } else { 1_500 }), "{name}: {elapsed:?}");
        assert!(report.servers.iter().all(|s| s.cannot_test.is_none() || s.filtering.reason.is_some()), "{name}");
        println!("{name}: {elapsed:?}, {:?}", report.servers.iter().map(|s| &s.cannot_test).collect::<Vec<_>>());
    }
}

#[test]
fn plain_servers_are_compared_and_one_alone_is_no_proof() {
    let usual = NatKind::usual(ip("203.0.113.7"));
    for (mapping, count, want, dependent) in [
        (Some(Dependence::Endpoint), 1, (Mapping::Unknown, Some(Reason::OneServer)), false),
        (Some(Dependence::Address), 2, (Mapping::Unknown, Some(Reason::DependsSomehow)), true),
        (Some(Dependence::AddressAndPort), 2, (Mapping::Unknown, Some(Reason::DependsSomehow)), true),
        (None, 1, (Mapping::None, None), false),
    ] {
        let kind = NatKind { mapping, ..usual.clone() };
        let mut world = world(&kind, Path::CLEAN, 3);
        for server in &mut world.servers {
            server.fault = Some(Fault::Plain);
        }
        world.ask.truncate(count);
        let report = world.classify(&settings()).report;
        assert_eq!((report.mapping.value, report.mapping.reason), want, "{mapping:?}");
        assert_eq!(report.endpoint_dependent, dependent);
        assert_eq!(
            numbers(&report.behaviour()).nat_type,
            if dependent {
                6
            } else if mapping.is_none() {
                2
            } else {
                5
            }
        );
    }
}

#[test]
fn two_nats_in_a_row_no_server_and_ipv6() {
    let home = NatKind { filtering: Dependence::Endpoint, ..NatKind::usual(ip("100.64.0.7")) };
    let carrier = NatKind {
        mapping: Some(Dependence::AddressAndPort),
        ports: Ports::Random,
        ..NatKind::usual(ip("203.0.113.7"))
    };
    let mut both = world(&home, Path::CLEAN, 9);
    both.nats.push(Nat::new(carrier.clone(), 10));
    let report = both.classify(&settings()).report;
    // The worse of the two on each axis.
    assert_eq!(report.mapping.value, Mapping::AddressAndPortDependent);
    assert_eq!(report.filtering.value, Filtering::AddressAndPortDependent);
    assert_eq!(
        (report.allocation.finding.value, report.externals[0]),
        (Allocation::Random, ip("203.0.113.7"))
    );

    let nobody = World { ask: Vec::new(), ..world(&home, Path::CLEAN, 9) };
    let report = nobody.classify(&settings()).report;
    assert_eq!(report.connectivity.value, Connectivity::NoServer);
    assert_eq!(report.mapping.reason, Some(Reason::NoServer));
    assert_eq!((numbers(&report.behaviour()).nat_type, numbers(&report.behaviour()).assumed), (5, true));

    let servers = vec![server("2001:db8:1::1", "2001:db8:1::2")];
    let nat66 = NatKind {
        filtering: Dependence::Address,
        ports: Ports::Random,
        ..NatKind::usual(ip("2001:db8:7::1"))
    };
    let six = World {
        local: ip("fd00::2"),
        nats: vec![Nat::new(nat66, 4)],
        path: Path::CLEAN,
        ask: vec![servers[0].primary()],
        servers,
        seed: 4,
    };
    let report = six.classify(&settings()).report;
    assert_eq!(
        (report.mapping.value, report.filtering.value),
        (Mapping::EndpointIndependent, Filtering::AddressDependent)
    );
}

#[test]
fn answers_from_elsewhere_only_count() {
    let kind = NatKind { filtering: Dependence::Endpoint, ..NatKind::usual(ip("203.0.113.7")) };
    let mut world = world(&kind, Path::CLEAN, 5);
    world.servers[0].fault = Some(Fault::Noise);
    let report = world.classify(&settings()).report;
    assert_eq!((report.mapping.value, report.filtering.value), (mapping_of(&kind), filtering_of(&kind)));
    assert!(report.ignored.misdirected > 0, "{:?}", report.ignored);
}

#[test]
fn hairpinning_and_lifetime_of_all_kinds_with_and_without_loss() {
    let rough = Path { loss: 0.1, duplication: 0.1, delay: MS(20), jitter: MS(30) };
    let (mut runs, mut unknown) = (0, 0);
    let two = |kind: &NatKind| matches!(kind.ports, Ports::Equal | Ports::Random);
    for (at, kind) in kinds().into_iter().filter(two).enumerate() {
        for (hairpin, internal_source, seconds) in [(false, false, 33), (true, false, 70), (true, true, 200)]
        {
            for path in [Path::CLEAN, rough] {
                let lifetime = Duration::from_secs(seconds);
                let kind = NatKind { hairpin, internal_source, lifetime, ..kind.clone() };
                let settings =
                    Settings { hairpin: true, lifetime: Some(Duration::from_secs(130)), ..settings() };
                let Outcome { report, elapsed, .. } = world(&kind, path, at as u64).classify(&settings);
                let want = match kind.mapping {
                    None => Hairpin::NotApplicable,
                    Some(Dependence::Endpoint) if !hairpin => Hairpin::No,
                    Some(Dependence::Endpoint) if internal_source => Hairpin::InternalSource,
                    Some(Dependence::Endpoint) => Hairpin::Yes,
                    Some(_) => Hairpin::Unknown,
                };
                assert_eq!(report.hairpin.value, want, "{kind:?}");
                runs += 1;
                match report.lifetime {
                    Lifetime::Measured { alive, gone } => {
                        assert!(alive < lifetime && lifetime <= gone, "{alive:?} {gone:?} {kind:?}");
                        // A pool of addresses leaves out some ages: the two sockets may have different addresses.
                        let fine = kind.arbitrary || gone <= alive + Duration::from_secs(6);
                        assert!(fine, "{alive:?} {gone:?} {kind:?}");
                    }
                    Lifetime::AtLeast(alive) => {
                        assert!(alive < lifetime && (seconds == 200 || kind.arbitrary), "{alive:?} {kind:?}");
                    }
                    other => {
                        assert!(kind.arbitrary, "{other:?} {kind:?}");
                        unknown += 1;
                    }
                }
                assert!(elapsed < Duration::from_secs(270), "{elapsed:?}");
            }
        }
    }
    println!("hairpin and lifetime: {runs} runs, lifetime unknown in {unknown}, all with arbitrary pooling");
}

#[test]
fn a_server_without_response_port_says_nothing_about_lifetime() {
    let kind = NatKind::usual(ip("203.0.113.7"));
    let mut world = world(&kind, Path::CLEAN, 5);
    world.servers[0].fault = Some(Fault::NoResponsePort);
    let settings = Settings { lifetime: Some(Duration::from_secs(130)), ..settings() };
    let outcome = world.classify(&settings);
    assert_eq!(outcome.report.lifetime, Lifetime::Unknown(Reason::NoResponsePort));
    assert!(outcome.elapsed < MS(2_000), "{:?}", outcome.elapsed);
}

#[test]
fn loss_delay_duplication_and_reordering() {
    let rough = |loss| Path { loss, duplication: 0.1, delay: MS(20), jitter: MS(30) };
    for (name, path) in [("no loss, rough", rough(0.0)), ("10 % loss", rough(0.1)), ("30 % loss", rough(0.3))]
    {
        let tally = run(name, path, 3, &settings());
        assert!(tally.unknown.is_empty(), "{name}: {:?}", tally.unknown);
    }
}
