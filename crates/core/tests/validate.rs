//! Whole runs on loopback, against the embedded responder and against servers that misbehave.
#![cfg(target_os = "linux")]

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::num::NonZero;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use routepool_core::Error;
use routepool_core::discovery::servers::Resolved;
use routepool_core::validate::{Backend, Plan, Request, Run, Summary};
use routepool_proto::sweep::{RECORD_LEN, Status};
use routepool_testkit::{Answer, ScriptedServer, has_ipv6_loopback};

fn request(block: &str) -> Request {
    Request { blocks: vec![block.into()], ..Request::default() }
}

fn loopback() -> SocketAddr {
    "127.0.0.1:0".parse().expect("an address")
}

type Records = HashMap<u32, [u8; RECORD_LEN]>;

struct Watched {
    run: Run,
    bell: Receiver<()>,
}

fn start(request: Request) -> Watched {
    let plan = Plan::new(request).expect("a plan");
    let servers = plan.servers().iter().map(|(text, server)| Resolved {
        name: text.clone(),
        address: server.to_string().parse().expect("the tests name servers by address"),
    });
    let servers = servers.collect();
    let (ring, bell) = channel();
    Watched { run: plan.start(servers, Arc::new(move || _ = ring.send(()))).expect("a run"), bell }
}

impl Watched {
    /// All records by index, and the summary.
    fn finish(&self) -> (Records, Result<Arc<Summary>, Arc<Error>>) {
        let mut records = HashMap::new();
        let mut buffer = vec![0; RECORD_LEN * 500];
        loop {
            let result = self.run.result();
            let len = self.run.drain(&mut buffer);
            for record in buffer[..len].chunks_exact(RECORD_LEN) {
                let record: [u8; RECORD_LEN] = record.try_into().expect("whole");
                let index = u32::from_le_bytes(record[32..36].try_into().expect("four"));
                assert!(records.insert(index, record).is_none(), "source {index} was judged twice");
            }
            match result {
                Some(result) if len == 0 => return (records, result),
                _ if len > 0 => {}
                _ => self.bell.recv_timeout(Duration::from_secs(60)).expect("the bell rings"),
            }
        }
    }
}

fn counts(records: &Records, status: Status) -> usize {
    records.values().filter(|r| r[36] == status as u8).count()
}

#[test]
fn a_loopback_block_is_proven_with_one_socket_and_with_many() {
    for (backend, block, size) in
        [(Backend::Batched, "127.16.0.0/16", 65_536), (Backend::PerSource, "127.17.0.0/21", 2_048)]
    {
        let watched = start(Request { backend: Some(backend), ..request(block) });
        let (records, summary) = watched.finish();
        let summary = summary.expect("a result");
        assert_eq!(
            (counts(&records, Status::Ok), summary.count(Status::Ok)),
            (size, size as u32),
            "{backend:?}"
        );
        assert_eq!((summary.untested, summary.stopped), (0, false));
        let pool = watched.run.pool().expect("a pool");
        assert_eq!(pool.len() as usize, size);
        for k in [0, 1, size as u32 / 2, size as u32 - 1] {
            let ip = pool.at(k).expect("an address");
            assert!(pool.has(ip));
        }
        assert_eq!(pool.at(size as u32), None);
    }
}

#[test]
fn what_servers_do_wrong_is_never_ok() {
    let external: SocketAddr = "198.51.100.7:9".parse().expect("an address");
    for (answer, status) in [
        (Answer::True, Status::Ok),
        (Answer::Repeat(3), Status::Ok),
        (Answer::Mapped(external), Status::Mapped),
        (Answer::Nothing, Status::NoReply),
        (Answer::Bytes(b"HTTP/1.1 400 Bad Request".to_vec()), Status::BadReply),
        (Answer::Cut(24), Status::BadReply),
        (Answer::Cut(0), Status::BadReply),
        (Answer::WrongId(11), Status::NoReply),
        (Answer::WrongId(1), Status::NoReply),
        (Answer::OtherPort, Status::BadReply),
    ] {
        let script = answer.clone();
        // The machine's own address and the first half of the block are treated well.
        let bad = |from: SocketAddr| {
            from.ip().to_string().starts_with("127.20.0.")
                && from.ip() >= std::net::IpAddr::from([127, 20, 0, 128])
        };
        let server = ScriptedServer::start(
            loopback(),
            move |_, from| if bad(from) { script.clone() } else { Answer::True },
        )
        .expect("a server");
        let servers = vec![server.address().to_string()];
        let (records, summary) =
            start(Request { servers, timeout: Some(Duration::from_millis(300)), ..request("127.20.0.0/24") })
                .finish();
        let summary = summary.expect("a result");
        let want = if status == Status::Ok { 256 } else { 128 };
        assert_eq!(counts(&records, status), want, "{answer:?}: {:?}", summary.counts);
        assert_eq!(counts(&records, Status::Ok), if status == Status::Ok { 256 } else { 128 }, "{answer:?}");
    }
}

