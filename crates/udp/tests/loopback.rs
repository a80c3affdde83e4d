//! Both backends against plain sockets of the standard library, on loopback.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use routepool_testkit::has_ipv6_loopback;
use routepool_udp::{Backend, Endpoints, Options, Socket, Transmit};

fn backends() -> Vec<Backend> {
    if cfg!(target_os = "linux") {
        vec![Backend::Batched, Backend::PerDatagram, Backend::PerSource]
    } else {
        vec![Backend::PerDatagram, Backend::PerSource]
    }
}

fn peer() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback");
    socket.set_read_timeout(Some(Duration::from_secs(5))).expect("a time-out");
    let address = socket.local_addr().expect("bound");
    (socket, address)
}

/// All datagrams that arrive until `count` are there; fails after five seconds.
fn collect(socket: &mut Socket, count: usize) -> Vec<(SocketAddr, IpAddr, Vec<u8>)> {
    let (mut got, start) = (Vec::new(), Instant::now());
    while got.len() < count && start.elapsed() < Duration::from_secs(5) {
        socket.wait(false, Duration::from_millis(100)).expect("wait");
        socket.receive(|r| got.push((r.from, r.to, r.bytes.to_vec()))).expect("receive");
    }
    got
}

// Elsewhere 127.0.0.1 is all there is of loopback.
#[test]
#[cfg(any(target_os = "linux", windows))]
fn each_datagram_leaves_from_its_own_source_and_the_answer_says_where_it_arrived() {
    for backend in backends() {
        let (peer, address) = peer();
        let mut socket = Socket::open(backend, &Options::wildcard(false)).expect("open");
        let sources: Vec<IpAddr> = (1..=150).map(|n| Ipv4Addr::new(127, 9, n, 255 - n).into()).collect();
        let bytes: Vec<[u8; 1]> = (1..=150).map(|n| [n]).collect();
        let transmits: Vec<_> = sources
            .iter()
            .zip(&bytes)
            .map(|(source, bytes)| Transmit { source: Some(*source), destination: address, bytes })
            .collect();
        let (sent, refused) = socket.send(&transmits);
        assert!(refused.is_none(), "{backend:?}: {refused:?}");
        assert_eq!(sent, 150, "more than one batch at once");
        let mut buffer = [0; 64];
        for _ in 0..150 {
            let (len, from) = peer.recv_from(&mut buffer).expect("a datagram");
            assert_eq!(from.ip(), sources[usize::from(buffer[0]) - 1], "{backend:?}");
            peer.send_to(&buffer[..len], from).expect("an answer");
        }
        let answers = collect(&mut socket, 150);
        assert_eq!(answers.len(), 150, "{backend:?}");
        for (from, to, bytes) in answers {
            assert_eq!(from, address);
            assert_eq!(to, sources[usize::from(bytes[0]) - 1], "{backend:?}: delivered to the source");
        }
    }
}

#[test]
#[cfg(any(target_os = "linux", windows))]
fn a_source_that_is_not_ours_is_refused_alone_and_the_rest_goes_on() {
    use routepool_udp::Refused;
    for backend in backends() {
        let step = if backend == Backend::PerSource { Refused::Bind } else { Refused::Send };
        let (peer, address) = peer();
        let mut socket = Socket::open(backend, &Options::wildcard(false)).expect("open");
        let sources: Vec<IpAddr> = ["127.0.0.5", "203.0.113.77", "127.0.0.6"]
            .iter()
            .map(|s| s.parse().expect("an address"))
            .collect();
        let transmits: Vec<_> = sources
            .iter()
            .map(|s| Transmit { source: Some(*s), destination: address, bytes: b"x" })
            .collect();
        let (sent, refused) = socket.send(&transmits);
        let refused = refused.expect("203.0.113.77 is not on this machine");
        assert_eq!((sent, refused.refused), (1, step), "{backend:?}: {refused:?}");
        assert!(!routepool_udp::errno::is_transient(&refused.error));
        let (sent, refused) = socket.send(&transmits[2..]);
        assert!(sent == 1 && refused.is_none());
        let mut buffer = [0; 8];
        let seen: Vec<_> = (0..2).map(|_| peer.recv_from(&mut buffer).expect("a datagram").1.ip()).collect();
        assert_eq!(seen, [sources[0], sources[2]]);
    }
}

