//! On loopback, where 127.0.0.1 and 127.0.0.2 are two addresses.

use routepool_proto::stun::server::Ignored;
use routepool_proto::stun::{self, ReplyBody};
use std::io::{Read, Write};
use std::net::{IpAddr, TcpStream, UdpSocket};
use std::time::Duration;

use super::*;
use crate::runtime::Lease;

#[test]
fn answers_binding_requests_and_nothing_else() {
    let mut server = StunServer::start("127.0.0.1:0".parse().expect("an address")).expect("loopback");
    let client = UdpSocket::bind("127.0.0.77:0").expect("loopback");
    client.set_read_timeout(Some(Duration::from_secs(5))).expect("a time-out");
    client.send_to(b"GET / HTTP/1.0\r\n\r\n", server.address()).expect("send");
    let id = *b"abcdefghijkl";
    client.send_to(&stun::binding_request(&id), server.address()).expect("send");
    let mut buffer = [0; 200];
    let (len, from) = client.recv_from(&mut buffer).expect("an answer");
    assert_eq!(from, server.address());
    let reply = stun::read_reply(&buffer[..len]).expect("a STUN reply");
    assert_eq!(reply.id, id);
    assert!(matches!(reply.body, ReplyBody::Mapped(a) if a == client.local_addr().expect("bound")));
    server.stop();
    server.stop();
    let counters = server.counters();
    assert_eq!((counters.requests, counters.replies, counters.ignored()), (2, 1, 1));
}