#[test]
fn a_server_that_is_silent_or_closed_or_unreachable_is_an_error_and_each_another() {
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").expect("loopback");
    let closed = std::net::UdpSocket::bind("127.0.0.1:0").expect("loopback").local_addr().expect("bound");
    // Nobody may connect to a broadcast address (connect(2), EACCES): there is no way, and nothing is sent.
    let unreachable = "127.255.255.255:3478".parse().expect("an address");
    for (server, code) in [
        (silent.local_addr().expect("bound"), "ERR_ROUTEPOOL_SERVER_SILENT"),
        (closed, "ERR_ROUTEPOOL_SERVER_REFUSED"),
        (unreachable, "ERR_ROUTEPOOL_UNREACHABLE"),
    ] {
        let request = Request {
            servers: vec![server.to_string()],
            timeout: Some(Duration::from_millis(200)),
            ..request("127.21.0.0/16")
        };
        let (records, result) = start(request).finish();
        let error = result.expect_err("nothing can be known");
        assert_eq!((error.code(), records.len()), (code, 0), "{error}");
        assert!(error.to_string().contains(&server.to_string()), "{error}");
    }
}

#[test]
fn a_stopped_run_ends_at_once_and_goes_on_from_its_state() {
    let folder = tempfile::tempdir().expect("a folder");
    let state = folder.path().join("sweep.state");
    let asked = |rate| Request { state: Some(state.clone()), rate, seed: None, ..request("127.22.0.0/20") };
    let first = start(asked(Some(4_000.0)));
    while first.run.progress().ok < 500 {
        std::thread::yield_now();
    }
    first.run.stop();
    let (some, summary) = first.finish();
    let summary = summary.expect("a partial result");
    assert!(summary.stopped && summary.untested > 0 && some.len() >= 500);
    drop(first);
    let second = start(asked(None));
    let (all, summary) = second.finish();
    let summary = summary.expect("a result");
    assert_eq!((all.len(), counts(&all, Status::Ok), summary.resumed), (4_096, 4_096, true));
    assert!(
        summary.counters.probes < 4_096 + 200,
        "what was proven is not asked again: {}",
        summary.counters.probes
    );
    let other =
        Plan::new(Request { state: Some(state), ..request("127.23.0.0/20") }).expect_err("another block");
    assert_eq!(other.code(), "ERR_ROUTEPOOL_STATE");
}

#[test]
fn a_sweep_with_a_rate_and_a_state_is_sent_from_a_port_for_each_processor() {
    let folder = tempfile::tempdir().expect("a folder");
    let ports = Arc::new(Mutex::new(HashSet::new()));
    let seen = Arc::clone(&ports);
    let server = ScriptedServer::start(loopback(), move |_, from| {
        if from.ip() != loopback().ip() {
            seen.lock().expect("not poisoned").insert(from.port());
        }
        Answer::True
    })
    .expect("a server");
    let asked = Request {
        servers: vec![server.address().to_string()],
        rate: Some(1e6),
        state: Some(folder.path().join("state")),
        ..request("127.28.0.0/18")
    };
    let (records, summary) = start(asked).finish();
    let summary = summary.expect("a result");
    assert_eq!((counts(&records, Status::Ok), summary.untested), (16_384, 0));
    let processors = std::thread::available_parallelism().map_or(1, NonZero::get).min(4);
    let ports = ports.lock().expect("not poisoned").len();
    // What the server was too slow for is probed again, each time from a new port.
    let lost = summary.counters.probes > 16_384;
    assert!(ports == processors || (lost && ports > processors), "{ports} ports for {processors} processors");
}

#[test]
fn a_large_run_that_is_stopped_in_the_middle_goes_on_with_what_is_left() {
    let folder = tempfile::tempdir().expect("a folder");
    let asked = || Request { state: Some(folder.path().join("state")), ..request("127.48.0.0/14") };
    let first = start(asked());
    while first.run.progress().ok < 10_000 {
        std::thread::yield_now();
    }
    first.run.stop();
    let (some, summary) = first.finish();
    let summary = summary.expect("a partial result");
    assert!(summary.stopped && summary.untested > 0);
    assert_eq!(some.len() as u32 + summary.untested, 262_144, "each verdict was handed on");
    let asked_before = summary.counters.probes;
    drop(first);
    let (all, summary) = start(asked()).finish();
    let summary = summary.expect("a result");
    assert_eq!((all.len(), counts(&all, Status::Ok), summary.resumed), (262_144, 262_144, true));
    let again = summary.counters.probes - 262_144;
    assert!(summary.counters.probes > asked_before && again < 20_000, "{again} were probed again");
}

#[test]
fn a_receiver_that_does_not_read_holds_the_sweep_back() {
    let watched = start(request("127.24.0.0/15"));
    // It comes to rest by itself: when the ring is full.
    let mut last = (0, 0);
    while last.1 < 20 {
        std::thread::sleep(Duration::from_millis(10));
        let decided = watched.run.progress().decided;
        last = if decided == last.0 && decided > 0 { (decided, last.1 + 1) } else { (decided, 0) };
    }
    assert!(last.0 < 16_384 + 4_096, "{} verdicts wait", last.0);
    let (records, summary) = watched.finish();
    assert_eq!((records.len(), summary.expect("a result").count(Status::Ok)), (131_072, 131_072));
}

#[test]
fn ipv6_loopback() {
    if !has_ipv6_loopback("ipv6_loopback") {
        return;
    }
    let (records, _) = start(request("::1")).finish();
    assert_eq!(counts(&records, Status::Ok), 1);
}