#[test]
fn a_bound_socket_answers_from_its_address() {
    for backend in backends() {
        let mut server =
            Socket::open(backend, &Options::bound("127.0.0.1:0".parse().expect("an address"))).expect("open");
        let address = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), server.local_port());
        let (client, client_address) = peer();
        client.send_to(b"hello", address).expect("send");
        let got = collect(&mut server, 1);
        assert_eq!(got, [(client_address, address.ip(), b"hello".to_vec())], "{backend:?}");
        let (sent, refused) = server.send(&[Transmit {
            source: Some(address.ip()),
            destination: client_address,
            bytes: b"world",
        }]);
        assert!(sent == 1 && refused.is_none());
        let mut buffer = [0; 8];
        let (len, from) = client.recv_from(&mut buffer).expect("an answer");
        assert_eq!((&buffer[..len], from), (&b"world"[..], address), "{backend:?}");
    }
}

#[test]
fn nothing_to_receive_is_no_error_and_a_wait_ends() {
    for backend in backends() {
        let mut socket = Socket::open(backend, &Options::wildcard(false)).expect("open");
        assert_eq!(socket.receive(|_| ()).expect("receive"), 0);
        let ready = socket.wait(false, Duration::from_millis(5)).expect("wait");
        assert!(!ready.readable, "{backend:?}");
    }
}

/// Also where each of them is many.
#[test]
fn of_several_sockets_those_that_can_be_read_are_told() {
    let (peer, address) = peer();
    for backend in backends() {
        let mut sockets = [(); 3].map(|()| Socket::open(backend, &Options::wildcard(false)).expect("open"));
        let mut askers = Vec::new();
        for socket in &mut sockets {
            let source = Some(Ipv4Addr::LOCALHOST.into());
            let (sent, refused) = socket.send(&[Transmit { source, destination: address, bytes: b"x" }]);
            assert!(sent == 1 && refused.is_none(), "{backend:?}: {refused:?}");
            askers.push(peer.recv_from(&mut [0; 8]).expect("a datagram").1);
        }
        let mut readable = Vec::new();
        Socket::wait_any(&mut sockets, Duration::from_millis(1), &mut readable).expect("wait");
        assert_eq!(readable, [false; 3], "{backend:?}");
        peer.send_to(b"y", askers[1]).expect("loopback");
        Socket::wait_any(&mut sockets, Duration::from_secs(5), &mut readable).expect("wait");
        assert_eq!(readable, [false, true, false], "{backend:?}");
        assert_eq!(sockets[1].receive(|_| ()).expect("receive"), 1, "{backend:?}");
        Socket::wait_any(&mut sockets, Duration::ZERO, &mut readable).expect("wait");
        assert_eq!(readable, [false; 3], "{backend:?}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn the_kernel_tells_what_it_granted_and_what_it_dropped() {
    let options = Options { receive_buffer: 1, ..Options::wildcard(false) };
    let mut socket = Socket::open(Backend::Batched, &options).expect("open");
    let granted = socket.receive_buffer();
    assert!((1..65_536).contains(&granted), "the smallest buffer there is, read back: {granted}");
    let (peer, _) = peer();
    let to = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), socket.local_port());
    for _ in 0..200 {
        peer.send_to(&[0; 32], to).expect("send");
    }
    let (mut got, mut rounds) = (0, 0);
    while rounds < 50 {
        got += socket.receive(|_| ()).expect("receive");
        rounds += 1;
    }
    assert_eq!(socket.drops() as usize + got, 200, "each datagram was received or counted as dropped");
    assert!(socket.drops() > 0);
}

#[test]
#[cfg(target_os = "linux")]
fn an_unknown_interface_is_refused_when_opening() {
    for backend in backends() {
        let options = Options { interface: Some("no-such-if0".into()), ..Options::wildcard(false) };
        let error = match Socket::open(backend, &options) {
            // With a socket per source the first send tells.
            Ok(mut socket) => {
                let transmit = Transmit {
                    source: Some(Ipv4Addr::LOCALHOST.into()),
                    destination: "127.0.0.1:9".parse().expect("an address"),
                    bytes: b"x",
                };
                socket.send(&[transmit]).1.expect("refused").error
            }
            Err(error) => error,
        };
        assert_eq!(error.raw_os_error(), Some(19), "{backend:?}: ENODEV, not {error}");
    }
}

