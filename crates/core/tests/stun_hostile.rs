//! A million hostile datagrams, and honest clients among them.

use std::net::{SocketAddr, UdpSocket};
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use routepool_core::stun_server::{Config, StunServer};
use routepool_proto::stun::server::Ignored;
use routepool_proto::stun::{self, ReplyBody};
use routepool_udp::{Backend, Options, Socket, Transmit};

const HOSTILE: usize = 1_000_000;

fn server() -> StunServer {
    let addresses = ["127.0.0.1", "127.0.0.2"].map(|ip| ip.parse().expect("an address"));
    StunServer::listen(&Config { addresses: addresses.into(), rfc3489: true, tcp: true, ..Config::default() })
        .expect("loopback")
}

fn message(kind: u16, attributes: &[(u16, &[u8])]) -> Vec<u8> {
    let mut out = stun::binding_request(b"hostile-----").to_vec();
    out[..2].copy_from_slice(&kind.to_be_bytes());
    for (kind, value) in attributes {
        out.extend(kind.to_be_bytes());
        out.extend((value.len() as u16).to_be_bytes());
        out.extend(*value);
        out.resize(out.len().next_multiple_of(4), 0);
    }
    let length = (out.len() - 20) as u16;
    out[2..4].copy_from_slice(&length.to_be_bytes());
    out
}

/// What is changed at random: whole messages of each kind, each feature, and answers of the server itself.
fn corpus(server: &StunServer) -> Vec<Vec<u8>> {
    let ask = |bytes: &[u8]| {
        let socket = UdpSocket::bind("127.0.0.9:0").expect("loopback");
        socket.set_read_timeout(Some(Duration::from_secs(5))).expect("a time-out");
        socket.send_to(bytes, server.address()).expect("sent");
        let mut buffer = [0; 2_000];
        let (len, _) = socket.recv_from(&mut buffer).expect("an answer");
        buffer[..len].to_vec()
    };
    let requests = [
        message(1, &[]),
        message(1, &[(3, &[0, 0, 0, 6])]),
        message(1, &[(0x27, &[0x12, 0x34, 0, 0])]),
        message(1, &[(0x26, &[0; 400])]),
        message(1, &[(0x7abc, b"what"), (0x7abd, b"is"), (0x7abe, b"this")]),
        message(1, &[(6, b"user:name"), (8, &[0; 20]), (0x8028, &[1, 2, 3, 4])]),
        message(1, &[(0x8022, &[0xff; 700])]),
    ];
    let mut all =
        vec![vec![], vec![0; 20], vec![0xff; 1_400], b"GET / HTTP/1.1\r\nHost: me\r\n\r\n".to_vec()];
    all.extend([message(0x0101, &[]), message(0x0111, &[]), message(0x0011, &[]), message(3, &[])]);
    // Replies to be played back; that to RESPONSE-PORT goes elsewhere.
    all.extend([0, 1, 3, 4].map(|at| ask(&requests[at])));
    all.extend(requests);
    all
}

/// Changes a message: nothing, some bytes, its end, its length, or its type.
fn change(random: &mut StdRng, bytes: &mut Vec<u8>) {
    match random.random_range(0..6) {
        0 => {}
        1 | 2 => {
            for _ in 0..random.random_range(1..5) {
                if let Some(at) = (!bytes.is_empty()).then(|| random.random_range(0..bytes.len())) {
                    bytes[at] = random.random();
                }
            }
        }
        3 => bytes.truncate(random.random_range(0..=bytes.len())),
        4 if bytes.len() >= 4 => bytes[2..4].copy_from_slice(&random.random::<u16>().to_be_bytes()),
        4 => bytes.extend([0; 8]),
        _ => bytes.extend((0..random.random_range(1..40)).map(|_| random.random::<u8>())),
    }
}

/// Sends them all; `turn` is told now and then, so that honest clients come all along.
fn flood(server: &StunServer, corpus: &[Vec<u8>], random: &mut StdRng, turn: &Sender<()>) {
    let options = Options { receive_buffer: 4_096, ..Options::wildcard(false) };
    let mut socket = Socket::open(Backend::best(), &options).expect("a socket");
    let targets: Vec<SocketAddr> = server.endpoints().iter().map(|e| e.local).collect();
    let (mut sent, mut round) = (0, 0_u32);
    while sent < HOSTILE {
        round += 1;
        if round.is_multiple_of(8) {
            turn.send(()).expect("the honest clients");
        }
        let batch: Vec<Vec<u8>> = (0..64)
            .map(|_| {
                let mut bytes = corpus[random.random_range(0..corpus.len())].clone();
                change(random, &mut bytes);
                bytes
            })
            .collect();
        let transmits: Vec<_> = batch
            .iter()
            .map(|bytes| Transmit {
                // Some say that they come from the server's own address.
                source: Some(std::net::Ipv4Addr::from(0x7f00_0001 + random.random_range(0..200_u32)).into()),
                destination: targets[random.random_range(0..targets.len())],
                bytes,
            })
            .collect();
        sent += socket.send(&transmits).0;
        // The answers fill our own buffer, and are lost there.
        let _ = socket.receive(|_| ());
    }
}

