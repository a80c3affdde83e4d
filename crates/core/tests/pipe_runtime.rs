//! Linux: which users start the runtime of the process and that it ends with the last; and tables of sockets that end in the
//! middle of everything. In a process of its own, since its threads are counted.
#![cfg(target_os = "linux")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use routepool_core::defaults::RUNTIME_THREADS;
use routepool_core::pipe::{Kind, Settings, Sockets};
use routepool_core::stun_server::{Config, StunServer};

/// One at a time: each counts the threads of the process.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn runtime_threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").expect("threads");
    // One that ends meanwhile has no name any more.
    let names = tasks.flatten().map(|task| std::fs::read_to_string(task.path().join("comm")));
    names.flatten().filter(|name| name.trim() == "routepool").count()
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < end, "{what}");
        thread::yield_now();
    }
}

/// A kind of record of a socket, as `pipe::record` numbers them.
const ERROR: u8 = 4;
const CONNECTED: u8 = 5;
const DETACHED: u8 = 9;

/// The kinds of the records that wait, with the numbers of their sockets.
fn drain(sockets: &mut Sockets) -> Vec<(u32, u8)> {
    let mut bytes = vec![0; 1 << 20];
    let (end, _) = sockets.drain(&mut bytes, 0);
    let (mut at, mut kinds) = (0, Vec::new());
    let word = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    while at < end {
        let kind = bytes[at + 4];
        kinds.push((word(at), kind));
        let data = if kind <= 2 { word(at + 8) as usize } else { 0 };
        at = (at + 16 + usize::from(bytes[at + 5]) * 24 + data).next_multiple_of(8);
    }
    kinds
}

fn settings(kind: Kind, remote: Option<SocketAddr>) -> Settings {
    let mut settings = Settings::new(kind);
    settings.local = if remote.is_none() { "127.0.0.1:0".parse().ok() } else { None };
    settings.remote = remote;
    settings
}

fn portable() -> Sockets {
    Sockets::portable(|| ()).expect("threads")
}

fn direct() -> Sockets {
    Sockets::direct().expect("descriptors")
}

/// Two connections of the table to somebody who keeps the other ends, relayed.
fn relayed(sockets: &mut Sockets) -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let at = listener.local_addr().ok();
    let ids = [(); 2].map(|()| sockets.open(settings(Kind::Tcp, at)).expect("under way").id);
    let peers = [(); 2].map(|()| listener.accept().expect("a connection").0);
    for (wanted, then) in [(CONNECTED, true), (DETACHED, false)] {
        let mut left = ids.to_vec();
        until("both", || {
            let seen = drain(sockets);
            left.retain(|id| !seen.contains(&(*id, wanted)));
            left.is_empty()
        });
        if then {
            for id in ids {
                sockets.detach(id);
            }
        }
    }
    sockets.relay(ids[0], ids[1]).expect("a relay");
    let [a, b] = peers;
    (a, b)
}

#[test]
fn sockets_of_the_direct_reader_need_no_runtime_until_they_relay() {
    let _alone = alone();
    let mut sockets = direct();
    let peer = UdpSocket::bind("127.0.0.1:0").expect("loopback");
    let opened = sockets.open(settings(Kind::Udp, peer.local_addr().ok())).expect("a socket");
    sockets.open(settings(Kind::Listener, None)).expect("a listener");
    sockets.send(opened.id, b"x").expect("sent");
    let (_, from) = peer.recv_from(&mut [0; 8]).expect("received");
    peer.send_to(b"y", from).expect("sent");
    until("an answer", || drain(&mut sockets).iter().any(|(id, _)| *id == opened.id));
    assert_eq!(runtime_threads(), 0);
    let (mut one, mut other) = relayed(&mut sockets);
    until("the relay has threads", || runtime_threads() == RUNTIME_THREADS);
    one.write_all(b"through").expect("written");
    other.read_exact(&mut [0; 7]).expect("relayed");
    drop(sockets);
    until("the threads end with the table", || runtime_threads() == 0);
    assert!(one.read(&mut [0; 8]).map_or(true, |read| read == 0), "and the relay with it");
}