#[test]
fn ipv6_loopback() {
    if !has_ipv6_loopback("ipv6_loopback") {
        return;
    }
    let peer = UdpSocket::bind("[::1]:0").expect("loopback");
    peer.set_read_timeout(Some(Duration::from_secs(5))).expect("a time-out");
    let address = peer.local_addr().expect("bound");
    for backend in backends() {
        let options = Options { freebind: true, ..Options::wildcard(true) };
        let mut socket = Socket::open(backend, &options).expect("open");
        let source: IpAddr = "::1".parse().expect("an address");
        let (sent, refused) =
            socket.send(&[Transmit { source: Some(source), destination: address, bytes: b"six" }]);
        assert!(sent == 1 && refused.is_none(), "{refused:?}");
        let mut buffer = [0; 8];
        let (len, from) = peer.recv_from(&mut buffer).expect("a datagram");
        peer.send_to(&buffer[..len], from).expect("an answer");
        let got = collect(&mut socket, 1);
        assert_eq!((got[0].0, got[0].1), (address, source), "{backend:?}");
    }
}

/// A server's sockets, by each way: the batches of Linux, and a datagram a call, which is all that other systems have.
#[test]
fn endpoints_answer_from_where_they_are_bound_and_are_read_to_their_end() {
    const BURST: usize = 150;
    for backend in backends() {
        let options = [Options::bound("127.0.0.1:0".parse().expect("an address")), {
            let two = if cfg!(any(target_os = "linux", windows)) { "127.0.0.2:0" } else { "127.0.0.1:0" };
            Options { batch: 16, ..Options::bound(two.parse().expect("an address")) }
        }];
        let mut endpoints = Endpoints::open(backend, &options).expect("open");
        let places = [endpoints.local(0), endpoints.local(1)];
        assert!(places[0].port() != 0 && places[0] != places[1], "{backend:?}: {places:?}");
        assert!(endpoints.receive_buffer() > 0);
        let (peer, address) = peer();
        // More than a batch at one of them before the first wait, so that one wait tells of several reads.
        for n in 0..BURST {
            peer.send_to(&[n as u8], places[n % 2]).expect("loopback");
        }
        let (mut readable, mut got, start) = (Vec::new(), Vec::new(), Instant::now());
        while got.len() < BURST && start.elapsed() < Duration::from_secs(5) {
            endpoints.wait(Duration::from_millis(100), &mut readable).expect("wait");
            for number in readable.clone() {
                endpoints
                    .receive(number, |r| {
                        assert_eq!(
                            (r.from, r.to, r.port),
                            (address, places[number].ip(), places[number].port())
                        );
                        got.push((number, r.bytes.to_vec()));
                    })
                    .expect("receive");
            }
        }
        got.sort_by_key(|(_, bytes)| bytes[0]);
        let want: Vec<_> = (0..BURST).map(|n| (n % 2, vec![n as u8])).collect();
        assert_eq!(got, want, "{backend:?}");
        for (number, place) in places.iter().enumerate() {
            let bytes = [number as u8];
            let answers = [Transmit { source: None, destination: address, bytes: &bytes }; 3];
            endpoints.wait_writable(number, Duration::from_secs(1)).expect("wait");
            let (sent, refused) = endpoints.send(number, &answers);
            assert!(refused.is_none() && sent == 3, "{backend:?}: {refused:?}");
            for _ in 0..3 {
                let mut buffer = [0; 64];
                let (len, from) = peer.recv_from(&mut buffer).expect("an answer");
                assert_eq!((from, &buffer[..len]), (*place, &bytes[..]), "{backend:?}");
            }
        }
        // What is read to its end is told of once more at most; then a wait is a wait.
        endpoints.wait(Duration::ZERO, &mut readable).expect("wait");
        for number in readable.clone() {
            assert_eq!(endpoints.receive(number, |_| unreachable!("nothing is left")).expect("receive"), 0);
        }
        endpoints.wait(Duration::ZERO, &mut readable).expect("wait");
        assert!(readable.is_empty(), "{backend:?}: {readable:?}");
        assert_eq!(endpoints.drops(), 0);
    }
}

#[test]
fn an_endpoint_that_is_taken_is_refused_with_its_number() {
    for backend in backends() {
        let (_peer, taken) = peer();
        let free = Options::bound("127.0.0.1:0".parse().expect("an address"));
        let (number, error) = Endpoints::open(backend, &[free, Options::bound(taken)]).expect_err("taken");
        assert_eq!((number, error.kind()), (1, std::io::ErrorKind::AddrInUse), "{backend:?}");
        if backend != Backend::Batched {
            let shared =
                Options { share_port: true, ..Options::bound("127.0.0.1:0".parse().expect("an address")) };
            let (_, error) = Endpoints::open(backend, &[shared]).expect_err("one thread only");
            assert_eq!(error.kind(), std::io::ErrorKind::Unsupported);
        }
    }
}
