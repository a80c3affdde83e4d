//! A STUN Binding responder on its own thread: what loopback blocks are validated against, and a server for other machines.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use routepool_proto::ip_block::IpBlock;
use routepool_proto::stun::{self, MAX_RESPONSE_LEN};
use routepool_udp::{Backend, Options, Socket, Transmit, errno};

use crate::Error;
use crate::defaults::{BATCH, NAP, RECEIVE_BUFFER};
use crate::local_table::LocalTable;

/// A running responder. Dropping it stops the thread and closes the socket.
#[derive(Debug)]
pub struct Responder {
    address: SocketAddr,
    receive_buffer: usize,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    requests: AtomicU64,
    replies: AtomicU64,
    ignored: AtomicU64,
    drops: AtomicU32,
}

/// What a responder has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Datagrams received.
    pub requests: u64,
    /// Replies sent.
    pub replies: u64,
    /// Datagrams that were no Binding request, or whose reply could not be sent.
    pub ignored: u64,
    /// Datagrams that the kernel dropped because the receive buffer was full.
    pub drops: u32,
}

impl Responder {
    /// Starts a responder at `address`; port 0 picks a free one. The address must be a single one, not a wildcard: replies
    /// leave from the address that is bound.
    ///
    /// # Errors
    /// [`Error::Option`] for an address that is not that of one host; [`Error::System`] with what `bind` said.
    pub fn start(address: SocketAddr) -> Result<Self, Error> {
        check_one_host(address.ip())?;
        Self::start_with(address, RECEIVE_BUFFER)
    }

    pub(crate) fn start_with(address: SocketAddr, receive_buffer: usize) -> Result<Self, Error> {
        let server = Server::bind(address, receive_buffer)?;
        let (address, receive_buffer) = (server.address(), server.receive_buffer());
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("routepool-stun".into())
            .spawn(move || serve(server, &theirs))
            .map_err(|source| Error::System { syscall: "pthread_create", address: None, source })?;
        Ok(Self { address, receive_buffer, shared, thread: Some(thread) })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The receive buffer that the kernel granted, in bytes.
    #[must_use]
    pub fn receive_buffer(&self) -> usize {
        self.receive_buffer
    }

    /// What it has done so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        Counters {
            requests: self.shared.requests.load(Ordering::Relaxed),
            replies: self.shared.replies.load(Ordering::Relaxed),
            ignored: self.shared.ignored.load(Ordering::Relaxed),
            drops: self.shared.drops.load(Ordering::Relaxed),
        }
    }

    /// Stops it: the thread ends and the socket is closed. Twice is fine.
    pub fn stop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // An empty datagram wakes the thread. Where none can be sent, its nap of 20 ms ends soon enough.
            let _ = wake(self.address);
            // The thread cannot panic on a datagram; if it did, there is nothing left to stop.
            let _ = thread.join();
        }
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        self.stop();
    }
}