/// An honest client repeats its request, as RFC 8489 has it; gives whether it was answered, and whether at once.
fn ask(server: &StunServer, number: u32) -> (bool, bool) {
    let socket = UdpSocket::bind("127.0.1.1:0").expect("loopback");
    socket.set_read_timeout(Some(Duration::from_millis(100))).expect("a time-out");
    let mut id = *b"honest------";
    id[8..].copy_from_slice(&number.to_be_bytes());
    for attempt in 0..7 {
        socket.send_to(&stun::binding_request(&id), server.address()).expect("sent");
        let mut buffer = [0; 500];
        let Ok((len, _)) = socket.recv_from(&mut buffer) else { continue };
        let reply = stun::read_reply(&buffer[..len]).expect("a reply");
        assert_eq!(reply.id, id);
        assert_eq!(reply.body, ReplyBody::Mapped(socket.local_addr().expect("bound")));
        return (true, attempt == 0);
    }
    (false, false)
}

/// Pages of memory that this process holds.
fn resident() -> Option<usize> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    text.split(' ').nth(1)?.parse().ok()
}

#[test]
fn a_million_hostile_datagrams_change_nothing_for_honest_clients() {
    let server = server();
    let corpus = corpus(&server);
    let mut random = StdRng::seed_from_u64(7);
    ask(&server, 0);
    let before = resident();
    let (turn, turns) = channel();
    let (asked, answered, at_once) = std::thread::scope(|scope| {
        let honest = scope.spawn(|| {
            let (mut asked, mut answered, mut at_once) = (0, 0, 0);
            for () in turns {
                asked += 1;
                let (is_answered, first) = ask(&server, asked);
                answered += u32::from(is_answered);
                at_once += u32::from(first);
            }
            (asked, answered, at_once)
        });
        flood(&server, &corpus, &mut random, &turn);
        drop(turn);
        honest.join().expect("no panic")
    });
    assert!(asked > 1_000, "{asked}");
    let counters = server.counters();
    println!(
        "{answered} of {asked} honest clients answered, {at_once} at the first request; {} datagrams received, {} replies, {} ignored, {} dropped by the kernel",
        counters.requests,
        counters.replies,
        counters.ignored(),
        counters.drops
    );
    assert!(answered * 100 >= asked * 99, "{answered} of {asked}");
    for why in [Ignored::NotStun, Ignored::WrongLength, Ignored::NotARequest, Ignored::WrongFingerprint] {
        assert!(counters.ignored_for(why) > 1_000, "{}", why.as_str());
    }
    if let (Some(before), Some(after)) = (before, resident()) {
        // Some MiB at most: buffers that were never touched before, not something for each datagram.
        assert!(after.saturating_sub(before) < 2_048, "{before} pages before, {after} after");
    }
}

/// RESPONSE-PORT lets a client have a reply sent to another server at its own address: there it must end.
#[test]
fn two_servers_do_not_talk_to_each_other() {
    let (mut one, mut other) = (server(), server());
    let client = UdpSocket::bind("127.0.0.1:0").expect("loopback");
    client.set_read_timeout(Some(Duration::from_secs(5))).expect("a time-out");
    for (asked, aimed) in [(&one, &other), (&other, &one)] {
        let port = aimed.address().port().to_be_bytes();
        for _ in 0..100 {
            client.send_to(&message(1, &[(0x27, &[port[0], port[1], 0, 0])]), asked.address()).expect("sent");
        }
        // Once both have answered this, all before is done.
        for server in [asked, aimed] {
            client.send_to(&message(1, &[]), server.address()).expect("sent");
            client.recv_from(&mut [0; 500]).expect("an answer");
        }
    }
    one.stop();
    other.stop();
    for counters in [one.counters(), other.counters()] {
        assert_eq!((counters.requests, counters.replies), (100 + 100 + 2, 100 + 2));
        assert_eq!(counters.ignored_for(Ignored::NotARequest), 100);
    }
}