#[test]
fn the_runtime_ends_with_the_last_user_of_any_kind() {
    let _alone = alone();
    let config = Config { addresses: vec!["127.0.0.1".parse().expect("an address")], ..Config::default() };
    let plain = StunServer::listen(&config).expect("a server");
    assert_eq!(runtime_threads(), 0, "datagrams have threads of their own");
    let mut server = StunServer::listen(&Config { tcp: true, ..config }).expect("a server");
    let (one, two) = (portable(), portable());
    // A thread names itself, once it runs.
    until("it has started", || runtime_threads() == RUNTIME_THREADS);
    drop(one);
    server.stop();
    assert_eq!(runtime_threads(), RUNTIME_THREADS, "one user is left");
    drop(two);
    until("the threads end", || runtime_threads() == 0);
    drop((plain, server));
    assert!(portable().is_empty(), "it can be started again");
    until("and ended", || runtime_threads() == 0);
}

/// Peers that send without a pause until they are dropped.
struct Flood {
    stop: Arc<AtomicBool>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Flood {
    fn start(&mut self, mut work: impl FnMut() + Send + 'static) {
        let stop = Arc::clone(&self.stop);
        self.threads.push(thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                work();
            }
        }));
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.join().expect("no panic");
        }
    }
}

/// A table that is flooded with datagrams, bytes and connections, relays, and connects: dropped after some turns.
fn dropped_amid_everything(mut sockets: Sockets, turns: usize) {
    let mut flood = Flood { stop: Arc::default(), threads: Vec::new() };
    let udp = sockets.open(settings(Kind::Udp, None)).expect("a socket").local;
    let sender = UdpSocket::bind("127.0.0.1:0").expect("loopback");
    flood.start(move || drop(sender.send_to(&[7; 900], udp)));
    let listening = sockets.open(settings(Kind::Listener, None)).expect("a listener").local;
    flood.start(move || drop(TcpStream::connect(listening)));
    let source = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let remote = source.local_addr().ok();
    sockets.open(settings(Kind::Tcp, remote)).expect("under way");
    let mut stream = source.accept().expect("a connection").0;
    stream.set_write_timeout(Some(Duration::from_millis(5))).expect("a time-out");
    flood.start(move || drop(stream.write(&[8; 9_000])));
    let (mut one, other) = relayed(&mut sockets);
    one.set_write_timeout(Some(Duration::from_millis(5))).expect("a time-out");
    flood.start(move || drop(one.write(&[9; 9_000])));
    for _ in 0..turns {
        drain(&mut sockets);
        // One is under way when the table ends.
        let opened = sockets.open(settings(Kind::Tcp, remote)).expect("under way");
        sockets.close(opened.id, true);
        sockets.open(settings(Kind::Udp, remote)).expect("a socket");
        sockets.open(settings(Kind::Tcp, remote)).expect("under way");
    }
    drop(sockets);
    UdpSocket::bind(udp).expect("the port is free");
    assert!(TcpStream::connect(listening).is_err(), "nobody listens");
    drop((flood, other));
}

#[test]
fn a_table_ends_in_the_middle_of_everything() {
    let _alone = alone();
    for turns in 0..20 {
        dropped_amid_everything(portable(), turns);
        dropped_amid_everything(direct(), turns);
    }
    until("the threads end", || runtime_threads() == 0);
}

#[test]
fn each_refused_datagram_is_told() {
    let _alone = alone();
    let nobody = UdpSocket::bind("127.0.0.1:0").expect("loopback").local_addr().ok();
    for mut sockets in [direct(), portable()] {
        let opened = sockets.open(settings(Kind::Udp, nobody)).expect("a socket");
        for time in 0..3 {
            sockets.send(opened.id, b"x").expect("sent");
            until(&format!("error {time}"), || drain(&mut sockets).contains(&(opened.id, ERROR)));
        }
    }
}

#[test]
fn what_comes_behind_urgent_data_is_read_at_once() {
    let _alone = alone();
    let source = TcpListener::bind("127.0.0.1:0").expect("loopback");
    for mut sockets in [direct(), portable()] {
        let id = sockets.open(settings(Kind::Tcp, source.local_addr().ok())).expect("under way").id;
        let peer = socket2::Socket::from(source.accept().expect("a connection").0);
        until("connected", || drain(&mut sockets).contains(&(id, CONNECTED)));
        for time in 0..50 {
            // A read stops at the urgent byte, which is not read itself (tcp(7)).
            peer.send(b"before").expect("sent");
            peer.send_out_of_band(b"!").expect("sent");
            peer.send(b"behind").expect("sent");
            let mut bytes = vec![0; 1 << 16];
            let mut got = 0;
            until(&format!("all of round {time}"), || {
                let (end, _) = sockets.drain(&mut bytes, 0);
                got += bytes[..end].iter().filter(|byte| byte.is_ascii_lowercase()).count();
                got == 12
            });
        }
    }
}