fn wake(responder: SocketAddr) -> io::Result<usize> {
    let any: IpAddr = match responder {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    UdpSocket::bind((any, 0))?.send_to(&[], responder)
}

/// Replies leave from the address that is bound, so it must be that of one host. The kernel binds others as well.
fn check_one_host(ip: IpAddr) -> Result<(), Error> {
    let kind = if ip.is_unspecified() {
        "wildcard"
    } else if ip.is_multicast() {
        "multicast address"
    } else if is_broadcast(ip) {
        "broadcast address"
    } else {
        return Ok(());
    };
    let message = format!("expected one address of this machine for `address` but received the {kind} {ip}");
    Err(Error::option_error("address", message))
}

/// Only the kernel knows the broadcast addresses of the interfaces. It refuses to connect to one (connect(2): EACCES), and
/// connecting a UDP socket sends nothing.
fn is_broadcast(ip: IpAddr) -> bool {
    let IpAddr::V4(v4) = ip else { return false };
    let connect = || UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?.connect((v4, 9));
    v4.is_broadcast() || connect().is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
}

fn serve(mut server: Server, shared: &Shared) {
    while !shared.stop.load(Ordering::Relaxed) {
        let Counters { requests, replies, ignored, .. } = server.turn();
        if shared.stop.load(Ordering::Relaxed) && replies == 0 {
            break; // what came last was what woke it
        }
        if requests == 0 {
            shared.drops.store(server.drops(), Ordering::Relaxed);
            server.wait();
            continue;
        }
        shared.requests.fetch_add(requests, Ordering::Relaxed);
        shared.replies.fetch_add(replies, Ordering::Relaxed);
        shared.ignored.fetch_add(ignored, Ordering::Relaxed);
    }
}

/// The responder itself, without a thread: whoever owns it gives it its turns.
#[derive(Debug)]
pub(crate) struct Server {
    socket: Socket,
    address: SocketAddr,
    bytes: Vec<[u8; MAX_RESPONSE_LEN]>,
    to: Vec<(SocketAddr, usize)>,
}

impl Server {
    pub(crate) fn bind(address: SocketAddr, receive_buffer: usize) -> Result<Self, Error> {
        let system = |source| Error::System { syscall: "bind", address: Some(address), source };
        let options =
            Options { freebind: address.is_ipv6(), receive_buffer, batch: BATCH, ..Options::bound(address) };
        if options.freebind {
            // With freebind the kernel would bind an address that is not ours as well.
            let block =
                IpBlock::from_range(address.ip(), address.ip()).map_err(|e| Error::Block(e.to_string()))?;
            LocalTable::read(true).map_err(system)?.check(&block)?;
        }
        let socket = Socket::open(Backend::best(), &options).map_err(system)?;
        let address = SocketAddr::new(address.ip(), socket.local_port());
        Ok(Self { socket, address, bytes: vec![[0; MAX_RESPONSE_LEN]; BATCH], to: Vec::with_capacity(BATCH) })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn receive_buffer(&self) -> usize {
        self.socket.receive_buffer()
    }

    pub(crate) fn drops(&self) -> u32 {
        self.socket.drops()
    }

    /// Answers what has arrived, one batch at most, without waiting; gives what it did.
    pub(crate) fn turn(&mut self) -> Counters {
        let Self { socket, bytes, to, .. } = self;
        to.clear();
        let mut ignored = 0;
        let received = socket.receive(|datagram| {
            match bytes.get_mut(to.len()).and_then(|out| stun::respond(datagram.bytes, datagram.from, out)) {
                Some(len) => to.push((datagram.from, len)),
                None => ignored += 1,
            }
        });
        // An error speaks of an earlier reply (ICMP), or the interface went away: there is nothing to answer now.
        let requests = received.unwrap_or(0) as u64;
        let replies = if to.is_empty() { 0 } else { reply(socket, to, bytes) as u64 };
        Counters { requests, replies, ignored: ignored + to.len() as u64 - replies, drops: 0 }
    }

    fn wait(&mut self) {
        // A failing wait must not become a busy loop.
        if self.socket.wait(false, NAP).is_err() {
            std::thread::sleep(NAP);
        }
    }
}

fn reply(socket: &mut Socket, to: &[(SocketAddr, usize)], bytes: &[[u8; MAX_RESPONSE_LEN]]) -> usize {
    // All leave from the bound address.
    let empty = Transmit { source: None, destination: to[0].0, bytes: &[] };
    let mut transmits = [empty; BATCH];
    for ((transmit, (destination, len)), bytes) in transmits.iter_mut().zip(to).zip(bytes) {
        *transmit = Transmit { source: None, destination: *destination, bytes: &bytes[..*len] };
    }
    let transmits = &transmits[..to.len()];
    let (mut from, mut sent) = (0, 0);
    while from < transmits.len() {
        let (done, refused) = socket.send(&transmits[from..]);
        (from, sent) = (from + done, sent + done);
        match refused {
            None => break,
            Some(refused) if errno::is_transient(&refused.error) => {
                let _ = socket.wait(true, Duration::from_millis(5));
            }
            // This one cannot be answered; the others can.
            Some(_) => from += 1,
        }
    }
    sent
}

#[cfg(test)]
mod tests {
    use routepool_proto::stun::ReplyBody;
    use std::net::UdpSocket;

    use super::*;

    #[test]
    fn answers_binding_requests_and_nothing_else() {
        let mut responder = Responder::start("127.0.0.1:0".parse().expect("an address")).expect("loopback");
        let client = UdpSocket::bind("127.0.0.77:0").expect("loopback");
        client.set_read_timeout(Some(Duration::from_secs(5))).expect("a time-out");
        client.send_to(b"GET / HTTP/1.0\r\n\r\n", responder.address()).expect("send");
        let id = *b"abcdefghijkl";
        client.send_to(&stun::binding_request(&id), responder.address()).expect("send");
        let mut buffer = [0; 200];
        let (len, from) = client.recv_from(&mut buffer).expect("an answer");
        assert_eq!(from, responder.address());
        let reply = stun::read_reply(&buffer[..len]).expect("a STUN reply");
        assert_eq!(reply.id, id);
        assert!(matches!(reply.body, ReplyBody::Mapped(a) if a == client.local_addr().expect("bound")));
        responder.stop();
        responder.stop();
        let counters = responder.counters();
        assert_eq!((counters.requests, counters.replies, counters.ignored), (2, 1, 1));
    }

    #[test]
    fn a_busy_port_and_an_address_of_more_than_one_host_are_refused() {
        let first = Responder::start("127.0.0.1:0".parse().expect("an address")).expect("loopback");
        let error = Responder::start(first.address()).expect_err("in use");
        assert!(matches!(&error, Error::System { syscall: "bind", .. }), "{error}");
        for (address, kind) in [
            ("0.0.0.0:0", "wildcard"),
            ("[::]:0", "wildcard"),
            ("224.0.0.1:0", "multicast"),
            ("[ff02::1]:0", "multicast"),
            ("255.255.255.255:0", "broadcast"),
            #[cfg(target_os = "linux")]
            ("127.255.255.255:0", "broadcast"),
        ] {
            let error = Responder::start(address.parse().expect("an address")).expect_err(kind);
            assert_eq!(error.option(), Some("address"));
            assert!(error.to_string().contains(kind), "{error}");
        }
    }
}