#[test]
fn a_busy_port_and_an_address_of_more_than_one_host_are_refused() {
    let first = StunServer::start("127.0.0.1:0".parse().expect("an address")).expect("loopback");
    let error = StunServer::start(first.address()).expect_err("in use");
    assert!(matches!(&error, Error::System { syscall: "bind", .. }), "{error}");
    for (address, kind) in [
        ("0.0.0.0:0", "wildcard"),
        ("[::]:0", "wildcard"),
        ("224.0.0.1:0", "multicast"),
        ("[ff02::1]:0", "multicast"),
        ("[::ffff:127.0.0.1]:0", "name 127.0.0.1"),
        ("[fe80::1]:0", "link-local"),
        ("255.255.255.255:0", "broadcast"),
        #[cfg(target_os = "linux")]
        ("127.255.255.255:0", "broadcast"),
    ] {
        let error = StunServer::start(address.parse().expect("an address")).expect_err(kind);
        assert_eq!(error.option(), Some("address"));
        assert!(error.to_string().contains(kind), "{error}");
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn two() -> Config {
    Config { addresses: vec![ip("127.0.0.1"), ip("127.0.0.2")], ..Config::default() }
}

fn client() -> UdpSocket {
    let client = UdpSocket::bind("127.0.0.77:0").expect("loopback");
    client.set_read_timeout(Some(Duration::from_secs(5))).expect("a time-out");
    client
}

/// A request with one attribute.
fn request(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut out = stun::binding_request(b"abcdefghijkl").to_vec();
    out.extend(kind.to_be_bytes());
    out.extend((value.len() as u16).to_be_bytes());
    out.extend(value);
    let length = (out.len() - 20) as u16;
    out[2..4].copy_from_slice(&length.to_be_bytes());
    out
}

#[test]
fn each_of_four_endpoints_answers_from_each() {
    for workers in [1, if cfg!(target_os = "linux") { 2 } else { 1 }] {
        let server = StunServer::listen(&Config { workers, ..two() }).expect("loopback");
        let endpoints: Vec<_> = server.endpoints().iter().map(|e| e.local).collect();
        assert_eq!(endpoints.len(), 4);
        assert_eq!((endpoints[0].ip(), endpoints[0].port()), (endpoints[1].ip(), endpoints[2].port()));
        assert!(endpoints[0].ip() != endpoints[3].ip() && endpoints[0].port() != endpoints[3].port());
        for (at, asked) in endpoints.iter().enumerate() {
            for (flags, differs) in [(0, 0), (2, 1), (4, 2), (6, 3)] {
                let client = client();
                client.send_to(&request(3, &[0, 0, 0, flags]), asked).expect("send");
                let mut buffer = [0; 500];
                let (len, from) = client.recv_from(&mut buffer).expect("an answer");
                assert_eq!(from, endpoints[at ^ differs], "asked at {asked} with {flags}");
                let reply = stun::read_reply(&buffer[..len]).expect("a STUN reply");
                assert_eq!(reply.body, ReplyBody::Mapped(client.local_addr().expect("bound")));
            }
        }
        drop(server);
        assert!(UdpSocket::bind(endpoints[3]).is_ok(), "the sockets are closed");
    }
}

#[test]
fn response_port_goes_to_another_socket_of_the_client() {
    let server = StunServer::listen(&two()).expect("loopback");
    let (client, other) = (client(), UdpSocket::bind("127.0.0.77:0").expect("loopback"));
    other.set_read_timeout(Some(Duration::from_secs(5))).expect("a time-out");
    let port = other.local_addr().expect("bound").port().to_be_bytes();
    client.send_to(&request(0x27, &[port[0], port[1], 0, 0]), server.address()).expect("send");
    let mut buffer = [0; 500];
    let (len, _) = other.recv_from(&mut buffer).expect("an answer");
    let reply = stun::read_reply(&buffer[..len]).expect("a STUN reply");
    assert_eq!(reply.body, ReplyBody::Mapped(client.local_addr().expect("bound")));
}

#[test]
fn padding_longer_than_an_mtu_comes_back_and_the_next_answer_is_short() {
    let server = StunServer::listen(&two()).expect("loopback");
    let client = client();
    let padded = request(0x26, &[0; 1_600]);
    let mut buffer = [0; 9_000];
    client.send_to(&padded, server.address()).expect("send");
    let (len, _) = client.recv_from(&mut buffer).expect("an answer");
    assert!(len > 1_500 && len <= padded.len(), "{len}");
    client.send_to(&stun::binding_request(b"abcdefghijkl"), server.address()).expect("send");
    let (len, _) = client.recv_from(&mut buffer).expect("an answer");
    assert_eq!(len, 20 + 4 * 12);
}

#[test]
fn what_is_advertised_is_what_clients_are_told() {
    let advertise = vec![ip("198.51.100.1"), ip("198.51.100.2")];
    let server = StunServer::listen(&Config { advertise, ..two() }).expect("loopback");
    let seen: Vec<_> = server.endpoints().iter().map(|e| e.seen.ip().to_string()).collect();
    assert_eq!(seen, ["198.51.100.1", "198.51.100.1", "198.51.100.2", "198.51.100.2"]);
    let client = client();
    client.send_to(&stun::binding_request(b"abcdefghijkl"), server.address()).expect("send");
    let mut buffer = [0; 500];
    let (len, from) = client.recv_from(&mut buffer).expect("an answer");
    assert_eq!(from, server.address());
    // OTHER-ADDRESS is the last: family, port, address.
    assert_eq!(buffer[len - 4..len], [198, 51, 100, 2]);
}

#[test]
fn options_that_do_not_go_together_are_named() {
    let own = || two().addresses;
    for (name, option, config) in [
        ("none", "address", Config::default()),
        ("twice", "address", Config { addresses: vec![ip("127.0.0.1"), ip("127.0.0.1")], ..two() }),
        ("three", "address", Config { addresses: [own(), vec![ip("127.0.0.3")]].concat(), ..two() }),
        ("a wildcard", "address", Config { addresses: vec![ip("0.0.0.0")], ..two() }),
        ("too few", "advertise", Config { advertise: vec![ip("192.0.2.1")], ..two() }),
        ("the same", "advertise", Config { advertise: vec![ip("192.0.2.1"), ip("192.0.2.1")], ..two() }),
        (
            "another family",
            "advertise",
            Config { advertise: vec![ip("192.0.2.1"), ip("2001:db8::1")], ..two() },
        ),
        (
            "advertised to nobody",
            "advertise",
            Config { advertise: vec![ip("0.0.0.0"), ip("192.0.2.1")], ..two() },
        ),
        (
            "advertised to a group",
            "advertise",
            Config { advertise: vec![ip("192.0.2.1"), ip("224.0.0.1")], ..two() },
        ),
        (
            "advertised to all",
            "advertise",
            Config { advertise: vec![ip("192.0.2.1"), ip("255.255.255.255")], ..two() },
        ),
        ("the same port", "otherPort", Config { port: 3478, other_port: Some(3478), ..two() }),
        ("no port left", "otherPort", Config { port: 65_535, ..two() }),
        ("no worker", "workers", Config { workers: 0, ..two() }),
        ("no reply at all", "ratePerPrefix", Config { rate_per_prefix: Some(0.0), ..two() }),
    ] {
        let error = StunServer::listen(&config).expect_err(name);
        assert_eq!(error.option(), Some(option), "{name}: {error}");
    }
    let missing = Config { addresses: vec![ip("2001:db8::1")], ..two() };
    assert_eq!(StunServer::listen(&missing).expect_err("not ours").code(), "ERR_ROUTEPOOL_NOT_LOCAL");
}

#[test]
fn a_port_that_is_taken_at_the_second_address_is_an_error_with_its_name() {
    let taken = UdpSocket::bind("127.0.0.2:0").expect("loopback");
    let address = taken.local_addr().expect("bound");
    for workers in [1, if cfg!(target_os = "linux") { 2 } else { 1 }] {
        let config = Config { port: address.port(), other_port: Some(0), workers, ..two() };
        let error = StunServer::listen(&config).expect_err("in use");
        assert!(
            matches!(&error, Error::System { syscall: "bind", address: Some(a), .. } if *a == address),
            "{error}"
        );
    }
}

fn connect(to: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(to).expect("loopback");
    stream.set_read_timeout(Some(Duration::from_secs(5))).expect("a time-out");
    stream
}

/// One message of a connection.
fn read_message(stream: &mut TcpStream) -> Vec<u8> {
    let mut message = vec![0; 20];
    stream.read_exact(&mut message).expect("a header");
    let len = 20 + usize::from(u16::from_be_bytes([message[2], message[3]]));
    message.resize(len, 0);
    stream.read_exact(&mut message[20..]).expect("the rest");
    message
}

#[test]
fn over_tcp_each_endpoint_answers_message_after_message() {
    let server = StunServer::listen(&Config { tcp: true, ..two() }).expect("loopback");
    for endpoint in server.endpoints() {
        let mut stream = connect(endpoint.local);
        let own = stream.local_addr().expect("bound");
        // Two at once and in pieces: a message ends where its header says.
        let bytes = [stun::binding_request(b"abcdefghijkl"), stun::binding_request(b"mnopqrstuvwx")].concat();
        for piece in bytes.chunks(7) {
            stream.write_all(piece).expect("written");
        }
        for id in [b"abcdefghijkl", b"mnopqrstuvwx"] {
            let reply = stun::read_reply(&read_message(&mut stream)).expect("a reply");
            assert_eq!((&reply.id, reply.body), (id, ReplyBody::Mapped(own)));
        }
        // Nothing about the way back can be changed.
        stream.write_all(&request(3, &[0, 0, 0, 6])).expect("written");
        let reply = stun::read_reply(&read_message(&mut stream)).expect("a reply");
        assert_eq!(reply.body, ReplyBody::Error(420));
    }
    let counters = server.counters();
    assert_eq!((counters.connections, counters.requests, counters.replies, counters.errors), (4, 12, 12, 4));
}

#[test]
fn over_tcp_what_is_no_request_ends_the_connection_and_a_stop_ends_all() {
    let mut server = StunServer::listen(&Config { tcp: true, ..two() }).expect("loopback");
    let too_long = [&[0, 1, 0xff, 0xfc][..], &[0x21, 0x12, 0xa4, 0x42], &[0; 12]].concat();
    let mut response = stun::binding_request(b"abcdefghijkl").to_vec();
    response[0] = 1;
    for bytes in [b"GET / HTTP/1.0\r\n\r\n and more than a header".to_vec(), too_long, response] {
        let mut stream = connect(server.address());
        stream.write_all(&bytes).expect("written");
        // The end, or a reset where bytes were left unread.
        assert!(stream.read(&mut [0; 100]).map_or(true, |read| read == 0));
    }
    assert_eq!((server.counters().ignored(), server.counters().replies), (3, 0));
    let mut idle = connect(server.address());
    idle.write_all(&stun::binding_request(b"abcdefghijkl")).expect("written");
    read_message(&mut idle);
    server.stop();
    assert!(idle.read(&mut [0; 100]).map_or(true, |read| read == 0));
    assert!(TcpStream::connect(server.address()).is_err(), "nobody listens any more");
}

#[test]
fn a_stop_closes_each_connection_whatever_it_is_at_and_a_task_may_call_it() {
    let runtime = Lease::take().expect("threads");
    for by_task in [false, true] {
        let mut server = StunServer::listen(&Config { tcp: true, ..two() }).expect("loopback");
        let endpoints: Vec<_> = server.endpoints().iter().map(|e| e.local).collect();
        let mut streams = Vec::new();
        for endpoint in &endpoints {
            // Silent, in the middle of a message, and between two.
            for bytes in [&[][..], &[0, 1, 0], &stun::binding_request(b"abcdefghijkl")] {
                let mut stream = connect(*endpoint);
                stream.write_all(bytes).expect("written");
                if bytes.len() == 20 {
                    read_message(&mut stream);
                }
                streams.push(stream);
            }
        }
        if by_task {
            let stop = runtime.spawn(async move { server.stop() });
            runtime.block_on(stop).expect("no panic");
        } else {
            server.stop();
            assert_eq!(server.counters().connections, 12);
            for endpoint in &endpoints {
                assert!(TcpStream::connect(endpoint).is_err(), "nobody listens at {endpoint}");
            }
        }
        for mut stream in streams {
            assert!(stream.read(&mut [0; 100]).map_or(true, |read| read == 0));
        }
    }
}

#[test]
fn one_address_cannot_take_all_connections() {
    let mut server = StunServer::listen(&Config { tcp: true, ..two() }).expect("loopback");
    let mut kept: Vec<_> = (0..crate::defaults::TCP_PER_ADDRESS).map(|_| connect(server.address())).collect();
    let last = kept.last_mut().expect("some");
    last.write_all(&stun::binding_request(b"abcdefghijkl")).expect("written");
    read_message(last);
    let mut refused = connect(server.address());
    assert!(refused.read(&mut [0; 100]).map_or(true, |read| read == 0));
    server.stop();
    let counters = server.counters();
    assert_eq!((counters.connections, counters.refused), (crate::defaults::TCP_PER_ADDRESS as u64, 1));
}

#[test]
fn only_those_allowed_are_answered_and_the_others_are_counted() {
    let allow = vec!["127.0.0.64/26".parse().expect("a block")];
    let mut server = StunServer::listen(&Config { allow, tcp: true, ..two() }).expect("loopback");
    let stranger = UdpSocket::bind("127.0.0.9:0").expect("loopback");
    stranger.send_to(&stun::binding_request(b"abcdefghijkl"), server.address()).expect("send");
    let friend = client();
    friend.send_to(&stun::binding_request(b"abcdefghijkl"), server.address()).expect("send");
    friend.recv_from(&mut [0; 500]).expect("an answer");
    let mut refused = connect(server.address());
    assert!(refused.read(&mut [0; 100]).map_or(true, |read| read == 0));
    server.stop();
    let counters = server.counters();
    assert_eq!((counters.ignored_for(Ignored::NotAllowed), counters.replies), (1, 1));
    assert_eq!((counters.connections, counters.refused), (0, 1));
}
