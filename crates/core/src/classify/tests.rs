//! Over real sockets on loopback, where there is no NAT; NATs are simulated in `routepool-proto` and made of namespaces in the
//! tests of the package.

use std::net::{TcpListener, UdpSocket};

use routepool_proto::nat::{Allocation, Connectivity, Filtering, Mapping, Reason};
use routepool_testkit::{Fault, LoopbackServer};

use super::*;
use crate::runtime::Lease;

fn named(address: SocketAddr) -> Resolved {
    Resolved { name: address.to_string(), address }
}

fn classify(servers: Vec<Resolved>) -> Classify {
    Classify {
        locals: vec!["127.0.0.1".parse().expect("an address")],
        interface: None,
        profile: Profile::Fast,
        lifetime: None,
        hairpin: false,
        tcp: false,
        servers,
        unresolved: Vec::new(),
        portal: None,
    }
}

impl Classify {
    fn found(self, cancel: &Cancel) -> Result<Classified, Error> {
        Lease::take().expect("threads").block_on(self.run(cancel.clone()))
    }
}

#[test]
fn loopback_has_no_nat_and_no_filter() {
    let server = LoopbackServer::start(["127.0.0.41", "127.0.0.42"], None).expect("loopback");
    let found = Classify { hairpin: true, tcp: true, ..classify(vec![named(server.address())]) };
    let found = found.found(&Cancel::new()).expect("loopback");
    let FamilyReport { report, numbers, tcp, .. } = &found.families[0];
    assert_eq!(
        (report.mapping.value, report.filtering.value),
        (Mapping::None, Filtering::EndpointIndependent)
    );
    assert_eq!(report.allocation.finding.value, Allocation::NotApplicable);
    assert_eq!((numbers.nat_type, numbers.delta_type, numbers.assumed), (1, 1, false));
    assert_eq!(report.connectivity.value, Connectivity::Ok);
    assert_eq!(tcp.map(|t| t.value), Some(Mapping::None));
    assert!(report.evidence.iter().all(|e| e.attempts >= 1 && e.local.is_some()), "{:#?}", report.evidence);
    let ports: Vec<_> = report.allocation.samples.iter().skip(6).map(|s| s.local.port()).collect();
    assert!(ports.windows(2).all(|w| w[1] == w[0] + 1), "consecutive: {ports:?}");
}

#[test]
fn a_plain_server_cannot_test_the_filter() {
    let server = LoopbackServer::start(["127.0.0.43", "127.0.0.44"], Some(Fault::Plain)).expect("loopback");
    let found = classify(vec![named(server.address())]).found(&Cancel::new()).expect("loopback");
    let report = &found.families[0].report;
    assert_eq!(report.mapping.value, Mapping::None);
    assert_eq!(
        (report.filtering.value, report.filtering.reason),
        (Filtering::Unknown, Some(Reason::CannotTest))
    );
    assert!(found.families[0].numbers.assumed);
}

#[test]
fn silence_dns_and_blocked_udp_are_told_apart() {
    // UDP is not answered, TCP at the same port is.
    let listener = TcpListener::bind("127.0.0.45:0").expect("loopback");
    let address = listener.local_addr().expect("bound");
    let _silent = UdpSocket::bind(address).expect("loopback");
    let found = classify(vec![named(address)]).found(&Cancel::new()).expect("loopback");
    let connectivity = found.families[0].report.connectivity;
    assert_eq!(
        (connectivity.value, connectivity.reason),
        (Connectivity::UdpBlocked, Some(Reason::UdpBlocked))
    );
    assert_eq!(found.families[0].numbers.nat_type, 7);

    let silent = UdpSocket::bind("127.0.0.46:0").expect("loopback");
    let servers = vec![named(silent.local_addr().expect("bound"))];
    let found = classify(servers).found(&Cancel::new()).expect("loopback");
    let connectivity = found.families[0].report.connectivity;
    assert_eq!(
        (connectivity.value, connectivity.reason),
        (Connectivity::NoReply, Some(Reason::OneSilentServer))
    );
    assert_eq!((found.families[0].numbers.nat_type, found.families[0].numbers.assumed), (5, true));

    // Loopback reaches nothing beyond this machine: the kernel refuses at once.
    let began = Instant::now();
    let found = classify(vec![named("203.0.113.1:3478".parse().expect("an address"))]).found(&Cancel::new());
    let connectivity = found.expect("sockets of loopback").families[0].report.connectivity;
    assert_eq!((connectivity.value, connectivity.reason), (Connectivity::NoRoute, Some(Reason::NoRoute)));
    assert!(began.elapsed() < Duration::from_secs(1), "a refusal is not waited for");

    let nobody = Classify { unresolved: vec!["stun.example.net".into()], ..classify(Vec::new()) };
    let found = nobody.found(&Cancel::new()).expect("nothing is sent");
    assert_eq!(found.families[0].report.connectivity.value, Connectivity::DnsFailed);
}

#[test]
fn a_closed_port_is_a_refusal_and_no_silence() {
    // Bound and closed again.
    let closed = UdpSocket::bind("127.0.0.48:0").expect("loopback").local_addr().expect("bound");
    let found = classify(vec![named(closed)]).found(&Cancel::new()).expect("loopback");
    let report = &found.families[0].report;
    assert_eq!(
        (report.connectivity.value, report.connectivity.reason),
        (Connectivity::NoReply, Some(Reason::ServerRefused))
    );
    assert!(found.families[0].numbers.assumed);

    let server = LoopbackServer::start(["127.0.0.49", "127.0.0.50"], None).expect("loopback");
    let found =
        classify(vec![named(closed), named(server.address())]).found(&Cancel::new()).expect("loopback");
    let report = &found.families[0].report;
    assert_eq!((report.connectivity.value, report.mapping.value), (Connectivity::Ok, Mapping::None));
    assert!(
        report.servers[0].cannot_test.as_ref().is_some_and(|why| why.contains("refuses")),
        "{:?}",
        report.servers
    );
}

#[test]
fn wrong_options_are_named_and_nothing_is_sent() {
    let at = |texts: &[&str]| texts.iter().map(|t| t.parse().expect("an address")).collect::<Vec<_>>();
    for (locals, code) in [
        (at(&[]), "ERR_ROUTEPOOL_OPTION"),
        (at(&["0.0.0.0"]), "ERR_ROUTEPOOL_OPTION"),
        (at(&["::"]), "ERR_ROUTEPOOL_OPTION"),
        (at(&["224.0.0.1"]), "ERR_ROUTEPOOL_OPTION"),
        (at(&["127.0.0.1", "127.0.0.2"]), "ERR_ROUTEPOOL_OPTION"),
        (at(&["fe80::1"]), "ERR_ROUTEPOOL_OPTION"),
        (at(&["::ffff:127.0.0.1"]), "ERR_ROUTEPOOL_OPTION"),
        (at(&["203.0.113.9"]), "ERR_ROUTEPOOL_NOT_LOCAL"),
    ] {
        let error = Classify { locals, ..classify(Vec::new()) }.found(&Cancel::new()).expect_err(code);
        assert_eq!(error.code(), code, "{error}");
    }
    let short = Classify { lifetime: Some(Duration::from_millis(5)), ..classify(Vec::new()) };
    assert_eq!(short.found(&Cancel::new()).expect_err("too short").option(), Some("lifetimeMaxMs"));
    assert_eq!(Profile::from_name("slow").expect_err("unknown").option(), Some("profile"));
    assert_eq!(Profile::from_name("patient").expect("known").as_str(), "patient");
}

#[test]
fn a_stop_ends_it_with_what_is_known() {
    let silent = UdpSocket::bind("127.0.0.47:0").expect("loopback");
    let servers = vec![named(silent.local_addr().expect("bound"))];
    let cancelled = Cancel::new();
    cancelled.cancel();
    let found = classify(servers).found(&cancelled).expect("loopback");
    let report = &found.families[0].report;
    assert_eq!(report.connectivity.value, Connectivity::Stopped);
    assert_eq!(report.mapping.reason, Some(Reason::Stopped));
}
